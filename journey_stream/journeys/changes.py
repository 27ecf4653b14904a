"""A change of version: what becomes of customers who are in another version of a journey.

In: the present definition, the other one, the policy and what it says. Out: a `Change` in which every stage
of the other version has its place, or a list of problems with suggestions. Which rules are the same in both,
so that their timers go on, is told here too; what is done with states is the engine's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from journey_stream.journeys.findings import did_you_mean
from journey_stream.journeys.model import (
    Absence,
    Journey,
    Sequence,
    SignalRule,
    TransitionRule,
    Value,
    versioned,
)
from journey_stream.journeys.sharing import canonical

Policy: TypeAlias = Literal["keep", "migrate", "replay"]


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of customers in version `other` of a journey."""

    journey: str
    other: int
    policy: Policy
    previous: Journey | None = None
    """The other version; `replay` needs none."""
    stages: Mapping[str, str] = field(default_factory=dict)
    """`migrate`: every stage of the other version to the stage of the present one (leaf ids)."""

    @property
    def name(self) -> str:
        """The other version: `buyer-value@1`."""
        return versioned(self.journey, self.other)


def complete(
    previous: Journey, present: Journey, chosen: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Complete a map of stages: a stage that both have keeps its name unless the map says otherwise.

    Returns:
        Every stage of `previous` to one of `present`, and what is wrong, a sentence each.
    """
    problems = []
    for old, new in chosen.items():
        if old not in previous.stages:
            hint = did_you_mean(old, previous.stages, "Its stages")
            problems.append(f"`{previous.name}` has no stage `{old}`. {hint or ''}".rstrip())
        if new not in present.stages:
            hint = did_you_mean(new, present.stages, "Its stages")
            problems.append(
                f"`{present.name}` has no stage `{new}`, where `{old}` is to go. {hint or ''}".rstrip()
            )
    found = {stage: chosen.get(stage, stage) for stage in previous.stages}
    for stage in previous.stages:
        if stage not in chosen and stage not in present.stages:
            hint = did_you_mean(stage, present.stages, "The stages")
            problems.append(
                f"the stage `{stage}` of `{previous.name}` has no place in `{present.name}`: say under "
                f"`stages` where its customers go. {hint or ''}".rstrip()
            )
    return found, problems


def timers_carried(previous: Journey, present: Journey) -> dict[str, int]:
    """Tell which absence rules wait for the same in both versions.

    Returns:
        `transition/<rule>` or `signal/<rule>` to the microseconds by which its due times move: not 0 where
        only a constant `after` has changed.
    """
    before = {key: rule.trigger for key, rule in rules_by_key(previous).items()}
    found: dict[str, int] = {}
    for key, rule in rules_by_key(present).items():
        old, new = before.get(key), rule.trigger
        if not isinstance(old, Absence) or not isinstance(new, Absence):
            continue
        if _waits_for(old, previous.parameters) != _waits_for(new, present.parameters):
            continue
        if isinstance(old.after, int) and isinstance(new.after, int):
            found[key] = new.after - old.after
        elif not isinstance(old.after, int) and not isinstance(new.after, int):
            same = canonical(old.after, previous.parameters) == canonical(new.after, present.parameters)
            found |= {key: 0} if same else {}
    return found


def sequences_carried(previous: Journey, present: Journey) -> set[str]:
    """Name the rules (`transition/<rule>` ...) whose sequence of steps is the same in both versions."""
    before = {key: rule.trigger for key, rule in rules_by_key(previous).items()}
    found = set()
    for key, rule in rules_by_key(present).items():
        old, new = before.get(key), rule.trigger
        if isinstance(old, Sequence) and isinstance(new, Sequence):
            same = _steps(old, previous.parameters) == _steps(new, present.parameters)
            if same and (old.within, old.by) == (new.within, new.by):
                found.add(key)
    return found


def rules_by_key(journey: Journey) -> dict[str, TransitionRule | SignalRule]:
    """Give the rules by `transition/<rule>` and `signal/<rule>`."""
    found: dict[str, TransitionRule | SignalRule] = {
        f"transition/{each.id}": each for each in journey.transitions
    }
    return found | {f"signal/{each.id}": each for each in journey.signals}


def _waits_for(trigger: Absence, parameters: Mapping[str, Value]) -> tuple[object, ...]:
    since = trigger.since if isinstance(trigger.since, str) else frozenset(trigger.since)
    return since, trigger.by, canonical(trigger.where, parameters)


def _steps(trigger: Sequence, parameters: Mapping[str, Value]) -> list[tuple[object, ...]]:
    return [(frozenset(step.types), canonical(step.where, parameters)) for step in trigger.steps]
