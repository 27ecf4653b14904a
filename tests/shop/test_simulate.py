"""The simulated shop: the same for the same seed, in order, known to the vocabulary, and like a shop."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

import orjson
import pytest

from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.shop import ShopOptions, ShopRecord, simulate, source_of
from journey_stream.shop.catalogue import LEAVE_REASONS
from journey_stream.shop.personas import PERSONAS
from journey_stream.values import DAY, Event

SMALL = ShopOptions(seed=3, customers=60, days=60)
NOT_FROM_A_SHOP = {"referral_rewarded"}
"""Made by intake itself."""


@pytest.fixture(scope="module")
def records() -> list[ShopRecord]:
    """The shop of the demo, at a quarter of its size."""
    return list(simulate(ShopOptions(seed=7, customers=500)))


@pytest.fixture(scope="module")
def events(records: list[ShopRecord]) -> list[dict[str, Any]]:
    return [orjson.loads(record.value or b"") for record in records]


def test_the_same_seed_gives_the_same_records() -> None:
    assert list(simulate(SMALL)) == list(simulate(SMALL))


def test_another_seed_gives_other_records() -> None:
    other = ShopOptions(seed=4, customers=60, days=60)

    assert [r.value for r in simulate(SMALL)] != [r.value for r in simulate(other)]


def test_the_first_records_come_before_the_rest_is_made() -> None:
    a_million_years_of_work = ShopOptions(seed=1, customers=10**6, days=20_000, cast=False)

    assert len(list(islice(simulate(a_million_years_of_work), 5))) == 5


def test_records_come_in_the_order_of_event_time_over_all_sources(records: list[ShopRecord]) -> None:
    order = [(r.at, r.event_id) for r in records]

    assert sorted(order) == order


def test_no_event_is_lost_in_a_day_that_is_over(records: list[ShopRecord]) -> None:
    numbers = sorted(int((r.event_id or "").split("-")[1], 16) for r in records)

    assert list(range(len(records))) == numbers


def test_all_events_lie_within_the_days_asked_for(records: list[ShopRecord]) -> None:
    start = ShopOptions().start

    assert all(start <= r.at < start + 400 * DAY for r in records)


def test_the_time_in_the_record_is_the_time_of_the_event(records: list[ShopRecord]) -> None:
    decoder = Decoder(BUILT_IN)

    for record in records[::97]:
        event = decoder.decode(record.value)
        assert isinstance(event, Event)
        assert record.at == event.at


def test_every_record_is_an_event_of_the_vocabulary(records: list[ShopRecord]) -> None:
    decoder = Decoder(BUILT_IN)

    refused = [
        (record.value, outcome)
        for record in records
        if not isinstance(outcome := decoder.decode(record.value, record.at), Event)
    ]

    assert refused == []


def test_no_property_is_unknown_to_the_vocabulary(events: list[dict[str, Any]]) -> None:
    unknown = {
        (event["type"], name)
        for event in events
        for name in event["properties"]
        if BUILT_IN.field(event["type"], name) is None
    }

    assert set() == unknown


def test_every_type_that_a_shop_can_produce_occurs(events: list[dict[str, Any]]) -> None:
    assert set(BUILT_IN.names()) - NOT_FROM_A_SHOP == {event["type"] for event in events}


def test_each_type_travels_on_the_source_that_the_vocabulary_names() -> None:
    assert {kind.name: kind.source for kind in BUILT_IN} == {
        kind.name: source_of(kind.name) for kind in BUILT_IN
    }


def test_event_ids_are_unique(records: list[ShopRecord]) -> None:
    assert len(records) == len({r.event_id for r in records})


def test_events_of_one_person_never_share_a_moment_within_a_script(events: list[dict[str, Any]]) -> None:
    moments = Counter(
        (event["customer_id"], event["occurred_at"])
        for event in events
        if event.get("customer_id", "").startswith("cast-")
    )

    assert [moment for moment, times in moments.items() if times > 1] == []


def test_about_seven_of_ten_carts_are_left(events: list[dict[str, Any]]) -> None:
    chance = [e for e in events if "cast" not in e["anonymous_id"]]
    carts = {e["properties"]["cart_id"] for e in chance if e["type"] == "product_added"}
    bought = {e["properties"].get("cart_id") for e in chance if e["type"] == "order_completed"} - {None}

    assert 0.66 <= 1 - len(bought) / len(carts) <= 0.74


def test_checkouts_are_left_for_the_published_reasons(events: list[dict[str, Any]]) -> None:
    reasons = Counter(e["properties"]["reason"] for e in events if e["type"] == "checkout_failed")
    total = sum(reasons.values())

    assert {row[1] for row in LEAVE_REASONS} - {"unknown"} == set(reasons)
    assert reasons["unexpected_cost"] / total == pytest.approx(0.39, abs=0.05)
    assert reasons["forced_account"] / total == pytest.approx(0.19, abs=0.05)
    assert reasons["needless_form"] / total == pytest.approx(0.18, abs=0.05)


def test_december_is_busier_than_august(events: list[dict[str, Any]]) -> None:
    months = Counter(e["occurred_at"][:7] for e in events if e["type"] == "page_viewed")

    assert months["2024-12"] > 1.2 * months["2024-08"]


def test_as_many_people_come_as_were_asked_for() -> None:
    options = ShopOptions(seed=5, customers=400, days=90, visitors=0.25, cast=False)

    people = {orjson.loads(r.value or b"")["anonymous_id"] for r in simulate(options)}

    assert len(people) == 500


def test_a_customer_leaves_enough_events_for_200_000_of_10_000_customers(records: list[ShopRecord]) -> None:
    assert len(records) / 500 > 40


def test_without_the_cast_nobody_is_scripted() -> None:
    options = ShopOptions(seed=5, customers=20, days=90, cast=False)

    assert not any(b'"cast-' in (r.value or b"") for r in simulate(options))


def test_personas_share_the_customers_among_them() -> None:
    assert sum(persona.share for persona in PERSONAS) == 100


def test_an_order_is_what_its_lines_add_up_to(events: list[dict[str, Any]]) -> None:
    orders = [
        e["properties"] for e in events if e["type"] == "order_completed" and "products" in e["properties"]
    ]

    for order in orders:
        lines = sum(line["price"] * line.get("quantity", 1) for line in order["products"])
        assert round(lines - order["discount"] + order["shipping"], 2) == pytest.approx(
            order["total"], abs=0.01
        )


def test_keys_are_the_customer_nothing_or_something_else(records: list[ShopRecord]) -> None:
    kinds: Counter[str] = Counter()
    for record in records:
        event = orjson.loads(record.value or b"")
        person = event.get("customer_id") or "anon:" + event["anonymous_id"]
        kinds["null" if record.key is None else "person" if record.key == person.encode() else "other"] += 1

    assert kinds["null"] / len(records) == pytest.approx(0.1, abs=0.02)
    assert kinds["other"] / len(records) == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize(
    "wrong", [{"late": 1.5}, {"poison": -0.1}, {"days": 0}, {"customers": -1}], ids=lambda w: next(iter(w))
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ShopOptions(**wrong)
