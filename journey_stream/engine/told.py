"""Verdicts in words, for those who write journeys: one short sentence a rule.

In: a `why.Verdict`, and how to write a time. Out: text. `test` and `explain` speak with this voice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from journey_stream.engine.watch import Look, Part
from journey_stream.engine.why import Due, Rule, Verdict
from journey_stream.journeys import phrases
from journey_stream.journeys.durations import written
from journey_stream.journeys.model import Journey, OnEnter, TransitionRule
from journey_stream.values import DAY, SECOND

Clock = Callable[[int], str]
"""Writes a time (microseconds)."""

_SINCE, _UNTIL = 631_152_000.0, 4_102_444_800.0
"""Seconds that can only be a time: between the years 1990 and 2100."""
LONGEST_LIST = 8


def sentence(verdict: Verdict, journey: Journey, clock: Clock) -> str:
    """Say why the rule held, or why not: `orders >= core_orders is false (orders 3, core_orders 4)`."""
    rule = verdict.rule
    match verdict.outcome:
        case "held":
            values = _values(verdict.look.parts if verdict.look else (), journey, clock)
            return f"held{values}"
        case "false" | "unknown":
            assert verdict.look is not None, rule.id
            return refusal(verdict.look, journey, clock)
        case "armed" | "waiting":
            return f"{'begins to wait' if verdict.outcome == 'armed' else 'waits'} {_dues(verdict, clock)}"
        case "too_soon":
            least = rule.min_dwell if isinstance(rule, TransitionRule) else 0
            return f"min_dwell {written(least)} is not over"
        case "incomplete":
            missing = "its sequence is not complete"
            look = verdict.look
            return missing if look is None else f"{missing}: {refusal(look, journey, clock)}"
        case "not_triggered":
            return f"waits for {_awaited(rule)}"
        case _:
            return _PLAIN[verdict.outcome]


_PLAIN = {
    "cancelled": "taken back",
    "disarmed": "waits no longer",
    "same_stage": "leads to the stage where the customer is",
    "rate_limited": "its limit says enough",
    "after_another": "not looked at: a rule before it in the file held",
}


def refusal(look: Look, journey: Journey, clock: Clock) -> str:
    """Say which part of a guard did not hold, with the values of the names in it."""
    said = f"{look.at.part}: "
    if not look.parts:
        return f"{said}{_word(look)}"
    return said + "; ".join(_refused(part, journey, clock) for part in _refusing(look))


def _awaited(rule: Rule) -> str:
    if isinstance(rule.trigger, OnEnter):
        return f"an entry into {phrases.one_of(rule.trigger.stages)}"
    return phrases.trigger(rule.trigger)


def _refusing(look: Look) -> list[Part]:
    return [part for part in look.parts if part.said is not True] or list(look.parts)


def _refused(part: Part, journey: Journey, clock: Clock) -> str:
    text = f"{part.text} is {_word(part)}"
    if part.values.keys() - {each.at.id for each in part.inner}:
        text += _values((part,), journey, clock)
    for look in part.inner:
        if look.said is False:
            why = " and ".join(_refused(each, journey, clock) for each in _refusing(look))
            text += f", because {why}" if part.text == look.at.id else f", {look.at.id} because {why}"
    return text


def _word(said: Look | Part) -> str:
    return "unknown" if said.said is None else str(said.said).lower()


def due_text(due: Due, clock: Clock) -> str:
    """Say when a timer is due: `day 180`, with the id it is for, if there is one."""
    return clock(due.at) + (f" for {due.id}" if due.id else "")


def value_text(name: str, value: Any, journey: Journey, clock: Clock) -> str:
    """Write a value as its reader thinks of it: durations as `7d`, times by the clock."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        shown = [value_text("", each, journey, clock) for each in value[:LONGEST_LIST]]
        return f"[{', '.join(shown)}{', ...' if len(value) > LONGEST_LIST else ''}]"
    if isinstance(value, Mapping):
        pairs = list(value.items())[:LONGEST_LIST]
        shown = [f"{key}: {value_text('', each, journey, clock)}" for key, each in pairs]
        return f"{{{', '.join(shown)}{', ...' if len(value) > LONGEST_LIST else ''}}}"
    if not isinstance(value, int | float):
        return str(value)
    if isinstance(value, float) and _SINCE <= value < _UNTIL:
        return clock(round(value * SECOND))
    if isinstance(value, float) and _lasts(name, value, journey):
        return written(round(value * SECOND))
    return f"{value:.12g}"


_OLDEST = re.compile(r"oldest\(")


def _lasts(name: str, value: float, journey: Journey) -> bool:
    """Whether the seconds of this name are a duration, and large enough to be better read as one."""
    attribute = journey.attributes.get(name.removeprefix("before."))
    if name == "dwell" or _OLDEST.match(name):
        return True
    if attribute is not None:
        return attribute.form in ("rhythm", "elapsed")
    return name in journey.parameters and value >= DAY / SECOND and value % 3_600 == 0


def _values(parts: tuple[Part, ...], journey: Journey, clock: Clock) -> str:
    values = {name: value for part in parts for name, value in part.values.items()}
    if not values:
        return ""
    shown = (f"{name} {value_text(name, value, journey, clock)}" for name, value in values.items())
    return f" ({', '.join(shown)})"


def _dues(verdict: Verdict, clock: Clock) -> str:
    if not verdict.dues:
        return "for its time"
    shown = [due_text(due, clock) for due in verdict.dues[:LONGEST_LIST]]
    more = len(verdict.dues) - len(shown)
    return f"until {', '.join(shown)}" + (f" and {more} more" if more else "")
