"""Where the guards of a journey stand: a name for each, the same in messages, in coverage, while it runs.

In: a journey of the model. Out: its guards by place. A guard is what lets an event or a rule through
(`where`, `when`, `unless_where`); expressions that compute something (`value`, `after`, `payload`,
`reason_from`) are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from journey_stream.journeys.guards import Expression
from journey_stream.journeys.model import Absence, Journey, OnEvent, Sequence, SignalRule, TransitionRule

What = Literal["transition", "signal", "attribute"]
WHERE = "where"
WHEN = "when"
UNLESS_WHERE = "unless_where"
VALUE = "value"
"""Of a derived attribute: no guard, but asked for by guards."""


class GuardPlace(NamedTuple):
    """One guard of one journey."""

    journey: str
    """Its name with the version: `buyer-value@2`."""
    what: What
    id: str
    """Of the rule, or the attribute's name."""
    part: str
    """The key it stands under; for the steps of a sequence with the step: `where 2`."""

    def __str__(self) -> str:
        """Write `core when`, or `attribute satisfied where`."""
        return f"{'attribute ' if self.what == 'attribute' else ''}{self.id} {self.part}"


def step_part(number: int) -> str:
    """Name the `where` of a sequence's step, counted from 0."""
    return f"{WHERE} {number + 1}"


def rule_kind(rule: TransitionRule | SignalRule) -> Literal["transition", "signal"]:
    """Tell transitions from signals."""
    return "transition" if isinstance(rule, TransitionRule) else "signal"


def guards_of(journey: Journey) -> dict[GuardPlace, Expression]:
    """Every guard, attributes first, then rules in file order."""
    found: dict[GuardPlace, Expression | None] = {}
    for attribute in journey.attributes.values():
        found[GuardPlace(journey.name, "attribute", attribute.name, WHERE)] = attribute.where
    for rule in journey.rules:
        for part, guard in _of_rule(rule).items():
            found[GuardPlace(journey.name, rule_kind(rule), rule.id, part)] = guard
    return {place: guard for place, guard in found.items() if guard is not None}


def _of_rule(rule: TransitionRule | SignalRule) -> dict[str, Expression | None]:
    found: dict[str, Expression | None] = {}
    match rule.trigger:
        case OnEvent(where=where):
            found[WHERE] = where
        case Absence(where=where, unless_where=unless_where):
            found |= {WHERE: where, UNLESS_WHERE: unless_where}
        case Sequence(steps=steps):
            found |= {step_part(number): step.where for number, step in enumerate(steps)}
        case _:
            pass
    return found | {WHEN: rule.when}


def journeys_named(journey: Journey) -> set[str]:
    """Name the other journeys whose stage some expression asks for: `stage("relationship")`."""
    return {name for each in _expressions(journey) for name in each.calls("stage")}


def _expressions(journey: Journey) -> Iterator[Expression]:
    yield from guards_of(journey).values()
    yield from (each.value for each in journey.attributes.values() if each.value is not None)
    for rule in journey.rules:
        if rule.reason_from is not None:
            yield rule.reason_from
        if isinstance(rule.trigger, Absence) and isinstance(rule.trigger.after, Expression):
            yield rule.trigger.after
        if isinstance(rule, SignalRule):
            yield from rule.payload.values()
