"""A worker that reads source partitions without the hop (`keyed_input`) may die, sleep and fail at any step, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journey_stream.kafka.direct import Direct
from journey_stream.kafka.direct_intake import RESTORING, Inputs
from tests.kafka.crash.driver import Line, Plan, Played, Stop, play
from tests.kafka.crash.test_every_step import FAULTS, LINES, UNTIL, given_lines, plans

PARTITIONS = 2


def played(plan: Plan) -> Played:
    return play(LINES, UNTIL, plan, PARTITIONS, "murmur2")


@cache
def undisturbed() -> Played:
    return played(Plan())


def every_step(make: Callable[[int], Plan], stride: int = 3) -> Iterator[Plan]:
    return (make(step) for step in range(1, undisturbed().steps + 1, stride))


FAMILIES: dict[str, Callable[[], Iterator[Plan]]] = {
    "dies": lambda: every_step(lambda step: Plan([Stop(step)])),
    "dies, and what it had sent arrives": lambda: every_step(lambda step: Plan([Stop(step, arrives=0.0)])),
    "sleeps, and wakes up when another is at work": lambda: every_step(
        lambda step: Plan([Stop(step, paused=True, wakes=(0.05, 0.3, 1.0)[step % 3])])
    ),
    "goes through a rebalance": lambda: every_step(lambda step: Plan(rebalance=step)),
    "goes through a rebalance, and brokers are slow": lambda: every_step(
        lambda step: Plan(rebalance=step, slow=0.02), 12
    ),
    "has a request that fails": lambda: (
        Plan(faults={request: fault})
        for request in range(1, len(undisturbed().requests) + 1)
        for fault in (FAULTS[request % 3],)
    ),
}


def test_undisturbed_most_records_need_no_hop_and_the_others_find_their_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    direct, sent_on = 0, 0
    take = Direct.take

    def counted(self: Direct, records: Any, clock: int) -> None:
        nonlocal direct, sent_on
        take(self, records, clock)
        direct += len(records)
        sent_on += sum(map(len, self.rows.values()))

    monkeypatch.setattr(Direct, "take", counted)
    assert [] == played(Plan()).problems
    assert (len(LINES), 2) == (direct, sent_on)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_at_any_step_a_worker_may_be_one_that(family: str) -> None:
    assert [] == [(plan, found) for plan in FAMILIES[family]() if (found := played(plan).problems)]


@pytest.mark.slow
@given(given_lines(), plans, st.sampled_from((1, 2, 3)))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_the_history_and_whatever_fails_readers_see_the_sorted_history_once(
    history: tuple[list[Line], int], plan: Plan, partitions: int
) -> None:
    assert [] == play(*history, plan, partitions, "crc32").problems


async def _never(self: Inputs) -> None:
    """Instead of sending on."""


def _unless_it_starts(self: Inputs, why: str) -> None:
    """Let batches come while positions are set: they are lost until all are set, each time anew."""
    if why != RESTORING:
        HOLD(self, why)


HOLD = Inputs.hold


def _from_the_beginning(self: Direct, kept: Any, first: int) -> int:
    self.position = first
    return first


MUTANTS = {
    "batches come while positions are set": (Inputs, "hold", _unless_it_starts),
    "what waited is not read again": (Direct, "_take_again", lambda self, records: None),
    "what belongs elsewhere is not sent on": (Inputs, "send_on", _never),
    "the position is forgotten": (Direct, "restore", _from_the_beginning),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_driver_notices_when(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = [
        *every_step(lambda step: Plan([Stop(step)]), 5),
        *every_step(lambda step: Plan(rebalance=step, slow=0.02), 40),
    ]
    monkeypatch.setattr(*MUTANTS[mutant])
    assert any(played(plan).problems for plan in plans)
