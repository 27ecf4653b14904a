"""What intake derives: sentiment, score, one currency, the referrer's event."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.wire import AT, DECODER, event, wire
from journey_stream.events.decode import Decoder, Money, derived_events
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.values import Event


@pytest.mark.parametrize(
    ("type_", "properties", "sentiment", "score_norm"),
    [
        ("survey_responded", {"survey_type": "nps", "score": 0}, -1.0, 0.0),
        ("survey_responded", {"survey_type": "nps", "score": 6}, -1.0, 0.6),
        ("survey_responded", {"survey_type": "nps", "score": 7}, 0.0, 0.7),
        ("survey_responded", {"survey_type": "nps", "score": 8}, 0.0, 0.8),
        ("survey_responded", {"survey_type": "nps", "score": 9}, 1.0, 0.9),
        ("survey_responded", {"survey_type": "nps", "score": 10}, 1.0, 1.0),
        (
            "survey_responded",
            {"survey_type": "nps", "score": 90, "scale_min": 0, "scale_max": 100},
            1.0,
            0.9,
        ),
        ("survey_responded", {"survey_type": "csat", "score": 1}, -1.0, 0.0),
        ("survey_responded", {"survey_type": "csat", "score": 3}, 0.0, 0.5),
        ("survey_responded", {"survey_type": "csat", "score": 5}, 1.0, 1.0),
        ("survey_responded", {"survey_type": "csat", "score": 8, "scale_max": 9}, 0.75, 0.875),
        ("survey_responded", {"survey_type": "ces", "score": 4}, 0.5, 0.75),
        ("survey_responded", {"score": 3, "scale_min": 0, "scale_max": 4}, 0.5, 0.75),
        ("survey_responded", {"score": 3}, None, None),
        ("survey_responded", {"survey_type": "nps"}, None, None),
        ("product_reviewed", {"rating": 1}, -1.0, 0.0),
        ("product_reviewed", {"rating": 4}, 0.5, 0.75),
        ("product_reviewed", {}, None, None),
        ("ticket_rated", {"score": "good"}, 1.0, 1.0),
        ("ticket_rated", {"score": "bad"}, -1.0, 0.0),
        ("ticket_rated", {}, None, None),
        ("ticket_reopened", {}, -0.5, None),
        ("ticket_created", {"kind": "complaint"}, -0.5, None),
        ("ticket_created", {"kind": "question"}, None, None),
        ("checkout_failed", {}, -0.3, None),
        ("page_viewed", {}, None, None),
    ],
)
def test_sentiment(
    type_: str, properties: dict[str, Any], sentiment: float | None, score_norm: float | None
) -> None:
    found = event(type_, **properties)

    assert (sentiment, score_norm) == (found.sentiment, found.score_norm)


def test_effort_counts_the_other_way_where_the_deployment_says_so() -> None:
    effort = Decoder(BUILT_IN, ces_high_is_easy=False)
    hard = event("survey_responded", effort, survey_type="ces", score=5)
    happy = event("survey_responded", effort, survey_type="csat", score=5)

    assert (-1.0, 0.0) == (hard.sentiment, hard.score_norm)
    assert (1.0, 1.0) == (happy.sentiment, happy.score_norm)


@settings(deadline=None)
@given(
    st.sampled_from(["nps", "csat", "ces", None]),
    st.floats(-1e9, 1e9),
    st.floats(-1e9, 1e9) | st.none(),
    st.floats(-1e9, 1e9) | st.none(),
)
def test_scores_stay_on_their_scale(
    kind: str | None, score: float, low: float | None, high: float | None
) -> None:
    properties = {"survey_type": kind, "score": score, "scale_min": low, "scale_max": high}
    found = DECODER.decode(wire("survey_responded", properties=properties))

    if isinstance(found, Event) and found.score_norm is not None:
        assert found.sentiment is not None
        assert -1 <= found.sentiment <= 1
        assert 0 <= found.score_norm <= 1


EUROS = Decoder(BUILT_IN, money=Money("EUR", {"USD": 0.5, "JPY": 0.006}))
ORDER = {"total": 30, "revenue": 20, "products": [{"price": 10, "quantity": 2}, {"sku": "gift"}]}


@pytest.mark.parametrize("currency", ["USD", "usd", " USD "])
def test_amounts_in_a_rated_currency_are_converted(currency: str) -> None:
    found = event("order_completed", EUROS, **ORDER, currency=currency)

    order = found.properties
    assert (15.0, 10.0, "EUR", False) == (order.total, order.revenue, order.currency, found.unrated)
    assert [(5.0, 2.0), (None, None)] == [(line.price, line.quantity) for line in order.products]


@pytest.mark.parametrize("currency", ["EUR", "eur", None])
def test_amounts_in_the_own_currency_stay(currency: str | None) -> None:
    found = event("order_completed", EUROS, **ORDER, currency=currency)

    assert (30.0, 10.0, False) == (
        found.properties.total,
        found.properties.products[0].price,
        found.unrated,
    )


def test_amounts_in_an_unrated_currency_are_reported_not_added() -> None:
    found = event("order_completed", EUROS, **ORDER, currency="XAU")

    assert (None, None, "XAU") == (
        found.properties.total,
        found.properties.products[0].price,
        found.properties.currency,
    )
    assert found.unrated
    assert not event("order_completed", EUROS, currency="XAU").unrated, "no amount, nothing to report"


def test_without_a_currency_of_its_own_a_deployment_takes_amounts_as_they_come() -> None:
    found = event("order_completed", **ORDER, currency="XAU")

    assert (30.0, False) == (found.properties.total, found.unrated)


def test_every_amount_of_every_type_is_converted() -> None:
    for kind in BUILT_IN:
        amounts = {path: 2 for path in kind.money if "[" not in path}
        found = event(kind.name, EUROS, **amounts, **({"currency": "USD"} if amounts else {}))
        assert dict.fromkeys(amounts, 1.0) == {path: getattr(found.properties, path) for path in amounts}


def test_converted_amounts_have_no_long_tails() -> None:
    assert 0.018 == event("order_completed", EUROS, total=3, currency="JPY").properties.total


def converted(**fields: Any) -> Event:
    """A newcomer who came by a referral."""
    found = DECODER.decode(
        wire(
            "referral_converted",
            **{"properties": {"referrer_id": "friend", "referral_id": "r-1"}, **fields},
        )
    )
    assert isinstance(found, Event)
    return found


def test_a_conversion_rewards_the_referrer() -> None:
    (derived,) = derived_events(converted(context={"test": True}))
    found = DECODER.decode(derived.value)

    assert isinstance(found, Event)
    assert "friend" == derived.person == found.person
    assert ("referral_rewarded:e-1", "referral_rewarded", AT) == (found.event_id, found.type, found.at)
    assert ("r-1", "c-1") == (found.properties.referral_id, found.properties.newcomer_id)
    assert ("system", False, True) == (found.actor, found.activity, found.context.test)


def test_a_referrer_may_be_anonymous() -> None:
    (derived,) = derived_events(converted(properties={"referrer_id": "anon:a-9"}))
    found = DECODER.decode(derived.value)

    assert isinstance(found, Event)
    assert ("anon:a-9", None, "a-9") == (found.person, found.customer_id, found.anonymous_id)


@pytest.mark.parametrize("referrer", [None, "", "c-1"])
def test_nobody_is_rewarded_for_nobody_or_oneself(referrer: str | None) -> None:
    assert () == derived_events(converted(properties={"referrer_id": referrer}))


def test_other_events_derive_none() -> None:
    assert () == derived_events(event("order_completed"))


@settings(deadline=None)
@given(st.text(min_size=1, max_size=512), st.text(max_size=512), st.sampled_from(["", "anon:"]))
def test_what_is_derived_can_be_decoded_unless_its_id_is_refused(
    event_id: str, referrer: str, prefix: str
) -> None:
    found = DECODER.decode(
        wire("referral_converted", event_id=event_id, properties={"referrer_id": prefix + referrer})
    )
    if not isinstance(found, Event):
        return
    for derived in derived_events(found):
        rewarded = DECODER.decode(derived.value)
        assert isinstance(rewarded, Event)
        assert derived.person == rewarded.person
