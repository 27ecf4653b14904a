"""Draws the figures of a bench: a bar per contestant, its median, and a line from its least to its most.

Enters: a `Result`. Leaves: SVG. Strategy: pure; nothing is drawn by hand, no library.
"""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.peers.result import Result, Row

WIDTH, LEFT, RIGHT, TOP = 920, 290, 150, 64
STEP, BAR = 34, 18
STYLE = """\
  .paper { fill: #ffffff; }
  text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f; }
  .title { font-size: 16px; font-weight: 600; } .soft { fill: #57606a; }
  .grid { stroke: #d8dee4; } .peer { fill: #8c959f; } .ours { fill: #1a7f37; }
  .spread { stroke: #24292f; stroke-width: 1.6; }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117; } text { fill: #e6edf3; } .soft { fill: #8d96a0; }
    .grid { stroke: #21262d; } .peer { fill: #6e7681; } .ours { fill: #3fb950; } .spread { stroke: #e6edf3; }
  }"""


def draw(result: Result) -> str:
    """Draw the picture."""
    most = max((row.rate.most for row in result.rows if row.rate is not None), default=1.0)
    height = TOP + STEP * len(result.rows) + 40
    cores = result.machine["cores"]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-label="Events a second of the worker and its peers at the same job">',
        f"<style>\n{STYLE}\n</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        _text(20, 26, "Events a second, the same job for all", "title"),
        _text(
            20,
            46,
            f"median of {result.repetitions} runs in turn, line: least to most · "
            f"{cores} cores for all, the broker too",
            "soft",
        ),
        *_grid(most, height),
    ]
    for number, row in enumerate(result.rows):
        parts += _row(row, TOP + STEP * number, most)
    return "\n".join([*parts, "</svg>"]) + "\n"


def step_of(most: float) -> int:
    """Choose the distance of grid lines: 1, 2 or 5 times a power of ten, at most six lines."""
    size = 1
    while True:
        for factor in (1, 2, 5):
            if most / (size * factor) <= 6:
                return size * factor
        size *= 10


def _grid(most: float, height: int) -> Iterable[str]:
    for at in range(0, int(most) + 1, step_of(most)):
        across = _x(at, most)
        yield f'<line class="grid" x1="{across}" y1="{TOP - 4}" x2="{across}" y2="{height - 34}"/>'
        yield _text(across, height - 16, f"{at:,}", "soft", "middle")


def _row(row: Row, top: int, most: float) -> Iterable[str]:
    yield _text(LEFT - 12, top + 18, row.title, "", "end")
    if row.rate is None or row.cpu is None:
        yield _text(LEFT + 6, top + 18, "not run", "soft")
        return
    kind = "ours" if row.journeys else "peer"
    wide = round(_x(row.rate.median, most) - LEFT, 1)
    yield f'<rect class="{kind}" x="{LEFT}" y="{top + 4}" width="{wide}" height="{BAR}"/>'
    least, end, middle = _x(row.rate.least, most), _x(row.rate.most, most), top + 4 + BAR / 2
    yield f'<line class="spread" x1="{least}" y1="{middle}" x2="{end}" y2="{middle}"/>'
    words = f"{row.rate.median:,.0f} · {row.cpu.median:,.0f} µs CPU"
    yield _text(end + 8, top + 18, words, "soft")


def _x(rate: float, most: float) -> float:
    return round(LEFT + rate / most * (WIDTH - LEFT - RIGHT), 1)


def _text(across: float, down: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{across}" y="{down}" text-anchor="{anchor}">{words}</text>'
