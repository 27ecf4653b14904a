"""What lint says never happens, never happens: generated journeys, run by the engine over generated histories."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import msgspec
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from journey_stream.engine.program import compile_program
from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import Finding, lint
from journey_stream.replay import replay
from journey_stream.values import DAY, HOUR, SECOND, Signal, Transition, rfc3339

HEAD = """\
journey: trial
version: 1
start: s0
parameters: {few: 2, asked: true}
attributes:
  orders: {count: order_completed, less: order_cancelled, by: order_id}
  bought: {count: order_completed}
  acts: {count: activity}
  cases: {open: {opened: ticket_created, closed: ticket_solved, by: ticket_id}}
  opinion: {last: [survey_responded.sentiment, product_reviewed.sentiment]}
  kind: {last: ticket_created.kind}
  rhythm: {rhythm: order_completed, gaps: 1}
  moody: {last: page_viewed.sentiment}
  happy: {value: has(opinion) && opinion > 0.0}
stages:
  s0: {kind: prospect}
  s1: {kind: conversion, remember: true}
  s2: {kind: retention}
  s3: {kind: attrition}
transitions:
"""
TYPES = ["order_completed", "order_cancelled", "ticket_created", "ticket_solved", "survey_responded",
         "product_reviewed", "page_viewed", "ticket_replied", "message_sent"]  # fmt: skip
_stages = st.sampled_from(["s0", "s1", "s2", "s3", "any", "[s0, s1]", "[s1, s2]", "[s0, s2, s3]"])
_types = st.sampled_from(
    [*TYPES, "activity", "[order_completed, ticket_created]", "[page_viewed, activity]"]
) | (
    st.lists(st.sampled_from(TYPES), min_size=2, max_size=3, unique=True).map(
        lambda words: f"[{', '.join(words)}]"
    )
)
_atoms = st.sampled_from(
    ["orders >= 1", "orders == 0", "orders > few", "orders < 3", "bought >= 1", "bought < 1", "bought == 1", "acts > 0",
     "acts < 1", "cases > 0", "cases == 0", "opinion > 0.0", "opinion <= 0.0", "has(opinion)", "happy", "known", "asked",
     'kind == "complaint"', 'kind == "complant"', 'kind in ["task", "question"]', "dwell >= 2d", "dwell < 2d", "dwell > 0",
     "loops == 0", "loops > 0", 'stage("trial") == "s1"', "has(rhythm)", "rhythm > 1d", "has(moody)", "before.bought == 0",
     'entries("s1") > 1', "bought > before.bought", "orders <= bought"]
)  # fmt: skip
_over_event = st.sampled_from(
    ["sentiment < 0", "sentiment >= 0", "has(sentiment)", "score_norm > 0.5", 'type == "order_completed"',
     'type in ["page_viewed", "ticket_created"]', 'context.channel == "web"', "sentiment <= -0.5", "sentiment > 1"]
)  # fmt: skip


def _joined(atoms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        atoms,
        lambda inner: st.one_of(
            st.builds("({} && {})".format, inner, inner),
            st.builds("({} || {})".format, inner, inner),
            st.builds("!({})".format, inner),
        ),
        max_leaves=3,
    )


_when, _where = st.none() | _joined(_atoms), st.none() | _joined(_over_event)
_delays = st.sampled_from(["1d", "2d", "3d", "36h", "rhythm", "moody * 1d"])


@st.composite
def rules(draw: Any, *, signal: bool = False) -> dict[str, str]:
    rule: dict[str, str] = {"in" if signal else "from": draw(_stages)}
    if not signal:
        rule["to"] = draw(
            st.sampled_from(["s0", "s1", "s2", "s3", "{back: s0}" if rule["from"] == "s1" else "s1"])
        )
        if draw(st.booleans()):
            rule["min_dwell"] = draw(st.sampled_from(["1d", "2d"]))
        if draw(st.integers(0, 3)) == 0:
            rule["reenter"] = "true"
    trigger = draw(
        st.sampled_from(
            ["event", "event", "event", "stage", "stage", "since", "enter" if signal else "event"]
        )
    )
    match trigger:
        case "event":
            rule["event"] = draw(_types)
        case "enter":
            rule["enter"] = draw(_stages)
        case _:
            rule["after"] = draw(_delays)
            rule |= {"since": draw(_types)} if trigger == "since" else {}
            rule |= {"unless": draw(_types)} if draw(st.booleans()) else {}
    for key, strategy in (("when", _when), ("where", _where)):
        condition = draw(strategy)
        if condition is not None and (key == "when" or trigger in ("event", "since")):
            rule[key] = f"'{condition}'"
    return rule


def definition(moves: list[dict[str, str]], signals: list[dict[str, str]]) -> str:
    def lines(rules: list[dict[str, str]], name: str) -> str:
        return "".join(
            f"  - {{id: {name}{number}, {', '.join(f'{key}: {value}' for key, value in rule.items())}}}\n"
            for number, rule in enumerate(rules)
        )

    return HEAD + lines(moves, "t") + ("signals:\n" + lines(signals, "g") if signals else "")


_events = st.lists(
    st.tuples(
        st.sampled_from(TYPES), st.integers(0, 72), st.sampled_from(["a", "b"]), st.integers(0, 10), st.booleans(),
        st.sampled_from(["complaint", "question", "task"]), st.sampled_from(["web", "store", None]),
    ),
    min_size=1,
    max_size=14,
)  # fmt: skip
BEGIN = 1_767_225_600 * SECOND
DECODER = Decoder(BUILT_IN)


def lines_of(history: list[tuple[Any, ...]]) -> list[bytes]:
    at, lines = BEGIN, []
    for number, (kind, hours, id_, score, is_agent, ticket, channel) in enumerate(history):
        at += hours * HOUR
        properties: dict[str, Any] = {
            "order_id": id_,
            "ticket_id": id_,
            "kind": ticket,
            "rating": 1 + score % 5,
        }
        properties |= {"author": "agent" if is_agent else "customer"} if kind == "ticket_replied" else {}
        properties |= {"survey_type": "nps", "score": score} if kind == "survey_responded" else {}
        event = {"event_id": f"e{number:03}", "type": kind, "occurred_at": rfc3339(at), "customer_id": "ann"}
        event |= {"properties": properties} | ({"context": {"channel": channel}} if channel else {})
        lines.append(json.dumps(event).encode())
    return lines


def run(text: str, history: list[bytes]) -> tuple[tuple[Finding, ...], list[Transition | Signal]]:
    linted = lint([("trial", text)], BUILT_IN)
    assume(not linted.errors)
    program = compile_program(linted.journeys, BUILT_IN)
    done = replay(program, [history], DECODER, HOUR, BEGIN + 60 * DAY)
    assert not done.rejections
    return linted.findings, done.records


SEEN: Counter[str] = Counter()
thorough = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@thorough
@given(
    st.lists(rules(), min_size=2, max_size=7),
    st.lists(rules(signal=True), max_size=3),
    st.lists(_events, min_size=1, max_size=4),
)
def test_rules_that_never_fire_do_not(
    moves: list[dict[str, str]], signals: list[dict[str, str]], histories: list[list[tuple[Any, ...]]]
) -> None:
    text = definition(moves, signals)
    for history in histories:
        findings, records = run(text, lines_of(history))
        fired = {record.rule if isinstance(record, Transition) else record.signal for record in records}
        causes = {(record.rule, record.cause.type) for record in records if isinstance(record, Transition)}
        left = {each.from_ for each in records if isinstance(each, Transition) and each.to != each.from_}
        for each in findings:
            name = re.match(r"(?:transition|signal) '(\w+)'", each.message)
            SEEN[each.rule] += 1
            if each.rule in ("shadowed-rule", "never-fires", "timer-never-starts") and name:
                assert name.group(1) not in fired, f"{each}\n{text}"
            if each.rule == "idle-trigger" and name:
                kind = re.search(r"true of (\w+)", each.message)
                assert kind is not None
                assert (name.group(1), kind.group(1)) not in causes or "since" in text, f"{each}\n{text}"
            if each.rule == "dead-end":
                assert each.message.split("'")[1] not in left, f"{each}\n{text}"


@thorough
@given(
    st.lists(rules(), min_size=1, max_size=4),
    _joined(_atoms),
    st.sampled_from(
        ["order_completed", "[order_completed, ticket_created]", "activity", "stage", "sequence"]
    ),
    st.lists(_events, min_size=1, max_size=4),
)
def test_a_condition_that_is_never_or_always_true_can_be_written_as_such(
    moves: list[dict[str, str]], condition: str, trigger: str, histories: list[list[tuple[Any, ...]]]
) -> None:
    rule = {"from": "any", "to": "s2", "event": trigger}
    if trigger == "stage":
        rule = {"from": "[s0, s1]", "to": "s2", "after": "2d"}
    if trigger == "sequence":
        rule = {"from": "any", "to": "s2", "sequence": "[page_viewed, order_completed]", "within": "3d"}
    text = definition([{**rule, "when": f"'{condition}'"}, *moves], [])
    for history in histories:
        findings, records = run(text, lines_of(history))
        about = [
            each for each in findings if "'t0': 'when'" in each.message and f"`{condition}`" in each.message
        ]
        for each in about:
            SEEN[each.rule] += 1
            fact = "false" if "can never" in each.message else "true"
            if "never false" in each.message or "always so" in each.message:
                continue
            plain = definition([{**rule, "when": fact}, *moves], [])
            assert [msgspec.to_builtins(record) for record in run(plain, lines_of(history))[1]] == [
                msgspec.to_builtins(record) for record in records
            ], f"{each}\n{text}"
