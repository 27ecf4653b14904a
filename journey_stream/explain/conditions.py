"""What a guard asks of a customer now: its parts, each with its values and how far it is from being true.

In: the guards of a program while it is compiled (`Conditions` is a watch), later a customer's state and a
time. Out: `Condition`s. Strategy: a guard is taken apart at its outermost `&&`; each part is the worker's own
compiled code. A part that speaks of the event to come, or of the time before it, is not decided now. Where a
derived attribute is not true, its own parts say why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

import msgspec

from journey_stream.engine.state import Customer
from journey_stream.engine.watch import Watch, dissect, written
from journey_stream.journeys.guards import Expression, Guard, Scope, compile_expr, nodes
from journey_stream.journeys.model import Journey
from journey_stream.journeys.places import VALUE, GuardPlace

LATER = frozenset({"event", "before", "id"})
"""Names that have no value until the event, or the timer, is there."""
_TURNED = {">=": "<=", "<=": ">=", ">": "<", "<": ">", "==": "==", "!=": "!="}


class Gap(msgspec.Struct, frozen=True):
    """A number that is not where it has to be."""

    name: str
    """The attribute; of `size(x)`, x."""
    has: float
    op: str
    needs: float

    @property
    def more(self) -> float | None:
        """How much is missing upwards; None when it would have to fall."""
        return self.least - self.has if self.op in (">=", ">", "==") and self.has < self.least else None

    @property
    def least(self) -> float:
        """The first number that is enough; what is no count has to exceed `needs` in `>`."""
        return self.needs + 1 if self.op == ">" and isinstance(self.has, int) else self.needs


class Condition(msgspec.Struct, frozen=True):
    """One part of a guard, asked now."""

    text: str
    holds: bool | None
    """None: unknown, or not decided before the event comes (`later`)."""
    later: bool
    values: dict[str, Any]
    """What it names; None is unknown."""
    gap: Gap | None = None
    because: tuple[Condition, ...] = ()
    """Of a derived attribute that is not true (or not false, as it should be): the parts that make it so."""


class Conditions(Watch):
    """A watch that keeps what guards are made of."""

    def __init__(self) -> None:
        super().__init__()
        self._guards: dict[GuardPlace, tuple[Expression, Scope, Mapping[str, object]]] = {}

    def over(
        self, at: GuardPlace, expression: Expression, scope: Scope, env: Mapping[str, object], guard: Guard
    ) -> Guard:
        """Keep the guard's parts; the program runs the guard as it is."""
        self._guards.setdefault(at, (expression, scope, env))
        return guard

    def ask(self, journey: Journey, at: GuardPlace, c: Customer, t: int) -> tuple[Condition, ...]:
        """Ask the parts of one guard about a customer at a time; empty when there is no such guard."""
        kept = self._guards.get(at)
        if kept is None:
            return ()
        expression, scope, env = kept
        parts = _parts(expression.root)
        anatomies = dissect(expression, scope, env)
        found = []
        for node, anatomy in zip(parts, anatomies, strict=True):
            if _later(journey, node):
                found.append(Condition(anatomy.text, None, later=True, values={}))
                continue
            said = anatomy.guard(c, None, t)
            values = {name: read(c, None, t) for name, read in anatomy.names}
            holds = said if isinstance(said, bool) else None
            gap = None if holds else _gap(node, scope, env, c, t, journey)
            because = () if holds else self._because(journey, node, c, t)
            text = f"!{written(node.operand)}" if _negated(node) else anatomy.text
            found.append(Condition(text, holds, later=False, values=values, gap=gap, because=because))
        return tuple(found)

    def _because(self, journey: Journey, node: nodes.Node, c: Customer, t: int) -> tuple[Condition, ...]:
        """If the part is a derived attribute, or its opposite, say which of its own parts are in the way."""
        name = node.operand if _negated(node) else node
        if not isinstance(name, nodes.Name):
            return ()
        asked = self.ask(journey, GuardPlace(journey.name, "attribute", name.name, VALUE), c, t)
        return tuple(each for each in asked if each.holds is not (name is node))


def _negated(node: nodes.Node) -> TypeGuard[nodes.Unary]:
    return isinstance(node, nodes.Unary) and node.op == "!" and isinstance(node.operand, nodes.Name)


def _parts(root: nodes.Node) -> tuple[nodes.Node, ...]:
    return root.operands if isinstance(root, nodes.Logic) and root.op == "&&" else (root,)


def _later(journey: Journey, node: nodes.Node) -> bool:
    """Whether a part, or a derived attribute that it names, speaks of what is not there yet."""
    for path in nodes.free_paths(node):
        name = path.partition(".")[0]
        if name in LATER:
            return True
        attribute = journey.attributes.get(name)
        if attribute is not None and attribute.value is not None and _later(journey, attribute.value.root):
            return True
    return False


def _gap(
    node: nodes.Node, scope: Scope, env: Mapping[str, object], c: Customer, t: int, journey: Journey
) -> Gap | None:
    """Measure a comparison of an attribute with a number that does not depend on the customer."""
    if not isinstance(node, nodes.Binary) or node.op not in _TURNED:
        return None
    for side, other, op in ((node.left, node.right, node.op), (node.right, node.left, _TURNED[node.op])):
        name = _measured(side)
        if name in journey.attributes and set(nodes.free_paths(other)) <= set(journey.parameters):
            has, needs = (
                compile_expr(Expression(each, written(each)), scope, env)(c, None, t)
                for each in (side, other)
            )
            if _number(has) and _number(needs):
                return Gap(name, has, op, needs)
    return None


def _measured(node: nodes.Node) -> str:
    """The attribute that a side of a comparison is: itself, or its size."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Call) and node.function == "size" and len(node.arguments) == 1:
        inner = node.arguments[0]
        return inner.name if isinstance(inner, nodes.Name) else ""
    return ""


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
