"""Sending in the background while faults happen, at a pace, so that the work outlasts them.

Enters: records, the topics, a duration. Leaves: all records acknowledged, each once; where every bad one came
to lie; how far the sending is. Strategy: an idempotent producer with patience for brokers that go away; a
failed send ends the feeding, and with it the case. As long as the attack lasts the last tenth only trickles,
so that there is work until its end however slow the machine is; it never stops, since a source partition
that is quiet would stop holding the clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaProducer

from journey_stream.settings import Settings
from tests.faults.workload import Sent, Workload
from tests.kafka.cluster import client

PATIENCE_MS = 300_000
TURN = 0.05
AT_ONCE = 5_000
LAST = 0.9
TRICKLE = 30.0
"""Records a second of the last tenth, while the attack lasts."""


class Feeding:
    """One paced sending of all records."""

    def __init__(
        self, settings: Settings, topics: Mapping[str, str], workload: Workload, seconds: float
    ) -> None:
        self.acknowledged = 0
        self.dead: dict[tuple[str, int, int], Sent] = {}
        """Where the bad records lie: topic, partition, offset."""
        self.attacked = True
        """Whether faults are still to come."""
        self.longest_gap = 0.0
        """Seconds in which nothing was acknowledged although records waited."""
        self.behind = 0.0
        """Seconds that a record was acknowledged later than planned, at most."""
        self._settings, self._topics, self._workload, self._seconds = settings, topics, workload, seconds
        self._task: asyncio.Task[None] | None = None

    @property
    def share(self) -> float:
        """How much has been sent and acknowledged, 0 to 1."""
        return self.acknowledged / max(1, len(self._workload.records))

    @property
    def under_way(self) -> bool:
        """Whether records are still to come."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="feeding")

    async def reaches(self, share: float) -> None:
        """Wait until so much is sent; raises what ended the feeding too early."""
        while self.share < share and self.under_way:
            await asyncio.sleep(0.05)
        if not self.under_way:
            await self.end()

    async def end(self) -> None:
        """Wait until all is sent."""
        if self._task is not None:
            await self._task

    async def stop(self) -> None:
        """End it, whatever is left."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        producer = AIOKafkaProducer(
            **client(self._settings),
            enable_idempotence=True,
            linger_ms=5,
            max_request_size=16 << 20,
            request_timeout_ms=PATIENCE_MS,
        )
        await producer.start()
        try:
            await asyncio.sleep(self._workload.begin())
            await self._send(producer)
        finally:
            await producer.stop()

    async def _send(self, producer: AIOKafkaProducer) -> None:
        trickles = not self._workload.live  # (what is stamped with its time cannot wait)
        each = self._seconds / len(self._workload.records)
        last = LAST * len(self._workload.records)
        under_way: list[tuple[Sent, asyncio.Future[object]]] = []
        due = self._heard = time.monotonic()
        for number, record in enumerate(self._workload.records):
            under_way.append((record, await self._one(producer, record)))
            due += 1 / TRICKLE if trickles and self.attacked and number > last else each
            if due - time.monotonic() > TURN or len(under_way) >= AT_ONCE:
                await self._settle(under_way)
                self.behind = max(self.behind, time.monotonic() - due)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                self._heard = time.monotonic()
        await self._settle(under_way)

    async def _one(self, producer: AIOKafkaProducer, record: Sent) -> asyncio.Future[object]:
        source, partition = record.place
        topic = self._topics[source]
        headers = list(record.headers) or None
        sent: asyncio.Future[object] = await producer.send(
            topic, record.value, record.key, partition=partition, headers=headers
        )
        return sent

    async def _settle(self, under_way: list[tuple[Sent, asyncio.Future[object]]]) -> None:
        """Wait for all acknowledgements."""
        for record, sent in under_way:
            at = await sent
            self.acknowledged += 1
            if record.poison:
                self.dead[at.topic, at.partition, at.offset] = record  # type: ignore[attr-defined]
        now = time.monotonic()
        self.longest_gap = max(self.longest_gap, now - self._heard)
        self._heard = now
        under_way.clear()


def topics_of(sources: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Source to topic."""
    return dict(zip(sources, names, strict=True))
