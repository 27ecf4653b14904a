"""The AsyncAPI 3.0 document of the topics: who writes what, with which key, headers and schema.

In: a vocabulary and the topic prefix. Out: the document as a dict; payloads refer to the files beside it.
Addresses are those of the default configuration; another prefix or list of sources moves them.
"""

from __future__ import annotations

from typing import Any

from journey_stream.events.vocabulary import EventType, Vocabulary

SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
Part = dict[str, Any]

_SOURCES = {
    "visits": "Visits and browsing, messages and their fate, what is known of the person.",
    "purchases": "Orders, quotes, subscriptions, loyalty.",
    "tickets": "Support tickets.",
    "surveys": "Surveys.",
}
_RECORDS = {
    "transitions": ("transition", "Every stage change of every journey. Key: the person."),
    "signals": ("signal", "Every signal raised or cancelled. Key: the person."),
    "stages": ("stage", "Compacted: the stage now. Key: `<person>|<journey>`, partitioned by the person."),
    "dead_letters": ("dead_letter", "Records that could not be used: key, value and headers as they came."),
}


def asyncapi(vocabulary: Vocabulary, prefix: str = "journey", version: str = "1.0.0") -> Part:
    """Describe the topics in and out."""
    sources = dict.fromkeys([*_SOURCES, *(kind.source for kind in vocabulary)])
    channels: Part = {
        source: _channel(
            f"{prefix}.{source}",
            _SOURCES.get(source, "Events of this deployment.") + " Any known type is accepted on any source.",
            {kind.name: _ref("messages", kind.name) for kind in vocabulary if kind.source == source},
        )
        for source in sources
    }
    operations: Part = {f"receive_{source}": _operation("receive", source) for source in sources}
    for channel, (record, text) in _RECORDS.items():
        channels[channel] = _channel(f"{prefix}.{channel}", text, {record: _ref("messages", record)})
        operations[f"send_{channel}"] = _operation("send", channel)
    return {
        "asyncapi": "3.0.0",
        "id": "urn:journey_stream",
        "info": {
            "title": "journey_stream",
            "version": version,
            "description": (
                "Customer events in, journeys kept, each change of stage out. "
                "Events are JSON objects; records out are CloudEvents 1.0 in Kafka's binary mode."
            ),
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": {
                **{kind.name: _event(kind) for kind in vocabulary},
                **{name: _record(name) for name in ("transition", "signal", "stage")},
                "dead_letter": _dead_letter(),
            },
        },
    }


def _channel(address: str, description: str, messages: Part) -> Part:
    return {
        "address": address,
        "description": description,
        "messages": messages,
        "bindings": {"kafka": {"topic": address, "bindingVersion": "0.5.0"}},
    }


def _operation(action: str, channel: str) -> Part:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}


def _ref(sort: str, name: str) -> Part:
    return {"$ref": f"#/components/{sort}/{name}"}


def _event(kind: EventType) -> Part:
    return {
        "name": kind.name,
        "title": kind.title,
        "contentType": "application/json",
        "tags": [{"name": f"actor:{kind.actor}"}],
        "payload": _schema(f"./events/{kind.name}.schema.json"),
    }


def _record(name: str) -> Part:
    return {
        "name": name,
        "title": name.capitalize(),
        "contentType": "application/json",
        "headers": _schema("./records/headers.schema.json"),
        "payload": _schema(f"./records/{name}.schema.json"),
        "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": "0.5.0"}},
    }


def _dead_letter() -> Part:
    return {
        "name": "dead_letter",
        "title": "Dead letter",
        "summary": "The original bytes, whatever they are.",
        "contentType": "application/octet-stream",
        "headers": _schema("./records/dead_letter_headers.schema.json"),
        "payload": {},
    }


def _schema(path: str) -> Part:
    return {"schemaFormat": SCHEMA_FORMAT, "schema": {"$ref": path}}
