"""What a bench gave: medians, spreads, ratios; as a table for people and JSON for machines.

Enters: the figures of every run. Leaves: `Result` and its table. Strategy: pure. A ratio is one of medians
of the same bench, and its spread is that of the single turns, in each of which everybody ran once.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

import msgspec

from benchmarks.measuring import Figure
from benchmarks.peers.contestants import RATIOS, Contestant


class Spread(msgspec.Struct, frozen=True):
    """Median, least and most of several runs."""

    median: float
    least: float
    most: float


class Row(msgspec.Struct, frozen=True):
    """One contestant's figures."""

    name: str
    title: str
    layout: str
    guarantee: str
    journeys: int
    """How many ours ran; 0 for a peer, which has the one job."""
    events: int
    records: float
    """Changes of stage and signals that it publishes, per event."""
    rate: Spread | None = None
    """Events per second; None when it was not run."""
    cpu: Spread | None = None
    """CPU microseconds per event."""
    runs: list[Figure] = []
    not_run: str | None = None
    """Why not."""


class Compared(msgspec.Struct, frozen=True):
    """A ratio and its goals."""

    ours: str
    peer: str
    at_least: float
    aim: float
    ratio: float | None
    """Of medians; None when one of the two was not run."""
    least: float | None = None
    most: float | None = None

    @property
    def verdict(self) -> str:
        """How the ratio stands to its goals."""
        if self.ratio is None:
            return "not run"
        if self.ratio >= self.aim:
            return "aim reached"
        return "reached" if self.ratio >= self.at_least else "missed"


class Result(msgspec.Struct, frozen=True):
    """A whole bench."""

    measured: str
    """The day."""
    machine: dict[str, str | int]
    versions: dict[str, str]
    workload: dict[str, int]
    repetitions: int
    rows: list[Row]
    ratios: list[Compared]

    def row(self, name: str) -> Row:
        """Find a contestant's row."""
        return next(row for row in self.rows if row.name == name)


def spread(values: Sequence[float], digits: int) -> Spread:
    """Take median, least and most, rounded to what is worth telling."""
    each = (statistics.median(values), min(values), max(values))
    return Spread(*(round(value, digits) for value in each))


def row_of(contestant: Contestant, events: int, due: int, runs: list[Figure], not_run: str | None) -> Row:
    """Sum up a contestant's runs."""
    said = (
        contestant.name,
        contestant.title,
        contestant.layout,
        contestant.guarantee,
        len(contestant.journeys),
        events,
        round(due / events, 2),
    )
    if not runs:
        return Row(*said, not_run=not_run or "not asked for")
    rate = spread([run.rate for run in runs], 0)
    return Row(*said, rate, spread([run.cpu for run in runs], 1), runs)


def compare(rows: Iterable[Row]) -> list[Compared]:
    """Divide ours by the peers'."""
    by_name = {row.name: row for row in rows}
    made = []
    for each in RATIOS:
        goals = (each.ours, each.peer, each.at_least, each.aim)
        ours, peer = by_name.get(each.ours), by_name.get(each.peer)
        if ours is None or peer is None or ours.rate is None or peer.rate is None:
            made.append(Compared(*goals, None))
            continue
        turns = [a.rate / b.rate for a, b in zip(ours.runs, peer.runs, strict=False)]
        ratio = ours.rate.median / peer.rate.median
        made.append(Compared(*goals, round(ratio, 2), round(min(turns), 2), round(max(turns), 2)))
    return made


def table(result: Result) -> str:
    """Write the figures for a terminal."""
    work = result.workload
    lines = [
        f"events of about {work['bytes']} bytes, {work['customers']:,} customers, "
        f"{work['partitions']} partitions; {result.repetitions} repetitions in turn; "
        f"{result.machine['cores']} cores for all, the broker too",
        "",
        f"{'':36}{'events':>9}{'events/s':>10}{'least … most':>20}{'CPU µs/event':>15}",
    ]
    for row in result.rows:
        if row.rate is None or row.cpu is None:
            lines.append(f"{row.title:36}  not run: {row.not_run}")
            continue
        wide = f"{row.rate.least:,.0f} … {row.rate.most:,.0f}"
        lines.append(
            f"{row.title:36}{row.events:>9,}{row.rate.median:>10,.0f}{wide:>20}{row.cpu.median:>15.1f}"
        )
    lines.append("")
    titles = {row.name: row.title for row in result.rows}
    for each in result.ratios:
        what = f"{titles.get(each.ours, each.ours)} / {titles.get(each.peer, each.peer)}"
        goals = f"at least {each.at_least:g}, aim {each.aim:g}: {each.verdict}"
        told = "" if each.ratio is None else f"{each.ratio:.2f} ({each.least:.2f} … {each.most:.2f})"
        lines.append(f"{what:70}{told:>22}   {goals}")
    return "\n".join(lines)
