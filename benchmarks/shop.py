"""`make bench BENCH=shop`: plain Faust and the worker on the events of the simulated shop.

Enters: options (`--help`). Leaves: a table with the median of each figure and the ratios, and a JSON file.
Strategy: one embedded Kafka, topics filled once; then plain Faust (`peers/plain_faust.py`: one model, no
guarantees) and the worker (five models, through the hop, exactly once) take turns. Each is a process of its
own that finds all events waiting; what counts is the time between 5 % and 95 % of the events, so that
nobody's start or end counts. A figure counts only when the output was right: the worker's net records must
equal a replay's, plain Faust must publish as many changes as the events say.
The shop of the bench is mostly looked at, as shops are: `--browsing 0` leaves only what matters to journeys,
which makes about one record out per event.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer

from benchmarks.measuring import (
    Figure,
    between,
    command,
    count,
    create_topics,
    kafka_in,
    read_all,
    read_progress,
    say,
)
from benchmarks.peers.programs import Place, faust_command, ran
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

PARTITIONS = 8


def main(arguments: list[str]) -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks shop", description=__doc__.splitlines()[0])
    parser.add_argument("--customers", type=int, default=800)
    parser.add_argument("--days", type=int, default=200)
    parser.add_argument(
        "--browsing", type=float, default=25, help="pages a session looks at besides, on average"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("bench-result.json"))
    options = parser.parse_args(arguments)
    say(f"simulating {options.customers} customers over {options.days} days")
    shop = ShopOptions(
        seed=7, customers=options.customers, days=options.days, browsing=options.browsing, cast=False
    )
    records = list(simulate(shop))
    until = shop.start + (shop.days + 200) * DAY
    with (
        tempfile.TemporaryDirectory(prefix="journey-stream-bench-") as folder,
        kafka_in(Path(folder) / "kafka") as kafka,
    ):
        figures = asyncio.run(measure(kafka, records, until, options.repeats, Path(folder)))
    report(figures, Counter(record_type(record) for record in records), options.out)
    return 0


def record_type(record: ShopRecord) -> str:
    """Name the type of a simulated event."""
    return str(msgspec.json.decode(record.value or b"{}").get("type"))


async def measure(
    kafka: EmbeddedKafka, records: list[ShopRecord], until: int, repeats: int, folder: Path
) -> dict[str, list[Figure]]:
    """Fill the topics, compute the oracle, let both run in turns."""
    say(f"{len(records)} events; filling the topics")
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
    names = TopicNames.of(settings)
    topics = dict(zip(settings.sources, names.sources, strict=True))
    await feed(records, topics, {"bootstrap_servers": kafka.bootstrap})
    changes = await fill_one(kafka, records)
    say("computing what has to come out")
    expected = oracle(settings, records, until)
    figures: dict[str, list[Figure]] = defaultdict(list)
    for turn in range(1, repeats + 1):
        figure = await run_plain(kafka, len(records), changes, turn, folder)
        figures["plain Faust, one model"].append(figure)
        say(f"turn {turn}: plain Faust {figure.rate:,.0f} events/s, {figure.cpu:.1f} µs CPU/event")
        figure = await run_worker(settings, len(records), expected, turn)
        figures["worker, five models"].append(figure)
        say(f"turn {turn}: worker {figure.rate:,.0f} events/s, {figure.cpu:.1f} µs CPU/event")
    return figures


async def fill_one(kafka: EmbeddedKafka, records: list[ShopRecord]) -> int:
    """Send all events, keyed by person, to the one topic that plain Faust reads; count the changes due."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, linger_ms=20, max_batch_size=256 * 1024)
    await producer.start()
    partitioner = Partitioner(PARTITIONS)
    await create_topics(kafka.bootstrap, ["bench.all"], PARTITIONS)
    changes, orders = 0, defaultdict(int)
    sends = []
    for record in records:
        event = msgspec.json.decode(record.value or b"{}")
        person = event.get("customer_id") or event.get("anonymous_id") or ""
        if event.get("type") == "order_completed":
            orders[person] += 1
            changes += orders[person] <= 2
        key = person.encode()
        sends.append(await producer.send("bench.all", record.value, key, partition=partitioner(key)))
    await asyncio.gather(*sends)
    await producer.stop()
    return changes


def oracle(settings: Settings, records: list[ShopRecord], until: int) -> set[str]:
    """Replay the same events: the ids that must come out of the worker."""
    deployment = assemble(settings)
    sources: dict[str, list[bytes]] = defaultdict(list)
    for record in records:
        sources[record.source].append(record.value or b"")
    outcome = replay(
        deployment.program, list(sources.values()), deployment.decoder, settings.allowed_lateness, until
    )
    return {identity(r) for r in outcome.records}


def identity(record: Any) -> str:
    """The id of a transition or signal (a cancelled signal is another record than the raised one)."""
    if hasattr(record, "transition_id"):
        return str(record.transition_id)
    return f"{record.signal_id}-{record.status}"


async def run_plain(kafka: EmbeddedKafka, events: int, changes: int, turn: int, folder: Path) -> Figure:
    """Let plain Faust work through its topic, check its count of changes."""
    group = f"bench-plain-{turn}"
    await create_topics(kafka.bootstrap, [group + "-changes"], PARTITIONS)
    place = Place(kafka.bootstrap, "bench.all", "keyed", group, events, PARTITIONS, folder / group)
    async with ran(faust_command(folder), place) as figure:
        published = 0
        for _ in range(60):
            published = await count(kafka.bootstrap, group + "-changes")
            if published >= changes:
                break
            await asyncio.sleep(1)
    if published != changes:
        raise SystemExit(
            f"plain Faust published {published} changes, {changes} are due: its figure cannot count"
        )
    return figure


async def run_worker(
    settings: Settings, events: int, expected: set[str], turn: int | str, module: str = "journey_stream"
) -> Figure:
    """Let the worker do the whole job, check its net records; `module` is the command line to run."""
    port = free_port()
    application = f"bench-{turn}"
    command("reset", *flags(settings, settings.application_id), "--yes")
    await asyncio.sleep(2)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", module, "worker", *flags(settings, application, port)),
            *("--clock", "event", "--until", rfc3339(settings.until or 0), "--exit-when-done"),
        ],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        samples: list[tuple[int, float, float]] = []
        async with asyncio.timeout(900):
            while process.poll() is None:
                sample = await asyncio.to_thread(read_progress, port, process.pid)
                if sample:
                    samples.append(sample)
                await asyncio.sleep(0.2)
        if process.returncode:
            raise SystemExit(f"the worker ended with exit code {process.returncode}")
    finally:
        process.kill()
        process.wait()
    names = TopicNames.of(settings)
    found = [*await ids_of(settings, names.transitions), *await ids_of(settings, names.signals)]
    if len(found) != len(set(found)) or set(found) != expected:
        lost, wrong = len(expected - set(found)), len(set(found) - expected)
        raise SystemExit(
            f"the worker's records are not those of the replay: {lost} lost, {wrong} unexpected, "
            f"{len(found) - len(set(found))} twice: its figure cannot count"
        )
    return between(samples, events)


async def ids_of(settings: Settings, topic: str) -> list[str]:
    """Read the ids of a topic as a `read_committed` reader sees them."""
    ids = []
    async for value in read_all(settings.bootstrap_servers, topic):
        record = msgspec.json.decode(value)
        ids.append(record.get("transition_id") or f"{record['signal_id']}-{record['status']}")
    return ids


def flags(settings: Settings, application: str, port: int = 0) -> list[str]:
    """The options that every verb takes."""
    own = {
        "partitions": settings.partitions,
        "source_partitions": settings.source_partitions,
        "web.port": port,
        "idle_after": "1s",
        "log_level": "warning",
    }
    words = ["--bootstrap-servers", settings.bootstrap_servers, "--application-id", application]
    words += ["--topic-prefix", settings.topic_prefix]
    return words + [word for key, value in own.items() for word in ("--set", f"{key}={value}")]


def report(figures: dict[str, list[Figure]], types: Counter[str], out: Path) -> None:
    """Print medians, spreads and the ratios; write them for machines."""
    rows = {
        name: {
            "events_per_second": statistics.median(f.rate for f in runs),
            "events_per_second_spread": [min(f.rate for f in runs), max(f.rate for f in runs)],
            "cpu_us_per_event": statistics.median(f.cpu for f in runs),
        }
        for name, runs in figures.items()
    }
    plain, worker = list(rows.values())
    ratios = {
        "events_per_second": worker["events_per_second"] / plain["events_per_second"],
        "cpu_per_event": plain["cpu_us_per_event"] / worker["cpu_us_per_event"],
    }
    events = types.total()
    print(f"\n{events:,} events, {PARTITIONS} partitions, {os.cpu_count()} cores for all, the broker too")
    print(", ".join(f"{name} {count / events:.0%}" for name, count in types.most_common(6)) + "\n")
    print(f"{'':26}{'events/s':>12}{'min … max':>22}{'CPU µs/event':>16}")
    for name, row in rows.items():
        low, high = row["events_per_second_spread"]
        print(f"{name:26}{row['events_per_second']:>12,.0f}{f'{low:,.0f} … {high:,.0f}':>22}"
              f"{row['cpu_us_per_event']:>16.1f}")  # fmt: skip
    print(f"\nworker / plain Faust: {ratios['events_per_second']:.1f} x events/s, "
          f"{ratios['cpu_per_event']:.1f} x less CPU per event")  # fmt: skip
    out.write_text(
        json.dumps({"events": events, "types": types, "figures": rows, "ratios": ratios}, indent=2) + "\n"
    )
