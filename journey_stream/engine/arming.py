"""What events do to timers and sequences, compiled.

In: compiled timers and sequences with their guards per event type. Out: steps to be fused, and closures.
Armed: timer to due, or with `by` to {id: due}; an event without the id has the id "". A re-armed timer is the
youngest; beyond the limit the oldest is dropped. `Customer.due` only ever gets lower here.
Partial: per step but the last, the latest start from which the steps up to there came in order.
"""

from __future__ import annotations

from typing import Any

from journey_stream.engine.fusing import Step, Update, holding, indented, step
from journey_stream.engine.kept import Where
from journey_stream.engine.paths import Getter, says
from journey_stream.engine.records import after_of
from journey_stream.engine.state import Customer
from journey_stream.engine.tables import SequenceStep, Timer
from journey_stream.journeys.guards import Guard
from journey_stream.values import Event

ONLY = ""


def arming(timer: Timer, identity: Getter | None, where: Where | None, otherwise: Step | None) -> Step:
    """Arm on this event; where it does not match, do `otherwise` (disarm, if the type is in `unless` too)."""
    ops = _ops("arm", timer, identity)
    if not isinstance(timer.after, int):
        arm = step("$arm(c, e, t)", ops=ops, arm=_armed_by_guard(timer, timer.after, identity))
    elif identity is not None:
        arm = step("$arm(c, e, t)", ops=ops, arm=_armed_by_id(timer, timer.after, identity))
    else:
        arm = step(
            f"v = armed[{timer.index}] = t + {timer.after}",
            f"if v < c.due and $live[stages[{timer.journey}]]: c.due = v",
            ops=ops,
            live=timer.live,
        )
    if where is None:
        return arm
    matching = arm.when("$holds(c, e, t) is True", holding(where), holds=where)
    if otherwise is None:
        return matching
    both: tuple[Any, ...] | None = None
    if arm.ops is not None and otherwise.ops is not None:
        both = ({"op": "if", "if": holding(where), "then": [*arm.ops], "else": [*otherwise.ops]},)
    lines = (*matching.lines, "else:", *indented(otherwise.lines))
    return Step(lines, {**otherwise.own, **matching.own}, both)


def _ops(op: str, timer: Timer, identity: Getter | None) -> tuple[Any, ...] | None:
    """What is done to a timer, as data; how long it waits, the timer knows."""
    by = getattr(identity, "described", None)
    return None if by is None and identity is not None else ({"op": op, "timer": timer.index, "by": by},)


def _armed_by_id(timer: Timer, after: int, identity: Getter) -> Update:
    def arm(c: Customer, e: Event, t: int) -> None:
        _put(c, timer, identity(e, t), t + after)

    return arm


def _armed_by_guard(timer: Timer, guard: Guard, identity: Getter | None) -> Update:
    k, j, live = timer.index, timer.journey, timer.live

    def arm(c: Customer, e: Event, t: int) -> None:
        if identity is not None:
            c.id = identity(e, t) or ONLY
            after = after_of(guard(c, e, t))
            if after is None:
                _drop(c, k, c.id)
            else:
                _put(c, timer, c.id, t + after)
            return
        after = after_of(guard(c, e, t))
        if after is None:
            c.armed.pop(k, None)
        else:
            due = c.armed[k] = t + after
            if due < c.due and live[c.stages[j]]:
                c.due = due

    return arm


def _put(c: Customer, timer: Timer, identity: str | None, due: int) -> None:
    held = c.armed.get(timer.index)
    if held is None:
        held = c.armed[timer.index] = {}
    name = identity or ONLY
    held.pop(name, None)
    held[name] = due
    if len(held) > timer.limit:
        del held[next(iter(held))]
    if due < c.due and timer.live[c.stages[timer.journey]]:
        c.due = due


def _drop(c: Customer, k: int, name: str) -> None:
    held = c.armed.get(k)
    if held is not None:
        held.pop(name, None)
        if not held:
            del c.armed[k]


def disarming(timer: Timer, identity: Getter | None, where: Where | None) -> Step:
    """Disarm on this event if it matches: with `by` that id, or all when the event names none."""
    ops = _ops("disarm", timer, identity)
    if identity is None:
        disarm = step(f"armed.pop({timer.index}, None)", ops=ops)
    else:
        disarm = step("$disarm(c, e, t)", ops=ops, disarm=_disarm_by_id(timer, identity))
    if where is None:
        return disarm
    return disarm.when("$allowed(c, e, t) is True", holding(where), allowed=where)


def _disarm_by_id(timer: Timer, identity: Getter) -> Update:
    k = timer.index

    def disarm(c: Customer, e: Event, t: int) -> None:
        if k in c.armed:
            name = identity(e, t)
            if name is None:
                del c.armed[k]
            else:
                _drop(c, k, name)

    return disarm


def sequence(
    k: int, last: int, steps: list[tuple[int, Where | None]], within: int, identity: Getter | None, limit: int
) -> SequenceStep:
    """Move a sequence on by an event that fits `steps` (their places and guards); completed, it starts anew.

    The later steps come first, so that one event moves a start by one step only.
    """
    ordered = sorted(steps, key=_place, reverse=True)

    def advance(c: Customer, e: Event, t: int) -> str | None:
        name = None if identity is None else identity(e, t) or ONLY
        held: Any = None if c.partial is None else c.partial.get(k)
        starts: list[int | None] | None = held if name is None or held is None else held.get(name)
        for place, where in ordered:
            if where is not None and where(c, e, t) is not True:
                continue
            start = t if place == 0 else None if starts is None else starts[place - 1]
            if start is None or t - start > within:
                continue
            if place == last:
                _clear(c, k, name)
                return name or ONLY
            if starts is None:
                starts = [None] * last
                _keep(c, k, name, starts, limit)
            starts[place] = start
        return None

    by = getattr(identity, "described", None)
    described = {"last": last, "within": within, "by": by, "limit": limit, "steps": [*map(list, ordered)]}
    return says(advance, None if by is None and identity is not None else described)


def _place(step: tuple[int, Where | None]) -> int:
    return step[0]


def _keep(c: Customer, k: int, name: str | None, starts: list[int | None], limit: int) -> None:
    if c.partial is None:
        c.partial = {}
    if name is None:
        c.partial[k] = starts
        return
    held = c.partial.setdefault(k, {})
    held[name] = starts
    if len(held) > limit:
        del held[next(iter(held))]


def _clear(c: Customer, k: int, name: str | None) -> None:
    if c.partial is None or k not in c.partial:
        return
    if name is not None:
        c.partial[k].pop(name, None)
        if c.partial[k]:
            return
    del c.partial[k]
