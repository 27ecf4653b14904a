"""What the tests of a journey reach: stages, transitions, signals, and guards seen true and seen not true.

In: a journey and the outcomes of its tests. Out: a `Coverage` that names what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from journey_stream.journeys.model import Journey
from journey_stream.journeys.places import guards_of
from journey_stream.testing.run import Outcome


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of thing to cover."""

    total: int
    missing: tuple[str, ...]

    @property
    def reached(self) -> int:
        """How many are covered."""
        return self.total - len(self.missing)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which parts of a journey no case reached."""

    journey: str
    stages: Part
    """Entered."""
    transitions: Part
    """Rules that moved somebody."""
    signals: Part
    """Rules that raised their signal."""
    guards: Part
    """Each counts twice: seen true, and seen not true (false or unknown)."""
    lines: dict[str, int]
    """Where in the definition what is missing stands; guards are where their rule is."""

    @property
    def complete(self) -> bool:
        """Whether every stage was entered, every rule fired, each guard seen true and seen not true."""
        return not any(part.missing for part in self.parts.values())

    @property
    def parts(self) -> dict[str, Part]:
        """The four parts by name."""
        return {
            "stages": self.stages,
            "transitions": self.transitions,
            "signals": self.signals,
            "guards": self.guards,
        }

    @property
    def percent(self) -> float:
        """Of everything there is to cover."""
        total = sum(part.total for part in self.parts.values())
        return 100 * sum(part.reached for part in self.parts.values()) / total if total else 100.0

    def __str__(self) -> str:
        """Name what was not reached."""
        if self.complete:
            return f"{self.journey}: every stage, transition, signal and guard is covered"
        missing = "; ".join(
            f"{name} {', '.join(part.missing)}" for name, part in self.parts.items() if part.missing
        )
        return f"{self.journey}: not covered: {missing}"


def cover(journey: Journey, outcomes: Iterable[Outcome]) -> Coverage:
    """Tell what of a journey these outcomes did not reach."""
    moved: set[str] = set()
    raised: set[str] = set()
    entered: set[str] = set()
    asked: set[tuple[tuple[str, ...], bool]] = set()
    for outcome in outcomes:
        moved.update(record.rule for record in outcome.transitions)
        entered.update(record.to for record in outcome.transitions)
        raised.update(record.rule for record in outcome.signals if record.status == "raised")
        asked.update(outcome.guards)
    lines = {stage.id: stage.line for stage in journey.stages.values()}
    lines |= {rule.id: rule.line for rule in journey.rules}
    by_owner = {attribute.name: attribute.line for attribute in journey.attributes.values()} | lines
    guards = guards_of(journey)
    unseen = []
    for place in guards:
        for said, word in ((True, "true"), (False, "not true")):
            if (place, said) not in asked:
                unseen.append(f"{place} never {word}")
                lines[unseen[-1]] = by_owner[place.id]
    return Coverage(
        journey.id,
        _part(journey.stages, entered),
        _part([rule.id for rule in journey.transitions], moved),
        _part([rule.id for rule in journey.signals], raised),
        Part(2 * len(guards), tuple(unseen)),
        lines,
    )


def _part(names: Iterable[str], reached: set[str]) -> Part:
    all_ = list(names)
    return Part(len(all_), tuple(name for name in all_ if name not in reached))
