"""Guards as data: the checked tree that `emit.py` writes as Python, written for the compiled core instead.

In: a checked expression. Out: nodes `{"x": ...}` (`native/src/expr_parse.rs` reads them), or None where the
compiled core could not say to the bit what Python says: the guard is then run in Python alone. Operations
look at the values there, so of the static types only those choices are written down that values do not tell:
where an int becomes a double, and which constants are compared as doubles.
"""

from __future__ import annotations

import keyword
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from journey_stream.journeys.guards import nodes
from journey_stream.journeys.guards.check import Checked
from journey_stream.journeys.guards.nodes import Node
from journey_stream.journeys.guards.types import DOUBLE, DYN, INT, NULL, Binding, Type

Description: TypeAlias = dict[str, Any]
Around: TypeAlias = tuple[str, ...]
"""The variables of the macros around a node, the innermost last."""

_FUNCTIONS: Final = frozenset(
    ("size", "startsWith", "endsWith", "contains", "int", "double", "string", "abs", "ceil", "floor", "round")
)


class _NotDescribedError(Exception):
    """Only Python can say it."""


def describe(checked: Checked) -> Description | None:
    """Describe an expression that was checked and has no problems; None: only in Python."""
    if any(_only_python(binding) for _, binding in checked.bindings.values()):
        return None
    try:
        return _Writer(checked).root()
    except _NotDescribedError:
        return None


def plain(value: Any) -> Any:
    """Write a constant; a double as its digits, for readers of JSON round as they like."""
    if isinstance(value, float):
        return {"f": repr(value)}
    return [plain(each) for each in value] if isinstance(value, tuple | list) else value


def _only_python(binding: Binding) -> bool:
    if binding.constant is not None:
        return False
    described = binding.described
    if not isinstance(described, dict):
        return True
    # Lines of an order that were kept are structs until their state was written once, and maps from then on.
    return described["x"] != "event" and _has_record(binding.type)


def _has_record(of: Type) -> bool:
    return of.name == "record" or any(map(_has_record, of.of))


def _fits(found: Type, wanted: Type) -> bool:
    """Whether a value of one type may stand for one of the other just as it is.

    A list of ints is no list of doubles: its items stay ints where doubles are expected. A struct is no map.
    """
    if found in (wanted, NULL):
        return True
    if wanted == DYN:
        return not _has_record(found)
    same_kind = found.name == wanted.name and len(found.of) == len(wanted.of) > 0
    return same_kind and all(_fits(*pair) for pair in zip(found.of, wanted.of, strict=True))


class _Writer:
    def __init__(self, checked: Checked) -> None:
        self._checked = checked

    def root(self) -> Description:
        node = self._checked.expression.root
        bound = self._bound(node)
        return self._read(bound) if bound is not None else self._node(node, ())

    def _type(self, node: Node) -> Type:
        return self._checked.type_of(node)

    def _bound(self, node: Node) -> Binding | None:
        found = self._checked.bindings.get(id(node))
        return None if found is None else found[1]

    def _read(self, binding: Binding) -> Description:
        if binding.constant is not None:
            return {"x": "lit", "v": plain(binding.constant)}
        described = binding.described
        assert isinstance(described, dict)
        return described

    def _node(self, node: Node, around: Around) -> Description:  # noqa: C901 - a case for each kind of node
        bound = self._bound(node)
        if bound is not None:
            described = self._read(bound)
            if described.get("record") and bound.type == DYN:
                raise _NotDescribedError  # a struct as a whole (`event.context`): there are only maps there
            return described
        match node:
            case nodes.Literal(value):
                return {"x": "lit", "v": plain(value)}
            case nodes.Name(name):
                return {"x": "var", "up": around[::-1].index(name)}
            case nodes.Logic(op, operands):
                return {"x": "and" if op == "&&" else "or", "of": self._all(operands, around)}
            case nodes.Unary(op, operand):
                return {"x": "not" if op == "!" else "neg", "of": self._node(operand, around)}
            case nodes.Binary():
                return self._binary(node, around)
            case nodes.Ternary(condition, then, otherwise):
                wanted = self._type(node)
                sides = [self._as(part, wanted, around) for part in (then, otherwise)]
                return {"x": "if", "of": [self._node(condition, around), *sides]}
            case nodes.Select(target, name):
                self._nameable(target, name)
                return {"x": "select", "of": self._node(target, around), "name": name}
            case nodes.Index(target, key):
                return {"x": "index", "of": [self._node(target, around), self._node(key, around)]}
            case nodes.ListLit(items):
                of = self._type(node).of[0]
                return {"x": "list", "of": [self._as(item, of, around) for item in items]}
            case nodes.MapLit():
                return self._map(node, around)
            case nodes.Macro():
                return self._macro(node, around)
            case nodes.Call("has", (asked,)):
                return self._has(asked, around)
            case nodes.Call("max" | "min", arguments):
                return self._extreme(node, arguments, around)
            case nodes.Call(function) if function in _FUNCTIONS:
                return self._call(node, function, around)
            case _:
                raise _NotDescribedError

    def _all(self, parts: Sequence[Node], around: Around) -> list[Description]:
        return [self._node(part, around) for part in parts]

    def _as(self, node: Node, wanted: Type, around: Around) -> Description:
        """Write a node as a value of the wanted type."""
        found, described = self._type(node), self._node(node, around)
        if found == INT and wanted == DOUBLE:
            return _as_double(described)
        if not _fits(found, wanted):
            raise _NotDescribedError
        return described

    def _binary(self, node: nodes.Binary, around: Around) -> Description:
        types = [self._type(part) for part in (node.left, node.right)]
        left, right = self._node(node.left, around), self._node(node.right, around)
        records = any(map(_has_record, types))
        if node.op == "in":
            if records and types[1].of[:1] != (types[0],):
                raise _NotDescribedError
            return {"x": "in", "of": [left, right]}
        if records and types[0] != types[1]:
            raise _NotDescribedError
        of = self._type(node)
        if of.name == "list" and not all(_fits(each, of) for each in types):
            raise _NotDescribedError
        # A constant beside a double is one, as `operations` has it; it may be rounded by that.
        return {"x": node.op, "of": [_like(left, *types), _like(right, *reversed(types))]}

    def _has(self, asked: Node, around: Around) -> Description:
        bound = self._bound(asked)
        if bound is not None:
            if bound.always or bound.constant is not None:
                return {"x": "lit", "v": True}
            return {"x": "has", "of": self._read(bound)}
        if isinstance(asked, nodes.Select):
            self._nameable(asked.target, asked.field)
            return {"x": "present", "of": self._node(asked.target, around), "name": asked.field}
        return {"x": "has", "of": self._node(asked, around)}

    def _nameable(self, target: Node, name: str) -> None:
        """Refuse names that Python keeps for itself: structs have them with an underscore."""
        if keyword.iskeyword(name) and self._type(target).name != "map":
            raise _NotDescribedError

    def _extreme(self, node: nodes.Call, arguments: Sequence[Node], around: Around) -> Description:
        wanted = self._type(node)
        parts = []
        for argument in arguments:
            part = self._node(argument, around)
            parts.append(_as_double(part) if (self._type(argument), wanted) == (INT, DOUBLE) else part)
        return {"x": node.function, "of": parts}

    def _call(self, node: nodes.Call, function: str, around: Around) -> Description:
        parts = self._all(nodes.children(node), around)
        found = self._type(nodes.children(node)[0])
        if found.name == function:
            return parts[0]
        if function == "double" and found == INT:
            return _as_double(parts[0])
        return {"x": "call", "name": function, "of": parts}

    def _map(self, node: nodes.MapLit, around: Around) -> Description:
        key_type, value_type = self._type(node).of
        if key_type == DYN:
            raise _NotDescribedError  # Python would choke on a list as a key
        keys = self._all([key for key, _ in node.entries], around)
        values = [self._as(value, value_type, around) for _, value in node.entries]
        return {
            "x": "map",
            "keys": keys,
            "values": values,
            # Of constants the last wins; of others none: a key that stands twice makes it unknown.
            "constant": all(key["x"] == "lit" for key in keys),
        }

    def _macro(self, node: nodes.Macro, around: Around) -> Description:
        inner = (*around, node.variable)
        described: Description = {"x": node.kind, "of": self._node(node.target, around)}
        if node.predicate is not None:
            described["where"] = self._node(node.predicate, inner)
        return described | {"each": self._node(node.body, inner)}


def _as_double(described: Description) -> Description:
    if described["x"] == "lit" and isinstance(described["v"], int):
        return {"x": "lit", "v": plain(float(described["v"]))}
    return {"x": "as_double", "of": described}


def _like(described: Description, found: Type, other: Type) -> Description:
    """Write a constant int beside a double as a double."""
    return _as_double(described) if described["x"] == "lit" and (found, other) == (INT, DOUBLE) else described
