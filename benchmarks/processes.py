"""`python -m benchmarks.processes`: what a second process costs and gives, with a broker and without one.

Enters: options (`--help`). Leaves: two lines with ratios, and a JSON file on demand. Strategy: the same
backlog on one embedded Kafka is worked off by one worker process and by two (`--processes 2`), in turns; what
counts is CPU per event, summed over all processes, between 5 % and 95 % of the events, and only if the net
records are those of a replay. Throughput is told but says little where broker and processes share few cores.
Then the core alone (decode, order, journeys) over the same events from memory, in one process and in two at
the same time, each with its own half of the customers' events: there the throughput of both counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.measuring import Figure, between, command, kafka_in, say
from benchmarks.shop import PARTITIONS, flags, ids_of, oracle
from journey_stream.broker import EmbeddedKafka
from journey_stream.broker.embedded import free_port
from journey_stream.deployment import assemble
from journey_stream.kafka.hop import Partitioner
from journey_stream.replay import replay
from journey_stream.settings import Settings, TopicNames
from journey_stream.shop.feed import feed
from journey_stream.shop.records import ShopOptions, ShopRecord
from journey_stream.shop.simulate import simulate
from journey_stream.values import DAY, rfc3339

CPU_TARGET, CORE_TARGET = 1.15, 1.7
_APPLIED = re.compile(
    r"journey_stream_engine_outcomes_total"
    r'\{([^}]*outcome="(?:applied|duplicate|unknown_person)"[^}]*)\} (\S+)'
)


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.processes", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--customers", type=int, default=5_000)
    parser.add_argument("--days", type=int, default=200)
    parser.add_argument("--browsing", type=float, default=25, help="pages a session looks at besides")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--without-broker", action="store_true", help="the core alone")
    parser.add_argument("--out", type=Path, help="a JSON file")
    options = parser.parse_args()
    shop = ShopOptions(
        seed=7, customers=options.customers, days=options.days, browsing=options.browsing, cast=False
    )
    records = list(simulate(shop))
    until = shop.start + (shop.days + 200) * DAY
    found: dict[str, Any] = {"events": len(records), "cores": os.cpu_count()}
    core, core_cpu = core_rates(records, until, options.repeats)
    found["core"], found["core_cpu"] = core, core_cpu
    gain = ratio(core, "2", "1")
    print(
        f"core alone, {len(records):,} events: {median(core['1']):,.0f} events/s in one process, "
        f"{median(core['2']):,.0f} in two: x {gain:.2f}   target at least {CORE_TARGET}   "
        f"(CPU per event x {ratio(core_cpu, '2', '1'):.2f}: where cores are not free, the gain cannot show)"
    )
    if not options.without_broker:
        with (
            tempfile.TemporaryDirectory(prefix="journey-stream-bench-") as folder,
            kafka_in(Path(folder) / "kafka") as kafka,
        ):
            figures = asyncio.run(measure(kafka, records, until, options.repeats))
        found["worker"] = {n: msgspec.to_builtins(each) for n, each in figures.items()}
        cpu = {n: [figure.cpu for figure in each] for n, each in figures.items()}
        rate = {n: [figure.rate for figure in each] for n, each in figures.items()}
        print(
            f"worker on Kafka, {len(records):,} events: {median(cpu['1']):.0f} µs CPU/event in one process, "
            f"{median(cpu['2']):.0f} in two: x {ratio(cpu, '2', '1'):.2f}   target at most {CPU_TARGET}   "
            f"({median(rate['1']):,.0f} and {median(rate['2']):,.0f} events/s, with the broker on the same "
            f"{os.cpu_count()} cores)"
        )
    if options.out:
        options.out.write_text(json.dumps(found, indent=1))
    return 0


def median(values: list[float]) -> float:
    return statistics.median(values)


def ratio(values: dict[str, list[float]], one: str, other: str) -> float:
    return median(values[one]) / median(values[other])


# -- the core alone ------------------------------------------------------------------------------------------


def core_rates(
    records: list[ShopRecord], until: int, repeats: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Events per second, and CPU seconds per event, of one process with one half and of two with both."""
    halves = [halved(records, part) for part in range(2)]
    rates: dict[str, list[float]] = {"1": [], "2": []}
    cpu: dict[str, list[float]] = {"1": [], "2": []}
    for _ in range(repeats):
        for count in (1, 2):
            rate, seconds = core_rate(halves[:count], until)
            rates[str(count)].append(rate)
            cpu[str(count)].append(seconds)
    return rates, cpu


def halved(records: list[ShopRecord], part: int) -> list[list[bytes]]:
    """Every source's events of half of the persons, in order."""
    partitioner = Partitioner(2)
    sources: dict[str, list[bytes]] = defaultdict(list)
    for record in records:
        event = msgspec.json.decode(record.value or b"{}")
        person = event.get("customer_id") or event.get("anonymous_id") or ""
        if partitioner(person.encode()) == part:
            sources[record.source].append(record.value or b"")
    return list(sources.values())


def core_rate(halves: list[list[list[bytes]]], until: int) -> tuple[float, float]:
    """Start one process a half, let all begin together; events per second of the slowest, CPU per event."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(len(halves)), context.Queue()
    started = [
        context.Process(target=run_core, args=(sources, until, barrier, results)) for sources in halves
    ]
    for process in started:
        process.start()
    taken = [results.get(timeout=600) for _ in started]
    for process in started:
        process.join()
    events = sum(len(each) for sources in halves for each in sources)
    return events / max(wall for wall, _ in taken), sum(cpu for _, cpu in taken) / events


def run_core(sources: list[list[bytes]], until: int, barrier: Any, results: Any) -> None:
    """Run events through the five models, from bytes to records; tells the seconds."""
    deployment = assemble(Settings())
    barrier.wait()
    began, cpu = time.perf_counter(), time.process_time()
    replay(deployment.program, sources, deployment.decoder, deployment.settings.allowed_lateness, until)
    results.put((time.perf_counter() - began, time.process_time() - cpu))


# -- on Kafka ------------------------------------------------------------------------------------------------


async def measure(
    kafka: EmbeddedKafka, records: list[ShopRecord], until: int, repeats: int
) -> dict[str, list[Figure]]:
    """Fill the topics once, let one process and two take turns."""
    settings = Settings(
        bootstrap_servers=kafka.bootstrap,
        topic_prefix="bench",
        application_id="bench",
        partitions=PARTITIONS,
        source_partitions=PARTITIONS,
        clock="event",
        until=until,
    )
    command("topics", "--create", *flags(settings, "bench"))
    topics = dict(zip(settings.sources, TopicNames.of(settings).sources, strict=True))
    await feed(records, topics, {"bootstrap_servers": kafka.bootstrap})
    expected = oracle(settings, records, until)
    figures: dict[str, list[Figure]] = {"1": [], "2": []}
    for turn in range(repeats):
        for count in (1, 2) if turn % 2 == 0 else (2, 1):
            figure = await work_off(settings, len(records), expected, turn, count)
            figures[str(count)].append(figure)
            say(f"turn {turn + 1}: {count} processes {figure.cpu:.1f} µs/event, {figure.rate:,.0f} events/s")
    return figures


async def work_off(settings: Settings, events: int, expected: set[str], turn: int, count: int) -> Figure:
    """Let so many processes do the whole job, check the net records, give what all of them took."""
    port = free_port()
    command("reset", *flags(settings, settings.application_id), "--yes")
    await asyncio.sleep(2)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "journey_stream", "worker"),
            *flags(settings, f"bench-{count}-{turn}", port),
            *("--clock", "event", "--until", rfc3339(settings.until or 0), "--exit-when-done"),
            *("--processes", str(count)),
        ],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    samples: list[tuple[int, float, float]] = []
    progress = Progress(port, process.pid)
    try:
        async with asyncio.timeout(900):
            while process.poll() is None:
                sample = await asyncio.to_thread(progress.read)
                if sample:
                    samples.append(sample)
                await asyncio.sleep(0.2)
        if process.returncode:
            raise SystemExit(f"{count} processes ended with exit code {process.returncode}")
    finally:
        process.kill()
        process.wait()
    names = TopicNames.of(settings)
    found = [*await ids_of(settings, names.transitions), *await ids_of(settings, names.signals)]
    if len(found) != len(set(found)) or set(found) != expected:
        raise SystemExit(f"the records of {count} processes are not those of the replay: no figure")
    return between(samples, events)


class Progress:
    """How many events are done and what it took; a process that has ended counts with what it had."""

    def __init__(self, port: int, pid: int) -> None:
        self._port, self._pid = port, pid
        self._ticks: dict[str, int] = {}
        self._done: dict[str, float] = {}

    def read(self) -> tuple[int, float, float] | None:
        """Events done, the time, and the CPU seconds of a process and its children."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=5) as page:
                text = page.read().decode()
            children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split()
            self._ticks |= {each: ticks_of(each) for each in (str(self._pid), *children)}
        except OSError:
            return None
        done: dict[str, float] = defaultdict(float)
        for labels, value in _APPLIED.findall(text):
            process = re.search(r'process="(\d+)"', labels)
            done[process[1] if process else ""] += float(value)
        self._done |= done
        seconds = sum(self._ticks.values()) / os.sysconf("SC_CLK_TCK")
        return int(sum(self._done.values())), time.perf_counter(), seconds


def ticks_of(pid: str) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


if __name__ == "__main__":
    sys.exit(main())
