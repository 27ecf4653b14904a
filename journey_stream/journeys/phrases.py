"""What rules say, in words: triggers, guards and targets as a marketer would read them aloud.

In: parts of the model. Out: short English phrases for diagrams, tables and explanations. Nothing is decided
here; the words of an expression are the author's own text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from journey_stream.journeys.durations import written
from journey_stream.journeys.model import (
    Absence,
    Back,
    Fixed,
    Journey,
    OnEnter,
    OnEvent,
    SameLeaf,
    Sibling,
    SignalRule,
    Step,
    Target,
    TransitionRule,
    Trigger,
)
from journey_stream.journeys.model import Sequence as StepsWithin


def one_of(words: Sequence[str]) -> str:
    """Join choices: `a`, `a or b`, `a, b or c`."""
    *more, last = words
    return f"{', '.join(more)} or {last}" if more else last


def trigger(found: Trigger) -> str:
    """Say what makes a rule look: an event, a silence, a sequence, an entry."""
    match found:
        case OnEvent(types, where):
            return one_of(types) + ("" if where is None else f" where {where.text}")
        case Absence():
            return _silence(found)
        case StepsWithin(steps, duration, by):
            return f"{' then '.join(map(_step, steps))} within {written(duration)}" + _each(by)
        case OnEnter(stages):
            return f"enters {one_of(stages)}"
        case _:
            assert_never(found)


def awaited(found: Trigger) -> tuple[str, ...]:
    """Name the event types, one of which has to come for a rule to look (or its timer to start)."""
    match found:
        case OnEvent(types):
            return types
        case Absence(since=since):
            return () if since == "stage" else tuple(since)
        case StepsWithin(steps):
            return steps[0].types
        case OnEnter():
            return ()
        case _:
            assert_never(found)


def _step(step: Step) -> str:
    return one_of(step.types) + ("" if step.where is None else f" where {step.where.text}")


def _silence(found: Absence) -> str:
    after = written(found.after) if isinstance(found.after, int) else found.after.text
    said = f"{after} after "
    said += "entering the stage" if found.since == "stage" else f"the last {one_of(found.since)}"
    if found.where is not None:
        said += f" where {found.where.text}"
    if found.unless:
        said += f", unless {one_of(found.unless)}"
        if found.unless_where is not None:
            said += f" where {found.unless_where.text}"
    return said + _each(found.by)


def _each(by: str | None) -> str:
    return "" if by is None else f", for each {by}"


def guard(rule: TransitionRule | SignalRule) -> str:
    """Say what has to be true besides: the `when`, and the time to have been in the stage; `` if nothing."""
    said = [] if rule.when is None else [rule.when.text]
    if isinstance(rule, TransitionRule) and rule.min_dwell:
        said.append(f"at least {written(rule.min_dwell)} in the stage")
    return " and ".join(said)


def target(journey: Journey, to: Target, current: str) -> str:
    """Say where a rule leads somebody in `current`."""
    match to:
        case Back(fallback):
            return f"back to where they came from (else {journey.destination(fallback, current)})"
        case Fixed() | Sibling() | SameLeaf():
            return journey.destination(to, current)
        case _:
            assert_never(to)
