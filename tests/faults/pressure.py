"""More comes than goes: a slow broker and a customer of whom everybody talks. Nothing may grow without bound."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from journey_stream.broker import EmbeddedKafka
from journey_stream.shop.records import ShopRecord
from journey_stream.values import HOUR, SECOND
from tests.faults.case import SHORT, case
from tests.faults.live import JOURNEY, event
from tests.faults.memory import Memory
from tests.faults.proxy import PRODUCE, Proxy, kafka_behind
from tests.faults.scene import Scene, Size
from tests.faults.workload import Workload, placed

HOT = 0.3
"""Share of the events that one customer has."""
SLOW_SECONDS = 0.2
"""Each answer to a produce request is so late."""
START = 1_767_225_600 * SECOND
STEP = 2 * SECOND
DISORDER = 20 * 60 * SECOND
BUFFERED = 5_000
MOST_MIB = 200.0
"""So much more than an idle worker one may hold, at any time."""


class SlowBroker:
    """A Kafka that acknowledges workers late; feeding and readers reach it directly."""

    def __init__(self, folder: Path) -> None:
        self.way = Proxy()
        self.kafka: EmbeddedKafka = kafka_behind(folder, self.way)

    @property
    def bootstrap(self) -> str:
        """The direct address."""
        return self.kafka.bootstrap

    @property
    def ways(self) -> tuple[str, ...]:
        """The address for workers."""
        return (self.way.address,)

    def start(self) -> None:
        self.kafka.start()
        self.way.__enter__()

    def kill(self) -> None:
        self.way.__exit__(None, None, None)
        self.kafka.kill()


def hot_workload(size: Size) -> Workload:
    """Make events of which one customer has a third, out of order within the lateness."""
    random = Random(7)
    made = []
    for number in range(size.events):
        sent = START + number * STEP
        customers = 1 if random.random() < HOT else size.customers
        happened = sent - random.randrange(DISORDER)
        made.append(
            ShopRecord(
                "visits", None, event(number, random, customers, happened), (), sent, event_id=f"e{number}"
            )
        )
    until = START + size.events * STEP + HOUR
    settings: dict[str, Any] = {
        "clock": "event",
        "until": until,
        "allowed_lateness": HOUR,
        "source_partitions": size.partitions,
        "journeys": [str(JOURNEY)],
        "max_buffered": BUFFERED,
    }
    return Workload(
        size.events, size.customers, list(placed(iter(made), size.partitions, random)), settings, until
    )


@case(
    "backpressure",
    Size(events=100_000, workers=2, faults=1, seconds=40, checkpoint=1),
    replace(SHORT, events=8_000, faults=1, seconds=8, checkpoint=1),
    own_broker=True,
    word="slow broker",
    workload=hot_workload,
    make_broker=SlowBroker,
)
async def backpressure(scene: Scene) -> None:
    """One customer has 30 % of the events and the broker acknowledges late: memory and queues stay bounded."""
    memory = {worker.process.pid: Memory() for worker in scene.workers}
    watching = [asyncio.create_task(kept.watch(lambda pid=pid: [pid])) for pid, kept in memory.items()]
    scene.struck()
    hold = scene.broker.way.hold(PRODUCE, "response", SLOW_SECONDS)
    try:
        await scene.feeding.reaches(0.9)
        await scene.reaches(0.5)
        hold.release()
        scene.feeding.attacked = False
        await scene.feeding.end()
        await scene.wait_for(lambda: scene.progress > 0.95, scene.size.done, "end of the work")
    finally:
        for task in watching:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*watching)
    idle = max(kept.samples[0][1] for kept in memory.values()) / 2**20
    peak = max(kept.peak for kept in memory.values())
    scene.notes["MiB of a worker"] = f"{idle:.0f} idle, {peak:.0f} at most"
    assert peak < idle + MOST_MIB, f"a worker came to hold {peak:.0f} MiB, idle it held {idle:.0f}"
