"""Types of a guard: each node gets one, and each mistake becomes a Problem with a way out.

In: an expression and its scope. Out: `Checked` (the type of every node, the binding of every name), which the
compiler reads, and the problems. After a problem the type is `dyn`, so that one mistake is told once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from journey_stream.journeys.guards import nodes
from journey_stream.journeys.guards.nodes import Node
from journey_stream.journeys.guards.parse import Expression
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
    list_of,
    map_of,
)

SCOPED = ("stage", "entries", "oldest")
"""Functions that the scope answers."""
TEXT_METHODS = ("startsWith", "endsWith", "contains")
_FUNCTIONS = (
    "has",
    "max",
    "min",
    "size",
    "int",
    "double",
    "string",
    "abs",
    "ceil",
    "floor",
    "round",
    *SCOPED,
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
        return self.types[id(node)]


def check(expression: Expression, scope: Scope) -> tuple[Type, list[Problem]]:
    """Return the type of the expression and everything that is wrong with it, in the order of the text."""
    checked = examine(expression, scope)
    problems = sorted(checked.problems, key=lambda problem: (problem.line, problem.column))
    return checked.type_of(expression.root), problems


def examine(expression: Expression, scope: Scope) -> Checked:
    """Type every node; what the compiler starts from."""
    checked = Checked(expression)
    _Checker(checked, scope).infer(expression.root, {})
    return checked


Variables = Mapping[str, Type]


class _Checker:
    def __init__(self, checked: Checked, scope: Scope) -> None:
        self.checked = checked
        self.scope = scope

    def problem(self, rule: Rule, node: Node, message: str, suggestion: str) -> Type:
        line, column = self.checked.expression.place(node.at)
        self.checked.problems.append(Problem(rule, message, suggestion, column, line))
        return DYN

    def wrong(self, node: Node, message: str, suggestion: str) -> Type:
        return self.problem("wrong-type", node, message, suggestion)

    def bind(self, node: Node, key: str, binding: Binding) -> Type:
        self.checked.bindings[id(node)] = (key, binding)
        return binding.type

    def infer(self, node: Node, variables: Variables) -> Type:
        found = self._infer(node, variables)
        self.checked.types[id(node)] = found
        return found

    def _infer(self, node: Node, variables: Variables) -> Type:
        match node:
            case nodes.Literal(_, "null"):
                return NULL
            case nodes.Literal(_, kind):
                return Type(kind)
            case nodes.Name(name):
                return self.name(node, name, variables)
            case nodes.Select():
                return self.select(node, variables)
            case nodes.Index(target, key):
                return self.index(node, self.infer(target, variables), self.infer(key, variables))
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
                return self.binary(node, op, self.infer(left, variables), self.infer(right, variables))
            case nodes.Ternary(condition, then, otherwise):
                self.boolean(condition, self.infer(condition, variables), "?")
                return self.both(node, [then, otherwise], variables, "the two sides of :")
            case nodes.ListLit(items):
                return list_of(self.both(node, items, variables, "the items of a list"))
            case nodes.MapLit(entries):
                return self.map_literal(node, entries, variables)
            case nodes.Macro():
                return self.macro(node, variables)
            case nodes.Call():
                if node.target is None:
                    return self.function(node, variables)
                return self.method(node, self.infer(node.target, variables), variables)

    def name(self, node: Node, name: str, variables: Variables) -> Type:
        if name in variables:
            return variables[name]
        binding = self.scope.lookup(name)
        if binding is not None:
            return self.bind(node, name, binding)
        fields = self.scope.members(name)
        if fields is not None:
            way_out = f"write {name}.{example(fields)}" if fields else "nothing of it is known here"
            return self.problem("unknown-name", node, f"`{name}` is no value of its own", way_out)
        if name in _FUNCTIONS:
            return self.problem("unknown-name", node, f"`{name}` is a function", f"write {name}(...)")
        known = [*self.scope.names(), *variables]
        return self.problem(
            "unknown-name", node, f"nothing is called `{name}` here", did_you_mean(name, known)
        )

    def select(self, node: nodes.Select, variables: Variables) -> Type:
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
                return target.of[1]
            case "record":
                found = target.field_type(node.field)
                if found is not None:
                    return found
                known = [name for name, _ in target.fields]
                message = f"there is no `{node.field}` in it"
                return self.problem("unknown-name", node, message, did_you_mean(node.field, known))
        return self.wrong(
            node, f".{node.field} of {a(target)}", "only maps and items with fields have names inside"
        )

    def index(self, node: nodes.Index, target: Type, key: Type) -> Type:
        match target.name:
            case "list":
                if key not in (INT, DYN):
                    self.wrong(
                        node.key, f"a list is indexed by an int, not by {a(key)}", "write [0] for the first"
                    )
                return target.of[0]
            case "map":
                if not comparable(target.of[0], key):
                    self.wrong(node.key, f"its keys are {target.of[0]}, not {key}", f"give {a(target.of[0])}")
                return target.of[1]
            case "dyn":
                return DYN
        return self.wrong(node, f"[...] of {a(target)}", "only lists and maps are indexed")

    def boolean(self, node: Node, found: Type, op: str) -> Type:
        if found not in (BOOL, DYN):
            way_out = 'compare it with something: > 0, == "...", or ask has(...)'
            self.wrong(node, f"{op} takes true or false, not {a(found)}", way_out)
        return BOOL

    def binary(self, node: nodes.Binary, op: str, left: Type, right: Type) -> Type:
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
                    or left == right == BOOL
                )
                if not ordered:
                    self.wrong(node, f"{left} {op} {right} has no order", conversion(left, right))
                return BOOL
            case "in":
                return self.membership(node, left, right)
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

    def membership(self, node: nodes.Binary, left: Type, right: Type) -> Type:
        if right.name in ("list", "map"):
            if not comparable(left, right.of[0]):
                self.wrong(node, f"{a(left)} is never in {a(right)}", conversion(left, right.of[0]))
        elif right == STRING:
            way_out = f"write {nodes.to_text(node.right)}.contains({nodes.to_text(node.left)})"
            self.wrong(node, "`in` looks into lists and maps, not into text", way_out)
        elif right != DYN:
            self.wrong(node, f"`in` looks into lists and maps, not into {a(right)}", 'write in ["a", "b"]')
        return BOOL

    def both(self, node: Node, parts: Iterable[Node], variables: Variables, what: str) -> Type:
        """Return the one type of several nodes."""
        found = NULL
        for part in parts:
            other = self.infer(part, variables)
            united = unify(found, other)
            if united is None:
                return self.wrong(part, f"{what} are {found} and {other}", conversion(found, other))
            found = united
        return found

    def map_literal(self, node: Node, entries: tuple[tuple[Node, Node], ...], variables: Variables) -> Type:
        key = self.both(node, [key for key, _ in entries], variables, "the keys of a map")
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

    def macro(self, node: nodes.Macro, variables: Variables) -> Type:
        target = self.infer(node.target, variables)
        if target.name not in ("list", "map", "dyn"):
            self.wrong(
                node.target, f"{node.kind}() goes through lists and maps, not {a(target)}", "give a list"
            )
        item = target.of[0] if target.name in ("list", "map") else DYN
        inner = {**variables, node.variable: item}
        if node.predicate is not None:
            self.boolean(node.predicate, self.infer(node.predicate, inner), f"{node.kind}()")
        body = self.infer(node.body, inner)
        if node.kind == "map":
            return list_of(body)
        self.boolean(node.body, body, f"{node.kind}()")
        return list_of(item) if node.kind == "filter" else BOOL

    def method(self, node: nodes.Call, target: Type, variables: Variables) -> Type:
        given = [self.infer(argument, variables) for argument in node.arguments]
        if node.function == "size" and not given:
            return self.size(node, target)
        if node.function == "matches":
            way_out = "use contains(), startsWith() or endsWith()"
            return self.problem("unknown-function", node, "regular expressions are not offered", way_out)
        if node.function not in TEXT_METHODS:
            return self.unknown_function(node)
        if len(given) != 1:
            usage = f'write text.{node.function}("...")'
            return self.problem("bad-call", node, f"{node.function}() takes one text", usage)
        for part, found in zip((node.target or node, *node.arguments), (target, *given), strict=True):
            if found not in (STRING, DYN):
                self.wrong(
                    part, f"{node.function}() is for text, not for {a(found)}", "write string(...) around it"
                )
        return BOOL

    def function(self, node: nodes.Call, variables: Variables) -> Type:
        name, arguments = node.function, node.arguments
        if name in SCOPED:
            return self.scoped(node)
        if name not in _FUNCTIONS:
            return self.unknown_function(node)
        given = [self.infer(argument, variables) for argument in arguments]
        if name in ("max", "min"):
            if not given:
                return self.problem("bad-call", node, f"{name}() of nothing", f"write {name}(a, b)")
            for argument, found in zip(arguments, given, strict=True):
                if not found.numeric and found != NULL:
                    self.wrong(argument, f"{name}() takes numbers, not {a(found)}", f"write {name}(a, b)")
            known = [found for found in given if found != NULL]
            return DYN if DYN in known or not known else INT if set(known) == {INT} else DOUBLE
        if len(given) != 1:
            return self.problem(
                "bad-call", node, f"{name}() takes one argument, not {len(given)}", f"write {name}(x)"
            )
        if name == "has":
            if not isinstance(arguments[0], nodes.Name | nodes.Select):
                way_out = "write has(name) or has(event.name)"
                return self.problem("bad-call", node, "has() asks for a name, not for an expression", way_out)
            return BOOL
        return self.converted(node, name, given[0])

    def converted(self, node: nodes.Call, name: str, given: Type) -> Type:
        argument = node.arguments[0]
        if name == "size":
            return self.size(node, given)
        if name in ("abs", "ceil", "floor", "round"):
            if not given.numeric:
                self.wrong(argument, f"{name}() takes a number, not {a(given)}", f"write {name}(double(...))")
            return given if name == "abs" else DOUBLE
        allowed = (INT, DOUBLE, STRING, DYN, BOOL) if name == "string" else (INT, DOUBLE, STRING, DYN)
        if given not in allowed:
            self.wrong(argument, f"{name}() of {a(given)}", "it takes a number or a text")
        return Type("int" if name == "int" else "double" if name == "double" else "string")

    def size(self, node: nodes.Call, given: Type) -> Type:
        if given != STRING and given.name not in ("list", "map", "dyn"):
            return self.wrong(node, f"size of {a(given)}", "only texts, lists and maps have a size")
        return INT

    def scoped(self, node: nodes.Call) -> Type:
        name, arguments = node.function, node.arguments
        known = self.scope.call_arguments(name)
        if known is None:
            message = f"{name}() is not known in this place"
            return self.problem("unknown-function", node, message, "it belongs into `when` and its like")
        usage = "oldest(attribute)" if name == "oldest" else f'{name}("{example(known)}")'
        first = arguments[0] if len(arguments) == 1 else None
        asked = nodes.path_of(first) if name == "oldest" and first is not None else None
        if name != "oldest" and isinstance(first, nodes.Literal) and isinstance(first.value, str):
            asked = first.value
        if asked is None:
            return self.problem("bad-call", node, f"{name}() takes one name", f"write {usage}")
        binding = self.scope.lookup_call(name, asked)
        if binding is None:
            message = f"{name}() knows no `{asked}`"
            return self.problem("unknown-name", node.arguments[0], message, did_you_mean(asked, known))
        return self.bind(node, f"{name}({asked})", binding)

    def unknown_function(self, node: nodes.Call) -> Type:
        name = node.function
        if name in (*TEXT_METHODS, "all", "exists", "exists_one", "filter", "map") and node.target is None:
            return self.problem(
                "bad-call", node, f"{name}() follows what it is about", f"write x.{name}(...)"
            )
        if name in _FUNCTIONS and node.target is not None:
            way_out = f"write {name}({nodes.to_text(node.target)})"
            return self.problem("bad-call", node, f"{name}() does not follow a dot", way_out)
        known = (
            _FUNCTIONS if node.target is None else (*TEXT_METHODS, "size", "all", "exists", "filter", "map")
        )
        return self.problem(
            "unknown-function", node, f"there is no function `{name}`", did_you_mean(name, known)
        )


def a(found: Type) -> str:
    """Name a type in a sentence."""
    return {"int": "an int", "null": "null", "dyn": "something unknown"}.get(found.name, f"a {found}")


def comparable(left: Type, right: Type) -> bool:
    """May the two be equal?"""
    if DYN in (left, right) or (left.numeric and right.numeric):
        return True
    if left.name == right.name and left.of and right.of:
        return all(NULL in pair or comparable(*pair) for pair in zip(left.of, right.of, strict=True))
    return left == right


def unify(left: Type, right: Type) -> Type | None:
    """Return the type that holds both; int and double make double, null goes with all."""
    if left == right or right == NULL:
        return left
    if left == NULL:
        return right
    if DYN in (left, right):
        return DYN
    if left.numeric and right.numeric:
        return DOUBLE
    if left.name == right.name and left.of and right.of:
        parts = [unify(*pair) for pair in zip(left.of, right.of, strict=True)]
        return Type(left.name, tuple(part for part in parts if part)) if all(parts) else None
    return None


def conversion(left: Type, right: Type) -> str:
    """Say how two types could be brought together."""
    pair = {left, right}
    if STRING in pair and (INT in pair or DOUBLE in pair):
        return "put the number into quotes, or convert the text: double(...)"
    if BOOL in pair and len(pair) > 1:
        return "a bool stands alone: write `known` or `!known`"
    if any(each.name == "list" for each in pair):
        return "use `in`, size(), or exists() for what is in a list"
    return "convert one side: double(...), int(...) or string(...)"


def example(known: Iterable[str]) -> str:
    """Return one name to show how it is written."""
    return min(known, default="name")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the nearest of the known names, or list some of them."""
    names = sorted(set(known))
    near: list[str] = get_close_matches(name, names, 1, 0.6)
    near = near or [each for each in names if each.lower() == name.lower()]
    if near:
        return f"did you mean `{near[0]}`?"
    if not names:
        return "nothing is known here"
    return "known are " + ", ".join(names[:12]) + (" ..." if len(names) > 12 else "")
