"""A deployment's own event types, each with a JSON Schema and an actor."""

from __future__ import annotations

from typing import Any

import pytest

from events.wire import event, refusal, wire
from journey_stream.errors import SettingsError
from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN, DeclaredType
from journey_stream.values import Event, Rejection

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["score"],
    "properties": {
        "score": {"$ref": "#/$defs/score"},
        "stars": {"type": ["integer", "null"], "maximum": 5},
        "comment": {"type": "string", "pattern": "^[A-Z]"},
        "visited_at": {"type": "string", "format": "date-time"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "answers": {"type": "object"},
        "class": {"type": "boolean"},
        "not-a-name": {"type": "string"},
        "anything": True,
        "meeting": {
            "type": ["object", "string"],
            "properties": {"at": {"type": "string", "format": "date-time"}},
        },
    },
    "$defs": {"score": {"type": "number", "minimum": 0}},
}
TAGS = "properties.tags: expected `array | null`, got `int`"
OWN = BUILT_IN.with_declared([DeclaredType("visit_rated", SCHEMA, actor="customer", source="surveys")])
DECODER = Decoder(OWN)


def test_a_declared_type_is_part_of_the_vocabulary() -> None:
    assert "visit_rated" in OWN
    assert "visit_rated" not in BUILT_IN
    assert "visit_rated" in OWN.activity()
    assert ("surveys", "Visit Rated") == (OWN.types["visit_rated"].source, OWN.types["visit_rated"].title)


def test_guards_see_the_types_of_its_simple_properties() -> None:
    expected = {
        "answers": "map",
        "class": "bool",
        "comment": "string",
        "stars": "double",
        "tags": "list<string>",
        "tags[]": "string",
        "visited_at": "time",
    }

    assert expected == OWN.fields("visit_rated")


def test_its_events_are_decoded_into_a_struct() -> None:
    found = event(
        "visit_rated",
        DECODER,
        score=1,
        stars=4,
        tags=["a"],
        visited_at="1970-01-01T00:01:00Z",
        answers={"q1": 2},
        **{"class": True, "not-a-name": "x"},
    )

    properties = found.properties
    assert (4.0, ["a"], 60.0, {"q1": 2.0}, True) == (
        properties.stars,
        properties.tags,
        properties.visited_at,
        properties.answers,
        properties.class_,
    )
    assert ("customer", True) == (found.actor, found.activity)


@pytest.mark.parametrize(
    ("properties", "reason", "detail"),
    [
        ({}, "missing_field", "properties: 'score' is a required property"),
        (None, "missing_field", "properties: 'score' is a required property"),
        ({"score": -1}, "wrong_type", "properties.score: -1 is less than the minimum of 0"),
        ({"score": 1, "stars": 2.5}, "wrong_type", "properties.stars: 2.5 is not of type 'integer', 'null'"),
        ({"score": 1, "comment": "low"}, "wrong_type", "properties.comment: 'low' does not match '^[A-Z]'"),
        ({"score": 1, "comment": 5}, "wrong_type", "properties.comment: expected `str | null`, got `int`"),
        (
            {"score": 1, "meeting": {"at": "noon"}},
            "wrong_type",
            "properties.meeting.at: 'noon' is not a 'date-time'",
        ),
        ({"score": 1, "meeting": {"at": "2026-01-01T00:00:00Z"}, "tags": 5}, "wrong_type", TAGS),
        ({"score": 1, "not-a-name": 5}, "wrong_type", "properties['not-a-name']: 5 is not of type 'string'"),
        ([], "wrong_type", "properties: expected `object | null`, got `array`"),
    ],
)
def test_its_events_are_held_to_the_schema(properties: object, reason: str, detail: str) -> None:
    assert Rejection(reason, detail) == refusal(  # type: ignore[arg-type]
        wire("visit_rated", properties=properties), DECODER
    )


def test_a_schema_that_never_ends_refuses_and_does_not_crash() -> None:
    endless = BUILT_IN.with_declared([DeclaredType("endless", {"$ref": "#"})])

    assert "wrong_type" == refusal(wire("endless", properties={}), Decoder(endless)).reason


def test_a_declared_type_may_have_any_schema() -> None:
    loose = Decoder(BUILT_IN.with_declared([DeclaredType("anything_goes", {}, actor="system")]))
    found = loose.decode(wire("Anything Goes", properties={"x": 1}))

    assert isinstance(found, Event)
    assert ("anything_goes", "system", False) == (found.type, found.actor, found.activity)


@pytest.mark.parametrize(
    ("name", "schema", "message"),
    [
        ("order_completed", {}, "event type 'order_completed': expected a name of its own"),
        ("activity", {}, "event type 'activity': expected a name of its own"),
        ("Visit Rated", {}, "expected a name like `visit_rated`"),
        ("x", {"type": "strin"}, "'strin' is not valid under any of the given schemas"),
        ("x", {"properties": {"a": {"pattern": "("}}}, "$.properties.a.pattern: '(' is not a 'regex'"),
        ("x", {"patternProperties": {"[": {}}}, "$.patternProperties: '[' is not a 'regex'"),
        ("x", {"properties": {"a": {"$ref": "#/$defs/a"}}}, "the reference '#/$defs/a' leads nowhere"),
        ("x", {"$ref": "https://example.org/a.json"}, "'https://example.org/a.json' leads nowhere"),
    ],
)
def test_an_unusable_declaration_is_an_error_of_the_settings(
    name: str, schema: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        BUILT_IN.with_declared([DeclaredType(name, schema)])

    assert message in str(caught.value)


def test_a_property_may_be_called_like_a_keyword() -> None:
    schema = {"properties": {"pattern": {"type": "string"}, "$ref": {"type": "string"}}}
    vocabulary = BUILT_IN.with_declared([DeclaredType("woven", schema)])

    assert {"pattern": "string"} == vocabulary.fields("woven")
