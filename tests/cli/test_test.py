"""`test` as authors and CI use it."""

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from journey_stream.journeys import shipped_names
from tests.cli.conftest import Said
from tests.cli.terminal import at_a_terminal

TEA = """\
journey: tea
version: 1
attributes: {orders: {count: order_completed}}
start: looking
stages:
  looking: {kind: prospect}
  buying: {kind: retention}
transitions:
  - {id: buys, from: looking, to: buying, event: order_completed, when: orders >= 2}
signals:
  - {id: thanks, event: order_completed}
"""
TESTS = """\
tests:
  - name: two orders make a buyer
    given: |
      day 0: order_completed
      day 1: order_completed
    then: [looking, buying]
  - name: one order makes none
    given: "day 0: order_completed"
    stage: looking
    signals: [thanks]
"""
WATCHING = """\
journey: watching
version: 1
start: here
stages: {here: {kind: prospect}, there: {kind: retention}}
transitions: [{id: over, from: here, to: there, event: page_viewed, when: 'stage("tea") == "buying"'}]
"""
WATCHING_TESTS = """\
tests:
  - name: the other journey is seen as it was before
    given: |
      day 0: order_completed
      day 1: order_completed
      day 2: page_viewed
    then: [here, there]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tea.yaml").write_text(TEA, encoding="utf-8")
    (tmp_path / "tea_test.yaml").write_text(TESTS, encoding="utf-8")
    return tmp_path


def test_the_five_models_pass_and_their_tests_reach_every_rule_and_guard(call: Callable[..., Said]):
    said = call("test", "--coverage-min", "100")

    assert (0, "") == (said.code, said.err)
    for name in shipped_names():
        assert f"{name}_test.yaml" in said.out
    assert "not covered" not in said.out
    assert "0 failed" in said.out


@pytest.mark.parametrize("named", ["tea.yaml", "tea_test.yaml", "."])
def test_a_definition_its_tests_and_their_folder_mean_the_same(
    named: str, folder: Path, call: Callable[..., Said]
):
    said = call("test", named)

    assert 0 == said.code
    assert "tea_test.yaml  2 passed\n" in said.out
    assert "tea          2/2          1/1      1/1     2/2  100 %" in said.out
    assert said.out.endswith("2 tests: 2 passed, 0 failed\n")


def test_a_failure_is_exit_code_1_and_tells_how_it_came(folder: Path, call: Callable[..., Said]):
    (folder / "tea_test.yaml").write_text(TESTS.replace("stage: looking", "stage: buying"), encoding="utf-8")
    said = call("test", "tea.yaml")

    assert 1 == said.code
    assert "FAILED tea_test.yaml:7 one order makes none" in said.out
    assert "tea_test.yaml:9\n    expected: stage buying\n    actual:   stage looking" in said.out
    assert "buys: when: orders >= 2 is false (orders 1)" in said.out
    assert "\x1b" not in said.out


def test_a_part_of_the_tests_can_be_chosen(folder: Path, call: Callable[..., Said]):
    assert "1 test: 1 passed" in call("test", "tea.yaml", "-k", "MAKES NONE").out
    assert "2 tests: 2 passed" in call("test", "tea.yaml", "-k", "tea").out
    nothing = call("test", "tea.yaml", "-k", "coffee")
    assert 2 == nothing.code
    assert "no test has this" in nothing.err


def test_coverage_of_a_part_is_refused(folder: Path, call: Callable[..., Said]):
    for option in (("-k", "tea"), ("-x",)):
        said = call("test", "tea.yaml", "--coverage-min", "50", *option)
        assert 2 == said.code
        assert "neither -k nor -x" in said.err


def test_it_stops_at_the_first_failure_when_asked(folder: Path, call: Callable[..., Said]):
    (folder / "tea_test.yaml").write_text(TESTS.replace("[looking, buying]", "[looking]"), encoding="utf-8")
    (folder / "tease.yaml").write_text(TEA.replace("journey: tea", "journey: tease"), encoding="utf-8")
    (folder / "tease_test.yaml").write_text(TESTS, encoding="utf-8")

    assert "1 test: 0 passed, 1 failed" in call("test", ".", "-x").out
    assert "4 tests: 3 passed, 1 failed" in call("test", ".").out


def test_too_little_coverage_is_exit_code_1(folder: Path, call: Callable[..., Said]):
    one = TESTS[: TESTS.index("  - name: one")].replace("      day 0: order_completed\n", "")
    (folder / "tea_test.yaml").write_text(one.replace(", buying]", "]"), encoding="utf-8")

    assert 0 == call("test", ".", "--coverage-min", "50").code
    said = call("test", ".", "--coverage-min", "51")
    assert 1 == said.code
    assert "coverage of tea is below 51 %" in said.out
    assert "tea.yaml:9: buys when never true" in said.out


def test_a_definition_without_tests_covers_nothing(folder: Path, call: Callable[..., Said]):
    (folder / "bare.yaml").write_text(TEA.replace("journey: tea", "journey: bare"), encoding="utf-8")
    said = call("test", ".")

    assert 0 == said.code
    assert "bare.yaml       no tests" in said.out
    assert 1 == call("test", ".", "--coverage-min", "1").code
    named = call("test", "bare.yaml")
    assert 2 == named.code
    assert "expected bare_test.yaml beside bare.yaml" in named.err


def test_a_test_file_needs_its_definition(folder: Path, call: Callable[..., Said]):
    (folder / "tea.yaml").unlink()
    said = call("test", "tea_test.yaml")

    assert 2 == said.code
    assert "the definition it tests" in said.err


def test_what_is_wrong_with_a_test_file_is_told_like_a_compiler_does(folder: Path, call: Callable[..., Said]):
    (folder / "tea_test.yaml").write_text(TESTS.replace("stage: looking", "stage: lookin"), encoding="utf-8")
    said = call("test", "tea.yaml")

    assert 1 == said.code
    assert (
        "tea_test.yaml:9:12 error unknown-stage: the journey 'tea' has no stage 'lookin'. Did you mean 'looking'?"
        in said.out
    )
    assert "1 file with errors" in said.out


def test_a_broken_definition_hurts_only_its_own_tests(folder: Path, call: Callable[..., Said]):
    (folder / "broken.yaml").write_text(TEA.replace("orders >= 2", "oders >= 2"), encoding="utf-8")
    (folder / "broken_test.yaml").write_text(TESTS, encoding="utf-8")
    said = call("test", ".")

    assert 1 == said.code
    assert "broken.yaml:9:" in said.out
    assert "2 tests: 2 passed, 0 failed, 1 file with errors" in said.out


def test_a_journey_that_another_one_names_is_found_beside_it(folder: Path, call: Callable[..., Said]):
    (folder / "watching.yaml").write_text(WATCHING, encoding="utf-8")
    (folder / "watching_test.yaml").write_text(WATCHING_TESTS, encoding="utf-8")

    assert "watching_test.yaml  1 passed" in call("test", "watching.yaml").out
    (folder / "tea.yaml").unlink()
    said = call("test", "watching.yaml")
    assert 2 == said.code
    assert "asks for the stage of the journey 'tea'" in said.err


def test_the_deployments_own_event_types_filters_and_rates_hold(folder: Path, call: Callable[..., Said]):
    (folder / "app.yaml").write_text(
        "journeys: [tea.yaml]\n"
        "event_types: [{name: desk_visited, schema: {type: object, properties: {minutes: {type: number}}}}]\n",
        encoding="utf-8",
    )
    (folder / "tea_test.yaml").write_text(
        TESTS.replace("one order makes none", "a visit at the desk").replace(
            '"day 0: order_completed"\n    stage: looking\n    signals: [thanks]',
            '"day 0: desk_visited minutes=3"\n    stage: looking',
        ),
        encoding="utf-8",
    )
    assert 0 == call("test", "-c", "app.yaml").code
    assert "unknown-event" in call("test", "tea.yaml").out


def test_machines_get_json_and_junit_xml(folder: Path, call: Callable[..., Said]):
    said = call("test", "tea.yaml", "--json", "--junit", "out/report.xml")
    values = json.loads(said.out)

    assert (0, "") == (said.code, said.err)
    assert (2, 0) == (values["passed"], values["failed"])
    assert 100 == values["suites"][0]["coverage"]["percent"]
    root = ElementTree.parse(folder / "out" / "report.xml").getroot()
    assert ["two orders make a buyer", "one order makes none"] == [
        case.get("name") for case in root.iter("testcase")
    ]


def test_there_are_colours_for_people_only(folder: Path):
    code, shown = at_a_terminal("test", "tea.yaml")

    assert 0 == code
    assert "\x1b[32m2 passed" in shown
    assert "\x1b" not in at_a_terminal("test", "tea.yaml", NO_COLOR="1")[1]
