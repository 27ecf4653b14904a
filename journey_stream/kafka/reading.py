"""Reading topics from the side: what is committed, without a group, without disturbing anybody.

Enters: a topic, and where to begin. Leaves: its records, batch by batch, up to the end as it was when the
reading began; open and aborted transactions are not seen. Strategy: a consumer of its own that joins no
group and commits nothing, so a running deployment notices nothing but the fetches.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from journey_stream.errors import BrokerError

_FETCH_BYTES: Final = 8 << 20
_WAIT_MS: Final = 200
_FOLLOW_MS: Final = 60_000
_PATIENCE_SECONDS: Final = 1.0


class Where(msgspec.Struct, frozen=True):
    """Where to begin in each partition: at the beginning, unless told otherwise."""

    since: int | None = None
    """First record written at or after this time (microseconds)."""
    tail: int | None = None
    """Only so many offsets before the end; a transaction takes one for its own mark."""


class Span(msgspec.Struct, frozen=True):
    """What there is of a partition to be read."""

    first: int
    end: int
    """Behind the last committed record; what stands in open transactions is beyond."""


class Reader:
    """A consumer without a group. Use it as `async with reader(client) as r`."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._ends: dict[TopicPartition, int] = {}

    async def partitions(self, topic: str) -> list[int]:
        """List the partitions of a topic.

        Raises:
            BrokerError: the topic is not there.
        """
        cluster = await self._consumer._client.fetch_all_metadata()  # noqa: SLF001 (asks without creating)
        found = cluster.partitions_for_topic(topic)
        if not found:
            msg = (
                f"topic {topic}: expected it to be there, the cluster does not have it. Check "
                "`topic_prefix` and `application_id`, or make it with `journey-stream topics --create`"
            )
            raise BrokerError(msg)
        return sorted(found)

    async def spans(self, topic: str, partitions: Iterable[int]) -> dict[int, Span]:
        """Ask for the first and the end offsets."""
        tps = [TopicPartition(topic, p) for p in partitions]
        await self._know(topic)
        first = await self._consumer.beginning_offsets(tps)
        end = await self._consumer.end_offsets(tps)
        return {tp.partition: Span(first[tp], end[tp]) for tp in tps}

    async def read(
        self,
        topic: str,
        partitions: Iterable[int] | None = None,
        where: Where = Where(),  # noqa: B008 (frozen)
    ) -> AsyncIterator[list[Any]]:
        """Give the records of partitions (all, unless named) up to the end as it is now, in batches."""
        chosen = await self.partitions(topic) if partitions is None else list(partitions)
        spans = await self.spans(topic, chosen)
        consumer = self._consumer
        ends = self._ends = {TopicPartition(topic, p): span.end for p, span in spans.items()}
        consumer.assign(list(ends))
        for tp, offset in (await self._starts(topic, spans, where)).items():
            consumer.seek(tp, offset)
        open_ = {tp for tp, end in ends.items() if await consumer.position(tp) < end}
        while open_:
            for fetched in (await consumer.getmany(*open_, timeout_ms=_WAIT_MS)).values():
                yield [record for record in fetched if record.offset < ends[_tp(record)]]
            open_ = {tp for tp in open_ if await consumer.position(tp) < ends[tp]}

    async def follow(self) -> AsyncIterator[list[Any]]:
        """Go on where the last `read` ended, for ever."""
        for tp, end in self._ends.items():
            self._consumer.seek(tp, end)
        while True:
            for fetched in (await self._consumer.getmany(timeout_ms=_FOLLOW_MS)).values():
                yield fetched

    async def _starts(self, topic: str, spans: Mapping[int, Span], where: Where) -> dict[TopicPartition, int]:
        starts = {TopicPartition(topic, p): span.first for p, span in spans.items()}
        if where.tail is not None:
            for tp in starts:
                starts[tp] = max(starts[tp], spans[tp.partition].end - where.tail)
        if where.since is not None and starts:
            wanted = dict.fromkeys(starts, max(0, where.since // 1000))
            for tp, found in (await self._consumer.offsets_for_times(wanted)).items():
                starts[tp] = spans[tp.partition].end if found is None else max(starts[tp], found.offset)
        return starts

    async def _know(self, topic: str) -> None:
        await self._consumer._client._wait_on_metadata(topic)  # noqa: SLF001 (no public call before assign)


def _tp(record: Any) -> TopicPartition:
    return TopicPartition(record.topic, record.partition)


@contextlib.asynccontextmanager
async def reader(client: Mapping[str, Any]) -> AsyncIterator[Reader]:
    """Open a reader; `client` are connection options (`security.client_options`)."""
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
        yield Reader(consumer)
    finally:
        await stop_consumer(consumer)


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer for sure.

    aiokafka's fetcher loses a cancellation that comes while it puts away what was under way for partitions
    that are no longer assigned (it suppresses its own and ours alike), and then fetches on for ever: it is
    told again.
    """
    stopping = asyncio.ensure_future(consumer.stop())
    while not (await asyncio.wait({stopping}, timeout=_PATIENCE_SECONDS))[0]:
        consumer._fetcher._fetch_task.cancel()  # noqa: SLF001 (no public way)
    await stopping
