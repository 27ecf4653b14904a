"""What an author starts from: every template, under any name, with any stages, is whole and passes."""

import json
from datetime import UTC, datetime

import pytest

from journey_stream.engine.program import compile_program
from journey_stream.errors import UsageError
from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import lint, load, shipped, shipped_names
from journey_stream.replay import replay
from journey_stream.scaffold import BLANK, Made, scaffold, templates
from journey_stream.testing import Suite, World, run_suite
from journey_stream.values import HOUR, Transition, micros

WORLD = World(BUILT_IN, Decoder(BUILT_IN))


def check(name: str, made: Made) -> None:
    """Lint finds nothing, the tests pass and reach everything, and every event of the sample can be used."""
    assert lint([(f"{name}.yaml", made.definition)], BUILT_IN).findings == ()
    result = run_suite(Suite(f"{name}.yaml", made.definition, f"{name}_test.yaml", made.tests), WORLD)
    assert (result.findings, [str(each) for each in result.failed]) == ((), [])
    assert result.coverage is not None
    assert result.coverage.complete, result.coverage
    assert result.journey == name
    journeys = load([(f"{name}.yaml", made.definition)], BUILT_IN).usable()
    lines = [line.encode() for line in made.events.splitlines()]
    received = micros(datetime(2026, 1, 1, tzinfo=UTC))
    replayed = replay(compile_program(journeys, BUILT_IN), [lines], Decoder(BUILT_IN), HOUR, None, received)
    assert replayed.rejections == []
    assert replayed.counts["duplicate"] == 0
    moved = {each.rule for each in replayed.records if isinstance(each, Transition)}
    assert len(moved) > len(journeys[0].transitions) / 2
    assert {each.journey for each in replayed.records} == {name}


def test_there_is_a_blank_one_and_one_for_each_model():
    assert templates() == [BLANK, *shipped_names()]


@pytest.mark.parametrize("template", templates())
def test_what_is_made_passes_at_once(template: str):
    check("my-shop", scaffold("my-shop", template))


@pytest.mark.parametrize(
    ("name", "stages", "silence"),
    [
        ("x", ["a", "b", "c"], "2d"),
        ("on", ["no", "yes", "on", "off"], "36h"),
        ("a-shop-2", ["looker", "first_order", "regular", "core_customer", "vip", "gone"], "270d"),
        ("loop", ["orders", "revenue", "silence", "dwell"], "2w"),
    ],
)
def test_any_name_stages_and_silence_will_do(name: str, stages: list[str], silence: str):
    check(name, scaffold(name, BLANK, tuple(stages), silence))


def test_a_model_keeps_its_comments_and_gets_a_new_name():
    made = scaffold("my-shop", "four-cycles").definition.splitlines()
    model = shipped("four-cycles").splitlines()

    changed = [(old, new) for old, new in zip(model, made, strict=True) if old != new]
    assert [new.split(" {id")[0] for _, new in changed][:3] == [
        "# my-shop, made from the model four-cycles: seduction, development, loyalty, retention; each goes through the steps from need to referral.",
        "journey: my-shop",
        "title: My shop",
    ]
    assert all(old.replace('stage("four-cycles")', 'stage("my-shop")') == new for old, new in changed[3:])


def test_the_sample_is_history_in_order_and_of_many_customers():
    events = [json.loads(line) for line in scaffold("my-shop", "buyer-value").events.splitlines()]
    times = [event["occurred_at"] for event in events]

    assert times == sorted(times)
    assert all(time.startswith("2025-") for time in times)
    assert len({event["customer_id"] for event in events}) > 20
    assert len({event["event_id"] for event in events}) == len(events)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("My Shop",), "small letters"),
        (("true",), "small letters"),
        (("a", BLANK, ("one", "two", "null")), "stage 'null'"),
        (("brand",), "a shipped model is called so"),
        (("a", BLANK, ("one", "two")), "expected 3 to 12"),
        (("a", BLANK, ("one", "two", "one")), "each name once"),
        (("a", BLANK, ("one", "two", "any")), "stage 'any'"),
        (("a", BLANK, ("one", "two/a", "three")), "stage 'two/a'"),
        (("a", BLANK, ("one", "two", "three"), "long"), "a duration such as 90d"),
        (("a", BLANK, ("one", "two", "three"), "0s"), "a duration such as 90d"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_way_out(arguments: tuple[object, ...], told: str):
    with pytest.raises(UsageError, match=told):
        scaffold(*arguments)  # type: ignore[arg-type]
