"""`python -m benchmarks.timers`: a million pending timers in one partition, 2,000 due a second, and a burst.

Enters: options (`--help`). Leaves: lateness of timers, events a second before and during a burst, memory.
Strategy: the lane itself, with its limits, its clock and its checkpoints, but with nobody at the other end:
a writer that takes every transaction after `--commit` milliseconds, and an inbox that is filled with events
as fast as they are taken. Time is the wall's. First timers come due at a steady rate; then half of all come
due at one moment. Lateness is told twice: past the clock (what the worker's metric says) and past the due
time itself, until the transaction begins, which also counts how late the markers moved the clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
from faust.types import TP

from benchmarks.measuring import say
from journey_stream.encode import Encoder
from journey_stream.engine.partition import Partition
from journey_stream.engine.program import compile_program
from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import load
from journey_stream.kafka import hop, lane, restoring
from journey_stream.kafka.aside import Aside
from journey_stream.kafka.inbox import Batch, Position
from journey_stream.kafka.keyed import KeyedPartition
from journey_stream.kafka.keyed_values import Options
from journey_stream.kafka.lane import JourneyLane, LaneOptions
from journey_stream.kafka.metrics import Metrics
from journey_stream.kafka.pace import Limits
from journey_stream.settings import Settings, TopicNames
from journey_stream.values import DAY, HOUR, NEVER, SECOND, Event, Transition, rfc3339

JOURNEY = """\
journey: visits
version: 1
start: there
stages: {there: {kind: retention}, gone: {kind: attrition}}
transitions:
  - {id: silent, from: there, to: gone, after: 1h, since: activity, reason: silence}
  - {id: back, from: gone, to: there, event: activity}
"""
SOURCE = hop.pack_source("bench.visits", 0)
MARKER_SECONDS = 0.25
QUEUED = 2_000
READY_SECONDS = 3
"""From the end of the loading to the first due timer."""
BEGAN = 1_767_225_600 * SECOND
"""When the first timer is due, on the clock of the bench."""


class Record(msgspec.Struct):
    """What a lane uses of a consumed record."""

    offset: int
    value: bytes
    headers: Sequence[tuple[str, bytes]]
    topic: str = "bench.events"
    partition: int = 0
    timestamp: int = 0
    key: bytes | None = None


class Nobody:
    """Takes transactions and keeps none; notes when what was decided came this far."""

    seconds = 0.0
    changelog_end = 0
    waited_for = ""
    bytes_out = 0

    def __init__(self, *_: Any, **__: Any) -> None: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def alike(self, topics: Any) -> bool:
        """Take records one by one: what is published is noted as it is encoded."""
        return False

    async def commit(self, *_: Any) -> None:
        """Be about as slow as brokers are."""
        await asyncio.sleep(Nobody.seconds)


class NotedEncoder(Encoder):
    """Notes for each timer how long after its due time it was about to be published."""

    def __init__(self, names: TopicNames) -> None:
        super().__init__(names)
        self.late: list[tuple[int, int]] = []
        """(due, microseconds late), in the order of publication."""

    def encode_all(self, record: Any) -> Any:
        """Encode, and note."""
        if type(record) is Transition and record.trigger == "timer":
            self.late.append((record.occurred_at, now() - record.occurred_at))
        return super().encode_all(record)


class Bench:
    """The worker around the lane, and whoever sends events."""

    def __init__(self, logic: KeyedPartition, customers: int) -> None:
        self.logic, self.customers = logic, customers
        self.lane: JourneyLane | None = None
        self.aside = Aside()
        self.fired: list[tuple[int, int]] = []
        self._offset = 0
        self._random = random.Random(1)

    # What a lane asks of its worker.

    def make_partition(self, partition: int, engine: Any = None) -> KeyedPartition:
        return self.logic

    def take_standby(self, partition: int) -> None:
        return None

    async def seek(self, tp: TP, offset: int | None) -> Position:
        return Position(1, offset or 0)

    async def committed(self, tp: TP) -> None:
        return None

    async def bounds(self, tp: TP) -> tuple[int, int]:
        return 0, 0

    def hold(self, tp: TP, why: str) -> None: ...

    def release(self, tp: TP, why: str) -> None: ...

    def failed(self, lane: str, where: str, error: BaseException) -> None:
        raise error

    def now(self) -> int:
        return now()

    # Whoever sends.

    def put(self, rows: list[tuple[bytes, bytes]]) -> None:
        """Hand (header, value) to the lane as one batch."""
        assert self.lane is not None
        start, at = self._offset, now() // 1000
        records: list[Any] = [
            Record(start + n, value, [(hop.HEADER, header)], timestamp=at)
            for n, (header, value) in enumerate(rows)
        ]
        self._offset += len(records)
        self.lane.inbox.put(Batch(records, 1, start))

    async def mark(self) -> None:
        """Tell for ever that the source is read to its end."""
        while True:
            told = hop.pack_marker([hop.Progress(SOURCE, now(), True, now(), self._offset)])
            self.put([(hop.MARKER_BYTES, told)])
            await asyncio.sleep(MARKER_SECONDS)

    async def send(self, rate: int) -> None:
        """Send events for ever at a rate, or as fast as they are taken (0), for customers of their own."""
        assert self.lane is not None
        header, began, done = hop.packer(SOURCE), time.perf_counter(), 0
        while True:
            wanted = int((time.perf_counter() - began) * rate) - done if rate else 500
            if wanted > 0 and (self.lane.inbox.queued < QUEUED or rate):
                at = now()
                self.put(
                    [
                        (
                            header(hop.EVENT, (done + n) * 2, at),
                            visit(f"s{self._random.randrange(self.customers)}", at, f"s{done + n}"),
                        )
                        for n in range(wanted)
                    ]
                )
                done += wanted
            await asyncio.sleep(0.002)


class Clock:
    """The wall clock, put back or forward so that the first timer is due soon after the loading."""

    offset = 0


def now() -> int:
    """The clock of the bench, microseconds."""
    return time.monotonic_ns() // 1000 + Clock.offset


def visit(person: str, at: int, event_id: str) -> bytes:
    """A page view."""
    return (
        f'{{"event_id":"{event_id}","type":"page_viewed","occurred_at":"{rfc3339(at)}",'
        f'"customer_id":"{person}","properties":{{}}}}'
    ).encode()


def loaded(pending: int, rate: int, burst: int) -> Partition:
    """Customers with a timer each: one share due at a steady rate, half of all due at one moment."""
    program = compile_program(load([("visits.yaml", JOURNEY)], BUILT_IN).usable(), BUILT_IN)
    partition, decoder = Partition(program), Decoder(BUILT_IN)
    for number in range(pending):
        if number % 2:
            due = burst
        else:
            due = BEGAN + number // 2 * SECOND // rate
            due += 30 * DAY if due >= burst - SECOND else 0
        event = decoder.decode(visit(f"c{number}", due - HOUR, f"c{number}"), NEVER - 1)
        assert isinstance(event, Event)
        partition.apply(event, event.at)
        if number % 10_000 == 9_999:
            partition.drain()
            if number % 250_000 == 249_999:
                say(f"{number + 1:,} timers pending")
    partition.drain()
    return partition


def applied(bench: Bench) -> int:
    """How many events the lane has applied."""
    outcomes = bench.lane._metrics.engine_counts  # type: ignore[union-attr]
    return int(outcomes.labels("applied")._value.get())


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Load, run, tell."""
    burst = BEGAN + options.seconds * SECOND
    logic = KeyedPartition(
        loaded(options.pending, options.rate, burst),
        Decoder(BUILT_IN),
        [SOURCE],
        Options(
            mode="wall",
            until=NEVER,
            allowed_lateness=HOUR,
            dedup_window=7 * DAY,
            catch_up=10 * SECOND,
            application="bench",
        ),
    )
    memory = resident()
    Clock.offset += BEGAN - READY_SECONDS * SECOND - now()
    names, Nobody.seconds = TopicNames.of(Settings()), options.commit / 1000
    encoder, metrics = NotedEncoder(names), Metrics()
    bench = Bench(logic, 20_000)
    lane_options = LaneOptions(
        client={},
        application_id="bench",
        changelog=names.changelog,
        partitions=1,
        public_compression="none",
        internal_compression="none",
        limits=Limits(shortest=0.02, longest=0.25, records=10_000, size=16 << 20),
    )
    count = metrics.count_engine

    def count_and_keep(counted: Any) -> None:
        bench.fired += counted.fired
        count(counted)

    metrics.count_engine = count_and_keep  # type: ignore[method-assign]
    bench.lane = JourneyLane(bench, TP("bench.events", 0), lane_options, encoder, metrics)
    result: dict[str, Any] = {"timers pending": logic.engine.timers_pending, "resident MiB": memory}
    with patch.object(lane, "Writer", Nobody), patch.object(restoring, "read_changelog", nothing_to_read):
        bench.lane.assigned()
        await asyncio.sleep(0.1)
        tasks = [asyncio.create_task(bench.mark()), asyncio.create_task(bench.send(options.events))]
        await until(BEGAN + SECOND)
        encoder.late.clear(), bench.fired.clear()
        before = applied(bench), time.perf_counter()
        await until(burst - SECOND)
        result["events/s before"] = (applied(bench) - before[0]) / (time.perf_counter() - before[1])
        steady = list(encoder.late)
        result["timers/s"] = len(steady) / (options.seconds - 2)
        result |= {f"past the clock {k}": v for k, v in weighed(bench.fired).items()}
        result |= {f"past the due time {k}": v for k, v in spread([late for _, late in steady]).items()}
        await until(burst)
        encoder.late.clear(), bench.fired.clear()
        before, total = (applied(bench), time.perf_counter()), options.pending // 2
        spent = time.process_time()
        while len(encoder.late) < total:
            await asyncio.sleep(0.05)
        seconds = time.perf_counter() - before[1]
        result["burst of"] = total
        result["burst drained in s"] = seconds
        result["burst timers/s"] = total / seconds
        result["burst CPU us a timer"] = (time.process_time() - spent) / total * 1e6
        result["events/s during"] = (applied(bench) - before[0]) / seconds
        dues = [due for due, _ in encoder.late]
        result["burst in due order"] = dues == sorted(dues)
        result["resident MiB at most"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        for task in tasks:
            task.cancel()
        await bench.lane.close()
        bench.aside.stop()
    return result


async def nothing_to_read(*_: Any) -> None:
    """The changelog of a partition that is new."""


async def until(at: int) -> None:
    """Wait for a wall time."""
    await asyncio.sleep(max(0, at - now()) / SECOND)


def spread(late: list[int]) -> dict[str, float]:
    """Median, 99th percentile and maximum in milliseconds."""
    ordered = sorted(late)
    return {
        "p50 ms": ordered[len(ordered) // 2] / 1000,
        "p99 ms": ordered[len(ordered) * 99 // 100] / 1000,
        "max ms": ordered[-1] / 1000,
    }


def weighed(fired: list[tuple[int, int]]) -> dict[str, float]:
    """The same of (lateness of the earliest, how many): as if all of them were as late as the earliest."""
    return spread([behind for behind, count in fired for _ in range(count)])


def resident() -> float:
    """MiB of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.timers", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--pending", type=int, default=1_000_000, help="timers; half of them due in the burst"
    )
    parser.add_argument("--rate", type=int, default=2_000, help="timers due a second before the burst")
    parser.add_argument("--seconds", type=int, default=30, help="how long before the burst")
    parser.add_argument(
        "--events", type=int, default=0, help="events a second beside; 0 = as many as are taken"
    )
    parser.add_argument("--commit", type=float, default=10, help="milliseconds that a transaction takes")
    parser.add_argument("--out", type=Path, default=Path("timers-result.json"))
    options = parser.parse_args()
    result = asyncio.run(measure(options))
    for what, figure in result.items():
        shown = figure if isinstance(figure, bool) else f"{figure:,.1f}"
        print(f"{what:30}{shown!s:>14}")
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
