"""Arrows between stages: each pair of stages once, with all rules that lead from one to the other.

In: a journey. Out: arrows in the order of the stages. A rule that goes back to a remembered stage is an arrow
to its fallback, marked: drawn to every stage that can be remembered, it would hide all others.
"""

from __future__ import annotations

from dataclasses import dataclass

from journey_stream.journeys.model import Back, Journey, TransitionRule


@dataclass(frozen=True, slots=True)
class Arrow:
    """All rules from one stage to another."""

    source: str
    target: str
    rules: tuple[TransitionRule, ...]
    forward: bool
    """To a stage further on (by rank), or to one as far."""
    back: bool
    """Only a fallback: it leads back to where the customer came from."""


def arrows(journey: Journey) -> tuple[Arrow, ...]:
    """Find the arrows of a journey, by source and target in file order."""
    found: dict[tuple[str, str, bool], list[TransitionRule]] = {}
    for rule in journey.transitions:
        for source in rule.from_:
            target = journey.destination(rule.to, source)
            if target != source or rule.reenter:
                found.setdefault((source, target, isinstance(rule.to, Back)), []).append(rule)
    places = {stage: place for place, stage in enumerate(journey.stages)}
    ranks = {stage.id: stage.rank for stage in journey.stages.values()}
    ordered = sorted(found.items(), key=lambda item: (places[item[0][0]], places[item[0][1]], item[0][2]))
    return tuple(
        Arrow(source, target, tuple(rules), ranks[target] >= ranks[source], back)
        for (source, target, back), rules in ordered
    )
