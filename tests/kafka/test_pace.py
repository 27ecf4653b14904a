"""When to commit: soon when caught up, seldom in a backlog, never so much that a transaction times out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from journey_stream.kafka.pace import COMMIT_BUDGET, Limits, Pace
from journey_stream.kafka.transactions import TRANSACTION_TIMEOUT_MS

LIMITS = Limits(shortest=0.02, longest=0.5, records=10_000, size=1 << 20)
NEW = Pace(LIMITS)

seconds = st.floats(0, 100, allow_nan=False)
commits = st.lists(st.tuples(seconds, st.integers(0, 50_000), st.integers(0, 1 << 30)), max_size=20)
limits = st.builds(
    Limits,
    shortest=st.floats(0, 10),
    longest=st.floats(0, 10),
    records=st.integers(1, 10**6),
    size=st.integers(1, 1 << 40),
)


def learned(pace: Pace, done: list[tuple[float, int, int]]) -> Pace:
    for taken, records, size in done:
        pace = pace.after(taken, records, size)
    return pace


def test_a_lane_that_keeps_up_commits_soon_and_one_in_a_backlog_seldom() -> None:
    assert (0.02, 0.5) == (NEW.wait(behind=False), NEW.wait(behind=True))
    assert [False, True] == [NEW.is_due(waited, 1, behind=False) for waited in (0.019, 0.02)]
    assert [False, True] == [NEW.is_due(waited, 1, behind=True) for waited in (0.49, 0.5)]


def test_slow_commits_make_the_next_ones_rarer_and_quick_ones_bring_them_back() -> None:
    slow = learned(NEW, [(0.05, 10, 1000)])
    assert 0.05 == slow.wait(behind=False)
    assert 0.1 == learned(NEW, [(3.0, 10, 1000)]).wait(behind=False), "but not without bound"
    assert 0.02 == learned(slow, [(0.001, 10, 1000)] * 20).wait(behind=False)


def test_a_transaction_is_closed_by_records_by_bytes_or_by_the_time_that_records_take() -> None:
    assert 10_000 == NEW.most
    assert 1_024 == learned(NEW, [(0.001, 100, 100 << 10)]).most
    assert 1_500 == learned(NEW, [(0.01 * 10, 10, 10)]).most
    assert 1 == learned(NEW, [(100.0, 1, 1 << 40)]).most
    assert NEW.is_due(0.0, 10_000, behind=True)


def test_progress_alone_says_nothing_of_what_events_cost() -> None:
    pace = NEW.after(0.05, 0, 50)
    assert (10_000, 0.05) == (pace.most, pace.wait(behind=False))


def test_a_setting_longer_than_the_longest_holds_in_a_backlog_too() -> None:
    pace = Pace(Limits(shortest=0.7, longest=0.5, records=1, size=1))
    assert (0.7, 0.7) == (pace.wait(behind=False), pace.wait(behind=True))


@given(limits, commits)
def test_whatever_commits_cost_the_wait_stays_between_the_two_settings(
    limits: Limits, done: list[tuple[float, int, int]]
) -> None:
    pace = learned(Pace(limits), done)
    longest = max(limits.shortest, limits.longest)
    assert limits.shortest <= pace.wait(behind=False) <= pace.wait(behind=True) == longest
    assert 1 <= pace.most <= limits.records


@given(st.floats(1e-6, 50), st.integers(1, 10**5), st.integers(1, 1 << 30))
def test_commits_of_one_cost_never_outlast_the_transaction(taken: float, records: int, size: int) -> None:
    pace = NEW.after(taken, records, size)
    assert pace.most == 1 or pace.most * taken / records <= COMMIT_BUDGET * 1.01
    assert pace.most == 1 or pace.most * size / records <= LIMITS.size * 1.01
    assert COMMIT_BUDGET * 2 < TRANSACTION_TIMEOUT_MS / 1000


@given(commits, seconds, seconds)
def test_a_slower_commit_never_brings_the_next_one_forward(
    done: list[tuple[float, int, int]], one: float, other: float
) -> None:
    pace, (quick, slow) = learned(NEW, done), sorted((one, other))
    assert pace.after(quick, 1, 1).wait(behind=False) <= pace.after(slow, 1, 1).wait(behind=False)
