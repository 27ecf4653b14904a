"""The schemas that we publish are those that the code runs on, and they are valid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.wire import DECODER, wire
from journey_stream.events.jsonschema import event_schema, event_schemas
from journey_stream.events.vocabulary import BUILT_IN, DeclaredType
from journey_stream.schemas import build
from journey_stream.values import Event

FOLDER = Path(__file__).parents[2] / "schemas"
FILES = build()
EVENTS = event_schemas(BUILT_IN)
SOURCES = ["visits", "purchases", "tickets", "surveys"]
RECORDS = ["transitions", "signals", "stages", "dead_letters"]


def test_the_schemas_folder_is_what_the_types_say() -> None:
    there = {str(path.relative_to(FOLDER)): path.read_text() for path in FOLDER.rglob("*") if path.is_file()}

    assert sorted(FILES) == sorted(there)
    differing = [path for path, text in FILES.items() if there[path] != text]
    assert [] == differing, "run `journey-stream schema schemas/` and commit what changes"


def test_the_same_types_make_the_same_files() -> None:
    assert FILES == build()
    assert list(FILES) == sorted(FILES)


@pytest.mark.parametrize("path", [path for path in FILES if path.endswith(".json")])
def test_each_schema_is_valid(path: str) -> None:
    schema = json.loads(FILES[path])

    jsonschema.Draft202012Validator.check_schema(schema)
    assert "https://json-schema.org/draft/2020-12/schema" == schema["$schema"]
    assert f"urn:journey_stream:{path.removesuffix('.schema.json')}:v1" == schema["$id"]
    assert schema["title"]


def references(part: Any) -> list[str]:
    """Every `$ref` in a document."""
    if isinstance(part, list):
        return [ref for item in part for ref in references(item)]
    if not isinstance(part, dict):
        return []
    own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
    return own + [ref for value in part.values() for ref in references(value)]


@pytest.mark.parametrize("path", [path for path in FILES if path.endswith(".json")])
def test_each_reference_inside_a_schema_leads_somewhere(path: str) -> None:
    schema = json.loads(FILES[path])
    ids = {json.loads(text)["$id"] for name, text in FILES.items() if name.endswith(".json")}

    for ref in references(schema):
        if ref.startswith("#/$defs/"):
            assert ref.removeprefix("#/$defs/") in schema["$defs"]
        else:
            assert ref in ids


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=5),
    "double": st.integers(-100, 100) | st.floats(-100, 100),
    "bool": st.booleans(),
    "time": st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T00:00:00", "noon"]),
    "map": st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    "list<string>": st.lists(st.text(max_size=3), max_size=2),
    "list<map>": st.lists(st.fixed_dictionaries({}, optional={"price": st.integers() | st.text(max_size=1)})),
}
ODD = st.sampled_from(["nps", "web", "article", "problem", "good", "granted", "email", 0, None, True, [], {}])


@st.composite
def events(draw: st.DrawFn) -> tuple[str, bytes]:
    """Events of any type, right and nearly right."""
    kind = draw(st.sampled_from(list(BUILT_IN)))
    fields = {path: type_ for path, type_ in BUILT_IN.fields(kind.name).items() if "[" not in path}
    properties = {
        path: draw(ODD if draw(st.integers(0, 4)) == 0 else VALUES[fields[path]])
        for path in draw(st.sets(st.sampled_from(sorted(fields)), max_size=3))
    }
    customer = draw(st.sampled_from(["c-1", "c-1", "anon:x", "", None, 5]))
    spelling = draw(st.sampled_from([kind.name, kind.title]))
    return kind.name, wire(spelling, customer_id=customer, properties=properties)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events())
def test_a_schema_and_the_decoder_agree(named: tuple[str, bytes]) -> None:
    name, value = named
    valid = jsonschema.Draft202012Validator(
        EVENTS[name], format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    ).is_valid(json.loads(value))
    found = DECODER.decode(value)

    if isinstance(found, Event):
        assert valid, value
    elif not found.detail.startswith(("properties: sc", "properties.traits: a number")):
        assert not valid, (value, found)


def test_the_schema_of_a_declared_type_holds_its_own() -> None:
    own = {"properties": {"score": {"$ref": "#/$defs/score"}}, "$defs": {"score": {"type": "number"}}}
    vocabulary = BUILT_IN.with_declared([DeclaredType("visit_rated", own)])
    validator = jsonschema.Draft202012Validator(event_schema(vocabulary.types["visit_rated"]))

    assert validator.is_valid(json.loads(wire("visit_rated", properties={"score": 1})))
    assert not validator.is_valid(json.loads(wire("visit_rated", properties={"score": "1"})))
    assert "events/visit_rated.schema.json" in build(vocabulary)


class TestAsyncApi:
    """AsyncAPI 3.0: channels hold messages, operations use channels, payloads are the schema files."""

    document = yaml.safe_load(FILES["asyncapi.yaml"])

    def test_it_has_the_fields_that_the_specification_asks_for(self) -> None:
        assert "3.0.0" == self.document["asyncapi"]
        assert {"title", "version"} <= set(self.document["info"])
        for channel in self.document["channels"].values():
            assert {"address", "messages", "description"} <= set(channel)
        for operation in self.document["operations"].values():
            assert {"action", "channel"} == set(operation)

    def test_its_channels_are_the_topics(self) -> None:
        words = [*SOURCES, *RECORDS]

        addresses = [channel["address"] for channel in self.document["channels"].values()]
        assert [f"journey.{word}" for word in words] == addresses

    def test_we_receive_events_and_send_records(self) -> None:
        actions = {
            operation["channel"]["$ref"].removeprefix("#/channels/"): operation["action"]
            for operation in self.document["operations"].values()
        }
        sources = dict.fromkeys(SOURCES, "receive")
        records = dict.fromkeys(RECORDS, "send")

        assert sources | records == actions

    def test_each_event_type_is_a_message_of_its_source(self) -> None:
        for kind in BUILT_IN:
            message = self.document["channels"][kind.source]["messages"][kind.name]
            assert {"$ref": f"#/components/messages/{kind.name}"} == message

    def test_every_reference_leads_somewhere(self) -> None:
        for ref in references(self.document):
            if ref.startswith("./"):
                assert ref[2:] in FILES
                continue
            place = self.document
            for step in ref.removeprefix("#/").split("/"):
                place = place[step]
