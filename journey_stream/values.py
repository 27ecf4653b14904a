"""The values that cross rooms. No behaviour but time formatting; every room may import this one.

Times are integers: microseconds since the epoch, UTC. Durations are integers: microseconds.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NEVER = 2**63 - 1
"""A time that never comes: the due time of somebody without timers."""

Reason = Literal[
    "not_json",
    "missing_field",
    "wrong_type",
    "unknown_type",
    "bad_time",
    "too_late",
    "no_identity",
    "too_large",
    "processing_error",
]
"""Why a record became a dead letter: a closed list."""

Actor = Literal["customer", "company", "system"]
Kind = Literal[
    "prospect",
    "acquisition",
    "conversion",
    "onboarding",
    "development",
    "retention",
    "advocacy",
    "at_risk",
    "attrition",
]
Direction = Literal["forward", "backward", "lateral"]
Trigger = Literal["event", "timer", "correction", "merge", "migration"]
SignalStatus = Literal["raised", "cancelled"]
Consent = Literal["yes", "no", "unknown"]
FieldType = Literal["string", "double", "bool", "time", "map", "list<string>", "list<double>", "list<map>"]
"""The static type of an event property; a `time` is a double of seconds since the epoch to a guard."""


class Event(msgspec.Struct, gc=False):
    """One event, decoded and checked; what the engine works on."""

    event_id: str
    type: str
    at: int
    """Event time (`occurred_at`)."""
    person: str
    """`customer_id`, else `anon:<anonymous_id>`: whose journey it is."""
    customer_id: str | None
    anonymous_id: str | None
    account_id: str | None
    properties: Any
    """The typed struct of this event type (`events.vocabulary`), never None."""
    context: Any
    """`events.vocabulary.Context`, or None when the event carries none."""
    actor: Actor
    activity: bool
    """An act of the customer, message opens excluded."""
    sentiment: float | None = None
    score_norm: float | None = None
    unrated: bool = False
    """Its currency has no rate here: amounts are None, the event itself counts."""
    late: bool = False
    replay: bool = False


class Rejection(msgspec.Struct, frozen=True):
    """Why a record cannot be used: the reason of the closed list and a sentence for people."""

    reason: Reason
    detail: str


class Cause(msgspec.Struct, frozen=True, gc=False):
    """What made a record: an event, or a timer (then `event_id` is None, `type` is `timer`)."""

    event_id: str | None
    type: str
    occurred_at: int


class Contactable(msgspec.Struct, frozen=True, gc=False):
    """May we write to this person, per channel?"""

    email: Consent = "unknown"
    sms: Consent = "unknown"
    push: Consent = "unknown"
    call: Consent = "unknown"
    post: Consent = "unknown"


class Transition(msgspec.Struct, gc=False):
    """A change of stage: contract §3, field by field; the engine gives them by position.

    Times are microseconds; encode writes RFC 3339.
    """

    transition_id: str
    journey: str
    version: int
    customer_id: str | None
    anonymous_id: str | None
    account_id: str | None
    from_: str | None = msgspec.field(name="from")
    to: str
    from_kind: Kind | None
    to_kind: Kind
    direction: Direction
    rule: str
    reason: str | None
    owner: str | None
    trigger: Trigger
    cause: Cause
    occurred_at: int
    decided_at: int
    entered_from_at: int | None
    dwell_s: float | None
    sequence: int
    first_entry: bool
    entry_number: int
    loop: int
    attributes: dict[str, Any]
    contactable: Contactable
    over_contacted: bool
    locale: str | None
    country: str | None
    timezone: str | None
    late: bool
    test: bool
    replay: bool
    person: str = ""
    """The key of the record; not part of the value."""
    approximate: tuple[str, ...] = ()
    """Which of `attributes` a limit made approximate (its oldest entries are merged)."""
    partial: tuple[str, ...] = ()
    """Which of `attributes` are kept only since a change of version and do not reach back far enough yet."""
    corrects: str | None = None
    replaced_by: str | None = None
    stage_now: str | None = None


class Signal(msgspec.Struct, gc=False):
    """A call to act, raised or cancelled: contract §3."""

    signal_id: str
    signal: str
    status: SignalStatus
    journey: str
    version: int
    customer_id: str | None
    anonymous_id: str | None
    account_id: str | None
    stage: str
    kind: Kind
    owner: str | None
    rule: str
    reason: str | None
    cause: Cause
    occurred_at: int
    decided_at: int
    valid_until: int | None
    sequence: int
    payload: dict[str, Any]
    attributes: dict[str, Any]
    contactable: Contactable
    over_contacted: bool
    locale: str | None
    country: str | None
    timezone: str | None
    late: bool
    test: bool
    replay: bool
    person: str = ""
    approximate: tuple[str, ...] = ()
    """Which of `attributes` a limit made approximate (its oldest entries are merged)."""
    partial: tuple[str, ...] = ()
    """Which of `attributes` are kept only since a change of version and do not reach back far enough yet."""
    corrects: str | None = None


class StageNow(msgspec.Struct, gc=False):
    """The stage of one customer in one journey now; `stage` None is the tombstone of a forgotten person."""

    person: str
    journey: str
    version: int
    customer_id: str | None
    anonymous_id: str | None
    account_id: str | None
    stage: str | None
    kind: Kind | None
    owner: str | None
    entered_at: int
    sequence: int
    transition_id: str | None
    attributes: dict[str, Any]
    test: bool
    replay: bool
    left: str | None = None
    """The stage that a forgotten person was in; not part of the value."""


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that could not be used, as it came, and where it came from."""

    reason: Reason
    detail: str
    topic: str
    partition: int
    offset: int
    timestamp: int
    """Broker time of the source record, microseconds."""
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    """Kafka allows a header without a value."""
    derived: bool = False
    """Not the source record itself, but an event that intake derived from it."""


class Out(msgspec.Struct, frozen=True, gc=False):
    """A record ready for Kafka. `partition_key` is what the partition is chosen by."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    partition_key: bytes | None


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(at: int) -> str:
    """Write a time as `2026-01-01T00:00:00Z`, with six decimals only where it has a fraction."""
    text = (_EPOCH + timedelta(microseconds=at)).isoformat()
    return text[:-6] + "Z"


def micros(moment: datetime) -> int:
    """Turn an aware datetime into microseconds since the epoch, exactly."""
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds
