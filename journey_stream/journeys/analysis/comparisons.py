"""Comparisons with values that cannot be: words that are not in the list, numbers outside of the range.

In: a written expression. Out: findings `impossible-value`, `out-of-range`, `never-known`, `bare-seconds`,
each at the comparison itself, so that the conditions around it need not be looked at.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping

from journey_stream.events.limits import limits
from journey_stream.journeys.analysis.logic import INVERSE
from journey_stream.journeys.analysis.truth import Question
from journey_stream.journeys.analysis.written import Written
from journey_stream.journeys.durations import duration, written
from journey_stream.journeys.findings import Report, did_you_mean
from journey_stream.journeys.guards import nodes
from journey_stream.journeys.guards.nodes import Node
from journey_stream.values import SECOND

SCORED = "Scores and sentiment come with surveys, reviews, ratings, complaints and failed checkouts"
SHORT = 1_000
"""A bare number below is hardly meant as seconds."""


def check_comparisons(found: Written, lengths: Collection[str], report: Report) -> bool:
    """Look at all comparisons of one expression; tells whether one cannot hold.

    Args:
        found: The expression.
        lengths: The parameters that are durations.
        report: Takes the findings.
    """
    return _Comparisons(found, lengths, report).check()


class _Comparisons:
    """The comparisons of one expression."""

    def __init__(self, found: Written, lengths: Collection[str], report: Report) -> None:
        self.found, self.lengths, self.report = found, lengths, report
        self.set = Question(found.place)
        self.free = Question(found.place, fixed=False)

    def check(self) -> bool:
        told = len(self.report.findings)
        for node, items in _each(self.found.expression.root, {}):
            match node:
                case nodes.Binary("==" | "!=", left, right):
                    self._words(left, right, items)
                    self._words(right, left, items)
                case nodes.Binary("in", left, nodes.ListLit(listed)):
                    for each in listed:
                        self._words(left, each, items)
                case _:
                    pass
            if isinstance(node, nodes.Binary) and node.op in INVERSE and not items:
                self._decided(node)
            if isinstance(node, nodes.Call) and node.function == "has" and not items:
                self._known(node)
        is_told = len(self.report.findings) > told
        for node, _ in _each(self.found.expression.root, {}):
            if isinstance(node, nodes.Binary) and node.op in INVERSE:
                self._seconds(node.left, node.right)
                self._seconds(node.right, node.left)
        return is_told

    def _words(self, side: Node, value: Node, items: Mapping[str, Node]) -> None:
        """A constant text against what the other side can be."""
        if not isinstance(value, nodes.Literal) or not isinstance(value.value, str):
            return
        words = self._closed(side, items)
        if words is None or value.value in words:
            return
        known = sorted(filter(None, words))
        hint = did_you_mean(value.value, known, "It can be") or f"It can be: {', '.join(known)}"
        msg = f'{self.found.label}: {self.found.shown(side)} is never "{value.value[:60]}"'
        self.report.add("impossible-value", self.found.spot(value.at), msg, hint)

    def _closed(self, side: Node, items: Mapping[str, Node]) -> Collection[str] | None:
        """The closed list of texts that a part can be; None if it is not closed."""
        if isinstance(side, nodes.Name) and side.name in items:
            return self._items(items[side.name])
        if any(isinstance(each, nodes.Name) and each.name in items for each in nodes.walk(side)):
            return None
        words = self.set.range(side).words
        return None if words is None else [word for word in words if isinstance(word, str)]

    def _items(self, target: Node) -> Collection[str] | None:
        """The closed list of texts in a list attribute (or of the keys of a map)."""
        place, path = self.found.place, nodes.path_of(target)
        attribute = None if path is None else place.world.journey.attributes.get(path.removeprefix("before."))
        if place.over_event or attribute is None or attribute.form not in ("distinct", "map"):
            return None
        found: set[str] = set()
        for source in attribute.sources:
            words = limits(place.world.vocabulary, source.type, source.path or "").words
            if words is None:
                return None
            found |= words
        return found

    def _decided(self, node: nodes.Binary) -> None:
        """A comparison of numbers that what they can be decides."""
        for side, other in ((node.left, node.right), (node.right, node.left)):
            held = self.set.range(side)
            if held.known is False:
                self._unknown(side)
                return
            if held.words is not None or (isinstance(other, nodes.Literal) and isinstance(other.value, str)):
                return
        if not self.set.can(self.set.true(node)):
            what = "can never be"
        elif not self.free.can(self.free.false(node)):
            what = "is always so"
        else:
            return
        text = self.found.shown(node)
        if not _names(node):
            return  # a constant condition is told as such
        msg = f"{self.found.label}: `{text}` {what}: {self._bounds(node)}"
        self.report.add(
            "out-of-range", self.found.spot(node.at), msg, "Compare it with a value that it can pass"
        )

    def _bounds(self, node: nodes.Binary) -> str:
        side = node.left if _names(node.left) else node.right
        held, name = self.set.range(side), self.found.shown(side)
        if self._past(side):
            return f"when the guard is asked, the event has been counted, so {name} is 1 at least"
        if math.isinf(held.least) and math.isinf(held.most):
            return "both sides are the same"
        least, most = (
            _spelled(end) if self._is_length(side) else f"{end:g}" for end in (held.least, held.most)
        )
        if math.isinf(held.most):
            return f"{name} is never below {least}"
        if math.isinf(held.least):
            return f"{name} is never above {most}"
        return f"{name} is {least} there" if least == most else f"{name} runs from {least} to {most}"

    def _past(self, side: Node) -> bool:
        place, path = self.found.place, nodes.path_of(side)
        attribute = None if path is None else place.world.journey.attributes.get(path)
        return attribute is not None and place.possible(attribute.name) != place.attribute(attribute)

    def _known(self, node: nodes.Call) -> None:
        if self.set.range(node.arguments[0]).known is False:
            self._unknown(node.arguments[0])

    def _unknown(self, side: Node) -> None:
        name = self.found.shown(side)
        msg = f"{self.found.label}: {name} is never known: no event that it comes from has it"
        self.report.add("never-known", self.found.spot(side.at), msg, SCORED)

    def _seconds(self, side: Node, value: Node) -> None:
        """A length of time against a number without a unit."""
        if not self._is_length(side):
            return
        number, number_text, hint = self._bare(value)
        if 0 < number < SHORT:
            name = self.found.shown(side)
            msg = f"{self.found.label}: {name} is a time in seconds, and {number_text} has no unit"
            self.report.add("bare-seconds", self.found.spot(value.at), msg, hint)

    def _bare(self, value: Node) -> tuple[float, str, str]:
        """A number without unit, how it is written, and what to write instead; 0 for anything else."""
        if isinstance(value, nodes.Literal) and isinstance(value.value, int | float):
            number_text = self.found.numeral(value)
            number = 0 if duration(number_text) is not None else value.value
            return number, number_text, f"Write {number_text}s, {number_text}h or {number_text}d"
        if isinstance(value, nodes.Name) and value.name not in self.lengths:
            given = self.found.place.world.journey.parameters.get(value.name)
            if isinstance(given, float):
                hint = f"Give the parameter a unit, such as {given:g}d"
                return given, f"the parameter {value.name}", hint
        return 0, "", ""

    def _is_length(self, side: Node) -> bool:
        match side:
            case nodes.Name("dwell") | nodes.Call("oldest"):
                return not self.found.place.over_event
            case nodes.Binary("-", nodes.Name("now")):
                return True
            case nodes.Name() | nodes.Select():
                path = nodes.path_of(side)
                attributes = self.found.place.world.journey.attributes
                attribute = None if path is None else attributes.get(path.removeprefix("before."))
                is_length = attribute is not None and attribute.form in ("elapsed", "rhythm")
                return is_length and not self.found.place.over_event
            case _:
                return False


def _each(node: Node, items: Mapping[str, Node]) -> Iterator[tuple[Node, Mapping[str, Node]]]:
    """Each node, with the variables of the macros around it and what they go through."""
    yield node, items
    if isinstance(node, nodes.Macro):
        yield from _each(node.target, items)
        inner = {**items, node.variable: node.target}
        for part in (node.predicate, node.body):
            if part is not None:
                yield from _each(part, inner)
        return
    for child in nodes.children(node):
        yield from _each(child, items)


def _spelled(seconds: float) -> str:
    return written(round(seconds * SECOND)) if math.isfinite(seconds) else ""


def _names(node: Node) -> bool:
    return any(isinstance(each, nodes.Name | nodes.Call) for each in nodes.walk(node))
