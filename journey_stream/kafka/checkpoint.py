"""One transaction per checkpoint of a keyed partition.

Enters: encoded records, state changes, the meta record and the offset to commit. Leaves: all of them, or
nothing. Strategy: records go to partitions, partitions into batches, all batches into one transaction
(`transactions`). A writer on which anything went wrong is never used again: the lane starts over from its
takeover, which fences whatever may still be under way. The offset carries no group generation; that is safe
because a lane fences before it reads (ADR 0003).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from journey_stream.errors import StateError
from journey_stream.kafka.hop import MURMUR2, Partitioner
from journey_stream.kafka.sender import Counts, Row, in_batches, joined, joined_aside
from journey_stream.kafka.transactions import Closed, Place, Transactions
from journey_stream.values import Out


class Writer:
    """The transactional producer of one keyed partition: one call, one transaction."""

    def __init__(
        self,
        client: Mapping[str, Any],
        *,
        application_id: str,
        partition: int,
        partitions: int,
        public_compression: str = "none",
        internal_compression: str = "none",
        partitioner: str = MURMUR2,
    ) -> None:
        self._transactions = Transactions(client, f"{application_id}-{partition}")
        self._counts = Counts(self._transactions.client)
        self._group = application_id
        self._partition = partition
        self._partitions = partitions
        self._public = public_compression
        self._internal = internal_compression
        self._partitioner = partitioner
        self._partitioners: dict[int, Partitioner] = {}
        self.changelog_end = 0
        """Where the changelog ended when it was read, later where we last wrote: it never goes back."""

    @property
    def waited_for(self) -> str:
        """What a transaction that failed was waiting for."""
        return self._transactions.waits_for

    async def start(self) -> None:
        """Connect, and fence every older writer of this partition."""
        await self._transactions.start()

    async def stop(self) -> None:
        """Close within a bounded time, whatever state the writer is in."""
        await self._transactions.stop()

    async def commit(
        self,
        outs: Sequence[Out],
        changelog: str,
        changes: Iterable[tuple[bytes, bytes | None]],
        offsets: Mapping[Place, int],
        ready: Mapping[Place, Sequence[Any]] | None = None,
    ) -> None:
        """Write records, state and offsets in one transaction.

        Args:
            outs: records to the topics out.
            changelog: the topic of states.
            changes: states by key; the meta record is the last.
            offsets: how far the sources are done with.
            ready: finished batches by topic and partition, made for a transactional producer. They go before
                the rows of `outs`, and before `changes`.

        Raises:
            StateError: the changelog was made anew under us.
            KafkaError: something failed; the outcome is unknown until the next takeover, the writer is spent.
        """
        finished = dict(ready or {})
        topics = {out.topic for out in outs} | {topic for topic, _ in finished}
        rows = self._grouped(outs, {topic: await self._counts.of(topic) for topic in topics})
        states: Place = (changelog, self._partition)
        # What the compiled core did came first: whoever it gave back to Python was Python's from then on.
        batches = {
            place: self._records(rows.get(place, ()), finished.get(place, ()))
            for place in dict.fromkeys((*rows, *finished))
            if place != states
        }
        changed: list[Row] = [(key, state, []) for key, state in changes]
        if changed or states in finished:
            batches[states] = await self._states(changed, finished.get(states, ()))

        def look(place: Place, offset: int) -> None:
            # Each is looked at: behind many rows, the last may stand beyond the end that we know again.
            if place == states:
                self._look_at_changelog(changelog, offset)

        await self._transactions.commit(batches, offsets, self._group, look)

    def _records(self, rows: Sequence[Row], ready: Sequence[Any]) -> Iterable[Closed]:
        """Give batches for others; those that are ready were compressed by whoever made them."""
        if ready and self._public == "none":
            return joined(ready, rows, transactional=True)
        return chain(ready, in_batches(rows, self._public, transactional=True))

    async def _states(self, rows: Sequence[Row], ready: Sequence[Any]) -> Iterable[Closed]:
        if ready:
            return await joined_aside(ready, rows, self._internal, transactional=True)
        return in_batches(rows, self._internal, transactional=True)

    async def alike(self, topics: Iterable[str]) -> bool:
        """Tell whether topics have as many partitions as the keyed one: then all we write is in ours."""
        for topic in topics:
            if await self._counts.of(topic) != self._partitions:
                return False
        return True

    def _look_at_changelog(self, changelog: str, written: int) -> None:
        """Refuse to go on in a changelog that was made anew: it would hold only what changed since."""
        if 0 <= written < self.changelog_end:
            msg = (
                f"changelog {changelog}[{self._partition}]: expected to write beyond offset "
                f"{self.changelog_end}, came to stand at {written}: the topic was deleted and made anew, the "
                "state of customers is gone with it. Restore it, or begin anew with `journey-stream reset`"
            )
            raise StateError(msg)
        self.changelog_end = max(written, self.changelog_end)

    def _grouped(self, outs: Iterable[Out], counts: Mapping[str, int]) -> dict[Place, list[Row]]:
        rows: dict[Place, list[Row]] = {}
        for out in outs:
            count = counts[out.topic]
            if count == self._partitions:
                # As many partitions as the keyed topic, chosen by the same key: the partition is ours.
                partition = self._partition
            elif out.partition_key is None:
                partition = self._partition % count
            else:
                partitioner = self._partitioners.get(count)
                if partitioner is None:
                    partitioner = self._partitioners[count] = Partitioner(count, self._partitioner)
                partition = partitioner(out.partition_key)
            rows.setdefault((out.topic, partition), []).append((out.key, out.value, list(out.headers)))
        return rows
