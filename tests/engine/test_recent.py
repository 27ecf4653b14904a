"""Recent histories: what a correction says, what they cost, and when they end."""

from __future__ import annotations

import pytest

from engine.live import Live, states_of
from engine.stories import BEGIN, compiled, event, journey
from journey_stream.encode import Encoder
from journey_stream.engine import partition as engine_partition
from journey_stream.engine import recent
from journey_stream.engine.partition import LAYOUT_KEY, Partition
from journey_stream.engine.program import EngineOptions, Program
from journey_stream.engine.state import core_end
from journey_stream.net import net, record_id
from journey_stream.settings import Settings, TopicNames
from journey_stream.values import DAY, HOUR, MINUTE, Event, Signal, StageNow, Transition

BUYS = compiled(
    journey(
        "attributes: {n: {count: order_completed}, mails: {count: message_sent}}\n"
        "records: [n, mails]\n"
        "transitions:\n"
        "  - {id: buy, from: one, to: two, event: order_completed}\n"
        "  - {id: undo, from: two, to: one, event: order_cancelled}\n"
        "  - {id: quiet, from: two, to: one, after: 30m, since: activity, reason: silence}\n"
        "signals:\n"
        "  - {id: cart, title: C, after: 30m, since: product_added, unless: product_removed, by: cart_id,"
        " cancel: order_completed, owner: m}\n"
    )
)


class Told(Live):
    """A live partition with a lateness of one hour; times count from BEGIN, and the clock follows them."""

    def __init__(self, program: Program = BUYS) -> None:
        super().__init__(program, HOUR)
        self.until(0)

    def on(self, kind: str, at: int, name: str, *, late: bool = False, **properties: object) -> Told:
        self.arrive(event(kind, at, name, **properties), late=late)  # type: ignore[arg-type]
        self.drain()
        return self

    def until(self, at: int) -> Told:
        self.tell(BEGIN + at)
        self.partition.fire(BEGIN + at, BEGIN + at)
        self.drain()
        return self

    @property
    def history(self) -> int:
        """Bytes of histories at rest in memory."""
        blobs = self.partition._store.blobs.values()
        return sum(len(blob) - core_end(blob) for blob in blobs)


def moved(records: list[Transition | Signal]) -> list[tuple[str, str, int]]:
    return [(r.rule, r.trigger, r.sequence) for r in records if isinstance(r, Transition)]


def test_retractions_come_newest_first_then_what_is_new_in_order() -> None:
    told = Told().on("page_viewed", 0, "a").on("order_completed", 20 * MINUTE, "c")
    before = len(told.published)
    told.on("order_completed", 10 * MINUTE, "b")
    said = told.published[before:]

    assert [("buy", "correction", 3), ("buy", "event", 4)] == moved(said)
    gone, come = said
    assert isinstance(gone, Transition)
    assert isinstance(come, Transition)
    assert told.published[1].transition_id == gone.corrects  # type: ignore[union-attr]
    assert (come.transition_id, "two") == (gone.replaced_by, gone.stage_now)
    assert gone.transition_id not in (gone.corrects, come.transition_id)
    assert ("b", BEGIN + 10 * MINUTE, BEGIN + 10 * MINUTE + HOUR) == (
        gone.cause.event_id,
        come.occurred_at,
        gone.decided_at,
    )
    assert {"n": 1, "mails": 0} == come.attributes


def test_the_stage_now_is_corrected_too() -> None:
    told = Told().on("page_viewed", 0, "a").on("order_completed", 20 * MINUTE, "c")
    told.on("order_completed", 10 * MINUTE, "b")
    stage, move = told.stages["ann", "test"], told.published[-1]

    assert isinstance(move, Transition)
    assert (move.transition_id, move.occurred_at, move.sequence, "two") == (
        stage.transition_id,
        stage.entered_at,
        stage.sequence,
        stage.stage,
    )


def test_a_stage_entered_before_all_that_is_kept_is_told_without_its_transition() -> None:
    told = Told().on("page_viewed", 0, "a").until(3 * HOUR)
    told.on("order_completed", 3 * HOUR, "b").until(3 * HOUR + 29 * MINUTE)
    told.on("order_cancelled", 3 * HOUR + 20 * MINUTE, "d").on("order_cancelled", 3 * HOUR + 10 * MINUTE, "c")
    assert "one" == told.stages["ann", "test"].stage

    told = Told().on("order_completed", 0, "a").on("page_viewed", HOUR - 1, "b").until(3 * HOUR)
    told.on("order_completed", 3 * HOUR, "c").on("order_cancelled", 3 * HOUR - MINUTE, "d")
    told.check()


def test_what_a_timer_said_is_taken_back_when_it_was_not_due() -> None:
    told = Told().on("product_added", 0, "a", cart_id="k").until(31 * MINUTE)
    (raised,) = (r for r in told.published if isinstance(r, Signal))
    told.on("product_removed", 20 * MINUTE, "b", cart_id="k")
    taken_back = told.published[-1]

    assert isinstance(taken_back, Signal)
    assert (raised.signal_id, "cancelled", raised.signal_id) == (
        taken_back.signal_id,
        taken_back.status,
        taken_back.corrects,
    )
    assert ["start"] == [record.rule for record in net(told.published, strict=True)]


def test_a_cancellation_is_taken_back_by_raising_the_signal_again() -> None:
    told = Told().on("product_added", 0, "a", cart_id="k").until(31 * MINUTE)
    told.on("order_completed", 40 * MINUTE, "c", cart_id="k").on("order_completed", 35 * MINUTE, "b")
    signals = [
        (r.status, r.cause.event_id, r.corrects is not None) for r in told.published if r.rule == "cart"
    ]

    assert [
        ("raised", None, False),
        ("cancelled", "c", False),
        ("raised", "b", True),
        ("cancelled", "b", False),
    ] == signals


def test_a_timer_that_moved_somebody_is_corrected_by_the_act_it_did_not_know_of() -> None:
    told = Told().on("order_completed", 0, "a").until(31 * MINUTE)
    assert "one" == told.stages["ann", "test"].stage
    told.on("page_viewed", 20 * MINUTE, "b")

    assert ("quiet", "correction", "two") == (
        told.published[-1].rule,
        told.published[-1].trigger,  # type: ignore[union-attr]
        told.published[-1].stage_now,  # type: ignore[union-attr]
    )
    assert "two" == told.stages["ann", "test"].stage
    told.until(50 * MINUTE)
    assert ("quiet", BEGIN + 50 * MINUTE) == (told.published[-1].rule, told.published[-1].occurred_at)
    told.check()


def test_what_comes_again_has_its_old_id() -> None:
    told = Told().on("page_viewed", 0, "a").on("order_completed", 30 * MINUTE, "d")
    told.on("order_completed", 10 * MINUTE, "b").on("order_cancelled", 20 * MINUTE, "c")
    buys = [r for r in told.published if r.rule == "buy" and r.corrects is None]

    assert ["d", "b", "d"] == [record.cause.event_id for record in buys]
    assert {"n": 1, "mails": 0} == buys[0].attributes
    assert {"n": 2, "mails": 0} == buys[2].attributes
    told.check()


def test_retractions_go_to_every_topic_that_got_the_original() -> None:
    told = Told().on("product_added", 0, "a", cart_id="k").until(31 * MINUTE)
    told.on("order_completed", 35 * MINUTE, "c")
    said = len(told.published)
    told.on("product_removed", 10 * MINUTE, "b", cart_id="k").on("order_completed", 20 * MINUTE, "d")
    names = TopicNames.of(Settings())
    originals = {record_id(r).partition(":")[:2]: r for r in told.published[:said]}
    corrections = [r for r in told.published[said:] if r.corrects is not None]
    assert {"Transition", "Signal"} == {type(r).__name__ for r in corrections}
    for moves, calls in (("stage", "signal"), ("kind", "kind")):
        encoder = Encoder(names, transitions_by=moves, signals_by=calls)  # type: ignore[arg-type]
        for record in corrections:
            taken_from = ":" if isinstance(record, Signal) and record.status == "raised" else ""
            original = originals[record.corrects or "", taken_from]
            assert topics(encoder, original) == topics(encoder, record)


def topics(encoder: Encoder, record: Transition | Signal) -> list[str]:
    return [out.topic for out in encoder.encode_all(record)]


# Late events.


def test_a_late_event_keeps_the_place_where_it_was_applied() -> None:
    told = Told().on("page_viewed", 0, "a").until(2 * HOUR).on("page_viewed", 2 * HOUR, "b")
    told.on("order_completed", MINUTE, "late", late=True)
    told.on("page_viewed", 2 * HOUR - 10 * MINUTE, "c")
    (buy,) = (r for r in net(told.published, strict=True) if r.rule == "buy")

    assert (BEGIN + 2 * HOUR, True, "late") == (buy.occurred_at, buy.late, buy.cause.event_id)
    told.check()


def test_a_late_event_after_a_timer_of_its_time_stays_after_it() -> None:
    told = Told().on("order_completed", 0, "a").until(2 * HOUR)
    told.on("order_completed", MINUTE, "late", late=True)
    before = len(told.published)
    told.on("page_viewed", 2 * HOUR - 10 * MINUTE, "b")

    assert ["quiet"] == [r.rule for r in told.published[:before] if r.rule == "quiet"]
    told.check()


# Persons nobody knows.


def test_what_a_company_did_before_the_first_act_was_known_counts() -> None:
    told = Told().on("message_sent", 10 * MINUTE, "b", channel="email")
    assert ([], {}) == (told.partition.people(), told.stages)
    told.crash()
    told.on("page_viewed", 0, "a").on("order_completed", 20 * MINUTE, "c")

    assert {"n": 1, "mails": 1} == told.published[-1].attributes
    told.check()


def test_the_same_act_on_nobody_counts_once() -> None:
    told = Told()
    for _ in range(2):
        told.on("message_sent", 10 * MINUTE, "b", channel="email")
    told.on("page_viewed", 0, "a").on("message_sent", 10 * MINUTE, "b", channel="email")
    told.on("order_completed", 20 * MINUTE, "c")

    assert {"n": 1, "mails": 1} == told.published[-1].attributes


def test_of_nobody_nothing_is_left_when_no_first_act_can_come_before() -> None:
    told = Told().on("message_sent", 10 * MINUTE, "b", channel="email")
    assert ["ann"] == [person for person in told.rest if not person.startswith(LAYOUT_KEY)]
    told.crash()
    told.until(3 * HOUR)

    assert [] == [person for person in told.rest if not person.startswith(LAYOUT_KEY)]
    assert 0 == told.history
    assert 0 == len(told.partition)


def test_persons_nobody_knows_are_kept_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_partition, "NOBODIES", 3)
    told = Told()
    for number in range(9):
        told.on("message_sent", 10 * MINUTE, "b", who=f"p{number}", channel="email")

    assert 3 == len([person for person in told.rest if not person.startswith(LAYOUT_KEY)])
    assert 9 == told.counts["unknown_person"]


def test_who_is_forgotten_can_be_remembered_within_the_lateness() -> None:
    program = compiled(journey(""), options=EngineOptions(forget_after_known=DAY))
    told = Told(program).on("page_viewed", 0, "a").until(DAY + MINUTE)
    assert ([], None) == (told.partition.people(), told.stages["ann", "test"].stage)
    told.crash()
    told.on("page_viewed", DAY - MINUTE, "b")

    assert (["ann"], "one") == (told.partition.people(), told.stages["ann", "test"].stage)
    assert 1 == len(told.published), "there is nothing to take back: only the stage was"
    told.check()


# What it costs.


def test_an_idle_customer_is_at_rest_as_if_there_were_no_histories() -> None:
    told, plain = Told(), Partition(BUYS)
    for number in range(20):
        one = event("page_viewed", number * MINUTE, f"e{number}")
        told.arrive(one)
        plain.apply(one, one.at)
        told.drain()
        plain.drain()
    assert 0 < told.history
    for partition in (told.partition, plain):
        partition.fire(BEGIN + DAY, BEGIN + DAY)
    told.drain()
    plain.drain()
    told.until(2 * DAY)

    assert plain._store.blobs == told.partition._store.blobs


def test_a_restart_long_after_cuts_histories_off_too() -> None:
    told = Told().on("page_viewed", 0, "a")
    told.crash()
    assert 0 < told.history
    told.until(DAY)

    assert (0, {}) == (told.history, told.partition._store._settling)


def test_events_at_or_below_the_horizon_leave_no_history() -> None:
    told = Told().until(DAY)
    told.on("page_viewed", DAY - HOUR - 1, "a")
    assert 0 == told.history
    told.on("page_viewed", DAY - HOUR, "b")
    assert 0 < told.history


def test_a_history_is_folded_as_it_settles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "LOOK_AT", 8)
    told = Told()
    sizes = []
    for number in range(300):
        at = number * 10 * MINUTE
        told.until(at).on("page_viewed", at, f"e{number:03}")
        sizes.append(told.history)

    assert max(sizes[100:]) == max(sizes[200:]) < 4_000
    assert 0 == told.counts["unsorted"]
    before = states_of(told.partition)
    told.on("page_viewed", 299 * 10 * MINUTE - HOUR, "x")
    assert (1, 0) == (told.counts["disordered"], told.counts["unsorted"])
    assert before != states_of(told.partition)


def test_a_history_has_a_limit_and_what_comes_before_it_counts_as_late() -> None:
    told = Told().on("page_viewed", 0, "first")
    for number in range(1_000):
        told.on("product_viewed", MINUTE + number, f"e{number:03}")
    (blob,) = (blob for person, blob in told.rest.items() if person == "ann")
    history = told.partition._store.read("ann", blob[core_end(blob) :])
    assert len(history.entries) <= recent.LIMIT
    told.on("order_completed", MINUTE - 1, "x")

    assert 1 == told.counts["unsorted"]
    assert (True, BEGIN + MINUTE + 999) == (told.published[-1].late, told.published[-1].occurred_at)
    told.check()


@pytest.mark.parametrize("kind", ["page_viewed", "message_sent"])
def test_a_history_fits_into_a_record_however_large_its_events_are(kind: str) -> None:
    """Pages of somebody known, messages to somebody unknown; the first act of the latter comes last."""
    told, events = Told(), 12
    for number in range(events):
        told.on(kind, MINUTE + number, f"e{number:02}", context={"campaign": {"name": "x" * 100_000}})
        assert all(len(blob) < recent.SIZE + 1_000 for blob in told.rest.values())
    told.on("page_viewed", 2 * MINUTE, "y")
    told.on("order_completed", MINUTE - 1, "x")

    assert (kind == "page_viewed") == told.counts["unsorted"]
    told.check()


def test_under_other_definitions_what_was_published_is_settled() -> None:
    told = Told().on("page_viewed", 0, "a").on("page_viewed", 20 * MINUTE, "b")
    changed = compiled(
        journey(
            "attributes: {n: {count: order_completed}}\ntransitions: [{id: t, from: one, to: two, event: order_completed}]\n"
        )
    )
    other = Live(changed, HOUR)
    other.rest = told.rest
    other.tell(BEGIN)
    other.crash()
    other.arrive(event("order_completed", 10 * MINUTE, "c"))
    other.drain()
    (move,) = other.published

    assert (BEGIN + 20 * MINUTE, True, 1) == (move.occurred_at, move.late, other.counts["unsorted"])


def test_all_of_an_event_comes_back_from_its_bytes() -> None:
    context = {"channel": "web", "locale": "fr", "campaign": {"source": "s"}, "test": True}
    whole: list[Event] = [
        event(
            "order_completed", 1, "a", order_id="o", total=5.0, promised_at="2026-01-05T00:00:00Z",
            products=[{"sku": "s", "price": 2.5, "quantity": 2.0}], context=context, account_id="acme",
            anonymous_id="x", customer_id="ann",
        ),
        event("survey_responded", 2, "b", survey_type="nps", score=9.0, scale_min=0.0, scale_max=10.0),
        event("identified", 3, "c", traits={"deep": {"list": [1, "two", None]}}),
        event("ticket_replied", 4, "d", ticket_id="t", author="agent"),
        event("profile_changed", 5, "e", attribute="city", **{"from": "a", "to": "b"}),
    ]  # fmt: skip
    told = Told()
    for one in whole:
        told.arrive(one)
    told.drain()
    blob = told.rest["ann"]

    assert whole == [
        entry.event for entry in told.partition._store.read("ann", blob[core_end(blob) :]).entries
    ]


def test_stages_of_somebody_corrected_to_nobody_else_are_untouched() -> None:
    told = Told().on("page_viewed", 0, "a", who="bob").on("order_completed", 20 * MINUTE, "b")
    told.on("page_viewed", 10 * MINUTE, "c")

    assert {"ann", "bob"} == {person for person, _ in told.stages}
    assert all(isinstance(stage, StageNow) for stage in told.stages.values())
    told.check()
