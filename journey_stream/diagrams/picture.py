"""The journey as a picture: stages one below the other in the order of the file, moves beside them.

In: a journey. Out: SVG. Moves forward leave to the right, moves backward to the left; each stands beside its
stage with the rules that make it, runs along the lane of its target and ends at the target's head. All moves
to one target share a lane, and lanes that do not meet share a column: no line runs through text. Dashed: back
to where the customer came from, drawn to the stage for those who came from nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from journey_stream.diagrams.edges import Arrow, arrows
from journey_stream.diagrams.paint import KIND_COLOURS, document, num, shortened, text
from journey_stream.journeys.model import Journey, called
from journey_stream.journeys.phrases import guard, target, trigger

BOX, HEAD, ROW, GAP, TOP = 220, 34, 18, 18, 60
LABEL, LANE, EDGE = 226, 14, 26
LETTERS = 36


@dataclass(slots=True)
class _Box:
    """Where a stage stands."""

    top: float
    height: float
    forward: list[Arrow]
    backward: list[Arrow]

    @property
    def head(self) -> float:
        return self.top + HEAD / 2

    def row(self, arrow: Arrow) -> float:
        rows = self.forward if arrow.forward else self.backward
        return self.top + HEAD + ROW * (rows.index(arrow) + 0.5)


def svg(journey: Journey, *, language: str = "en") -> str:
    """Draw a journey.

    Args:
        journey: a checked journey.
        language: of the titles.
    """
    found = arrows(journey)
    boxes = _boxes(journey, found)
    lanes = {forward: _lanes(forward, found, boxes) for forward in (True, False)}
    columns = {forward: 1 + max(lanes[forward].values(), default=-1) for forward in (True, False)}
    sides = {
        forward: (LABEL + LANE * columns[forward] if columns[forward] else 0) + EDGE
        for forward in (True, False)
    }
    left = sides[False]
    last = list(boxes.values())[-1]
    height = last.top + last.height + 24
    name = called(journey.title, language, journey.id)
    pieces = [
        text(left, 24, name, style="strong"),
        text(left, 42, f"{journey.id}, version {journey.version}", style="small"),
    ]
    for arrow in found:
        pieces += _arrow(arrow, journey, boxes, left, lanes[arrow.forward][arrow.target])
    for stage in journey.stages:
        pieces += _stage(journey, stage, boxes[stage], left, language)
    return document(left + BOX + sides[True], height, f"{name}: stages and moves", pieces)


def _boxes(journey: Journey, found: Sequence[Arrow]) -> dict[str, _Box]:
    boxes: dict[str, _Box] = {}
    top = float(TOP)
    for stage in journey.stages:
        out = [arrow for arrow in found if arrow.source == stage]
        forward = [arrow for arrow in out if arrow.forward]
        backward = [arrow for arrow in out if not arrow.forward]
        height = HEAD + ROW * max(len(forward), len(backward)) + (6 if out else 0)
        boxes[stage] = _Box(top, height, forward, backward)
        top += height + GAP
    return boxes


def _lanes(forward: bool, found: Sequence[Arrow], boxes: dict[str, _Box]) -> dict[str, int]:
    """Give each target a column in which nothing else runs along the same height; short lanes inside."""
    spans: dict[str, tuple[float, float]] = {}
    for arrow in found:
        if arrow.forward is forward:
            ends = (boxes[arrow.source].row(arrow), boxes[arrow.target].head)
            low, high = spans.get(arrow.target, ends)
            spans[arrow.target] = (min(low, *ends), max(high, *ends))
    columns: list[list[tuple[float, float]]] = []
    lanes: dict[str, int] = {}
    for stage, (low, high) in sorted(spans.items(), key=lambda item: (item[1][1] - item[1][0], item[1])):
        free = (
            number
            for number, taken in enumerate(columns)
            if all(high < other_low or low > other_high for other_low, other_high in taken)
        )
        place = next(free, len(columns))
        if place == len(columns):
            columns.append([])
        columns[place].append((low, high))
        lanes[stage] = place
    return lanes


def _arrow(arrow: Arrow, journey: Journey, boxes: dict[str, _Box], left: float, lane: int) -> Iterator[str]:
    colour = KIND_COLOURS[journey.stages[arrow.target].kind]
    start, end = boxes[arrow.source].row(arrow), boxes[arrow.target].head
    side = 1 if arrow.forward else -1
    edge = left + BOX if arrow.forward else left
    along = edge + side * (LABEL + LANE * (lane + 0.5))
    label = shortened(("↩ " if arrow.back else "") + ", ".join(rule.id for rule in arrow.rules), LETTERS)
    told = "\n".join(
        f"{rule.id}: {trigger(rule.trigger)}"
        + (f"; only if {only}" if (only := guard(rule)) else "")
        + (f"; {target(journey, rule.to, arrow.source)}" if arrow.back else "")
        for rule in arrow.rules
    )
    yield f"<g><title>{escape(arrow.source)} to {escape(arrow.target)}\n{escape(told)}</title>"
    dashes = ' stroke-dasharray="5 3"' if arrow.back else ""
    # The line starts behind the label, so that no line runs through letters.
    begin = edge + side * min(LABEL - 4, 14 + 6.2 * len(label))
    yield (
        f'<path d="M{num(begin)} {num(start)}H{num(along)}V{num(end)}H{num(edge + side * 7)}" '
        f'fill="none" stroke="{colour}" stroke-width="1.4"{dashes}/>'
    )
    tip = edge + side
    back = tip + side * 8
    yield f'<path d="M{num(tip)} {num(end)}L{num(back)} {num(end - 4)}V{num(end + 4)}Z" fill="{colour}"/>'
    anchor = "start" if arrow.forward else "end"
    yield text(edge + side * 8, start, label, anchor=anchor, style="small") + "</g>"


def _stage(journey: Journey, stage: str, box: _Box, left: float, language: str) -> Iterator[str]:
    found = journey.stages[stage]
    colour = KIND_COLOURS[found.kind]
    yield (
        f'<rect class="box" x="{num(left)}" y="{num(box.top)}" width="{BOX}" height="{num(box.height)}" '
        f'rx="7" stroke="{colour}" stroke-width="1.6"/>'
    )
    place = f'x="{num(left)}" y="{num(box.top)}"'
    yield f'<rect {place} width="6" height="{num(box.height)}" rx="3" fill="{colour}"/>'
    name = called(found.title, language, found.leaf)
    if stage == journey.start:
        name = f"▸ {name}"
    yield text(left + 16, box.top + 11, shortened(name, LETTERS), style="strong")
    words = dict.fromkeys((stage, found.kind, found.owner or stage))
    yield text(left + 16, box.top + 25, shortened(" · ".join(words), 36), style="small")
