"""The shape of a journey: stages without a way out, rules that can never fire, keys that change nothing.

In: the model, the nodes. Out: findings `dead-end`, `never-fires`, `timer-never-starts`, `never-known`,
`idle-key`.
"""

from __future__ import annotations

from collections.abc import Iterator

from journey_stream.events.limits import limits
from journey_stream.journeys.analysis.comparisons import SCORED
from journey_stream.journeys.analysis.place import World
from journey_stream.journeys.analysis.truth import Question
from journey_stream.journeys.analysis.written import Rule, Source, asked_when, called
from journey_stream.journeys.durations import written
from journey_stream.journeys.findings import Report
from journey_stream.journeys.guards import Expression
from journey_stream.journeys.model import (
    ACTIVITY,
    Absence,
    Attribute,
    Back,
    OnEnter,
    SignalRule,
    Stage,
    TransitionRule,
)
from journey_stream.journeys.read import Table


def check_structure(source: Source, world: World, reached: frozenset[str], report: Report) -> None:
    """Look at stages, attributes and rules one by one; `reached` are the stages that somebody can be in."""
    shape = _Structure(source, world, report)
    for stage in world.journey.stages.values():
        if stage.id in reached:
            shape.way_out(stage)
    shape.memories()
    for attribute in world.journey.attributes.values():
        shape.attribute(attribute)
    for rule in world.rules():
        shape.rule(rule)


class _Structure:
    """What is asked of each part."""

    def __init__(self, source: Source, world: World, report: Report) -> None:
        self.source, self.world, self.report = source, world, report
        self.journey = world.journey

    def way_out(self, stage: Stage) -> None:
        """A stage that nothing leaves, unless it is where people are lost."""
        if stage.kind == "attrition" or len(self.journey.stages) == 1:
            return
        for rule in self.journey.transitions:
            is_out = isinstance(rule.to, Back) or self.journey.destination(rule.to, stage.id) != stage.id
            if stage.id in rule.from_ and is_out:
                return
        msg = f"no transition leaves the stage '{stage.id}', and its kind is {stage.kind}"
        hint = "Add a way out, such as one after a silence; only stages of the kind attrition are ends"
        self.report.add("dead-end", self.source.stage(stage.id), msg, hint)

    def memories(self) -> None:
        """`remember` where no rule goes back."""
        going_back = {
            self.journey.stages[stage].memory
            for rule in self.journey.transitions
            if isinstance(rule.to, Back)
            for stage in rule.from_
        }
        holders = [group.id for group in self.journey.groups.values() if group.remember]
        holders += [stage.id for stage in self.journey.stages.values() if stage.remember]
        for holder in holders:
            if holder not in going_back:
                table = self.source.stage_table(holder)
                msg = f"stage '{holder}' remembers where one came from, and no transition goes back"
                hint = "Leave it out, or add one with to: {back: stage}"
                self.report.add("idle-key", self.source.key(table, "remember"), msg, hint)

    def attribute(self, attribute: Attribute) -> None:
        """What is never there, and what is taken back as soon as it is counted."""
        table = self.source.attribute(attribute.name)
        label = f"attribute '{attribute.name}'"
        for word, spot in self.source.words(self.source.value(table, attribute.form)):
            kind, _, path = word.partition(".")
            found = self.world.vocabulary.get(kind)
            if path and found is not None and limits(self.world.vocabulary, found.name, path).never:
                msg = f"{label}: events of type {kind} never have {path}"
                self.report.add("never-known", spot, msg, SCORED)
        counted = set(self.world.kinds(source.type for source in attribute.sources))
        if attribute.less and counted <= set(self.world.kinds(attribute.less)):
            msg = f"{label}: what is counted is in 'less' too, so it is taken back at once"
            self.report.add("idle-key", self.source.key(table, "less"), msg, "Name what takes it back later")

    def rule(self, rule: Rule) -> None:
        """Keys of a rule that keep it from firing, or change nothing."""
        table = self.source.rule(rule)
        if isinstance(rule.trigger, Absence):
            self._timer(rule, rule.trigger, table)
        if isinstance(rule, SignalRule):
            if isinstance(rule.trigger, OnEnter) and not set(rule.trigger.stages) & set(rule.in_):
                msg = f"{called(rule)} is never raised: none of the stages of 'enter' is in 'in'"
                hint = "Leave 'in' out: a signal sees the stage that was entered"
                self.report.add("never-fires", self.source.key(table, "in"), msg, hint)
        elif rule.reenter and not self._returns(rule):
            msg = f"{called(rule)}: 'reenter' changes nothing: it leads from no stage to itself"
            self.report.add("idle-key", self.source.key(table, "reenter"), msg, "Leave it out")

    def _returns(self, rule: TransitionRule) -> bool:
        if isinstance(rule.to, Back):
            return True
        return any(self.journey.destination(rule.to, stage) == stage for stage in rule.from_)

    def _timer(self, rule: Rule, trigger: Absence, table: Table) -> None:
        if isinstance(trigger.after, Expression):
            self._delay(rule, trigger.after, table)
        elif trigger.since == "stage" and isinstance(rule, TransitionRule) and trigger.after < rule.min_dwell:
            msg = (
                f"{called(rule)}: 'after' is over before 'min_dwell', which alone decides: "
                f"it moves on after {written(rule.min_dwell)}"
            )
            self.report.add("idle-key", self.source.key(table, "after"), msg, "Keep the longer one, as after")
        for word in self._rearming(trigger):
            msg = f"{called(rule)}: {word} begins the waiting anew, so under 'unless' it never ends it"
            self.report.add(
                "idle-key", self.source.key(table, "unless"), msg, f"Take {word} out of one of the two"
            )

    def _delay(self, rule: Rule, after: Expression, table: Table) -> None:
        question = Question(asked_when(self.world, rule))
        if not question.can(question.known(after.root)):
            msg = f"{called(rule)} waits for nothing: `{after.text}` is never known"
            hint = "Use what events tell, or max(30d, ...), which leaves unknown parts out"
            self.report.add("timer-never-starts", self.source.key(table, "after"), msg, hint)

    def _rearming(self, trigger: Absence) -> Iterator[str]:
        """The types of `unless` that `since` has too: arming comes first."""
        if isinstance(trigger.since, str) or trigger.where is not None:
            return
        arming = self.world.surely(trigger.since)
        for word in trigger.unless:
            if word in trigger.since or (word != ACTIVITY and word in arming):
                yield word
