"""What a result looks like: the difference, the trace, the table, JUnit XML and values."""

import json
from xml.etree import ElementTree

import pytest

from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.testing import Result, Suite, World, run_suite
from journey_stream.testing.junit import junit
from journey_stream.testing.report import as_values, coverage_lines, failure_lines, suite_line, summary
from testing.test_testing import DEFINITION, STORY

WORLD = World(BUILT_IN, Decoder(BUILT_IN))


def result_of(tests: str | None, definition: str = DEFINITION, **more: object) -> Result:
    return run_suite(Suite("tea.yaml", definition, "tea_test.yaml", tests), WORLD, **more)  # type: ignore[arg-type]


PASSING = STORY + "    stage: gone\n"
FAILING = STORY + "    then: [looking, gone, {to: buying, reason: enough}]\n"
TWO = PASSING + FAILING.removeprefix("tests:\n").replace("two orders", "two other orders")


def test_a_failure_shows_both_lists_side_by_side_and_how_it_came_about():
    (outcome,) = result_of(FAILING).failed

    assert list(failure_lines(outcome)) == [
        "FAILED tea_test.yaml:2 two orders, then silence",
        "  tea_test.yaml:7",
        "    expected: transition 2: gone",
        "    actual:   day 1 10:00: looking -> buying (rule buys, reason enough) (to is 'buying')",
        "        day 0 10:00: (start) -> looking (rule start)",
        "      - gone",
        "        day 1 10:00: looking -> buying (rule buys, reason enough)",
        "      + day 11 10:00: buying -> gone (rule goes, reason silence)",
        "  how anna got there:",
        "    day 0 10:00  order_completed total=20",
        "      enters looking",
        "      buys: when: orders >= many is false (orders 1, many 2)",
        "      thanks: held",
        "    day 1 10:00  order_completed total=22.5",
        "      buys: looking -> buying, held (orders 2, many 2)",
        "      thanks: held",
        "    day 11 10:00  timer of goes",
        "      goes: buying -> gone, held",
        "    at the end  in gone since day 11 10:00",
    ]


def test_the_trace_is_of_the_customer_whose_story_came_otherwise():
    (outcome,) = result_of(
        "tests:\n  - name: two\n    given: |\n      day 0: order_completed customer_id=bob\n"
        "      day 0: order_completed customer_id=eve\n    stage: {bob: looking, eve: gone}\n"
    ).failed

    assert "how eve got there" in outcome.trace
    assert "bob" not in outcome.trace


def test_colours_mark_what_is_missing_and_what_came_too_much():
    (outcome,) = result_of(FAILING).failed
    painted = list(failure_lines(outcome, lambda text, colour: f"<{colour}>{text}"))

    assert painted[0].startswith("<red>FAILED")
    assert {line.strip() for line in painted if "<" in line.strip()[:1]} >= {"<red>- gone"}
    assert any(line.strip().startswith("<green>+ day 11") for line in painted)


def test_the_table_counts_and_what_is_missing_says_where_it_stands():
    lines = list(coverage_lines([result_of(PASSING)], None))

    assert lines == [
        "coverage  stages  transitions  signals  guards   all",
        "tea          3/3          2/3      1/2     2/2  80 %",
        "",
        "not covered:",
        "  tea.yaml:16: transition never never moves anybody",
        "  tea.yaml:19: signal rule noise never raises",
    ]


def test_a_share_below_the_threshold_is_marked():
    low = list(coverage_lines([result_of(PASSING)], 80.1, lambda text, colour: f"<{colour}>{text}"))
    fine = list(coverage_lines([result_of(PASSING)], 80.0, lambda text, colour: f"<{colour}>{text}"))

    assert low[1].startswith("<red>tea")
    assert fine[1].startswith("tea")


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (result_of(TWO), "tea_test.yaml  1 passed, 1 failed"),
        (result_of(None), "tea.yaml       no tests"),
        (result_of("tests: 3\n"), "tea_test.yaml  not run: errors"),
        (result_of(PASSING, "journey: tea\n"), "tea.yaml       not run: errors"),
    ],
)
def test_a_line_says_what_came_of_a_suite(result: Result, line: str):
    assert suite_line(result, len("tea_test.yaml")) == line


def test_the_summary_adds_up():
    results = [result_of(TWO), result_of("tests: 3\n")]

    assert summary(results) == "2 tests: 1 passed, 1 failed, 1 file with errors"


def test_only_what_was_chosen_runs_and_then_nothing_is_measured():
    result = result_of(TWO, chosen=lambda journey, case: journey == "tea" and "other" in case.name)

    assert [outcome.case.name for outcome in result.outcomes] == ["two other orders, then silence"]
    assert result.coverage is None


def test_it_can_stop_at_the_first_that_fails():
    three = TWO + PASSING.removeprefix("tests:\n").replace("two orders", "the same again")

    assert len(result_of(three).outcomes) == 3
    assert len(result_of(three, first_only=True).outcomes) == 2


def test_values_hold_everything_and_are_json():
    (suite,) = as_values([result_of(TWO)])["suites"]

    assert json.loads(json.dumps(suite)) == suite
    assert [case["passed"] for case in suite["cases"]] == [True, False]
    assert suite["cases"][1]["failures"][0]["customer"] == "anna"
    assert suite["cases"][1]["failures"][0]["line"] == 13
    assert suite["coverage"]["transitions"] == {"reached": 2, "total": 3, "missing": ["never"]}
    assert suite["coverage"]["percent"] == 80.0


# JUnit XML: the attributes that the schema of Jenkins' xUnit plugin, the strictest reader, allows and requires.
ALLOWED = {
    "testsuites": {"name", "time", "tests", "failures", "errors", "disabled"},
    "testsuite": {
        "name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname", "id", "package",
        "group", "file", "log", "url", "version",
    },
    "testcase": {"name", "classname", "time", "assertions", "status", "group"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
}  # fmt: skip
REQUIRED = {"testsuite": {"name", "tests", "failures", "errors"}, "testcase": {"name", "classname"}}
INSIDE = {"testsuites": {"testsuite"}, "testsuite": {"testcase"}, "testcase": {"failure", "error"}}


def test_junit_xml_is_what_ci_readers_take():
    broken = result_of("tets: []\n")
    root = ElementTree.fromstring(junit([result_of(TWO), broken], [0.25, 0.0]))

    for element in root.iter():
        assert set(element.keys()) - ALLOWED[element.tag] == set()
        assert REQUIRED.get(element.tag, set()) - set(element.keys()) == set()
        assert {child.tag for child in element} <= INSIDE.get(element.tag, set())
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "time")} == {
        "tests": "3", "failures": "1", "errors": "1", "time": "0.250",
    }  # fmt: skip
    failure = root.find("testsuite/testcase/failure")
    assert failure is not None
    assert str(failure.get("message")).startswith("tea_test.yaml:13: expected transition 2: gone, got day 1")
    assert "how anna got there" in str(failure.text)
    error = root.find("testsuite/testcase/error")
    assert error is not None
    assert "unknown-key" in str(error.text)


def test_junit_xml_can_say_every_name():
    text = junit(
        [result_of(PASSING.replace("two orders", '"<&>\\x01 \U0001f600"').replace(", then silence", ""))],
        [0.0],
    )
    case = ElementTree.fromstring(text).find("testsuite/testcase")

    assert case is not None
    assert case.get("name") == "<&>\N{REPLACEMENT CHARACTER} \U0001f600"
