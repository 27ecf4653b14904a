"""`python -m benchmarks.population`: what a whole worker does with a million customers and with ten thousand.

Enters: options (`--help`). Leaves: events a second and CPU per event of both, and their ratio. Strategy:
states of the simulated shop, under keys of their own, stand in the changelog of a worker that has not run
yet; it takes them over and works off page views, 2,000 a second of the events' own time, of customers drawn
uniformly or by Zipf (exponent 1): the five models, keyed input, four partitions, everything else as it is by
default, and one Kafka on the same machine. Both populations take turns. `benchmarks.scale` has the same
without a worker and a broker around it.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measuring import (
    LAST,
    Figure,
    Sample,
    command,
    create_topics,
    fill,
    from_read_to_done,
    kafka_in,
    say,
    watched,
)
from benchmarks.scale import BEGAN, later, name, past, uniform, visit, zipf
from journey_stream.broker.embedded import free_port
from journey_stream.deployment import assemble
from journey_stream.engine.store import LAYOUT_KEY
from journey_stream.kafka.checkpoint import Writer
from journey_stream.kafka.hop import Partitioner
from journey_stream.settings import Settings, TopicNames
from journey_stream.values import SECOND, rfc3339

PREFIX = "bench"
PARTITIONS = 4
STEP = SECOND // 2_000
"""Between two events."""
AT_ONCE = 5_000
"""States of one transaction."""
DRAWS = {"uniform": uniform, "zipf": zipf}
LEAST = {"uniform": 0.6, "zipf": 0.8}


def main() -> int:
    """Measure and print; 1 when a ratio is below what it has to be at least."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="journey-stream-bench-") as folder,
        kafka_in(Path(folder) / "kafka") as kafka,
    ):
        figures = asyncio.run(measure(kafka.bootstrap, chosen, Path(folder)))
    good = True
    for draw, least in LEAST.items():
        many, few = figures[draw, chosen.many], figures[draw, chosen.few]
        ratio = rate(many) / rate(few)
        turns = sorted(one.rate / other.rate for one, other in zip(many, few, strict=True))
        good = good and ratio >= least
        print(
            f"{draw}: {rate(many):,.0f} events/s ({cpu(many):.1f} µs of CPU each) with {chosen.many:,} "
            f"customers, {rate(few):,.0f} ({cpu(few):.1f} µs) with {chosen.few:,}: {ratio:.2f} "
            f"({turns[0]:.2f} to {turns[-1]:.2f} in single turns, at least {least})"
        )
    return 0 if good else 1


def rate(figures: list[Figure]) -> float:
    return statistics.median(one.rate for one in figures)


def cpu(figures: list[Figure]) -> float:
    return statistics.median(one.cpu for one in figures)


async def measure(bootstrap: str, chosen: Any, folder: Path) -> dict[tuple[str, int], list[Figure]]:
    """Fill the topics, let the worker run with either population in turns; figures by draw and population."""
    states = past()
    sides = [(draw, count) for draw in DRAWS for count in (chosen.many, chosen.few)]
    for draw, count in sides:
        topic = f"{PREFIX}.{source(draw, count)}"
        say(f"filling {topic}")
        await create_topics(bootstrap, [topic], PARTITIONS)
        await asyncio.sleep(1)
        await fill(bootstrap, topic, views(draw, count, chosen.events))
    found: defaultdict[tuple[str, int], list[Figure]] = defaultdict(list)
    await run(bootstrap, "warm", *sides[-1], chosen.events, states, folder)  # Java compiles the broker
    for turn in range(chosen.repeats):
        for draw, count in sides if turn % 2 == 0 else reversed(sides):
            figure = await run(bootstrap, f"turn{turn}", draw, count, chosen.events, states, folder)
            say(f"{draw}, {count:,} customers: {figure.rate:,.0f} events/s, {figure.cpu:.1f} µs of CPU each")
            found[draw, count].append(figure)
    return found


def source(draw: str, count: int) -> str:
    return f"{draw}-{count}"


def views(draw: str, count: int, events: int) -> Iterator[tuple[int, bytes, bytes]]:
    """Page views by partition and key, in the order of their time."""
    place = Partitioner(PARTITIONS)
    for number, who in enumerate(itertools.islice(DRAWS[draw](count), events)):
        person = name(who)
        key = person.encode()
        yield place(key), key, visit(person, BEGAN + number * STEP, number)


async def run(
    bootstrap: str, turn: str, draw: str, count: int, events: int, states: list[bytes], folder: Path
) -> Figure:
    """Let a worker take over so many customers and work off all events."""
    port = free_port()
    settings: dict[str, Any] = {
        "bootstrap_servers": bootstrap,
        "application_id": f"{turn}-{draw}-{count}",
        "topic_prefix": PREFIX,
        "sources": [source(draw, count)],
        "partitions": PARTITIONS,
        "source_partitions": PARTITIONS,
        "keyed_input": "murmur2",
        "clock": "event",
        "until": rfc3339(BEGAN + events * STEP),
        "idle_after": "1s",
        "log_level": "warning",
    }
    file = folder / f"{settings['application_id']}.yaml"
    file.write_text(json.dumps({**settings, "web": {"port": port}}))
    try:
        command("topics", "--create", "--config", str(file))
        await populate(bootstrap, settings, count, states)
        samples = await worked(file, port, 120 + (events + count) / 2_000)
    finally:
        command("reset", "--config", str(file), "--yes")
    if samples[-1].done < LAST * events:
        raise SystemExit(
            f"{file.stem}: {samples[-1].done} of {events} events were seen done; take more of them"
        )
    return from_read_to_done(samples, events)


async def populate(bootstrap: str, settings: dict[str, Any], count: int, states: list[bytes]) -> None:
    """Write the states of so many customers to the changelog, as a worker would.

    Without a checkpoint behind them: whoever takes over begins at the beginning of the topics.
    """
    known = Settings(
        bootstrap_servers=bootstrap,
        application_id=settings["application_id"],
        topic_prefix=PREFIX,
        partitions=PARTITIONS,
    )
    program, topic = assemble(known).program, TopicNames.of(known).changelog
    layout = ((LAYOUT_KEY + program.fingerprint.hex()).encode(), program.layout_bytes)
    rows: list[list[tuple[bytes, bytes]]] = [[layout] for _ in range(PARTITIONS)]
    place = Partitioner(PARTITIONS)
    for number in range(count):
        key = name(number).encode()
        rows[place(key)].append((key, later(states[number % len(states)], number)))
    for partition, those in enumerate(rows):
        writer = Writer(
            {"bootstrap_servers": bootstrap},
            application_id=known.application_id,
            partition=partition,
            partitions=PARTITIONS,
        )
        await writer.start()
        try:
            for start in range(0, len(those), AT_ONCE):
                await writer.commit([], topic, those[start : start + AT_ONCE], {})
        finally:
            await writer.stop()


async def worked(file: Path, port: int, seconds: float) -> list[Sample]:
    """Let a worker come to its end; how far it was, five times a second."""
    process = subprocess.Popen(
        [sys.executable, "-m", "journey_stream", "worker", "--config", str(file), "--exit-when-done"],
        stdout=subprocess.DEVNULL,
    )
    try:
        samples = await watched(process, port, seconds)
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise SystemExit(f"the worker ended with {process.returncode}")
    return samples


if __name__ == "__main__":
    sys.exit(main())
