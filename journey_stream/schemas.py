"""The `schemas/` folder: what it holds, made from the types that the code runs on.

    build() -> {"asyncapi.yaml": text, "events/order_completed.schema.json": text, ...}

`events/` holds one file per event type and `envelope`, `records/` the values and headers of records out and
the lines of `replay`, `definitions/` journeys, their tests and the configuration.

In: a vocabulary (the built-in one unless told). Out: relative path and text of each file, in one order, the
same bytes each time. Writing them, and comparing them with what is there, is the job of the command line
(`schema`) and of the drift test.
"""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import yaml

from journey_stream.events.asyncapi import asyncapi
from journey_stream.events.jsonschema import Schema, components, event_schemas, finish
from journey_stream.events.vocabulary import BUILT_IN, Vocabulary
from journey_stream.journeys.jsonschema import journey_schema
from journey_stream.settings_reference import config_schema
from journey_stream.testing.schema import journey_test_schema
from journey_stream.values import Reason
from journey_stream.wire import SignalValue, StageValue, TransitionValue

_RECORDS = {"transition": TransitionValue, "signal": SignalValue, "stage": StageValue}


def build(vocabulary: Vocabulary = BUILT_IN) -> dict[str, str]:
    """Make all files of the `schemas/` folder."""
    schemas = {
        **{f"definitions/{name}": schema for name, schema in definition_schemas(vocabulary).items()},
        **{f"events/{name}": schema for name, schema in event_schemas(vocabulary).items()},
        **{f"records/{name}": schema for name, schema in record_schemas().items()},
    }
    document = yaml.safe_dump(asyncapi(vocabulary), sort_keys=False, allow_unicode=True, width=110)
    return {
        "asyncapi.yaml": document,
        **{f"{path}.schema.json": _json(schema) for path, schema in sorted(schemas.items())},
    }


def definition_schemas(vocabulary: Vocabulary = BUILT_IN) -> dict[str, Schema]:
    """Collect the schemas of what people write: journeys, their tests, the configuration."""
    written: dict[str, Schema] = {
        "journey": journey_schema(vocabulary),
        "journey_test": journey_test_schema(),
        "config": config_schema(),
    }
    return {name: finish(f"definitions/{name}", schema) for name, schema in written.items()}


def record_schemas() -> dict[str, Schema]:
    """Make the schemas of the records out: values, headers, and a record as a line of `replay`."""
    schemas: dict[str, Schema] = {}
    for name, struct in _RECORDS.items():
        _, definitions = components(struct)
        schema = definitions.pop(struct.__name__)
        schemas[name] = finish(
            f"records/{name}", {**schema, "title": name.capitalize(), "$defs": definitions}
        )
    schemas["headers"] = finish("records/headers", _headers())
    schemas["dead_letter_headers"] = finish("records/dead_letter_headers", _dead_letter_headers())
    schemas["cloud_event"] = finish("records/cloud_event", _cloud_event())
    return schemas


_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_ATTRIBUTES: Schema = {
    "specversion": {"const": "1.0"},
    "id": _TEXT,
    "source": {"type": "string", "format": "uri-reference", "pattern": "^/journey_stream/"},
    "type": {"enum": [f"journey_stream.{name}.v1" for name in _RECORDS]},
    "subject": {"type": "string", "description": "The person."},
    "time": _TIME,
    "journey": _TEXT,
    "stage": _TEXT,
    "stagekind": _TEXT,
    "owner": _TEXT,
    "signal": _TEXT,
    "status": {"enum": ["raised", "cancelled"]},
}
_REQUIRED = ("specversion", "id", "source", "type", "subject", "time", "journey", "stage")


def _headers() -> Schema:
    return {
        "title": "Record headers",
        "description": "CloudEvents 1.0 in Kafka's binary mode; the value of each header is UTF-8 text.",
        "type": "object",
        "properties": {
            **{f"ce_{name}": schema for name, schema in _ATTRIBUTES.items()},
            "content-type": {"const": "application/json"},
        },
        "required": [*(f"ce_{name}" for name in _REQUIRED), "content-type"],
    }


def _cloud_event() -> Schema:
    return {
        "title": "Structured record",
        "description": "A record as `replay` prints it: one CloudEvent a line.",
        "type": "object",
        "properties": {
            **_ATTRIBUTES,
            "datacontenttype": {"const": "application/json"},
            "data": {"anyOf": [{"$ref": f"urn:journey_stream:records/{name}:v1"} for name in _RECORDS]},
        },
        "required": [*_REQUIRED, "datacontenttype", "data"],
    }


def _dead_letter_headers() -> Schema:
    whole = {"type": "string", "pattern": "^-?[0-9]+$"}
    ours: dict[str, Any] = {
        "reason": {"enum": list(get_args(Reason))},
        "detail": _TEXT,
        "source_topic": _TEXT,
        "source_partition": whole,
        "source_offset": whole,
        "source_time": _TIME,
    }
    at_times: dict[str, Any] = {
        "source_derived": {
            "const": "true",
            "description": "Intake derived the event from the source record.",
        },
        "redrive_of": {"type": "string", "description": "Sent back before: the letter it was then."},
        "redrive_count": {**whole, "description": "How often it has been sent back."},
        "redrive_as_of": {**_TIME, "description": "When it was to count as having happened."},
    }
    return {
        "title": "Dead letter headers",
        "description": (
            "They follow the headers that the record came with; key and value are the original bytes. "
            "Its identity is source topic, partition and offset."
        ),
        "type": "object",
        "properties": {f"journey_stream_{name}": schema for name, schema in (ours | at_times).items()},
        "required": [f"journey_stream_{name}" for name in ours],
    }


def _json(schema: Schema) -> str:
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"
