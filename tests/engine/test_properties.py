"""Whatever the history: the same records and bytes again, however it is cut, restarted, or interrupted."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.histories import PROGRAM, end_of, histories, long_history
from journey_stream.engine import course
from journey_stream.engine.partition import Partition
from journey_stream.engine.program import Program
from journey_stream.engine.state import Customer, decode, encode
from journey_stream.engine.step import apply_event
from journey_stream.engine.tables import Run
from journey_stream.engine.timers import earliest
from journey_stream.net import record_id
from journey_stream.values import DAY, NEVER, Event, Signal, Transition

FEW = settings(max_examples=60, deadline=None)

Net = list[dict[str, Any]]


def net(records: list[Any]) -> Net:
    """Transitions and signals by content, but for when they were decided, in the order of replay."""
    found = [
        {**msgspec.to_builtins(record), "decided_at": 0}
        for record in records
        if isinstance(record, Transition | Signal)
    ]
    return sorted(found, key=lambda r: (r["occurred_at"], r["person"], r["journey"], r["sequence"]))


def played(
    history: list[Event], *, drain_at: set[int] = frozenset(), fire: bool = False
) -> tuple[Net, dict[str, bytes]]:  # type: ignore[assignment]
    """Apply a history; drain after the events numbered so, and fire before each event if asked."""
    partition, records = Partition(PROGRAM, cache=1), []
    for number, event in enumerate(history):
        if fire:
            partition.fire(event.at - 1, event.at)
        partition.apply(event, event.at)
        if number in drain_at:
            records += partition.drain().records
    partition.fire(end_of(history), end_of(history))
    drained = partition.drain()
    assert [] == drained.rejected
    states = {person: partition.encoded(person) or b"" for person in partition.people()}
    return net(records + drained.records), states


@FEW
@given(histories())
def test_the_same_history_gives_the_same_records_and_bytes(history: list[Event]) -> None:
    assert played(history) == played(history)


@FEW
@given(histories(), st.sets(st.integers(0, 30)))
def test_where_a_batch_ends_changes_nothing(history: list[Event], ends: set[int]) -> None:
    assert played(history) == played(history, drain_at=ends)


@FEW
@given(histories(), st.sets(st.integers(0, 30)))
def test_when_the_clock_is_told_changes_nothing(history: list[Event], ends: set[int]) -> None:
    assert played(history) == played(history, drain_at=ends, fire=True)


@FEW
@given(histories())
def test_a_restart_after_any_event_changes_nothing(history: list[Event]) -> None:
    assert played(history) == _restarted(history)


@pytest.mark.parametrize("seed", range(3))
def test_long_lives_are_cut_and_restarted_alike(seed: int) -> None:
    history = long_history(seed)
    whole = played(history)

    assert whole == played(history, drain_at=set(range(0, 400, 7)), fire=True)
    assert whole == _restarted(history)
    assert {
        "buy",
        "love",
        "trouble",
        "solved",
        "silent",
        "cart",
        "thanks",
        "welcome",
        "seen",
    } <= {record["rule"] for record in whole[0]}


def _restarted(history: list[Event]) -> tuple[Net, dict[str, bytes]]:
    """Play with a new partition, loaded from what is at rest, for every event."""
    records: list[Any] = []
    rest: dict[str, bytes | None] = {}
    for event in history:
        partition = Partition(PROGRAM)
        for key, blob in rest.items():
            partition.load(key, blob)
        partition.fire(event.at - 1, event.at)
        partition.apply(event, event.at)
        drained = partition.drain()
        records += drained.records
        rest.update(drained.changes)
    partition = Partition(PROGRAM)
    for key, blob in rest.items():
        partition.load(key, blob)
    partition.fire(end_of(history), end_of(history))
    records += partition.drain().records
    return net(records), {person: partition.encoded(person) or b"" for person in partition.people()}


@FEW
@given(histories(), st.sets(st.integers(0, 24), min_size=1, max_size=4))
def test_an_id_never_stands_for_two_contents_whatever_the_history_lacks(
    history: list[Event], lacking: set[int]
) -> None:
    said: dict[str, dict[str, Any]] = {}
    missing = {f"e{number:03}" for number in lacking}
    for version in (history, [event for event in history if event.event_id not in missing]):
        partition = Partition(PROGRAM)
        for event in version:
            partition.apply(event, event.at)
        partition.fire(end_of(history), end_of(history))
        for record in partition.drain().records:
            if isinstance(record, Transition | Signal):
                content = {**msgspec.to_builtins(record), "sequence": 0, "decided_at": 0}
                assert content == said.setdefault(record_id(record), content)


@FEW
@given(histories())
def test_a_state_read_back_is_written_as_the_same_bytes(history: list[Event]) -> None:
    _, states = played(history)

    assert states == {
        person: encode(decode(person, blob), PROGRAM.fingerprint) for person, blob in states.items()
    }


class _Trip:
    """The engine's step, with a bug at its very end: all that can be half done is done when it raises."""

    def __init__(self, times: dict[str, int]) -> None:
        self.times = dict(times)

    def __call__(self, program: Program, c: Customer, e: Event, t: int, run: Run) -> None:
        apply_event(program, c, e, t, run)
        if self.times.get(e.event_id, 0) > 0:
            self.times[e.event_id] -= 1
            message = "tripped"
            raise ZeroDivisionError(message)


@FEW
@given(histories(), st.sets(st.integers(0, 24), min_size=1), st.sets(st.integers(0, 30)))
def test_a_failure_that_passes_changes_nothing(
    history: list[Event], numbers: set[int], ends: set[int]
) -> None:
    trip = _Trip({f"e{number:03}": 1 for number in numbers})

    assert played(history, drain_at=ends) == _tripped(history, trip, ends)[:2]


@FEW
@given(histories(), st.sets(st.integers(0, 24), min_size=1), st.sets(st.integers(0, 30)))
def test_an_event_that_fails_twice_is_refused_and_leaves_no_trace(
    history: list[Event], numbers: set[int], ends: set[int]
) -> None:
    bad = {f"e{number:03}" for number in numbers}
    trip = _Trip(dict.fromkeys(bad, 1000))
    records, states, refused = _tripped(history, trip, ends)

    assert played([event for event in history if event.event_id not in bad]) == (records, states)
    assert {event.event_id for event in history if event.event_id in bad} >= refused


def _tripped(history: list[Event], trip: _Trip, ends: set[int]) -> tuple[Net, dict[str, bytes], set[str]]:
    with patch.object(course, "apply_event", trip):
        partition, records, refused = Partition(PROGRAM), [], set()
        for number, event in enumerate(history):
            partition.apply(event, event.at)
            if number in ends:
                drained = partition.drain()
                records += drained.records
                refused |= {one.event_id for one, _ in drained.rejected}
        partition.fire(end_of(history), end_of(history))
        drained = partition.drain()
    refused |= {one.event_id for one, _ in drained.rejected}
    states = {person: partition.encoded(person) or b"" for person in partition.people()}
    return net(records + drained.records), states, refused


@FEW
@given(histories())
def test_the_earliest_due_at_rest_is_never_too_late(history: list[Event]) -> None:
    partition = Partition(PROGRAM)
    for event in history:
        partition.apply(event, event.at)
    partition.drain()
    due = partition.next_due
    partition.fire(due - 1 if due != NEVER else end_of(history), 0)

    assert [] == partition.drain().records


@FEW
@given(histories(), st.lists(st.integers(-2 * DAY, 2 * DAY), min_size=25, max_size=25))
def test_no_timer_is_overlooked_when_events_come_behind_the_clock(
    history: list[Event], ahead: list[int]
) -> None:
    partition, clock = Partition(PROGRAM), 0
    for event, leap in zip(history, ahead, strict=False):
        clock = max(clock, event.at + leap)
        partition.fire(clock, clock)
        partition.apply(event, clock)
        partition.fire(clock, clock)
        for person in partition.people():
            customer = partition.customer(person)
            assert customer is not None
            assert earliest(PROGRAM, customer)[0] > clock
