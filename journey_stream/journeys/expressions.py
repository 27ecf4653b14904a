"""Expressions in their places: types checked against a scope, problems turned into findings.

In: a parsed guard, its scope, the type it must have. Out: its type, or None when a finding says why not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from journey_stream.journeys import guards
from journey_stream.journeys.check import Context
from journey_stream.journeys.guards.types import DYN, NULL, PlainScope, Problem, Type
from journey_stream.journeys.values_of import Guard

RULE_OF: dict[str, str] = {
    "unknown-name": "unknown-name",
    "unknown-function": "unknown-function",
    "bad-call": "bad-call",
    "wrong-type": "guard-type",
}


def type_of(
    guard: Guard,
    scope: PlainScope,
    context: Context,
    label: str,
    broken: Collection[str] = (),
    expected: Type | None = None,
    *,
    parameters: Mapping[str, object] | None = None,
) -> Type | None:
    """Check one expression.

    Args:
        guard: The expression and where it stands.
        scope: What it may name.
        context: Where findings go.
        label: What messages call the place.
        broken: Names that were written but did not fit: a finding exists, so theirs are left out.
        expected: The type it must have; any if None.
        parameters: Those of the journey, where bare names are event properties: a name for both is a finding.
    """
    before = len(context.report.findings)
    for name in sorted(guard.expression.names() & (parameters or {}).keys()):
        binding = scope.lookup(name)
        if binding is not None and binding.constant is None:
            msg = f"{label}: '{name}' is a property of the event and a parameter"
            context.report.add("ambiguous-name", guard.node, msg, "Rename the parameter")
    found, problems = guards.check(guard.expression, scope)
    for problem in problems:
        if not _known_already(problem, broken, scope):
            place = guard.spot(problem.column, problem.line)
            rule = RULE_OF[problem.rule]
            context.report.add(rule, place, f"{label}: {problem.message}", problem.suggestion or None)
    if problems or len(context.report.findings) > before:
        return None
    if expected is not None and not _fits(found, expected):
        msg = f"{label}: expected {_words(expected)}, and this is {found}"
        hint = "Compare it with something: orders >= 4" if expected.name == "bool" else None
        context.report.add("guard-type", guard.node, msg, hint)
        return None
    return found


def _fits(found: Type, expected: Type) -> bool:
    if found in (DYN, NULL, expected):
        return True
    return expected.name == "double" and found.numeric


def _words(expected: Type) -> str:
    return {"bool": "true or false", "double": "a number of seconds", "string": "text"}[expected.name]


def _known_already(problem: Problem, broken: Collection[str], scope: PlainScope) -> bool:
    return problem.rule == "unknown-name" and any(
        f"'{name}'" in problem.message or f"`{name}`" in problem.message
        for name in broken
        if scope.lookup(name) is None
    )
