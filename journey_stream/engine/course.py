"""The course of one customer: events and due timers one after the other, without queue and memory around it.

In: a customer (None: nobody is known), what comes next. Out: the customer after it (None: forgotten, or still
nobody), records in the run. What is rebuilt or recomputed goes this way; it is also what `partition` does,
step by step, while time goes by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from journey_stream.engine.ids import fingerprint
from journey_stream.engine.imported import IMPORT, seed
from journey_stream.engine.program import Program
from journey_stream.engine.seen import SIZE, remember
from journey_stream.engine.stages import run_on, tombstones
from journey_stream.engine.state import Customer
from journey_stream.engine.step import apply_event
from journey_stream.engine.tables import Run
from journey_stream.engine.timers import FORGET, Due, earliest, fire
from journey_stream.values import DAY, Event

Log: TypeAlias = list[tuple[Event | None, Due | None, bool, int]]
"""What was applied, in this order: (event, None, late, applied at), or (None, timer that fired, whether
publication numbers run on if it forgot the person, its due)."""


def take(program: Program, c: Customer, event: Event, at: int, mark: bytes, run: Run) -> None:
    """Let one customer, whose timers have fired, take an event in at `at`, or at the latest applied time."""
    t = at if at > c.latest else c.latest
    run.begin(event)
    if event.type == IMPORT:
        seed(program, c, event, t, run, from_nothing)
    options, days, seen = program.options, c.days, c.seen
    if days and days[-2] == t // DAY and len(seen) < options.dedup_limit * SIZE:
        # Most often one more of today: as `remember` does it, without the call.
        days[-1] += 1
        c.seen = seen + mark
    else:
        remember(c, mark, t, options.dedup_window, options.dedup_limit)
    apply_event(program, c, event, t, run)
    c.latest = t


def meet(
    program: Program,
    person: str,
    c: Customer | None,
    event: Event,
    at: int,
    run: Run,
    numbers: list[int] | None = None,
) -> Customer | None:
    """Let whoever is there take an event in; only an act of the customer makes somebody of nobody.

    Args:
        program: compiled journeys.
        person: whose event it is.
        c: the customer, None for nobody.
        event: the event.
        at: when it counts: its own time, or later if it was too late for that.
        run: takes the records.
        numbers: the last publication numbers of somebody new who was known before.
    """
    if c is None:
        if not introduces(event):
            return None
        c = program.newcomer(person, event.customer_id is not None, at)
        if numbers is not None:
            c.sequences = numbers.copy()
    take(program, c, event, at, fingerprint(event.event_id), run)
    return c


def introduces(event: Event) -> bool:
    """Whether an event makes somebody of nobody: an act of the customer, or the import of former ones."""
    return event.actor == "customer" or event.type == IMPORT


def from_nothing(
    program: Program, person: str, events: Sequence[Event], until: int, run: Run
) -> Customer | None:
    """Run events in order over a person not known yet, and the timers that are due before `until`."""
    c: Customer | None = None
    for event in events:
        c = meet(program, person, settle(program, c, event.at - 1, run), event, event.at, run)
    return settle(program, c, until - 1, run)


def settle(program: Program, c: Customer | None, until: int, run: Run) -> Customer | None:
    """Fire what is due up to `until` (inclusive)."""
    while c is not None and c.due <= until:
        due = earliest(program, c)
        c.due = due[0]
        if due[0] > until:
            break
        if due[1] == FORGET:
            run.records += tombstones(program, c)
            return None
        fire(program, c, due, run)
        c.due = earliest(program, c)[0]
    return c


def again(
    program: Program, person: str, c: Customer | None, log: Log, run: Run, numbers: list[int] | None = None
) -> tuple[Customer | None, list[int] | None]:
    """Go through a log once more; also gives the publication numbers of somebody who is nobody then."""
    for event, due, flag, at in log:
        if event is not None:
            run.late = flag
            if c is not None and c.due < event.at:
                c.due = earliest(program, c)[0]
            c = meet(program, person, c, event, at, run, numbers)
        elif c is not None and due is not None:
            if due[1] == FORGET:
                numbers = run_on(program, c.sequences) if flag else None
                c = None
            else:
                fire(program, c, due, run)
                c.due = earliest(program, c)[0]
    return c, numbers if c is None else None
