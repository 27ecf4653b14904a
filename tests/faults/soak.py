"""`make soak`: a worker at full speed for half an hour; its resident memory has to stay flat.

Enters: minutes. Leaves: a line with figures, exit code 1 when memory rises. Strategy: customers are a fixed
number and event time runs fast, so that every window and the memory of event ids are full after the first
third of the time; what still rises afterwards would rise for ever. The feeding stays a bounded number of
events ahead of the worker, so that it is never without work and no topic is cut before it is read.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from aiokafka import AIOKafkaProducer

from benchmarks.measuring import read_progress
from journey_stream.broker import EmbeddedKafka
from journey_stream.broker.embedded import free_port
from journey_stream.settings import Settings, Web
from journey_stream.values import HOUR, SECOND, rfc3339
from tests.faults.memory import Memory
from tests.kafka.cluster import WorkerProcess, client, ended, topics

CUSTOMERS = 2_000
AHEAD = 60_000
"""Events sent and not yet worked on, at most."""
BURST = 2_000
WARM = 1 / 3
"""Share of the time until windows and caches are full: left out of the judgement."""
RISE = 0.05
"""Share of the mean by which a straight line may rise over the time that counts."""
STEP = 20 * SECOND
START = 1_704_067_200 * SECOND
PARTITIONS = 8
TYPES = ("page_viewed", "product_added", "page_viewed", "order_completed", "page_viewed", "order_cancelled")
SMALL = {
    "log.retention.bytes": str(32 << 20),
    "log.segment.bytes": str(8 << 20),
    "log.retention.check.interval.ms": "5000",
}


@dataclass
class Soak:
    """What came of it."""

    minutes: float
    events: int
    applied: int
    rate: float
    mean_mib: float
    peak_mib: float
    slope_mib_per_minute: float
    rise: float
    """Of the straight line over the time that counts, as a share of the mean."""
    samples: list[tuple[float, float]]
    """Seconds and MiB."""

    @property
    def flat(self) -> bool:
        return self.rise < RISE

    def line(self) -> str:
        return (
            f"{'soak':<16} {'ok' if self.flat else 'FAIL':<7} {self.minutes:.0f} min  {self.events:,} events  "
            f"{self.rate:,.0f} events/s  {CUSTOMERS:,} customers   resident {self.mean_mib:.0f} MiB on average, "
            f"{self.peak_mib:.0f} at most, {self.slope_mib_per_minute:+.2f} MiB/min, {self.rise:+.1%} over the "
            f"last {self.minutes * (1 - WARM):.0f} min"
        )


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=main.__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="journey-stream-soak-") as folder,
        EmbeddedKafka(Path(folder) / "kafka", properties=SMALL) as kafka,
    ):
        soak = asyncio.run(run(kafka, Path(folder), options.minutes))
    print(soak.line())
    if options.json is not None:
        options.json.write_text(json.dumps(asdict(soak)) + "\n")
    return 0 if soak.flat else 1


async def run(kafka: EmbeddedKafka, folder: Path, minutes: float) -> Soak:
    """Feed a worker for so long and watch its memory."""
    port = free_port()
    settings = Settings(
        bootstrap_servers=kafka.bootstrap,
        application_id="soak",
        topic_prefix="soak",
        partitions=PARTITIONS,
        source_partitions=PARTITIONS,
        clock="event",
        allowed_lateness=HOUR,
        web=Web(port=port),
    )
    names = await topics(settings)
    worker = WorkerProcess(settings, folder, module="journey_stream")
    memory = Memory()
    with ended([worker]):
        watching = asyncio.create_task(memory.watch(lambda: [worker.process.pid], every=2))
        try:
            events, applied, seconds = await feed(settings, names.sources, worker, port, minutes * 60)
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
        assert worker.terminate(60) == 0, worker.text()[-3000:]
    counted = memory.between(WARM, 1)
    rise = counted.slope * minutes * (1 - WARM) / counted.mean
    began = memory.samples[0][0]
    samples = [(round(at - began, 1), round(held / 2**20, 1)) for at, held in memory.samples[::5]]
    return Soak(
        minutes,
        events,
        applied,
        applied / seconds,
        counted.mean,
        counted.peak,
        counted.slope,
        rise,
        samples,
    )


async def feed(
    settings: Settings, sources: tuple[str, ...], worker: WorkerProcess, port: int, seconds: float
) -> tuple[int, int, float]:
    """Keep the worker busy; gives events sent, events worked on, and the seconds between first and last."""
    producer = AIOKafkaProducer(
        **client(settings), enable_idempotence=True, linger_ms=10, max_batch_size=256 * 1024
    )
    await producer.start()
    sent = applied = 0
    began = last = 0.0
    events = endless()
    try:
        # The time counts from the first event that is worked on.
        while not began or time.monotonic() < began + seconds:
            assert worker.process.poll() is None, f"the worker ended:\n{worker.text()[-3000:]}"
            progress = await asyncio.to_thread(read_progress, port, worker.process.pid)
            if progress is not None and progress[0] > applied:
                applied, last = progress[0], time.monotonic()
                began = began or last
            if sent - applied >= AHEAD:
                await asyncio.sleep(0.2)
                continue
            futures = []
            for _ in range(BURST):
                number, value = next(events)
                topic, partition = sources[number % 4], number // 4 % PARTITIONS
                futures.append(await producer.send(topic, value, partition=partition))
            await asyncio.gather(*futures)
            sent += BURST
    finally:
        await producer.stop()
    return sent, applied, last - began


def endless() -> Iterator[tuple[int, bytes]]:
    """Events without end, of customers in turn; each order is one of a few, so that no state grows for ever."""
    number = 0
    while True:
        kind, order = TYPES[number % 6], number // 6 % 20
        yield (
            number,
            (
                f'{{"event_id":"e{number}","type":"{kind}","occurred_at":"{rfc3339(START + number * STEP)}",'
                f'"customer_id":"c{number * 7919 % CUSTOMERS}","properties":{{"order_id":"o{order}","total":12.5}}}}'
            ).encode(),
        )
        number += 1


if __name__ == "__main__":
    sys.exit(main())
