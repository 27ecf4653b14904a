"""`replay` and `lint` as scripts use them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Said

JOURNEY = """\
journey: small
version: 1
start: prospect
stages:
  prospect: {kind: prospect, title: {en: Prospect}}
  buyer: {kind: conversion, title: {en: Buyer}}
  quiet: {kind: attrition, title: {en: Quiet}}
transitions:
  - {id: first, from: prospect, to: buyer, event: order_completed}
  - {id: silent, from: buyer, to: quiet, after: 30d, since: order_completed, reason: silence}
"""


def event(number: int, day: int, person: str = "ada", **more: object) -> str:
    made = {
        "event_id": f"e{number}",
        "type": "order_completed",
        "occurred_at": f"2026-01-{day:02}T00:00:00Z",
        "customer_id": person,
        "properties": {"order_id": f"o{number}", "total": 10.0},
        **more,
    }
    return json.dumps(made)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(JOURNEY, encoding="utf-8")
    return path


def moves(out: str) -> list[tuple[str, str | None, str]]:
    data = [json.loads(line)["data"] for line in out.splitlines()]
    return [(each["customer_id"], each["from"], each["to"]) for each in data]


def test_events_go_in_and_net_records_come_out(small: Path, tmp_path: Path, call: Callable[..., Said]):
    events = tmp_path / "events.jsonl"
    events.write_text(event(1, 1) + "\n" + event(2, 2, "bob") + "\n", encoding="utf-8")
    said = call("replay", "-j", small, events)
    assert (0, "") == (said.code, said.err)
    assert [("ada", None, "prospect"), ("ada", "prospect", "buyer")] == moves(said.out)[:2]
    assert [json.loads(line)["specversion"] for line in said.out.splitlines()] == ["1.0"] * 4
    assert said.out == call("replay", "-j", small, events).out


def test_until_lets_silence_speak(small: Path, tmp_path: Path, call: Callable[..., Said]):
    events = tmp_path / "events.jsonl"
    events.write_text(event(1, 1), encoding="utf-8")
    still = call("replay", "-j", small, events)
    later = call("replay", "-j", small, "--until", "2026-03-01T00:00:00Z", events)
    assert "quiet" not in still.out
    assert [("ada", "buyer", "quiet")] == moves(later.out)[2:]


def test_one_file_or_two_in_any_order_is_the_same(small: Path, tmp_path: Path, call: Callable[..., Said]):
    lines = [event(number, 1 + number, person) for number, person in enumerate(["ada", "bob", "ada", "eve"])]
    one, two, both = (tmp_path / name for name in ("1.jsonl", "2.jsonl", "both.jsonl"))
    one.write_text("\n".join(lines[::2]), encoding="utf-8")
    two.write_text("\n".join(lines[1::2]), encoding="utf-8")
    both.write_text("\n".join(lines), encoding="utf-8")
    until = ("--until", "2026-03-01T00:00:00Z")
    assert call("replay", "-j", small, *until, both).out == call("replay", "-j", small, *until, two, one).out


def test_standard_input(small: Path, call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch):
    import io
    import sys

    class Stdin:
        buffer = io.BytesIO(event(1, 1).encode())

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert 2 == len(moves(call("replay", "-j", small, "-").out))


def test_what_cannot_be_used_is_told_with_file_and_line_and_hurts_nobody(
    small: Path, tmp_path: Path, call: Callable[..., Said]
):
    events = tmp_path / "events.jsonl"
    events.write_text(f"\nnope\n\n{event(1, 1)}\n{event(2, 2, type='no_such_type')}\n", encoding="utf-8")
    said = call("replay", "-j", small, events)
    assert 0 == said.code
    assert 2 == len(moves(said.out))
    assert f"1 unusable (not_json), the first: {events}:2: " in said.err
    assert f"1 unusable (unknown_type), the first: {events}:5: " in said.err
    assert 1 == call("replay", "--strict", "-j", small, events).code


def test_filters_and_own_types_of_the_configuration_hold(
    small: Path, tmp_path: Path, call: Callable[..., Said]
):
    config = tmp_path / "app.yaml"
    config.write_text(
        f"journeys: [{small}]\n"
        "filters: [{name: tests, when: context.test}]\n"
        "event_types: [{name: desk_visited, schema: {type: object, properties: {minutes: {type: number}}}}]\n",
        encoding="utf-8",
    )
    events = tmp_path / "events.jsonl"
    own = event(2, 2, "bob", type="desk_visited", properties={"minutes": 3})
    wrong = event(3, 3, "eve", type="desk_visited", properties={"minutes": "long"})
    events.write_text("\n".join([event(1, 1, context={"test": True}), own, wrong]), encoding="utf-8")
    said = call("replay", "-c", config, events)
    assert [("bob", None, "prospect")] == moves(said.out)
    assert "1 unusable (wrong_type)" in said.err


def test_lint_takes_names_files_and_folders_and_prints_json(
    small: Path, tmp_path: Path, call: Callable[..., Said]
):
    (tmp_path / "small_test.yaml").write_text("not: a journey", encoding="utf-8")  # tests are no definitions
    said = call("lint", "buyer-value", small, tmp_path, "--json")
    assert (0, []) == (said.code, json.loads(said.out))


def test_lint_without_a_name_checks_what_is_configured(call: Callable[..., Said]):
    said = call("lint")
    assert (0, "") == said[:2]
    assert "5 definitions: 0 errors" in said.err
