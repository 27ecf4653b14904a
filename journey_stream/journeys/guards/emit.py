"""Tree to Python's `ast`: what may be unknown is tested, what cannot be is computed straight away.

In: a checked expression. Out: one Python expression. Unknown is None, and most values are never None, so each
piece of code (`Code`) carries what is known of it: the tests that find it unknown, which names are known once
it was true or false (`has(x) && x > 1` needs no second test), which names were already read into a local.
`&&` and `||` absorb unknowns as CEL absorbs errors: false && unknown is false, true || unknown is true.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from journey_stream.journeys.guards import nodes
from journey_stream.journeys.guards.check import Checked
from journey_stream.journeys.guards.nodes import Node
from journey_stream.journeys.guards.operations import as_type, compute, select
from journey_stream.journeys.guards.pyast import any_of, call, constant, either, is_none, load, negate, walrus
from journey_stream.journeys.guards.types import BOOL, DOUBLE, DYN, INT, Binding, Type

Keys = frozenset[str]
_NONE: Keys = frozenset()
_MACROS = {
    "all": "cel_every",
    "exists": "cel_some",
    "exists_one": "cel_exactly_one",
    "filter": "cel_kept",
    "map": "cel_mapped",
}


@dataclass(frozen=True, slots=True)
class Known:
    """What is certain at a point of the code: names read into locals, names that are not unknown."""

    locals: Mapping[str, str] = field(default_factory=dict)
    sure: Keys = _NONE

    def assuming(self, keys: Keys) -> Known:
        """Add names that are not unknown."""
        return replace(self, sure=self.sure | keys) if keys else self

    def reading(self, other: Known) -> Known:
        """Add the locals that code before has filled."""
        return replace(self, locals={**self.locals, **other.locals}) if other.locals else self


@dataclass(frozen=True, slots=True)
class Code:
    """A Python expression in two parts: tests that find it unknown, and the value if none of them does."""

    node: ast.expr
    """The value, once all tests are passed; it may use locals that they fill."""
    after: Known
    """What is certain once the whole was evaluated, whatever it gave."""
    tests: tuple[ast.expr, ...] = ()
    nullable: bool = False
    """Even then, `node` may be None."""
    true: Keys = _NONE
    """Names that are known if it is True."""
    false: Keys = _NONE
    """Names that are known if it is False."""

    @property
    def maybe(self) -> bool:
        """It may be unknown."""
        return self.nullable or bool(self.tests)

    @property
    def expr(self) -> ast.expr:
        """The whole as one expression."""
        return either(any_of(self.tests), constant(None), self.node) if self.tests else self.node


Variables = Mapping[str, str]
"""The variables of macros, and the numbered names they became."""


class Emitter:
    """Writes the code of one expression."""

    def __init__(self, checked: Checked) -> None:
        self._checked = checked
        self._reads = Counter(key for key, _ in checked.bindings.values())
        self._numbered = 0

    def value(self, node: Node, known: Known, variables: Variables) -> Code:
        """Write the code of a node, given what is known where it stands."""
        bound = self._checked.bindings.get(id(node))
        if bound is not None:
            return self._read(*bound, known)
        match node:
            case nodes.Literal(value):
                return Code(constant(value), known, nullable=value is None)
            case nodes.Name(name):
                return Code(load(variables[name]), known, nullable=self._type(node) == DYN)
            case nodes.Logic():
                return self._logic(node, known, variables)
            case nodes.Unary("!", operand):
                return self._negation(operand, known, variables)
            case nodes.Ternary():
                return self._ternary(node, known, variables)
            case nodes.Macro():
                return self._macro(node, known, variables)
            case nodes.Call("has", (asked,)):
                return self._has(asked, known, variables)
            case nodes.Call("max" | "min"):
                return self._extreme(node, known, variables)
            case _:
                return self._strict(node, known, variables)

    def _fresh(self) -> str:
        self._numbered += 1
        return f"v{self._numbered}"

    def _type(self, node: Node) -> Type:
        return self._checked.type_of(node)

    def _keys(self, node: Node) -> Keys:
        bound = self._checked.bindings.get(id(node))
        return _NONE if bound is None else frozenset([bound[0]])

    def _read(self, key: str, binding: Binding, known: Known) -> Code:
        """Read a name: from the local it was put into, or from where the scope says."""
        if binding.constant is not None:
            return Code(constant(binding.constant), known)
        maybe = not binding.always and key not in known.sure
        if key in known.locals:
            return Code(load(known.locals[key]), known, nullable=maybe)
        node = _parsed(binding.code)
        if self._reads[key] < 2:
            return Code(node, known, nullable=maybe)
        local = self._fresh()
        return Code(walrus(local, node), Known({**known.locals, key: local}, known.sure), nullable=maybe)

    def _named(self, node: ast.expr) -> tuple[str, ast.expr]:
        """Return the local that holds the value of `node`, and the expression that puts it there."""
        if isinstance(node, ast.Name):
            return node.id, node
        if isinstance(node, ast.NamedExpr):
            return node.target.id, node
        local = self._fresh()
        return local, walrus(local, node)

    def _settled(self, code: Code) -> tuple[tuple[ast.expr, ...], ast.expr]:
        """Return all tests that find `code` unknown, and a value that is known once they are passed."""
        if not code.nullable:
            return code.tests, code.node
        name, held = self._named(code.node)
        return (*code.tests, is_none(held)), load(name)

    def _strict(self, node: Node, known: Known, variables: Variables) -> Code:
        """Write what needs all its operands: first every test, then the computation.

        Operands without tests are evaluated last, so what they read into locals is no help to the others.
        """
        tests: list[ast.expr] = []
        operands: list[ast.expr] = []
        after: Known | None = None
        untested = known
        for part in nodes.children(node):
            code = self.value(part, known, variables)
            found, operand = self._settled(code)
            operands.append(operand)
            untested = untested.reading(code.after)
            if found:
                tests.extend(found)
                after = after or code.after
                known = known.reading(code.after).assuming(self._keys(part))
        types = [self._type(part) for part in nodes.children(node)]
        result, nullable = compute(node, operands, types, self._type(node))
        return Code(result, after or untested, tuple(tests), nullable)

    def _has(self, asked: Node, known: Known, variables: Variables) -> Code:
        """has(x): is it known? Of a field inside a value: the value itself has to be."""
        if isinstance(asked, nodes.Select) and not self._keys(asked):
            target = self.value(asked.target, known, variables)
            tests, operand = self._settled(target)
            if self._type(asked.target) == DYN:
                present: ast.expr = call("cel_present", operand, constant(asked.field))
                return Code(present, target.after, tests, nullable=True)
            found, _ = select(operand, asked.field, self._type(asked.target))
            return Code(ast.Compare(found, [ast.IsNot()], [constant(None)]), target.after, tests)
        code = self.value(asked, known, variables)
        if not code.maybe:
            return Code(constant(True), known)
        present = ast.Compare(code.expr, [ast.IsNot()], [constant(None)])
        return Code(present, code.after, true=self._keys(asked))

    def _negation(self, operand: Node, known: Known, variables: Variables) -> Code:
        code = self._condition(operand, known, variables)
        tests, value = self._settled(code)
        return Code(negate(value), code.after, tests, true=code.false, false=code.true)

    def _condition(self, node: Node, known: Known, variables: Variables) -> Code:
        """Write a value that has to be a bool; what turns out to be none is unknown."""
        code = self.value(node, known, variables)
        if self._type(node) == BOOL:
            return code
        return Code(call("cel_truth", code.expr), code.after, nullable=True)

    def _logic(self, node: nodes.Logic, known: Known, variables: Variables) -> Code:
        """Write `&&` or `||`: an operand is reached only when those before did not decide."""
        both = node.op == "&&"
        codes: list[Code] = []
        facts = _NONE
        for operand in node.operands:
            code = self._condition(operand, known, variables)
            codes.append(code)
            passed = code.true if both else code.false
            facts |= passed
            known = known.reading(code.after)
            if not code.maybe:
                known = known.assuming(passed)
        whole = Code(
            constant(None), codes[0].after, true=facts if both else _NONE, false=_NONE if both else facts
        )
        if not any(code.maybe for code in codes[:-1]):
            op: ast.boolop = ast.And() if both else ast.Or()
            return replace(
                whole, node=ast.BoolOp(op, [code.expr for code in codes]), nullable=codes[-1].maybe
            )
        deciding: list[ast.expr] = []
        unknowns: list[ast.expr] = []
        for code in codes:
            if not code.maybe:
                deciding.append(negate(code.node) if both else code.node)
                continue
            name, held = self._named(code.expr)
            deciding.append(ast.Compare(held, [ast.Is()], [constant(not both)]))
            unknowns.append(is_none(load(name)))
        undecided = either(any_of(unknowns), constant(None), constant(both))
        decided = either(any_of(deciding), constant(not both), undecided)
        return replace(whole, node=decided, nullable=True)

    def _ternary(self, node: nodes.Ternary, known: Known, variables: Variables) -> Code:
        condition = self._condition(node.condition, known, variables)
        tests, test = self._settled(condition)
        known = known.reading(condition.after)
        then = self.value(node.then, known.assuming(condition.true), variables)
        otherwise = self.value(node.otherwise, known.assuming(condition.false), variables)
        wanted = self._type(node)
        yes = self._as(then, self._type(node.then), wanted)
        no = self._as(otherwise, self._type(node.otherwise), wanted)
        return Code(either(test, yes, no), condition.after, tests, then.maybe or otherwise.maybe)

    def _as(self, code: Code, found: Type, wanted: Type) -> ast.expr:
        """Write the value as the wanted type, None staying None."""
        if not code.maybe or found != INT or wanted != DOUBLE:
            return as_type(code.expr, found, wanted)
        tests, value = self._settled(code)
        return either(any_of(tests), constant(None), as_type(value, found, wanted))

    def _extreme(self, node: nodes.Call, known: Known, variables: Variables) -> Code:
        """Write max() or min(): unknown operands are left out."""
        wanted = self._type(node)
        parts: list[ast.expr] = []
        nullable = True
        for argument in node.arguments:
            code = self.value(argument, known, variables)
            found = self._type(argument)
            parts.append(call("cel_number", code.expr) if found == DYN else self._as(code, found, wanted))
            nullable = nullable and (code.maybe or found == DYN)
            known = known.reading(code.after)
        result = parts[0]
        for part in parts[1:]:
            result = call("cel_larger" if node.function == "max" else "cel_smaller", result, part)
        return Code(result, known, nullable=nullable)

    def _macro(self, node: nodes.Macro, known: Known, variables: Variables) -> Code:
        target = self.value(node.target, known, variables)
        if self._type(node.target) == DYN:
            target = Code(call("cel_iterable", target.expr), target.after, nullable=True)
        tests, items = self._settled(target)
        # The lambda may run never or often: what it reads into locals stays inside.
        inside = known.reading(target.after).assuming(self._keys(node.target))
        if node.predicate is not None:
            kept = call("cel_kept", items, self._lambda(node, node.predicate, inside, variables, truth=True))
            name, held = self._named(kept)
            tests, items = (*tests, is_none(held)), load(name)
        body = self._lambda(node, node.body, inside, variables, truth=node.kind != "map")
        return Code(call(_MACROS[node.kind], items, body), target.after, tests, nullable=True)

    def _lambda(
        self, node: nodes.Macro, part: Node, known: Known, variables: Variables, *, truth: bool
    ) -> ast.expr:
        local = self._fresh()
        inner = {**variables, node.variable: local}
        code = self._condition(part, known, inner) if truth else self.value(part, known, inner)
        return ast.Lambda(ast.arguments([], [ast.arg(local)], None, [], [], None, []), code.expr)


@cache
def _parsed(code: str) -> ast.expr:
    return ast.parse(code, mode="eval").body
