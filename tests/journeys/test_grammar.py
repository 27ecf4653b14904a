"""One grammar, three mirrors: the checker, the JSON Schema and the reference cannot drift apart."""

from __future__ import annotations

from typing import Any, get_args

import jsonschema
import pytest
import yaml

from journey_stream.journeys.durations import duration
from journey_stream.journeys.grammar import FORMS, KINDS, SHAPES, TAKES, Takes
from journey_stream.journeys.jsonschema import SCHEMAS, journey_schema
from journey_stream.journeys.model import Form
from journey_stream.journeys.values_of import VALUES
from journeys.definitions import HEAD


def _schema_of(name: str) -> dict[str, Any]:
    schema = journey_schema()
    found: dict[str, Any] = schema if name == "journey" else schema["$defs"][name]
    return found


def test_every_kind_of_value_is_read_described_and_in_the_schema() -> None:
    takes = set(get_args(Takes))

    assert takes == set(VALUES) == set(TAKES) == set(SCHEMAS)


@pytest.mark.parametrize("name", SHAPES)
def test_the_schema_has_the_keys_of_the_grammar(name: str) -> None:
    shape, schema = SHAPES[name], _schema_of(name)

    assert list(shape.names) == list(schema["properties"])
    assert [key.name for key in shape.keys if key.required] == schema.get("required", [])
    assert not schema["additionalProperties"]


@pytest.mark.parametrize("name", SHAPES)
def test_every_key_says_what_it_is_for_and_names_only_keys_and_shapes_there_are(name: str) -> None:
    shape = SHAPES[name]

    assert set(shape.one_of) <= set(shape.names)
    for key in shape.keys:
        assert key.doc.strip()
        assert set(key.needs) <= set(shape.names)
        assert key.shape is None or key.shape in SHAPES


def test_forms_are_those_of_the_model() -> None:
    assert get_args(Form) == FORMS == SHAPES["attribute"].one_of


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(journey_schema())


@pytest.mark.parametrize(
    "line",
    [
        "{id: x, from: buyer, to: lost, wehn: known, event: page_viewed}",
        "{id: x, from: buyer, event: page_viewed}",
        "{id: x, from: buyer, to: lost}",
        "{id: x, from: buyer, to: lost, event: page_viewed, unless: page_left}",
        "{id: x, from: buyer, to: lost, event: page_viewed, min_dwell: 3}",
        "{id: X, from: buyer, to: lost, event: page_viewed}",
    ],
)
def test_the_schema_finds_what_editors_should_underline(line: str) -> None:
    validator = jsonschema.Draft202012Validator(journey_schema())
    good = yaml.safe_load(HEAD)
    bad = yaml.safe_load(HEAD + f"  - {line}\n")

    assert (True, False) == (validator.is_valid(good), validator.is_valid(bad))


def test_the_schema_completes_event_types_and_kinds() -> None:
    schema = journey_schema()

    assert "order_completed" in schema["$defs"]["event_type"]["anyOf"][0]["enum"]
    assert list(KINDS) == schema["$defs"]["stage"]["properties"]["kind"]["enum"]


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("250ms", 250_000),
        ("30s", 30_000_000),
        ("15m", 900_000_000),
        ("4h", 14_400_000_000),
        ("2w", 1_209_600_000_000),
        ("1d12h", 129_600_000_000),
        ("1.5h", 5_400_000_000),
        ("0s", 0),
    ],
)
def test_durations_are_read_exactly(text: str, micros: int) -> None:
    assert micros == duration(text)


@pytest.mark.parametrize("text", ["", "3", "d", "3 d", "-3d", "3D", "3d ", "1e3s", "٣d", "3y"])
def test_what_is_no_duration_is_none(text: str) -> None:
    assert duration(text) is None
