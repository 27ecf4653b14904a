"""The changelog of a keyed partition: its key space, and reading it back in batches.

Enters: the changelog topic's partition, and where to begin. Leaves: (person, state or None) pairs and the
last checkpoint's meta record. Strategy: read once to the read_committed end with a consumer of its own,
without a group; nothing is decoded but keys. Whoever calls has fenced the former owner first: from then on
nobody else can move that end. Whoever kept what came before an offset reads from there only. The last record
of a key counts, as compaction has it: one that cannot be read hurts nobody when a later one replaces it, and
stops the partition when none does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from journey_stream.errors import StateError
from journey_stream.kafka.fetched import read_compiled

META_KEY: Final = b"\x00checkpoint"
"""Key of the meta record; no person's key starts with a NUL byte, since that would clash with it."""

Run = Callable[[Sequence[Any], int], int]

_FETCH_BYTES = 8 << 20


async def read_changelog(
    client: Mapping[str, Any],
    topic: str,
    partition: int,
    load: Callable[[bytes, bytes | None], None],
    progress: Callable[[int, int], None],
    inspect: Callable[[bytes], None] | None = None,
    from_offset: int = 0,
    run: Run | None = None,
) -> bytes | None:
    """Feed every state to `load` and give the value of the last meta record read, None if there is none.

    Args:
        client: connection options.
        topic: the changelog topic.
        partition: the partition to read.
        load: takes a person's key and state; None is a tombstone.
        progress: is told (offset reached, end) after each batch.
        inspect: asked about every key in the end, if given; raises StateError for a state it cannot read.
        from_offset: what stands before this offset is left out; the caller has it.
        run: takes as many states as it can of a sequence of records, from a place on, and gives the place it
            came to; what it leaves is for `load`. Of the compiled core, which then reads what is fetched.

    Raises:
        StateError: the partition does not exist, ends before `from_offset`, or a state in it cannot be read.
    """
    tp = TopicPartition(topic, partition)
    consumer = AIOKafkaConsumer(
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=_FETCH_BYTES,
        fetch_max_wait_ms=100,
        **client,
    )
    await consumer.start()
    try:
        if run is not None:
            read_compiled(consumer)
        partitions = await consumer._client._wait_on_metadata(topic)  # noqa: SLF001 (no public call before assign)
        if partition not in partitions:
            msg = (
                f"changelog {topic}[{partition}]: expected the partition to exist, the topic has "
                f"{len(partitions)}; it needs as many partitions as the keyed topic (`journey-stream topics`)"
            )
            raise StateError(msg)
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        first = (await consumer.beginning_offsets([tp]))[tp]
        if from_offset > end:
            msg = (
                f"changelog {topic}[{partition}]: expected it to reach offset {from_offset}, up to where its "
                f"states are known, but it ends at {end}: it was made anew"
            )
            raise StateError(msg)
        consumer.seek(tp, max(first, from_offset))
        reading = _Reading(load, keep_offsets=inspect is not None)
        position = await consumer.position(tp)
        progress(position, end)
        while position < end:
            for found in (await consumer.getmany(tp, timeout_ms=200)).get(tp, ()):
                if run is None:
                    reading.take(found)
                else:
                    await reading.take_all(found, run)
            position = await consumer.position(tp)
            progress(position, end)
        if inspect is not None:
            reading.inspect(inspect)
        if reading.unreadable:
            raise _poisoned(tp, reading.unreadable)
        return reading.meta
    finally:
        await consumer.stop()


class _Reading:
    """What has been read so far."""

    def __init__(self, load: Callable[[bytes, bytes | None], None], *, keep_offsets: bool) -> None:
        self.meta: bytes | None = None
        self.unreadable: dict[bytes, tuple[int, Exception]] = {}
        """Key to offset and reason, of records that no later one has replaced."""
        self._load = load
        self._offsets: dict[bytes, int] | None = {} if keep_offsets else None

    async def take_all(self, records: Sequence[Any], run: Run) -> None:
        place, count = 0, len(records)
        while place < count:
            # Which unreadable one a later record replaces is looked for record by record.
            if self._offsets is None and not self.unreadable:
                # Beside the loop, which fetches on meanwhile. If this is cancelled, the thread works to its
                # end on states that nobody uses.
                place = await asyncio.to_thread(run, records, place)
            if place < count:
                self.take(records[place])
                place += 1

    def take(self, record: Any) -> None:
        key = record.key
        if key == META_KEY:
            self.meta = record.value
        elif key is not None:
            try:
                self._load(key, record.value)
            except (StateError, UnicodeDecodeError) as error:
                self.unreadable[key] = (record.offset, error)
            else:
                if self.unreadable:
                    self.unreadable.pop(key, None)
                if self._offsets is not None:
                    self._offsets[key] = record.offset

    def inspect(self, look: Callable[[bytes], None]) -> None:
        for key, offset in (self._offsets or {}).items():
            try:
                look(key)
            except StateError as error:
                self.unreadable[key] = (offset, error)


def _poisoned(tp: TopicPartition, unreadable: Mapping[bytes, tuple[int, Exception]]) -> StateError:
    """Name the first record and how many there are; the key is a customer's and stays out of the log."""
    offset, error = min(unreadable.values(), key=lambda found: found[0])
    more = f" and {len(unreadable) - 1} more" if len(unreadable) > 1 else ""
    return StateError(
        f"changelog {tp.topic}[{tp.partition}]@{offset}{more}: {error}. This partition stands still, the "
        "others go on. A newer record under the same key replaces a damaged one, an empty one makes that "
        "customer start anew (docs/guarantees.md)"
    )
