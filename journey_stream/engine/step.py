"""One event of one customer: the order of things, once, in one place.

    before   what the customer looked like, where a rule asks for it
    profile  who, where, when last active, consent, messages
    fold     attributes, then timers and sequences
    start    journeys that the customer is not in yet
    move     per journey the first rule in file order that holds
    call     per journey cancellations, then signals, by the stage after

Duplicates, persons nobody knows and timers that were due first are `partition`'s business.
"""

from __future__ import annotations

from typing import TypeAlias

from journey_stream.engine.kept import Read
from journey_stream.engine.profile import update_profile
from journey_stream.engine.program import Program
from journey_stream.engine.records import START, TimerKey, call, cancel, move
from journey_stream.engine.state import NOWHERE, Customer
from journey_stream.engine.tables import (
    NO_MEMORY,
    NO_SEQUENCE,
    Cancel,
    Chance,
    JourneyTable,
    Move,
    Plan,
    Run,
)
from journey_stream.values import Event

Done: TypeAlias = dict[int, str] | None
"""Sequences that the event at hand completed, each with its id."""


def apply_event(  # noqa: C901 (the order of things, in one piece)
    program: Program, c: Customer, e: Event, t: int, run: Run
) -> None:
    """Take one event in at `t`; timers due before have fired."""
    plan = (program.active if e.activity else program.passive).get(e.type) or program.other
    if plan.before:
        take_before(program, c, plan.before, t)
    update_profile(c, e, t, program.silences)
    if plan.profile is not None:
        plan.profile(c, e, t)
    if plan.fold is not None:
        plan.fold(c, e, t)
    done: Done = None
    for sequence, advance in plan.sequences:
        completed = advance(c, e, t)
        if completed is not None:
            if done is None:
                done = {}
            done[sequence] = completed
    stages = c.stages
    entered: list[int] | None = None
    if NOWHERE in stages:
        entered = _start(program, c, t, run)
    for j, by_stage in plan.moves:
        if by_stage[stages[j]] and first_move(c, program.journeys[j], by_stage[stages[j]], e, t, done, run):
            if entered is None:
                entered = [j]
            elif j not in entered:
                entered.append(j)
    if entered is not None:
        _calls_after_moves(plan, c, e, t, done, entered, run)
    elif plan.touched:
        _calls(program, plan, c, e, t, done, run)
    c.before = c.earlier = c.first = None


def take_before(program: Program, c: Customer, readers: tuple[tuple[int, Read, bool], ...], t: int) -> None:
    """Keep the values that some rule wants to see as they were."""
    before = c.before = [None] * program.befores
    for place, read, mutable in readers:
        value = read(c, t)
        before[place] = value.copy() if mutable else value


def _start(program: Program, c: Customer, t: int, run: Run) -> list[int] | None:
    entered = []
    for journey in program.journeys:
        if c.stages[journey.index] != NOWHERE or not journey.entered_by_newcomers:
            continue
        if all(c.stages[other] == NOWHERE for other in journey.others):
            move(c, journey, journey.start, START, t, run, None)
            entered.append(journey.index)
    return entered or None


def first_move(
    c: Customer,
    journey: JourneyTable,
    moves: tuple[Move, ...],
    e: Event | None,
    t: int,
    done: Done,
    run: Run,
    timer: TimerKey | None = None,
) -> bool:
    """Make the first move that holds, in file order; tells whether one did."""
    j = journey.index
    for sequence, min_dwell, where, when, target, memory, reenter, ruling in moves:
        if sequence != NO_SEQUENCE:
            if done is None or sequence not in done:
                continue
            c.id = done[sequence]
        if min_dwell and t - c.entered[j] < min_dwell:
            continue
        if where is not None and (holds := where(c, e, t)) is not True:
            if holds is None:
                unknown(run, journey.id, ruling.id)
            continue
        if when is not None and (holds := when(c, e, t)) is not True:
            if holds is None:
                unknown(run, journey.id, ruling.id)
            continue
        if memory != NO_MEMORY and c.memories is not None:
            target = c.memories.get(memory, target)
        if target == NOWHERE or (target == c.stages[j] and not reenter):
            continue
        move(c, journey, target, ruling, t, run, timer)
        return True
    return False


def unknown(run: Run, journey: str, rule: str) -> None:
    """Count an expression that touched something unknown and so was not true."""
    key = (journey, rule)
    run.unknown[key] = run.unknown.get(key, 0) + 1


def _calls(program: Program, plan: Plan, c: Customer, e: Event, t: int, done: Done, run: Run) -> None:
    if c.raised:
        for j, cancels in plan.cancels:
            _cancel(c, program.journeys[j], cancels, e, t, run)
    for j, by_stage in plan.signals:
        chances = by_stage[c.stages[j]]
        if chances:
            raise_first_to_last(c, program.journeys[j], chances, e, t, done, run)


def _calls_after_moves(
    plan: Plan,
    c: Customer,
    e: Event,
    t: int,
    done: Done,
    entered: list[int],
    run: Run,
) -> None:
    for journey, staying, entering, cancels in plan.all_:
        j = journey.index
        if cancels and c.raised:
            _cancel(c, journey, cancels, e, t, run)
        chances = (entering if j in entered else staying)[c.stages[j]]
        if chances:
            raise_first_to_last(c, journey, chances, e, t, done, run)


def _cancel(
    c: Customer, journey: JourneyTable, cancels: tuple[Cancel, ...], e: Event, t: int, run: Run
) -> None:
    for slot, by, rule in cancels:
        if slot in (c.raised or ()):
            identity = None if by is None else by(e, t)
            cancel(c, journey, rule, t, run, identity, all_=identity is None)


def raise_first_to_last(
    c: Customer,
    journey: JourneyTable,
    chances: tuple[Chance, ...],
    e: Event | None,
    t: int,
    done: Done,
    run: Run,
    timer: TimerKey | None = None,
) -> None:
    """Raise every signal that holds, in file order."""
    for _, sequence, where, when, rule in chances:
        if sequence != NO_SEQUENCE:
            if done is None or sequence not in done:
                continue
            c.id = done[sequence]
        if where is not None and (holds := where(c, e, t)) is not True:
            if holds is None:
                unknown(run, journey.id, rule.id)
            continue
        if when is not None and (holds := when(c, e, t)) is not True:
            if holds is None:
                unknown(run, journey.id, rule.id)
            continue
        by = rule.by
        identity = None if by is None or e is None else by(e, t)
        call(c, journey, rule, t, run, timer, identity)
