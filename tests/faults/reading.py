"""Readers of what a deployment publishes: one that reads along while faults happen, one that reads afterwards.

Enters: topics. Leaves: every record that a `read_committed` reader was handed, in the order of its partition.
Strategy: no group; positions are our own, so that a reader whose client gives up is made anew and goes on
where it was: a record that it gets twice was there twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from journey_stream.settings import Settings
from tests.kafka.cluster import client

FETCH_BYTES = 20 << 20
PAUSE = 0.5
ANSWER_SECONDS = 20.0


class Reader:
    """Reads topics from their beginning."""

    def __init__(self, settings: Settings, topics: Sequence[str], isolation: str = "read_committed") -> None:
        self.records: dict[str, list[Any]] = {topic: [] for topic in topics}
        self.restarts = 0
        self._settings, self._isolation = settings, isolation
        self._positions: dict[TopicPartition, int] = {}
        self._task: asyncio.Task[None] | None = None

    def count(self, *topics: str) -> int:
        """Count what has been read of topics."""
        return sum(len(self.records[topic]) for topic in topics)

    def start(self) -> None:
        """Read along until `finish`."""
        self._task = asyncio.create_task(self._along(), name="reading along")

    async def finish(self) -> None:
        """Read on to the ends that topics have now, then stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self.to_the_end()

    async def stop(self) -> None:
        """Stop without reading on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def to_the_end(self) -> None:
        """Read all there is now."""
        consumer = await self._consumer()
        try:
            assigned = list(consumer.assignment())
            ends = await consumer.end_offsets(assigned)
            while any([await consumer.position(tp) < ends[tp] for tp in assigned]):
                self._keep(await consumer.getmany(timeout_ms=200))
        finally:
            await consumer.stop()

    async def _along(self) -> None:
        while True:
            consumer: AIOKafkaConsumer | None = None
            try:
                consumer = await asyncio.wait_for(self._consumer(), ANSWER_SECONDS)
                while True:
                    self._keep(await consumer.getmany(timeout_ms=200))
            except (KafkaError, OSError, TimeoutError):
                self.restarts += 1
                await asyncio.sleep(PAUSE)
            finally:
                if consumer is not None:
                    with contextlib.suppress(KafkaError, OSError, TimeoutError):
                        await asyncio.wait_for(consumer.stop(), ANSWER_SECONDS)

    async def _consumer(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            **client(self._settings),
            isolation_level=self._isolation,
            enable_auto_commit=False,
            max_partition_fetch_bytes=FETCH_BYTES,
        )
        await consumer.start()
        try:
            tps = []
            for topic in self.records:
                await consumer._client._wait_on_metadata(topic)
                tps += [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
            consumer.assign(tps)
            for tp in tps:
                consumer.seek(tp, self._positions.get(tp, 0))
        except BaseException:
            await consumer.stop()
            raise
        return consumer

    def _keep(self, fetched: dict[TopicPartition, list[Any]]) -> None:
        for tp, records in fetched.items():
            self.records[tp.topic] += records
            self._positions[tp] = records[-1].offset + 1 if records else self._positions.get(tp, 0)
