"""Expressions to formulas: when is it true, when is it false; else it is unknown.

In: an expression and its place. Out: for any part of it the `logic.Formula` of its being true, or false, over
terms with canonical keys: the same property is one term in `where` and in `when`, derived attributes are
replaced by what they are derived from, parameters by their values. What is not understood (a macro, a call)
becomes a term of its own, about which nothing is assumed but that it is not true and false at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from journey_stream.journeys.analysis.logic import (
    ANYTHING,
    INVERSE,
    MIRROR,
    TRUE,
    Both,
    Either,
    Formula,
    Known,
    Number,
    Order,
    Possible,
    Word,
    can_hold,
)
from journey_stream.journeys.analysis.place import Place
from journey_stream.journeys.guards import Expression, PlainScope, compile_expr, nodes
from journey_stream.journeys.guards.check import Checked, examine
from journey_stream.journeys.guards.compile import GuardTypeError
from journey_stream.journeys.guards.nodes import Node
from journey_stream.journeys.guards.types import BOOL, DYN, STRING, Type
from journey_stream.journeys.sharing import literal

LARGEST = 1_500
"""Nodes; a tree that derived attributes make larger keeps their names."""
_NOTHING = PlainScope({})


@dataclass
class Question:
    """Terms and formulas of one place; parts of one expression, or of several that hold together."""

    place: Place
    fixed: bool = True
    """Parameters stand for their values. Truth values never do: they are switches, there to be set."""
    terms: dict[str, Possible] = field(default_factory=dict)

    def true(self, part: Node) -> Formula:
        """When a part of an expression is true."""
        return self._reading(part).formula(want=True)

    def false(self, part: Node) -> Formula:
        """When it is false."""
        return self._reading(part).formula(want=False)

    def range(self, part: Node) -> Possible:
        """What a part of an expression can be."""
        return self._reading(part).range()

    def known(self, part: Node) -> Formula:
        """When it is not unknown."""
        return self._reading(part).known()

    def can(self, *formulas: Formula) -> bool:
        """Tell whether all can hold at once; True when in doubt."""
        return can_hold(formulas, self.possible)

    def possible(self, term: str) -> Possible:
        """What a term can be."""
        found = self.terms.get(term)
        if found is None:
            found = self.terms[term] = self.place.possible(term)
        return found

    def _reading(self, part: Node) -> _Reading:
        resolved = self._resolved(part, derived=self.place.world.weight(part) <= LARGEST)
        words = self.place.words
        scope = self.place.world.scopes.when(words, self.place.id_)
        return _Reading(self, resolved, examine(Expression(resolved, ""), scope))

    def _resolved(self, part: Node, *, derived: bool) -> Node:
        """The part with properties as `event.x`, parameters as values, derived attributes spelled out."""
        attributes, parameters = self.place.world.journey.attributes, self.place.world.journey.parameters

        def named(node: Node, bound: frozenset[str]) -> Node | None:
            if not self.place.over_event or not isinstance(node, nodes.Name) or node.name in bound:
                return None
            if self.place.is_parameter(node.name):
                return None
            return nodes.Select(nodes.Name("event", at=node.at), node.name, at=node.at)

        def swap(node: Node, bound: frozenset[str]) -> Node | None:
            if isinstance(node, nodes.Call) and node.function == "has" and node.target is None:
                return nodes.rebuilt(node, named, bound)
            if not isinstance(node, nodes.Name) or node.name in bound:
                return None
            if self.place.is_parameter(node.name):
                value = parameters[node.name]
                return literal(value, node.at) if self.fixed and not isinstance(value, bool) else None
            attribute = None if self.place.over_event else attributes.get(node.name)
            if derived and attribute is not None and attribute.value is not None:
                return nodes.rebuilt(attribute.value.root, swap)
            return named(node, bound)

        return nodes.rebuilt(part, swap)


@dataclass
class _Reading:
    """One resolved tree with its types."""

    question: Question
    root: Node
    checked: Checked

    def formula(self, *, want: bool) -> Formula:
        if self.checked.problems:
            return TRUE  # in doubt
        return self._truth(self.root, want)

    def known(self) -> Formula:
        return TRUE if self.checked.problems else Known(self._term(self.root), True)

    def range(self) -> Possible:
        return ANYTHING if self.checked.problems else self._range(self.root)

    def _truth(self, node: Node, want: bool) -> Formula:
        match node:
            case nodes.Literal(bool() as value):
                return Both(()) if value is want else Either(())
            case nodes.Unary("!", operand):
                return self._truth(operand, not want)
            case nodes.Logic(op, operands):
                parts = tuple(self._truth(operand, want) for operand in operands)
                return Both(parts) if (op == "&&") is want else Either(parts)
            case nodes.Ternary(condition, then, otherwise):
                return self._chosen(condition, self._truth(then, want), self._truth(otherwise, want))
            case nodes.Call("has", (asked,), None):
                return Known(self._term(asked), want)
            case nodes.Binary(op, left, right) if op in INVERSE:
                return self._compared(node, op, left, right, want)
            case nodes.Binary("in", left, nodes.ListLit(items)):
                return self._listed(node, left, items, want)
            case _:
                return self._opaque(node, want)

    def _chosen(self, condition: Node, then: Formula, otherwise: Formula) -> Formula:
        yes = Both((self._truth(condition, True), then))
        no = Both((self._truth(condition, False), otherwise))
        return Either((yes, no))

    def _opaque(self, node: Node, want: bool) -> Formula:
        term = self._term(node)
        if self._type(node) == BOOL:
            self.question.terms[term] = replace(self.question.possible(term), words=frozenset([True, False]))
        return Word(term, frozenset([want]))

    def _compared(self, node: Node, op: Order, left: Node, right: Node, want: bool) -> Formula:
        for side, other, order in ((left, right, op), (right, left, MIRROR[op])):
            value = self._constant(other)
            if value is None:
                continue
            if isinstance(side, nodes.Ternary):
                then, otherwise = (
                    self._compared(nodes.Binary(order, branch, other), order, branch, other, want)
                    for branch in (side.then, side.otherwise)
                )
                return self._chosen(side.condition, then, otherwise)
            return self._with_constant(node, side, order, value, want)
        if self._type(left).numeric and self._type(right).numeric and DYN not in self._types(left, right):
            return self._difference(node, op, left, right, want)
        return self._opaque(node, want)

    def _with_constant(self, node: Node, side: Node, order: Order, value: object, want: bool) -> Formula:
        if self._type(side) == DYN:
            return self._opaque(node, want)
        constant = self._constant(side)
        if constant is not None:
            return self._decided(node, want)
        term = self._term(side)
        if isinstance(value, bool | str):
            if order not in ("==", "!="):
                return self._opaque(node, want)
            return Word(term, frozenset([value]), among=(order == "==") is want)
        if isinstance(value, int | float):
            return Number(term, order if want else INVERSE[order], value)
        return self._opaque(node, want)

    def _decided(self, node: Node, want: bool) -> Formula:
        """A part without names has one value."""
        return Both(()) if self._constant(node) is want else Either(())

    def _difference(self, node: Node, op: Order, left: Node, right: Node, want: bool) -> Formula:
        """Two terms: their order is that of their difference and zero."""
        one, other = self._key(left), self._key(right)
        if one > other:
            one, other, left, right, op = other, one, right, left, MIRROR[op]
        term = f"{one} <> {other}"
        needs = self._needs(left) | self._needs(right)
        difference = (
            Possible(least=0, most=0) if one == other else self._range(nodes.Binary("-", left, right))
        )
        self.question.terms[term] = replace(difference, needs=needs)
        return Number(term, op if want else INVERSE[op], 0)

    def _listed(self, node: Node, left: Node, items: tuple[Node, ...], want: bool) -> Formula:
        values = [self._constant(item) for item in items]
        if self._type(left) == DYN or self._constant(left) is not None or any(v is None for v in values):
            return self._opaque(node, want)
        term = self._term(left)
        words = frozenset(value for value in values if isinstance(value, str | bool))
        numbers = [
            value for value in values if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        if len(words) + len(numbers) < len(set(values)) or (words and numbers):
            return self._opaque(node, want)
        if not numbers:
            return Word(term, words, among=want)
        parts = tuple(Number(term, "==" if want else "!=", number) for number in numbers)
        return Either(parts) if want else Both(parts)

    # Terms.

    def _type(self, node: Node) -> Type:
        return self.checked.types.get(id(node), DYN)

    def _types(self, *parts: Node) -> set[Type]:
        return {self._type(part) for part in parts}

    def _constant(self, node: Node) -> object:
        """The value of a part without names; None if it has any, or no value."""
        if isinstance(node, nodes.Literal):
            return node.value
        if any(isinstance(each, nodes.Name | nodes.Macro) or _scoped(each) for each in nodes.walk(node)):
            return None
        try:
            return compile_expr(Expression(node, ""), _NOTHING)(None, None, 0)
        except GuardTypeError:
            return None

    def _key(self, node: Node) -> str:
        bound = self.checked.bindings.get(id(node))
        return nodes.to_text(node) if bound is None else bound[0]

    def _term(self, node: Node) -> str:
        """The key of a part that is not gone into, noted with what it can be."""
        key = self._key(node)
        if id(node) in self.checked.bindings:
            return key
        if key not in self.question.terms:
            self.question.terms[key] = replace(self._range(node), needs=self._needs(node))
        return key

    def _needs(self, node: Node) -> frozenset[str]:
        """The names without which the part is unknown."""
        if id(node) in self.checked.bindings:
            return frozenset([self._key(node)])
        match node:
            case nodes.Binary() | nodes.Unary("-") | nodes.Index() | nodes.Select():
                return _all(self._needs(child) for child in nodes.children(node))
            case nodes.Call(function) if function not in ("max", "min", "has"):
                return _all(self._needs(child) for child in nodes.children(node))
            case nodes.Macro(_, target):
                return self._needs(target)
            case _:
                return frozenset()

    def _range(self, node: Node) -> Possible:
        """Between which numbers a part lies, or which words it can be."""
        if id(node) in self.checked.bindings:
            return self.question.possible(self._key(node))
        value = self._constant(node)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return Possible(least=value, most=value, whole=isinstance(value, int))
        match node:
            case nodes.Binary("+", left, right) if STRING not in self._types(left, right):
                one, other = self._range(left), self._range(right)
                whole = one.whole and other.whole
                return Possible(least=one.least + other.least, most=one.most + other.most, whole=whole)
            case nodes.Binary("-", left, right):
                one, other = self._range(left), self._range(right)
                whole = one.whole and other.whole
                return Possible(least=one.least - other.most, most=one.most - other.least, whole=whole)
            case nodes.Binary("*" | "/", left, right):
                signs = self._range(left).least >= 0 and self._range(right).least >= 0
                return Possible(least=0 if signs else -math.inf)
            case nodes.Call("size" | "abs" as function):
                return Possible(least=0, whole=function == "size")
            case nodes.Call("max" | "min" as function, parts):
                return self._extreme(function, parts)
            case nodes.Index(target):
                return self._item(target)
            case _:
                return ANYTHING

    def _extreme(self, function: str, parts: tuple[Node, ...]) -> Possible:
        """`max` and `min` leave out what is unknown: only what is always known bounds them for sure."""
        ranges = [self._range(part) for part in parts]
        sure = [each for each in ranges if each.known] or [
            Possible(least=min(each.least for each in ranges), most=max(each.most for each in ranges))
        ]
        least, most = min(each.least for each in ranges), max(each.most for each in ranges)
        if function == "max":
            return Possible(least=max(least, *(each.least for each in sure)), most=most)
        return Possible(least=least, most=min(most, *(each.most for each in sure)))

    def _item(self, target: Node) -> Possible:
        """What stands under a key of a map attribute."""
        name = self._key(target).removeprefix("before.")
        attribute = self.question.place.world.journey.attributes.get(name)
        if attribute is None or attribute.form != "map" or attribute.keeps != "last":
            return ANYTHING
        return self.question.place.sources(attribute, attribute.of)


def _scoped(node: Node) -> bool:
    return isinstance(node, nodes.Call) and node.function in ("stage", "entries", "oldest")


def _all(found: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*found)
