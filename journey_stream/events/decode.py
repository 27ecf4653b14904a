"""Bytes in, one of three values out: an `Event`, a `Rejection`, or `FILTERED`. Never an exception.

    decoder = Decoder(BUILT_IN, DecodeLimits(), money=Money("EUR", {"USD": 0.92}), filters=(is_test,))
    decoder.decode(value, broker_at) -> Event | Rejection | Filtered
    decoder.decode(value)                    # no broker time known (files): no check against a future clock

The way: the envelope is read first with its properties left raw, then the properties by the struct of the
type; what follows from them (`derive`) is added. Only when that fails is the value looked at again, slowly,
to say why (`refuse`): each reason has one meaning, in a fixed order of checks, whatever else is wrong.

- `not_json`: no value at all (a null record), not UTF-8, not JSON, or nested deeper than 256.
- `missing_field`: `event_id`, `type` or `occurred_at` is absent, null or empty; so is what a declared type
  requires.
- `wrong_type`: a field is not of its type, an id is longer than 512 characters, a score is outside its scale,
  a number is out of range, a free-form map is nested deeper than 16; also a customer_id that starts with
  `anon:`, which is how anonymous people are written.
- `unknown_type`, `too_large`, `no_identity` (neither id, or both empty).
- `bad_time`: not RFC 3339 with offset, outside the years 1970 to 9999, or ahead of the broker by more than
  `max_future`.

`too_late` and `processing_error` are decided further down the way.

`filters` are compiled conditions `(event) -> bool | None`; one that is True makes the outcome `FILTERED`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from journey_stream.events.derive import Derived, Money, Scores, actor_of, convert, derived_events, scorer
from journey_stream.events.envelope import Envelope
from journey_stream.events.fields import dec_hook, tame
from journey_stream.events.refuse import (
    ALWAYS_SHALLOW,
    MAX_NESTING,
    UNREADABLE,
    explain,
    refuse_properties,
    too_deep,
)
from journey_stream.events.vocabulary import EventType, Vocabulary, attribute_name, snake_case
from journey_stream.values import MINUTE, NEVER, Actor, Event, Rejection, rfc3339

__all__ = [
    "FILTERED",
    "DecodeLimits",
    "Decoder",
    "Derived",
    "Filter",
    "Filtered",
    "Money",
    "derived_events",
]

Filter = Callable[[Event], bool | None]


class Filtered(msgspec.Struct, frozen=True):
    """The outcome of an event that a filter of the deployment keeps out: counted, nothing else."""


FILTERED: Final = Filtered()


class DecodeLimits(msgspec.Struct, frozen=True):
    """Where an event stops being usable."""

    max_bytes: int = 1024 * 1024
    max_future: int = 5 * MINUTE
    """How far ahead of its broker timestamp an event may be (microseconds)."""


class Plan(msgspec.Struct, frozen=True):
    """How one event type is read."""

    kind: EventType
    read: Callable[[msgspec.Raw], Any]
    score: Callable[[Any], Scores] | None
    actor: Callable[[Any], Actor] | None
    maps: tuple[str, ...]
    """Attributes that hold free-form maps."""
    plain: bool
    """Nothing to do after reading: no score, no actor of its own, no amounts, no schema."""


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LAST = 253_402_300_800_000_000
"""The first microsecond of the year 10000."""
_NO_PROPERTIES = b"{}"


class Decoder:
    """Reads events of a vocabulary. Safe to share: it keeps nothing between calls."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        limits: DecodeLimits = DecodeLimits(),  # noqa: B008 (frozen)
        money: Money | None = None,
        filters: Sequence[Filter] = (),
        *,
        ces_high_is_easy: bool = True,
    ) -> None:
        self.vocabulary = vocabulary
        self._max_bytes = limits.max_bytes
        self._max_future = limits.max_future
        self._money = money
        self._filters = tuple(filters)
        self.made_of = (limits, money, self._filters)
        """For whoever has to make the same."""
        self._envelope = msgspec.json.Decoder(Envelope).decode
        plans = {kind.name: self._plan(kind, ces_high_is_easy) for kind in vocabulary}
        self._plans = {spelling: plans[kind.name] for spelling, kind in vocabulary.by_spelling.items()}

    def _plan(self, kind: EventType, ces_high_is_easy: bool) -> Plan:
        score = scorer(kind.name, ces_high_is_easy=ces_high_is_easy)
        actor = actor_of(kind.name)
        has_amounts = bool(kind.money) and self._money is not None
        fields = self.vocabulary.fields(kind.name).items()
        maps = tuple(attribute_name(path) for path, type_ in fields if type_ == "map" and "." not in path)
        return Plan(
            kind,
            msgspec.json.Decoder(kind.properties | None, dec_hook=dec_hook).decode,
            score,
            actor,
            maps,
            plain=not (score or actor or maps or has_amounts or kind.validate),
        )

    def decode(  # noqa: C901 (the hot way, in one piece)
        self, value: bytes | None, broker_at: int = NEVER
    ) -> Event | Rejection | Filtered:
        """Read one record's value, which the broker stamped `broker_at` (microseconds)."""
        if value is None:
            return Rejection("not_json", "expected a JSON object, but the record has no value (null)")
        if len(value) > self._max_bytes:
            return Rejection("too_large", f"{len(value)} bytes; at most {self._max_bytes} are read")
        if len(value) > ALWAYS_SHALLOW and too_deep(value):
            return Rejection("not_json", f"nested deeper than {MAX_NESTING}: not read")
        try:
            if not value.isascii():
                value.decode()
            envelope = self._envelope(value)
            plan = self._plans.get(envelope.type) or self._plans.get(snake_case(envelope.type))
            if plan is None:
                return explain(value, self.vocabulary)
            properties = plan.read(envelope.properties)
        except UNREADABLE:
            return explain(value, self.vocabulary)

        customer_id = envelope.customer_id or None
        anonymous_id = envelope.anonymous_id or None
        if customer_id is not None:
            person = customer_id
            if person[:5] == "anon:":
                return Rejection("wrong_type", "customer_id: may not start with `anon:`; send anonymous_id")
        elif anonymous_id is not None:
            person = "anon:" + anonymous_id
        else:
            return Rejection("no_identity", "expected a customer_id or an anonymous_id; neither came")

        since = envelope.occurred_at - _EPOCH
        at = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        if at < 0 or at >= _LAST:
            return Rejection("bad_time", "occurred_at: expected a time of the years 1970 to 9999 (UTC)")
        if at > broker_at + self._max_future and broker_at >= 0:
            return Rejection(
                "bad_time",
                f"occurred_at: {rfc3339(at)} is ahead of the broker's {rfc3339(broker_at)} "
                f"by more than {self._max_future // 1_000_000} s: the sender's clock is wrong",
            )

        kind = plan.kind
        if properties is None:
            properties = kind.properties()
        event = Event(
            envelope.event_id,
            kind.name,
            at,
            person,
            customer_id,
            anonymous_id,
            envelope.account_id or None,
            properties,
            envelope.context,
            kind.actor,
            kind.activity,
        )
        if not plan.plain:
            rejection = self._enrich(event, plan, envelope.properties)
            if rejection is not None:
                return rejection
        for keeps_out in self._filters:
            if keeps_out(event) is True:
                return FILTERED
        return event

    def _enrich(self, event: Event, plan: Plan, raw: msgspec.Raw) -> Rejection | None:
        """Add to the event what its properties imply."""
        kind, properties = plan.kind, event.properties
        if kind.validate is not None:
            rejection = refuse_properties(bytes(raw), kind.validate)
            if rejection is not None:
                return rejection
        for name in plan.maps:
            free = getattr(properties, name)
            if free is not None and not tame(free):
                return Rejection(
                    "wrong_type", f"properties.{name}: a number out of range, or nested too deeply"
                )
        if plan.score is not None:
            scores = plan.score(properties)
            if isinstance(scores, str):
                return Rejection("wrong_type", f"properties: {scores}")
            event.sentiment, event.score_norm = scores
        if plan.actor is not None:
            event.actor = plan.actor(properties)
            event.activity = kind.activity and event.actor == "customer"
        if kind.money and self._money is not None:
            event.unrated = convert(properties, kind.money, self._money)
        return None
