"""Types of a guard: each node gets one, and each mistake becomes a Problem with a way out.

In: an expression and its scope. Out: `Checked` (the type of every node, the binding of every name), which the
compiler reads, and the problems. After a problem the type is `dyn`, so that one mistake is told once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from journey_stream.journeys.guards import nodes
from journey_stream.journeys.guards.check_calls import FUNCTIONS, function, method
from journey_stream.journeys.guards.nodes import Node
from journey_stream.journeys.guards.parse import Expression
from journey_stream.journeys.guards.suggest import a, conversion, did_you_mean, example
from journey_stream.journeys.guards.types import (
    BOOL,
    DOUBLE,
    DYN,
    INT,
    NULL,
    STRING,
    Binding,
    Problem,
    Rule,
    Scope,
    Type,
    Variables,
    comparable,
    list_of,
    map_of,
    unify,
)


@dataclass(slots=True)
class Checked:
    """What the compiler needs beside the tree; nodes are told apart by identity."""

    expression: Expression
    types: dict[int, Type] = field(default_factory=dict)
    bindings: dict[int, tuple[str, Binding]] = field(default_factory=dict)
    """Key (a dotted path, or `stage("x")`) and binding of each node that reads from the scope."""
    problems: list[Problem] = field(default_factory=list)

    def type_of(self, node: Node) -> Type:
        """Return the type that was found for a node of this expression."""
        return self.types[id(node)]


def check(expression: Expression, scope: Scope) -> tuple[Type, list[Problem]]:
    """Return the type of the expression and everything that is wrong with it, in the order of the text."""
    checked = examine(expression, scope)
    problems = sorted(checked.problems, key=lambda problem: (problem.line, problem.column))
    return checked.type_of(expression.root), problems


def examine(expression: Expression, scope: Scope) -> Checked:
    """Type every node; what the compiler starts from."""
    checked = Checked(expression)
    Checker(checked, scope).infer(expression.root, {})
    return checked


class Checker:
    """Goes down the tree; `variables` are those of the macros around."""

    def __init__(self, checked: Checked, scope: Scope) -> None:
        self.checked = checked
        self.scope = scope

    def problem(self, rule: Rule, node: Node, message: str, suggestion: str) -> Type:
        """Note a mistake; the type is anybody's guess then."""
        line, column = self.checked.expression.place(node.at)
        self.checked.problems.append(Problem(rule, message, suggestion, column, line))
        return DYN

    def wrong(self, node: Node, message: str, suggestion: str) -> Type:
        """Note a type that does not fit."""
        return self.problem("wrong-type", node, message, suggestion)

    def bind(self, node: Node, key: str, binding: Binding) -> Type:
        """Note what a node reads from the scope."""
        self.checked.bindings[id(node)] = (key, binding)
        return binding.type

    def infer(self, node: Node, variables: Variables) -> Type:
        """Find the type of a node and all below it."""
        found = self._infer(node, variables)
        self.checked.types[id(node)] = found
        return found

    def _infer(self, node: Node, variables: Variables) -> Type:  # noqa: C901 - a case for each kind of node
        match node:
            case nodes.Literal(_, "null"):
                return NULL
            case nodes.Literal(_, kind):
                return Type(kind)
            case nodes.Name(name):
                return self._name(node, name, variables)
            case nodes.Select():
                return self._select(node, variables)
            case nodes.Index(target, key):
                return self._index(node, self.infer(target, variables), self.infer(key, variables))
            case nodes.Unary("!", operand):
                return self.boolean(operand, self.infer(operand, variables), "!")
            case nodes.Unary(_, operand):
                found = self.infer(operand, variables)
                return found if found.numeric else self.wrong(node, f"- of {a(found)}", "- takes a number")
            case nodes.Logic(op, operands):
                for operand in operands:
                    self.boolean(operand, self.infer(operand, variables), op)
                return BOOL
            case nodes.Binary(op, left, right):
                return self._binary(node, op, self.infer(left, variables), self.infer(right, variables))
            case nodes.Ternary(condition, then, otherwise):
                self.boolean(condition, self.infer(condition, variables), "?")
                return self._both(node, [then, otherwise], variables, "the two sides of :")
            case nodes.ListLit(items):
                return list_of(self._both(node, items, variables, "the items of a list"))
            case nodes.MapLit(entries):
                return self._map_literal(node, entries, variables)
            case nodes.Macro():
                return self._macro(node, variables)
            case nodes.Call():
                if node.target is None:
                    return function(self, node, variables)
                return method(self, node, self.infer(node.target, variables), variables)

    def _name(self, node: Node, name: str, variables: Variables) -> Type:
        if name in variables:
            return variables[name]
        binding = self.scope.lookup(name)
        if binding is not None:
            return self.bind(node, name, binding)
        fields = self.scope.members(name)
        if fields is not None:
            way_out = f"write {name}.{example(fields)}" if fields else "nothing of it is known here"
            return self.problem("unknown-name", node, f"`{name}` is no value of its own", way_out)
        if name in FUNCTIONS:
            return self.problem("unknown-name", node, f"`{name}` is a function", f"write {name}(...)")
        known = [*self.scope.names(), *variables]
        return self.problem(
            "unknown-name", node, f"nothing is called `{name}` here", did_you_mean(name, known)
        )

    def _select(self, node: nodes.Select, variables: Variables) -> Type:
        owner = nodes.path_of(node.target)
        if owner is not None and owner.split(".", 1)[0] not in variables:
            members = self.scope.members(owner)
            if members is not None:
                binding = self.scope.lookup_member(owner, node.field)
                if binding is not None:
                    return self.bind(node, f"{owner}.{node.field}", binding)
                message = f"`{owner}` has no `{node.field}`"
                return self.problem("unknown-name", node, message, did_you_mean(node.field, members))
        target = self.infer(node.target, variables)
        match target.name:
            case "dyn":
                return DYN
            case "map" if target.of[0] in (STRING, DYN):
                return target.value
            case "record":
                found = target.field_type(node.field)
                if found is not None:
                    return found
                known = [name for name, _ in target.fields]
                message = f"there is no `{node.field}` in it"
                return self.problem("unknown-name", node, message, did_you_mean(node.field, known))
            case _:
                pass
        return self.wrong(
            node, f".{node.field} of {a(target)}", "only maps and items with fields have names inside"
        )

    def _index(self, node: nodes.Index, target: Type, key: Type) -> Type:
        match target.name:
            case "list":
                if key not in (INT, DYN):
                    self.wrong(
                        node.key, f"a list is indexed by an int, not by {a(key)}", "write [0] for the first"
                    )
                return target.item
            case "map":
                if not comparable(target.of[0], key):
                    self.wrong(node.key, f"its keys are {target.of[0]}, not {key}", f"give {a(target.of[0])}")
                return target.value
            case "dyn":
                return DYN
            case _:
                pass
        return self.wrong(node, f"[...] of {a(target)}", "only lists and maps are indexed")

    def boolean(self, node: Node, found: Type, op: str) -> Type:
        """Want true or false."""
        if found not in (BOOL, DYN):
            way_out = 'compare it with something: > 0, == "...", or ask has(...)'
            self.wrong(node, f"{op} takes true or false, not {a(found)}", way_out)
        return BOOL

    def _binary(self, node: nodes.Binary, op: str, left: Type, right: Type) -> Type:
        match op:
            case "==" | "!=":
                if NULL in (left, right):
                    asked = nodes.to_text(node.right if left == NULL else node.left)
                    way_out = f"write {'!' if op == '==' else ''}has({asked})"
                    self.wrong(node, "what was never set is unknown, and equal to nothing", way_out)
                elif not comparable(left, right):
                    self.wrong(
                        node, f"{left} {op} {right} compares two kinds of things", conversion(left, right)
                    )
                return BOOL
            case "<" | "<=" | ">" | ">=":
                ordered = (
                    (left.numeric and right.numeric)
                    or {left, right} <= {STRING, DYN}
                    or {left, right} <= {BOOL, DYN}
                )
                if not ordered:
                    self.wrong(node, f"{left} {op} {right} has no order", conversion(left, right))
                return BOOL
            case "in":
                return self._membership(node, left, right)
            case "+" if {left, right} <= {STRING, DYN} and STRING in (left, right):
                return STRING
            case "+" if left.name == "list" and right.name in ("list", "dyn"):
                element = unify(left.of[0], right.of[0]) if right.of else DYN
                return list_of(element or DYN)
            case "+" if left == DYN and right.name == "list":
                return list_of(DYN)
            case "%" if DOUBLE in (left, right) and left.numeric and right.numeric:
                return self.wrong(
                    node, f"{left} % {right}: % is for ints", "write int(...) around the double"
                )
        if left.numeric and right.numeric:
            return DYN if DYN in (left, right) else DOUBLE if DOUBLE in (left, right) else INT
        return self.wrong(node, f"{left} {op} {right} cannot be computed", conversion(left, right))

    def _membership(self, node: nodes.Binary, left: Type, right: Type) -> Type:
        if right.name in ("list", "map"):
            if not comparable(left, right.of[0]):
                self.wrong(node, f"{a(left)} is never in {a(right)}", conversion(left, right.of[0]))
        elif right == STRING:
            way_out = f"write {nodes.to_text(node.right)}.contains({nodes.to_text(node.left)})"
            self.wrong(node, "`in` looks into lists and maps, not into text", way_out)
        elif right != DYN:
            self.wrong(node, f"`in` looks into lists and maps, not into {a(right)}", 'write in ["a", "b"]')
        return BOOL

    def _both(self, node: Node, parts: Iterable[Node], variables: Variables, what: str) -> Type:
        """Return the one type of several nodes."""
        found = NULL
        for part in parts:
            other = self.infer(part, variables)
            united = unify(found, other)
            if united is None:
                return self.wrong(part, f"{what} are {found} and {other}", conversion(found, other))
            found = united
        return found

    def _map_literal(self, node: Node, entries: tuple[tuple[Node, Node], ...], variables: Variables) -> Type:
        key = self._both(node, [key for key, _ in entries], variables, "the keys of a map")
        if key not in (STRING, INT, BOOL, DYN, NULL) or (key == NULL and entries):
            key = self.wrong(node, f"{a(key)} cannot be a key of a map", "keys are strings, ints or bools")
        given = [(each.kind, each.value) for each, _ in entries if isinstance(each, nodes.Literal)]
        if len(set(given)) < len(given):
            self.problem("bad-call", node, "a key stands twice in the map", "leave one of the two out")
        values = [self.infer(value, variables) for _, value in entries]
        value = NULL
        for other in values:
            value = unify(value, other) or DYN
        return map_of(key, value)

    def _macro(self, node: nodes.Macro, variables: Variables) -> Type:
        target = self.infer(node.target, variables)
        if target.name not in ("list", "map", "dyn"):
            self.wrong(
                node.target, f"{node.kind}() goes through lists and maps, not {a(target)}", "give a list"
            )
        item = target.item
        inner = {**variables, node.variable: item}
        if node.predicate is not None:
            self.boolean(node.predicate, self.infer(node.predicate, inner), f"{node.kind}()")
        body = self.infer(node.body, inner)
        if node.kind == "map":
            return list_of(body)
        self.boolean(node.body, body, f"{node.kind}()")
        return list_of(item) if node.kind == "filter" else BOOL
