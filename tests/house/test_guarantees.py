"""What docs/guarantees.md names is there: tests, cases, metrics, alerts, and the words of the log."""

import re
from pathlib import Path

import pytest
import yaml

import tests.faults.every  # noqa: F401
from journey_stream.kafka.metrics import Metrics
from tests.faults.case import CASES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text("utf-8")
ROWS = [line.split("|")[1:-1] for line in PAGE.splitlines() if line.startswith("| ") and "---" not in line]
FAILURES = [cells for cells in ROWS if cells[0].strip() != "failure"]
CODE = re.findall(r"`([^`\n]+)`", PAGE)
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
}
SOURCE = "\n".join(path.read_text("utf-8") for path in (ROOT / "journey_stream" / "kafka").glob("*.py"))


def test_every_test_that_the_page_names_exists():
    named = [name for name in CODE if re.fullmatch(r"test_\w+", name)]
    assert len(named) > 20
    assert [] == [name for name in named if name not in TESTS]


def test_every_case_that_the_page_names_is_one_of_make_faults():
    shown = {name for cells in FAILURES for name in re.findall(r"`([^`]+)`", cells[-1])}
    cases = {name for name in shown if not name.startswith("test_")}
    assert {"kill-9", "three-nodes", "network-cut"} <= cases
    assert cases <= CASES.keys()


@pytest.mark.parametrize("cells", FAILURES, ids=lambda cells: cells[0].strip()[:60])
def test_every_failure_has_an_outcome(cells: list[str]):
    assert all(cell.strip() for cell in cells[:-1]), cells


def test_every_failure_is_shown():
    assert [] == [cells[0].strip() for cells in FAILURES if not cells[-1].strip()]


def test_every_metric_and_alert_that_the_page_names_exists():
    exported = set(Metrics().registry._names_to_collectors)
    named = {re.sub(r"\{.*", "", name) for name in CODE if re.fullmatch(r"[a-z]+(_[a-z]+)+(\{.*\})?", name)}
    metrics = {name for name in named if name.endswith(("_total", "_seconds", "_records", "_problems"))}
    assert len(metrics) > 6
    assert {f"journey_stream_{name}" for name in metrics} <= exported
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text("utf-8"))["groups"][0]["rules"]
    assert set(re.findall(r"\bJourney\w+", PAGE)) <= {rule["alert"] for rule in rules}


@pytest.mark.parametrize(
    "words",
    [
        "the brokers do not answer, trying on",
        "the brokers answer again",
        "fenced: another worker took over, or a transaction timed out",
        "that part is read again",
        "something was lost on its way here",
        "stopped and starts over",
        "sending to {topic}[{partition}]",
        "the coordinator of transactions does not answer",
    ],
)
def test_words_of_the_log_that_the_page_quotes_are_those_of_the_program(words: str):
    assert words in SOURCE
    assert re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), words) in PAGE
