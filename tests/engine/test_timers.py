"""Absence: armed, re-armed, disarmed, by id, in and out of its stages; fired at its time, in order, bounded."""

from __future__ import annotations

import pytest

from engine.stories import BEGIN, Story, journey
from journey_stream.values import DAY, HOUR, MINUTE, NEVER, SECOND

SILENCE = journey(
    "transitions:\n"
    "  - {id: silent, from: one, to: two, after: 1d, since: page_viewed, unless: order_completed}\n"
    "  - {id: back, from: two, to: one, event: page_viewed}\n"
)


def test_a_timer_fires_at_its_time_and_not_before() -> None:
    story = Story(SILENCE).on("page_viewed", 5)
    story.until(DAY + 4)
    assert [] == story.moves

    story.until(DAY + 5)
    move = story.transitions[-1]
    assert [("one", "two", DAY + 5)] == story.moves
    assert ("timer", None, "timer", BEGIN + DAY + 5) == (
        move.trigger,
        move.cause.event_id,
        move.cause.type,
        move.cause.occurred_at,
    )


def test_the_trigger_re_arms_and_unless_disarms() -> None:
    story = Story(SILENCE).on("page_viewed", 0).on("page_viewed", HOUR).until(DAY)
    assert [] == story.moves

    story.on("order_completed", DAY + 1).until(30 * DAY)
    assert [] == story.moves
    assert NEVER == story.partition.next_due


def test_a_due_timer_fires_before_a_later_event_of_the_same_customer() -> None:
    story = Story(SILENCE).on("page_viewed", 0).on("page_viewed", 300 * DAY)

    assert [("one", "two", DAY), ("two", "one", 300 * DAY)] == story.moves


def test_an_event_at_exactly_the_due_time_comes_before_the_timer() -> None:
    story = Story(SILENCE).on("page_viewed", 0).on("order_completed", DAY).until(2 * DAY)

    assert [] == story.moves


def test_armed_timers_wait_outside_their_stages_and_fire_on_entry() -> None:
    story = Story(
        journey(
            "transitions:\n"
            "  - {id: in, from: one, to: two, event: order_completed}\n"
            "  - {id: late, from: two, to: three, after: 1d, since: page_viewed}\n",
            stages="stages: {one: {kind: prospect}, two: {kind: retention}, three: {kind: at_risk}}\n",
        )
    )
    story.on("page_viewed", 0).until(5 * DAY)
    assert [] == story.moves

    story.on("order_completed", 6 * DAY).until(6 * DAY)
    assert [("one", "two", 6 * DAY), ("two", "three", 6 * DAY)] == story.moves
    assert BEGIN + DAY == story.transitions[-1].cause.occurred_at
    assert 0.0 == story.transitions[-1].dwell_s


def test_min_dwell_puts_a_timer_off() -> None:
    story = Story(
        journey(
            "transitions:\n"
            "  - {id: in, from: one, to: two, event: order_completed}\n"
            "  - {id: late, from: two, to: one, after: 1d, since: page_viewed, min_dwell: 2d}\n"
        )
    )
    story.on("page_viewed", 0).on("order_completed", 3 * DAY).until(5 * DAY - 1)
    assert [("one", "two", 3 * DAY)] == story.moves

    story.until(5 * DAY)
    assert [("one", "two", 3 * DAY), ("two", "one", 5 * DAY)] == story.moves


def test_since_stage_counts_from_the_entry_each_time() -> None:
    story = Story(
        journey(
            "transitions:\n"
            "  - {id: on, from: one, to: two, after: 1d}\n"
            "  - {id: off, from: two, to: one, event: page_viewed}\n"
        )
    )
    story.on("page_viewed", 0).until(10 * DAY).on("page_viewed", 20 * DAY).until(30 * DAY)

    assert [("one", "two", DAY), ("two", "one", 20 * DAY), ("one", "two", 21 * DAY)] == story.moves


def test_a_timer_whose_guard_does_not_hold_is_spent_until_it_is_armed_again() -> None:
    story = Story(
        journey(
            "attributes: {n: {count: page_viewed}}\n"
            "transitions: [{id: silent, from: one, to: two, after: 1d, since: page_viewed, when: n >= 2}]\n"
        )
    )
    story.on("page_viewed", 0).until(5 * DAY)
    assert [] == story.moves

    story.on("page_viewed", 6 * DAY).until(10 * DAY)
    assert [("one", "two", 7 * DAY)] == story.moves


def test_after_may_be_an_expression_read_when_the_event_came() -> None:
    story = Story(
        journey(
            "parameters: {silence: 10d}\n"
            "attributes: {beat: {rhythm: order_completed}}\n"
            "transitions:\n"
            '  - {id: silent, from: one, to: two, after: "max(silence, 4 * beat)", since: order_completed}\n'
        )
    )
    for day in (0, 10, 20, 30):
        story.on("order_completed", day * DAY, order_id=str(day))
    story.until(30 * DAY + 40 * DAY - 1)
    assert [] == story.moves

    story.until(70 * DAY)
    assert [("one", "two", 70 * DAY)] == story.moves


def test_after_may_ask_for_the_value_before_the_event() -> None:
    story = Story(
        journey(
            "attributes: {n: {count: page_viewed}}\n"
            "transitions:\n"
            '  - {id: there, from: one, to: two, after: "3600.0 * (1 + before.n)", since: page_viewed}\n'
            '  - {id: back, from: two, to: one, after: "3600.0 * before.n", since: stage}\n'
        )
    )
    story.on("page_viewed", 0).on("page_viewed", MINUTE).until(DAY)

    assert [("one", "two", 2 * HOUR + MINUTE), ("two", "one", 4 * HOUR + MINUTE)] == story.moves


def test_an_unknown_after_arms_nothing() -> None:
    story = Story(
        journey(
            "attributes: {beat: {rhythm: order_completed}}\n"
            "transitions: [{id: silent, from: one, to: two, after: 4 * beat, since: order_completed}]\n"
        )
    )
    story.on("order_completed", 0).until(1000 * DAY)

    assert [] == story.moves


def test_where_chooses_what_arms_and_unless_where_what_disarms() -> None:
    story = Story(
        journey(
            "transitions:\n"
            "  - {id: waited, from: one, to: two, after: 4h, since: ticket_created, where: 'kind == \"question\"', "
            "unless: ticket_replied, unless_where: 'author == \"agent\"'}\n"
            "  - {id: back, from: two, to: one, event: page_viewed}\n"
        )
    )
    story.on("ticket_created", 0, kind="problem").until(DAY)
    assert [] == story.moves

    story.on("ticket_created", DAY, kind="question").on("ticket_replied", DAY + 1, author="bot").until(
        2 * DAY
    )
    assert [("one", "two", DAY + 4 * HOUR)] == story.moves

    story.on("page_viewed", 2 * DAY).on("ticket_created", 2 * DAY, kind="question")
    story.on("ticket_replied", 2 * DAY + 1, author="agent").until(3 * DAY)
    assert 2 == len(story.moves)


def test_by_keeps_one_timer_per_id_and_expressions_know_the_id() -> None:
    story = Story(
        journey(
            "attributes: {value: {map: {key: product_added.cart_id, value: sum, of: price}}}\n"
            "signals:\n"
            "  - {id: left, title: Left, after: 1h, since: product_added, unless: [order_completed, product_removed], "
            "by: cart_id, owner: marketing, payload: {cart: id, value: 'value[id]'}}\n"
        )
    )
    story.on("product_added", 0, cart_id="a", price=5.0).on("product_added", MINUTE, cart_id="b", price=7.0)
    story.on("product_added", 2 * MINUTE, cart_id="a", price=1.0)
    story.on("product_removed", 3 * MINUTE, cart_id="b").on(
        "product_added", 4 * MINUTE, cart_id="c", price=2.0
    )
    story.until(DAY)

    assert [("left", "raised", HOUR + 2 * MINUTE), ("left", "raised", HOUR + 4 * MINUTE)] == story.calls
    assert [{"cart": "a", "value": 6.0}, {"cart": "c", "value": 2.0}] == [s.payload for s in story.signals]

    story.on("product_added", 2 * DAY, cart_id="d").on("product_added", 2 * DAY, cart_id="e")
    story.on("order_completed", 2 * DAY + 1).until(3 * DAY)
    assert 2 == len(story.calls)


def test_timers_by_id_are_bounded_and_the_oldest_goes() -> None:
    story = Story(
        journey(
            "signals:\n"
            "  - {id: left, title: Left, after: 1h, since: product_added, by: cart_id, owner: m, payload: {cart: id}, "
            "timers: 2}\n"
        ).replace(", timers: 2", "")
    )
    for number in range(103):
        story.on("product_added", number, cart_id=f"c{number}")
    story.until(DAY)

    assert [f"c{number}" for number in range(3, 103)] == [signal.payload["cart"] for signal in story.signals]


def test_timers_of_one_customer_fire_in_the_order_of_due_journey_and_rule() -> None:
    first = journey(
        "transitions:\n"
        "  - {id: b, from: one, to: two, after: 1d, since: page_viewed}\n"
        "signals:\n"
        "  - {id: z, title: Z, in: two, after: 1d, since: page_viewed, owner: x}\n",
        name="first",
    )
    second = journey(
        "signals:\n"
        "  - {id: a, title: A, after: 1d, since: page_viewed, owner: x}\n"
        "  - {id: soon, title: S, after: 1h, since: page_viewed, owner: x}\n",
        name="second",
    )
    story = Story(first, second).on("page_viewed", 0).on("link_clicked", 3 * DAY)

    assert ["start", "b"] == [m.rule for m in story.transitions if m.journey == "first"]
    fired = sorted(
        [*story.transitions[2:], *story.signals], key=lambda record: (record.occurred_at, record.decided_at)
    )
    assert {"b", "z", "a", "soon"} == {record.rule for record in fired}
    assert [("soon", HOUR), ("b", DAY), ("z", DAY), ("a", DAY)] == [
        (record.rule, record.occurred_at - BEGIN)
        for record in story.drained[-1].records
        if hasattr(record, "rule")
    ]


def test_timers_of_many_customers_fire_in_due_order_and_in_portions() -> None:
    story = Story(SILENCE)
    for number in (3, 1, 2, 0):
        story.on("page_viewed", number * SECOND, who=f"c{number}")
    fired = story.partition.fire(BEGIN + 2 * DAY, BEGIN, limit=3)
    drained = story.partition.drain()

    assert 3 == fired
    assert ["c0", "c1", "c2"] == [record.person for record in drained.records[:3]]
    assert story.partition.next_due <= BEGIN + 2 * DAY

    assert 1 == story.partition.fire(BEGIN + 2 * DAY, BEGIN, limit=3)
    assert story.partition.next_due > BEGIN + 2 * DAY


def test_what_was_pushed_back_costs_one_look_and_changes_nothing_at_rest() -> None:
    story = Story(SILENCE).on("page_viewed", 0).on("page_viewed", HOUR)
    before = story.partition.encoded("ann")
    assert 0 == story.partition.fire(BEGIN + DAY, BEGIN)

    assert before == story.partition.encoded("ann")
    assert [] == story.partition.drain().changes
    assert BEGIN + DAY + HOUR == story.partition.next_due


@pytest.mark.parametrize("restarts", [False, True])
def test_timers_survive_a_restart(restarts: bool) -> None:
    story = Story(SILENCE).on("page_viewed", 0)
    if restarts:
        changes = story.drained[-1].changes
        story = Story(program=story.program)
        for key, blob in changes:
            story.partition.load(key, blob)
    story.until(2 * DAY)

    assert [("one", "two", DAY)] == story.moves


def test_a_timer_armed_between_a_passed_hint_and_an_entry_put_back_fires_in_time() -> None:
    story = Story(
        journey(
            "transitions: [{id: silent, from: one, to: two, after: 1d, since: page_viewed}]\n"
            "signals: [{id: soon, title: S, after: 10m, since: product_added, owner: x}]\n"
        )
    )
    story.on("page_viewed", 0).on("page_viewed", HOUR).until(DAY)
    # Behind the clock, and so not after the hint: the heap's entry was put back to where the silence is due.
    story.on("product_added", DAY).until(DAY + 10 * MINUTE)

    assert [("soon", "raised", DAY + 10 * MINUTE)] == story.calls
