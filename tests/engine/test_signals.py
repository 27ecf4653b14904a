"""Signals: raised after the moves of the same event, with payload, expiry, rate limit and cancellation."""

from __future__ import annotations

from engine.stories import BEGIN, Story, journey
from journey_stream.values import DAY, HOUR


def test_a_signal_sees_the_stage_after_the_event_and_speaks_for_it() -> None:
    story = Story(
        journey(
            "attributes: {n: {count: order_completed}}\nrecords: [n]\n"
            "transitions: [{id: buy, from: one, to: two, event: order_completed}]\n"
            "signals:\n"
            "  - {id: thanks, title: Thanks, in: two, event: order_completed, where: total > 5, when: n == 1, "
            "expires: 3d, reason: bought, payload: {total: event.total, n: n, list: '[1, n]', unknown: event.coupon}}\n"
        )
    )
    story.on("order_completed", 7, order_id="o1", total=10.0)
    (signal,) = story.signals

    assert ("thanks", "raised", "two", "retention", "sales", "bought", 3) == (
        signal.signal, signal.status, signal.stage, signal.kind, signal.owner, signal.reason, signal.sequence
    )  # fmt: skip
    assert {"total": 10.0, "n": 1, "list": [1, 1], "unknown": None} == signal.payload
    assert {"n": 1} == signal.attributes
    assert (BEGIN + 7, BEGIN + 7 + 3 * DAY) == (signal.occurred_at, signal.valid_until)


def test_signals_in_another_stage_are_silent() -> None:
    story = Story(journey("signals: [{id: s, title: S, in: two, event: page_viewed, owner: x}]\n"))
    story.on("page_viewed")

    assert [] == story.calls


def test_entering_a_stage_raises_by_event_and_by_timer_and_at_the_start() -> None:
    story = Story(
        journey(
            "transitions:\n"
            "  - {id: up, from: one, to: two, event: order_completed}\n"
            "  - {id: down, from: two, to: one, after: 1d}\n"
            "signals:\n"
            "  - {id: welcome, title: W, enter: [one, two], owner: x, payload: {times: 'entries(\"one\")'}}\n"
        )
    )
    story.on("page_viewed", 0).on("order_completed", 1).until(2 * DAY)

    assert [("welcome", "raised", 0), ("welcome", "raised", 1), ("welcome", "raised", DAY + 1)] == story.calls
    assert [1, 1, 2] == [signal.payload["times"] for signal in story.signals]
    assert ["one", "two", "one"] == [signal.stage for signal in story.signals]
    assert "timer" == story.signals[-1].cause.type


def test_all_signals_that_hold_are_raised_in_file_order() -> None:
    story = Story(
        journey(
            "transitions: [{id: up, from: one, to: two, event: order_completed}]\n"
            "signals:\n"
            "  - {id: c, title: C, event: order_completed, owner: x}\n"
            "  - {id: b, title: B, enter: two, owner: x}\n"
            "  - {id: a, title: A, event: order_completed, owner: x}\n"
        )
    )
    story.on("order_completed")

    assert ["c", "b", "a"] == [signal.rule for signal in story.signals]


def test_several_rules_may_raise_the_same_signal() -> None:
    story = Story(
        journey(
            "signals:\n"
            "  - {id: by-page, signal: assist, title: A, event: page_viewed, owner: x}\n"
            "  - {id: by-click, signal: assist, title: A, event: link_clicked, owner: x}\n"
        )
    )
    story.on("page_viewed", 0).on("link_clicked", 1)

    assert [("assist", "by-page"), ("assist", "by-click")] == [(s.signal, s.rule) for s in story.signals]


def test_the_rate_limit_holds_back_what_is_too_much() -> None:
    story = Story(
        journey("signals: [{id: s, title: S, event: page_viewed, owner: x, limit: {every: 1d, count: 2}}]\n")
    )
    for at in (0, HOUR, 2 * HOUR, DAY - 1, DAY, DAY + 2):
        story.on("page_viewed", at)

    assert [0, HOUR, DAY] == [at for _, _, at in story.calls]


def test_a_cancelling_event_takes_back_what_is_still_valid() -> None:
    story = Story(
        journey(
            "signals:\n"
            "  - {id: cart, title: C, after: 1h, since: product_added, by: cart_id, expires: 72h, "
            "cancel: order_completed, owner: x}\n"
        )
    )
    story.on("product_added", 0, cart_id="a").on("product_added", 0, cart_id="b").until(2 * HOUR)
    story.on("order_completed", 3 * HOUR, cart_id="b")

    assert [
        ("cart", "raised", HOUR),
        ("cart", "raised", HOUR),
        ("cart", "cancelled", 3 * HOUR),
    ] == story.calls
    first, second, cancelled = story.signals
    assert first.signal_id != second.signal_id == cancelled.signal_id
    assert (second.valid_until, 4) == (cancelled.valid_until, cancelled.sequence)
    assert "order_completed" == cancelled.cause.type

    story.on("order_completed", 73 * HOUR, cart_id="a")
    assert 3 == len(story.calls)


def test_without_an_id_in_the_cancelling_event_all_are_taken_back() -> None:
    story = Story(
        journey(
            "signals:\n"
            "  - {id: cart, title: C, event: product_added, by: cart_id, cancel: order_completed, owner: x}\n"
        )
    )
    story.on("product_added", 0, cart_id="a").on("product_added", 1, cart_id="b").on("order_completed", 2)

    assert [0, 1, 2, 2] == [at for _, _, at in story.calls]
    assert {s.signal_id for s in story.signals[:2]} == {s.signal_id for s in story.signals[2:]}


def test_a_signal_can_be_cancelled_once_only() -> None:
    story = Story(
        journey("signals: [{id: s, title: S, event: page_viewed, cancel: order_completed, owner: x}]\n")
    )
    story.on("page_viewed", 0).on("order_completed", 1).on("order_completed", 2)

    assert [("s", "raised", 0), ("s", "cancelled", 1)] == story.calls


def test_cancellations_come_before_what_the_same_event_raises() -> None:
    story = Story(
        journey("signals: [{id: s, title: S, event: page_viewed, cancel: page_viewed, owner: x}]\n")
    )
    story.on("page_viewed", 0).on("page_viewed", 1)

    assert [("s", "raised", 0), ("s", "cancelled", 1), ("s", "raised", 1)] == story.calls
