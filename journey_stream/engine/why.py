"""Why a rule held, or did not: every rule of a stage, at one step of a trace.

In: a journey of the model, the program it became, a `trace.Step`. Out: a `Verdict` per rule that could have
acted where the customer was, in file order, and the deadlines ahead. Strategy: what guards said is in the
step's looks, what happened is in its records and in the states around it; the rest (which rule comes first,
how long a stage has lasted) follows from the model. No guard is evaluated here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from journey_stream.engine.program import Program
from journey_stream.engine.state import NOWHERE, Customer
from journey_stream.engine.trace import Step
from journey_stream.engine.watch import Look
from journey_stream.journeys.model import (
    ACTIVITY,
    Absence,
    Journey,
    OnEnter,
    OnEvent,
    Sequence,
    SignalRule,
    TransitionRule,
)
from journey_stream.journeys.places import rule_kind
from journey_stream.values import NEVER, Signal, Transition

Rule = TransitionRule | SignalRule
Outcome = Literal[
    "held",
    "cancelled",
    "armed",
    "disarmed",
    "false",
    "unknown",
    "too_soon",
    "same_stage",
    "rate_limited",
    "after_another",
    "incomplete",
    "waiting",
    "not_triggered",
]
"""
What came of a rule:

- held: it moved the customer, or raised its signal; cancelled: its signal was taken back
- armed, disarmed: the wait for its time began (anew), or ended
- false, unknown: its trigger came, and `Verdict.look` is the guard that did not let it through
- too_soon: `min_dwell` is not over
- same_stage: it leads to the stage where the customer is (or back to none)
- rate_limited: its `limit` says enough
- after_another: a rule before it in the file held, and there is one transition per event
- incomplete: the steps of its sequence have not all come
- waiting: its time has not come; not_triggered: this event does not concern it
"""


class Due(NamedTuple):
    """A time that a timer waits for."""

    at: int
    """When it counts: not before `min_dwell` is over."""
    rule: Rule
    id: str | None
    """The `by` value, where there is one timer per value."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one rule at one step."""

    rule: Rule
    outcome: Outcome
    look: Look | None = None
    """The guard that decided, for false and unknown; for a rule that held its `when`, if it has one."""
    dues: tuple[Due, ...] = ()
    """What its timers wait for after the step, soonest first."""


def verdicts(journey: Journey, program: Program, step: Step) -> list[Verdict]:
    """Tell what came of every rule of the stages the customer was in: transitions, then signals."""
    if step.after is None or step.fate not in ("applied", "fired"):
        return []
    at = _Where(journey, program, step)
    if at.deciding is None:
        return []  # in another version of the journey
    found = []
    moved = False
    for rule in journey.transitions:
        if at.deciding in rule.from_:
            verdict = at.transition(rule, moved)
            found.append(verdict)
            moved = moved or verdict.outcome == "held"
    found += [at.signal(rule) for rule in journey.signals if at.now in rule.in_ or at.concerns(rule)]
    return found


def stage_of(journey: Journey, program: Program, c: Customer | None) -> str | None:
    """Name the stage that a customer is in; None for somebody who has not entered the journey."""
    if c is None:
        return None
    table = program.journeys[_index(journey, program)]
    stage = c.stages[table.index]
    return None if stage == NOWHERE else table.stages[stage]


def deadlines(journey: Journey, program: Program, c: Customer) -> list[Due]:
    """List what lies ahead of a customer in this journey if nothing comes: soonest first.

    Timers of rules that do not count in the present stage are left out; they may count again in another.
    """
    stage = stage_of(journey, program, c)
    rules = [rule for rule in journey.rules if stage in _stages(rule)]
    return sorted((due for rule in rules for due in _dues(journey, program, rule, c)), key=lambda due: due.at)


class _Where:
    """One journey at one step."""

    def __init__(self, journey: Journey, program: Program, step: Step) -> None:
        self.journey, self.program, self.step = journey, program, step
        self.index = _index(journey, program)
        mine = [
            each for each in step.records if (each.journey, each.version) == (journey.id, journey.version)
        ]
        self.moves = [record for record in mine if isinstance(record, Transition)]
        self.calls = [record for record in mine if isinstance(record, Signal)]
        self.now = stage_of(journey, program, step.after)
        self.deciding = stage_of(journey, program, step.before)
        if self.deciding is None and any(record.from_ is None for record in self.moves):
            self.deciding = journey.start
        self.entered = step.at if step.before is None else step.before.entered[self.index]
        self.looks = {each.at[1:]: each for each in step.looks if each.at.journey == journey.name}

    def transition(self, rule: TransitionRule, moved: bool) -> Verdict:
        if any(record.rule == rule.id and record.from_ is not None for record in self.moves):
            return self._verdict(rule, "held", self.looks.get(("transition", rule.id, "when")))
        if isinstance(rule.trigger, Absence):
            return self._absence(rule, rule.trigger)
        if not self._triggered(rule):
            return self._verdict(rule, "not_triggered")
        if moved:
            return self._verdict(rule, "after_another")
        if isinstance(rule.trigger, Sequence) and not self._completed(rule):
            return self._verdict(rule, "incomplete", self._refusing(rule))
        if rule.min_dwell and self.step.at - self.entered < rule.min_dwell:
            return self._verdict(rule, "too_soon")
        return self._refused(rule) or self._verdict(rule, "same_stage")

    def signal(self, rule: SignalRule) -> Verdict:
        own = [record for record in self.calls if record.rule == rule.id]
        if any(record.status == "raised" for record in own):
            return self._verdict(rule, "held", self.looks.get(("signal", rule.id, "when")))
        if own:
            return self._verdict(rule, "cancelled")
        if isinstance(rule.trigger, Absence):
            return self._absence(rule, rule.trigger)
        if isinstance(rule.trigger, OnEnter):
            if not any(record.to in rule.trigger.stages for record in self.moves):
                return self._verdict(rule, "not_triggered")
        elif not self._triggered(rule):
            return self._verdict(rule, "not_triggered")
        if isinstance(rule.trigger, Sequence) and not self._completed(rule):
            return self._verdict(rule, "incomplete", self._refusing(rule))
        return self._refused(rule) or self._verdict(rule, "rate_limited")

    def concerns(self, rule: SignalRule) -> bool:
        """Whether a rule of another stage made a record: a cancellation."""
        return any(record.rule == rule.id for record in self.calls)

    def _verdict(self, rule: Rule, outcome: Outcome, look: Look | None = None) -> Verdict:
        after = self.step.after
        dues = () if after is None else tuple(_dues(self.journey, self.program, rule, after))
        return Verdict(rule, outcome, look, dues)

    def _triggered(self, rule: Rule) -> bool:
        event = self.step.event
        match rule.trigger:
            case OnEvent(types=types):
                words = types
            case Sequence(steps=steps):
                words = tuple(word for step in steps for word in step.types)
            case _:
                return False
        return event is not None and (event.type in words or (event.activity and ACTIVITY in words))

    def _absence(self, rule: Rule, trigger: Absence) -> Verdict:
        """A timer that fired without effect, was set, was stopped, waits, or was never set."""
        key = _key(self.journey, rule)
        if self.step.timer == key:
            return self._refused(rule) or self._verdict(
                rule, "same_stage" if isinstance(rule, TransitionRule) else "rate_limited"
            )
        before = _armed(self.program, key, self.step.before)
        after = _armed(self.program, key, self.step.after)
        if any(before.get(name) != due for name, due in after.items()):
            return self._verdict(rule, "armed")
        if before.keys() - after.keys():
            return self._verdict(rule, "disarmed")
        refused = self._refused(rule, parts=("where", "unless_where"))
        if refused is not None:
            return refused
        return self._verdict(rule, "waiting" if after else "not_triggered")

    def _refused(self, rule: Rule, parts: tuple[str, ...] = ("where", "when")) -> Verdict | None:
        """The first guard that did not hold, if one did not."""
        for part in parts:
            look = self.looks.get((rule_kind(rule), rule.id, part))
            if look is not None and look.said is not True:
                return self._verdict(rule, "unknown" if look.said is None else "false", look)
        return None

    def _refusing(self, rule: Rule) -> Look | None:
        """The guard of a sequence's step that did not hold."""
        for (what, name, part), look in self.looks.items():
            if (what, name) == (rule_kind(rule), rule.id) and part != "when" and look.said is not True:
                return look
        return None

    def _completed(self, rule: Rule) -> bool:
        """Whether the last step of the sequence came now: then its partial starts are gone."""
        if not isinstance(rule.trigger, Sequence):
            return True
        event = self.step.event
        last = rule.trigger.steps[-1].types
        if event is None or not (event.type in last or (event.activity and ACTIVITY in last)):
            return False
        before, after = (
            _partial(self.program, _key(self.journey, rule), c) for c in (self.step.before, self.step.after)
        )
        return len(after) < len(before)


def _index(journey: Journey, program: Program) -> int:
    return next(table.index for table in program.journeys if table.name == journey.name)


def _key(journey: Journey, rule: Rule) -> str:
    return f"{journey.name}/{rule_kind(rule)}/{rule.id}"


def _stages(rule: Rule) -> tuple[str, ...]:
    return rule.from_ if isinstance(rule, TransitionRule) else rule.in_


def _armed(program: Program, key: str, c: Customer | None) -> dict[str | None, int]:
    """What a timer holds: {id: due}, with None for the only one of a rule without `by`."""
    index = next((timer.index for timer in program.timers if timer.key == key), None)
    held: Any = None if c is None or index is None else c.armed.get(index)
    if held is None:
        return {}
    return {None: held} if isinstance(held, int) else dict(held)


def _partial(program: Program, key: str, c: Customer | None) -> dict[str, Any]:
    index = program.layout.sequences.index(key)
    held: Any = None if c is None or c.partial is None else c.partial.get(index)
    if held is None:
        return {}
    return held if isinstance(held, dict) else {"": held}


def _dues(journey: Journey, program: Program, rule: Rule, c: Customer) -> Iterator[Due]:
    floor = c.entered[_index(journey, program)]
    floor += rule.min_dwell if isinstance(rule, TransitionRule) else 0
    held = _armed(program, _key(journey, rule), c)
    for identity, at in sorted(held.items(), key=lambda each: each[1]):
        if at != NEVER:
            yield Due(max(at, floor), rule, identity)
