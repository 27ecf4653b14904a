"""Events out of order: whatever the order of arrival, the outcome is that of the history in order."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.histories import LIVES, MIRROR, STEPS, end_of, histories, long_history
from engine.live import Live, content, lived, oracle, states_of
from engine.stories import BEGIN, compiled, event
from journey_stream.engine import corrections, course, recent
from journey_stream.engine.program import EngineOptions, Program
from journey_stream.engine.state import Customer, encode_core
from journey_stream.engine.step import apply_event
from journey_stream.engine.tables import Run
from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import shipped, shipped_names
from journey_stream.shop import ShopOptions, simulate
from journey_stream.values import DAY, HOUR, MINUTE, Event, StageNow

WINDOW = EngineOptions(dedup_window=1_000 * DAY)
"""Tests let events come very late; a deployment's window is never less than its lateness either."""
FORGETFUL = EngineOptions(
    dedup_window=1_000 * DAY, forget_after_known=2 * DAY, forget_after_anonymous=6 * HOUR
)
PROGRAM = compiled(LIVES, MIRROR, options=WINDOW)
FORGETTING = compiled(LIVES, MIRROR, options=FORGETFUL)
MODELS = compiled(*map(shipped, shipped_names()), options=WINDOW)
FEW = settings(max_examples=50, deadline=None)


def same(live: Live, wanted: tuple[Any, dict[str, bytes]]) -> None:
    """The outcome is the wanted one, and nothing was published that should not be."""
    records, states = wanted
    found = live.net()
    assert (records - found, found - records) == ({}, {}), "lost, and more"
    assert states == states_of(live.partition)
    live.check()


def span(history: list[Event]) -> int:
    return max(one.at for one in history) - min(one.at for one in history)


@pytest.mark.parametrize("program", [PROGRAM, FORGETTING], ids=["kept", "forgotten"])
@FEW
@given(history=histories(10), chance=st.randoms(use_true_random=False))
def test_any_order_within_the_lateness_has_the_outcome_of_the_sorted_one(
    program: Program, history: list[Event], chance: Random
) -> None:
    arrived = list(history)
    chance.shuffle(arrived)
    until = end_of(history)

    same(lived(program, arrived, chance, span(history) + HOUR, until), oracle(program, history, until))


@FEW
@given(history=histories(8), chance=st.randoms(use_true_random=False))
def test_at_every_moment_what_holds_is_the_outcome_of_what_is_known(
    history: list[Event], chance: Random
) -> None:
    arrived = list(dict.fromkeys(one.event_id for one in history))
    by_id = {one.event_id: one for one in history}
    chance.shuffle(arrived)
    live = Live(PROGRAM, span(history) + HOUR)
    clock = min(one.at for one in history)
    live.tell(clock)
    for number, name in enumerate(arrived):
        live.arrive(by_id[name])
        clock += chance.choice(STEPS[:8])
        clock = min(clock, min(one.at for one in history) + live.lateness)
        live.partition.fire(clock, clock)
        live.drain()
        same(live, oracle(PROGRAM, [by_id[each] for each in arrived[: number + 1]], clock))


SCRIPTS: dict[str, tuple[Program, list[Event]]] = {
    "a cart is left, bought, and the order taken back": (
        MODELS,
        [
            event("page_viewed", 0, "a", url="/"),
            event("product_added", MINUTE, "b", cart_id="k", product_id="p", price=20.0),
            event("checkout_started", 2 * HOUR, "c", checkout_id="h", value=20.0),
            event("order_completed", 5 * HOUR, "d", order_id="o", checkout_id="h", total=20.0),
            event("order_cancelled", DAY, "e", order_id="o"),
            event("order_completed", 40 * DAY, "f", order_id="q", total=9.0),
        ],
    ),
    "a complaint, solved, rated, reopened": (
        MODELS,
        [
            event("order_completed", 0, "a", order_id="o", total=50.0),
            event("ticket_created", HOUR, "b", ticket_id="t", kind="complaint", priority="high", order_id="o"),
            event("ticket_solved", 30 * HOUR, "c", ticket_id="t"),
            event("survey_responded", 31 * HOUR, "d", survey_type="nps", score=2.0, scale_min=0.0, scale_max=10.0),
            event("ticket_reopened", 4 * DAY, "e", ticket_id="t"),
        ],
    ),
    "welcomed by a company that was there first": (
        MODELS,
        [
            event("message_sent", 0, "a", message_id="m", channel="email"),
            event("page_viewed", HOUR, "b", url="/"),
            event("message_sent", 2 * HOUR, "c", message_id="n", channel="email"),
            event("signed_up", 3 * HOUR, "d"),
            event("consent_changed", 8 * DAY, "e", purpose="marketing", channel="email", status="withdrawn"),
            event("referral_sent", 9 * DAY, "f"),
        ],
    ),
    "somebody anonymous between two known customers": (
        MODELS,
        [
            event("product_viewed", 0, "a", anonymous_id="x", product_id="p"),
            event("product_added", HOUR, "b", anonymous_id="x", cart_id="k", product_id="p", price=5.0),
            event("identified", 2 * HOUR, "c", customer_id="ann", anonymous_id="x"),
            event("order_completed", 3 * HOUR, "d", customer_id="ann", anonymous_id="x", order_id="o", total=5.0),
            event("product_removed", 4 * HOUR, "e", anonymous_id="x", cart_id="k", product_id="p"),
        ],
    ),
    "sequences, windows, sessions, rates": (
        PROGRAM,
        [
            event("page_viewed", 0, "a"),
            event("order_completed", HOUR, "b", order_id="x", total=5.0, coupon="a"),
            event("order_completed", DAY, "c", order_id="y", total=7.5, coupon="b"),
            event("order_completed", 2 * DAY, "d", order_id="z", total=5.0, coupon="c"),
            event("page_viewed", 8 * DAY, "e"),
            event("page_viewed", 8 * DAY + 30 * MINUTE, "f"),
        ],
    ),
    "signals raised and taken back": (
        PROGRAM,
        [
            event("product_added", 0, "a", cart_id="k"),
            event("product_added", 0, "b", cart_id="l"),
            event("product_removed", HOUR, "c", cart_id="l"),
            event("order_completed", DAY, "d", order_id="x", total=5.0, cart_id="k"),
            event("ticket_created", DAY + 2 * HOUR, "e", ticket_id="t"),
        ],
    ),
    "forgotten, and back": (
        FORGETTING,
        [
            event("page_viewed", 0, "a"),
            event("message_sent", DAY, "b"),
            event("order_completed", DAY + HOUR, "c", order_id="x", total=5.0),
            event("page_viewed", 5 * DAY, "d"),
            event("page_viewed", 5 * DAY, "e", anonymous_id="q"),
            event("order_completed", 5 * DAY + 7 * HOUR, "f", anonymous_id="q", order_id="y", total=5.0),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCRIPTS)
def test_all_permutations_of_a_short_history_have_one_outcome(name: str) -> None:
    program, history = SCRIPTS[name]
    until = end_of(history)
    wanted = oracle(program, history, until)
    corrected = 0
    for number, arrived in enumerate(permutations(history)):
        live = lived(program, arrived, Random(number), span(history) + HOUR, until)
        same(live, wanted)
        corrected += live.counts["corrected"]
    assert corrected


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_thousand_shuffles_of_long_histories_have_the_outcome_of_the_sorted_ones(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events come up to a day late in lives of weeks: histories begin, are folded, settle, begin anew."""
    monkeypatch.setattr(recent, "LOOK_AT", 4)
    history = long_history(seed, 60)
    until = end_of(history)
    program = (PROGRAM, FORGETTING)[seed % 2]
    wanted = oracle(program, history, until)
    disordered = 0
    for shuffle in range(100):
        chance = Random(seed * 1_000 + shuffle)
        lateness = chance.choice((HOUR, DAY, 10 * DAY))
        arrived = sorted(history, key=lambda one: one.at + chance.randrange(lateness))
        live = lived(program, arrived, chance, lateness, until)
        same(live, wanted)
        assert not live.counts["unsorted"]
        disordered += live.counts["disordered"]
    assert disordered > 500


@pytest.mark.slow
def test_a_shop_in_disorder_ends_where_the_shop_in_order_does() -> None:
    options = ShopOptions(customers=300, days=60, out_of_order=0.15, duplicates=0.03)
    decode = Decoder(BUILT_IN).decode
    decoded = (decode(record.value) for record in simulate(options) if record.value is not None)
    arrived = [one for one in decoded if isinstance(one, Event)]
    # Repeats come up to a day after their original.
    live, clock, chance = Live(MODELS, 2 * DAY), 0, Random(1)
    for one in arrived:
        live.tell(clock)
        live.arrive(one)
        clock = max(clock, one.at)
        if chance.random() < 0.02:
            live.partition.fire(clock, clock)
            live.drain()
            if chance.random() < 0.2:
                live.crash()
    until = clock + 10 * DAY
    live.partition.fire(until, until)
    live.drain()
    records, states = oracle(MODELS, arrived, until)

    assert (records, states) == (live.net(), states_of(live.partition))
    assert live.counts["disordered"] > 300
    assert live.counts["corrected"] > 300


@FEW
@given(history=histories(10), chance=st.randoms(use_true_random=False))
def test_with_late_events_among_them_what_holds_is_what_the_histories_at_rest_say(
    history: list[Event], chance: Random
) -> None:
    arrived = list(history)
    chance.shuffle(arrived)
    live = Live(FORGETTING, span(history) + 400 * DAY)
    clock = min(one.at for one in history)
    live.tell(clock)
    for one in arrived:
        live.arrive(one, late=chance.random() < 0.25)
        if chance.random() < 0.6:
            clock += chance.choice(STEPS)
            live.partition.fire(clock, clock, chance.choice((None, 1)))
        if chance.random() < 0.5:
            live.drain()
            if chance.random() < 0.5:
                live.crash()
    live.drain()
    live.check()
    store, said = live.partition._store, []
    for person in store.blobs:
        kept = store.recent(person, live.partition.horizon)
        base = corrections.base_of(FORGETTING, person, kept)
        c, records = corrections._run(FORGETTING, person, base, kept.entries, 0, kept.point)
        said += [content(record) for record in records if not isinstance(record, StageNow)]
        now = store.peek(person)
        if c is None or now is None:
            assert c is now
        else:
            c.sequences = now.sequences
            assert encode_core(c) == encode_core(now)
    assert Counter(said) == live.net()


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
@given(history=histories(10), number=st.integers(0, 9), chance=st.randoms(use_true_random=False))
def test_a_failure_that_passes_changes_nothing(history: list[Event], number: int, chance: Random) -> None:
    arrived = list(history)
    chance.shuffle(arrived)
    until = end_of(history)
    with patch.object(course, "apply_event", _Trip({f"e{number:03}": 1})):
        live = lived(PROGRAM, arrived, chance, span(history) + HOUR, until)

    same(live, oracle(PROGRAM, history, until))


@FEW
@given(
    history=histories(10),
    numbers=st.sets(st.integers(0, 9), min_size=1, max_size=3),
    chance=st.randoms(use_true_random=False),
)
def test_an_event_that_fails_twice_leaves_no_trace(
    history: list[Event], numbers: set[int], chance: Random
) -> None:
    # What somebody else did to a person nobody knew is not looked at when it comes: see the next test.
    acts = {one.event_id for one in history if one.actor == "customer"}
    bad = {f"e{number:03}" for number in numbers} & acts
    arrived = list(history)
    chance.shuffle(arrived)
    until = end_of(history)
    live = Live(FORGETTING, span(history) + HOUR)
    live.tell(min(one.at for one in history))
    with patch.object(course, "apply_event", _Trip(dict.fromkeys(bad, 1_000))):
        for one in arrived:
            live.arrive(one)
            if chance.random() < 0.3:
                live.drain(refused=bad)
        live.partition.fire(until, until)
        live.drain(refused=bad)

    same(live, oracle(FORGETTING, [one for one in history if one.event_id not in bad], until))


def test_an_event_whose_place_is_before_one_that_fails_counts_as_late() -> None:
    live = Live(PROGRAM, DAY)
    live.tell(BEGIN)
    with patch.object(course, "apply_event", _Trip({"c": 1_000})):
        live.arrive(event("message_sent", 2 * HOUR, "c"))
        live.arrive(event("order_completed", HOUR, "b", order_id="x"))
        live.drain()
    buy = next(record for record in live.published if record.rule == "buy")

    assert (BEGIN + 2 * HOUR, True, "b") == (buy.occurred_at, buy.late, buy.cause.event_id)
