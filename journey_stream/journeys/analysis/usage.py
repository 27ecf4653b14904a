"""What is kept and never asked for: attributes and parameters without a use.

In: the model, its expressions. Out: findings `unused-attribute` and `unused-parameter`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from journey_stream.journeys.analysis.place import World
from journey_stream.journeys.analysis.written import Source, Written
from journey_stream.journeys.findings import Report
from journey_stream.journeys.guards import Expression
from journey_stream.journeys.read import Items, Node, Scalar, Table


def check_usage(source: Source, world: World, expressions: Iterable[Written], report: Report) -> None:
    """Find what nothing asks for; a derived attribute that nothing asks for asks for nothing itself."""
    expressions = tuple(expressions)
    _attributes(source, world, expressions, report)
    _parameters(source, world, expressions, report)


def _attributes(source: Source, world: World, expressions: tuple[Written, ...], report: Report) -> None:
    attributes = world.journey.attributes
    waiting = [*world.journey.records]
    for each in expressions:
        if each.of_rule and not each.place.over_event:
            waiting.extend(_asked(each.expression))
    used: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in attributes and name not in used:
            used.add(name)
            value = attributes[name].value
            waiting.extend(_asked(value) if value is not None else ())
    for name in attributes:
        if name not in used:
            msg = f"nothing asks for the attribute '{name}', and no record carries it"
            hint = "Use it in a guard or a payload, name it in records, or leave it out"
            report.add(
                "unused-attribute", source.key(source.value(source.root, "attributes"), name), msg, hint
            )


def _asked(expression: Expression) -> frozenset[str]:
    return expression.names() | expression.members("before") | expression.calls("oldest")


def _parameters(source: Source, world: World, expressions: tuple[Written, ...], report: Report) -> None:
    used = {
        text
        for key, entry in source.root.entries.items()
        if key != "parameters"
        for text in _texts(entry.value)
    }
    for each in expressions:
        used |= each.expression.names()
    if any(attribute.over == "session" for attribute in world.journey.attributes.values()):
        used.add("session")
    for name in world.journey.parameters:
        if name not in used:
            msg = f"nothing uses the parameter '{name}'"
            if name == "session":
                msg += ": no attribute is kept over a session"
            report.add(
                "unused-parameter",
                source.key(source.value(source.root, "parameters"), name),
                msg,
                "Leave it out",
            )


def _texts(node: Node) -> Iterator[str]:
    """All words: a parameter can be named wherever a duration stands."""
    match node:
        case Scalar():
            yield node.text.strip()
        case Items(items):
            for item in items:
                yield from _texts(item)
        case Table(entries):
            for entry in entries.values():
                yield from _texts(entry.value)
