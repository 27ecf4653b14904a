"""The whole of a backtest as one value, and that value as text and as JSON.

In: comparisons and curves. Out: text for a terminal, JSON for scripts (`html` makes the page). Numbers are
computed elsewhere; here they get their places.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from journey_stream.backtest.calibrate import Curve
from journey_stream.backtest.compare import Comparison
from journey_stream.errors import UsageError
from journey_stream.journeys.model import Journey


class Report(msgspec.Struct, frozen=True):
    """What a backtest found."""

    events: int
    """Events read."""
    unusable: int
    until: str
    """RFC 3339: the moment for which the definitions are compared."""
    seconds: float
    """How long the replays took."""
    comparisons: list[Comparison]
    curves: dict[str, list[Curve]]
    """Per journey of the new definition: a curve for each absence rule."""

    @property
    def speed(self) -> float:
        """Events a second, each run under both definitions."""
        return self.events / self.seconds if self.seconds else 0.0


def pairs(old: Sequence[Journey], new: Sequence[Journey]) -> list[tuple[Journey, Journey]]:
    """Match journeys by id; one against one are compared whatever their ids.

    Raises:
        UsageError: nothing matches.
    """
    if len(old) == 1 and len(new) == 1:
        return [(old[0], new[0])]
    by_id = {journey.id: journey for journey in old}
    found = [(by_id[journey.id], journey) for journey in new if journey.id in by_id]
    if not found:
        olds, news = (", ".join(journey.id for journey in side) for side in (old, new))
        msg = (
            f"backtest: expected definitions of the same journeys, found {olds} in OLD and {news} in NEW. "
            "Give the two versions the same `journey:`, or one definition on each side"
        )
        raise UsageError(msg)
    return found


def to_json(report: Report) -> bytes:
    """Write the report for scripts."""
    whole = msgspec.to_builtins(report) | {"events_per_second": round(report.speed)}
    return msgspec.json.format(msgspec.json.encode(whole), indent=2)


def summary(report: Report) -> str:
    """Write the report for a terminal."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield (
        f"{report.events:,} events ({report.unusable:,} unusable) until {report.until}, "
        f"{report.speed:,.0f} events/s under both definitions"
    )
    for comparison in report.comparisons:
        yield ""
        yield from _comparison(comparison)
    for journey, curves in report.curves.items():
        if curves:
            yield ""
            yield f"{journey}: how many come back after a silence"
            yield from columns(
                ("rule", "length now", "come back after it", "suggested", "silences", "ended"),
                [_curve(curve) for curve in curves],
            )


def _comparison(found: Comparison) -> Iterator[str]:
    yield (
        f"{found.journey}: version {found.old_version} against {found.new_version}, "
        f"{found.moved:,} of {found.customers:,} customers stand elsewhere"
    )
    yield from columns(
        ("stage", "old", "new", "change"),
        [
            (
                stage,
                f"{found.old[stage]:,}",
                f"{found.new[stage]:,}",
                signed(found.new[stage] - found.old[stage]),
            )
            for stage in found.kinds
        ],
    )
    moves = [(old, new, f"{number:,}") for old, new, number in found.flows if old != new]
    if moves:
        yield "who stands elsewhere"
        yield from columns(("under the old", "under the new", "customers"), moves)
    changed = [change for change in found.rules if change.gained or change.lost]
    if changed:
        yield "what is published"
        yield from columns(
            ("", "rule", "old", "new", "gained", "lost"),
            [(c.sort, c.rule, f"{c.old:,}", f"{c.new:,}", f"{c.gained:,}", f"{c.lost:,}") for c in changed],
        )
    yield volumes(found)


def volumes(found: Comparison) -> str:
    """Say in one line what downstream will feel."""
    days = max(1, len(found.days))
    said = []
    for sort in ("transitions", "signals"):
        old, new = (sum(getattr(day, f"{side}_{sort}") for day in found.days) for side in ("old", "new"))
        busiest = max((getattr(day, f"new_{sort}") for day in found.days), default=0)
        said.append(f"{sort} {old / days:,.1f} -> {new / days:,.1f} (busiest day {busiest:,})")
    return f"a day with records has, on average: {', '.join(said)}"


def _curve(curve: Curve) -> tuple[str, ...]:
    return (
        curve.rule,
        "by customer" if curve.now_s is None else days(curve.now_s),
        "-" if curve.now_returning is None else f"{curve.now_returning:.0%}",
        "-" if curve.suggested_s is None else f"{days(curve.suggested_s)} (at most {curve.at_most:.0%})",
        f"{curve.silences:,}",
        f"{curve.returned:,}",
    )


def days(seconds: float) -> str:
    """Write a length of silence."""
    return f"{seconds / 86_400:.1f} d" if seconds >= 86_400 else f"{seconds / 3_600:.1f} h"


def signed(change: int) -> str:
    """Write a change; none is a dash."""
    return f"{change:+,}" if change else "-"


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Write a table in plain text: words to the left, numbers to the right."""
    table = [head, *rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(head))]
    numbers = [
        all(row[place][:1] in "0123456789+-" for row in rows if row[place]) for place in range(len(head))
    ]
    for row in table:
        cells = [
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numbers, strict=True)
        ]
        yield ("  " + "  ".join(cells)).rstrip()
