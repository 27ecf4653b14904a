"""Where a customer is, how they came there, what lies ahead, and what each way out still asks.

In: journeys, their program (compiled with `Conditions`), a customer's state, the records published of them, a
time. Out: an `Explanation`, which is plain values: times are RFC 3339, unknown values are None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from journey_stream.engine.program import Program
from journey_stream.engine.state import Customer
from journey_stream.engine.view import JourneyView, view
from journey_stream.engine.why import Due, deadlines
from journey_stream.explain.conditions import Condition, Conditions
from journey_stream.journeys import phrases
from journey_stream.journeys.model import Absence, Journey, TransitionRule, versioned
from journey_stream.journeys.places import WHEN, GuardPlace, rule_kind
from journey_stream.net import net
from journey_stream.values import Signal, Transition, rfc3339
from journey_stream.wire import value_of

Value = Mapping[str, Any]


class Moment(msgspec.Struct, frozen=True):
    """One record of the timeline."""

    at: str
    journey: str
    rule: str
    says: str
    """`prospect -> first_time_buyer`, or `raised defection_risk`."""
    reason: str | None
    cause: str
    """`order_completed e17`, or `timer`."""
    values: dict[str, Any]
    """What the rule's guard names, as far as the record carries it; of a signal its payload."""


class Deadline(msgspec.Struct, frozen=True):
    """Something that happens by itself when its time comes."""

    due: str
    rule: str
    sort: str
    """transition or signal"""
    by: str | None
    says: str
    """`-> lapsed_buyer`, or the signal's name."""
    stopped_by: tuple[str, ...]
    """Event types that start it anew or stop it."""
    conditions: tuple[Condition, ...] = ()
    """The parts of its guard, as they will be when it is due if nothing comes."""


class WayOut(msgspec.Struct, frozen=True):
    """A transition rule of the present stage, and what it asks."""

    rule: str
    to: str
    trigger: str
    waits_for: tuple[str, ...]
    """Event types, one of which has to come; empty for a timer that runs."""
    due: str | None
    """When its timer is due."""
    conditions: tuple[Condition, ...]
    """The parts of its guard as they are now; of a timer, as they will be when due if nothing comes."""
    earliest: str | None
    """When it can hold at the soonest, because of `min_dwell`."""
    before: str | None
    """The next time at which a timer may take the customer out of the stage, if nothing comes."""


class JourneyNow(msgspec.Struct, frozen=True):
    """One journey."""

    journey: str
    version: int
    stage: str
    kind: str
    owner: str | None
    since: str
    entered_by: Moment | None
    """None when that record is not at hand."""
    attributes: dict[str, Any]
    deadlines: tuple[Deadline, ...]
    ways_out: tuple[WayOut, ...]


class Explanation(msgspec.Struct, frozen=True):
    """One customer."""

    person: str
    at: str
    known: bool
    """Whether there is anything known at all."""
    journeys: tuple[JourneyNow, ...]
    timeline: tuple[Moment, ...]
    """Net records, oldest first."""
    events: int | None = None
    """How many events of the customer were read; None when explained from state."""


def explain(
    journeys: Sequence[Journey],
    program: Program,
    conditions: Conditions,
    person: str,
    customer: Customer | None,
    records: Iterable[Transition | Signal | Value],
    at: int,
    *,
    events: int | None = None,
) -> Explanation:
    """Explain one customer.

    Args:
        journeys: the definitions, every version that runs.
        program: compiled from them with `conditions` as its watch.
        conditions: see there.
        person: the key of the customer.
        customer: the state, None for nobody.
        records: what was published of them, as structs or JSON values, in any order.
        at: the time to explain for, microseconds.
        events: how many events were read, when there were any.
    """
    values = net([_value(record) for record in records])
    values.sort(key=lambda value: (value["occurred_at"], value["journey"], value["sequence"]))
    by_name = {journey.name: journey for journey in journeys}
    moments = tuple(
        _moment(value, by_name.get(versioned(value["journey"], value["version"]))) for value in values
    )
    now: list[JourneyNow] = []
    if customer is not None:
        for found in view(program, customer, at).journeys:
            journey = by_name.get(versioned(found.journey, found.version))
            if journey is not None and found.stage is not None:
                entries = [
                    moment
                    for moment, value in zip(moments, values, strict=True)
                    if value["journey"] == journey.id and "to" in value
                ]
                now.append(_journey(journey, program, conditions, customer, found, entries[-1:], at))
    return Explanation(person, rfc3339(at), customer is not None, tuple(now), moments, events)


def _value(record: Transition | Signal | Value) -> Value:
    if isinstance(record, Transition | Signal):
        found: Value = msgspec.to_builtins(value_of(record))
        return found
    data = record.get("data")
    return data if isinstance(data, Mapping) else record


def _moment(value: Value, journey: Journey | None) -> Moment:
    cause = value["cause"]
    said = (
        f"{value['status']} {value['signal']}"
        if "signal" in value
        else f"{value['from'] or '(new)'} -> {value['to']}"
    )
    named = f"{cause['type']} {cause['event_id']}" if cause["event_id"] else cause["type"]
    values = dict(value.get("payload") or _named(value, journey))
    return Moment(value["occurred_at"], value["journey"], value["rule"], said, value["reason"], named, values)


def _named(value: Value, journey: Journey | None) -> dict[str, Any]:
    """The attributes in the record that its rule's guard (or an attribute derived for it) names."""
    rule = None if journey is None else next((r for r in journey.transitions if r.id == value["rule"]), None)
    if journey is None or rule is None or rule.when is None:
        return {}
    names = list(rule.when.names())
    for name in names:
        attribute = journey.attributes.get(name)
        if attribute is not None and attribute.value is not None:
            names += [each for each in attribute.value.names() if each not in names]
    return {name: held for name, held in value["attributes"].items() if name in names}


def _journey(
    journey: Journey,
    program: Program,
    conditions: Conditions,
    c: Customer,
    found: JourneyView,
    entries: Sequence[Moment],
    at: int,
) -> JourneyNow:
    assert found.stage is not None
    dues = deadlines(journey, program, c)
    return JourneyNow(
        journey.id,
        journey.version,
        found.stage,
        found.kind or "",
        found.owner,
        rfc3339(found.since),
        entries[-1] if entries else None,
        found.attributes,
        tuple(_deadline(journey, conditions, due, found.stage, c) for due in dues),
        tuple(
            _way_out(journey, conditions, rule, found, c, dues, at)
            for rule in journey.transitions
            if found.stage in rule.from_
        ),
    )


def _deadline(journey: Journey, conditions: Conditions, due: Due, stage: str, c: Customer) -> Deadline:
    rule = due.rule
    absence = rule.trigger
    assert isinstance(absence, Absence)
    since = () if absence.since == "stage" else absence.since
    if isinstance(rule, TransitionRule):
        says = f"-> {phrases.target(journey, rule.to, stage)}"
    else:
        says = rule.signal or rule.id
    stopped_by = tuple(dict.fromkeys((*since, *absence.unless)))
    place = GuardPlace(journey.name, rule_kind(rule), rule.id, WHEN)
    asked = conditions.ask(journey, place, c, due.at)
    return Deadline(rfc3339(due.at), rule.id, rule_kind(rule), due.id, says, stopped_by, asked)


def _way_out(
    journey: Journey,
    conditions: Conditions,
    rule: TransitionRule,
    found: JourneyView,
    c: Customer,
    dues: Sequence[Due],
    at: int,
) -> WayOut:
    assert found.stage is not None
    own = next((due.at for due in dues if due.rule is rule), None)
    ahead = [due.at for due in dues if isinstance(due.rule, TransitionRule) and due.at > at]
    earliest = found.since + rule.min_dwell
    return WayOut(
        rule.id,
        phrases.target(journey, rule.to, found.stage),
        phrases.trigger(rule.trigger),
        () if own is not None else phrases.awaited(rule.trigger),
        None if own is None else rfc3339(own),
        conditions.ask(journey, GuardPlace(journey.name, "transition", rule.id, WHEN), c, own or at),
        rfc3339(earliest) if rule.min_dwell and earliest > at else None,
        rfc3339(min(ahead)) if ahead else None,
    )
