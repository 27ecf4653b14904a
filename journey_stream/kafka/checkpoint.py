"""One transaction per checkpoint of a keyed partition, and the plain idempotent sender of intake.

Enters: encoded records, state changes, the meta record and the offset to commit. Leaves: all of them, or
nothing. Strategy: records go out in large batches of our own making (one produce request each), or in those
that the compiled core finished (to aiokafka, a `ReadyBatch` is a closed `BatchBuilder`). Each
acknowledgement is looked at before the commit, since aiokafka's own flush reports no failure. A producer on
which anything went wrong is never used again: the lane starts over from its takeover, which fences whatever
may still be under way. aiokafka's TxnOffsetCommit carries no group generation; that is safe because a lane
fences before it reads (ADR 0003).
"""

# ruff: noqa: SLF001 (aiokafka keeps what failed to itself)

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from aiokafka.producer.message_accumulator import BatchBuilder

from journey_stream.errors import BrokerError, StateError
from journey_stream.kafka.hop import MURMUR2, Partitioner
from journey_stream.values import Out

MAX_BATCH_BYTES: Final = 512 * 1024
REQUEST_TIMEOUT_MS: Final = 30_000
TRANSACTION_TIMEOUT_MS: Final = 60_000
CLOSE_SECONDS: Final = 3.0

_COMPRESSION: Final[Mapping[str, int]] = {"none": 0, "gzip": 1, "lz4": 3}

Row = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]
"""Key, value, headers."""


class Sender:
    """A producer that sends whole batches and tells the truth about each."""

    def __init__(self, client: Mapping[str, Any], max_record_bytes: int, **options: Any) -> None:
        self._producer = AIOKafkaProducer(
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=max(max_record_bytes, MAX_BATCH_BYTES) + 65_536,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            **client,
            **options,
        )
        self._transactional = options.get("transactional_id") is not None
        self._counts: dict[str, int] = {}
        self._turns: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def start(self) -> None:
        """Connect; a transactional producer fences every older one of its id here."""
        try:
            await self._producer.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close within a bounded time, whatever state the producer is in."""
        self._hush()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._producer.stop(), CLOSE_SECONDS)

    def _hush(self) -> None:
        """Take note of failures that aiokafka leaves in futures nobody awaits: the lane has told them."""
        accumulator = self._producer._message_accumulator
        batches = [
            *accumulator._pending_batches,
            *(b for queue in accumulator._batches.values() for b in queue),
        ]
        waiters = [batch._drain_waiter for batch in batches]
        waiters.append(self._producer._txn_manager._transaction_waiter)
        for waiter in waiters:
            if waiter is not None and waiter.done() and not waiter.cancelled():
                waiter.exception()

    async def partitions(self, topic: str) -> int:
        """Count the partitions of a topic; asked once."""
        count = self._counts.get(topic)
        if count is None:
            found = None
            with contextlib.suppress(UnknownTopicOrPartitionError):
                found = await self._producer.partitions_for(topic)
            if not found:
                msg = (
                    f"topic {topic}: expected at least one partition, the broker knows none; "
                    "create it with `journey-stream topics`"
                )
                raise BrokerError(msg)
            count = self._counts[topic] = len(found)
        return count

    async def count_anew(self, topics: Iterable[str]) -> dict[str, int] | None:
        """Count the partitions that topics have at this moment, 0 for none; None when no broker answers."""
        found = ClusterMetadata()
        if not await self._producer.client._metadata_update(found, list(topics)):
            return None
        return {topic: len(found.partitions_for_topic(topic) or ()) for topic in topics}

    async def send(self, topic: str, partition: int, rows: Iterable[Row], compression: str = "none") -> int:
        """Send rows in order and return when all are acknowledged; gives the offset of the last batch.

        Several batches follow one another only after an acknowledgement: no later batch can succeed after a
        failed one, so the partition never holds a gap.
        """
        attributes = _COMPRESSION[compression]
        offset = -1
        batch = BatchBuilder(MAX_BATCH_BYTES, attributes, is_transactional=self._transactional)
        for key, value, headers in rows:
            if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                await self._deliver(batch, topic, partition)
                batch = BatchBuilder(MAX_BATCH_BYTES, attributes, is_transactional=self._transactional)
                batch.append(timestamp=None, key=key, value=value, headers=headers)
        if batch.record_count():
            offset = await self._deliver(batch, topic, partition)
        return offset

    async def send_ready(
        self, topic: str, partition: int, batches: Sequence[Any], rows: Sequence[Row] = ()
    ) -> int:
        """Send finished batches, rows behind them, as `send` sends its own; gives the offset of the last."""
        offset = -1
        for batch in self.joined(batches, rows):
            offset = await self._deliver(batch, topic, partition)
        return offset

    def joined(self, batches: Sequence[Any], rows: Sequence[Row]) -> Sequence[Any]:
        """Put finished batches into as few as they fit in, rows behind them."""
        if len(batches) == 1 and not rows:
            return batches
        import journey_stream_native

        now = time.time_ns() // 1_000_000
        return journey_stream_native.join_batches(batches, rows, now, self._transactional)

    async def _deliver(self, batch: Any, topic: str, partition: int) -> int:
        # aiokafka holds one batch a partition and fails those who wait for their turn too early (each round
        # of its loop counts the whole wait again): so one of ours waits at a time, the others here.
        async with self._turns[topic, partition]:
            sent = await self._producer.send_batch(batch, topic, partition=partition)
        try:
            return int((await sent).offset)
        except KafkaError as error:
            error.add_note(f"sending to {topic}[{partition}]")
            raise


class Writer(Sender):
    """The transactional producer of one keyed partition: one call, one transaction."""

    def __init__(
        self,
        client: Mapping[str, Any],
        *,
        application_id: str,
        partition: int,
        partitions: int,
        max_record_bytes: int,
        public_compression: str = "none",
        internal_compression: str = "none",
        partitioner: str = MURMUR2,
    ) -> None:
        super().__init__(
            client,
            max_record_bytes,
            transactional_id=f"{application_id}-{partition}",
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
        )
        self._group = application_id
        self._partition = partition
        self._partitions = partitions
        self._public = public_compression
        self._internal = internal_compression
        self._partitioner = partitioner
        self._partitioners: dict[int, Partitioner] = {}
        self.waited_for = ""
        """What a transaction that failed was waiting for."""
        self.changelog_end = 0
        """Where the changelog ended when it was read, later where we last wrote: it never goes back."""

    async def commit(
        self,
        outs: Sequence[Out],
        changelog: str,
        changes: Iterable[tuple[bytes, bytes | None]],
        offsets: Mapping[tuple[str, int], int],
        ready: Mapping[tuple[str, int], Sequence[Any]] | None = None,
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
        states_ready = finished.pop((changelog, self._partition), ())
        topics = {out.topic for out in outs} | {topic for topic, _ in finished}
        rows = self._grouped(outs, {topic: await self.partitions(topic) for topic in topics})
        await self._producer.begin_transaction()
        try:
            sends = [
                self._send_public(topic, p, rows.get((topic, p), ()), finished.get((topic, p), ()))
                for topic, p in dict.fromkeys((*rows, *finished))
            ]
            sends.append(self._send_states(changelog, states_ready, changes))
            # All are waited for, also when one fails: an abort must not race with our own sends.
            written = -1
            for outcome in await asyncio.gather(*sends, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome
                written = outcome
            self._look_at_changelog(changelog, written)
            await self._producer.send_offsets_to_transaction(
                {TopicPartition(topic, p): offset for (topic, p), offset in offsets.items()}, self._group
            )
            await self._producer.commit_transaction()
        except BaseException:
            self.waited_for = self._waiting()
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._producer.abort_transaction(), CLOSE_SECONDS)
            raise

    async def _send_public(
        self, topic: str, partition: int, rows: Iterable[Row], ready: Sequence[Any]
    ) -> int:
        # What the compiled core did came first: whoever it gave back to Python was Python's from then on.
        if ready:
            return await self.send_ready(topic, partition, ready, list(rows))
        return await self.send(topic, partition, rows, self._public)

    async def _send_states(
        self, changelog: str, ready: Sequence[Any], changes: Iterable[tuple[bytes, bytes | None]]
    ) -> int:
        rows: list[Row] = [(key, state, []) for key, state in changes]
        if not ready:
            return await self.send(changelog, self._partition, rows, self._internal)
        written = -1
        for batch in self.joined(ready, rows):
            # Each is looked at: behind many rows, the last may stand beyond the end that we know again.
            written = await self._deliver(batch, changelog, self._partition)
            self._look_at_changelog(changelog, written)
        return written

    async def alike(self, topics: Iterable[str]) -> bool:
        """Tell whether topics have as many partitions as the keyed one: then all we write is in ours."""
        for topic in topics:
            if await self.partitions(topic) != self._partitions:
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

    def _waiting(self) -> str:
        """Say what the transaction under way waits for."""
        transaction = self._producer._txn_manager
        missing = sorted(f"{tp.topic}[{tp.partition}]" for tp in transaction.partitions_to_add())
        batches = self._producer._message_accumulator._batches
        queued = sorted(f"{tp.topic}[{tp.partition}]" for tp, waiting in batches.items() if waiting)
        if missing or queued:
            return f"the brokers do not take records for {', '.join(dict.fromkeys((*missing, *queued)))}"
        return "the coordinator of transactions does not answer"

    def _grouped(self, outs: Iterable[Out], counts: Mapping[str, int]) -> dict[tuple[str, int], list[Row]]:
        rows: dict[tuple[str, int], list[Row]] = {}
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
