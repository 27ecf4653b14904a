"""Records out become histories: per journey, where each customer was when, and what is known of orders.

Enters: records out, as `values.Transition`/`Signal`, or as decoded JSON values (bare, or inside a structured
CloudEvent), in any order. Leaves: one `History` per journey, of `net` records only. `measures` works on it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from journey_stream.net import AnyRecord, net
from journey_stream.values import NEVER, Signal, Transition, micros

OPINION = "opinion_given"
CLOSED = "loop_closed"


class Stay(msgspec.Struct, gc=False):
    """One customer in one stage, from entry to exit (NEVER: still there)."""

    person: str
    stage: str
    kind: str
    entered: int
    left: int
    reason: str | None
    """Why the stage was entered."""
    owner: str | None
    forward: bool
    """Entered by a step forward."""


class Purchase(msgspec.Struct, frozen=True, gc=False):
    """Growth of orders and revenue between two records of one customer."""

    person: str
    stage: str
    at: int
    orders: int
    amount: float
    interval: int | None
    """Microseconds since the purchase before."""


class Opinion(msgspec.Struct, frozen=True, gc=False):
    """What a customer let us know, and what about."""

    person: str
    stage: str
    at: int
    sentiment: float
    cause: str


class Raised(msgspec.Struct, frozen=True, gc=False):
    """A signal, net of corrections."""

    person: str
    signal_id: str
    signal: str
    at: int
    stage: str
    owner: str | None
    reason: str | None
    cancelled: bool


class History(msgspec.Struct, gc=False):
    """All that one journey's records tell."""

    journey: str
    stays: dict[str, list[Stay]]
    """Per customer, in the order of time."""
    purchases: list[Purchase]
    opinions: list[Opinion]
    signals: list[Raised]
    closed: dict[str, int]
    """Signal id and the time it was handled, as far as that was told."""

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that anybody entered, in the order of first entry."""
        first: dict[str, int] = {}
        for stay in (stay for stays in self.stays.values() for stay in stays):
            first[stay.stage] = min(stay.entered, first.get(stay.stage, NEVER))
        return tuple(sorted(first, key=lambda stage: first[stage]))

    @property
    def span(self) -> tuple[int, int]:
        """Time of the first and of the last thing known."""
        times = [stay.entered for stays in self.stays.values() for stay in stays]
        times += [signal.at for signal in self.signals] + [purchase.at for purchase in self.purchases]
        return (min(times), max(times)) if times else (0, 0)

    def standing(self, moment: int) -> dict[str, Stay]:
        """Where everybody is at a moment, before what happens then; who has no record yet is not there."""
        there: dict[str, Stay] = {}
        for person, stays in self.stays.items():
            for stay in stays:
                if stay.entered >= moment:
                    break
                there[person] = stay
        return there


# Reading records


class _Line(msgspec.Struct, gc=False):
    """A record of either sort, reduced to what measures need."""

    at: int
    sequence: int
    person: str
    journey: str
    record_id: str
    signal: str | None
    stage: str
    kind: str
    reason: str | None
    owner: str | None
    forward: bool
    status: str
    attributes: Mapping[str, Any]
    payload: Mapping[str, Any]


def read(records: Iterable[AnyRecord], *, tests: bool = False) -> dict[str, History]:
    """Make one history per journey of its records, in any order; without test customers unless asked for."""
    values = [value for record in records if (value := _value(record)) is not None]
    lines = [_line(value) for value in net(values) if tests or not value.get("test")]
    lines.sort(key=lambda line: (line.at, line.person, line.journey, line.sequence))
    histories: dict[str, History] = {}
    last: dict[tuple[str, str], list[Any]] = {}
    cancelled = {line.record_id for line in lines if line.status == "cancelled"}
    for line in lines:
        if line.status == "cancelled":
            continue
        history = histories.get(line.journey)
        if history is None:
            history = histories[line.journey] = History(line.journey, {}, [], [], [], {})
        if line.signal is None:
            _stay(history, line)
        else:
            _signal(history, line, line.record_id in cancelled)
        _growth(history, line, last.setdefault((line.journey, line.person), [0, 0.0, None, line.stage]))
    return histories


def _value(record: AnyRecord) -> Mapping[str, Any] | None:
    """The record's JSON value; None for what is neither transition nor signal."""
    if isinstance(record, Transition | Signal):
        return msgspec.structs.asdict(record) | {"from": getattr(record, "from_", None)}
    data = record.get("data")
    value: Mapping[str, Any] = data if isinstance(data, Mapping) else record
    return value if "to" in value or "signal" in value else None


def _line(value: Mapping[str, Any]) -> _Line:
    signal = value.get("signal")
    anonymous = value.get("anonymous_id")
    return _Line(
        at=_moment(value["occurred_at"]),
        sequence=value["sequence"],
        person=value.get("customer_id") or f"anon:{anonymous}",
        journey=value["journey"],
        record_id=value["signal_id"] if signal else value["transition_id"],
        signal=signal,
        stage=value["stage"] if signal else value["to"],
        kind=value["kind"] if signal else value["to_kind"],
        reason=value.get("reason"),
        owner=value.get("owner"),
        forward=value.get("direction") == "forward",
        status=value.get("status", ""),
        attributes=value.get("attributes") or {},
        payload=value.get("payload") or {},
    )


def _moment(value: Any) -> int:
    if isinstance(value, int):
        return value
    moment = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(value)
    return micros(moment)


def _stay(history: History, line: _Line) -> None:
    stays = history.stays.setdefault(line.person, [])
    if stays:
        stays[-1].left = line.at
    stays.append(
        Stay(line.person, line.stage, line.kind, line.at, NEVER, line.reason, line.owner, line.forward)
    )


def _signal(history: History, line: _Line, cancelled: bool) -> None:
    signal = line.signal or ""
    history.signals.append(
        Raised(line.person, line.record_id, signal, line.at, line.stage, line.owner, line.reason, cancelled)
    )
    sentiment = line.payload.get("sentiment")
    if signal == OPINION and sentiment is not None:
        cause = str(line.payload.get("cause") or line.reason or "unknown")
        history.opinions.append(Opinion(line.person, line.stage, line.at, float(sentiment), cause))
    if signal == CLOSED and line.payload.get("signal_id"):
        history.closed.setdefault(str(line.payload["signal_id"]), line.at)


def _growth(history: History, line: _Line, known: list[Any]) -> None:
    """Compare with the customer's record before: `known` is [orders, revenue, last order's time, stage]."""
    before, known[3] = known[3], line.stage
    orders, revenue = line.attributes.get("orders"), line.attributes.get("revenue")
    if orders is None and revenue is None:
        return
    more = int(orders or 0) - known[0]
    amount = float(revenue or 0.0) - known[1]
    if more == 0 and amount == 0.0:
        return
    stage = line.stage if amount >= 0 else before
    interval = line.at - known[2] if more > 0 and known[2] is not None else None
    history.purchases.append(Purchase(line.person, stage, line.at, more, amount, interval))
    known[0] += more
    known[1] += amount
    if more > 0:
        known[2] = line.at
