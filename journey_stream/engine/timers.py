"""What is due first for a customer, and firing it.

In: a customer, a time up to which timers may fire. Out: the customer after them, records in the run. A timer
counts while its journey is in one of its stages, from max(due, entered + min_dwell) on; elsewhere it waits.
Firing spends it, whether its guard holds or not. Forgetting a person is the last thing due at its time.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from journey_stream.engine.program import Program
from journey_stream.engine.records import call
from journey_stream.engine.state import Customer
from journey_stream.engine.step import first_move, raise_first_to_last, take_before, unknown
from journey_stream.engine.tables import Run
from journey_stream.values import NEVER

FORGET: Final = 2**31
"""Stands for a timer in `Due`: after all real ones."""

Due: TypeAlias = tuple[int, int, str | None]
"""(when it counts, timer, id): in the order of contract §2."""


def earliest(program: Program, c: Customer) -> Due:
    """Find what is due first; (NEVER, ...) if nothing is."""
    if c.first is not None:
        return c.first
    stages, timers = c.stages, program.timers
    when, first, identity = forgotten_at(program, c), FORGET, None
    for k, held in c.armed.items():
        single = type(held) is int
        if single and held > when:
            continue  # most are: whatever its stage, this one is not the first
        timer = timers[k]
        j = timer.journey
        if not timer.live[stages[j]]:
            continue
        floor = c.entered[j] + timer.min_dwell
        if single:
            due = held if held > floor else floor
            if due < when or (due == when and k < first):
                when, first, identity = due, k, None
        else:
            for name, at in held.items():
                due = at if at > floor else floor
                if due < when or (due == when and (k < first or (k == first and name < (identity or "")))):
                    when, first, identity = due, k, name
    c.first = (when, first, identity)
    return c.first


def forgotten_at(program: Program, c: Customer) -> int:
    """When the person is forgotten if nothing comes from them; NEVER if they are not."""
    forget = program.forget_known if c.known else program.forget_anonymous
    return NEVER if forget is None else c.active + forget


def fire(program: Program, c: Customer, due: Due, run: Run) -> None:
    """Fire one timer: at most one transition, then the signals of the stage it enters; or one signal."""
    t, k, identity = due
    c.first = None
    timer = program.timers[k]
    journey = program.journeys[timer.journey]
    held = c.armed[k]
    if type(held) is int:
        at = held
        del c.armed[k]
    else:
        at = held.pop(identity)
        if not held:
            del c.armed[k]
    run.fired += 1
    run.begin(None)
    c.id = identity
    if t > c.latest:
        c.latest = t
    if timer.before:
        take_before(program, c, timer.before, t)
    key = (at, identity)
    if timer.call is None:
        rule = timer.moves[c.stages[timer.journey]]
        if rule is not None and first_move(c, journey, (rule,), None, t, None, run, key):
            signals = journey.entries[c.stages[timer.journey]].signals
            if signals:
                raise_first_to_last(c, journey, signals, None, t, None, run, key)
    elif timer.when is None or (holds := timer.when(c, None, t)) is True:
        call(c, journey, timer.call, t, run, key, identity)
    elif holds is None:
        unknown(run, journey.id, timer.call.id)
    c.before = c.earlier = None
