"""One customer's state in names instead of positions, for people and for programs that explain.

In: a program, a `Customer` as `Partition.customer` gives it, and the time at which to read what moves with
time (windows, ages). Out: `CustomerView`: frozen, nothing of it changes with the customer. Only looking:
nothing here is called while events are applied.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from journey_stream.engine.kept import own
from journey_stream.engine.profile import contactable
from journey_stream.engine.program import Program
from journey_stream.engine.records import anonymous_id, customer_id, still_valid
from journey_stream.engine.state import NOWHERE, Customer
from journey_stream.engine.tables import JourneyTable
from journey_stream.engine.timers import forgotten_at
from journey_stream.values import NEVER, Contactable, Kind


class JourneyView(msgspec.Struct, frozen=True):
    """Where the customer is in one journey."""

    journey: str
    version: int
    stage: str | None
    """None: not entered yet."""
    kind: Kind | None
    owner: str | None
    since: int
    sequence: int
    """Number of the last record published."""
    entries: dict[str, int]
    """Stage to how often it was entered."""
    loops: int
    attributes: dict[str, Any]
    """Every attribute of the definition; None is unknown."""
    approximate: tuple[str, ...]
    """Which of those that travel with records a limit made approximate."""


class TimerView(msgspec.Struct, frozen=True):
    """A deadline ahead."""

    journey: str
    rule: str
    raises: bool
    """A signal; else a transition."""
    by: str | None
    """The id it is for, when its rule keeps one timer per id."""
    due: int
    counts: bool
    """Whether it counts in the stage of now; else it waits for one in which it does."""


class SignalView(msgspec.Struct, frozen=True):
    """A signal that was raised and can still be cancelled."""

    journey: str
    rule: str
    signal_id: str
    by: str | None
    until: int | None


class CustomerView(msgspec.Struct, frozen=True):
    """Everything known of a customer. Times are microseconds since the epoch."""

    person: str
    customer_id: str | None
    anonymous_id: str | None
    account_id: str | None
    locale: str | None
    country: str | None
    timezone: str | None
    test: bool
    contactable: Contactable
    latest: int
    """The latest time applied: of an event, or of a timer that fired."""
    active: int
    """When the customer last acted."""
    forgotten_at: int | None
    """When the person is forgotten if nothing comes from them; None is never."""
    journeys: tuple[JourneyView, ...]
    timers: tuple[TimerView, ...]
    """Those that count first, each in the order they are due."""
    signals: tuple[SignalView, ...]


def view(program: Program, c: Customer, at: int) -> CustomerView:
    """Tell everything known of a customer, as of a time (microseconds)."""
    forgotten = forgotten_at(program, c)
    timers = sorted(_timers(program, c), key=lambda t: (not t.counts, t.due, t.journey, t.rule, t.by or ""))
    return CustomerView(
        person=c.person,
        customer_id=customer_id(c),
        anonymous_id=anonymous_id(c),
        account_id=c.account_id,
        locale=c.locale,
        country=c.country,
        timezone=c.timezone,
        test=c.test,
        contactable=contactable(c.consent),
        latest=c.latest,
        active=c.active,
        forgotten_at=None if forgotten == NEVER else forgotten,
        journeys=tuple(_journeys(program, c, at)),
        timers=tuple(timers),
        signals=tuple(_signals(program, c, at)),
    )


def _journeys(program: Program, c: Customer, at: int) -> Iterator[JourneyView]:
    for j, table in enumerate(program.journeys):
        stage = c.stages[j]
        there = stage != NOWHERE
        if not there and _elsewhere(table, c):
            continue
        yield JourneyView(
            journey=table.id,
            version=table.version,
            stage=table.stages[stage] if there else None,
            kind=table.kinds[stage] if there else None,
            owner=table.owners[stage] if there else None,
            since=c.entered[j],
            sequence=c.sequences[j],
            entries={table.stages[s]: n for s, n in sorted((c.entries[j] or {}).items())},
            loops=c.loops[j],
            attributes={name: own(read(c, at)) for name, read in table.values.items()},
            approximate=table.approximate(c, at),
        )


def _elsewhere(table: JourneyTable, c: Customer) -> bool:
    """Whether it is another version of the journey that the customer is in, or would enter."""
    if c.stages[table.index] != NOWHERE:
        return False
    return not table.entered_by_newcomers or any(c.stages[other] != NOWHERE for other in table.others)


def _timers(program: Program, c: Customer) -> Iterator[TimerView]:
    for k, held in c.armed.items():
        timer = program.timers[k]
        j = timer.journey
        table = program.journeys[j]
        if _elsewhere(table, c):
            continue
        journey, rule = table.id, timer.key.split("/", 2)[2]
        counts = timer.live[c.stages[j]]
        floor = c.entered[j] + timer.min_dwell
        for by, due in held.items() if isinstance(held, dict) else [(None, held)]:
            when = max(due, floor) if counts else due
            yield TimerView(journey, rule, timer.call is not None, by, when, counts)


def _signals(program: Program, c: Customer, at: int) -> Iterator[SignalView]:
    for slot, entries in sorted(still_valid(c.raised, at).items()):
        journey, _, rule = program.layout.signals[slot].split("/", 2)
        for until, named, by in entries:
            yield SignalView(journey.partition("@")[0], rule, named.hex(), by, until)
