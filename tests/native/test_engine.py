"""The compiled core does what the Python engine does: the same records and the same states, byte by byte."""

from __future__ import annotations

from random import Random
from typing import Any

import engine.live as live
import pytest
from engine.histories import PROGRAM, end_of, histories, long_history
from engine.stories import BEGIN, compiled
from engine.stories import event as story_event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.core_load import deployments
from journey_stream.deployment import assemble
from journey_stream.settings import Settings
from journey_stream.shop.records import ShopOptions
from journey_stream.shop.simulate import simulate
from journey_stream.values import DAY, HOUR, NEVER, Event, StageNow

pytest.importorskip("journey_stream_native")

from tests.native.cores import both, fast, told

MODELS = assemble(Settings())
FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def of_a_shop(customers: int, days: int, seed: int) -> list[Event]:
    """All kinds of events, those of the scripted customers among them, in order."""
    options = ShopOptions(seed=seed, customers=customers, days=days)
    found = [MODELS.decoder.decode(record.value, NEVER) for record in simulate(options)]
    return [event for event in found if type(event) is Event]


def run(program: Any, events: list[Event], every: int, cache: int, lateness: int | None) -> None:
    """Play events through both engines and compare at each drain."""
    python, core = both(program, cache=cache)
    for number, event in enumerate(events, 1):
        for partition in (python, core):
            if lateness is not None:
                partition.horizon = event.at - lateness
            partition.fire(event.at - 1, event.at, 500)
            partition.apply(event, event.at)
        if number % every == 0:
            assert told(python.drain()) == told(core.drain())
            assert python.next_due == core.next_due
            assert len(python) == len(core)
    end = events[-1].at + 500 * DAY
    while python.next_due <= end or core.next_due <= end:
        assert python.fire(end, end, 300) == core.fire(end, end, 300)
        assert told(python.drain()) == told(core.drain())
    assert {p: python.encoded(p) for p in python.people()} == {p: core.encoded(p) for p in core.people()}


@pytest.mark.parametrize("lateness", [None, HOUR], ids=["event time", "with histories"])
def test_a_shop_under_all_five_models_has_the_same_records_and_states(lateness: int | None) -> None:
    run(MODELS.program, of_a_shop(25, 400, 7), 400, 10, lateness)


def test_variants_of_models_side_by_side_have_the_same_records_and_states() -> None:
    """They share attributes and guards; what a change of stage changes is each one's own."""
    run(deployments()["twenty journeys"].program, of_a_shop(15, 300, 11), 300, 10, None)


COUNTED = """\
journey: counted
version: 1
attributes:
  entered: {value: 'entries("b")'}
  again: {value: 'entries("b")'}
  inside: {count: activity, over: stage}
  in_there: {value: inside}
records: [entered, again, inside, in_there]
start: a
stages: {a: {kind: prospect}, b: {kind: conversion}}
transitions:
  - {id: first, from: a, to: b, event: order_completed, when: 'entries("b") == 0 && inside > 1'}
signals:
  - {id: new, title: N, event: order_completed, when: 'entries("b") == 0 && inside > 1', owner: m}
  - {id: now, title: N, event: order_completed, when: 'entries("b") == 1', owner: m}
"""


def test_what_a_change_of_stage_changes_is_asked_and_said_anew_within_an_event() -> None:
    program = compiled(COUNTED)
    history = [
        story_event("order_completed", number * HOUR, f"e{number}", order_id=f"o{number}", total=1)
        for number in range(4)
    ]
    run(program, history, 4, 10, None)
    core = fast(program)
    for each in history:
        core.apply(each, each.at)
    records = [record for record in core.drain().records if not isinstance(record, StageNow)]
    said = [
        (each.rule, *(each.attributes[name] for name in ("entered", "again", "in_there"))) for each in records
    ]
    assert said == [
        ("start", 0, 0, 1),
        ("first", 0, 0, 2),
        ("now", 1, 1, 0),
        ("now", 1, 1, 1),
        ("now", 1, 1, 2),
    ]


@FEW
@given(histories(), st.integers(1, 9), st.sampled_from((1, 100)), st.sampled_from((None, 0, HOUR, 3 * DAY)))
def test_any_history_has_the_same_records_and_states(
    history: list[Event], every: int, cache: int, lateness: int | None
) -> None:
    run(PROGRAM, history, every, cache, lateness)


@pytest.mark.parametrize("seed", range(4))
def test_a_long_history_has_the_same_records_and_states(seed: int) -> None:
    run(PROGRAM, long_history(seed), 7, 1, (None, HOUR, DAY, 30 * DAY)[seed])


@pytest.mark.parametrize("seed", range(6))
def test_shuffled_within_the_lateness_it_has_the_outcome_of_the_sorted_history(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With crashes and drains at random; customers go to Python and back."""
    chance = Random(seed)
    history = long_history(seed, 120)
    until = end_of(history)
    expected = live.oracle(PROGRAM, history, until)
    lateness = 2 * DAY
    arrival = sorted(history, key=lambda event: event.at + chance.randrange(lateness))
    monkeypatch.setattr(live, "Partition", fast)
    found = live.lived(PROGRAM, arrival, chance, lateness, until)
    assert expected[1] == live.states_of(found.partition)
    assert expected[0] == found.net()


def test_somebody_python_has_seen_to_is_the_cores_again_after_a_drain() -> None:
    history = long_history(1, 60)
    partition = fast(PROGRAM)
    partition.horizon = BEGIN - DAY
    for event in history[:30]:
        partition.apply(event, event.at)
    before = history[10]
    late = Event(**{**{f: getattr(before, f) for f in before.__struct_fields__}, "event_id": "between"})
    partition.apply(late, late.at)
    assert partition._hot  # Python's, since it comes out of order
    partition.drain()
    assert not partition._hot
    partition.apply(history[30], history[30].at)
    assert not partition._hot


def test_who_is_looked_at_in_the_midst_of_a_batch_is_told_of_once_by_the_drain() -> None:
    """Whoever does not stay has been put to rest by then."""
    chance, history = Random(1), of_a_shop(40, 20, 3)
    people = sorted({event.person for event in history})
    python, core = both(MODELS.program, cache=1)
    for number, event in enumerate(history, 1):
        for partition in (python, core):
            partition.fire(event.at - 1, event.at, 500)
            partition.apply(event, event.at)
        if chance.random() < 0.3:
            again = history[max(0, number - 5)]
            for partition in (python, core):
                partition.apply(again, event.at)  # a duplicate: woken, and not touched
            for person in (again.person, chance.choice(people)):
                assert python.encoded(person) == core.encoded(person)
            assert len(python) == len(core)
        if number % 40 == 0:
            assert told(python.drain()) == told(core.drain())
