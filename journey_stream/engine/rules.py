"""The rules of one journey, compiled: transitions and signals by stage and event type, timers, sequences.

In: a journey of the model with its attributes compiled. Out: its `JourneyTable`, its timers (in the program's
order: transitions before signals, each in file order), and per event type its part of the plan.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from journey_stream.engine.arming import arming, disarming, sequence
from journey_stream.engine.building import JourneyBuilding
from journey_stream.engine.fusing import Step, fuse_dict, fuse_names
from journey_stream.engine.paths import Getter
from journey_stream.engine.state import NOWHERE
from journey_stream.engine.tables import (
    NO_MEMORY,
    NO_SEQUENCE,
    Call,
    Cancel,
    Chance,
    Entry,
    JourneyTable,
    Move,
    Ruling,
    SequenceStep,
    Timer,
)
from journey_stream.journeys.attribute_types import id_type
from journey_stream.journeys.guards import Expression, Guard, Type
from journey_stream.journeys.model import (
    Absence,
    Back,
    OnEnter,
    OnEvent,
    Sequence,
    SignalRule,
    TransitionRule,
)
from journey_stream.journeys.places import UNLESS_WHERE, WHEN, WHERE, GuardPlace, rule_kind, step_part

Rule = TransitionRule | SignalRule


@dataclass(slots=True)
class Place:
    """Where an expression stands: which event it sees and as what, of which type `id` is."""

    words: tuple[str, ...]
    word: str
    id_: Type | None
    before: set[int]
    """Gathers the values before the event that expressions here ask for."""
    rule: Rule


@dataclass(slots=True)
class Part:
    """What one journey does on one event type."""

    timers: tuple[Step, ...] = ()
    sequences: tuple[tuple[int, SequenceStep], ...] = ()
    moves: tuple[tuple[int, tuple[tuple[Move, ...], ...]], ...] = ()
    signals: tuple[tuple[int, tuple[tuple[Chance, ...], ...]], ...] = ()
    cancels: tuple[tuple[int, tuple[Cancel, ...]], ...] = ()
    before: set[int] = field(default_factory=set)


class RuleCompiler:
    """Compiles the rules of one journey into the shared building."""

    def __init__(self, builder: JourneyBuilding) -> None:
        self.builder, self.journey, self.j = builder, builder.journey, builder.place
        self._stages = builder.stages
        self._index = {stage: place for place, stage in enumerate(builder.stages)}
        self._rules: tuple[Rule, ...] = self.journey.rules
        self._timers: dict[int, Timer] = {}
        """Place of the rule to its timer."""
        self._sequences: dict[int, int] = {}
        self._slots: dict[int, int] = {}
        """Place of a signal rule to its slot."""
        self._memories: dict[str, int] = {}
        self._after_needs: dict[int, frozenset[int]] = {}
        """Place of the rule to the values before the event that its `after` asks for."""

    # What is fixed before any event type is looked at.

    def compile_rules(self) -> None:
        """Give timers, sequences, signals and memories their places; compile what hangs on no type."""
        building = self.builder.building
        holders = [*(s.id for s in self.journey.stages.values() if s.remember)]
        holders += [group.id for group in self.journey.groups.values() if group.remember]
        for holder in holders:
            self._memories[holder] = len(building.memory_keys)
            building.memory_keys.append(f"{self.journey.name}/{holder}")
        for place, rule in enumerate(self._rules):
            key = f"{self.journey.name}/{rule_kind(rule)}/{rule.id}"
            if isinstance(rule, SignalRule):
                self._slots[place] = len(building.signal_keys)
                building.signal_keys.append(key)
            if isinstance(rule.trigger, Sequence):
                self._sequences[place] = len(building.sequence_keys)
                building.sequence_keys.append(key)
            if isinstance(rule.trigger, Absence):
                timer = self._timer(place, rule, rule.trigger, key, len(building.timers))
                self._timers[place] = timer
                building.timers.append(timer)

    def table(self) -> JourneyTable:
        """Make the journey's table."""
        journey, kept = self.journey, self.builder.kept
        versions = self.builder.building.journeys[journey.id]
        stages = list(journey.stages.values())
        env = self.builder.building.env
        slots = {slot: empty for each in kept.values() for slot, empty in each.stage_slots}
        return JourneyTable(
            index=self.j,
            id=journey.id,
            version=journey.version,
            name=journey.name,
            stages=self._stages,
            kinds=tuple(stage.kind for stage in stages),
            owners=tuple(stage.owner for stage in stages),
            ranks=tuple(stage.rank for stage in stages),
            start=self._index[journey.start],
            attributes=fuse_dict([(name, self._copied(name)) for name in journey.records], env),
            approximate=fuse_names(
                [(name, code) for name in journey.records if (code := kept[name].approximate) is not None],
                env,
            ),
            values={name: each.read for name, each in kept.items()},
            rests=tuple((name, kept[name].rests) for name in journey.records),
            others=tuple(place for place in versions if place != self.j),
            entered_by_newcomers=self.j == versions[-1],
            entries=tuple(self._entry(stage) for stage in self._stages),
            stage_slots=list(slots.items()),
            steady=not any(kept[name].moves or kept[name].stage_slots for name in journey.records),
            described=tuple(
                (name, each.described, each.approximate is not None, each.described_approximate)
                for name, each in ((name, kept[name]) for name in journey.records)
            ),
        )

    def _copied(self, name: str) -> str:
        """Source that reads an attribute for keeps."""
        kept = self.builder.kept[name]
        if kept.mutable:
            return f"{kept.code}.copy()"
        return kept.code if kept.slot >= 0 or self.builder.scalar(name) else f"_own({kept.code})"

    def plan(self, kind: str, *, active: bool) -> Part:
        """Compile what an event of this type does here."""
        part = Part()
        moves: list[list[Move]] = [[] for _ in range(len(self._stages) + 1)]
        chances: list[list[Chance]] = [[] for _ in range(len(self._stages) + 1)]
        cancels: list[Cancel] = []
        for place, rule in enumerate(self._rules):
            steps = self._ops(place, rule, kind, active=active)
            part.timers += steps
            if steps:
                part.before |= self._after_needs.get(place, frozenset())
            part.sequences += self._steps(place, rule, kind, active=active)
            word, words, where, sequence_slot = self._triggered(place, rule, kind, active=active)
            if isinstance(rule, SignalRule):
                self._cancel(place, rule, kind, cancels, active=active)
            if word is None:
                continue
            holds = self._where(where, words, word, rule)
            here = Place(words, word, self._id(rule), part.before, rule)
            when = self._when(rule.when, here, WHEN)
            if isinstance(rule, TransitionRule):
                ruling = self._ruling(rule, here)
                for stage in rule.from_:
                    move = self._move(rule, stage, ruling, (sequence_slot, holds, when))
                    if move is not None:
                        moves[self._index[stage]].append(move)
            else:
                call = self._call(place, rule, here, kind)
                for stage in rule.in_:
                    chances[self._index[stage]].append(Chance(place, sequence_slot, holds, when, call))
        if any(moves):
            part.moves = ((self.j, tuple(map(tuple, moves))),)
        if any(chances):
            part.signals = ((self.j, tuple(map(tuple, chances))),)
        if cancels:
            part.cancels = ((self.j, tuple(cancels)),)
        return part

    # Rules.

    def _where(
        self, expression: Expression | None, words: tuple[str, ...], word: str, rule: Rule, part: str = WHERE
    ) -> Guard | None:
        if expression is None:
            return None
        return self.builder.where(expression, words, word, self._at(rule, part))

    def _when(self, expression: Expression | None, place: Place, part: str = "") -> Guard | None:
        if expression is None:
            return None
        at = self._at(place.rule, part) if part else None
        guard, needs = self.builder.when(expression, place.words, place.word, place.id_, at)
        place.before |= needs
        return guard

    def _at(self, rule: Rule, part: str) -> GuardPlace:
        return GuardPlace(self.journey.name, rule_kind(rule), rule.id, part)

    def _ruling(self, rule: TransitionRule, place: Place) -> Ruling:
        return Ruling(rule.id, rule.reason, self._when(rule.reason_from, place), rule.owner)

    def _id(self, rule: Rule) -> Type | None:
        """The type of `id` in the rule's expressions; None where there is none."""
        trigger, vocabulary = rule.trigger, self.builder.building.vocabulary
        match trigger:
            case Absence(since=since, by=str(by)) if since != "stage":
                return id_type(vocabulary, since, by)
            case Sequence(steps=steps, by=str(by)):
                return id_type(vocabulary, steps[0].types, by)
            case _:
                return None

    def _move(
        self,
        rule: TransitionRule,
        stage: str,
        ruling: Ruling,
        holds: tuple[int, Guard | None, Guard | None],
    ) -> Move | None:
        """The rule in one stage; None where its target does not exist or is the stage itself."""
        memory, target = NO_MEMORY, rule.to
        if isinstance(target, Back):
            holder = self.journey.stages[stage].memory
            memory = NO_MEMORY if holder is None else self._memories.get(holder, NO_MEMORY)
            target = target.fallback
        to = self._index.get(self.journey.destination(target, stage), NOWHERE)
        same = to == NOWHERE or (to == self._index[stage] and not rule.reenter)
        if memory == NO_MEMORY and same:
            return None
        return Move(holds[0], rule.min_dwell, holds[1], holds[2], to, memory, rule.reenter, ruling)

    def _call(self, number: int, rule: SignalRule, place: Place, kind: str | None) -> Call:
        payload = []
        for name, expression in rule.payload.items():
            guard = self._when(expression, place)
            assert guard is not None, name
            payload.append((name, guard))
        by: Getter | None = None
        if rule.by is not None and kind is not None and rule.cancel:
            by = self.builder.building.identity(kind, place.word, rule.by)
        return Call(
            id=rule.id,
            signal=rule.signal or rule.id,
            slot=self._slots[number],
            kind=rule.kind,
            owner=rule.owner,
            expires=rule.expires,
            cancellable=bool(rule.cancel),
            by=by,
            every=rule.rate.every if rule.rate else 0,
            at_most=rule.rate.count if rule.rate else 0,
            reason=rule.reason,
            reason_from=self._when(rule.reason_from, place),
            payload=tuple(payload),
        )

    def _cancel(
        self, place: int, rule: SignalRule, kind: str, cancels: list[Cancel], *, active: bool
    ) -> None:
        word = self.builder.building.expand(rule.cancel, active=active).get(kind)
        if word is not None:
            by = None if rule.by is None else self.builder.building.identity(kind, word, rule.by)
            plain = Call(
                rule.id, rule.signal or rule.id, self._slots[place], rule.kind, rule.owner, rule.expires,
                True, None, 0, 0, rule.reason, None, (),
            )  # fmt: skip
            cancels.append(Cancel(self._slots[place], by, plain))

    def _triggered(
        self, place: int, rule: Rule, kind: str, *, active: bool
    ) -> tuple[str | None, tuple[str, ...], Expression | None, int]:
        """Whether this type can trigger the rule: as which word, of which words, if what, after what."""
        trigger = rule.trigger
        if isinstance(trigger, OnEvent):
            word = self.builder.building.expand(trigger.types, active=active).get(kind)
            return word, trigger.types, trigger.where, NO_SEQUENCE
        if isinstance(trigger, Sequence):
            # The guard of the last step has been asked by the sequence itself.
            types = trigger.steps[-1].types
            word = self.builder.building.expand(types, active=active).get(kind)
            return word, types, None, self._sequences[place]
        return None, (), None, NO_SEQUENCE

    # Timers and sequences.

    def _timer(self, place: int, rule: Rule, trigger: Absence, key: str, index: int) -> Timer:
        here = Place((), "", self._id(rule), set(), rule)
        stages = rule.from_ if isinstance(rule, TransitionRule) else rule.in_
        after = trigger.after
        when = self._when(rule.when, here, WHEN)
        timer = Timer(
            index=index,
            key=key,
            journey=self.j,
            live=(*(stage in stages for stage in self._stages), False),
            after=after if isinstance(after, int) else self._after(place, trigger, after, here.id_),
            by=trigger.by is not None,
            limit=trigger.limit,
            min_dwell=rule.min_dwell if isinstance(rule, TransitionRule) else 0,
            when=when,
        )
        if isinstance(rule, TransitionRule):
            ruling = self._ruling(rule, here)
            timer.moves = tuple(
                self._move(rule, stage, ruling, (NO_SEQUENCE, None, when)) if stage in stages else None
                for stage in self._stages
            )
        else:
            timer.call = self._call(place, rule, here, None)
        timer.needs = frozenset(here.before)
        return timer

    def _after(self, place: int, trigger: Absence, after: Expression, id_: Type | None) -> Guard:
        guard, needs = self.builder.when(after, id_=id_)
        if trigger.since == "stage":
            self.builder.building.always_before |= needs
        else:
            self._after_needs[place] = needs
        return guard

    def _ops(self, place: int, rule: Rule, kind: str, *, active: bool) -> tuple[Step, ...]:
        trigger = rule.trigger
        if not isinstance(trigger, Absence):
            return ()
        building, timer = self.builder.building, self._timers[place]
        since: tuple[str, ...] = () if isinstance(trigger.since, str) else trigger.since
        arms = building.expand(since, active=active).get(kind)
        stops = building.expand(trigger.unless, active=active).get(kind)
        disarm: Step | None = None
        if stops is not None:
            by = None if trigger.by is None else building.identity(kind, stops, trigger.by)
            holds = self._where(trigger.unless_where, trigger.unless, stops, rule, UNLESS_WHERE)
            disarm = disarming(timer, by, holds)
        if arms is None:
            return () if disarm is None else (disarm,)
        by = None if trigger.by is None else building.identity(kind, arms, trigger.by)
        where = self._where(trigger.where, since, arms, rule)
        return (arming(timer, by, where, disarm),)

    def _steps(
        self, place: int, rule: Rule, kind: str, *, active: bool
    ) -> tuple[tuple[int, SequenceStep], ...]:
        trigger = rule.trigger
        if not isinstance(trigger, Sequence):
            return ()
        building, slot = self.builder.building, self._sequences[place]
        steps = []
        identity: Getter | None = None
        for number, step in enumerate(trigger.steps):
            word = building.expand(step.types, active=active).get(kind)
            if word is not None:
                where = self._where(step.where, step.types, word, rule, step_part(number))
                steps.append((number, where))
                if trigger.by is not None:
                    identity = building.identity(kind, word, trigger.by)
        if not steps:
            return ()
        last = len(trigger.steps) - 1
        return ((slot, sequence(slot, last, steps, trigger.within, identity, trigger.limit)),)

    def _entry(self, stage: str) -> Entry:
        here = self._index[stage]
        timers = list(self._timers.items())
        by_entry = [t for place, t in timers if self._since_stage(place)]
        remembers = []
        for holder in (stage, self.journey.stages[stage].parent):
            if holder in self._memories:
                inside = self.journey.groups[holder].leaves if holder in self.journey.groups else (holder,)
                remembers.append((self._memories[holder], tuple(self._index[leaf] for leaf in inside)))
        signals = []
        for place, rule in enumerate(self._rules):
            if not isinstance(rule, SignalRule) or not isinstance(rule.trigger, OnEnter):
                continue
            if stage in rule.trigger.stages and stage in rule.in_:
                there = Place((), "", None, self.builder.building.always_before, rule)
                when = self._when(rule.when, there, WHEN)
                call = self._call(place, rule, there, None)
                signals.append(Chance(place, NO_SEQUENCE, None, when, call))
        return Entry(
            arms=tuple(t for t in by_entry if t.live[here]),
            disarms=tuple(t.index for t in by_entry if not t.live[here]),
            wakes=tuple(t for _, t in timers if t.live[here]),
            remembers=tuple(remembers),
            signals=tuple(signals),
        )

    def _since_stage(self, place: int) -> bool:
        trigger = self._rules[place].trigger
        return isinstance(trigger, Absence) and trigger.since == "stage"
