"""Timers of customers on disk: nobody is lost between what is in the queue, what is at work and what is listed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from journey_stream.deployment import assemble
from journey_stream.engine import compiled_store
from journey_stream.engine.partition import Partition
from journey_stream.kafka import local_states
from journey_stream.settings import ForgetAfter, Settings
from journey_stream.values import DAY, MINUTE, Event
from tests.kafka.test_local_states import ENGINES, EVENTS, PROGRAM, OnDisk, by_person

HOURLY = assemble(Settings(forget_after=ForgetAfter(anonymous=60 * MINUTE))).program
SHOPPING = [event for event in EVENTS if event.person == "c-0000010"]
"""Of one cart: its timers are those of the checkout that follows."""
BEGAN = EVENTS[0].at


class Both:
    """A partition in memory and one whose states are on disk, to whom the same happens; times in minutes."""

    def __init__(self, folder: Path, program: Any, engine: str) -> None:
        self.memory, self.disk = Partition(program), OnDisk(folder, program, engine)
        self.told = 0

    def apply(self, kind: str, person: str, minute: float, *, known: bool = False) -> None:
        self.told += 1
        like = next(event for event in (*SHOPPING, *EVENTS) if event.type == kind)
        event = msgspec.structs.replace(
            like,
            person=person,
            customer_id=person if known else None,
            at=BEGAN + int(minute * MINUTE),
            event_id=f"{self.told}",
        )
        assert isinstance(event, Event)
        for partition in (self.memory, self.disk.partition):
            partition.apply(event, event.at)

    def fire(self, minute: float) -> None:
        until = BEGAN + int(minute * MINUTE)
        for partition in (self.memory, self.disk.partition):
            while partition.next_due <= until:
                partition.fire(until, until)

    def keep(self) -> Any:
        """Drain and keep; gives what was told in memory, which is the same on disk."""
        expected, came = self.memory.drain(), self.disk.drain()
        assert by_person(expected.records) == by_person(came.records)
        assert expected.counts == came.counts
        return expected


@pytest.fixture(params=ENGINES)
def made(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes them; of the index one entry is fetched at a time, and nothing stays in memory."""
    monkeypatch.setattr(compiled_store, "BOUND", 1)
    monkeypatch.setattr(local_states, "WINDOW", 1)
    if request.param == "compiled":
        pytest.importorskip("journey_stream_native")
    found: list[Both] = []

    def make(program: Any = PROGRAM) -> Both:
        found.append(Both(tmp_path / str(len(found)), program, request.param))
        return found[-1]

    yield make
    for both in found:
        both.disk.states.close()


def test_a_timer_that_moved_before_it_was_first_written_fires(made: Any) -> None:
    both = made()
    both.apply("product_added", "soon", -50, known=True)
    both.apply("product_added", "late", 40, known=True)
    both.keep()
    both.disk.crash()
    both.fire(0)  # the queue is filled up to the timer of the latter now, an hour after
    both.apply("product_added", "p", 0, known=True)
    both.apply("checkout_started", "p", 0.5, known=True)
    both.apply("checkout_step_viewed", "p", 60.2, known=True)  # before anybody looked whose time has come
    both.keep()
    both.apply("checkout_step_viewed", "p", 60.4, known=True)
    records = []
    for minute in (60.45, 90, 150, 24 * 60, 60 * 24 * 60):
        both.fire(minute)
        records += [record for record in both.keep().records if record.person == "p"]
    assert len(records) > 3


def test_who_is_forgotten_and_comes_again_before_that_is_written_is_forgotten_again(made: Any) -> None:
    both = made(HOURLY)
    for person, minute in (("p", 0), ("q", 1), ("r", 10)):
        both.apply("page_viewed", person, minute)
    both.keep()
    both.disk.crash()
    both.fire(59)
    system = next(event.type for event in EVENTS if event.actor == "system")
    both.apply(system, "p", 60.1)  # by then they are forgotten
    for partition in (both.memory, both.disk.partition):
        assert partition.encoded("p") is None
    both.fire(60.2)
    both.apply("page_viewed", "p", 60.3)
    both.fire(60.5)
    both.keep()
    forgotten = []
    for minute in (65, 100, 125):
        both.fire(minute)
        forgotten.append(both.keep().counts["forgotten"])
    assert [1, 1, 1] == forgotten


@pytest.mark.parametrize("looked", [False, True])
def test_who_comes_and_is_forgotten_leaves_nothing_however_often_they_were_looked_at(
    made: Any, looked: bool
) -> None:
    both = made(HOURLY)
    system = next(event.type for event in EVENTS if event.actor == "system")

    def told() -> bool | None:
        """Whether the changelog got a state of them, or a tombstone."""
        before = len(both.disk.changelog)
        both.keep()
        return {who: blob is not None for who, blob in both.disk.changelog[before:]}.get("p")

    def look() -> None:
        if looked:
            for partition in (both.memory, both.disk.partition):
                partition.encoded("p")

    both.apply("page_viewed", "p", 0)
    for number in range(40):
        both.apply("page_viewed", f"other-{number}", 0.1)  # so that they leave
    both.apply(system, "p", 61)
    look()
    assert told() is None
    both.apply("page_viewed", "p", 100)
    assert told() is True
    both.apply(system, "p", 161)
    look()
    both.apply("page_viewed", "p", 162)
    look()
    both.apply(system, "p", 223)
    assert told() is False
    assert "p" not in dict(both.disk.states.items())


def test_who_was_told_of_while_decoded_again_leaves_a_tombstone(made: Any) -> None:
    both = made(HOURLY)
    both.apply("page_viewed", "p", 0)
    for number in range(40):
        both.apply("page_viewed", f"other-{number}", 0.1)
    both.told = 0
    both.apply("page_viewed", "p", 0)  # the same once more: it changes nothing
    both.keep()
    both.fire(3 * DAY / MINUTE)
    assert 41 == both.keep().counts["forgotten"]
    assert {} == dict(both.disk.states.items())
    assert {} == both.disk.written()
