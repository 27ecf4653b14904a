"""`versions` of the settings: what a team writes is checked before anything runs; the page that says how is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from journey_stream.deployment import assemble, extra_topics
from journey_stream.errors import JourneyDefinitionError, SettingsError, UsageError
from journey_stream.settings_read import load_settings

PAGE = Path(__file__).parents[2] / "docs" / "versions.md"


def blocks() -> list[tuple[str, str]]:
    """The YAML blocks of the page: file name (in the first line), text."""
    found = re.findall(r"^```yaml\n# (\S+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [(name, text) for name, text in found]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of the page, and where the team stands."""
    for name, text in blocks():
        if name.startswith("journeys/"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


CONFIGURATIONS = [text for name, text in blocks() if not name.startswith("journeys/")]


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_every_configuration_of_the_page_can_be_deployed(checkout: Path, text: str) -> None:
    made = assemble(load_settings(text))
    (change,) = made.changes
    assert f"policy: {change.policy}" in text
    assert {"keep": 2}.get(change.policy, 1) == len(made.program.journeys)


def test_the_page_shows_each_policy_and_the_way_back() -> None:
    policies = re.findall(r"policy: (\w+)", "".join(CONFIGURATIONS))
    assert ["keep", "migrate", "replay", "replay", "migrate"] == policies


def problems(entry: str, journeys: str = "journeys/buyers.yaml") -> str:
    with pytest.raises(SettingsError) as error:
        assemble(load_settings(f"journeys: [{journeys}]\nversions:\n  - {{{entry}}}\n"))
    return str(error.value)


OLD = "previous: journeys/previous/buyers-1.yaml"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (f"journey: buyer, from_version: 1, policy: keep, {OLD}", "there is no journey `buyer`. Did you mean 'buyers'?"),
        (f"journey: buyers, from_version: 2, policy: keep, {OLD}", "is version 2 itself"),
        (f"journey: buyers, from_version: 3, policy: keep, {OLD}", "expected version 3 of `buyers` in"),
        ("journey: buyers, from_version: 1, policy: keep", "`keep` needs `previous`"),
        ("journey: buyers, from_version: 1, policy: migrate", "`migrate` needs `previous`"),
        (f"journey: buyers, from_version: 1, policy: keep, {OLD}, stages: {{a: b}}", "`stages` is for `migrate`"),
        (
            f"journey: buyers, from_version: 1, policy: keep, {OLD}, history: [a.jsonl]",
            "`history` is for `replay`",
        ),
        (
            f"journey: buyers, from_version: 1, policy: migrate, {OLD}",
            "the stage `buyer` of `buyers@1` has no place in `buyers@2`",
        ),
        (
            f"journey: buyers, from_version: 1, policy: migrate, {OLD}, stages: {{buyr: customer, buyer: custmer}}",
            "has no stage `buyr`. Did you mean 'buyer'?",
        ),
        (
            f"journey: buyers, from_version: 1, policy: migrate, {OLD}, stages: {{buyer: custmer}}",
            "has no stage `custmer`, where `buyer` is to go. Did you mean 'customer'?",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_way_out(checkout: Path, entry: str, expected: str) -> None:
    found = problems(entry)
    assert expected in found
    assert found.startswith("`versions[0]`: ")


def test_all_problems_are_told_at_once(checkout: Path) -> None:
    entry = f"{{journey: buyers, from_version: 1, policy: migrate, {OLD}}}"
    with pytest.raises(SettingsError) as error:
        assemble(load_settings(f"journeys: [journeys/buyers.yaml]\nversions: [{entry}, {entry}]\n"))
    assert ["versions[0]", "versions[1]", "versions[1]"] == re.findall(r"versions\[\d\]", str(error.value))
    assert "a second entry for version 1 of `buyers`: keep one" in str(error.value)


def test_a_previous_definition_is_read_and_checked_like_any_other(checkout: Path) -> None:
    text = "journeys: [journeys/buyers.yaml]\nversions: [{journey: buyers, from_version: 1, policy: keep, previous: %s}]\n"
    with pytest.raises(UsageError, match="cannot read"):
        assemble(load_settings(text % "nowhere.yaml"))
    (checkout / "broken.yaml").write_text(
        "journey: buyers\nversion: 1\nstart: x\nstages: {y: {kind: prospect}}\n"
    )
    with pytest.raises(JourneyDefinitionError, match=r"broken.yaml:3"):
        assemble(load_settings(text % "broken.yaml"))


def test_a_guard_may_name_a_stage_that_only_a_version_that_is_kept_has(checkout: Path) -> None:
    (checkout / "other.yaml").write_text(
        "journey: other\nversion: 1\nstart: a\nstages: {a: {kind: prospect}, b: {kind: conversion}}\n"
        'transitions: [{id: t, from: a, to: b, event: page_viewed, when: \'stage("buyers") == "buyer"\'}]\n'
    )
    alone = "journeys: [journeys/buyers.yaml, other.yaml]\n"
    with pytest.raises(JourneyDefinitionError, match="has no stage 'buyer'"):
        assemble(load_settings(alone))
    assemble(
        load_settings(alone + f"versions: [{{journey: buyers, from_version: 1, policy: keep, {OLD}}}]\n")
    )


def test_topics_by_stage_are_those_of_all_versions_that_run(checkout: Path) -> None:
    text = CONFIGURATIONS[0] + "record_topics: {transitions: stage}\n"
    names = extra_topics(load_settings(text))
    assert {"journey.transitions.buyers.buyer", "journey.transitions.buyers.regular"} <= set(names)
