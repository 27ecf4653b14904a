"""The report as one HTML page that needs nothing else: tables, a Sankey picture, curves, days.

In: a `Report`. Out: the page's text, the same for the same report. All words from outside are escaped; the
page has no script and loads nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from html import escape

from journey_stream.backtest.calibrate import Curve
from journey_stream.backtest.compare import Comparison
from journey_stream.backtest.report import Report, days, signed, volumes
from journey_stream.diagrams import sankey
from journey_stream.diagrams.paint import document, num, text

_STYLE = """
:root { color-scheme: light dark; --line: #d1d9e0; --dim: #59636e; --up: #2d8a4e; --down: #d1495b }
@media (prefers-color-scheme: dark) { :root { --line: #3d444d; --dim: #9198a1 } }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; margin: 2rem auto;
  max-width: 62rem; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin-top: 2.5rem; border-top: 1px solid var(--line);
  padding-top: 1rem } h3 { font-size: 1rem; margin-top: 1.6rem }
p.dim, caption { color: var(--dim) } caption { text-align: left; padding-bottom: .3rem }
table { border-collapse: collapse; font-size: .9rem } .wide { overflow-x: auto }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
td { white-space: nowrap } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
.up { color: var(--up) } .down { color: var(--down) } svg { max-width: 100%; height: auto }
"""


def html(report: Report) -> str:
    """Write the page."""
    return "\n".join(_page(report)) + "\n"


def _page(report: Report) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>Backtest</title><style>{_STYLE}</style></head><body>"
    yield "<h1>Backtest</h1>"
    yield (
        f"<p>{report.events:,} events, {report.unusable:,} of them unusable, replayed under both definitions "
        f"until {escape(report.until)} ({report.speed:,.0f} events/s).</p>"
    )
    for comparison in report.comparisons:
        yield from _comparison(comparison)
    for journey, curves in report.curves.items():
        if curves:
            yield f"<h2>{escape(journey)}: how many come back after a silence</h2>"
            yield (
                '<p class="dim">For each absence rule of the new definition: of the silences that lasted at '
                "least so long, the share after which the customer came back (product-limit estimate; those "
                "that still last count for as long as they were watched).</p>"
            )
            for curve in curves:
                yield from _curve(curve)
    yield "</body></html>"


def _comparison(found: Comparison) -> Iterator[str]:
    old, new = f"version {found.old_version}", f"version {found.new_version}"
    if old == new:
        old, new = f"old ({old})", f"new ({new})"
    moved = f"{found.moved:,} of {found.customers:,} customers stand elsewhere"
    yield f"<h2>{escape(found.journey)}: {moved}</h2>"
    yield from _table(
        "Customers per stage",
        ("stage", "kind", old, new, "change"),
        [
            (stage, kind or "", f"{found.old[stage]:,}", f"{found.new[stage]:,}",
             signed(found.new[stage] - found.old[stage]))
            for stage, kind in found.kinds.items()
        ],
        numbers=3,
    )  # fmt: skip
    flows = {(a, b): number for a, b, number in found.flows}
    yield "<h3>Who moves</h3>"
    peopled = [each for each in found.stages if found.old[each[0]] or found.new[each[0]]]
    if peopled:
        yield sankey(flows, peopled, peopled, (old, new), f"{found.journey}: flows between stages")
    rows = [stage for stage, _ in peopled if found.old[stage]]
    columns = [stage for stage, _ in peopled if found.new[stage]]
    yield from _table(
        f"Customers by stage under {old} (rows) and {new} (columns); stages without any are left out",
        ("", *columns),
        [(a, *(f"{flows[a, b]:,}" if (a, b) in flows else "" for b in columns)) for a in rows],
        numbers=len(columns),
    )
    if found.movers:
        yield "<h3>Customers to look at first</h3>"
        yield from _table(
            f"{len(found.movers):,} of {found.moved:,}: by revenue if it is known, then the latest to move; "
            "times are UTC",
            ("customer", old, "since", new, "since", "by rule", "revenue"),
            [
                (m.person, m.old, _moment(m.old_since), m.new, _moment(m.new_since), m.rule,
                 "" if m.revenue is None else f"{m.revenue:,.2f}")
                for m in found.movers
            ],
            numbers=1,
        )  # fmt: skip
    yield "<h3>What is published</h3>"
    yield from _table(
        "Records by rule; gained and lost are the moves (signals) that only one of the two makes",
        ("", "rule", old, new, "gained", "lost"),
        [(c.sort, c.rule, f"{c.old:,}", f"{c.new:,}", f"{c.gained:,}", f"{c.lost:,}") for c in found.rules],
        numbers=4,
    )
    yield f"<p>{escape(volumes(found)).capitalize()}.</p>"
    yield _days(found, old, new)


def _table(
    caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: int
) -> Iterator[str]:
    """A table whose last columns are numbers."""
    first = len(head) - numbers
    yield f'<div class="wide"><table><caption>{escape(caption)}</caption><thead><tr>'
    for place, word in enumerate(head):
        yield f'<th class="n">{escape(word)}</th>' if place >= first else f"<th>{escape(word)}</th>"
    yield "</tr></thead><tbody>"
    for row in rows:
        cells = []
        for place, cell in enumerate(row):
            sign = " up" if cell.startswith("+") else " down" if cell.startswith("-") and cell != "-" else ""
            cells.append(
                f'<td class="n{sign}">{escape(cell)}</td>' if place >= first else f"<td>{escape(cell)}</td>"
            )
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody></table></div>"


def _moment(time: str | None) -> str:
    """A time to the minute, as people write it."""
    return "" if time is None else time[:16].replace("T", " ")


def _days(found: Comparison, old: str, new: str) -> str:
    """Records a day under both definitions, the old one as an area, the new one as a line."""
    known = {date.fromisoformat(day.day).toordinal(): day for day in found.days}
    every = [known.get(number) for number in range(min(known), max(known) + 1)] if known else []
    series = [
        [0 if day is None else day.old_transitions + day.old_signals for day in every],
        [0 if day is None else day.new_transitions + day.new_signals for day in every],
    ]
    most = max((max(each) for each in series if each), default=0) or 1
    wide, tall, left, top = 760.0, 150.0, 60.0, 40.0
    step = wide / max(1, len(every) - 1)
    pieces = [
        text(left, 20, f"Records a day: {old} (grey area), {new} (line)", style="strong"),
        text(left - 8, top, f"{most:,}", anchor="end", style="small"),
        text(left - 8, top + tall, "0", anchor="end", style="small"),
        f'<path class="faint" d="M{num(left)} {num(top)}H{num(left + wide)}M{num(left)} {num(top + tall)}'
        f'H{num(left + wide)}" fill="none"/>',
    ]
    before, after = (
        " ".join(
            f"{num(left + place * step)},{num(top + tall * (1 - value / most))}"
            for place, value in enumerate(values)
        )
        for values in series
    )
    corners = f"{num(left)},{num(top + tall)} {before} {num(left + wide)},{num(top + tall)}"
    pieces.append(f'<polygon points="{corners}" fill="#8b949e" fill-opacity="0.5"/>')
    pieces.append(f'<polyline points="{after}" fill="none" stroke-width="1.2" stroke="#3b74d1"/>')
    if found.days:
        pieces.append(text(left, top + tall + 18, found.days[0].day, style="small"))
        pieces.append(text(left + wide, top + tall + 18, found.days[-1].day, anchor="end", style="small"))
    return document(left + wide + 20, top + tall + 32, f"{found.journey}: records a day", pieces)


def _curve(curve: Curve) -> Iterator[str]:
    yield f"<h3>{escape(curve.rule)} ({curve.sort})</h3><p>{escape(curve.says)}. {_said(curve)}</p>"
    if len(curve.points) > 1:
        yield _drawn(curve)


def _said(curve: Curve) -> str:
    said = [f"{curve.silences:,} silences, {curve.returned:,} of them ended."]
    if not curve.points:
        return said[0] + " Too few to draw a curve."
    if curve.now_s is not None:
        share = "not known" if curve.now_returning is None else f"<b>{curve.now_returning:.0%}</b>"
        said.append(f"Now: {days(curve.now_s)}; share that comes back after it: {share}.")
    if curve.suggested_s is None:
        said.append(f"History is too short to say when at most {curve.at_most:.0%} come back.")
    else:
        said.append(
            f"At most {curve.at_most:.0%} come back after <b>{days(curve.suggested_s)}</b>: the suggestion."
        )
    return " ".join(said)


def _drawn(curve: Curve) -> str:
    wide, tall, left, top = 700.0, 170.0, 60.0, 16.0
    longest = curve.points[-1].silence_s or 1.0

    def x(seconds: float) -> str:
        return num(left + wide * min(1.0, seconds / longest))

    def y(share: float) -> str:
        return num(top + tall * (1 - share))

    path = f"M{x(0)} {y(curve.points[0].returning)}" + "".join(
        f"H{x(point.silence_s)}V{y(point.returning)}" for point in curve.points[1:]
    )
    pieces = [
        *(
            f'<path class="faint" d="M{num(left)} {y(share)}H{num(left + wide)}" fill="none"/>'
            + text(left - 8, float(y(share)), f"{share:.0%}", anchor="end", style="small")
            for share in (0.0, 0.25, 0.5, 0.75, 1.0)
        ),
        f'<path d="{path}" fill="none" stroke="#3b74d1" stroke-width="1.8"/>',
        text(left, top + tall + 18, "0", style="small"),
        text(left + wide, top + tall + 18, days(longest), anchor="end", style="small"),
    ]
    for seconds, word, colour in (
        (curve.now_s, "now", "#8b949e"),
        (curve.suggested_s, "suggested", "#2d8a4e"),
    ):
        if seconds is not None and seconds <= longest:
            line = f"M{x(seconds)} {num(top)}V{num(top + tall)}"
            pieces.append(f'<path d="{line}" stroke="{colour}" stroke-dasharray="4 3"/>')
            pieces.append(
                text(float(x(seconds)) + 5, top + 8 + 14 * (word == "suggested"), word, style="small")
            )
    return document(left + wide + 20, top + tall + 32, f"{curve.rule}: share that comes back", pieces)
