"""`python -m benchmarks.many`: what twenty journeys cost beside five, in the core.

Enters: options (`--help`). Leaves: a table: CPU per event, records out per event, and the ratio of both.
Strategy: three sorts of twenty, since what a journey costs depends on what it does. Variants of one journey
of three stages (as for a test of what works best) beside five of them; the five models with fifteen smaller
journeys such as a shop runs beside them (`portfolio/`); and the five models four times, which say all they
say four times. Lanes take turns, some thousand events each, so that a slow minute is slow for all; medians
count. Customers are drawn evenly, so that nearly every event wakes one up: the dearest case, for few
journeys and for many.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from benchmarks.core import STAGES, Lane, Load
from benchmarks.core_load import ONE_JOURNEY, deployments, events, keyed
from journey_stream.deployment import Deployment, assemble
from journey_stream.journeys import shipped_names
from journey_stream.kafka.garbage import leave_alone
from journey_stream.settings import Settings

PORTFOLIO = Path(__file__).parent / "portfolio"


class Pair(NamedTuple):
    """Twenty journeys beside five."""

    title: str
    five: Deployment
    twenty: Deployment


class Spent(NamedTuple):
    """What a lane needed: microseconds of CPU an event, turn by turn, and records out per event."""

    turns: list[float]
    records: float


def portfolio() -> list[str]:
    """The files of the fifteen smaller journeys."""
    return [str(path) for path in sorted(PORTFOLIO.glob("*.yaml"))]


def variants(folder: Path, count: int) -> Deployment:
    """Journeys of three stages that differ in how many orders make somebody a regular."""
    text = ONE_JOURNEY.read_text()
    files = []
    for number in range(1, count + 1):
        file = folder / f"variant-{number}.yaml"
        named = text.replace("visitor-to-regular", f"variant-{number}")
        file.write_text(named.replace("orders >= 3", f"orders >= {1 + number}"))
        files.append(str(file))
    return assemble(Settings(journeys=files))


def pairs() -> list[Pair]:
    """What is compared."""
    known = deployments()
    models = known["five models"]
    both = assemble(Settings(journeys=[*shipped_names(), *portfolio()]))
    with tempfile.TemporaryDirectory(prefix="journey-stream-many-") as folder:
        five, twenty = (variants(Path(folder), count) for count in (5, 20))
    return [
        Pair("variants of one journey", five, twenty),
        Pair("five models, then fifteen others", models, both),
        Pair("five models, then four times", models, known["twenty journeys"]),
    ]


def work(lane: Lane, records: list[Any], commit: int) -> float:
    """Microseconds of CPU an event."""
    lane.spent = dict.fromkeys(STAGES, 0)
    lane.work(records, commit)
    return sum(lane.spent.values()) / 1000 / len(records)


def compare(pair: Pair, records: list[Any], load: Load, core: str) -> tuple[Spent, Spent]:
    """Let both take turns."""
    lanes = [Lane(deployment, "event", core) for deployment in (pair.five, pair.twenty)]
    for lane in lanes:
        lane.work(records[: load.warm], load.commit)
        lane.records = 0
    gc.collect()
    turns: list[list[float]] = [[], []]
    rest = range(load.warm, len(records), load.commit)
    for number, start in enumerate(rest):
        part = records[start : start + load.commit]
        for place in (0, 1) if number % 2 else (1, 0):
            turns[place].append(work(lanes[place], part, load.commit))
    measured = len(records) - load.warm
    return (
        Spent(turns[0], lanes[0].records / measured),
        Spent(turns[1], lanes[1].records / measured),
    )


def line(title: str, five: Spent, twenty: Spent) -> str:
    """A row of the table; behind the ratio the middle half of its turns."""
    low, _, high = quantiles([many / few for few, many in zip(five.turns, twenty.turns, strict=True)], n=4)
    few, many = median(five.turns), median(twenty.turns)
    return (
        f"{title:33} {few:7.2f} {many:8.2f} {many / few:6.2f} ({low:.2f} to {high:.2f})"
        f" {five.records:6.2f} {twenty.records:6.2f}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many", description=main.__doc__)
    parser.add_argument("--events", type=int, default=200_000, help="how many (200000)")
    parser.add_argument("--core", choices=("compiled", "python"), default="compiled")
    given = parser.parse_args(arguments)
    load = Load()
    records = keyed(events(max(given.events, load.warm + 4 * load.commit), load.customers))
    leave_alone()
    print(f"{'':33} {'µs of 5':>7} {'of 20':>8} {'ratio':>6} {'':14} {'out 5':>7} {'20':>6}")
    for pair in pairs():
        print(line(pair.title, *compare(pair, records, load, given.core)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
