"""The JSON Schemas (2020-12) of events, made from the structs that decode them.

In: a vocabulary. Out: one schema per event type, complete in itself, and one of the envelope alone, as dicts.
What the structs cannot say is added here: one of two ids has to be there, a name has two spellings.
"""

from __future__ import annotations

from typing import Any

import msgspec

from journey_stream.events.envelope import Envelope
from journey_stream.events.fields import Seconds
from journey_stream.events.vocabulary import EventType, Vocabulary

DRAFT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


def event_schemas(vocabulary: Vocabulary) -> dict[str, Schema]:
    """Make the schema of each type, under its name, and of any event, under `envelope`."""
    schemas = {"envelope": envelope_schema()}
    for kind in vocabulary:
        schemas[kind.name] = event_schema(kind)
    return schemas


def envelope_schema() -> Schema:
    """What every event has, whatever its type."""
    schema = _envelope()
    schema["title"] = "Event"
    schema["description"] = "What every event has; its properties are typed by its type."
    return finish("events/envelope", schema)


def event_schema(kind: EventType) -> Schema:
    """The schema of one event type."""
    schema = _envelope()
    schema["title"] = kind.title
    schema["description"] = _sentence(kind)
    schema["properties"]["type"] = {"enum": [kind.name, kind.title]}
    if kind.schema is not None:
        # A resource of its own: a `$ref` in it keeps its meaning.
        name = f"urn:journey_stream:events/{kind.name}:properties:v1"
        schema["properties"]["properties"] = {"$id": name, **kind.schema}
    else:
        properties, definitions = components(kind.properties)
        schema["properties"]["properties"] = {"anyOf": [properties, {"type": "null"}]}
        schema["$defs"].update(definitions)
    return finish(f"events/{kind.name}", schema)


def components(struct: type) -> tuple[Schema, dict[str, Schema]]:
    """Make the schema of a struct and of what it refers to, without the nulls that say "optional" twice."""
    (schema,), definitions = msgspec.json.schema_components(
        [struct], schema_hook=_hook, ref_template="#/$defs/{name}"
    )
    return schema, {name: _tidy(part) for name, part in sorted(definitions.items())}


def finish(path: str, schema: Schema) -> Schema:
    """Put the schema's own name and draft in front."""
    return {**{"$schema": DRAFT, "$id": ""}, **schema, "$id": f"urn:journey_stream:{path}:v1"}


def _envelope() -> Schema:
    _, definitions = components(Envelope)
    schema = definitions.pop("Envelope")
    schema["properties"]["properties"] = {"type": ["object", "null"]}
    schema["properties"]["occurred_at"]["description"] = "RFC 3339 with offset: when it happened."
    schema["properties"]["customer_id"]["not"] = {"type": "string", "pattern": "^anon:"}
    person = {"type": "string", "minLength": 1}
    schema["anyOf"] = [
        {"required": [name], "properties": {name: person}} for name in ("customer_id", "anonymous_id")
    ]
    schema["$defs"] = definitions
    return schema


def _sentence(kind: EventType) -> str:
    whose = {"customer": "an act of the customer", "company": "an act of the company", "system": "a fact"}
    what = "" if kind.schema is not None else (kind.properties.__doc__ or "").strip().split("\n")[0] + " "
    return f"{what}Source: {kind.source}; {whose[kind.actor]}."


def _hook(kind: type) -> Schema:
    if kind is Seconds:
        return {"type": "string", "format": "date-time"}
    msg = f"no schema for the type {kind!r}"
    raise NotImplementedError(msg)


def _tidy(part: Any) -> Any:
    """Leave out `default: null` and empty `required`, say "X or null" briefly."""
    if isinstance(part, list):
        return [_tidy(item) for item in part]
    if not isinstance(part, dict):
        return part
    tidy = {key: _tidy(value) for key, value in part.items() if (key, value) != ("default", None)}
    if tidy.get("required") == []:
        del tidy["required"]
    options = tidy.get("anyOf")
    if isinstance(options, list) and all(set(option) == {"type"} for option in options):
        del tidy["anyOf"]
        tidy["type"] = [option["type"] for option in options]
    return tidy
