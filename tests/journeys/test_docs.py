"""What docs/journeys.md, docs/lint.md and docs/events.md show is run, and what is made of them is as the code says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from journey_stream.events.decode import Decoder, Money
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import lint, load, shipped, shipped_tests
from journey_stream.journeys.findings import RULES
from journey_stream.journeys.grammar import SHAPES
from journey_stream.schemas import build
from journey_stream.testing import Suite, World, run_suite
from journey_stream.values import Event
from journeys.definitions import HEAD
from journeys.docs_page import EVENTS, LINT, MADE, completed, examples, made, rule_examples, stories

OF_PARTS = {"unreachable-stage", "dead-end", "unused-attribute", "unused-parameter", "idle-key"}
"""A part of a journey need not lead to every stage of the whole, nor use what it shows."""
OTHER = ("other", HEAD.replace("trial", "other"))


def rules_of(text: str) -> set[str]:
    return {
        each.rule for each in lint([("example", text), OTHER], BUILT_IN).findings if each.file == "example"
    }


@pytest.mark.parametrize("example", [pytest.param(text, id=line) for line, text in examples().items()])
def test_an_example_of_the_page_loads_and_is_clean(example: str) -> None:
    assert () == load([("example", example)], BUILT_IN).errors
    assert [] == [
        str(each) for each in lint([("example", example)], BUILT_IN).findings if each.rule not in OF_PARTS
    ]


WORLD = World(BUILT_IN, Decoder(BUILT_IN, money=Money("EUR", {"USD": 0.9})))
BESIDE = (("relationship.yaml", shipped("relationship")),)


@pytest.mark.parametrize("story", [pytest.param(story, id=line) for line, story in stories().items()])
def test_a_story_of_the_page_comes_out_as_told(story: tuple[str, str]) -> None:
    definition, tests = story
    others = BESIDE if "relationship" in definition else ()
    result = run_suite(Suite("example.yaml", definition, "example_test.yaml", tests, others), WORLD)

    assert [] == [str(finding) for finding in result.findings]
    assert [] == [str(outcome) for outcome in result.failed]
    assert result.outcomes


def test_every_definition_of_the_page_has_a_story() -> None:
    assert list(examples().values()) == [definition for definition, _ in stories().values()]


def test_the_whole_journey_has_no_finding_at_all() -> None:
    whole = next(iter(examples().values()))

    assert () == lint([("example", whole)], BUILT_IN).findings


@pytest.mark.parametrize("page", MADE, ids=lambda page: page.name)
def test_the_tables_of_the_page_are_made_from_the_code(page: Path) -> None:
    assert made(page) == page.read_text("utf-8"), "in tests/: python -m journeys.docs_page"


def test_every_key_of_the_language_is_in_an_example() -> None:
    shown = set(re.findall(r"\b(\w+):", "".join(examples().values())))

    assert set() == {name for shape in SHAPES.values() for name in shape.names} - shown


def test_every_rule_has_its_place_on_the_page_in_the_order_of_the_table() -> None:
    assert list(RULES) == list(rule_examples())


@pytest.mark.parametrize("rule", RULES)
def test_the_example_of_a_rule_has_it_and_the_mended_one_is_clean(rule: str) -> None:
    bad, mended = rule_examples()[rule]

    elsewhere = OF_PARTS - {rule, "idle-key"}
    assert {rule} == rules_of(bad) - elsewhere
    assert set() == rules_of(mended) - elsewhere


def test_the_example_of_allowances_accepts_what_it_says() -> None:
    text = LINT.read_text("utf-8")
    (example,) = re.findall(r"have commas between them\.\n\n```yaml\n(.*?)```", text, re.DOTALL)

    assert {"unused-attribute", "shadowed-rule"} <= rules_of(re.sub(r"# lint:.*", "", completed(example)))
    assert {"unused-attribute", "unreachable-stage", "dead-end"} >= rules_of(completed(example))


def test_the_pipelines_on_the_page_are_yaml_and_run_the_linter() -> None:
    blocks = [
        yaml.safe_load(block)
        for block in re.findall(r"```yaml\n(# \.git.*?)```", LINT.read_text("utf-8"), re.DOTALL)
    ]

    github, gitlab = blocks
    assert "journey-stream lint --strict --format github" in github["jobs"]["journeys"]["steps"][-1]["run"]
    assert "journey-stream lint --strict --format gitlab" in gitlab["journeys"]["script"]


def test_the_schemas_that_editors_are_told_of_are_there_and_fit_what_they_are_for() -> None:
    page = LINT.read_text("utf-8")
    written = build()
    named = set(re.findall(r"schemas/([\w./]+\.json)", page))
    assert named == {"definitions/journey.schema.json", "definitions/journey_test.schema.json"}
    assert named <= written.keys()
    (settings,) = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL))
    for path, patterns in settings["yaml.schemas"].items():
        schema = json.loads(written[path.removeprefix("./schemas/")])
        text = shipped_tests("brand") if "journeys/*_test.yaml" in patterns else shipped("brand")
        jsonschema.validate(yaml.safe_load(text), schema)


def test_the_event_of_the_page_of_events_can_be_used() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", EVENTS.read_text("utf-8"), re.DOTALL)
    event = Decoder(BUILT_IN).decode(example.encode())

    assert isinstance(event, Event), event
    assert event.properties.products[0].category == "tea"
