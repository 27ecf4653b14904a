"""What intake derives from a decoded event: sentiment, score, whose act it was, one currency, further events.

In: the typed properties of an event (or the whole event). Out: plain values; amounts are converted in place.
Sentiment runs from -1 to +1, `score_norm` from 0 to 1 with 1 the best. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from journey_stream.events.envelope import MAX_ID
from journey_stream.values import Actor, Event, rfc3339

Scores = tuple[float | None, float | None] | str
"""Sentiment and score_norm, or a sentence: what is wrong with the score."""


class Money(msgspec.Struct, frozen=True):
    """The deployment's currency, and what one unit of each other currency is worth in it."""

    currency: str
    rates: dict[str, float] = {}


class Derived(msgspec.Struct, frozen=True):
    """An event that follows from another one, ready for the wire, and the person it belongs to."""

    person: str
    value: bytes


def scorer(type_name: str, *, ces_high_is_easy: bool = True) -> Callable[[Any], Scores] | None:
    """The function that rates the properties of this event type, or None when it has nothing to rate."""
    if type_name == "survey_responded":
        return _score_hard_ces if not ces_high_is_easy else score_survey
    return _SCORERS.get(type_name)


def score_survey(properties: Any) -> Scores:
    """Rate a survey's answer on its scale: the given ends, else NPS 0 to 10, CSAT and CES 1 to 5."""
    score = properties.score
    if score is None:
        return None, None
    kind = properties.survey_type
    low, high = properties.scale_min, properties.scale_max
    if kind is not None:
        low = _LOW[kind] if low is None else low
        high = _HIGH[kind] if high is None else high
    if low is None or high is None:
        return None, None
    if not low < high:
        return f"scale_min {low:g} has to be below scale_max {high:g}"
    if not low <= score <= high:
        return f"score {score:g} is outside its scale {low:g} to {high:g}"
    norm = (score - low) / (high - low)
    if kind == "nps":
        points = score if low == 0 and high == 10 else norm * 10
        return (1.0 if points >= 9 else 0.0 if points >= 7 else -1.0), norm
    return norm * 2 - 1, norm


_LOW = {"nps": 0.0, "csat": 1.0, "ces": 1.0}
_HIGH = {"nps": 10.0, "csat": 5.0, "ces": 5.0}


def _score_hard_ces(properties: Any) -> Scores:
    """The same, for a deployment whose CES asks for the effort: the high end is the bad one."""
    scores = score_survey(properties)
    if properties.survey_type != "ces" or isinstance(scores, str) or scores[1] is None:
        return scores
    return 1 - scores[1] * 2, 1 - scores[1]


def _score_stars(properties: Any) -> Scores:
    rating = properties.rating
    if rating is None:
        return None, None
    norm = (rating - 1) / 4
    return norm * 2 - 1, norm


def _score_ticket_rating(properties: Any) -> Scores:
    return _TICKET_SCORES.get(properties.score, (None, None))


_TICKET_SCORES: dict[str | None, tuple[float | None, float | None]] = {"good": (1.0, 1.0), "bad": (-1.0, 0.0)}


def _score_ticket(properties: Any) -> Scores:
    return (-0.5 if properties.kind == "complaint" else None), None


_SCORERS: dict[str, Callable[[Any], Scores]] = {
    "product_reviewed": _score_stars,
    "ticket_rated": _score_ticket_rating,
    "ticket_created": _score_ticket,
    "ticket_reopened": lambda _: (-0.5, None),
    "checkout_failed": lambda _: (-0.3, None),
}


def score_limits(type_name: str) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """The least and greatest sentiment and score_norm of this event type; None for what it never has."""
    return _SCORE_LIMITS.get(type_name, (None, None))


_BOTH = ((-1.0, 1.0), (0.0, 1.0))
_SCORE_LIMITS: dict[str, tuple[tuple[float, float] | None, tuple[float, float] | None]] = {
    "survey_responded": _BOTH,
    "product_reviewed": _BOTH,
    "ticket_rated": _BOTH,
    "ticket_created": ((-0.5, -0.5), None),
    "ticket_reopened": ((-0.5, -0.5), None),
    "checkout_failed": ((-0.3, -0.3), None),
}
"""What `scorer` can give, written down; a test compares the two."""


def actor_of(type_name: str) -> Callable[[Any], Actor] | None:
    """Tell whose act one event was, for the types where its properties say so; None for the others.

    An agent's or a bot's reply and a call out are of the customer's types, but not acts of the customer: they
    create nobody and are no activity.
    """
    return _ACTORS.get(type_name)


_REPLIES: dict[str | None, Actor] = {"agent": "company", "bot": "system"}
_ACTORS: dict[str, Callable[[Any], Actor]] = {
    "ticket_replied": lambda properties: _REPLIES.get(properties.author, "customer"),
    "call_made": lambda properties: "company" if properties.direction == "outbound" else "customer",
}


def convert(properties: Any, paths: tuple[str, ...], money: Money) -> bool:
    """Turn the amounts at these paths into the deployment's currency, in place.

    Returns:
        True when the event's currency has no rate and amounts were given up (they become None).
    """
    currency = properties.currency
    if currency is None or currency == money.currency:
        return False
    code = currency.strip().upper()
    rate = 1.0 if code == money.currency else money.rates.get(code)
    lost = False
    for path in paths:
        outer, _, inner = path.partition("[].")
        for holder in (getattr(properties, outer) or ()) if inner else (properties,):
            name = inner or outer
            amount = getattr(holder, name)
            if amount is not None:
                lost = rate is None
                setattr(holder, name, None if rate is None else round(amount * rate, 6))
    if rate is not None:
        properties.currency = money.currency
    return lost


def derived_events(event: Event) -> tuple[Derived, ...]:
    """The events that follow from this one: `referral_rewarded` for the referrer of a converted newcomer."""
    if event.type != "referral_converted":
        return ()
    referrer = event.properties.referrer_id
    if not referrer or referrer in (event.person, "anon:"):
        return ()
    anonymous = referrer.startswith("anon:")
    event_id = "referral_rewarded:" + event.event_id
    if len(event_id) > MAX_ID:
        event_id = "referral_rewarded:" + hashlib.blake2b(event.event_id.encode(), digest_size=16).hexdigest()
    wire: dict[str, object] = {
        "event_id": event_id,
        "type": "referral_rewarded",
        "occurred_at": rfc3339(event.at),
        ("anonymous_id" if anonymous else "customer_id"): referrer[5:] if anonymous else referrer,
        "properties": {"referral_id": event.properties.referral_id, "newcomer_id": event.person},
    }
    if event.context is not None and event.context.test:
        wire["context"] = {"test": True}
    return (Derived(referrer, msgspec.json.encode(wire)),)
