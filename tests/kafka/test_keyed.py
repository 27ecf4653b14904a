"""The keyed partition's logic: order, clock, lateness, dead letters, and deaths between any two steps."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journey_stream.errors import StateError
from journey_stream.kafka import hop, keyed
from journey_stream.kafka.meta import read_meta
from journey_stream.release import PartitionClock
from journey_stream.values import DAY, HOUR, SECOND, DeadLetter, Event, StageNow, Transition
from tests.kafka.log import DECODER, SOURCES, START, Log, Shell, event_bytes, history, options
from tests.kafka.tally import TallyEngine

UNTIL = START + 400 * DAY


def oracle(events: list[dict[str, Any]]) -> list[tuple[str, int]]:
    engine = TallyEngine()
    decoded = [DECODER.decode(event_bytes(**fields)) for fields in events]
    for event in sorted(decoded, key=lambda e: (e.at, e.event_id)):  # type: ignore[union-attr]
        assert isinstance(event, Event)
        engine.apply(event, 0)
    engine.fire(UNTIL, 0)
    return sorted((t.transition_id, t.sequence) for t in engine.records)


def published(shell: Shell) -> list[tuple[str, int]]:
    return sorted((t.transition_id, t.sequence) for t in shell.published if isinstance(t, Transition))


@given(st.integers(0, 10**9), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_events_out_of_order_come_out_as_the_sorted_history(seed: int, count: int) -> None:
    log, events = history(Random(seed), count)
    shell = Shell(log, options(until=UNTIL))
    shell.step(len(log.records), START)
    shell.checkpoint()
    assert oracle(events) == published(shell)
    assert shell.logic.finished


@pytest.fixture(params=[1, 3, 1000])
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let go of few events at once, so that checkpoints and deaths fall between them."""
    monkeypatch.setattr(keyed, "RELEASE_LIMIT", request.param)
    monkeypatch.setattr(keyed, "FIRE_LIMIT", request.param)


FEW = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(st.integers(0, 10**9), st.integers(1, 60))
@FEW
def test_deaths_between_any_steps_change_nothing(at_once: None, seed: int, count: int) -> None:
    random = Random(seed)
    log, events = history(random, count)
    shell = Shell(log, options(until=UNTIL))
    more = False
    while more or not shell.at_end:
        more = shell.step(random.randrange(1, 8), START, once=True)
        if random.random() < 0.3:
            shell.checkpoint()
        if random.random() < 0.2:
            shell.die()
            more = True
    shell.checkpoint()
    assert oracle(events) == published(shell)


@given(st.integers(0, 10**9), st.integers(1, 60))
@FEW
def test_live_no_event_is_lost_or_counted_twice_whatever_dies(at_once: None, seed: int, count: int) -> None:
    """With `clock: wall` the order of arrival may show, but never in what is counted."""
    random = Random(seed)
    log, events = history(random, count)
    shell = Shell(log, options(mode="wall"))
    # The wall is now and then close to the events (caught up), now and then days ahead (catching up).
    wall = events[0]["at"]
    while not shell.at_end:
        shell.step(random.randrange(1, 8), wall, once=random.random() < 0.8)
        wall += random.choice([0, SECOND, HOUR, DAY])
        if random.random() < 0.3:
            shell.checkpoint()
        if random.random() < 0.2:
            shell.die()
    shell.step(0, max(wall, UNTIL))
    shell.checkpoint()
    people = shell.logic.engine.people
    assert {e["event_id"] for e in events} == {i for t in people.values() for i in t.seen}
    assert sum(e["type"] == "order_completed" for e in events) == sum(t.orders for t in people.values())
    ids = [t.transition_id for t in shell.published]
    assert len(ids) == len(set(ids))


def two(at: int, idle: bool = False) -> tuple[hop.Progress, hop.Progress]:
    first, second = (hop.Progress(source, at, idle, at, 0) for source in SOURCES)
    return first, second


def test_a_source_that_says_nothing_holds_the_clock() -> None:
    log = Log()
    log.event(SOURCES[0], 1, event_id="a", person="c", at=START, type="order_completed")
    log.marker(hop.Progress(SOURCES[0], START + 10 * DAY, False, START, 1))
    shell = Shell(log, options())
    shell.step(2, START)
    assert 1 == len(shell.logic.buffer)
    log.marker(hop.Progress(SOURCES[1], START + 10 * DAY, False, START, 1))
    shell.step(1, START)
    assert 0 == len(shell.logic.buffer)


def test_behind_the_window_is_a_dead_letter_with_the_original_untouched() -> None:
    log = Log()
    log.marker(*two(START + 30 * DAY))
    log.event(SOURCES[0], 7, event_id="old", person="c", at=START)
    shell = Shell(log, options())
    shell.step(2, START)
    shell.checkpoint()
    [letter] = shell.published
    assert isinstance(letter, DeadLetter)
    assert ("too_late", "j.visits", 0, 7) == (letter.reason, letter.topic, letter.partition, letter.offset)
    assert (b"k", event_bytes("old", "c", START)) == (letter.key, letter.value)
    assert (("theirs", b"1"),) == letter.headers


def test_behind_the_lateness_but_in_the_window_is_applied_and_flagged() -> None:
    log = Log()
    log.marker(*two(START + 2 * DAY))
    log.event(SOURCES[0], 7, event_id="late", person="c", at=START, type="order_completed")
    shell = Shell(log, options())
    shell.step(2, START)
    shell.checkpoint()
    assert 1 == shell.logic.engine.people["c"].orders


def test_what_the_engine_refuses_twice_is_a_dead_letter() -> None:
    log = Log()
    log.event(SOURCES[0], 3, event_id="poison-1", person="c", at=START)
    log.event(SOURCES[0], 4, event_id="good", person="c", at=START)
    log.marker(*two(START + DAY))
    shell = Shell(log, options())
    shell.step(3, START)
    shell.checkpoint()
    [letter] = shell.published[-1:]
    assert ("processing_error", 3) == (letter.reason, letter.offset)
    assert ["good"] == shell.logic.engine.people["c"].seen


def test_a_dead_record_of_intake_is_published_once_though_it_comes_twice() -> None:
    log = Log()
    head = hop.packer(SOURCES[0])(hop.DEAD, 8, START)
    headers = [(hop.HEADER, head), (hop.DEAD_HEADER, hop.pack_dead("not_json", "why")), ("theirs", b"2")]
    log.add(b"\xff", headers)
    log.add(b"\xff", headers)
    shell = Shell(log, options())
    shell.step(1, START)
    shell.checkpoint()
    shell.die()
    shell.step(5, START)
    shell.checkpoint()
    [letter] = shell.published
    assert ("not_json", "why", 4, b"\xff", (("theirs", b"2"),)) == (
        letter.reason,
        letter.detail,
        letter.offset,
        letter.value,
        letter.headers,
    )


@pytest.mark.parametrize("headers", [[], [("other", b"x")], [(hop.HEADER, b"\x01\x09 from the future")]])
def test_a_record_that_no_intake_wrote_hurts_nobody(headers: list[tuple[str, bytes]]) -> None:
    log = Log()
    log.add(b"stray", headers)
    log.event(SOURCES[0], 4, event_id="good", person="c", at=START)
    log.marker(*two(START + DAY))
    shell = Shell(log, options())
    shell.step(3, START)
    shell.checkpoint()
    [letter] = [r for r in shell.published if isinstance(r, DeadLetter)]
    assert ("processing_error", "j.events", 0) == (letter.reason, letter.topic, letter.offset)
    assert "c" in shell.logic.engine.people


def test_until_keeps_later_events_and_timers_waiting() -> None:
    log = Log()
    log.event(SOURCES[0], 1, event_id="a", person="c", at=START, type="order_completed")
    log.event(SOURCES[0], 2, event_id="b", person="c", at=START + 2 * HOUR, type="order_completed")
    log.marker(*two(START + 2 * DAY, idle=True))
    shell = Shell(log, options(until=START + HOUR))
    shell.step(3, START)
    shell.checkpoint()
    assert ["c/order/a", f"c/silence/{START + HOUR}"] == [t.transition_id for t in shell.published]
    assert shell.logic.finished


def test_a_damaged_or_newer_checkpoint_stops_the_partition() -> None:
    log, _ = history(Random(1), 3)
    shell = Shell(log, options())
    shell.step(3, START)
    shell.checkpoint()
    with pytest.raises(StateError, match="expected a meta record"):
        read_meta(b"\x00")
    newer = msgspec.msgpack.encode([99, *msgspec.msgpack.decode(shell.meta or b"")[1:]])
    with pytest.raises(StateError, match="upgrade this worker"):
        read_meta(newer)


def test_an_event_behind_what_was_let_go_does_not_wait_for_a_death_to_lose_it() -> None:
    log = Log()
    log.marker(*two(START + HOUR, idle=True))  # all ended: everything up to `until` is let go
    log.marker(*(hop.Progress(s, START + HOUR, False, START + DAY, 0) for s in SOURCES))  # then more comes
    log.event(SOURCES[0], 1, event_id="a", person="c", at=START + HOUR)
    shell = Shell(log, options(until=UNTIL))
    shell.step(1, START)
    shell.step(2, START)
    shell.checkpoint()
    shell.die()
    shell.step(9, START)
    assert ["a"] == shell.logic.engine.people["c"].seen


def test_a_clock_that_had_run_on_stays_there_after_a_death() -> None:
    log = Log()
    log.marker(*two(START, idle=True), hop.Progress(SOURCES[1], START + 30 * DAY, True, START, 0))
    log.marker(hop.Progress(SOURCES[0], START + 1, False, START + DAY, 1))
    log.event(SOURCES[0], 2, event_id="old", person="c", at=START)
    shell = Shell(log, options())
    shell.step(2, START)
    shell.checkpoint()
    shell.die()
    shell.step(1, START)
    shell.checkpoint()
    assert ["too_late"] == [r.reason for r in shell.published if isinstance(r, DeadLetter)]


def test_many_events_behind_what_was_let_go_all_go_before_a_checkpoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keyed, "RELEASE_LIMIT", 1)
    log = Log()
    log.marker(*two(START + HOUR, idle=True))
    for number in range(5):
        log.event(SOURCES[0], number, event_id=f"e{number}", person="c", at=START + number)
    shell = Shell(log, options(until=UNTIL))
    shell.step(1, START)
    shell.step(5, START, once=True)
    shell.checkpoint()
    shell.die()
    shell.step(9, START)
    assert {f"e{n}" for n in range(5)} == set(shell.logic.engine.people["c"].seen)


def test_the_population_survives_a_death_and_knows_of_the_forgotten() -> None:
    log = Log()
    for number, person in enumerate(["a", "b"]):
        fields = {"event_id": person, "person": person, "at": START, "type": "order_completed"}
        log.event(SOURCES[0], number, **fields)
    log.marker(*two(START + HOUR))
    shell = Shell(log, options(allowed_lateness=0))
    shell.step(3, START)
    shell.checkpoint()
    shell.die()
    assert {"tally": {"ordered-1": 2}} == shell.logic.population
    shell.logic.engine.records = [forgotten("a", "ordered-1")]
    shell.logic.dirty = True
    shell.checkpoint()
    assert {"tally": {"ordered-1": 1}} == shell.logic.population


def forgotten(person: str, stage: str) -> StageNow:
    return StageNow(
        person=person,
        journey="tally",
        version=1,
        customer_id=person,
        anonymous_id=None,
        account_id=None,
        stage=None,
        kind=None,
        owner=None,
        entered_at=START,
        sequence=1,
        transition_id=None,
        attributes={},
        test=False,
        replay=False,
        left=stage,
    )


said = st.lists(
    st.tuples(st.sampled_from(SOURCES), st.integers(0, 9), st.booleans(), st.integers(0, 9)),
    min_size=1,
    max_size=3,
)


@pytest.mark.parametrize("mode", ["wall", "event"])
@given(st.lists(said, min_size=1, max_size=8), st.lists(st.integers(1, 4), max_size=8))
def test_the_clock_does_not_depend_on_where_batches_of_markers_are_cut(
    mode: str, markers: list[list[tuple[bytes, int, bool, int]]], cuts: list[int]
) -> None:
    log = Log()
    for rows in markers:
        told = [
            hop.Progress(s, START + high * HOUR, idle, START + wall * HOUR, 0) for s, high, idle, wall in rows
        ]
        log.marker(*told, arrived=START + 9 * HOUR)
    reached = []
    for sizes in ([1] * len(markers), [len(markers)], cuts):
        logic = Shell(log, options(mode=mode)).logic
        waiting = log.records
        for size in (*sizes, len(markers)):
            part, waiting = waiting[:size], waiting[size:]
            logic.take(part, START + 5 * HOUR)
        reached.append(logic.clock.reached)
    assert [reached[0]] * 3 == reached


def test_many_markers_are_one_look_at_the_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    log, looks = Log(), []
    for hour in range(50):
        log.marker(*(hop.Progress(source, START + hour * HOUR, False, START, 0) for source in SOURCES))
    logic = Shell(log, options()).logic
    look = PartitionClock._look
    monkeypatch.setattr(PartitionClock, "_look", lambda clock: looks.append(1) or look(clock))
    logic.take(log.records, START)
    assert (START + 49 * HOUR, 1) == (logic.clock.reached, len(looks))
