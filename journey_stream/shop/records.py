"""What the shop is asked for (`ShopOptions`) and what it gives (`ShopRecord`).

Enters: nothing. Leaves: two values and the source of each event type. A record is what a producer would
hand to Kafka: source, key, value, headers; and what only a simulator knows: why a record is bad on
purpose, or that it was sent twice, out of order or late.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from journey_stream.values import DAY, HOUR, Reason

Source = Literal["visits", "purchases", "tickets", "surveys"]
Disorder = Literal["", "duplicate", "out_of_order", "late", "too_late"]

SOURCES: tuple[Source, ...] = ("visits", "purchases", "tickets", "surveys")

_PURCHASES = ("order_", "quote_", "trial_", "subscription_", "loyalty_")

DEFAULT_START = 1_704_067_200_000_000
"""2024-01-01T00:00:00Z: with the demo's 400 days the simulated year lies in the past of every reader."""


def source_of(event_type: str) -> Source:
    """Name the source that carries this event type by default (contract §1)."""
    if event_type.startswith(_PURCHASES):
        return "purchases"
    if event_type.startswith("ticket_"):
        return "tickets"
    return "surveys" if event_type.startswith("survey_") else "visits"


class ShopOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How large, how long and how messy. Shares are between 0 and 1, of all records."""

    seed: int = 7
    customers: int = 2_000
    """People who give their name some day; anonymous visitors come on top (`visitors`)."""
    days: int = 400
    start: int = DEFAULT_START
    """First moment of the simulated time, microseconds since the epoch."""
    visitors: float = 0.25
    """Anonymous visitors who never identify themselves, as a share of `customers`."""
    cast: bool = True
    """Let the scripted customers in, who show the rare stages and signals (needs 400 days for all)."""
    browsing: float = 0.0
    """Further pages that a session looks at, on average: the traffic of a shop that is mostly looked at."""
    duplicates: float = 0.0
    """Records that are delivered a second time, with the same `event_id`, later."""
    out_of_order: float = 0.0
    """Records delivered after younger ones, but within `lateness`."""
    late: float = 0.0
    """Records delivered more than `lateness`, but less than `dedup_window` too late."""
    too_late: float = 0.0
    """Records delivered even later than `dedup_window`."""
    poison: float = 0.0
    """Bad records among the good ones: these are additional, no good record is lost to them."""
    poison_kinds: tuple[str, ...] = ()
    """Which kinds of bad records (see `shop.poison.KINDS`); empty: all, in turn."""
    null_keys: float = 0.2
    """Records without a key, or with a key that is not the customer (half each)."""
    lateness: int = HOUR
    dedup_window: int = 7 * DAY

    def __post_init__(self) -> None:
        for name in ("duplicates", "out_of_order", "late", "too_late", "poison", "null_keys"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                msg = f"shop option {name}: expected a share between 0 and 1, got {share}"
                raise ValueError(msg)
        if self.customers < 0 or self.days < 1 or self.visitors < 0 or self.browsing < 0:
            msg = (
                "shop options: expected customers >= 0, days >= 1, visitors >= 0 and browsing >= 0, "
                f"got {self.customers}, {self.days}, {self.visitors} and {self.browsing}"
            )
            raise ValueError(msg)


class ShopRecord(msgspec.Struct, frozen=True, gc=False):
    """One record as a producer would send it, in the order of delivery."""

    source: Source
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    at: int
    """Time of delivery: the event time, plus the delay of a disordered record."""
    event_id: str | None = None
    """The event's id; None for a poison record."""
    poison: Reason | None = None
    """The dead-letter reason that this record is expected to get, or None if it is good."""
    flaw: str | None = None
    """The kind of a poison record (`shop.poison.KINDS`)."""
    disorder: Disorder = ""
