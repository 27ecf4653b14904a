"""The JSON values of records out, field by field as contract §3, times as RFC 3339.

Entering: `Transition`, `Signal`, `StageNow`. Leaving: the value structs, ready for `msgspec.json`: what the
code sends and what the JSON Schemas in `schemas/records` are made from, so that they cannot differ.
A signal and its cancellation share `signal_id`; `id` (`net.record_id`) names one record.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import msgspec

from journey_stream.events.envelope import WireTime
from journey_stream.net import record_id
from journey_stream.values import (
    Consent,
    Direction,
    Kind,
    Signal,
    SignalStatus,
    StageNow,
    Transition,
    Trigger,
)

Record: TypeAlias = Transition | Signal | StageNow


class CauseValue(msgspec.Struct, gc=False):
    """What made the record: an event, or a timer (`type` is `timer`, `event_id` null)."""

    event_id: str | None
    type: str
    occurred_at: WireTime


class ContactableValue(msgspec.Struct, gc=False):
    """May we write to this person, per channel?"""

    # For the schemas: a `Contactable` is written alike, and saves a copy per record.
    email: Consent
    sms: Consent
    push: Consent
    call: Consent
    post: Consent


class TransitionValue(msgspec.Struct, gc=False):
    """One customer's change of stage in one journey."""

    id: str
    record_type: Literal["transition"]
    time: WireTime
    schema_version: Literal[1]
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
    cause: CauseValue
    occurred_at: WireTime
    decided_at: WireTime
    entered_from_at: WireTime | None
    dwell_s: float | None
    sequence: int
    first_entry: bool
    entry_number: int
    loop: int
    attributes: dict[str, Any]
    approximate: tuple[str, ...]
    partial: tuple[str, ...]
    contactable: ContactableValue
    over_contacted: bool
    locale: str | None
    country: str | None
    timezone: str | None
    late: bool
    test: bool
    replay: bool
    corrects: str | None
    replaced_by: str | None
    stage_now: str | None


class SignalValue(msgspec.Struct, gc=False):
    """A call to act on one customer, raised or cancelled."""

    id: str
    record_type: Literal["signal"]
    time: WireTime
    schema_version: Literal[1]
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
    cause: CauseValue
    occurred_at: WireTime
    decided_at: WireTime
    valid_until: WireTime | None
    sequence: int
    payload: dict[str, Any]
    attributes: dict[str, Any]
    approximate: tuple[str, ...]
    partial: tuple[str, ...]
    contactable: ContactableValue
    over_contacted: bool
    locale: str | None
    country: str | None
    timezone: str | None
    late: bool
    test: bool
    replay: bool
    corrects: str | None


class StageValue(msgspec.Struct, gc=False):
    """The stage of one customer in one journey now."""

    id: str
    record_type: Literal["stage"]
    time: WireTime
    schema_version: Literal[1]
    journey: str
    version: int
    customer_id: str | None
    anonymous_id: str | None
    account_id: str | None
    stage: str
    kind: Kind
    owner: str | None
    entered_at: WireTime
    sequence: int
    transition_id: str | None
    attributes: dict[str, Any]
    test: bool
    replay: bool


Value: TypeAlias = TransitionValue | SignalValue | StageValue


def value_of(record: Record) -> Value:
    """The JSON value of a record, times as datetimes."""
    if isinstance(record, Transition):
        return transition_value(record)
    return signal_value(record) if isinstance(record, Signal) else stage_value(record)


def stage_value(record: StageNow) -> StageValue:
    """The JSON value of the stage now."""
    if record.stage is None or record.kind is None:
        msg = f"{record.journey}: the tombstone of a forgotten person has no value"
        raise ValueError(msg)
    entered_at = moment(record.entered_at)
    return StageValue(
        _stage_id(record),
        "stage",
        entered_at,
        1,
        record.journey,
        record.version,
        record.customer_id,
        record.anonymous_id,
        record.account_id,
        record.stage,
        record.kind,
        record.owner,
        entered_at,
        record.sequence,
        record.transition_id,
        record.attributes,
        record.test,
        record.replay,
    )


def transition_value(record: Transition) -> TransitionValue:
    """The JSON value of a change of stage."""
    at, decided, cause = record.occurred_at, record.decided_at, record.cause
    occurred_at = moment(at)  # most often the time of the cause and of the decision too
    return TransitionValue(
        record.transition_id,
        "transition",
        occurred_at,
        1,
        record.transition_id,
        record.journey,
        record.version,
        record.customer_id,
        record.anonymous_id,
        record.account_id,
        record.from_,
        record.to,
        record.from_kind,
        record.to_kind,
        record.direction,
        record.rule,
        record.reason,
        record.owner,
        record.trigger,
        CauseValue(
            cause.event_id,
            cause.type,
            occurred_at if cause.occurred_at == at else moment(cause.occurred_at),
        ),
        occurred_at,
        occurred_at if decided == at else moment(decided),
        None if record.entered_from_at is None else moment(record.entered_from_at),
        record.dwell_s,
        record.sequence,
        record.first_entry,
        record.entry_number,
        record.loop,
        record.attributes,
        record.approximate,
        record.partial,
        record.contactable,  # type: ignore[arg-type]  # the same fields, in the same order
        record.over_contacted,
        record.locale,
        record.country,
        record.timezone,
        record.late,
        record.test,
        record.replay,
        record.corrects,
        record.replaced_by,
        record.stage_now,
    )


def signal_value(record: Signal) -> SignalValue:
    """The JSON value of a signal."""
    at, decided, cause = record.occurred_at, record.decided_at, record.cause
    occurred_at = moment(at)  # most often the time of the cause and of the decision too
    return SignalValue(
        record_id(record),
        "signal",
        occurred_at,
        1,
        record.signal_id,
        record.signal,
        record.status,
        record.journey,
        record.version,
        record.customer_id,
        record.anonymous_id,
        record.account_id,
        record.stage,
        record.kind,
        record.owner,
        record.rule,
        record.reason,
        CauseValue(
            cause.event_id,
            cause.type,
            occurred_at if cause.occurred_at == at else moment(cause.occurred_at),
        ),
        occurred_at,
        occurred_at if decided == at else moment(decided),
        None if record.valid_until is None else moment(record.valid_until),
        record.sequence,
        record.payload,
        record.attributes,
        record.approximate,
        record.partial,
        record.contactable,  # type: ignore[arg-type]  # the same fields, in the same order
        record.over_contacted,
        record.locale,
        record.country,
        record.timezone,
        record.late,
        record.test,
        record.replay,
        record.corrects,
    )


def _stage_id(record: StageNow) -> str:
    """Name a stage record after the transition it tells of; without one, after what makes it unique."""
    if record.transition_id is not None:
        return f"stage:{record.transition_id}"
    content = msgspec.msgpack.encode((record.journey, record.version, record.person, record.sequence))
    return f"stage:{hashlib.blake2b(content, digest_size=16).hexdigest()}"


_UTC = dt.UTC
_from_seconds = dt.datetime.fromtimestamp
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=_UTC)
_FLOAT_IS_EXACT = 2**33 * 1_000_000
"""Until the year 2242 a float of seconds is nearer to its microsecond than to any other."""


@lru_cache(maxsize=4_096)
def moment(at: int) -> dt.datetime:
    """Turn microseconds since the epoch into a datetime (msgspec writes it as `values.rfc3339` does).

    Remembered for a while: the records of one event tell the same times.
    """
    if 0 <= at < _FLOAT_IS_EXACT:
        return _from_seconds(at / 1_000_000, _UTC)  # a third of the time that a timedelta takes
    return _EPOCH + dt.timedelta(microseconds=at)
