"""Expressions in their places: types checked against a scope, problems turned into findings.

In: a parsed guard, its scope, the type it must have. Out: its type, or None when a finding says why not.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from journey_stream.journeys import guards
from journey_stream.journeys.check import Context
from journey_stream.journeys.findings import did_you_mean
from journey_stream.journeys.guards import nodes
from journey_stream.journeys.guards.types import DYN, NULL, PlainScope, Problem, Type
from journey_stream.journeys.values_of import Guard

RULE_OF: dict[str, str] = {
    "unknown-name": "unknown-name",
    "unknown-function": "unknown-function",
    "bad-call": "bad-call",
    "wrong-type": "guard-type",
}
_NAMED = re.compile(r"`(\w+)`")


def type_of(
    guard: Guard,
    scope: PlainScope,
    context: Context,
    label: str,
    attributes: Collection[str] = (),
    expected: Type | None = None,
    *,
    over_event: bool = False,
) -> Type | None:
    """Check one expression.

    Args:
        guard: The expression and where it stands.
        scope: What it may name.
        context: Where findings go.
        label: What messages call the place.
        attributes: Names of attributes that the scope lacks. Over a customer they are those that were written
            but did not fit: a finding exists, so there is none for their use.
        expected: The type it must have; any if None.
        over_event: It is a `where`: bare names are properties of the event.
    """
    report = context.report
    before = len(report.findings)
    if over_event:
        _ambiguous(guard, scope, context, label)
    found, problems = guards.check(guard.expression, scope)
    for problem in problems:
        named = _NAMED.search(problem.message)
        name = named.group(1) if named and problem.rule == "unknown-name" else ""
        if name in attributes and not over_event:
            continue
        place = guard.spot(problem.column, problem.line)
        hint = _way_out(name, problem, scope, attributes, over_event)
        rule = "unknown-journey" if problem.message.startswith("stage() ") else RULE_OF[problem.rule]
        report.add(rule, place, f"{label}: {problem.message}", hint)
    _stages_elsewhere(guard, context, label)
    if problems or len(report.findings) > before:
        return None
    if expected is not None and not _fits(found, expected):
        msg = f"{label}: expected {_words(expected)}, and this is {found}"
        way = "Compare it with something: orders >= 4" if expected.name == "bool" else None
        report.add("guard-type", guard.node, msg, way)
        return None
    return found


def _ambiguous(guard: Guard, scope: PlainScope, context: Context, label: str) -> None:
    """A name that is both a property of the event and a parameter means the property; say so."""
    for name in sorted(guard.expression.names() & context.parameters.keys()):
        binding = scope.lookup(name)
        if binding is not None and binding.constant is None:
            msg = f"{label}: '{name}' is a property of the event and a parameter"
            context.report.add("ambiguous-name", guard.node, msg, "Rename the parameter")


def _stages_elsewhere(guard: Guard, context: Context, label: str) -> None:
    """`stage("other") == "x"` and `stage("other") in ["x"]` can only hold of a stage that the other has."""
    for node in nodes.walk(guard.expression.root):
        if not isinstance(node, nodes.Binary) or node.op not in ("==", "!=", "in"):
            continue
        for call, other in ((node.left, node.right), (node.right, node.left)):
            if not (isinstance(call, nodes.Call) and call.function == "stage" and call.arguments):
                continue
            journey = getattr(call.arguments[0], "value", None)
            stages = context.stages_of.get(journey) if isinstance(journey, str) else None
            if stages is None:
                continue
            for each in other.items if isinstance(other, nodes.ListLit) else (other,):
                if isinstance(each, nodes.Literal) and each.value != "" and each.value not in stages:
                    line, column = guard.expression.place(each.at)
                    msg = f"{label}: the journey '{journey}' has no stage '{each.value}'"
                    hint = did_you_mean(str(each.value), stages, "Its stages")
                    context.report.add("unknown-stage", guard.spot(column, line), msg, hint)


def _way_out(
    name: str, problem: Problem, scope: PlainScope, attributes: Collection[str], over_event: bool
) -> str | None:
    """The suggestion of the guards, or a better one where the place explains the mistake."""
    if over_event and name in attributes:
        return f"'{name}' is an attribute: ask for it in when, where names are of the customer"
    if name == "event" and scope.members("event") is None:
        if over_event:
            return "Here a bare name is the event's property: total"
        return "No event triggers here: keep the value in an attribute, such as {last: order_completed.total}"
    if name and not over_event and scope.lookup_member("event", name) is not None:
        return f"Write event.{name} for the property of the event"
    return problem.suggestion[:1].upper() + problem.suggestion[1:] or None


def _fits(found: Type, expected: Type) -> bool:
    if found in (DYN, NULL, expected):
        return True
    return expected.name == "double" and found.numeric


def _words(expected: Type) -> str:
    return {"bool": "true or false", "double": "a number of seconds", "string": "text"}[expected.name]
