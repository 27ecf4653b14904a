"""The reference page and the JSON Schema say what the code does."""

import re
from pathlib import Path

import jsonschema
import msgspec
import yaml

from journey_stream.settings import Part, Settings
from journey_stream.settings_read import load_settings
from journey_stream.settings_reference import config_schema, duration_text, page
from journey_stream.values import NEVER

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_in_docs_is_the_one_the_code_makes():
    assert page() == (DOCS / "configuration.md").read_text("utf-8")


def test_every_setting_has_a_meaning():
    rows = [line.split(" | ") for line in page().splitlines() if line.startswith("| `")]
    assert [] == [row[0] for row in rows if not row[-1].strip(" |")]
    assert len(rows) > 60


def test_every_default_on_the_page_is_read_back_as_the_default():
    for name, default in re.findall(r"^\| `([a-z_.]+)` \| [^|]+ \| (.*?) \|", page(), re.MULTILINE):
        values = re.findall("`([^`]*)`", default)
        if not values or name in {"name", "actor", "source", "schema", "when"}:
            continue
        assert Settings() == load_settings(None, {}, {name: ",".join(values)}), name


def test_the_schema_is_a_schema_and_takes_what_the_reader_takes():
    schema = config_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    text = """
    allowed_lateness: 2h
    until: 2026-01-01T00:00:00Z
    journeys: [brand, my/]
    fetch: {records: 10}
    currency: EUR
    rates: {USD: 0.92}
    event_types: [{name: visit_rated, schema: {type: object}}]
    """
    load_settings(text)
    jsonschema.validate(
        yaml.load(text, yaml.BaseLoader) | {"fetch": {"records": 10}, "rates": {"USD": 0.92}}, schema
    )


def test_the_schema_knows_the_same_keys_as_the_structs():
    def keys(made: dict) -> set[str]:
        return set(made["properties"])

    schema = config_schema()
    assert {field.name for field in msgspec.structs.fields(Settings)} == keys(schema)
    for field in msgspec.structs.fields(Settings):
        if isinstance(field.default, Part):
            assert {each.name for each in msgspec.structs.fields(type(field.default))} == keys(
                schema["properties"][field.name]
            )


def test_durations_are_written_as_they_are_read():
    assert ["never", "1d", "90m", "250ms", "7us"] == [
        duration_text(each) for each in (NEVER, 86_400_000_000, 5_400_000_000, 250_000, 7)
    ]
