"""Rules beside each other: which never fire because of an earlier one, which fire at once.

In: the transitions of a journey, in the order of priority. Out: findings `shadowed-rule` (certain) and
`overlapping-rules` (certain too, but maybe meant). A rule is shadowed when in each of its stages, for each of
its event types, some earlier rule moves the customer whenever this one would.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from journey_stream.journeys.analysis.logic import Both, Either, Formula, Known, Number, Word, opposite
from journey_stream.journeys.analysis.place import Place, World
from journey_stream.journeys.analysis.truth import Question
from journey_stream.journeys.analysis.written import Rule, Source, asked_when, called, held_where
from journey_stream.journeys.findings import Place as Spot
from journey_stream.journeys.findings import Report
from journey_stream.journeys.model import (
    ACTIVITY,
    Absence,
    Back,
    Journey,
    OnEvent,
    SignalRule,
    TransitionRule,
)
from journey_stream.journeys.model import (
    Sequence as Steps,
)

_PLAIN = re.compile(r"[\w.]+")


def check_rules(source: Source, world: World, report: Report) -> None:
    """Compare each transition with those before it."""
    pairs = _Pairs(world)
    earlier: list[TransitionRule] = []
    for rule in world.journey.transitions:
        if pairs.can_fire(rule):
            hiding = pairs.hiding(rule, earlier)
            place = source.value(source.rule(rule), "id")
            assert place is not None
            if hiding:
                names = ", ".join(f"'{each.id}' (line {each.line})" for each in hiding)
                verb = (
                    "stands before it and holds"
                    if len(hiding) == 1
                    else "stand before it, one of which holds"
                )
                msg = f"{called(rule)} never fires: {names} {verb} whenever it would"
                report.add(
                    "shadowed-rule", place, msg, "Put it before, narrow the earlier rule, or leave it out"
                )
            else:
                _overlaps(pairs, rule, earlier, place, report)
        earlier.append(rule)
    for signal in world.journey.signals:
        leaving = pairs.sooner(signal, earlier)
        if leaving is not None:
            place = source.value(source.rule(signal), "id")
            assert place is not None
            msg = (
                f"{called(signal)} is never raised: by then '{leaving.id}' (line {leaving.line}) "
                "has moved the customer on"
            )
            report.add("shadowed-rule", place, msg, "Let it come sooner, or let the transition wait longer")


def _overlaps(
    pairs: _Pairs, rule: TransitionRule, earlier: Sequence[TransitionRule], place: Spot, report: Report
) -> None:
    for other in earlier:
        if pairs.overlap(other, rule):
            both = f"{called(rule)} and '{other.id}' (line {other.line})"
            msg = f"{both} can hold at once; then '{other.id}' wins"
            hint = "Make the guards exclude each other, or leave it so if the order of the file is meant"
            report.add("overlapping-rules", place, msg, hint)


def moves(journey: Journey, rule: TransitionRule, stage: str) -> bool:
    """Whether the rule surely leads somewhere from a stage; of a remembered stage that cannot be told."""
    if isinstance(rule.to, Back):
        return rule.reenter
    return rule.reenter or journey.destination(rule.to, stage) != stage


@dataclass
class _Pairs:
    """Questions about two rules, each answered once."""

    world: World
    _implied: dict[tuple[str, str, str], bool] = field(default_factory=dict)

    def can_fire(self, rule: TransitionRule) -> bool:
        """Whether its conditions can hold; if not, they have the finding."""
        question, formulas = self._conditions(rule, None)
        return question.can(*formulas)

    def hiding(self, rule: TransitionRule, earlier: Sequence[TransitionRule]) -> list[TransitionRule]:
        """The earlier rules that together keep it from ever firing; none if it can fire."""
        if isinstance(rule.trigger, Absence):
            sooner = self.sooner(rule, [each for each in self.world.journey.transitions if each is not rule])
            return [] if sooner is None else [sooner]
        found: dict[str, TransitionRule] = {}
        cases = list(self._cases(rule))
        for stage, kind in cases:
            hider = next((each for each in earlier if self._hides(each, rule, stage, kind)), None)
            if hider is None:
                return []
            found[hider.id] = hider
        return list(found.values())

    def _cases(self, rule: TransitionRule) -> Iterator[tuple[str, str]]:
        """The stages where it can move somebody, with each event type that triggers it."""
        journey = self.world.journey
        for stage in rule.from_:
            if isinstance(rule.to, Back) or moves(journey, rule, stage):
                for kind in self.world.kinds(_types(rule)):
                    yield stage, kind

    def _hides(self, other: TransitionRule, rule: TransitionRule, stage: str, kind: str) -> bool:
        """Whether `other` surely moves whoever `rule` would move from a stage by an event of a type."""
        if not isinstance(other.trigger, OnEvent) or stage not in other.from_:
            return False
        if not moves(self.world.journey, other, stage) or other.min_dwell > rule.min_dwell:
            return False
        is_triggered = kind in self.world.surely(other.trigger.types) or (
            ACTIVITY in other.trigger.types and kind not in _types(rule)
        )
        return is_triggered and self._implies(rule, other, kind)

    def _implies(self, rule: TransitionRule, other: TransitionRule, kind: str | None) -> bool:
        """Whether the conditions of `rule` never hold without those of `other`."""
        key = (rule.id, other.id, kind or "")
        if key not in self._implied:
            question, formulas = self._conditions(rule, kind)
            others, implied = self._conditions(other, kind)
            question.terms = {**others.terms, **question.terms}
            self._implied[key] = not question.can(*formulas, opposite(Both(tuple(implied))))
        return self._implied[key]

    def _conditions(self, rule: TransitionRule, kind: str | None) -> tuple[Question, list[Formula]]:
        """What has to hold of a rule's event and customer."""
        question = Question(_narrowed(asked_when(self.world, rule), kind))
        formulas: list[Formula] = []
        for expression, place in held_where(self.world, rule):
            before = Question(_narrowed(place, kind))
            formulas.append(before.true(expression.root))
            question.terms |= before.terms
        if rule.when is not None:
            formulas.append(question.true(rule.when.root))
        return question, formulas

    # Timers.

    def sooner(self, rule: Rule, others: Sequence[TransitionRule]) -> TransitionRule | None:
        """The transition that has always moved on whoever waits for the rule, if there is one."""
        if not isinstance(rule.trigger, Absence):
            return None
        return next((each for each in others if self._leaves_first(each, rule, rule.trigger)), None)

    def _leaves_first(self, other: TransitionRule, rule: Rule, late: Absence) -> bool:
        """Whether whoever waits for `rule` in a stage has surely been moved on by `other` before.

        Sure it is only of waiting that begins with the stage: the timers of both start at each entry. One
        that an event starts can be spent elsewhere.
        """
        soon = other.trigger
        if not isinstance(soon, Absence) or soon.since != "stage" or late.since != "stage":
            return False
        if not isinstance(soon.after, int) or not isinstance(late.after, int) or other.when is not None:
            return False
        stages = rule.in_ if isinstance(rule, SignalRule) else rule.from_
        if not set(stages) <= set(other.from_) or soon.unless_where != late.unless_where:
            return False
        if not set(self.world.kinds(soon.unless)) <= set(self.world.surely(late.unless)):
            return False
        due = max(soon.after, other.min_dwell)
        later = late.after if isinstance(rule, SignalRule) else max(late.after, rule.min_dwell)
        order = self.world.journey.transitions
        is_first = isinstance(rule, SignalRule) or order.index(other) < order.index(rule)
        is_before = due < later or (due == later and is_first)
        return is_before and all(moves(self.world.journey, other, stage) for stage in stages)

    # Rules that fire at once.

    def overlap(self, first: TransitionRule, second: TransitionRule) -> bool:
        """Whether two rules can hold at once, and it does not seem to be meant.

        Of events: two guards over the same values can both hold, though neither follows from the other. Of
        waiting: both wait for the same, equally long, and the second is not what is left when the first's
        guard does not hold.
        """
        if not self._differ(first, second):
            return False
        if isinstance(first.trigger, Absence) and isinstance(second.trigger, Absence):
            return self._due_together(first, second)
        if not isinstance(first.trigger, OnEvent) or not isinstance(second.trigger, OnEvent):
            return False
        kinds = set(self.world.kinds(first.trigger.types)) & set(self.world.kinds(second.trigger.types))
        return any(self._both_hold(first, second, kind) for kind in sorted(kinds))

    def _due_together(self, first: TransitionRule, second: TransitionRule) -> bool:
        one, other = first.trigger, second.trigger
        assert isinstance(one, Absence)
        assert isinstance(other, Absence)
        if not isinstance(one.after, int) or one != other or first.min_dwell != second.min_dwell:
            return False
        question, formulas = self._conditions(first, None)
        others, more = self._conditions(second, None)
        question.terms |= others.terms
        return self._implies(second, first, None) and question.can(*formulas, *more)

    def _differ(self, first: TransitionRule, second: TransitionRule) -> bool:
        """Whether they lead to two stages from one."""
        journey = self.world.journey
        return any(
            stage in first.from_
            and journey.destination(first.to, stage) not in (stage, journey.destination(second.to, stage))
            for stage in second.from_
        )

    def _both_hold(self, first: TransitionRule, second: TransitionRule, kind: str) -> bool:
        question, one = self._conditions(first, kind)
        others, other = self._conditions(second, kind)
        question.terms |= others.terms
        terms = set(_terms(Both(tuple(one))))
        if not terms or terms != set(_terms(Both(tuple(other)))):
            return False
        if not all(_PLAIN.fullmatch(term) for term in terms) or not question.can(*one, *other):
            return False
        return not self._implies(first, second, kind) and not self._implies(second, first, kind)


def _types(rule: TransitionRule) -> tuple[str, ...]:
    match rule.trigger:
        case OnEvent(types):
            return types
        case Steps(steps):
            return steps[-1].types
        case _:
            return ()


def _narrowed(place: Place, kind: str | None) -> Place:
    return place if kind is None or not place.words else place.narrowed(kind)


def _terms(formula: Formula) -> Iterator[str]:
    match formula:
        case Known(term) | Number(term) | Word(term):
            yield term
        case Both(parts) | Either(parts):
            for part in parts:
                yield from _terms(part)
