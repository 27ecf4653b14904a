"""The events that every contestant gets, and what has to come of them: the oracle.

Enters: how many events and customers. Leaves: rows for a topic, and the changes of stage that are due.
Strategy: pure functions of a seed, so that any part of the workload is its beginning. Events are in the
vocabulary of the worker, in the order of their time; 80 % are page views, 12 % orders, 5 % tickets, 3 %
answers to a survey, about 300 bytes each. The job is the peers': a customer is a prospect until the first
order, then a customer, from the second order on a repeat customer; each event changes the customer's state
(how many events, stage, last seen), each change of stage is a record out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal, NamedTuple

import msgspec

from journey_stream.kafka.hop import Partitioner

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
STEP = timedelta(milliseconds=50)
SEED = 7
MIX = {"page_viewed": 80, "order_completed": 12, "ticket_created": 5, "survey_responded": 3}
"""Per cent."""
STAGES = ("prospect", "customer", "repeat")

Layout = Literal["keyed", "scattered"]
"""Keyed by the customer, as the input of a keyed join would be; or without a key, partitions in turn."""


class Made(NamedTuple):
    """An event of the workload."""

    customer: str
    type: str
    occurred_at: str
    value: bytes


class Change(NamedTuple):
    """A change of stage that is due."""

    customer: str
    from_: str
    to: str
    count: int
    """The customer's events so far, this one included."""
    last_seen: str


def moment(number: int) -> str:
    """When an event happens: text of one length, so that it sorts as time does."""
    return (BEGIN + number * STEP).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def make(events: int, customers: int) -> Iterator[Made]:
    """Make the events, in the order of their time."""
    random = Random(SEED)
    kinds = [kind for kind, share in MIX.items() for _ in range(share)]
    encode = msgspec.json.Encoder().encode
    for number in range(events):
        customer = f"cust-{random.randrange(customers):07d}"
        kind, at = random.choice(kinds), moment(number)
        event = {
            "event_id": f"{random.getrandbits(128):032x}",
            "type": kind,
            "occurred_at": at,
            "customer_id": customer,
            "properties": _properties(kind, number, random),
            "context": {"channel": "web", "session_id": f"s{random.randrange(10**8):08d}", "locale": "en-GB"},
        }
        yield Made(customer, kind, at, encode(event))


def _properties(kind: str, number: int, random: Random) -> dict[str, Any]:
    product = random.randrange(1000)
    if kind == "page_viewed":
        return {
            "url": f"https://shop.example/products/{product}",
            "title": f"Product {product}",
            "referrer": "https://search.example/?q=shoes",
        }
    if kind == "order_completed":
        price = random.randrange(500, 20_000) / 100
        line = {"sku": f"sku-{product}", "category": "shoes", "price": price, "quantity": 1}
        return {"order_id": f"o{number:08d}", "total": price, "currency": "EUR", "products": [line]}
    if kind == "ticket_created":
        return {
            "ticket_id": f"t{number:08d}",
            "kind": random.choice(("question", "problem", "complaint")),
            "priority": "normal",
            "channel": "email",
            "subject": "Where is my parcel?",
        }
    return {
        "survey_id": "after-sales",
        "response_id": f"r{number:08d}",
        "survey_type": "nps",
        "score": random.randrange(11),
        "comment": "It does what it should, thank you.",
    }


def rows(made: Iterable[Made], layout: Layout, partitions: int) -> Iterator[tuple[int, bytes | None, bytes]]:
    """Lay events out for a topic: partition, key, value."""
    if layout == "scattered":
        for number, event in enumerate(made):
            yield number % partitions, None, event.value
        return
    partition = Partitioner(partitions)
    for event in made:
        key = event.customer.encode()
        yield partition(key), key, event.value


def source(layout: Layout, events: int) -> str:
    """Name the topic, without its prefix, that holds so many events."""
    return f"{layout}-{events}"


def changes(made: Iterable[Made]) -> list[Change]:
    """Do the job with a dictionary: the oracle."""
    states: dict[str, tuple[int, str]] = {}
    due = []
    for event in made:
        count, old = states.get(event.customer, (0, STAGES[0]))
        new = old
        if event.type == "order_completed":
            new = STAGES[1] if old == STAGES[0] else STAGES[2]
        states[event.customer] = (count + 1, new)
        if new != old:
            due.append(Change(event.customer, old, new, count + 1, event.occurred_at))
    return due
