"""The changelog of a keyed partition: its key space, and reading it back in batches.

Enters: the changelog topic's partition. Leaves: (person, state or None) pairs and the last checkpoint's
meta record. Strategy: read once to the read_committed end with a consumer of its own, without a group;
nothing is decoded but keys. Whoever calls has fenced the former owner first: from then on nobody else can
move that end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from journey_stream.errors import StateError

META_KEY: Final = b"\x00checkpoint"
"""Key of the meta record; no person's key starts with a NUL byte, since that would clash with it."""

_FETCH_BYTES = 8 << 20


async def read_changelog(
    client: Mapping[str, Any],
    topic: str,
    partition: int,
    load: Callable[[bytes, bytes | None], None],
    progress: Callable[[int, int], None],
) -> bytes | None:
    """Feed every state to `load` and give the value of the last meta record, None if there is none.

    Args:
        client: connection options.
        topic: the changelog topic.
        partition: the partition to read.
        load: takes a person's key and state; None is a tombstone.
        progress: is told (offset reached, end) after each batch.

    Raises:
        StateError: the partition does not exist.
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
        partitions = await consumer._client._wait_on_metadata(topic)  # noqa: SLF001 (no public call before assign)
        if partition not in partitions:
            msg = (
                f"changelog {topic}[{partition}]: expected the partition to exist, the topic has "
                f"{len(partitions)}; it needs as many partitions as the keyed topic (`journey-stream topics`)"
            )
            raise StateError(msg)
        consumer.assign([tp])
        await consumer.seek_to_beginning(tp)
        end = (await consumer.end_offsets([tp]))[tp]
        meta: bytes | None = None
        position = await consumer.position(tp)
        progress(position, end)
        while position < end:
            for record in (await consumer.getmany(tp, timeout_ms=200)).get(tp, ()):
                if record.key == META_KEY:
                    meta = record.value
                elif record.key is not None:
                    load(record.key, record.value)
            position = await consumer.position(tp)
            progress(position, end)
        return meta
    finally:
        await consumer.stop()
