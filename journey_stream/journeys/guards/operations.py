"""Code of single operations on operands that are known: what each operator and function is in Python.

In: the Python of the operands, their static types. Out: the Python of the result, and whether it may be None
(CEL's errors: overflow, division by zero, a missing key). Where the types say enough, Python's own operators
do; where they do not, `runtime.py` looks at the values.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TypeAlias

from journey_stream.journeys.guards import nodes
from journey_stream.journeys.guards.nodes import Node
from journey_stream.journeys.guards.pyast import (
    ARITHMETIC,
    COMPARISONS,
    ORDERS,
    attribute,
    call,
    compare,
    constant,
    load,
    negate,
)
from journey_stream.journeys.guards.types import DOUBLE, DYN, INT, STRING, Type

Result: TypeAlias = tuple[ast.expr, bool]
"""Code, and whether it may be None."""

_SCALARS = ("bool", "int", "double", "string")
_DYNAMIC_TEXT = {"startsWith": "cel_starts", "endsWith": "cel_ends", "contains": "cel_has_part"}
_ROUNDING = {"ceil": "cel_ceil", "floor": "cel_floor", "round": "cel_round_half_away"}


def compute(node: Node, operands: list[ast.expr], types: list[Type], result: Type) -> Result:
    """Return the code of `node` whose operands are known values of these types."""
    match node:
        case nodes.Binary(op):
            return _binary(op, operands, types, result)
        case nodes.Unary():
            if types[0] == DOUBLE:
                return ast.UnaryOp(ast.USub(), operands[0]), False
            return call("cel_negated", *operands), True
        case nodes.Select(_, name):
            return select(operands[0], name, types[0])
        case nodes.Index():
            return _index(operands, types)
        case nodes.ListLit():
            pairs = zip(operands, types, strict=True)
            return ast.List([as_type(*pair, result.of[0]) for pair in pairs], ast.Load()), False
        case nodes.MapLit():
            return _map(operands, types, result)
        case nodes.Call(function):
            return _CALLS[function](function, operands, types)
        case _:
            message = f"no code for {node}"
            raise AssertionError(message)


def as_type(node: ast.expr, found: Type, wanted: Type) -> ast.expr:
    """Promote an int to a double where a double is wanted."""
    if found != INT or wanted != DOUBLE:
        return node
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return constant(float(node.value))
    return call("float", node)


def _numbers_alike(operands: Sequence[ast.expr], types: Sequence[Type]) -> tuple[ast.expr, ast.expr]:
    """Write a constant beside a number in the kind of that number: Python computes like with like faster."""
    left, right = operands
    return _like(left, types[0], types[1]), _like(right, types[1], types[0])


def _like(node: ast.expr, found: Type, other: Type) -> ast.expr:
    if isinstance(node, ast.Constant) and other == DOUBLE:
        return as_type(node, found, DOUBLE)
    return node


def _compared_alike(operands: Sequence[ast.expr], types: Sequence[Type]) -> tuple[ast.expr, ast.expr]:
    """Write constants in the other's kind, also `4.0` as `4` beside an int: it compares the same."""
    left, right = _numbers_alike(operands, types)
    return _as_int(left, types[0], types[1]), _as_int(right, types[1], types[0])


def _as_int(node: ast.expr, found: Type, other: Type) -> ast.expr:
    if other == INT and found == DOUBLE and isinstance(node, ast.Constant) and isinstance(node.value, float):
        return constant(int(node.value)) if node.value.is_integer() else node
    return node


def _binary(op: str, operands: list[ast.expr], types: list[Type], result: Type) -> Result:
    if op == "in":
        return _contained(operands, types)
    if op in COMPARISONS:
        return _comparison(op, operands, types)
    left, right = operands
    if DYN in types:
        return call("cel_computed", constant(op), left, right), True
    if result == STRING:
        return ast.BinOp(left, ast.Add(), right), False
    if result.name == "list":
        return call("cel_joined", left, right), False
    if result == INT:
        if op in ("/", "%"):
            return call("cel_divide_ints" if op == "/" else "cel_remainder", left, right), True
        return call("cel_whole", ast.BinOp(left, ARITHMETIC[op], right)), True
    left, right = _numbers_alike(operands, types)
    if op == "/" and not (isinstance(right, ast.Constant) and right.value != 0):
        return call("cel_divide", left, right), True
    return ast.BinOp(left, ARITHMETIC[op], right), False


def _comparison(op: str, operands: list[ast.expr], types: list[Type]) -> Result:
    left, right = operands
    plain = types[0].name in _SCALARS and types[1].name in _SCALARS
    if op in ORDERS:
        if plain:
            return compare(op, *_compared_alike(operands, types)), False
        return call("cel_ordered", load(f"cel_{ORDERS[op].__name__}"), left, right), True
    if plain or STRING in types:
        return compare(op, *_compared_alike(operands, types)), False
    equal = call("cel_same", left, right)
    return (negate(equal) if op == "!=" else equal), False


def _contained(operands: list[ast.expr], types: list[Type]) -> Result:
    """Write `in`: a set where the list is constant, Python's `in` where the kinds are alike."""
    left, right = operands
    if types[1] == DYN:
        return call("cel_contained", left, right), True
    inside = types[1].of[0]
    alike = types[0] == inside == STRING or (types[0] in (INT, DOUBLE) and inside in (INT, DOUBLE))
    if not alike:
        return call("cel_contained", left, right), False
    if (
        isinstance(right, ast.List)
        and right.elts
        and all(isinstance(each, ast.Constant) for each in right.elts)
    ):
        right = ast.Set(right.elts)
    return compare("in", left, right), False


def select(target: ast.expr, name: str, found: Type) -> Result:
    """Write `target.name`: of an object of ours, of a map, or of whatever turns up."""
    if found.name == "record":
        return attribute(target, name), True
    if found.name == "map":
        return call(attribute(target, "get"), constant(name)), True
    return call("cel_chosen", target, constant(name)), True


def _index(operands: list[ast.expr], types: list[Type]) -> Result:
    target, key = operands
    if types[0].name == "map" and types[0].of[0] == types[1] != DYN:
        return call(attribute(target, "get"), key), True
    if types[0].name == "list" and types[1] == INT:
        return call("cel_item_at", target, key), True
    return call("cel_indexed", target, key), True


def _map(operands: list[ast.expr], types: list[Type], result: Type) -> Result:
    keys = operands[::2]
    pairs = zip(operands[1::2], types[1::2], strict=True)
    values = [as_type(*pair, result.of[1]) for pair in pairs]
    if all(isinstance(key, ast.Constant) for key in keys):
        return ast.Dict(list(keys), values), False
    entries = [ast.Tuple([*pair], ast.Load()) for pair in zip(keys, values, strict=True)]
    return call("cel_mapping", *entries), True


def _text_method(function: str, operands: list[ast.expr], types: list[Type]) -> Result:
    if DYN in types:
        return call(_DYNAMIC_TEXT[function], *operands), True
    if function == "contains":
        return compare("in", operands[1], operands[0]), False
    return call(attribute(operands[0], function.lower()), operands[1]), False


def _size(function: str, operands: list[ast.expr], types: list[Type]) -> Result:
    return (call("cel_sized", *operands), True) if DYN in types else (call("len", *operands), False)


def _conversion(function: str, operands: list[ast.expr], types: list[Type]) -> Result:
    found = types[0]
    if found.name == function:
        return operands[0], False
    if function == "double" and found == INT:
        return as_type(operands[0], INT, DOUBLE), False
    return call(f"cel_to_{function}", *operands), found == DYN or function != "string"


def _abs(function: str, operands: list[ast.expr], types: list[Type]) -> Result:
    return (call("abs", *operands), False) if types[0] == DOUBLE else (call("cel_distance", *operands), True)


def _rounded(function: str, operands: list[ast.expr], types: list[Type]) -> Result:
    if DYN in types:
        return call("cel_rounded", load(_ROUNDING[function]), *operands), True
    return call(_ROUNDING[function], as_type(operands[0], types[0], DOUBLE)), False


_CALLS = {
    **dict.fromkeys(_DYNAMIC_TEXT, _text_method),
    **dict.fromkeys(_ROUNDING, _rounded),
    **dict.fromkeys(("int", "double", "string"), _conversion),
    "size": _size,
    "abs": _abs,
}
