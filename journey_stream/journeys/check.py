"""Nodes + a shape of the grammar -> checked fields, with a finding for each thing that does not fit.

In: a mapping as read, the shape it must have, the context (vocabulary, parameters). Out: `Fields`: per key
the value that `grammar.Takes` promises. What is wrong is noted and left out, so that one pass finds all there
is to find. Here values are judged by themselves; what they name elsewhere (stages, attributes) is judged by
`check_stages`, `check_attributes` and `check_rules`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from journey_stream.events.vocabulary import Vocabulary
from journey_stream.journeys.findings import Place, Report, did_you_mean
from journey_stream.journeys.grammar import SHAPES, SLUG, Shape
from journey_stream.journeys.model import Value
from journey_stream.journeys.read import Entry, Node, Scalar, Table
from journey_stream.journeys.values_of import VALUES, describe


@dataclass(slots=True)
class Context:
    """What the checks of one document share."""

    report: Report
    vocabulary: Vocabulary
    parameters: Mapping[str, Value] = field(default_factory=dict)
    durations: Mapping[str, int] = field(default_factory=dict)
    """The parameters that are durations, in microseconds."""
    stages_of: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The stages of all journeys that are loaded together."""


@dataclass(slots=True)
class Fields:
    """One mapping, checked: the values that fit, and where all of them stand."""

    shape: Shape
    node: Table
    label: str
    values: dict[str, Any]

    def get(self, name: str, otherwise: Any = None) -> Any:
        """The value of a key, or `otherwise` when it is not there or did not fit."""
        return self.values.get(name, otherwise)

    def has(self, name: str) -> bool:
        """Whether the key was written, fitting or not."""
        return name in self.node.entries

    def at(self, name: str) -> Place:
        """Where the value of a key stands; the mapping itself if it is not there."""
        entry = self.node.entries.get(name)
        return entry.value if entry else self.node


def check_table(node: Node, shape: Shape, context: Context, label: str) -> Fields | None:
    """Check one mapping against its shape.

    Returns:
        The fields that fit; None when the node is no mapping at all.
    """
    report = context.report
    if not isinstance(node, Table):
        hint = f"Its keys are {', '.join(shape.names)}"
        report.add("wrong-type", node, f"{label}: expected a mapping, came {describe(node)}", hint)
        return None
    fields = Fields(shape, node, label, {})
    for name, entry in node.entries.items():
        key = shape.key(name)
        if key is None:
            _unknown_key(name, entry, fields, context)
        elif isinstance(entry.value, Scalar) and entry.value.broken:
            continue  # the reader has said why
        elif isinstance(entry.value, Scalar) and entry.value.value is None:
            report.add("empty", entry.key, f"{label}: '{name}' has no value", f"Expected {key.doc.lower()}")
        else:
            value = VALUES[key.takes](entry.value, key, context, f"{label}: '{name}'")
            if value is not None:
                fields.values[name] = value
    _presence(fields, context)
    return fields


def _unknown_key(name: str, entry: Entry, fields: Fields, context: Context) -> None:
    shape = fields.shape
    if fields.node.flow and isinstance(entry.value, Scalar) and entry.value.value is None:
        msg = f"{fields.label}: there is no key '{name}'"
        comma = "A comma outside quotes ends a value here: put the whole expression in quotes"
        context.report.add("unknown-key", entry.key, msg, comma)
        return
    elsewhere = [other.name for other in SHAPES.values() if other.key(name) and other is not shape]
    hint = did_you_mean(name, shape.names) or f"The keys here are {', '.join(shape.names)}"
    if elsewhere:
        hint = f"It is a key of {' and '.join(elsewhere)}; here the keys are {', '.join(shape.names)}"
    context.report.add("unknown-key", entry.key, f"{fields.label}: there is no key '{name}'", hint)


def _presence(fields: Fields, context: Context) -> None:
    """Required keys, exactly one of the forms, keys that need another."""
    shape, report = fields.shape, context.report
    for key in shape.keys:
        if key.required and not fields.has(key.name):
            msg = f"{fields.label}: the key '{key.name}' is missing"
            report.add("missing-key", fields.node, msg, f"Add {key.name}: {key.doc}")
        if key.needs and fields.has(key.name) and not any(fields.has(other) for other in key.needs):
            needed = " or ".join(f"'{other}'" for other in key.needs)
            if set(key.needs) >= set(shape.one_of) - {"value"} and fields.has("value"):
                msg = f"{fields.label}: '{key.name}' does not go with 'value', which reads no events"
                report.add("conflicting-keys", fields.node.entries[key.name].key, msg, "Leave it out")
                continue
            if not any(fields.has(form) for form in shape.one_of) and shape.one_of:
                continue  # the missing form is the finding
            msg = f"{fields.label}: '{key.name}' is only for {needed}"
            report.add("conflicting-keys", fields.node.entries[key.name].key, msg, "Leave it out")
    if not shape.one_of:
        return
    forms = [name for name in shape.one_of if fields.has(name)]
    if forms == ["event", "after"]:
        if not fields.has("since"):
            return  # `event: X, after: 1h` is `since: X, after: 1h`
        forms = ["event", "after"]
    if not forms:
        msg = f"{fields.label}: one of {', '.join(shape.one_of)} is needed"
        report.add("missing-key", fields.node, msg, _misspelt_form(fields))
    elif len(forms) > 1:
        names = " and ".join(f"'{name}'" for name in forms)
        place = fields.node.entries[forms[1]].key
        report.add("conflicting-keys", place, f"{fields.label}: {names} exclude each other", "Keep one")
        for name in forms[1:]:
            fields.values.pop(name, None)


def _misspelt_form(fields: Fields) -> str | None:
    for name in fields.node.entries:
        if fields.shape.key(name) is None:
            hint = did_you_mean(name, fields.shape.one_of)
            if hint:
                return hint
    return None


def check_name(
    name: str, place: Place, pattern: str, reserved: Mapping[str, str], label: str, context: Context
) -> bool:
    """Tell whether a name may be given, and note why not."""
    if not re.fullmatch(pattern, name) or len(name) > 100:
        msg = f"{label}: '{name[:60]}' is not a name that the language allows"
        marks = "'-' or '_'" if pattern == SLUG else "'_'"
        hint = f"Use small letters and digits, a letter first, {marks} between"
        context.report.add("bad-name", place, msg, hint)
        return False
    if name in reserved:
        context.report.add(
            "bad-name", place, f"{label}: '{name}' is taken: {reserved[name]}", "Choose another"
        )
        return False
    return True
