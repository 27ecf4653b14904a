"""Every form of attribute, over all time, a window, the stage, the session; with where, less, by, gap, limit."""

from __future__ import annotations

from typing import Any

import pytest

from engine.stories import BEGIN, Story, journey, recorded
from journey_stream.values import DAY, HOUR, MINUTE, SECOND

Events = list[tuple[str, int, dict[str, Any]]]

ORDERS: Events = [
    ("order_completed", 0, {"order_id": "o1", "total": 10.0}),
    ("order_completed", DAY, {"order_id": "o2", "total": 30.0}),
    ("order_completed", 3 * DAY, {"order_id": "o3", "total": 20.0}),
]


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("{count: order_completed}", 3),
        ("{count: activity}", 3),
        ("{count: [order_completed, quote_signed]}", 3),
        ("{sum: order_completed.total}", 60.0),
        ("{min: order_completed.total}", 10.0),
        ("{max: order_completed.total}", 30.0),
        ("{mean: order_completed.total}", 20.0),
        ("{first: order_completed.total}", 10.0),
        ("{last: order_completed.total}", 20.0),
        ("{last: order_completed.occurred_at}", (BEGIN + 3 * DAY) / SECOND),
        ("{first: activity.type}", "order_completed"),
        ("{distinct: order_completed.order_id}", ["o1", "o2", "o3"]),
        ("{count: order_completed, where: total > 15}", 2),
        ("{sum: order_completed.total, where: total > 15}", 50.0),
        ("{count: order_completed, over: 2d}", 1),
        ("{count: order_completed, over: 2d1s}", 2),
        ("{sum: order_completed.total, over: 2d1s}", 50.0),
        ("{min: order_completed.total, over: 2d1s}", 20.0),
        ("{max: order_completed.total, over: 2d1s}", 30.0),
        ("{mean: order_completed.total, over: 2d1s}", 25.0),
        ("{first: order_completed.total, over: 2d1s}", 30.0),
        ("{last: order_completed.total, over: 2d1s}", 20.0),
        ("{distinct: order_completed.order_id, over: 2d1s}", ["o2", "o3"]),
        (
            "{map: {key: order_completed.order_id, value: last, of: total}}",
            {"o1": 10.0, "o2": 30.0, "o3": 20.0},
        ),
        ("{rhythm: order_completed, gaps: 2}", 1.5 * DAY / SECOND),
        ("{rhythm: order_completed}", None),
    ],
)
def test_each_form_says_what_it_promises(attribute: str, expected: object) -> None:
    assert expected == recorded(f"  x: {attribute}", ORDERS)


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("{count: order_completed}", 0),
        ("{count: order_completed, by: order_id}", 0),
        ("{sum: order_completed.total}", 0.0),
        ("{sum: order_completed.total, by: order_id}", 0.0),
        ("{count: order_completed, over: 1d}", 0),
        ("{sum: order_completed.total, over: 1d}", 0.0),
        ("{max: order_completed.total}", None),
        ("{max: order_completed.total, over: 1d}", None),
        ("{mean: order_completed.total}", None),
        ("{last: order_completed.total}", None),
        ("{distinct: order_completed.coupon}", []),
        ("{map: {key: order_completed.coupon, value: count}}", {}),
        ("{open: {opened: ticket_created, closed: ticket_solved, by: ticket_id}}", 0),
        ("{elapsed: {from: ticket_created, to: ticket_solved}}", None),
    ],
)
def test_before_anything_came_counts_are_zero_and_the_rest_is_unknown(
    attribute: str, expected: object
) -> None:
    assert expected == recorded(f"  x: {attribute}", [("page_viewed", 0, {})])


def test_an_id_counts_once_and_can_be_taken_back_once() -> None:
    events: Events = [
        ("order_completed", 0, {"order_id": "o1", "total": 10.0}),
        ("order_completed", 1, {"order_id": "o1", "total": 10.0}),
        ("order_completed", 2, {"order_id": "o2", "total": 5.0}),
        ("order_completed", 3, {"total": 1.0}),
        ("order_cancelled", 4, {"order_id": "o1"}),
        ("order_refunded", 5, {"order_id": "o1"}),
        ("order_refunded", 6, {"order_id": "unheard of"}),
    ]
    less = "less: [order_cancelled, order_refunded], by: order_id"

    assert 2 == recorded(f"  x: {{count: order_completed, {less}}}", events)
    assert 6.0 == recorded(f"  x: {{sum: order_completed.total, {less}}}", events)
    assert 2 == recorded(f"  x: {{count: order_completed, over: 1d, {less}}}", events)
    assert 6.0 == recorded(f"  x: {{sum: order_completed.total, over: 1d, {less}}}", events)


def test_without_ids_less_takes_one_back_and_never_goes_below_zero() -> None:
    events: Events = [("order_completed", 0, {}), ("order_cancelled", 1, {}), ("order_cancelled", 2, {})]

    assert 0 == recorded("  x: {count: order_completed, less: order_cancelled}", events)
    assert 1 == recorded(
        "  x: {count: order_completed, less: order_cancelled}", [*events, ("order_completed", 3, {})]
    )


LINES: Events = [
    (
        "order_completed",
        0,
        {
            "order_id": "o1",
            "products": [
                {"category": "tea", "price": 4.0},
                {"category": "cups", "price": 9.0},
                {"category": "tea", "price": 2.0},
                {"price": 1.0},
            ],
        },
    )
]


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ('{distinct: "order_completed.products[].category"}', ["tea", "cups"]),
        ('{sum: "order_completed.products[].price"}', 16.0),
        ('{sum: "order_completed.products[].price", by: order_id}', 16.0),
        ('{max: "order_completed.products[].price"}', 9.0),
        ('{mean: "order_completed.products[].price"}', 4.0),
        ('{first: "order_completed.products[].category"}', "tea"),
        ('{last: "order_completed.products[].category"}', "tea"),
        ('{map: {key: "order_completed.products[].category", value: count}}', {"tea": 2, "cups": 1}),
        (
            '{map: {key: "order_completed.products[].category", value: sum, of: "products[].price"}}',
            {"tea": 6.0, "cups": 9.0},
        ),
        (
            '{map: {key: "order_completed.products[].category", value: last, of: "products[].price"}}',
            {"tea": 2.0, "cups": 9.0},
        ),
        (
            '{map: {key: "order_completed.products[].category", value: last, of: order_id}, over: 1d}',
            {"tea": "o1", "cups": "o1"},
        ),
    ],
)
def test_paths_reach_into_the_lines_of_an_order(attribute: str, expected: object) -> None:
    assert expected == recorded(f"  x: {attribute}", LINES)


def test_open_counts_what_is_not_closed_and_knows_the_oldest() -> None:
    text = journey(
        "attributes:\n"
        "  x: {open: {opened: ticket_created, closed: ticket_solved, reopened: ticket_reopened, by: ticket_id}, "
        'where: kind == "complaint"}\n'
        "  age: {value: oldest(x)}\n"
        "records: [x, age]\n"
        "transitions: [{id: go, from: any, to: two, event: page_viewed, reenter: true}]\n"
    )
    story = Story(text)
    story.on("ticket_created", 0, ticket_id="t1", kind="complaint")
    story.on("ticket_created", HOUR, ticket_id="t2", kind="complaint")
    story.on("ticket_created", HOUR, ticket_id="t3", kind="question")
    story.on("page_viewed", 2 * HOUR)
    story.on("ticket_solved", 3 * HOUR, ticket_id="t1")
    story.on("ticket_solved", 3 * HOUR, ticket_id="t2")
    story.on("page_viewed", 4 * HOUR)
    story.on("ticket_reopened", 5 * HOUR, ticket_id="t2")
    story.on("ticket_reopened", 5 * HOUR, ticket_id="t3")
    story.on("page_viewed", 7 * HOUR)

    assert [
        {"x": 2, "age": 7200.0},
        {"x": 0, "age": None},
        {"x": 1, "age": 7200.0},
    ] == [move.attributes for move in story.transitions[1:]]


def test_elapsed_measures_from_the_first_to_the_next_per_id() -> None:
    events: Events = [
        ("ticket_created", 0, {"ticket_id": "a"}),
        ("ticket_created", HOUR, {"ticket_id": "a"}),
        ("ticket_created", HOUR, {"ticket_id": "b"}),
        ("ticket_solved", 2 * HOUR, {"ticket_id": "b"}),
    ]
    later: Events = [
        *events,
        ("ticket_solved", 5 * HOUR, {"ticket_id": "a"}),
        ("ticket_solved", 6 * HOUR, {"ticket_id": "a"}),
    ]
    attribute = "  x: {elapsed: {from: ticket_created, to: ticket_solved, by: ticket_id}}"

    assert 3600.0 == recorded(attribute, events)
    assert 5 * 3600.0 == recorded(attribute, later)
    assert 2 * 3600.0 == recorded("  x: {elapsed: {from: ticket_created, to: ticket_solved}}", later)


def test_rhythm_counts_an_id_once() -> None:
    twice: Events = [*ORDERS, ("order_completed", 4 * DAY, {"order_id": "o3", "total": 1.0})]

    assert 1.5 * DAY / SECOND == recorded("  x: {rhythm: order_completed, gaps: 2, by: order_id}", twice)


def test_a_burst_with_short_gaps_counts_once() -> None:
    visits: Events = [
        ("page_viewed", at, {}) for at in (0, 10 * MINUTE, 35 * MINUTE, 2 * HOUR, 2 * HOUR + SECOND)
    ]

    assert 2 == recorded("  x: {count: activity, gap: 30m}", visits)
    assert 1 == recorded("  x: {count: activity, gap: 30m, over: 1h}", visits)


def test_session_attributes_start_anew_after_a_silence() -> None:
    views: Events = [("product_viewed", at, {}) for at in (0, MINUTE, 2 * HOUR)]
    attribute = "  x: {count: product_viewed, over: session}"

    assert 2 == recorded(attribute, views[:2])
    assert 1 == recorded(attribute, views)
    assert 1 == recorded(attribute, views, until=2 * HOUR + 30 * MINUTE)
    assert 0 == recorded(attribute, views, until=2 * HOUR + 31 * MINUTE)


def test_stage_attributes_count_what_comes_after_the_entry() -> None:
    text = journey(
        "attributes: {x: {count: page_viewed, over: stage}}\n"
        "records: [x]\n"
        "transitions:\n"
        "  - {id: go, from: one, to: two, event: page_viewed, when: x >= 2}\n"
        "  - {id: back, from: two, to: one, event: page_viewed, when: x >= 1}\n"
    )
    story = Story(text)
    for at in range(5):
        story.on("page_viewed", at)

    assert [("one", "two", 1), ("two", "one", 2), ("one", "two", 4)] == story.moves
    assert [1, 2, 1, 2] == [move.attributes["x"] for move in story.transitions]


def test_a_sliding_window_is_as_long_as_it_says_at_any_time() -> None:
    attribute = "  x: {count: order_completed, over: 1d}"

    assert 1 == recorded(attribute, ORDERS, until=4 * DAY - 1)
    assert 0 == recorded(attribute, ORDERS, until=4 * DAY)


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("{count: order_completed, by: order_id, limit: 2}", 3),
        ("{sum: order_completed.total, by: order_id, limit: 2}", 60.0),
        ("{distinct: order_completed.order_id, limit: 2}", ["o2", "o3"]),
        ("{count: order_completed, over: 30d, limit: 2}", 3),
        ("{sum: order_completed.total, over: 30d, limit: 2}", 60.0),
        ("{max: order_completed.total, over: 30d, limit: 2}", 30.0),
        ("{map: {key: order_completed.order_id, value: count}, limit: 2}", {"o2": 1, "o3": 1}),
    ],
)
def test_beyond_the_limit_the_oldest_merge_and_records_say_so(attribute: str, expected: object) -> None:
    text = journey(
        f"attributes: {{x: {attribute}}}\nrecords: [x]\n"
        "transitions: [{id: go, from: one, to: two, event: page_viewed}]\n"
    )
    story = Story(text)
    for kind, at, properties in ORDERS:
        story.on(kind, at, **properties)
    story.on("page_viewed", 3 * DAY)

    first, last = story.transitions
    assert ((), {"x": expected}, ("x",)) == (first.approximate, last.attributes, last.approximate)


def test_a_window_is_exact_again_when_the_merged_have_slid_out() -> None:
    text = journey(
        "attributes: {x: {count: order_completed, over: 30d, limit: 2}}\nrecords: [x]\n"
        "transitions: [{id: go, from: one, to: two, event: page_viewed}]\n"
    )
    story = Story(text)
    for kind, at, properties in ORDERS:
        story.on(kind, at, **properties)
    story.on("page_viewed", 31 * DAY)

    assert ({"x": 1}, ()) == (story.transitions[-1].attributes, story.transitions[-1].approximate)


def test_equal_attributes_of_two_journeys_are_kept_once() -> None:
    first = journey("attributes: {x: {count: order_completed}}\n", name="first")
    second = journey("attributes: {y: {count: order_completed}, z: {count: page_viewed}}\n", name="second")

    assert 2 == len(Story(first, second).program.empties)


def test_values_are_derived_from_others_whatever_their_order() -> None:
    attributes = (
        "  x: {value: half * 2 + 1}\n  half: {value: total / 2}\n  total: {sum: order_completed.total}"
    )

    assert 61.0 == recorded(attributes, ORDERS)


def test_long_ids_take_no_more_room_than_a_hash() -> None:
    story = Story(journey("attributes: {x: {count: order_completed, by: order_id}}\n"))
    story.on("order_completed", 0, order_id="o" * 100_000)
    story.on("order_completed", 1, order_id="o" * 100_000)
    blob = story.partition.encoded("ann")

    assert blob is not None
    assert len(blob) < 200
