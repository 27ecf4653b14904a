"""A deployment's own event types: a JSON Schema in, a property struct and a check out.

The struct holds the schema's top-level properties of simple types (what guards can name); the check is the
whole schema, compiled once by the `jsonschema` library. Nothing is fetched: a `$ref` stays inside the schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Literal

import jsonschema
import jsonschema.exceptions
import msgspec
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from journey_stream.errors import SettingsError
from journey_stream.events.fields import Properties, Seconds, attribute_name, dec_hook
from journey_stream.values import Actor, Rejection

Validate = Callable[[object], Rejection | None]

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class DeclaredType(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event type that a deployment declares."""

    name: str
    schema: dict[str, Any]
    """JSON Schema 2020-12 of its `properties`."""
    actor: Actor = "customer"
    source: str = "visits"


def compile_declared(declared: DeclaredType) -> tuple[type[msgspec.Struct], Validate]:
    """Make the property struct and the check of a declared type.

    Raises:
        SettingsError: the name is not a name, or the schema is not a usable JSON Schema.
    """
    name, schema = declared.name, declared.schema
    if not _NAME.match(name):
        msg = f"event type {name!r}: expected a name like `visit_rated` (a-z, 0-9, _); rename it"
        raise SettingsError(msg)
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
        reference: object = None
        resolver = Registry().resolver_with_root(DRAFT202012.create_resource(schema))
        for reference in (*_keyword(schema, "$ref"), *_keyword(schema, "$dynamicRef")):
            if isinstance(reference, str):
                resolver.lookup(reference)
    except jsonschema.exceptions.SchemaError as error:
        raise SettingsError(_unusable(name, f"{error.json_path}: {error.message}")) from error
    except Unresolvable as error:
        raise SettingsError(_unusable(name, f"the reference {reference!r} leads nowhere in it")) from error
    except RecursionError as error:
        raise SettingsError(_unusable(name, "it is nested too deeply")) from error
    return _struct(name, schema), _validator(schema)


_FORMATS = jsonschema.FormatChecker(("date", "email", "idn-email", "ipv4", "ipv6", "regex", "uuid"))
"""The formats that are checked: those that need no optional library, so that outcomes are alike anywhere."""


@_FORMATS.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or isinstance(dec_hook(Seconds, value), float)


def _unusable(name: str, came: str) -> str:
    return f"event type {name!r}: expected a JSON Schema (2020-12) of its properties; {came}"


def _validator(schema: dict[str, Any]) -> Validate:
    validator = jsonschema.Draft202012Validator(
        schema,
        registry=Registry(),
        format_checker=_FORMATS,
    )

    def validate(properties: object) -> Rejection | None:
        try:
            error = jsonschema.exceptions.best_match(validator.iter_errors(properties))
        except RecursionError:
            return Rejection("wrong_type", "properties: nested too deeply to check against the type's schema")
        if error is None:
            return None
        where = "properties" + error.json_path[1:]
        reason: Literal["missing_field", "wrong_type"] = (
            "missing_field" if error.validator == "required" else "wrong_type"
        )
        return Rejection(reason, f"{where}: {error.message}"[:500])

    return validate


def _struct(name: str, schema: dict[str, Any]) -> type[msgspec.Struct]:
    """Make the struct of what guards can name: anything but simple types stays out of it."""
    properties = schema.get("properties")
    fields: list[tuple[str, Any, Any]] = []
    for key, spec in sorted(properties.items()) if isinstance(properties, dict) else ():
        hint = _hint(spec)
        if hint is not None and _IDENTIFIER.match(key):
            fields.append((attribute_name(key), hint | None, msgspec.field(default=None, name=key)))
    return msgspec.defstruct(
        "".join(word.capitalize() for word in name.split("_")), fields, bases=(Properties,), kw_only=True
    )


def _hint(spec: object) -> Any:
    if not isinstance(spec, dict):
        return None
    kinds = spec.get("type")
    kinds = [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind != "null"]
    if kinds == ["string"]:
        return Seconds if spec.get("format") == "date-time" else str
    if kinds and set(kinds) <= {"number", "integer"}:
        return float
    if kinds == ["boolean"]:
        return bool
    if kinds == ["object"]:
        return dict[str, Any]
    if kinds == ["array"]:
        item = _hint(spec.get("items"))
        return list[item] if item in (str, float) else None  # type: ignore[valid-type]
    return None


def _keyword(schema: object, keyword: str) -> Iterator[object]:
    """Find a keyword's values anywhere in a schema (or a property of that name)."""
    if isinstance(schema, dict):
        if keyword in schema:
            yield schema[keyword]
        for value in schema.values():
            yield from _keyword(value, keyword)
    elif isinstance(schema, list):
        for value in schema:
            yield from _keyword(value, keyword)
