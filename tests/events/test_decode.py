"""A good event becomes a typed one."""

from __future__ import annotations

from typing import Any

import pytest

from events.wire import AT, DECODER, event, refusal, wire
from journey_stream.events.decode import FILTERED, Decoder
from journey_stream.events.vocabulary import BUILT_IN, Campaign, Context, Product
from journey_stream.values import NEVER, Event


def test_every_field_of_the_envelope_arrives() -> None:
    found = DECODER.decode(
        wire(
            "page_viewed",
            anonymous_id="a-1",
            account_id="firm",
            properties={"url": "https://shop.example/", "content_type": "faq"},
            context={"channel": "web", "campaign": {"source": "mail", "name": "spring"}, "test": True},
        )
    )

    assert isinstance(found, Event)
    assert ("e-1", "page_viewed", AT, "c-1") == (found.event_id, found.type, found.at, found.person)
    assert ("c-1", "a-1", "firm") == (found.customer_id, found.anonymous_id, found.account_id)
    assert ("https://shop.example/", "faq") == (found.properties.url, found.properties.content_type)
    expected = Context(channel="web", campaign=Campaign(source="mail", name="spring"), test=True)
    assert expected == found.context
    assert (None, None, False, False) == (found.sentiment, found.score_norm, found.late, found.replay)


def test_an_order_carries_its_lines_and_times_as_seconds() -> None:
    properties = event(
        "order_completed",
        total=30,
        promised_at="2026-01-08T01:00:00+01:00",
        products=[{"product_id": "p", "category": "bikes", "price": 10, "quantity": 3, "colour": "red"}],
    ).properties

    assert 30.0 == properties.total
    assert 1_767_830_400.0 == properties.promised_at
    assert type(properties.promised_at) is float
    assert [Product(product_id="p", category="bikes", price=10.0, quantity=3.0)] == properties.products


@pytest.mark.parametrize(
    "spelling", ["order_completed", "Order Completed", "ORDER COMPLETED", "order completed"]
)
def test_both_spellings_name_the_same_type(spelling: str) -> None:
    assert "order_completed" == event(spelling).type


def test_the_person_is_the_customer_if_there_is_one() -> None:
    known = DECODER.decode(wire(anonymous_id="a-1"))
    unknown = DECODER.decode(wire(customer_id=..., anonymous_id="a-1"))
    empty = DECODER.decode(wire(customer_id="", anonymous_id="a-1"))

    assert isinstance(known, Event)
    assert isinstance(unknown, Event)
    assert isinstance(empty, Event)
    assert ["c-1", "anon:a-1", "anon:a-1"] == [known.person, unknown.person, empty.person]
    assert empty.customer_id is None


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-05T10:11:12.345Z",
        "2026-01-05t12:11:12.345000+02:00",
        "2026-01-05T10:11:12.3450001z",
        "2026-01-04T23:11:12.345-11:00",
    ],
)
def test_any_offset_is_the_same_moment_in_utc(text: str) -> None:
    found = DECODER.decode(wire(occurred_at=text))

    assert isinstance(found, Event)
    assert AT == found.at


@pytest.mark.parametrize("properties", [..., None, {}])
def test_properties_may_be_absent(properties: object) -> None:
    found = DECODER.decode(wire("order_completed", properties=properties))

    assert isinstance(found, Event)
    assert found.properties.total is None


def test_nulls_count_as_absent() -> None:
    found = DECODER.decode(
        wire(anonymous_id=None, account_id=None, context=None, properties={"url": None, "title": None})
    )

    assert isinstance(found, Event)
    assert (None, None, None) == (found.account_id, found.context, found.properties.url)


def test_keys_that_nobody_declared_never_reach_the_engine() -> None:
    found = DECODER.decode(wire(properties={"url": "/", "secret": 1}, shoe_size=43, context={"ip": "::1"}))

    assert isinstance(found, Event)
    assert not hasattr(found.properties, "secret")
    assert Context() == found.context


def test_a_checkout_step_is_text_whether_it_was_named_or_numbered() -> None:
    steps = [event("checkout_step_viewed", step=step).properties.step for step in ("shipping", 2, 2.0, 2.5)]

    assert ["shipping", "2", "2", "2.5"] == steps


def test_numbers_in_free_form_traits_are_doubles() -> None:
    traits = event(
        "identified", traits={"age": 40, "tags": [1, {"n": 10**30}], "vip": True}
    ).properties.traits

    assert {"age": 40.0, "tags": [1.0, {"n": 1e30}], "vip": True} == traits
    assert [float, float, bool] == [type(traits["age"]), type(traits["tags"][0]), type(traits["vip"])]


def test_traits_may_be_nested_sixteen_deep() -> None:
    traits: dict[str, Any] = {"deepest": 1}
    for _ in range(15):
        traits = {"deeper": traits}

    assert traits == event("identified", traits=traits).properties.traits
    assert "wrong_type" == refusal(wire("identified", properties={"traits": {"deeper": traits}})).reason


@pytest.mark.parametrize(
    ("type_", "properties", "actor", "activity"),
    [
        ("page_viewed", {}, "customer", True),
        ("message_opened", {}, "customer", False),
        ("message_sent", {}, "company", False),
        ("order_delivered", {}, "system", False),
        ("ticket_replied", {"author": "customer"}, "customer", True),
        ("ticket_replied", {}, "customer", True),
        ("ticket_replied", {"author": "agent"}, "company", False),
        ("ticket_replied", {"author": "bot"}, "system", False),
        ("call_made", {"direction": "outbound"}, "company", False),
        ("call_made", {"direction": "inbound"}, "customer", True),
    ],
)
def test_whose_act_it_was(type_: str, properties: dict[str, str], actor: str, activity: bool) -> None:
    found = event(type_, **properties)

    assert (actor, activity) == (found.actor, found.activity)


def test_a_clock_a_little_fast_is_forgiven() -> None:
    five_minutes = 300_000_000

    assert isinstance(DECODER.decode(wire(), AT - five_minutes), Event)
    assert isinstance(DECODER.decode(wire(), -1), Event), "a record without a broker timestamp"
    assert isinstance(DECODER.decode(wire(), NEVER), Event)


def test_a_filter_keeps_events_out() -> None:
    seen: list[str] = []

    def is_test(found: Event) -> bool | None:
        seen.append(found.event_id)
        return None if found.context is None else found.context.test

    decoder = Decoder(BUILT_IN, filters=[is_test])

    assert FILTERED == decoder.decode(wire(context={"test": True}))
    assert isinstance(decoder.decode(wire(context={"test": False})), Event)
    assert isinstance(decoder.decode(wire()), Event), "unknown is not true"
    assert ["e-1", "e-1", "e-1"] == seen
