"""A test file against its journey: what it names has to exist, and where it does not, the line says what was meant."""

import pytest

from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import load
from journey_stream.journeys.findings import Finding
from journey_stream.testing import Suite, World, read_tests, run_suite
from journey_stream.testing.check import check_tests
from testing.test_testing import DEFINITION, STORY

JOURNEY = load([("tea.yaml", DEFINITION)], BUILT_IN).usable()[0]


def findings(text: str) -> list[Finding]:
    tests = read_tests("tea_test.yaml", text)
    assert tests.findings == ()
    return list(check_tests(tests, JOURNEY, BUILT_IN))


@pytest.mark.parametrize(
    ("expectation", "rule", "column", "message", "suggestion"),
    [
        ("then: [looking, {to: byuing}]", "unknown-stage", 26, "no stage 'byuing'", "Did you mean 'buying'?"),
        ("then: [looking, {to: buying, from: loking}]", "unknown-stage", 40, "'loking'", "'looking'"),
        ("then: [{to: looking, rule: strat}]", "unknown-rule", 32, "no transition 'strat'", "'start'"),
        ("then: [{to: looking, attributes: {oders: 1}}]", "unknown-attribute", 39, "'oders'", "'orders'"),
        ("signals: [thnaks]", "unknown-signal", 15, "no signal 'thnaks'", "Did you mean 'thanks'?"),
        ("signals: [{signal: thanks, rule: buys}]", "unknown-rule", 38, "no signal rule 'buys'", "thanks, noise"),
        ("signals: [{signal: thanks, stage: x}]", "unknown-stage", 39, "no stage 'x'", "It has: looking"),
        ("stage: boiling", "unknown-stage", 12, "no stage 'boiling'", None),
        ("attributes: {spend: 2}", "unknown-attribute", 18, "no attribute 'spend'", "Did you mean 'spent'?"),
        ("parameters: {slience: 2d}", "unknown-parameter", 18, "no parameter 'slience'", "'silence'"),
    ],
)  # fmt: skip
def test_a_name_that_the_journey_does_not_have_is_a_finding(
    expectation: str, rule: str, column: int, message: str, suggestion: str | None
):
    text = STORY + f"    {expectation}\n"
    if rule == "unknown-parameter":
        text += "    stage: gone\n"
    (found,) = findings(text)

    assert (found.rule, found.severity, found.column) == (rule, "error", column)
    assert message in found.message
    assert suggestion is None or suggestion in str(found.suggestion)


def test_an_event_type_that_nobody_knows_is_told_where_it_stands():
    (found,) = findings(
        STORY.replace("day 1 10:00: order_completed", "day 1 10:00: order_compelted") + "    stage: gone\n"
    )

    assert (found.rule, found.line, found.column) == ("unknown-event", 5, 20)
    assert found.suggestion == "Did you mean 'order_completed'?"


def test_a_property_that_reaches_no_rule_is_a_warning():
    (found,) = findings(STORY.replace("total=22.5", "totl=22.5") + "    stage: gone\n")

    assert (found.rule, found.severity, found.line, found.column) == ("unknown-property", "warning", 5, 36)
    assert found.suggestion == "Did you mean 'total'?"


def test_a_quiet_signal_that_does_not_exist_is_told_at_the_top():
    (found,) = findings("quiet: [nosie]\n" + STORY + "    stage: gone\n")

    assert (found.rule, found.line, found.column) == ("unknown-signal", 1, 9)


def test_a_test_that_expects_nothing_is_a_warning_and_silence_is_an_expectation():
    (found,) = findings(STORY)

    assert (found.rule, found.severity, found.line) == ("asks-nothing", "warning", 2)
    assert findings(STORY + "    signals: []\n") == []


def test_in_a_parametrised_test_the_finding_is_at_the_value():
    text = STORY + "    stage: $stage\n    cases:\n      - {stage: gone}\n      - {stage: gnoe}\n"
    (found,) = findings(text)

    assert (found.line, found.column) == (10, 17)


def test_a_line_of_the_story_that_cannot_be_read_is_told_where_it_begins():
    tests = read_tests("tea_test.yaml", STORY.replace("day 1 10:00:", "dya 1 10:00:"))
    (found,) = tests.findings

    assert (found.rule, found.line, found.column) == ("bad-value", 5, 7)


def test_a_quiet_signal_of_one_test_is_told_where_that_test_names_it():
    text = "quiet: [noise]\n" + STORY + "    stage: gone\n    quiet:\n      - thanks\n      - nosie\n"
    (found,) = findings(text)

    assert (found.rule, found.line, found.column) == ("unknown-signal", 11, 9)


def test_a_context_that_reaches_no_rule_is_a_warning():
    story = STORY.replace("total=22.5", "context.chanel=web context.campaign.name=may") + "    stage: gone\n"
    (found,) = findings(story)

    assert (found.rule, found.severity, found.line, found.column) == ("unknown-property", "warning", 5, 44)
    assert found.suggestion == "Did you mean 'channel'?"


def test_a_value_of_a_case_that_the_test_does_not_ask_for_is_a_warning():
    tests = read_tests("tea_test.yaml", STORY + "    stage: $stage\n    cases: [{stage: gone, stag: x}]\n")

    (found,) = tests.findings
    assert (found.rule, found.severity, found.line, found.column) == ("unknown-name", "warning", 8, 27)
    assert found.suggestion == "Did you mean 'stage'?"
    assert len(tests.cases) == 1


def test_findings_of_a_file_come_by_line_whoever_found_them():
    text = STORY + "    stage: gnoe\n  - name: more\n    given: 'day 0: signed_up'\n    then: 3\n"
    world = World(BUILT_IN, Decoder(BUILT_IN))
    found = run_suite(Suite("tea.yaml", DEFINITION, "tea_test.yaml", text), world).findings

    assert [finding.line for finding in found] == [7, 10]
