"""When two attributes are one: the canonical form of an attribute, parameters substituted.

In: an attribute and the parameters of its journey. Out: a text; attributes with equal texts see the same
events and hold the same value, in whatever journey and under whatever name, so the engine keeps them once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from journey_stream.journeys.guards import nodes
from journey_stream.journeys.model import Attribute, Value

if TYPE_CHECKING:
    from journey_stream.journeys.guards import Expression

OF_THE_JOURNEY = frozenset({"dwell", "loops", "entries"})
"""Built-in names whose value differs between journeys."""


def sharing_key(
    name: str, attributes: Mapping[str, Attribute], journey: str, parameters: Mapping[str, Value]
) -> str:
    """Write the canonical form of one attribute."""
    return json.dumps(
        _form(attributes[name], attributes, journey, parameters, ()), sort_keys=True, ensure_ascii=False
    )


def _form(
    attribute: Attribute,
    attributes: Mapping[str, Attribute],
    journey: str,
    parameters: Mapping[str, Value],
    above: tuple[str, ...],
) -> dict[str, Any]:
    form: dict[str, Any] = {
        "form": attribute.form,
        "sources": sorted(f"{source.type}.{source.path or ''}" for source in attribute.sources),
        "where": _canonical(attribute.where, parameters),
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
        form["value"] = _canonical(attribute.value, parameters)
        names = attribute.value.names() | attribute.value.members("before") | attribute.value.calls("oldest")
        form["needs"] = {
            each: _form(attributes[each], attributes, journey, parameters, (*above, attribute.name))
            for each in sorted(names)
            if each in attributes and each not in above and each != attribute.name
        }
        if names & OF_THE_JOURNEY or attribute.value.calls("entries"):
            form["journey"] = journey
    return {key: value for key, value in form.items() if value not in (None, (), [])}


def _canonical(expression: Expression | None, parameters: Mapping[str, Value]) -> str | None:
    return (
        None if expression is None else nodes.to_text(_substituted(expression.root, parameters, frozenset()))
    )


def _substituted(node: Any, parameters: Mapping[str, Value], bound: frozenset[str]) -> Any:
    """The same tree with the values of parameters in place of their names."""
    if isinstance(node, tuple):
        return tuple(_substituted(item, parameters, bound) for item in node)
    if isinstance(node, nodes.Name) and node.name in parameters and node.name not in bound:
        return _literal(parameters[node.name])
    if isinstance(node, nodes.Macro):
        inner = bound | {node.variable}
        return replace(
            node,
            target=_substituted(node.target, parameters, bound),
            body=_substituted(node.body, parameters, inner),
            predicate=_substituted(node.predicate, parameters, inner),
        )
    if not is_dataclass(node) or isinstance(node, type):
        return node
    changes = {each.name: _substituted(getattr(node, each.name), parameters, bound) for each in fields(node)}
    return replace(node, **changes)


def _literal(value: Value) -> nodes.Node:
    if isinstance(value, tuple):
        return nodes.ListLit(tuple(_literal(item) for item in value))
    if isinstance(value, bool):
        return nodes.Literal(value, "bool")
    if isinstance(value, float):
        return nodes.Literal(value, "double")
    return nodes.Literal(value, "string")
