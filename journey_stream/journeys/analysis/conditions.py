"""Conditions that cannot hold, cannot fail, or make no difference where they stand.

In: a written expression. Out: findings `never-true`, `always-true` and `idle-trigger`. Each part of an
expression that decides something is looked at, given what was decided before it: in `a && b`, b is asked when
a holds.
"""

from __future__ import annotations

from journey_stream.journeys.analysis.logic import Formula, opposite
from journey_stream.journeys.analysis.truth import Question
from journey_stream.journeys.analysis.written import Written
from journey_stream.journeys.findings import Report
from journey_stream.journeys.guards import nodes
from journey_stream.journeys.guards.nodes import Node
from journey_stream.journeys.model import ACTIVITY


def check_conditions(found: Written, report: Report) -> None:
    """Look at all conditions of one expression."""
    _Conditions(found, report).check()


class _Conditions:
    """The conditions of one expression."""

    def __init__(self, found: Written, report: Report) -> None:
        self.found, self.report = found, report
        self.set = Question(found.place)
        self.free = Question(found.place, fixed=False)
        """With parameters at any value: what is always true only as they are set now is as meant."""

    def check(self) -> None:
        root = self.found.expression.root
        given = [
            (Question(place), Question(place, fixed=False), each.root) for each, place in self.found.given
        ]
        context = tuple(fixed.true(node) for fixed, _, node in given)
        loosely = tuple(free.true(node) for _, free, node in given)
        for fixed, free, _ in given:
            self.set.terms |= fixed.terms
            self.free.terms |= free.terms
        if not self.set.can(*context):
            return  # what stands before it has the finding
        if self.found.is_condition and not self.set.can(*context, self.set.true(root)):
            self._never(root, context)
            return
        self._go(root, context, loosely, is_asked=self.found.is_condition)
        if self.found.is_condition:
            self._by_type(root)

    def _go(
        self, node: Node, context: tuple[Formula, ...], loosely: tuple[Formula, ...], *, is_asked: bool
    ) -> None:
        """Look at a part, given what holds wherever it is asked."""
        if is_asked:
            if not self.set.can(*context, self.set.true(node)):
                self._never(node, context)
                return
            if not self.free.can(*loosely, self.free.false(node)) and self.free.can(*loosely):
                self._always(node, loosely)
                return
        match node:
            case nodes.Logic(op, operands):
                for operand in operands:
                    self._go(operand, context, loosely, is_asked=True)
                    passed = self.set.true(operand), self.free.true(operand)
                    if op == "||":
                        passed = opposite(passed[0]), opposite(passed[1])
                    context, loosely = (*context, passed[0]), (*loosely, passed[1])
            case nodes.Ternary(condition, then, otherwise):
                self._go(condition, context, loosely, is_asked=True)
                yes = (*context, self.set.true(condition)), (*loosely, self.free.true(condition))
                no = (*context, self.set.false(condition)), (*loosely, self.free.false(condition))
                self._go(then, *yes, is_asked=False)
                self._go(otherwise, *no, is_asked=False)
            case nodes.Macro():
                pass  # its variable is nothing that is known here
            case _:
                for child in nodes.children(node):
                    self._go(child, context, loosely, is_asked=False)

    def _never(self, node: Node, context: tuple[Formula, ...]) -> None:
        """Say which part cannot hold: the first of an `&&` that does not go with those before it."""
        while isinstance(node, nodes.Logic) and node.op == "&&":
            for operand in node.operands:
                if not self.set.can(*context, self.set.true(operand)):
                    break
                context = (*context, self.set.true(operand))
            node = operand
        alone = not self.set.can(self.set.true(node))
        why = "can never be true" if alone else "can never be true together with what is asked before it"
        msg = f"{self.found.label}: `{self._text(node)}` {why}"
        hint = "Mend it, or leave the rule or this part out"
        self.report.add("never-true", self.found.spot(node.at), msg, hint)

    def _always(self, node: Node, context: tuple[Formula, ...]) -> None:
        is_certain = not self.free.can(*context, opposite(self.free.true(node)))
        alone = not self.free.can(self.free.false(node))
        why = "is always true" if is_certain else "is never false"
        if not alone:
            why += " after what is asked before it"
        msg = f"{self.found.label}: `{self._text(node)}` {why}"
        hint = "Leave it out" if is_certain else "Ask has(...) if that it is known is what is meant"
        self.report.add("always-true", self.found.spot(node.at), msg, hint)

    def _by_type(self, root: Node) -> None:
        """Find the event types of which the condition can never hold."""
        if len(self.found.words) < 2:
            return
        for word, spot in self.found.words:
            kind = self.found.place.world.vocabulary.get(word)
            if word == ACTIVITY or kind is None:
                continue
            question = Question(self.found.place.narrowed(kind.name))
            formulas = [question.true(root)]
            for expression, place in self.found.given:
                before = Question(place.narrowed(kind.name))
                formulas.append(before.true(expression.root))
                question.terms |= before.terms
            if not question.can(*formulas):
                msg = f"{self.found.label} can never be true of {kind.name}"
                hint = "Leave that type out, or ask for what its events have"
                self.report.add("idle-trigger", spot, msg, hint)

    def _text(self, node: Node) -> str:
        return self.found.shown(node)
