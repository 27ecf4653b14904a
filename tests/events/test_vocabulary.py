"""The vocabulary is that of the contract."""

from __future__ import annotations

import re

import pytest

from journey_stream.events.vocabulary import BUILT_IN, attribute_name

CONTRACT = """
visits: page_viewed{url,title,category,content_type,referrer} page_left{url,duration_s}
link_clicked{url,target_url,related} products_searched{query} product_list_viewed
product_viewed{product_id,sku,name,category,brand,variant,range,price} product_added product_removed
product_added_to_wishlist cart_viewed{cart_id} checkout_started{checkout_id,order_id,value,currency}
checkout_step_viewed{checkout_id,step} checkout_step_completed
checkout_failed{checkout_id,step,reason,reason_source}
payment_info_entered signed_up identified{traits} contact_made call_made{direction,outcome,duration_s}
store_visited{location_id} content_downloaded{gated} service_requested product_used
product_reviewed{rating,comment} product_shared referral_sent referral_converted{referrer_id}
profile_changed{attribute,from,to,in_target} consent_changed{purpose,channel,status} unsubscribed{channel}
message_sent:company message_delivered:system message_bounced:system message_opened message_clicked
message_complained{message_id,channel,campaign} signal_handled{signal_id,owner,outcome}:company
history_imported{orders,revenue,first_order_at,last_order_at,categories}:company referral_rewarded:system
purchases: order_completed{order_id,checkout_id,total,revenue,shipping,tax,discount,coupon,currency}
order_completed{affiliation,location_id,promised_at,products}
order_updated order_cancelled order_refunded order_delivered:system quote_requested quote_sent:company
quote_signed quote_declined quote_expired{quote_id,value,currency,valid_until}:system trial_started
subscription_started subscription_renewed subscription_changed{from_plan,to_plan} subscription_paused
subscription_cancelled{plan,reason,effective_at,voluntary} subscription_payment_failed:system
subscription_recovered:system loyalty_joined loyalty_left
tickets: ticket_created{ticket_id,kind,priority,channel,subject,order_id} ticket_replied{ticket_id,author}
ticket_status_changed{status,previous_status} ticket_priority_changed ticket_solved:company ticket_reopened
ticket_rated{score,comment}
surveys: survey_sent:company
survey_responded{survey_id,response_id,survey_type,score,scale_min,scale_max,comment,order_id,ticket_id}
"""


def contract() -> list[tuple[str, str, list[str], str]]:
    """Source, type, properties and actor of each line above."""
    rows: list[tuple[str, str, list[str], str]] = []
    source = ""
    for word in CONTRACT.split():
        if re.fullmatch(r"[a-z]+:", word):
            source = word[:-1]
            continue
        name, properties, actor = re.fullmatch(r"(\w+)(?:\{(.*)\})?(?::(\w+))?", word).groups()  # type: ignore[union-attr]
        rows.append((source, name, properties.split(",") if properties else [], actor or "customer"))
    return rows


@pytest.mark.parametrize(("source", "name", "properties", "actor"), contract())
def test_each_type_of_the_contract_is_there(
    source: str, name: str, properties: list[str], actor: str
) -> None:
    kind = BUILT_IN.types[name]

    assert (source, actor) == (kind.source, kind.actor)
    assert set() == set(properties) - set(BUILT_IN.fields(name))


def test_activity_is_every_act_of_the_customer_but_the_opening_of_a_message() -> None:
    acts = {kind.name for kind in BUILT_IN if kind.actor == "customer"}

    assert acts - {"message_opened"} == set(BUILT_IN.activity())


def test_both_spellings_of_every_type_are_found() -> None:
    for kind in BUILT_IN:
        assert kind is BUILT_IN.get(kind.name)
        assert kind is BUILT_IN.get(kind.title)
        assert kind.name == kind.title.lower().replace(" ", "_")


def test_titles_are_those_of_segment() -> None:
    titles = ["Order Completed", "Product Added to Wishlist", "Wishlist Product Added to Cart"]
    names = ["order_completed", "product_added_to_wishlist", "wishlist_product_added_to_cart"]

    assert titles == [BUILT_IN.types[name].title for name in names]


@pytest.mark.parametrize(
    ("type_", "path", "expected"),
    [
        ("order_completed", "total", "double"),
        ("order_completed", "promised_at", "time"),
        ("order_completed", "products", "list<map>"),
        ("order_completed", "products[].category", "string"),
        ("order_completed", "products[].price", "double"),
        ("history_imported", "categories", "list<string>"),
        ("history_imported", "categories[]", "string"),
        ("history_imported", "orders", "double"),
        ("ticket_created", "kind", "string"),
        ("product_reviewed", "rating", "double"),
        ("checkout_failed", "step", "string"),
        ("link_clicked", "related", "bool"),
        ("identified", "traits", "map"),
        ("profile_changed", "from", "string"),
        ("page_viewed", "context.channel", "string"),
        ("page_viewed", "context.campaign.source", "string"),
        ("page_viewed", "context.test", "bool"),
        ("survey_responded", "score_norm", "double"),
        ("activity", "occurred_at", "time"),
        ("activity", "customer_id", "string"),
        ("activity", "url", None),
        ("page_viewed", "total", None),
        ("page_viewed", "products[].price", None),
    ],
)
def test_each_path_has_its_static_type(type_: str, path: str, expected: str | None) -> None:
    assert expected == BUILT_IN.field(type_, path)


def test_a_property_is_an_attribute_of_its_struct() -> None:
    for kind in BUILT_IN:
        empty = kind.properties()
        for path in BUILT_IN.fields(kind.name):
            if "[" not in path:
                assert getattr(empty, attribute_name(path)) is None, (kind.name, path)
    assert "from_" == attribute_name("from")


def test_amounts_are_numbers_beside_a_currency() -> None:
    for kind in BUILT_IN:
        fields = BUILT_IN.fields(kind.name)
        assert not kind.money or fields["currency"] == "string", kind.name
        assert {"double"} >= {fields[path] for path in kind.money}, kind.name
