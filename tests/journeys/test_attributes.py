"""Every form of attribute is accepted and modelled; equal ones share a key, in whatever journey."""

from __future__ import annotations

import pytest

from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import load
from journey_stream.journeys.attribute_types import attribute_type, id_type, property_types
from journey_stream.journeys.guards import parse
from journey_stream.journeys.model import Source
from journey_stream.values import DAY, MINUTE
from journeys.definitions import HEAD, accepted, with_attributes


def test_a_count_takes_types_and_what_takes_back_by_id() -> None:
    orders = with_attributes(
        "orders: {count: order_completed, less: [order_cancelled, order_refunded], by: order_id}"
    ).attributes["orders"]

    assert "count" == orders.form
    assert (Source("order_completed"),) == orders.sources
    assert ("order_cancelled", "order_refunded") == orders.less
    assert "order_id" == orders.by


def test_a_count_can_join_bursts_and_look_at_any_activity() -> None:
    visits = with_attributes("visits: {count: activity, gap: 30m}").attributes["visits"]

    assert ((Source("activity"),), 30 * MINUTE) == (visits.sources, visits.gap)


def test_names_of_events_are_taken_in_both_spellings() -> None:
    orders = with_attributes("orders: {count: [Order Completed, order_updated]}").attributes["orders"]

    assert (Source("order_completed"), Source("order_updated")) == orders.sources


@pytest.mark.parametrize("form", ["sum", "min", "max", "mean", "first", "last", "distinct"])
def test_a_value_is_read_from_paths_into_arrays_too(form: str) -> None:
    prices = with_attributes(f"prices: {{{form}: 'order_completed.products[].price'}}").attributes["prices"]

    assert (form, (Source("order_completed", "products[].price"),)) == (prices.form, prices.sources)


def test_several_types_feed_one_value() -> None:
    opinion = with_attributes(
        "opinion: {last: [survey_responded.sentiment, product_reviewed.sentiment]}"
    ).attributes["opinion"]

    assert 2 == len(opinion.sources)


def test_what_all_events_have_is_there_for_activity() -> None:
    journey = with_attributes("""
        last_act: {last: activity.occurred_at}
        channel:  {first: activity.context.channel}
        """)

    assert [Source("activity", "occurred_at"), Source("activity", "context.channel")] == [
        attribute.sources[0] for attribute in journey.attributes.values()
    ]


@pytest.mark.parametrize(
    ("written", "over"), [("90d", 90 * DAY), ("stage", "stage"), ("session", "session"), ("window", 7 * DAY)]
)
def test_a_window_slides_or_begins_with_the_stage_or_the_session(written: str, over: object) -> None:
    journey = accepted(
        HEAD + f"parameters: {{window: 7d}}\nattributes:\n  x: {{count: page_viewed, over: {written}}}\n"
    )

    assert over == journey.attributes["x"].over


def test_a_map_keeps_a_value_of_the_same_line_of_the_order() -> None:
    spent = with_attributes(
        "spent: {map: {key: 'order_completed.products[].category', value: sum, of: price}, limit: 20}"
    ).attributes["spent"]

    assert ("sum", "products[].price", 20) == (spent.keeps, spent.of, spent.limit)


def test_a_map_keeps_a_value_of_the_whole_event_too() -> None:
    journey = with_attributes("""
        when_bought: {map: {key: 'order_completed.products[].category', value: last, of: occurred_at}}
        seen:        {map: {key: product_viewed.category, value: count}}
        """)

    assert ("last", "occurred_at") == (
        journey.attributes["when_bought"].keeps,
        journey.attributes["when_bought"].of,
    )
    assert ("count", None) == (journey.attributes["seen"].keeps, journey.attributes["seen"].of)


def test_open_things_are_closed_and_reopened_by_id() -> None:
    complaints = with_attributes(
        "complaints: {open: {opened: ticket_created, closed: ticket_solved, reopened: ticket_reopened, "
        'by: ticket_id}, where: kind == "complaint"}'
    ).attributes["complaints"]

    assert (Source("ticket_created"),) == complaints.sources
    assert (("ticket_solved",), ("ticket_reopened",)) == (complaints.closed, complaints.reopened)
    assert "ticket_id" == complaints.by
    assert parse('kind == "complaint"') == complaints.where


def test_elapsed_measures_from_one_event_to_another() -> None:
    reply = with_attributes(
        "reply: {elapsed: {from: ticket_created, to: [ticket_replied, ticket_solved], by: ticket_id}}"
    ).attributes["reply"]

    assert ((Source("ticket_created"),), ("ticket_replied", "ticket_solved"), "ticket_id") == (
        reply.sources,
        reply.until,
        reply.by,
    )


def test_rhythm_wants_three_gaps_unless_told() -> None:
    journey = with_attributes("""
        rhythm: {rhythm: order_completed, by: order_id}
        beat:   {rhythm: page_viewed, gaps: 5}
        """)

    assert (3, 5) == (journey.attributes["rhythm"].gaps, journey.attributes["beat"].gaps)


def test_a_derived_attribute_may_need_another_that_stands_below() -> None:
    journey = with_attributes("""
        mean_basket: {value: revenue / orders}
        revenue: {sum: order_completed.total}
        orders: {count: order_completed}
        rich: {value: mean_basket > 100}
        """)

    assert parse("revenue / orders") == journey.attributes["mean_basket"].value


def test_the_type_of_an_attribute_follows_its_form() -> None:
    journey = with_attributes("""
        a: {count: order_completed}
        b: {sum: order_completed.total}
        c: {last: order_completed.currency}
        d: {distinct: 'order_completed.products[].category'}
        e: {map: {key: 'order_completed.products[].category', value: last, of: brand}}
        f: {map: {key: page_viewed.url, value: count}}
        g: {first: order_completed.promised_at}
        """)

    types = [str(attribute_type(each, BUILT_IN, {})) for each in journey.attributes.values()]

    assert [
        "int",
        "double",
        "string",
        "list[string]",
        "map[string, string]",
        "map[string, int]",
        "double",
    ] == types


def test_properties_of_several_types_are_known_together_and_dynamic_where_they_disagree() -> None:
    types = property_types(BUILT_IN, ["ticket_created", "survey_responded"])

    assert ("string", "double", "double") == (
        str(types["kind"]),
        str(types["score"]),
        str(types["sentiment"]),
    )
    assert "dyn" == str(property_types(BUILT_IN, ["ticket_rated", "survey_responded"])["score"])


def test_the_id_of_a_timer_has_the_type_of_its_property() -> None:
    assert "string" == str(id_type(BUILT_IN, ["order_completed"], "order_id"))


def _keys(attributes: str, *, parameters: str = "{}", journey: str = "trial") -> list[str]:
    text = HEAD.replace("journey: trial", f"journey: {journey}")
    loaded = load([("x", text + f"parameters: {parameters}\nattributes:\n{attributes}")], BUILT_IN)
    assert () == loaded.findings
    return [attribute.sharing_key for attribute in loaded.journeys[0].attributes.values()]


def test_equal_attributes_share_a_key_whatever_their_names_and_spelling() -> None:
    one = _keys("  orders: {count: [order_completed, order_updated], where: total >= 10}\n")
    other = _keys(
        "  bought: {count: [order_updated, Order Completed], where: '(total>=least)'}\n",
        parameters="{least: 10.0}",
        journey="other",
    )

    assert other == _keys("  x: {count: [order_completed, order_updated], where: total >= 10.0}\n")
    assert one != other, "10 and 10.0 are told apart: an int compares like a double, but need not divide so"


@pytest.mark.parametrize(
    "other",
    [
        "{count: order_completed}",
        "{count: order_completed, by: order_id, limit: 5}",
        "{count: order_completed, by: order_id, over: 90d}",
        "{rhythm: order_completed, by: order_id}",
        "{count: order_completed, by: order_id, less: order_cancelled}",
        "{count: order_completed, by: order_id, where: total > 1}",
    ],
)
def test_attributes_that_differ_in_anything_do_not_share(other: str) -> None:
    assert _keys("  a: {count: order_completed, by: order_id}\n") != _keys(f"  a: {other}\n")


def test_what_depends_on_the_journey_is_not_shared_between_journeys() -> None:
    attributes = (
        "  a: {count: page_viewed, over: stage}\n  b: {value: dwell + 1}\n  c: {count: page_viewed}\n"
    )

    one, other = _keys(attributes), _keys(attributes, journey="other")

    assert [False, False, True] == [x == y for x, y in zip(one, other, strict=True)]


def test_a_derived_attribute_is_shared_only_if_what_it_needs_is() -> None:
    same = "  orders: {count: order_completed}\n  twice: {value: orders * 2}\n"
    other = "  orders: {count: order_updated}\n  twice: {value: orders * 2}\n"

    assert _keys(same)[1] == _keys(same, journey="other")[1]
    assert _keys(same)[1] != _keys(other)[1]
