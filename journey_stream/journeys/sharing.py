"""When two attributes are one: the canonical form of an attribute, parameters substituted.

In: an attribute and the parameters of its journey. Out: a text; attributes with equal texts see the same
events and hold the same value, in whatever journey and under whatever name, so the engine keeps them once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from journey_stream.journeys.guards import nodes
from journey_stream.journeys.model import Attribute, Value

if TYPE_CHECKING:
    from journey_stream.journeys.guards import Expression

OF_THE_JOURNEY = frozenset({"dwell", "loops", "entries"})
"""Built-in names whose value differs between journeys."""


def sharing_keys(
    attributes: Mapping[str, Attribute], journey: str, parameters: Mapping[str, Value]
) -> dict[str, str]:
    """Write the canonical form of each attribute, those first that others are derived from.

    A derived attribute names what it needs by a digest, so that its form stays small whatever it is made of.
    """
    needs = {name: _needs(each, name, attributes) for name, each in attributes.items()}
    found: dict[str, str] = {}
    waiting = list(attributes)
    while waiting:
        ready = [name for name in waiting if needs[name] <= found.keys()]
        for name in ready or waiting:  # none is ready where they go round in a circle, which is a finding
            inner = {each: _digest(found[each]) for each in sorted(needs[name]) if each in found}
            found[name] = _key(attributes[name], inner, journey, parameters)
        waiting = [name for name in waiting if name not in found]
    return found


def _needs(attribute: Attribute, name: str, attributes: Mapping[str, Attribute]) -> set[str]:
    value = attribute.value
    if value is None:
        return set()
    names = value.names() | value.members("before") | value.calls("oldest")
    return {each for each in names if each in attributes and each != name}


def _digest(key: str) -> str:
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _key(
    attribute: Attribute, needs: Mapping[str, str], journey: str, parameters: Mapping[str, Value]
) -> str:
    form: dict[str, Any] = {
        "form": attribute.form,
        "sources": sorted(f"{source.type}.{source.path or ''}" for source in attribute.sources),
        "where": canonical(attribute.where, parameters),
        "over": attribute.over,
        "less": sorted(attribute.less),
        "by": attribute.by,
        "limit": attribute.limit,
        "gap": attribute.gap,
        "closed": sorted(attribute.closed),
        "reopened": sorted(attribute.reopened),
        "until": sorted(attribute.until),
        "gaps": attribute.gaps if attribute.form == "rhythm" else None,
        "keeps": attribute.keeps if attribute.form == "map" else None,
        "of": attribute.of,
    }
    if attribute.over == "stage":
        form["journey"] = journey
    if attribute.over == "session":
        form["session"] = parameters.get("session")
    if attribute.value is not None:
        form["value"] = canonical(attribute.value, parameters)
        form["needs"] = needs
        if attribute.value.names() & OF_THE_JOURNEY or attribute.value.calls("entries"):
            form["journey"] = journey
    kept = {key: value for key, value in form.items() if value not in (None, (), [])}
    return json.dumps(kept, sort_keys=True, ensure_ascii=False)


def canonical(expression: Expression | None, parameters: Mapping[str, Value]) -> str | None:
    """Write an expression with the values of parameters in place of their names: one text for one meaning."""
    return None if expression is None else nodes.to_text(with_values(expression.root, parameters))


def with_values(root: nodes.Node, parameters: Mapping[str, Value]) -> nodes.Node:
    """The same tree with the values of parameters in place of their names."""

    def swap(node: nodes.Node, bound: frozenset[str]) -> nodes.Node | None:
        if isinstance(node, nodes.Name) and node.name in parameters and node.name not in bound:
            return literal(parameters[node.name], node.at)
        return None

    return nodes.rebuilt(root, swap)


def literal(value: Value, at: int = 0) -> nodes.Node:
    """A parameter's value as a constant of an expression."""
    if isinstance(value, tuple):
        return nodes.ListLit(tuple(literal(item, at) for item in value), at=at)
    if isinstance(value, bool):
        return nodes.Literal(value, "bool", at=at)
    if isinstance(value, float):
        return nodes.Literal(value, "double", at=at)
    return nodes.Literal(value, "string", at=at)
