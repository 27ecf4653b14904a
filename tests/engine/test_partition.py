"""Partition: who is known, what counts twice, what is late, who is forgotten, and states across definitions."""

from __future__ import annotations

import pytest

from engine.stories import BEGIN, Story, compiled, event, journey
from journey_stream.engine.ids import fingerprint
from journey_stream.engine.partition import LAYOUT_KEY, Partition
from journey_stream.engine.program import EngineOptions
from journey_stream.engine.state import HEADER, VERSION, decode, due_of
from journey_stream.errors import EngineError, StateError, VersionError
from journey_stream.values import DAY, HOUR, NEVER, Contactable

BUY = journey(
    "attributes: {n: {count: order_completed}}\nrecords: [n]\n"
    "transitions:\n"
    "  - {id: buy, from: one, to: two, event: order_completed}\n"
    "  - {id: undo, from: two, to: one, event: order_cancelled}\n"
)


def test_only_an_act_of_the_customer_creates_a_person() -> None:
    story = Story(BUY).on("order_delivered", 0).on("message_sent", 1)
    assert ([], 2) == (story.partition.people(), story.count("unknown_person"))

    story.on("page_viewed", 2).on("order_delivered", 3)
    assert (["ann"], 2, 2) == (
        story.partition.people(),
        story.count("unknown_person"),
        story.count("applied"),
    )


def test_an_event_id_counts_once_within_the_window() -> None:
    story = Story(BUY, options=EngineOptions(dedup_window=2 * DAY))
    story.on("order_completed", 0, event_id="a").on("order_completed", HOUR, event_id="a")
    assert (1, 1) == (story.count("applied"), story.count("duplicate"))

    # The day of the first is dropped once all of it is out of the window, by the first event of another day.
    story.on("page_viewed", 3 * DAY, event_id="b").on("order_cancelled", 3 * DAY, event_id="a")
    assert (3, 1) == (story.count("applied"), story.count("duplicate"))


def test_a_duplicate_changes_nothing_not_even_timers() -> None:
    story = Story(journey("transitions: [{id: t, from: one, to: two, after: 1d, since: page_viewed}]\n"))
    story.on("page_viewed", 0, event_id="a")
    before = story.partition.encoded("ann")
    story.on("page_viewed", 9 * DAY, event_id="a")

    assert (before, []) == (story.partition.encoded("ann"), story.drained[-1].changes)


def test_customers_are_counted_between_drains_too() -> None:
    partition = Partition(compiled(BUY, options=EngineOptions(forget_after_anonymous=DAY)))
    partition.apply(event("page_viewed", 0, "a"), 0)
    partition.apply(event("page_viewed", 1, "b", anonymous_id="x"), 1)
    assert (2, 1) == (len(partition), partition.timers_pending)

    partition.drain()
    partition.apply(event("page_viewed", 2, "c", anonymous_id="y"), 2)
    assert (3, 2) == (len(partition), partition.timers_pending)

    partition.fire(BEGIN + 9 * DAY, 3)
    assert (1, 0) == (len(partition), partition.timers_pending)
    partition.drain()
    assert ["ann"] == partition.people()
    assert 1 == len(partition)


def test_remembered_ids_are_bounded() -> None:
    story = Story(BUY, options=EngineOptions(dedup_limit=3))
    for number in range(5):
        story.on("page_viewed", number, event_id=str(number))
    customer = story.partition.customer("ann")

    assert customer is not None
    assert b"".join(map(fingerprint, "234")) == customer.seen


def test_the_same_id_of_another_customer_is_another_event() -> None:
    story = Story(BUY).on("page_viewed", 0, event_id="a").on("page_viewed", 0, event_id="a", who="bob")

    assert (2, 0) == (story.count("applied"), story.count("duplicate"))


def test_a_late_event_is_applied_at_the_latest_time_and_flagged() -> None:
    story = Story(BUY).on("page_viewed", DAY).on("order_completed", HOUR, late=True)
    move = story.transitions[-1]

    assert (BEGIN + DAY, True, BEGIN + HOUR) == (move.occurred_at, move.late, move.cause.occurred_at)
    assert (1, 0) == (story.count("late"), story.count("disordered"))
    assert not story.transitions[0].late


def test_an_event_behind_the_customer_but_on_time_is_applied_the_same_way_without_the_flag() -> None:
    story = Story(BUY).on("page_viewed", DAY).on("order_completed", HOUR)

    assert (BEGIN + DAY, False) == (story.transitions[-1].occurred_at, story.transitions[-1].late)
    assert (0, 1) == (story.count("late"), story.count("disordered"))


def test_the_profile_travels_with_every_record() -> None:
    story = Story(BUY)
    story.on(
        "page_viewed",
        0,
        anonymous_id="cookie",
        customer_id="ann",
        account_id="acme",
        context={"locale": "fr-FR", "country": "FR", "timezone": "Europe/Paris", "test": True},
    )
    story.on("order_completed", HOUR)
    move = story.transitions[-1]

    assert ("ann", "cookie", "acme", "fr-FR", "FR", "Europe/Paris", True) == (
        move.customer_id, move.anonymous_id, move.account_id, move.locale, move.country, move.timezone, move.test
    )  # fmt: skip


def test_an_anonymous_person_is_known_by_the_anonymous_id() -> None:
    story = Story(BUY).on("order_completed", 0, anonymous_id="cookie")
    move = story.transitions[-1]

    assert ("anon:cookie", None, "cookie") == (move.person, move.customer_id, move.anonymous_id)


def test_consent_is_told_per_channel() -> None:
    story = Story(BUY).on("consent_changed", 0, channel="email", purpose="marketing", status="granted")
    story.on("consent_changed", 1, channel="sms", purpose="profiling", status="withdrawn")
    story.on("consent_changed", 1, channel="push", purpose="profiling", status="granted")
    story.on("unsubscribed", 2, channel="post").on("order_completed", 3)
    assert Contactable(email="yes", sms="no", push="unknown", call="unknown", post="no") == (
        story.transitions[-1].contactable
    )

    story.on("message_bounced", 4, channel="email").on("order_cancelled", 5)
    assert "no" == story.transitions[-1].contactable.email

    story.on("consent_changed", 6, status="granted").on("order_completed", 7)
    assert Contactable("yes", "yes", "yes", "yes", "yes") == story.transitions[-1].contactable


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0], False),
        ([0, HOUR], True),
        ([0, DAY], False),
        ([0, DAY, 2 * DAY, 3 * DAY], False),
        ([0, DAY, 2 * DAY, 3 * DAY, 4 * DAY], True),
        ([0, 4 * DAY, 5 * DAY, 6 * DAY, 7 * DAY], False),
    ],
)
def test_over_contacted_is_more_than_one_a_day_or_four_a_week(times: list[int], expected: bool) -> None:
    story = Story(BUY).on("page_viewed", 0)
    for at in times:
        story.on("message_sent", at, channel="email")
    story.on("order_completed", times[-1])

    assert expected is story.transitions[-1].over_contacted


def test_an_idle_anonymous_person_is_forgotten_everywhere() -> None:
    other = journey("", name="other")
    story = Story(BUY, other).on("page_viewed", 0, anonymous_id="x").on("order_completed", DAY)
    story.until(90 * DAY - 1)
    assert ["anon:x", "ann"] == story.partition.people()

    story.until(90 * DAY)
    assert ["ann"] == story.partition.people()
    assert [("anon:x", None)] == story.drained[-1].changes
    assert [("anon:x", "test", None), ("anon:x", "other", None)] == [
        (stage.person, stage.journey, stage.stage) for stage in story.stages[-2:]
    ]
    assert 1 == story.count("forgotten")


def test_who_comes_back_after_being_forgotten_is_new() -> None:
    story = Story(BUY, options=EngineOptions(forget_after_known=10 * DAY))
    story.on("order_completed", 0, event_id="a").on("order_completed", 10 * DAY + 1, event_id="a")

    assert ["start", "buy", "start", "buy"] == [move.rule for move in story.transitions]
    assert [1, 2, 1, 2] == [move.sequence for move in story.transitions]
    assert (1, 2) == (story.count("forgotten"), story.count("new"))
    assert "two" == story.stages[-1].stage


def test_what_a_company_does_keeps_nobody_from_being_forgotten() -> None:
    story = Story(BUY).on("page_viewed", 0, anonymous_id="x")
    for day in range(0, 100, 10):
        story.on("message_sent", day * DAY, anonymous_id="x")
    story.until(90 * DAY)

    assert [] == story.partition.people()


def test_the_stage_now_is_the_last_of_the_batch() -> None:
    partition = Partition(compiled(BUY))
    for number, kind in enumerate(("order_completed", "order_cancelled", "order_completed")):
        partition.apply(event(kind, number, str(number)), BEGIN)
    records = partition.drain().records

    assert ["Transition"] * 4 + ["StageNow"] == [type(record).__name__ for record in records]
    assert ("two", 4, BEGIN + 2) == (records[-1].stage, records[-1].sequence, records[-1].entered_at)  # type: ignore[union-attr]


def test_a_state_tells_its_due_without_being_decoded() -> None:
    story = Story(journey("transitions: [{id: t, from: one, to: two, after: 1d, since: page_viewed}]\n"))
    story.on("page_viewed", 0)
    blob = story.partition.encoded("ann")

    assert blob is not None
    assert (VERSION, BEGIN + DAY) == (blob[0], due_of(blob))


def test_unknown_formats_and_damaged_states_stop_the_partition() -> None:
    story = Story(BUY).on("page_viewed", 0)
    blob = story.partition.encoded("ann")
    assert blob is not None

    with pytest.raises(StateError, match="version 9"):
        Partition(story.program).load("ann", b"\x09" + blob[1:])
    with pytest.raises(StateError, match="3 bytes"):
        Partition(story.program).load("ann", blob[:3])
    with pytest.raises(StateError, match="damaged"):
        decode("ann", blob[: HEADER + 9])


CHANGED = """\
journey: test
version: 1
attributes:
  views: {count: page_viewed}
  n: {count: order_completed}
records: [n, views]
start: one
stages: {zero: {kind: prospect}, two: {kind: retention}, one: {kind: prospect}}
transitions:
  - {id: long, from: two, to: zero, after: 30d, since: order_completed}
  - {id: undo, from: two, to: one, event: order_cancelled}
"""


def test_states_outlive_a_change_of_the_definitions() -> None:
    old = Story(BUY).on("order_completed", 0)
    (key, layout), (person, blob) = old.drained[0].changes
    assert key.startswith(LAYOUT_KEY)
    new = Story(journey("", name="another"), CHANGED)
    new.partition.load(person, blob)
    new.partition.load(key, layout)
    new.on("order_completed", DAY, event_id="again").on("page_viewed", 2 * DAY, event_id="more")
    new.on("order_cancelled", 3 * DAY, event_id="undo")

    assert [("two", "one", 3 * DAY)] == new.moves
    assert ({"n": 2, "views": 1}, 3) == (new.transitions[-1].attributes, new.transitions[-1].sequence)
    assert ["another"] == [move.journey for move in new.transitions if move.from_ is None]


def test_timers_of_changed_definitions_come_due_for_those_who_stay_idle() -> None:
    changed = BUY + "  - {id: idle, from: two, to: one, after: 5d, since: stage, min_dwell: 10d}\n"
    again = changed.replace("min_dwell: 10d", "min_dwell: 6d")
    old = Story(changed).on("order_completed", 0)
    new = Story(again)
    for key, blob in old.drained[0].changes:
        new.partition.load(key, blob)
    new.until(6 * DAY)

    assert [("two", "one", 6 * DAY)] == new.moves


def test_a_stage_that_is_gone_with_people_in_it_stops_the_partition() -> None:
    old = Story(BUY).on("order_completed", 0)
    new = Story(journey("", stages="stages: {one: {kind: prospect}}\n"))
    for key, blob in old.drained[0].changes:
        new.partition.load(key, blob)

    with pytest.raises(VersionError, match="stage 'two'"):
        new.partition.customer("ann")


def test_states_of_an_unknown_layout_stop_the_partition() -> None:
    old = Story(BUY).on("order_completed", 0)
    new = Story(CHANGED)
    new.partition.load(*old.drained[0].changes[1])

    with pytest.raises(StateError, match="layout"):
        new.partition.customer("ann")


def test_the_layout_is_written_once() -> None:
    story = Story(BUY).on("page_viewed", 0).on("page_viewed", 1)
    restarted = Partition(story.program)
    for key, blob in story.drained[0].changes:
        restarted.load(key, blob)
    restarted.apply(event("page_viewed", 2, "z"), BEGIN)

    assert [2, 1] == [len(drained.changes) for drained in story.drained]
    assert ["ann"] == [key for key, _ in restarted.drain().changes]


def test_a_tombstone_takes_a_person_away() -> None:
    story = Story(journey("transitions: [{id: t, from: one, to: two, after: 1d, since: page_viewed}]\n"))
    story.on("page_viewed", 0)
    partition = Partition(story.program)
    for key, blob in story.drained[0].changes:
        partition.load(key, blob)
    partition.load("ann", None)

    assert ([], 0) == (partition.people(), partition.fire(BEGIN + 9 * DAY, 0))


def test_a_timer_the_engine_fails_on_twice_stops_the_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(journey("transitions: [{id: t, from: one, to: two, after: 1d, since: page_viewed}]\n"))
    story.on("page_viewed", 0)

    def broken(*_: object) -> None:
        message = "bug"
        raise ZeroDivisionError(message)

    monkeypatch.setattr("journey_stream.engine.partition.fire", broken)
    with pytest.raises(EngineError, match=r"test@1/transition/t.*of a customer.*ZeroDivisionError: bug"):
        story.partition.fire(BEGIN + 2 * DAY, 0)


@pytest.mark.parametrize("kind", ["page_viewed", "message_sent"])
def test_ids_that_begin_with_a_nul_are_refused_as_persons(kind: str) -> None:
    """Whoever acts: their keys in the changelog are taken, a restart would not read them as persons."""
    partition = Partition(compiled(BUY))
    partition.horizon = BEGIN - HOUR
    partition.apply(event(kind, 0, "e", who=LAYOUT_KEY + "x"), 0)
    drained = partition.drain()

    assert (1, []) == (len(drained.rejected), drained.changes)


def test_many_stale_entries_do_not_pile_up() -> None:
    story = Story(
        journey(
            "transitions: [{id: t, from: any, to: two, after: 1h, since: page_viewed, reenter: true}]\n"
            "signals: [{id: s, title: S, after: 60d, since: page_viewed, owner: x}]\n"
        )
    )
    for number in range(3_000):
        story.on("page_viewed", number * 2 * HOUR)

    assert len(story.partition._queue) < 1_100
    assert NEVER != story.partition.next_due
