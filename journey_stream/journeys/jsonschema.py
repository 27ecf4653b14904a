"""The JSON Schema of definitions, for editors: completion, descriptions and checks while typing.

In: the grammar (and the vocabulary, for the names of events). Out: a JSON Schema (2020-12). It says less than
`load` does, names and types of expressions are beyond it, but nothing that `load` refuses it asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from journey_stream.events.vocabulary import BUILT_IN, Vocabulary
from journey_stream.journeys.grammar import (
    DURATION,
    EXAMPLES,
    JOURNEY_ID,
    KINDS,
    LANGUAGE,
    MAX_INTEGER,
    NAME,
    SHAPES,
    SLUG,
    TAKES,
    Key,
    Shape,
    Takes,
)
from journey_stream.journeys.model import ACTIVITY

SCHEMA_ID = "https://journey-stream.dev/schemas/journey.schema.json"

Schema = dict[str, Any]


def journey_schema(vocabulary: Vocabulary = BUILT_IN) -> Schema:
    """Make the schema of a whole definition."""
    types = "|".join([*vocabulary.names(), ACTIVITY])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Journey definition",
        **_shape(SHAPES["journey"]),
        "$defs": {
            **{name: _shape(shape) for name, shape in SHAPES.items() if name != "journey"},
            "event_type": {
                "description": "An event type of the vocabulary, own ones of the deployment included.",
                "anyOf": [{"enum": [*vocabulary.names(), ACTIVITY]}, _SPELLED],
            },
            "property": {
                "description": TAKES["property"],
                "anyOf": [{"type": "string", "pattern": f"^({types})\\..+$"}, _SPELLED],
            },
            "duration": {
                "description": TAKES["duration"],
                "type": "string",
                "pattern": f"^({DURATION}|{NAME})$",
                "examples": ["30m", "90d", "1d12h"],
            },
            "guard": {"description": TAKES["guard"], "type": ["string", "number", "boolean"]},
        },
    }


def _shape(shape: Shape) -> Schema:
    schema: Schema = {
        "description": shape.doc,
        "type": "object",
        "additionalProperties": False,
        "properties": {key.name: _property(key) for key in shape.keys},
    }
    required = [key.name for key in shape.keys if key.required]
    if required:
        schema["required"] = required
    needs = {
        key.name: {"anyOf": [{"required": [other]} for other in key.needs]} for key in shape.keys if key.needs
    }
    if needs:
        schema["dependentSchemas"] = needs
    if "sequence" in shape.names:
        schema["dependentRequired"] = {"sequence": ["within"]}
    if shape.one_of:
        schema["oneOf"] = [_form(name, shape) for name in shape.one_of]
    never = [[key.name, other] for key in shape.keys for other in key.excludes]
    if shape.key("after"):
        never.append(["event", "after", "since"])
        schema["if"] = {"properties": {"where": {"type": "array"}}, "required": ["where"]}
        schema["then"] = {"required": ["sequence"]}
    if never:
        schema["not"] = {"anyOf": [{"required": names} for names in never]}
    return schema


def _form(name: str, shape: Shape) -> Schema:
    """One of the keys of which exactly one has to be there; `event` beside `after` is its `since`."""
    form: Schema = {"required": [name]}
    return {**form, "not": {"required": ["after"]}} if name == "event" and shape.key("after") else form


def _property(key: Key) -> Schema:
    schema = {"description": f"{key.doc} Takes {TAKES[key.takes]}.", **SCHEMAS[key.takes](key)}
    if key.takes in EXAMPLES:
        schema["examples"] = list(EXAMPLES[key.takes])
    if key.default is not None:
        schema["default"] = key.default
    return schema


def _or_list(item: Schema) -> Schema:
    return {"anyOf": [item, {"type": "array", "minItems": 1, "items": item}]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


_TEXT: Schema = {"type": "string", "minLength": 1}
_WORDS = _or_list(_TEXT)
_TYPES = _or_list(_ref("event_type"))
_GUARD = _ref("guard")
_SCALAR: Schema = {"type": ["number", "boolean", "string"]}
_PROPERTY = _ref("property")
_SPELLED: Schema = {"type": "string", "pattern": "[A-Z ]"}
"""Other spellings, as Segment's "Order Completed", are the linter's to look up."""
_TITLE: Schema = {
    "anyOf": [
        _TEXT,
        {"type": "object", "patternProperties": {f"^{LANGUAGE}$": _SCALAR}, "additionalProperties": False},
    ]
}

SCHEMAS: dict[Takes, Callable[[Key], Schema]] = {
    "journey id": lambda _: {"type": "string", "pattern": f"^{JOURNEY_ID}$"},
    "id": lambda _: {"type": "string", "pattern": f"^{SLUG}$"},
    "text": lambda _: _TEXT,
    "title": lambda _: _TITLE,
    "integer": lambda key: {"type": "integer", "minimum": key.least, "maximum": MAX_INTEGER},
    "boolean": lambda _: {"type": "boolean"},
    "kind": lambda _: {"enum": list(KINDS)},
    "duration": lambda _: _ref("duration"),
    "delay": lambda _: _GUARD,
    "window": lambda _: {"anyOf": [{"enum": ["stage", "session"]}, _ref("duration")]},
    "keeps": lambda _: {"enum": ["last", "sum", "count"]},
    "parameters": lambda _: {
        "type": "object",
        "propertyNames": {"pattern": f"^{NAME}$"},
        "additionalProperties": {
            "anyOf": [_SCALAR, {"type": "array", "minItems": 1, "items": _SCALAR}],
        },
    },
    "types": lambda _: _TYPES,
    "since": lambda _: {"anyOf": [{"enum": ["stage", "enter"]}, *_TYPES["anyOf"]]},
    "sequence": lambda _: {"type": "array", "minItems": 2, "items": _TYPES},
    "property": lambda key: _or_list(_PROPERTY) if key.or_list else _PROPERTY,
    "properties": lambda _: _or_list(_PROPERTY),
    "path": lambda _: _TEXT,
    "names": lambda _: {"type": "array", "items": _TEXT},
    "stage": lambda _: _TEXT,
    "stages": lambda _: _WORDS,
    "target": lambda _: {"anyOf": [_TEXT, _ref("back")]},
    "guard": lambda _: _GUARD,
    "guards": lambda _: {
        "anyOf": [_GUARD, {"type": "array", "items": {"anyOf": [_GUARD, {"type": "null"}]}}]
    },
    "guard map": lambda _: {"type": "object", "additionalProperties": _GUARD},
    "table": lambda key: _ref(key.shape or ""),
    "tables by name": lambda key: {
        "type": "object",
        "minProperties": 0,
        "additionalProperties": _ref(key.shape or ""),
    },
    "list of tables": lambda key: {"type": "array", "items": _ref(key.shape or "")},
}
"""The schema of each kind of value; the same table as `values_of.VALUES`, which a test compares."""
