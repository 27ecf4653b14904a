"""What we compute is what CEL computes: generated expressions against two reference evaluators."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import celpy
from cel_expr_python import cel
from cel_expr_python.ext import ext_math
from hypothesis import HealthCheck, assume, given, settings

from journey_stream.journeys.guards import (
    BOOL,
    DYN,
    INT,
    Binding,
    PlainScope,
    Type,
    check,
    compile_expr,
    parse,
)
from journeys.guards.generated import TYPES, Case, cases

UNKNOWN = None
TYPED = PlainScope({name: Binding(found, f"c.{name}") for name, found in TYPES.items()})
DYNAMIC = PlainScope({name: Binding(DYN, f"c.{name}") for name in TYPES})
thorough = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def ours(case: Case, scope: PlainScope) -> Any:
    expression = parse(case.ours)
    found, problems = check(expression, scope)
    assert [] == problems
    if scope is TYPED:
        assert found in (case.type, DYN) or found.name == "list"
    state = SimpleNamespace(**dict.fromkeys(TYPES) | case.env)
    return compile_expr(expression, scope)(state, None, 0)


def _reference_type(of: Type) -> cel.Type:
    if of.name == "list":
        return cel.Type.List(_reference_type(of.of[0]))
    if of.name == "map":
        return cel.Type.Map(*map(_reference_type, of.of))
    return getattr(cel.Type, of.name.upper())


GOOGLE = cel.NewEnv(
    variables={name: _reference_type(found) for name, found in TYPES.items()}, extensions=[ext_math.ExtMath()]
)


def googles(case: Case) -> Any:
    value = GOOGLE.compile(case.cel).eval(data=case.env)
    return UNKNOWN if value.type() == cel.Type.ERROR else value.plain_value()


def alike(left: Any, right: Any) -> bool:
    """Equal in value and in kind."""
    if isinstance(left, list | tuple) and isinstance(right, list):
        return len(left) == len(right) and all(map(alike, left, right))
    if type(left) is not type(right):
        return False
    return left == right or (isinstance(left, float) and math.isnan(left) and math.isnan(right))


@thorough
@given(cases())
def test_a_guard_gives_what_googles_evaluator_gives(case: Case) -> None:
    expected = googles(case)

    assert alike(ours(case, TYPED), expected), (case, ours(case, TYPED), expected)


@settings(thorough, max_examples=150)
@given(cases(promote=False))
def test_a_guard_over_values_of_unknown_kind_gives_the_same(case: Case) -> None:
    expected = googles(case)

    assert alike(ours(case, DYNAMIC), expected), (case, ours(case, DYNAMIC), expected)


CELPY = celpy.Environment()
BEYOND_CELPY = (
    "math.",
    "string(",
    "int(",
    "double(",
    "\\",
    "][",
    ")[",
    "s[",
    "exists_one(",
    "map(",
    "filter(",
)
"""It has no maths; conversions, escapes and indexes below zero are Python's there, not CEL's; an error inside
exists_one, map or filter ends it even where `&&` or `||` should absorb the error (Google's, and we, go on)."""


def celpys(case: Case) -> Any:
    program = CELPY.program(CELPY.compile(case.cel))
    try:
        return plain(program.evaluate({name: celpy.json_to_cel(value) for name, value in case.env.items()}))
    except celpy.CELEvalError:
        return UNKNOWN


def plain(value: Any) -> Any:
    """Python's own value of celpy's."""
    return bool(value) if isinstance(value, celpy.celtypes.BoolType) else int(value)


@settings(thorough, max_examples=150, derandomize=True)
@given(cases(kinds=(BOOL, BOOL, INT)))
def test_a_guard_gives_what_celpy_gives(case: Case) -> None:
    assume(not any(word in case.cel for word in BEYOND_CELPY))

    expected = celpys(case)

    assert alike(ours(case, TYPED), expected), (case, ours(case, TYPED), expected)
