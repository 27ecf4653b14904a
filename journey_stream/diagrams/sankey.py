"""Who was where, and is where now: a Sankey picture of flows between two sets of stages.

In: numbers per (stage then, stage now), the stages of both sides in order with their kinds. Out: SVG. Bands
are as thick as many customers move; those who stay are pale, so that the eye sees who moves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from journey_stream.diagrams.paint import KIND_COLOURS, document, num, text, width
from journey_stream.values import Kind

BAR, MIDDLE, TOP, GAP, TALL = 14, 440, 56, 14, 360
LEAST_SIDE, BESIDE = 120, 8
LEAST = 1.5
"""Pixels of the thinnest band: one customer of a million is seen."""

Side = Sequence[tuple[str, Kind | None]]
"""Stages in order, each with its kind; None for `not there`."""


def sankey(
    flows: Mapping[tuple[str, str], int], left: Side, right: Side, heads: tuple[str, str], title: str
) -> str:
    """Draw flows between stages.

    Args:
        flows: (stage on the left, stage on the right) to customers; others count as none.
        left: the stages on the left, from above.
        right: those on the right.
        heads: what stands above the two sides.
        title: of the picture, for screen readers.
    """
    total = max(1, sum(flows.values()))
    scale = TALL / total
    thick = {pair: max(LEAST, count * scale) for pair, count in flows.items() if count}
    at_left = _heights(left, {stage: [p for p in thick if p[0] == stage] for stage, _ in left}, thick)
    at_right = _heights(right, {stage: [p for p in thick if p[1] == stage] for stage, _ in right}, thick)
    bottom = max(top + tall for side in (at_left, at_right) for top, tall in side.values())

    def counted(side: int) -> dict[str, int]:
        counts: dict[str, int] = {}
        for pair, number in flows.items():
            counts[pair[side]] = counts.get(pair[side], 0) + number
        return counts

    names = [
        [_label(stage, counted(side)) for stage, _ in stages] for side, stages in enumerate((left, right))
    ]
    start, beyond = (max([LEAST_SIDE, *map(width, each)]) + BAR + 2 * BESIDE for each in names)
    end = start + MIDDLE
    pieces = [
        text(start, 26, heads[0], anchor="end", style="strong"),
        text(end, 26, heads[1], style="strong"),
        *_bands(flows, thick, left, right, at_left, at_right, (start, end)),
        *_bars(left, at_left, names[0], start - BAR, "end"),
        *_bars(right, at_right, names[1], end, "start"),
    ]
    return document(end + beyond, bottom + 24, title, pieces)


def _label(stage: str, counts: Mapping[str, int]) -> str:
    return f"{stage}  {counts.get(stage, 0):,}"


def _heights(
    side: Side, bands: Mapping[str, Sequence[tuple[str, str]]], thick: Mapping[tuple[str, str], float]
) -> dict[str, tuple[float, float]]:
    """Stage to (top, height)."""
    heights, top = {}, float(TOP)
    for stage, _ in side:
        tall = max(LEAST, sum(thick[pair] for pair in bands[stage]))
        heights[stage] = (top, tall)
        top += tall + GAP
    return heights


def _bands(
    flows: Mapping[tuple[str, str], int],
    thick: Mapping[tuple[str, str], float],
    left: Side,
    right: Side,
    at_left: Mapping[str, tuple[float, float]],
    at_right: Mapping[str, tuple[float, float]],
    ends: tuple[float, float],
) -> Iterator[str]:
    next_left = {stage: top for stage, (top, _) in at_left.items()}
    next_right = {stage: top for stage, (top, _) in at_right.items()}
    start, end = ends
    middle = (start + end) / 2
    for source, _ in left:
        for target, kind in right:
            tall = thick.get((source, target))
            if tall is None:
                continue
            y0, y1 = next_left[source], next_right[target]
            next_left[source] += tall
            next_right[target] += tall
            moved = source != target
            colour = KIND_COLOURS[kind] if kind else "#8b949e"
            yield (
                f'<path d="M{num(start)} {num(y0)}C{num(middle)} {num(y0)} {num(middle)} {num(y1)} '
                f"{num(end)} {num(y1)}V{num(y1 + tall)}C{num(middle)} {num(y1 + tall)} {num(middle)} "
                f'{num(y0 + tall)} {num(start)} {num(y0 + tall)}Z" fill="{colour}" '
                f'fill-opacity="{0.6 if moved else 0.16}"><title>{escape(source)} to {escape(target)}: '
                f"{flows[source, target]:,}</title></path>"
            )


def _bars(
    side: Side, heights: Mapping[str, tuple[float, float]], names: Sequence[str], x: float, anchor: str
) -> Iterator[str]:
    for (stage, kind), name in zip(side, names, strict=True):
        top, tall = heights[stage]
        colour = KIND_COLOURS[kind] if kind else "#8b949e"
        yield (
            f'<rect x="{num(x)}" y="{num(top)}" width="{BAR}" height="{num(tall)}" rx="2" fill="{colour}"/>'
        )
        beside = x - BESIDE if anchor == "end" else x + BAR + BESIDE
        yield text(beside, top + tall / 2, name, anchor=anchor)
