"""The test kit: what it reads, and that a wrong expectation fails where it stands."""

import json
from importlib import resources

import jsonschema
import pytest
import yaml

from journey_stream.errors import JourneyDefinitionError
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import load, shipped_names
from journey_stream.testing import (
    Outcome,
    StoryError,
    Times,
    companion,
    cover,
    given_line,
    journey_test_schema,
    read_tests,
    run_tests,
)
from journey_stream.values import DAY, HOUR, MINUTE

DEFINITION = """\
journey: tea
version: 1
parameters: {many: 2, silence: 10d}
attributes:
  orders: {count: order_completed}
  spent: {sum: order_completed.total}
records: [orders, spent]
start: looking
stages:
  looking: {kind: prospect}
  buying: {kind: retention}
  gone: {kind: attrition}
transitions:
  - {id: buys, from: looking, to: buying, event: order_completed, when: orders >= many, reason: enough}
  - {id: goes, from: buying, to: gone, after: silence, since: order_completed, reason: silence}
  - {id: never, from: gone, to: looking, event: signed_up}
signals:
  - {id: thanks, event: order_completed, expires: 2d, owner: service, payload: {spent: spent}}
  - {id: noise, event: page_viewed, owner: nobody}
"""
STORY = """\
tests:
  - name: two orders, then silence
    given: |
      day 0 10:00: order_completed total=20
      day 1 10:00: order_completed total=22.5
    when: day 20
"""
TIMES = Times()


def outcomes(tests: str, definition: str = DEFINITION) -> list[Outcome]:
    return run_tests(read_tests("tea_test.yaml", tests), [("tea.yaml", definition)], BUILT_IN)


def only(tests: str) -> Outcome:
    (outcome,) = outcomes(tests)
    return outcome


def test_a_case_passes_when_all_comes_as_expected():
    outcome = only(
        STORY
        + """\
    then:
      - looking
      - {to: buying, from: looking, rule: buys, reason: enough, at: day 1 10:00, attributes: {orders: 2}}
      - {to: gone, rule: goes, at: day 11 10:00, trigger: timer, cause: timer, dwell_s: 864000}
    signals:
      - {signal: thanks, at: day 0 10:00, until: day 2 10:00, payload: {spent: 20}}
      - {signal: thanks, status: raised, stage: buying, kind: retention, owner: service}
    stage: gone
    attributes: {orders: 2, spent: 42.5}
"""
    )

    assert str(outcome) == "passed tea_test.yaml:2 two orders, then silence"
    assert outcome.passed


@pytest.mark.parametrize(
    ("expectation", "line", "expected", "actual"),
    [
        ("then: [looking, gone]", 7, "gone", "day 1 10:00: looking -> buying (rule buys, reason enough)"),
        ("then: [looking, buying]", 7, "no more transitions", "day 11 10:00: buying -> gone"),
        ("then: [looking, buying, gone, looking]", 7, "transition 4: looking", "nothing more came"),
        ("then: [looking, {to: buying, reason: luck}, gone]", 7, "reason luck", "reason is 'enough'"),
        ("then: [looking, {to: buying, at: day 2}, gone]", 7, "at day 2", "at day 1 10:00"),
        ("then:\n      - looking\n      - gone", 9, "gone", "looking -> buying"),
        (
            "then: [looking, {to: buying, attributes: {orders: 3}}, gone]",
            7,
            "orders",
            "attributes.orders is 2",
        ),
        ("signals: []", 7, "no more signals", "day 0 10:00: signal thanks raised in looking"),
        ("signals: [thanks, {signal: thanks, payload: {spent: 1}}]", 7, "spent", "payload.spent is 42.5"),
        ("stage: buying", 7, "stage buying", "stage gone"),
        ("attributes: {orders: 3}", 7, "orders: 3", "orders: 2"),
        ("attributes: {oders: 2}", 7, "oders: 2", "no attribute 'oders'"),
    ],
)
def test_a_wrong_expectation_fails_where_it_stands(expectation: str, line: int, expected: str, actual: str):
    outcome = only(STORY + f"    {expectation}\n")

    (failure,) = outcome.failures
    assert (failure.file, failure.line) == ("tea_test.yaml", line)
    assert expected in failure.expected
    assert actual in failure.actual
    written = f"tea_test.yaml:{line}\n    expected: {failure.expected}\n    actual:   {failure.actual}"
    assert written in str(outcome)
    assert "how anna got there:" in str(outcome)


def test_a_true_and_a_one_are_not_the_same():
    outcome = only(STORY + "    attributes: {orders: true}\n")

    assert not outcome.passed


def test_the_clock_stops_at_when():
    assert only(STORY.replace("day 20", "day 11 09:59") + "    stage: buying\n").passed
    assert only(STORY.replace("day 20", "day 11 10:00") + "    stage: gone\n").passed


def test_several_customers_are_told_apart():
    outcome = only("""\
tests:
  - name: two people
    given:
      - day 0: order_completed total=1 customer_id=bob
      - day 0 01:00: order_completed total=2 anonymous_id=x7
      - day 1: order_completed total=3 customer_id=bob
    then: {bob: [looking, buying], "anon:x7": [looking]}
    stage: {bob: buying, "anon:x7": looking}
    attributes: {bob: {spent: 4}, "anon:x7": {spent: 2}}
""")

    assert outcome.passed, outcome


def test_with_several_customers_an_expectation_has_to_say_whose_it_is():
    tests = read_tests("tea_test.yaml", """\
tests:
  - name: two people
    given: |
      day 0: order_completed customer_id=bob
      day 0: order_completed customer_id=eve
    stage: looking
""")  # fmt: skip

    (finding,) = tests.findings
    assert (finding.line, finding.rule) == (6, "wrong-type")
    assert "bob, eve" in finding.message


@pytest.mark.parametrize(
    "expectation", ["stage: {bob: looking}", "then: {bob: [looking]}", "signals: {bob: []}"]
)
def test_a_customer_who_is_not_in_the_story_is_named(expectation: str):
    (finding,) = read_tests("tea_test.yaml", STORY + f"    {expectation}\n").findings

    assert (finding.line, finding.rule) == (7, "unknown-name")
    assert "speaks of the customer 'bob', and the story knows only anna" in finding.message
    assert finding.suggestion == "Write customer_id=bob in a line of the story"


def test_an_empty_file_is_told_what_a_test_file_begins_with():
    (finding,) = read_tests("tea_test.yaml", "# nothing yet\n").findings

    assert finding.rule == "empty"
    assert "tests were expected" in finding.message
    assert "tests:" in str(finding.suggestion)


def test_values_are_shown_as_an_author_writes_them():
    outcome = only(STORY + "    attributes: {orders: null, spent: true}\n    signals: []\n")
    shown = {failure.expected: failure.actual for failure in outcome.failures}

    assert shown["orders: null"] == "orders: 2"
    assert shown["spent: true"] == "spent: 42.5"
    assert shown["no more signals"].endswith("(rule thanks) {spent: 20}")


def test_cases_fill_the_test_and_fail_where_they_stand():
    passed, failed = outcomes("""\
tests:
  - name: orders
    given: |
      day 0: order_completed total=$total
      day 1: order_completed total=1
    then: $moves
    attributes: {spent: $spent}
    cases:
      - {total: 2, spent: 3, moves: [looking, buying]}
      - {total: 4, spent: 6, moves: [looking, buying]}
""")

    assert passed.passed
    assert [failed.case.line, failed.case.name] == [
        10,
        "orders [total=4, spent=6, moves=['looking', 'buying']]",
    ]
    assert [str(failure).splitlines()[1] for failure in failed.failures] == ["    expected: spent: 6"]


def test_a_case_may_set_a_parameter_otherwise():
    assert only("""\
tests:
  - name: one is enough
    parameters: {many: 1, silence: 2d}
    given: |
      day 0: order_completed total=1
    when: day 5
    then: [looking, buying, {to: gone, at: day 2}]
""").passed
    with pytest.raises(JourneyDefinitionError, match="no parameter 'mnay'"):
        outcomes("tests:\n  - {name: x, given: 'day 0: signed_up', parameters: {mnay: 1}}\n")


def test_quiet_signals_are_left_out_unless_they_are_named():
    head = "quiet: [noise]\ntests:\n  - name: x\n    given: 'day 0: page_viewed url=a'\n"

    assert only(head + "    signals: []\n").passed
    assert only(head + "    signals: [noise]\n").passed
    assert not only(head.replace("[noise]", "[other]") + "    signals: []\n").passed
    assert not only(head + "    quiet: []\n    signals: []\n").passed


def test_an_event_that_cannot_be_used_fails_in_its_line():
    outcome = only(
        "tests:\n  - name: x\n    given: |\n      day 0: signed_up\n      day 1: order_completed total=a\n"
    )

    (failure,) = outcome.failures
    assert failure.line == 5
    assert "total" in failure.actual


def test_coverage_names_what_no_case_reached():
    journey = load([("tea.yaml", DEFINITION)], BUILT_IN).usable()[0]
    coverage = cover(journey, outcomes(STORY))

    assert str(coverage) == "tea: not covered: transitions never; signals noise"
    assert not coverage.complete
    assert cover(journey, outcomes(STORY.replace("day 20", "day 2"))).stages.missing == ("gone",)


@pytest.mark.parametrize(
    ("text", "line", "rule"),
    [
        ("tests:\n  - {given: 'day 0: signed_up'}\n", 2, "missing-key"),
        ("tests:\n  - {name: x, gvien: 'day 0: signed_up'}\n", 2, "unknown-key"),
        (
            "tests:\n  - name: x\n    given: |\n      day 0: signed_up\n      dya 1: signed_up\n",
            5,
            "bad-value",
        ),
        ("tests:\n  - name: x\n    given: 'day 0: signed_up'\n    when: soon\n", 4, "bad-value"),
        ("tests:\n  - name: x\n    given: 'day 0: signed_up a=$b'\n    cases: [{c: 1}]\n", 3, "unknown-name"),
        ("tests:\n  - name: x\n    then: [{from: a}]\n", 3, "missing-key"),
        ("tests:\n  - name: x\n    then: 3\n", 3, "wrong-type"),
        ("tets: []\n", 1, "unknown-key"),
        ("tests: [\n", 2, "yaml-syntax"),
        ("", 1, "empty"),
    ],
)
def test_a_test_file_that_is_wrong_says_where(text: str, line: int, rule: str):
    tests = read_tests("tea_test.yaml", text)

    assert (line, rule) in [(finding.line, finding.rule) for finding in tests.findings]
    assert tests.cases == ()
    with pytest.raises(JourneyDefinitionError, match=r"tea_test\.yaml"):
        run_tests(tests, [("tea.yaml", DEFINITION)], BUILT_IN)


def test_a_line_of_the_story_is_an_event():
    event = given_line(
        "day 3 10:30: order_completed order_id=o1 total=20 gift=true note='two words' "
        "products=[{category: a, price: 5}] promised_at=2026-01-05T12:00:00Z customer_id=bob "
        "context.channel=web context.campaign.medium=cpc",
        7,
        TIMES,
        0,
    )

    assert event.at == TIMES.start + 3 * DAY + 10 * HOUR + 30 * MINUTE
    assert event.wire(4) == {
        "event_id": "000004",
        "type": "order_completed",
        "occurred_at": "2026-01-04T10:30:00Z",
        "customer_id": "bob",
        "properties": {
            "order_id": "o1",
            "total": 20,
            "gift": True,
            "note": "two words",
            "products": [{"category": "a", "price": 5}],
            "promised_at": "2026-01-05T12:00:00Z",
        },
        "context": {"channel": "web", "campaign": {"medium": "cpc"}},
    }


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("day 2", TIMES.start + 2 * DAY),
        ("day 2 01:00:00.5", TIMES.start + 2 * DAY + HOUR + 500_000),
        ("+1d12h", TIMES.start + 5 * DAY + 36 * HOUR),
        ("2026-01-02T00:00:00+02:00", TIMES.start + 22 * HOUR),
    ],
)
def test_a_time_is_a_day_a_step_or_a_moment(text: str, at: int):
    assert TIMES.read(text, TIMES.start + 5 * DAY) == at


@pytest.mark.parametrize(
    "text",
    [
        "day",
        "order_completed total=1",
        "day 1: order_completed total",
        "day 1: x a=[1",
        "day 1: x a='b",
        "day 1 25:00: x",
    ],
)
def test_a_line_that_is_no_event_is_refused(text: str):
    with pytest.raises(StoryError, match=r"expected|missing"):
        given_line(text, 1, TIMES, 0)


def test_the_test_file_stands_beside_the_definition():
    assert companion("journeys/tea.yaml") == "journeys/tea_test.yaml"


def test_the_schema_takes_what_the_reader_takes():
    schema = journey_test_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validate = jsonschema.Draft202012Validator(schema)

    assert json.dumps(schema)
    assert validate.is_valid(yaml.safe_load(STORY))
    assert not validate.is_valid({"tests": [{"name": "x", "gvien": ""}]})
    assert not validate.is_valid({"tests": [{"name": "x", "then": [{"from": "a"}]}]})


@pytest.mark.parametrize("name", shipped_names())
def test_the_schema_takes_the_shipped_test_files(name: str):
    text = (resources.files("journey_stream.journeys") / "shipped" / f"{name}_test.yaml").read_text("utf-8")
    validator = jsonschema.Draft202012Validator(journey_test_schema())

    assert [error.message for error in validator.iter_errors(yaml.safe_load(text))] == []
