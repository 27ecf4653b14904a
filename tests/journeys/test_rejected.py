"""Broken definitions: every finding at once, where it stands, and nothing started."""

from __future__ import annotations

from pathlib import Path

import pytest

from journey_stream.errors import JourneyDefinitionError
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import lint, load
from journey_stream.journeys.findings import RULES, Report, Spot, did_you_mean
from journeys.definitions import HEAD
from journeys.rejected_cases import CASES, told


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_broken_definition_has_the_findings_beside_it(case: Path) -> None:
    assert case.with_suffix(".txt").read_text("utf-8") == told(case)


def test_no_case_is_without_findings_and_only_warnings_leave_a_journey() -> None:
    for case in CASES:
        loaded = lint([(case.name, case.read_text("utf-8"))], BUILT_IN)

        assert loaded.findings
        assert bool(loaded.errors) == (not loaded.journeys)


def test_every_rule_is_shown_by_a_case_or_by_a_test_of_its_own() -> None:
    shown = {line.split()[2].rstrip(":") for case in CASES for line in told(case).splitlines()}

    assert {"unknown-journey", "bad-call"} == RULES.keys() - shown


def test_findings_come_in_the_order_of_files_and_places() -> None:
    broken = HEAD + "  - {id: x, from: nowhere, to: lost, event: nothing}\n"
    loaded = load([("b.yaml", broken), ("a.yaml", broken.replace("trial", "other"))], BUILT_IN)

    assert [("b.yaml", 11, 19), ("b.yaml", 11, 45), ("a.yaml", 11, 19), ("a.yaml", 11, 45)] == [
        (finding.file, finding.line, finding.column) for finding in loaded.findings
    ]


def test_journeys_loaded_together_know_each_other() -> None:
    asking = HEAD.replace("trial", "asking") + (
        '  - {id: x, from: buyer, to: lost, event: page_viewed, when: \'stage("%s") == "lost"\'}\n'
    )
    other = HEAD.replace("trial", "other")

    right = load([("a.yaml", asking % "other"), ("b.yaml", other)], BUILT_IN)
    wrong = load([("a.yaml", asking % "othr"), ("b.yaml", other)], BUILT_IN)

    assert () == right.findings
    assert ["unknown-journey"] == [finding.rule for finding in wrong.findings]
    assert "Did you mean `other`?" == wrong.findings[0].suggestion
    assert ["other"] == [journey.id for journey in wrong.journeys]


def test_a_journey_looked_at_alone_may_name_any_other() -> None:
    text = HEAD + '  - {id: x, from: buyer, to: lost, event: page_viewed, when: \'stage("far") != ""\'}\n'

    assert () == load([("a.yaml", text)], BUILT_IN).findings


@pytest.mark.parametrize("asked", ['== "lostt"', 'in ["lost", "lostt"]', '!= "lostt"'])
def test_a_guard_asks_only_for_stages_that_the_other_journey_has(asked: str) -> None:
    asking = HEAD.replace("trial", "asking") + (
        f"  - {{id: x, from: buyer, to: lost, event: page_viewed, when: 'stage(\"other\") {asked}'}}\n"
    )
    found = load([("a.yaml", asking), ("b.yaml", HEAD.replace("trial", "other"))], BUILT_IN).findings

    assert [("unknown-stage", 11, "Did you mean 'lost'?")] == [
        (each.rule, each.line, each.suggestion) for each in found
    ]


def test_a_flood_of_findings_is_cut() -> None:
    flood = HEAD + "".join(f"  - {{id: x{n}, from: a{n}, to: b{n}, event: c{n}}}\n" for n in range(900))

    found = load([("a.yaml", flood)], BUILT_IN).findings

    assert 501 == len(found)
    assert "too-large" == found[-1].rule


def test_two_journeys_cannot_have_one_id() -> None:
    loaded = load([("a.yaml", HEAD), ("b.yaml", HEAD)], BUILT_IN)

    assert [("b.yaml", "duplicate-id")] == [(finding.file, finding.rule) for finding in loaded.findings]


def test_one_broken_definition_keeps_all_from_starting_and_says_why() -> None:
    loaded = load([("a.yaml", HEAD), ("b.yaml", "journey: b\n")], BUILT_IN)

    with pytest.raises(JourneyDefinitionError, match=r"b\.yaml:1:1 error missing-key: .*'stages'"):
        loaded.usable()


def test_a_function_called_wrongly_is_a_finding() -> None:
    text = HEAD + "  - {id: x, from: buyer, to: lost, event: page_viewed, when: 'entries() > 1'}\n"

    assert ["bad-call"] == [finding.rule for finding in load([("a.yaml", text)], BUILT_IN).findings]


def test_a_finding_is_told_once_and_reads_as_compilers_write() -> None:
    report = Report("a.yaml")
    for _ in range(2):
        report.add("bad-value", Spot(3, 4), "this is wrong", "Do that")

    assert ["a.yaml:3:4 error bad-value: this is wrong. Do that"] == [str(each) for each in report.findings]


def test_suggestions_know_other_spellings() -> None:
    assert "Did you mean 'order_completed'?" == did_you_mean("Order-Completed", ["order_completed", "other"])
    assert "The keys: a, b" == did_you_mean("zzz", ["a", "b"], "The keys")
