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
    while records := inbox.take():
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
    inbox.take()
    inbox.take()
    assert ["hold", "release"] == told
