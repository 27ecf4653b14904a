"""Release: the clock of a keyed partition, how late is late, and who may go when."""

from __future__ import annotations

import pytest
from engine.stories import BEGIN, event
from hypothesis import given
from hypothesis import strategies as st

from journey_stream.release import (
    BEGINNING,
    Mode,
    PartitionClock,
    ReleaseBuffer,
    classify,
    settled,
)
from journey_stream.values import DAY, HOUR, NEVER, SECOND

NOW = 1_000 * SECOND


def test_lateness_has_exact_borders() -> None:
    assert ["on_time", "on_time", "late", "late", "too_late"] == [
        classify(at, 10 * DAY, HOUR, 7 * DAY)
        for at in (11 * DAY, 10 * DAY - HOUR, 10 * DAY - HOUR - 1, 3 * DAY, 3 * DAY - 1)
    ]


def test_the_window_is_never_shorter_than_the_lateness() -> None:
    assert "on_time" == classify(0, 2 * DAY, 2 * DAY, DAY)
    assert "too_late" == classify(-1, 2 * DAY, 2 * DAY, DAY)


def test_the_clock_is_the_slowest_source_and_waits_for_those_unheard_of() -> None:
    clock = PartitionClock("event", ["a", "b"])
    clock.progress("a", 100, idle=False, wall=0)
    assert (BEGINNING, ["b"]) == (clock.clock(NOW), clock.holding(NOW))

    clock.progress("b", 70, idle=False, wall=0)
    assert (70, ["b"]) == (clock.clock(NOW), clock.holding(NOW))


def test_the_clock_never_goes_back() -> None:
    clock = PartitionClock("event", ["a"])
    clock.progress("a", 100, idle=False, wall=0)
    assert 100 == clock.clock(NOW)

    clock.progress("a", 50, idle=False, wall=1)
    clock.expect("b")
    clock.progress("b", 20, idle=False, wall=1)
    assert 100 == clock.clock(NOW)


def test_a_source_at_its_end_counts_as_wall_time_or_is_left_out() -> None:
    wall, by_events = PartitionClock("wall", ["a", "b"]), PartitionClock("event", ["a", "b"])
    for clock in (wall, by_events):
        clock.progress("a", 100, idle=False, wall=NOW - 5)
        clock.progress("b", 40, idle=True, wall=NOW - 5)
    assert (100, 100) == (wall.clock(NOW), by_events.clock(NOW))

    for clock in (wall, by_events):
        clock.progress("a", 100, idle=True, wall=NOW - 2)
    assert (NOW - 5, 100) == (wall.clock(NOW), by_events.clock(NOW))
    assert by_events.ended()


def test_in_wall_the_clock_never_runs_ahead_of_the_wall() -> None:
    clock = PartitionClock("wall", ["a"])
    clock.progress("a", NOW + 300 * SECOND, idle=False, wall=NOW)

    assert NOW == clock.clock(NOW)


def test_a_missing_marker_holds_the_clock_whatever_the_wall_says() -> None:
    clock = PartitionClock("wall", ["a"])
    clock.progress("a", 5, idle=True, wall=NOW)

    assert NOW == clock.clock(NOW + DAY)
    assert ["a"] == clock.holding(NOW + DAY)


def test_caught_up_is_ten_seconds_behind_the_wall() -> None:
    clock = PartitionClock("wall", ["a"])
    clock.progress("a", NOW, idle=False, wall=NOW)

    assert [True, False] == [
        clock.caught_up(at, 10 * SECOND) for at in (NOW + 10 * SECOND, NOW + 10 * SECOND + 1)
    ]


def test_a_source_no_longer_read_holds_nothing() -> None:
    clock = PartitionClock("event", ["a", "b"])
    clock.progress("a", 7, idle=False, wall=0)
    clock.forget("b")

    assert 7 == clock.clock(NOW)


def test_events_go_by_time_then_id_then_arrival() -> None:
    buffer = ReleaseBuffer()
    for tag, (at, name) in enumerate([(5, "b"), (5, "a"), (3, "z"), (5, "a"), (9, "x")]):
        buffer.push(event("page_viewed", at, name), tag)

    assert BEGIN + 3 == buffer.earliest
    assert [2, 1, 3, 0] == [tag for _, tag in buffer.release(BEGIN + 5)]
    assert (1, [4], BEGIN + 9) == (len(buffer), list(buffer.tags()), buffer.earliest)
    assert [4] == [tag for _, tag in buffer.release(NEVER)]
    assert NEVER == buffer.earliest


def test_in_event_mode_the_lateness_is_waited_for_until_everything_is_read() -> None:
    clock = PartitionClock("event", ["a"])
    clock.progress("a", 10 * HOUR, idle=False, wall=0)
    assert 9 * HOUR - 1 == settled("event", clock, 0, HOUR, NEVER)
    assert 3 * HOUR == settled("event", clock, 0, HOUR, 3 * HOUR)

    clock.progress("a", 10 * HOUR, idle=True, wall=1)
    assert 9 * HOUR - 1 == settled("event", clock, 0, HOUR, NEVER)
    assert 30 * HOUR == settled("event", clock, 0, HOUR, 30 * HOUR)


def test_in_wall_mode_events_go_up_to_the_clock() -> None:
    clock = PartitionClock("wall", ["a"])
    clock.progress("a", 10 * HOUR, idle=False, wall=0)

    assert 10 * HOUR == settled("wall", clock, 20 * HOUR, HOUR, NEVER)


told = st.tuples(
    st.sampled_from(["progress", "expect", "forget", "ask"]), st.sampled_from("abc"),
    st.integers(0, 50), st.booleans(), st.integers(0, 50),
)  # fmt: skip


@pytest.mark.parametrize("mode", ["wall", "event"])
@given(st.lists(told, max_size=30))
def test_a_clock_that_was_asked_before_tells_what_a_new_one_would(mode: Mode, steps: list) -> None:
    clock = PartitionClock(mode, ["a"])
    for step, source, highest, idle, wall in steps:
        if step == "progress":
            clock.progress(source, highest, idle, wall)
        elif step == "expect":
            clock.expect(source)
        elif step == "forget":
            clock.forget(source)
        else:
            fresh = PartitionClock(mode)
            fresh.sources, fresh.reached = clock.sources, clock.reached
            assert fresh.clock(40) == clock.clock(40)


def test_a_clock_looks_at_its_sources_once_until_somebody_tells_it_more() -> None:
    clock = PartitionClock("event", ["a"])
    clock.progress("a", 100, idle=False, wall=0)
    assert 100 == clock.clock(NOW)
    clock.sources["a"].highest = 200  # behind its back
    assert 100 == clock.clock(NOW)
    clock.progress("a", 150, idle=False, wall=1)
    assert 200 == clock.clock(NOW)
