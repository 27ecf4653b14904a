"""A lane's inbox takes what continues its position, in order, and says when something is missing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journey_stream.kafka import inbox as module
from journey_stream.kafka.inbox import Batch, Inbox, Position


def batch(epoch: int, start: int, end: int) -> Batch:
    return Batch([SimpleNamespace(offset=offset) for offset in range(start, end)], epoch, start)


def make() -> tuple[Inbox, list[str]]:
    told: list[str] = []
    return Inbox(lambda: told.append("hold"), lambda: told.append("release")), told


def offsets(inbox: Inbox) -> list[int]:
    taken: list[Any] = []
    while records := inbox.take(1_000):
        taken += [record.offset for record in records]
    return taken


def test_batches_of_the_position_come_out_in_order() -> None:
    inbox, _ = make()
    inbox.open(Position(3, 10))
    inbox.put(batch(3, 10, 12))
    inbox.put(batch(3, 12, 15))
    assert [10, 11, 12, 13, 14] == offsets(inbox)
    assert (15, False) == (inbox.expected, inbox.gap)


def test_a_batch_from_before_the_seek_is_dropped() -> None:
    inbox, _ = make()
    inbox.open(Position(3, 10))
    inbox.put(batch(2, 10, 12))
    assert ([], 10, False) == (offsets(inbox), inbox.expected, inbox.gap)


def test_a_closed_inbox_takes_nothing() -> None:
    inbox, _ = make()
    inbox.put(batch(0, 0, 2))
    inbox.open(Position(1, 0))
    inbox.put(batch(1, 0, 2))
    inbox.close()
    inbox.put(batch(1, 2, 3))
    assert [] == offsets(inbox)


def test_an_inbox_that_misses_a_batch_is_not_closed_and_a_closed_one_misses_nothing() -> None:
    inbox, _ = make()
    assert inbox.is_closed
    inbox.open(Position(1, 0))
    inbox.put(batch(1, 2, 3))
    assert (True, False) == (inbox.gap, inbox.is_closed)
    inbox.close()
    assert (False, True) == (inbox.gap, inbox.is_closed)


@given(st.lists(st.integers(1, 4), min_size=2, max_size=8), st.data())
def test_whatever_batch_is_lost_nothing_behind_it_is_taken_until_it_has_come(
    sizes: list[int], data: st.DataObject
) -> None:
    inbox, _ = make()
    inbox.open(Position(1, 0))
    lost = data.draw(st.integers(0, len(sizes) - 2))
    at, batches = 0, []
    for size in sizes:
        batches.append(batch(1, at, at + size))
        at += size
    for number, each in enumerate(batches):
        if number != lost:
            inbox.put(each)
    assert inbox.gap
    taken = offsets(inbox)
    assert list(range(sum(sizes[:lost]))) == taken
    # The lane seeks to where it stands: now all comes.
    inbox.open(Position(2, inbox.expected or 0))
    inbox.put(batch(2, inbox.expected or 0, at))
    assert list(range(at)) == taken + offsets(inbox)


def test_fetching_pauses_while_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_QUEUED", 4)
    inbox, told = make()
    inbox.open(Position(1, 0))
    told.clear()
    inbox.put(batch(1, 0, 3))
    assert [] == told
    inbox.put(batch(1, 3, 6))
    assert ["hold"] == told
    inbox.take(3)
    inbox.take(1)
    assert ["hold"] == told
    inbox.take(1)
    assert ["hold", "release"] == told


@given(st.lists(st.integers(1, 9), max_size=8), st.lists(st.integers(1, 5), min_size=1))
def test_however_few_are_taken_at_once_all_come_in_order_and_none_of_two_batches_together(
    sizes: list[int], takes: list[int]
) -> None:
    inbox, _ = make()
    inbox.open(Position(1, 0))
    ends = [0]
    for size in sizes:
        inbox.put(batch(1, ends[-1], ends[-1] + size))
        ends.append(ends[-1] + size)
    taken: list[int] = []
    for turn in range(ends[-1]):
        most = takes[turn % len(takes)]
        part = [record.offset for record in inbox.take(most)]
        assert len(part) <= most
        assert not any(part and part[0] < end <= part[-1] for end in ends)
        taken += part
        assert ends[-1] - len(taken) == inbox.queued
    assert list(range(ends[-1])) == taken


def test_several_pieces_are_no_more_than_asked_for_but_for_the_last_one() -> None:
    inbox, _ = make()
    inbox.open(Position(1, 0))
    inbox.put(batch(1, 0, 5))
    inbox.put(batch(1, 5, 9))
    assert [2, 2] == [len(piece) for piece in inbox.take_several(3, 2)]
    assert [1, 2, 2] == [len(piece) for piece in inbox.take_several(100, 2)]
    assert [] == inbox.take_several(100, 2)


def test_a_position_set_anew_forgets_the_rest_of_a_batch() -> None:
    inbox, _ = make()
    inbox.open(Position(1, 0))
    inbox.put(batch(1, 0, 5))
    inbox.take(2)
    inbox.open(Position(2, 2))
    inbox.put(batch(2, 2, 4))
    assert [2, 3] == offsets(inbox)
