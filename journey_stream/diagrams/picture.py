"""The journey as a picture: stages one below the other in the order of the file, moves beside them.

In: a journey. Out: SVG. Moves forward leave to the right, moves backward to the left; each stands beside its
stage with the rules that make it, runs along the lane of its target and ends at the target's head. All moves
to one target share a lane, and lanes that do not meet share a column: no line runs through text. Dashed: back
to where the customer came from, drawn to the stage for those who came from nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from journey_stream.diagrams.edges import Arrow, arrows
from journey_stream.diagrams.paint import KIND_COLOURS, SMALL, document, fitted, num, text, width
from journey_stream.journeys.model import Journey, called
from journey_stream.journeys.phrases import guard, target, trigger

BOX, WIDEST, INSET = 220, 360, 16
HEAD, ROW, GAP, TOP = 34, 18, 18, 60
LABEL, LONGEST, MARGIN, LANE, EDGE = 120, 330, 26, 14, 26


@dataclass(slots=True)
class _Box:
    """Where a stage stands."""

    top: float
    wide: float
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
    boxes = _boxes(journey, found, language)
    wide = next(iter(boxes.values())).wide
    lanes = {forward: _lanes(forward, found, boxes) for forward in (True, False)}
    columns = {forward: 1 + max(lanes[forward].values(), default=-1) for forward in (True, False)}
    rooms = {
        forward: _room(_rules(arrow) for arrow in found if arrow.forward is forward)
        for forward in (True, False)
    }
    sides = {
        forward: (rooms[forward] + LANE * columns[forward] if columns[forward] else 0) + EDGE
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
        along = rooms[arrow.forward] + LANE * (lanes[arrow.forward][arrow.target] + 0.5)
        pieces += _arrow(arrow, journey, boxes, left, rooms[arrow.forward], along)
    for stage in journey.stages:
        pieces += _stage(journey, stage, boxes[stage], left, language)
    return document(left + wide + sides[True], height, f"{name}: stages and moves", pieces)


def _rules(arrow: Arrow) -> str:
    """What stands beside an arrow."""
    return ("↩ " if arrow.back else "") + ", ".join(rule.id for rule in arrow.rules)


def _room(labels: Iterable[str]) -> float:
    """How much of it a side gives to labels, their margins counted in."""
    return min(max([LABEL, *(round(width(label, SMALL)) + MARGIN for label in labels)]), LONGEST)


def _boxes(journey: Journey, found: Sequence[Arrow], language: str) -> dict[str, _Box]:
    boxes: dict[str, _Box] = {}
    widest = max(
        max(width(name) * 1.1, width(words, SMALL))
        for name, words in (_said(journey, stage, language) for stage in journey.stages)
    )
    wide = min(max(BOX, round(widest) + 2 * INSET), WIDEST)
    top = float(TOP)
    for stage in journey.stages:
        out = [arrow for arrow in found if arrow.source == stage]
        forward = [arrow for arrow in out if arrow.forward]
        backward = [arrow for arrow in out if not arrow.forward]
        height = HEAD + ROW * max(len(forward), len(backward)) + (6 if out else 0)
        boxes[stage] = _Box(top, wide, height, forward, backward)
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


def _arrow(
    arrow: Arrow, journey: Journey, boxes: dict[str, _Box], left: float, room: float, along: float
) -> Iterator[str]:
    colour = KIND_COLOURS[journey.stages[arrow.target].kind]
    start, end = boxes[arrow.source].row(arrow), boxes[arrow.target].head
    side = 1 if arrow.forward else -1
    edge = left + boxes[arrow.source].wide if arrow.forward else left
    along = edge + side * along
    label = fitted(_rules(arrow), room - MARGIN, SMALL)
    told = "\n".join(
        f"{rule.id}: {trigger(rule.trigger)}"
        + (f"; only if {only}" if (only := guard(rule)) else "")
        + (f"; {target(journey, rule.to, arrow.source)}" if arrow.back else "")
        for rule in arrow.rules
    )
    yield f"<g><title>{escape(arrow.source)} to {escape(arrow.target)}\n{escape(told)}</title>"
    dashes = ' stroke-dasharray="5 3"' if arrow.back else ""
    # The line starts behind the label, so that no line runs through letters.
    begin = edge + side * (14 + width(label, SMALL))
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
    place = f'x="{num(left)}" y="{num(box.top)}"'
    yield (
        f'<rect class="box" {place} width="{num(box.wide)}" height="{num(box.height)}" '
        f'rx="7" stroke="{colour}" stroke-width="1.6"/>'
    )
    yield f'<rect {place} width="6" height="{num(box.height)}" rx="3" fill="{colour}"/>'
    name, words = _said(journey, stage, language)
    room = box.wide - 1.5 * INSET
    yield text(left + INSET, box.top + 11, fitted(name, room / 1.1), style="strong")
    yield text(left + INSET, box.top + 25, fitted(words, room, SMALL), style="small")


def _said(journey: Journey, stage: str, language: str) -> tuple[str, str]:
    """What stands in a box: the name, and below it id, kind and owner."""
    found = journey.stages[stage]
    name = called(found.title, language, found.leaf)
    words = dict.fromkeys((stage, found.kind, found.owner or stage))
    return f"▸ {name}" if stage == journey.start else name, " · ".join(words)
