"""Attributes and parameters: checked fields -> the model's `Attribute`s, their types and sharing keys.

In: the mappings `parameters` and `attributes`. Out: values, attributes and types by name. Derived attributes
(`value`) may need each other: they are typed in the order of need, and a circle is a finding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

from journey_stream.journeys.attribute_types import attribute_type, property_type, unified, value_path
from journey_stream.journeys.check import Context, Fields, check_name, check_table
from journey_stream.journeys.durations import LONGEST, duration
from journey_stream.journeys.expressions import type_of
from journey_stream.journeys.findings import Report
from journey_stream.journeys.grammar import FORMS, NAME, SHAPES
from journey_stream.journeys.guards.types import BOOL, DOUBLE, DYN, Type
from journey_stream.journeys.model import DEFAULT_LIMIT, Attribute, Form, Source, Value
from journey_stream.journeys.read import Items, Node, Scalar, Table
from journey_stream.journeys.scopes import RESERVED, Scopes
from journey_stream.journeys.sharing import sharing_keys
from journey_stream.journeys.values_of import Guard, check_path, describe
from journey_stream.values import SECOND


@dataclass(slots=True)
class Attributes:
    """The attributes of a journey, and what expressions see of them."""

    by_name: dict[str, Attribute] = field(default_factory=dict)
    types: dict[str, Type] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    """All names that were written, broken ones too: so that one mistake makes one finding."""


def read_parameters(table: Table, context: Context) -> tuple[dict[str, Value], dict[str, int]]:
    """Read parameters.

    Returns:
        All values (durations in seconds), and the durations again in microseconds.
    """
    values: dict[str, Value] = {}
    durations: dict[str, int] = {}
    for name, entry in table.entries.items():
        label = f"parameter '{name[:80]}'"
        if not check_name(name, entry.key, NAME, RESERVED, label, context):
            continue
        value = _parameter(entry.value, label, context.report)
        if value is None:
            continue
        values[name] = value
        if isinstance(entry.value, Scalar) and (length := _duration_of(entry.value)) is not None:
            durations[name] = length
    return values, durations


def _duration_of(node: Scalar) -> int | None:
    return duration(node.text) if isinstance(node.value, str) else None


def _parameter(node: Node, label: str, report: Report) -> Value | None:
    if isinstance(node, Items):
        items = [_one_value(item, label, report) for item in node.items]
        if not items:
            report.add("empty", node, f"{label} is an empty list", "A list has at least one value")
        if not items or any(item is None for item in items):
            return None
        if len({type(item) for item in items}) > 1:
            hint = "Numbers and durations, or truth values, or texts"
            report.add("wrong-type", node, f"{label}: the values of a list are of one type", hint)
            return None
        return cast(Value, tuple(items))
    return _one_value(node, label, report)


def _one_value(node: Node, label: str, report: Report) -> float | bool | str | None:
    if not isinstance(node, Scalar) or node.value is None:
        hint = "Expected a number, a duration, true or false, a text, or a list of one of these"
        report.add("wrong-type", node, f"{label}: came {describe(node)}", hint)
        return None
    if isinstance(node.value, bool):
        return node.value
    if isinstance(node.value, int | float):
        if not math.isfinite(node.value):
            report.add("bad-value", node, f"{label}: {node.text[:40]} is not a finite number")
            return None
        return float(node.value)
    length = duration(node.value)
    if length is None:
        return node.value
    if length > LONGEST:
        report.add("bad-duration", node, f"{label}: {node.text[:40]} is more than a hundred years")
        return None
    return length / SECOND


def read_attributes(table: Table, journey: str, scopes: Scopes, context: Context) -> Attributes:
    """Read all attributes, derived ones after what they need."""
    found = Attributes()
    derived: dict[str, Guard] = {}
    for name, entry in table.entries.items():
        label = f"attribute '{name[:80]}'"
        found.written.add(name)
        if not check_name(name, entry.key, NAME, RESERVED, label, context):
            continue
        if name in context.parameters:
            msg = f"{label}: a parameter has the same name, so an expression could not tell them apart"
            context.report.add("duplicate-id", entry.key, msg, "Rename one of the two")
        fields = check_table(entry.value, SHAPES["attribute"], context, label)
        if fields is None:
            continue
        attribute = _Reader(name, entry.key.line, fields, scopes, context, tuple(table.entries)).read()
        if attribute is None:
            continue
        if attribute.form == "value":
            derived[name] = fields.get("value")
        else:
            found.types[name] = attribute_type(attribute, context.vocabulary, {})
        found.by_name[name] = attribute
    _type_derived(derived, found, scopes, context)
    _share(found, journey, context)
    return found


def _type_derived(derived: dict[str, Guard], found: Attributes, scopes: Scopes, context: Context) -> None:
    """Give each derived attribute the type of its expression, those it needs first."""
    waiting = dict(derived)
    while waiting:
        ready = [name for name, guard in waiting.items() if not guard.expression.names() & waiting.keys()]
        if not ready:
            for name, guard in waiting.items():
                others = ", ".join(sorted(guard.expression.names() & waiting.keys()))
                msg = f"attribute '{name}' needs {others}, which needs it in turn"
                context.report.add("cycle", guard.node, msg, "Break the circle")
                found.types[name] = DYN
            return
        for name in ready:
            guard = waiting.pop(name)
            forms = {each: found.by_name[each].form for each in found.types}
            scope = scopes.with_attributes(found.types, forms).when()
            label = f"attribute '{name}': 'value'"
            found.types[name] = type_of(guard, scope, context, label, found.written) or DYN


def _share(found: Attributes, journey: str, context: Context) -> None:
    for name, key in sharing_keys(found.by_name, journey, context.parameters).items():
        found.by_name[name] = replace(found.by_name[name], sharing_key=key)


class _Reader:
    """Reads one attribute."""

    def __init__(
        self,
        name: str,
        line: int,
        fields: Fields,
        scopes: Scopes,
        context: Context,
        attributes: tuple[str, ...],
    ) -> None:
        self.name = name
        self.line = line
        self.fields = fields
        self.scopes = scopes
        self.context = context
        self.attributes = attributes

    def read(self) -> Attribute | None:
        written = [form for form in FORMS if self.fields.has(form)]
        if not written or self.fields.get(written[0]) is None:
            return None
        form = cast(Form, written[0])
        readers: dict[str, Callable[[], dict[str, Any] | None]] = {
            "count": self._counting,
            "rhythm": self._counting,
            "sum": self._number,
            "mean": self._number,
            "min": self._number,
            "max": self._number,
            "first": self._plain,
            "last": self._plain,
            "distinct": self._plain,
            "map": self._map,
            "open": self._open,
            "elapsed": self._elapsed,
            "value": lambda: {"value": self.fields.get("value").expression},
        }
        extra = readers[form]()
        if extra is None:
            return None
        sources: tuple[Source, ...] = extra.pop("sources", ())
        self._check_by(self.fields, sources)
        return Attribute(
            name=self.name,
            form=form,
            sources=sources,
            where=self._where(sources),
            over=self._over(),
            less=self.fields.get("less", ()),
            by=extra.pop("by", None) or self._word("by"),
            limit=self.fields.get("limit", DEFAULT_LIMIT),
            gap=self.fields.get("gap"),
            gaps=self.fields.get("gaps", 3),
            line=self.line,
            **extra,
        )

    def _word(self, key: str) -> str | None:
        word = self.fields.get(key)
        return word.text if isinstance(word, Scalar) else None

    def _over(self) -> Any:
        over = self.fields.get("over")
        if over == 0:
            msg = f"{self.fields.label}: a window of no length holds nothing"
            self.context.report.add("bad-duration", self.fields.at("over"), msg)
        return over

    def _where(self, sources: tuple[Source, ...]) -> Any:
        guard: Guard | None = self.fields.get("where")
        if guard is None:
            return None
        scope = self.scopes.where(source.type for source in sources)
        label = f"{self.fields.label}: 'where'"
        type_of(guard, scope, self.context, label, self.attributes, BOOL, over_event=True)
        return guard.expression

    def _counting(self) -> dict[str, Any]:
        form = "count" if self.fields.has("count") else "rhythm"
        return {"sources": tuple(Source(kind) for kind in self.fields.get(form))}

    def _plain(self) -> dict[str, Any]:
        form = next(name for name in ("first", "last", "distinct") if self.fields.has(name))
        sources = self.fields.get(form)
        self._one_type(sources, form)
        return {"sources": sources}

    def _number(self) -> dict[str, Any]:
        form = next(name for name in ("sum", "mean", "min", "max") if self.fields.has(name))
        sources: tuple[Source, ...] = self.fields.get(form)
        for source in sources:
            of = property_type(self.context.vocabulary, source.type, source.path or "")
            if of not in (DOUBLE, DYN, None):
                msg = f"{self.fields.label}: '{form}' takes numbers; {source.type}.{source.path} is {of}"
                self.context.report.add("guard-type", self.fields.at(form), msg)
        return {"sources": sources}

    def _one_type(self, sources: tuple[Source, ...], form: str) -> None:
        types = [property_type(self.context.vocabulary, each.type, each.path or "") for each in sources]
        if unified(of for of in types if of is not None) is None:
            told = ", ".join(f"{s.type}.{s.path} is {t}" for s, t in zip(sources, types, strict=True))
            msg = f"{self.fields.label}: the properties of one '{form}' are of one type; {told}"
            self.context.report.add("guard-type", self.fields.at(form), msg, "Make it two attributes")

    def _map(self) -> dict[str, Any] | None:
        label = f"{self.fields.label}: 'map'"
        inner = check_table(self.fields.get("map"), SHAPES["map"], self.context, label)
        if inner is None or inner.get("key") is None or inner.get("value") is None:
            return None
        sources: tuple[Source, ...] = inner.get("key")
        keeps = inner.get("value")
        if keeps == "count":
            if inner.has("of"):
                msg = f"{label}: 'of' is only for last and sum; count counts events"
                self.context.report.add("conflicting-keys", inner.at("of"), msg, "Leave it out")
            return {"sources": sources, "keeps": keeps}
        of: Scalar | None = inner.get("of")
        if of is None:
            if not inner.has("of"):
                msg = f"{label}: '{keeps}' needs 'of', the path of the value"
                self.context.report.add("missing-key", inner.node, msg, "Add of: total")
            return None
        path = of.text
        for source in sources:
            inside = value_path(source.path or "", of.text)
            if self.context.vocabulary.field(source.type, inside) is not None:
                path = inside
        for source in sources:
            if not check_path(source.type, path, of, self.context, f"{label}: 'of'"):
                return None
            if keeps == "sum" and property_type(self.context.vocabulary, source.type, path) != DOUBLE:
                msg = f"{label}: 'sum' adds numbers, and {source.type}.{path} is none"
                self.context.report.add("guard-type", of, msg)
        return {"sources": sources, "keeps": keeps, "of": path}

    def _open(self) -> dict[str, Any] | None:
        inner = check_table(
            self.fields.get("open"), SHAPES["open"], self.context, f"{self.fields.label}: 'open'"
        )
        if inner is None or any(inner.get(key) is None for key in ("opened", "closed", "by")):
            return None
        kinds = (*inner.get("opened"), *inner.get("closed"), *inner.get("reopened", ()))
        self._check_by(inner, tuple(Source(kind) for kind in kinds))
        return {
            "sources": tuple(Source(kind) for kind in inner.get("opened")),
            "closed": inner.get("closed"),
            "reopened": inner.get("reopened", ()),
            "by": inner.get("by").text,
        }

    def _elapsed(self) -> dict[str, Any] | None:
        inner = check_table(
            self.fields.get("elapsed"), SHAPES["elapsed"], self.context, f"{self.fields.label}: 'elapsed'"
        )
        if inner is None or inner.get("from") is None or inner.get("to") is None:
            return None
        kinds = (*inner.get("from"), *inner.get("to"))
        self._check_by(inner, tuple(Source(kind) for kind in kinds))
        by = inner.get("by")
        return {
            "sources": tuple(Source(kind) for kind in inner.get("from")),
            "until": inner.get("to"),
            "by": by.text if by is not None else None,
        }

    def _check_by(self, fields: Fields, sources: tuple[Source, ...]) -> None:
        by = fields.get("by")
        if isinstance(by, Scalar):
            kinds = (*(source.type for source in sources), *self.fields.get("less", ()))
            check_by(by, kinds, self.context, fields.label)


def check_by(by: Scalar, kinds: tuple[str, ...], context: Context, label: str) -> None:
    """An id has to be there on every type, and be one value."""
    for kind in dict.fromkeys(kinds):
        if not check_path(kind, by.text, by, context, f"{label}: 'by'"):
            return
    if "[]" in by.text:
        msg = f"{label}: 'by' takes one value of an event, and '{by.text}' has many"
        context.report.add("bad-value", by, msg)
