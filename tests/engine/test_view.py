"""A customer told in names: stages, values, deadlines, signals that can be taken back. Looking changes nothing."""

from __future__ import annotations

from hypothesis import given

from engine.histories import PROGRAM, histories
from engine.stories import BEGIN, Story, journey
from journey_stream.engine.partition import Partition
from journey_stream.engine.view import CustomerView, SignalView, TimerView, view
from journey_stream.values import DAY, HOUR, NEVER, Event, StageNow, Transition

SHOP = journey(
    "attributes:\n"
    "  orders: {count: order_completed}\n"
    "  paid: {sum: order_completed.total}\n"
    "  recent: {count: page_viewed, over: 1d}\n"
    "  hidden: {value: 'orders * 10'}\n"
    "  score: {last: survey_responded.score_norm}\n"
    "records: [orders]\n"
    "transitions:\n"
    "  - {id: bought, from: one, to: two, event: order_completed}\n"
    "  - {id: silent, from: two, to: one, after: 30d, since: order_completed, min_dwell: 40d}\n"
    "  - {id: bored, from: one, to: two, after: 2d, since: page_viewed}\n"
    "signals:\n"
    "  - {id: abandoned, title: A, in: two, event: product_added, after: 1h, unless: order_completed, by: product_id, owner: x}\n"
    "  - {id: call, title: C, event: cart_viewed, by: cart_id, cancel: order_completed, expires: 2d, owner: x}\n"
)


def seen(story: Story, at: int) -> CustomerView:
    customer = story.partition.customer("ann")
    assert customer is not None
    return view(story.program, customer, BEGIN + at)


def test_where_a_customer_is_since_when_and_with_which_values() -> None:
    story = Story(SHOP).on("page_viewed", 0).on("order_completed", HOUR, order_id="o", total=20.0)
    story.on("page_viewed", 2 * HOUR, context={"country": "FR"}, account_id="acme")
    (place,) = seen(story, 3 * HOUR).journeys

    assert ("test", 1, "two", "retention", "sales") == (
        place.journey,
        place.version,
        place.stage,
        place.kind,
        place.owner,
    )
    assert (BEGIN + HOUR, 2, {"one": 1, "two": 1}, 0) == (
        place.since,
        place.sequence,
        place.entries,
        place.loops,
    )
    assert {"orders": 1, "paid": 20.0, "recent": 2, "hidden": 10, "score": None} == place.attributes
    assert ("ann", "ann", "acme", "FR") == (
        (found := seen(story, 3 * HOUR)).person,
        found.customer_id,
        found.account_id,
        found.country,
    )


def test_what_moves_with_time_is_told_as_of_the_time_asked_for() -> None:
    story = Story(SHOP).on("page_viewed", 0)
    assert [1, 0] == [seen(story, at).journeys[0].attributes["recent"] for at in (HOUR, 2 * DAY)]


def test_deadlines_come_with_their_rule_their_id_and_when_they_count() -> None:
    story = Story(SHOP).on("page_viewed", 0).on("order_completed", HOUR, order_id="o")
    story.on("product_added", 2 * HOUR, product_id="p2").on("product_added", 3 * HOUR, product_id="p1")

    assert (
        TimerView("test", "abandoned", True, "p2", BEGIN + 3 * HOUR, True),
        TimerView("test", "abandoned", True, "p1", BEGIN + 4 * HOUR, True),
        TimerView("test", "silent", False, None, BEGIN + HOUR + 40 * DAY, True),
        TimerView("test", "bored", False, None, BEGIN + 2 * DAY, False),
    ) == seen(story, 3 * HOUR).timers


def test_signals_are_told_as_long_as_they_can_be_taken_back() -> None:
    story = Story(SHOP).on("cart_viewed", 0, cart_id="c1")
    raised = story.signals[0].signal_id
    assert (SignalView("test", "call", raised, "c1", BEGIN + 2 * DAY),) == seen(story, DAY).signals
    assert () == seen(story, 2 * DAY).signals


@given(histories())
def test_a_view_agrees_with_what_was_published_and_changes_nothing(history: list[Event]) -> None:
    partition = Partition(PROGRAM)
    last: dict[tuple[str, str], Transition] = {}
    gone: set[str] = set()
    for event in history:
        partition.apply(event, event.at)
        for record in partition.drain().records:
            if isinstance(record, Transition):
                last[record.person, record.journey] = record
                gone.discard(record.person)
            elif isinstance(record, StageNow) and record.stage is None:
                gone.add(record.person)
    for person in partition.people():
        before = partition.encoded(person)
        customer = partition.customer(person)
        assert customer is not None
        found = view(PROGRAM, customer, customer.latest)
        assert before == partition.encoded(person)
        for place in found.journeys:
            record = last.get((person, place.journey))
            if record is not None and person not in gone:
                assert (record.to, record.entry_number) == (place.stage, place.entries[record.to])
                assert set(record.attributes) <= set(place.attributes)
        due = min((timer.due for timer in found.timers if timer.counts), default=NEVER)
        forgotten = NEVER if found.forgotten_at is None else found.forgotten_at
        alone = Partition(PROGRAM)
        alone.load(person, before)
        assert 0 == alone.fire(min(due, forgotten) - 1, 0)
        assert (due < NEVER or forgotten < NEVER) == bool(alone.fire(min(due, forgotten), 0, 1))
