"""Small hands for building Python's `ast` nodes: the compiler reads like what it builds."""

from __future__ import annotations

import ast
import operator
from collections.abc import Sequence
from typing import Any

COMPARISONS: dict[str, type[ast.cmpop]] = {
    "==": ast.Eq,
    "!=": ast.NotEq,
    "<": ast.Lt,
    "<=": ast.LtE,
    ">": ast.Gt,
    ">=": ast.GtE,
    "in": ast.In,
}
ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
"""For values whose kind is only known when they are there."""
ARITHMETIC: dict[str, ast.operator] = {"+": ast.Add(), "-": ast.Sub(), "*": ast.Mult(), "/": ast.Div()}


def load(name: str) -> ast.Name:
    """Write a name that is read."""
    return ast.Name(name, ast.Load())


def constant(value: Any) -> ast.Constant:
    """Write a constant."""
    return ast.Constant(value)


def walrus(name: str, value: ast.expr) -> ast.NamedExpr:
    """Write `(name := value)`."""
    return ast.NamedExpr(ast.Name(name, ast.Store()), value)


def attribute(value: ast.expr, name: str) -> ast.Attribute:
    """Write `value.name`."""
    return ast.Attribute(value, name, ast.Load())


def call(function: str | ast.expr, *arguments: ast.expr) -> ast.Call:
    """Write `function(arguments)`."""
    return ast.Call(load(function) if isinstance(function, str) else function, list(arguments), [])


def compare(op: str, left: ast.expr, right: ast.expr) -> ast.Compare:
    """Write `left op right`."""
    return ast.Compare(left, [COMPARISONS[op]()], [right])


def is_none(value: ast.expr) -> ast.Compare:
    """Write `value is None`."""
    return ast.Compare(value, [ast.Is()], [constant(None)])


def negate(value: ast.expr) -> ast.expr:
    """Write `not value`, turning a simple `is not None` round instead."""
    if isinstance(value, ast.Compare) and len(value.ops) == 1 and isinstance(value.ops[0], ast.IsNot):
        return ast.Compare(value.left, [ast.Is()], value.comparators)
    return ast.UnaryOp(ast.Not(), value)


def any_of(tests: Sequence[ast.expr]) -> ast.expr:
    """Write `a or b or c`."""
    return tests[0] if len(tests) == 1 else ast.BoolOp(ast.Or(), list(tests))


def either(test: ast.expr, then: ast.expr, otherwise: ast.expr) -> ast.IfExp:
    """Write `then if test else otherwise`."""
    return ast.IfExp(test, then, otherwise)
