"""What `lint` prints, for people, scripts and hosts of code, and with which exit code."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest

from journey_stream.cli.formats import FORMATS
from journey_stream.journeys import Finding
from journey_stream.journeys.findings import RULES
from tests.cli.conftest import Said

HEAD = """\
journey: trial
version: 1
start: prospect
stages: {prospect: {kind: prospect}, buyer: {kind: conversion}, lost: {kind: attrition}}
transitions:
  - {id: buys, from: prospect, to: buyer, event: order_completed}
  - {id: leaves, from: any, to: lost, event: unsubscribed}
"""
WARNED = HEAD + "  - {id: angry, from: buyer, to: lost, event: ticket_created, where: kind == 'complant'}\n"
HINTED = HEAD + "  - {id: long, from: buyer, to: lost, event: page_viewed, when: dwell > 30}\n"
BROKEN = HEAD + "  - {id: x, from: buyr, to: lost, event: page_viewed}\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """`file(text)` writes a definition into the working folder and returns its name."""
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "trial.yaml") -> str:
        Path(name).write_text(text, encoding="utf-8")
        return name

    return write


@pytest.mark.parametrize(
    ("text", "flags", "code"),
    [
        (HEAD, (), 0),
        (HEAD, ("--strict",), 0),
        (HINTED, ("--strict",), 0),
        (WARNED, (), 0),
        (WARNED, ("--strict",), 1),
        (WARNED, ("--strict", "--format", "sarif"), 1),
        (BROKEN, (), 1),
        (BROKEN, ("--json",), 1),
    ],
)
def test_errors_fail_and_warnings_when_strict(
    text: str, flags: tuple[str, ...], code: int, file: Callable[..., str], call: Callable[..., Said]
):
    assert code == call("lint", *flags, file(text)).code


@pytest.mark.parametrize("arguments", [("nowhere.yaml",), ("--format", "xml"), ("no-such-model",)])
def test_wrong_usage_is_two(arguments: tuple[str, ...], call: Callable[..., Said]):
    said = call("lint", *arguments)

    assert (2, "") == said[:2]


def test_a_test_file_is_for_test(file: Callable[..., str], call: Callable[..., Said]):
    said = call("lint", file("tests: []\n", "trial_test.yaml"))

    assert (2, "") == said[:2]
    assert "run `journey-stream test trial_test.yaml`" in said.err


def test_a_finding_says_where_what_and_the_way_out(file: Callable[..., str], call: Callable[..., Said]):
    said = call("lint", file(WARNED))

    expected = "trial.yaml:8:78 warning impossible-value: transition 'angry': 'where': kind is never \"complant\". Did you mean 'complaint'?\n"
    assert expected == said.out
    assert "1 definition: 0 errors, 1 warning\n" == said.err


def test_hints_are_counted_where_there_are_any(file: Callable[..., str], call: Callable[..., Said]):
    assert "1 definition: 0 errors, 0 warnings, 1 hint\n" == call("lint", file(HINTED)).err


def test_a_comment_accepts_a_finding(file: Callable[..., str], call: Callable[..., Said]):
    accepted = WARNED.rstrip() + "  # lint: allow impossible-value the old desk still writes it so\n"

    assert (0, "") == call("lint", "--strict", file(accepted))[:2]


def test_definitions_given_together_are_told_in_the_order_given(
    file: Callable[..., str], call: Callable[..., Said]
):
    names = [file(WARNED.replace("trial", each), f"{each}.yaml") for each in ("b", "a", "c")]
    out = call("lint", *names).out

    assert names == [line.split(":")[0] for line in out.splitlines()]
    assert out == call("lint", *names).out


def test_json_has_every_part_of_a_finding(file: Callable[..., str], call: Callable[..., Said]):
    (found,) = json.loads(call("lint", "--json", file(WARNED)).out)

    assert found == {
        "file": "trial.yaml",
        "line": 8,
        "column": 78,
        "severity": "warning",
        "rule": "impossible-value",
        "message": "transition 'angry': 'where': kind is never \"complant\"",
        "suggestion": "Did you mean 'complaint'?",
    }
    assert call("lint", "--json", file(WARNED)) == call("lint", "--format", "json", file(WARNED))
    assert "[]\n" == call("lint", "--json", file(HEAD)).out


ODD = (
    Finding("a:b,c%.yaml", 3, 7, "error", "guard-type", "100 % of\nit: x, y", "Mend\rit"),
    Finding("dir/ä b.yaml", 1, 1, "hint", "bare-seconds", "same"),
    Finding("dir/ä b.yaml", 2, 1, "hint", "bare-seconds", "same"),
    Finding("dir/ä b.yaml", 2, 1, "warning", "dead-end", "same", "Do"),
)


def workflow_commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    """Read workflow commands as the runner of GitHub Actions does."""
    read = []
    for line in text.splitlines():
        found = re.fullmatch(r"::(error|warning|notice) ([^:]*)::(.*)", line)
        assert found, line
        properties = dict(part.split("=", 1) for part in found.group(2).split(","))
        read.append(
            (
                found.group(1),
                {key: unquote(value) for key, value in properties.items()},
                unquote(found.group(3)),
            )
        )
    return read


def test_github_shows_each_finding_at_its_line():
    first, second, *_, last = workflow_commands(FORMATS["github"](ODD))

    place = {"file": "a:b,c%.yaml", "line": "3", "col": "7", "title": "guard-type"}
    assert ("error", place, "100 % of\nit: x, y. Mend\rit") == first
    assert ("notice", "dir/ä b.yaml", "same") == (second[0], second[1]["file"], second[2])
    assert ("warning", "same. Do") == (last[0], last[2])
    assert "" == FORMATS["github"]([])


def test_gitlab_gets_a_report_with_a_fingerprint_for_each_finding():
    report = json.loads(FORMATS["gitlab"](ODD))

    for issue in report:
        assert {"description", "check_name", "fingerprint", "severity", "location"} == issue.keys()
        assert issue["severity"] in {"info", "minor", "major", "critical", "blocker"}
    assert 4 == len({issue["fingerprint"] for issue in report})
    assert {"path": "dir/ä b.yaml", "lines": {"begin": 2}} == report[2]["location"]


def test_the_fingerprint_of_a_finding_survives_lines_above_it():
    moved = [Finding(each.file, each.line + 9, *each_rest(each)) for each in ODD]

    prints = [
        [issue["fingerprint"] for issue in json.loads(FORMATS["gitlab"](all_))] for all_ in (ODD, moved)
    ]
    assert prints[0] == prints[1]


def each_rest(finding: Finding) -> tuple[Any, ...]:
    return finding.column, finding.severity, finding.rule, finding.message, finding.suggestion


SARIF: dict[str, Any] = json.loads((Path(__file__).parent / "sarif-2.1.0-essentials.json").read_text("utf-8"))


def test_sarif_is_as_its_schema_wants_it():
    log = json.loads(FORMATS["sarif"](ODD))

    jsonschema.Draft4Validator.check_schema(SARIF)
    jsonschema.validate(log, SARIF, jsonschema.Draft4Validator, format_checker=jsonschema.FormatChecker())
    jsonschema.validate(json.loads(FORMATS["sarif"]([])), SARIF, jsonschema.Draft4Validator)


@pytest.mark.parametrize("broken", ["level", "message", "startLine", "uri"])
def test_the_schema_of_sarif_would_notice(broken: str):
    log = json.loads(FORMATS["sarif"](ODD))
    result = log["runs"][0]["results"][0]
    place = result["locations"][0]["physicalLocation"]
    match broken:
        case "level":
            result["level"] = "hint"
        case "message":
            del result["message"]
        case "startLine":
            place["region"]["startLine"] = 0
        case _:
            place["artifactLocation"]["uri"] = "a b"

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(log, SARIF, jsonschema.Draft4Validator, format_checker=jsonschema.FormatChecker())


def test_sarif_names_rules_levels_and_places():
    (run,) = json.loads(FORMATS["sarif"](ODD))["runs"]
    rules = run["tool"]["driver"]["rules"]

    assert list(RULES) == [rule["id"] for rule in rules]
    assert [each.rule for each in ODD] == [rules[each["ruleIndex"]]["id"] for each in run["results"]]
    assert ["error", "note", "note", "warning"] == [each["level"] for each in run["results"]]
    uris = [each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in run["results"]]
    assert [each.file for each in ODD] == [unquote(uri) for uri in uris]
