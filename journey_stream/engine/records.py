"""Moves and calls: how a stage changes, and what becomes of it outside.

In: a customer, the journey's table, a rule that holds. Out: the customer in its new stage, and the record of
it (contract §3) in the run. Attributes are those at the decision: `over: stage` ones still speak of the
stage left.
"""

from __future__ import annotations

from typing import Any

from journey_stream.engine.ids import signal_id, transition_id
from journey_stream.engine.partial import partial_names
from journey_stream.engine.profile import contactable, over_contacted
from journey_stream.engine.state import NOWHERE, Customer
from journey_stream.engine.tables import About, Attributes, Call, JourneyTable, Ruling, Run, Timer
from journey_stream.values import NEVER, SECOND, Cause, Direction, Signal, SignalStatus, Transition

START = Ruling("start", None, None, None)
TIMER = "timer"
RAISED_KEPT = 100
"""Signals per rule that can still be cancelled; older ones can no more."""

TimerKey = tuple[int, "str | None"]
Said = tuple[str, SignalStatus, "int | None", "str | None", dict[str, Any], bool]
"""Of a signal: id, status, valid until, reason, payload, raised (or taken back) by an event."""


def customer_id(c: Customer) -> str | None:
    """The customer's id, None for somebody anonymous."""
    return c.person if c.known else None


def anonymous_id(c: Customer) -> str | None:
    """The anonymous id: the person's own, or the last one a known customer came with."""
    return c.anonymous_id if c.known else c.person.removeprefix("anon:")


def about(c: Customer, t: int, run: Run, timer: TimerKey | None) -> About:
    """Put together what all records of an event (or timer) say alike: nothing in it changes between them."""
    e = run.event
    key: str | TimerKey
    if timer is None and e is not None:
        cause, key = Cause(e.event_id, e.type, e.at), e.event_id
    else:
        due = t if timer is None else timer[0]
        cause, key = Cause(None, TIMER, due), timer or (due, None)
    anonymous, contacted = anonymous_id(c), over_contacted(c, t)
    run.about = About(
        customer_id(c),
        anonymous,
        contactable(c.consent),
        contacted,
        cause,
        key,
        (c.consent, contacted, anonymous, c.account_id, c.locale, c.country, c.timezone, c.test),
        e is not None and e.replay,
    )
    return run.about


def attributes_of(c: Customer, journey: JourneyTable, t: int) -> dict[str, Any]:
    """Read the attributes that travel with the journey's records; nothing in it changes later."""
    return journey.attributes(c, t)


def read_attributes(c: Customer, journey: JourneyTable, t: int, run: Run) -> Attributes:
    """Read what travels with the journey's records, and what of it is less than it seems."""
    partial = () if c.young is None else partial_names(c, journey, t)
    found = run.read[journey.index] = (journey.attributes(c, t), journey.approximate(c, t), partial)
    return found


def move(
    c: Customer, journey: JourneyTable, target: int, ruling: Ruling, t: int, run: Run, timer: TimerKey | None
) -> None:
    """Enter a stage and record it. `timer` is the due (and id) of the timer that moves, None for an event."""
    j = journey.index
    left = c.stages[j]
    if c.earlier is None:
        c.earlier = c.stages.copy()
    reason = ruling.reason
    if ruling.reason_from is not None:
        reason = ruling.reason_from(c, run.event, t)
    shared = run.about or about(c, t, run, timer)
    attributes, approximate, partial = run.read.get(j) or read_attributes(c, journey, t, run)
    entries = c.entries[j]
    if entries is None:
        entries = c.entries[j] = {}
    number = entries[target] = entries.get(target, 0) + 1
    direction: Direction = "forward"
    entered_at: int | None = None
    dwell: float | None = None
    if left != NOWHERE:
        entered_at = c.entered[j]
        dwell = (t - entered_at) / SECOND
        step = journey.ranks[target] - journey.ranks[left]
        direction = "forward" if step > 0 else "backward" if step < 0 else "lateral"
        if step < 0:
            c.loops[j] += 1
    c.sequences[j] += 1
    from_, to = None if left == NOWHERE else journey.stages[left], journey.stages[target]
    said = (reason, entered_at, number, c.loops[j], attributes, approximate, shared.profile, *partial)
    named = transition_id(journey.id, journey.version, c.person, from_, to, ruling.id, shared.key, t, said)
    # By position: by name it takes six times as long.
    run.records.append(
        Transition(
            named,
            journey.id,
            journey.version,
            shared.customer_id,
            shared.anonymous_id,
            c.account_id,
            from_,
            to,
            None if left == NOWHERE else journey.kinds[left],
            journey.kinds[target],
            direction,
            ruling.id,
            reason,
            ruling.owner if ruling.owner is not None else journey.owners[target],
            "event" if timer is None else "timer",
            shared.cause,
            t,
            run.now,
            entered_at,
            dwell,
            c.sequences[j],
            number == 1,
            number,
            c.loops[j],
            attributes,
            shared.contactable,
            shared.over_contacted,
            c.locale,
            c.country,
            c.timezone,
            run.late and timer is None,
            c.test,
            shared.replay,
            c.person,
            approximate,
            partial,
        )
    )
    if not journey.steady:
        del run.read[j]
    _enter(c, journey, left, target, t, run)


def _enter(c: Customer, journey: JourneyTable, left: int, target: int, t: int, run: Run) -> None:
    j = journey.index
    entry = journey.entries[target]
    c.stages[j] = target
    c.entered[j] = t
    attrs, armed = c.attrs, c.armed
    if left != NOWHERE:
        # The event that makes somebody enter `start` is the first in it: what it left in the slots stays.
        for slot, empty in journey.stage_slots:
            attrs[slot] = empty
        for memory, inside in entry.remembers:
            if left not in inside:
                if c.memories is None:
                    c.memories = {}
                c.memories[memory] = left
    for k in entry.disarms:
        armed.pop(k, None)
    _arm(c, entry.arms, t, run)
    due = c.due
    for timer in entry.wakes:
        held = armed.get(timer.index)
        if held is not None:
            at = held if type(held) is int else min(held.values(), default=NEVER)
            if at < due:
                due = min(due, max(at, t + timer.min_dwell))
    c.due = due


def _arm(c: Customer, timers: tuple[Timer, ...], t: int, run: Run) -> None:
    armed = c.armed
    for timer in timers:
        after = timer.after
        wait = after if isinstance(after, int) else after_of(after(c, run.event, t))
        if wait is None:
            armed.pop(timer.index, None)
        else:
            armed[timer.index] = t + wait


def after_of(seconds: Any) -> int | None:
    """Turn the seconds that an `after` says into microseconds; unknown, or out of reach, arms nothing."""
    if seconds is None or not -1e12 < seconds < 1e12:
        return None
    return max(0, int(seconds * SECOND + 0.5))


def call(
    c: Customer,
    journey: JourneyTable,
    rule: Call,
    t: int,
    run: Run,
    timer: TimerKey | None,
    identity: str | None,
) -> None:
    """Raise a signal, unless its rate limit says enough."""
    if rule.every:
        rates = c.rates
        if rates is None:
            rates = c.rates = {}
        recent = [at for at in rates.get(rule.slot, ()) if at > t - rule.every]
        if len(recent) >= rule.at_most:
            rates[rule.slot] = recent
            return
        recent.append(t)
        rates[rule.slot] = recent
    reason = rule.reason
    if rule.reason_from is not None:
        reason = rule.reason_from(c, run.event, t)
    payload = {}
    for name, read in rule.payload:
        value = read(c, run.event, t)
        # What a record keeps must not change with the customer.
        payload[name] = value.copy() if type(value) is list or type(value) is dict else value
    shared = run.about or about(c, t, run, timer)
    stage = journey.stages[c.stages[journey.index]]
    attributes, approximate, partial = run.read.get(journey.index) or read_attributes(c, journey, t, run)
    told = (reason, payload, attributes, approximate, shared.profile, *partial)
    named = signal_id(journey.id, journey.version, c.person, stage, rule.id, shared.key, t, told)
    until = None if rule.expires is None else t + rule.expires
    if rule.cancellable:
        raised = c.raised = still_valid(c.raised, t)
        raised.setdefault(rule.slot, []).append([until, bytes.fromhex(named), identity])
        del raised[rule.slot][:-RAISED_KEPT]
    _record(c, journey, rule, t, run, shared, (named, "raised", until, reason, payload, timer is None))


def still_valid(raised: dict[int, list[list[Any]]] | None, t: int) -> dict[int, list[list[Any]]]:
    """Drop the signals whose time is over: nothing takes them back any more."""
    valid = {}
    for slot, entries in (raised or {}).items():
        kept = [entry for entry in entries if entry[0] is None or entry[0] > t]
        if kept:
            valid[slot] = kept
    return valid


def cancel(
    c: Customer, journey: JourneyTable, rule: Call, t: int, run: Run, identity: str | None, *, all_: bool
) -> None:
    """Take back what was raised (for this id) and is still valid."""
    raised = None if c.raised is None else c.raised.get(rule.slot)
    if not raised or c.raised is None:
        return
    kept = []
    for entry in raised:
        if entry[0] is not None and entry[0] <= t:
            continue
        if all_ or entry[2] == identity:
            shared = run.about or about(c, t, run, None)
            said: Said = (entry[1].hex(), "cancelled", entry[0], rule.reason, {}, True)
            _record(c, journey, rule, t, run, shared, said)
        else:
            kept.append(entry)
    if kept:
        c.raised[rule.slot] = kept
    else:
        del c.raised[rule.slot]


def _record(
    c: Customer,
    journey: JourneyTable,
    rule: Call,
    t: int,
    run: Run,
    shared: About,
    said: Said,
) -> None:
    named, status, until, reason, payload, by_event = said
    j = journey.index
    stage = c.stages[j]
    c.sequences[j] += 1
    attributes, approximate, partial = run.read.get(j) or read_attributes(c, journey, t, run)
    run.records.append(
        Signal(
            named,
            rule.signal,
            status,
            journey.id,
            journey.version,
            shared.customer_id,
            shared.anonymous_id,
            c.account_id,
            journey.stages[stage],
            rule.kind or journey.kinds[stage],
            rule.owner if rule.owner is not None else journey.owners[stage],
            rule.id,
            reason,
            shared.cause,
            t,
            run.now,
            until,
            c.sequences[j],
            payload,
            attributes,
            shared.contactable,
            shared.over_contacted,
            c.locale,
            c.country,
            c.timezone,
            run.late and by_event,
            c.test,
            shared.replay,
            c.person,
            approximate,
            partial,
        )
    )
