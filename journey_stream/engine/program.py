"""The program: all journeys and the vocabulary, compiled once into the tables that the steps walk.

In: checked journeys, the vocabulary, options. Out: a `Program`, immutable from then on, shared by all
partitions. `building` collects slots, readers and guards; this module puts them in tables by event type and
stage. The cost of an event depends on the rules that its type can trigger where the customer is, not on how
many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from journey_stream.engine.building import Building, JourneyBuilding
from journey_stream.engine.fusing import fuse
from journey_stream.engine.layout import Layout, fingerprint, pack
from journey_stream.engine.profile import UPDATES
from journey_stream.engine.rules import RuleCompiler
from journey_stream.engine.state import Customer
from journey_stream.engine.tables import Chances, JourneyTable, Plan, Timer
from journey_stream.engine.translation import Target
from journey_stream.engine.watch import Watch
from journey_stream.events.vocabulary import Vocabulary
from journey_stream.journeys.changes import Change
from journey_stream.journeys.model import Journey
from journey_stream.values import DAY, NEVER


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What a deployment can set. Durations are microseconds."""

    dedup_window: int = 7 * DAY
    """How long an event id is remembered."""
    dedup_limit: int = 10_000
    """How many ids are remembered per customer at most."""
    forget_after_anonymous: int | None = 90 * DAY
    forget_after_known: int | None = None
    """None: never."""


class Program:
    """Compiled journeys. Fields are read by the steps; nothing changes them."""

    def __init__(
        self,
        options: EngineOptions,
        journeys: tuple[JourneyTable, ...],
        timers: tuple[Timer, ...],
        plans: tuple[dict[str, Plan], dict[str, Plan]],
        building: Building,
        definitions: Sequence[Journey],
        changes: Sequence[Change],
    ) -> None:
        self.options = options
        self.vocabulary = building.vocabulary
        self.journeys = journeys
        self.timers = timers
        self.active, self.passive = plans
        """Event type to plan: for an act of the customer, and for anything else."""
        self.other = Plan()
        self.other.all_ = _all(journeys, self.other)
        self.silences = tuple(building.silences)
        """Lengths of silence that end a session, each once."""
        self.befores = len(building.befores)
        self.empties: list[Any] = building.empties
        self.forget_anonymous = options.forget_after_anonymous
        self.forget_known = options.forget_after_known
        self.layout = Layout(
            journeys=[(j.name, list(j.stages)) for j in journeys],
            slots=building.slot_keys,
            silences=building.silences,
            timers=[timer.key for timer in timers],
            sequences=building.sequence_keys,
            signals=building.signal_keys,
            memories=building.memory_keys,
            texts=[
                *(each.content_sha for each in definitions),
                f"{options.forget_after_anonymous} {options.forget_after_known}",
            ],
            kinds=[list(j.kinds) for j in journeys],
        )
        self.layout_bytes = pack(self.layout)
        """What `Partition.learn` of a later program needs to read states written by this one."""
        self.fingerprint = fingerprint(self.layout_bytes)
        self.target = Target(
            self.layout,
            self.empties,
            {each.id: each for each in definitions},  # of several versions the last: newcomers enter it
            {change.name: change for change in changes},
        )
        readers = list(building.befores.values())
        self.described_befores = tuple(building.described_befores.values())
        self.watched = building.watch is not None
        self.readers = tuple((place, *reader) for place, reader in enumerate(readers))
        """All values before an event that some rule asks for."""
        for timer in timers:
            needs = sorted(timer.needs | building.always_before)
            timer.before = tuple((place, *readers[place]) for place in needs)

    def newcomer(self, person: str, known: bool, t: int) -> Customer:
        """Make the state of a person never seen before."""
        count = len(self.journeys)
        forget = self.forget_known if known else self.forget_anonymous
        return Customer(
            stages=[-1] * count,
            entered=[t] * count,
            sequences=[0] * count,
            loops=[0] * count,
            entries=[None] * count,
            memories=None,
            attrs=self.empties.copy(),
            armed={},
            partial=None,
            raised=None,
            rates=None,
            seen=b"",
            days=[],
            latest=t,
            active=t,
            sessions=[t] * len(self.silences),
            messages=[],
            consent=0,
            known=known,
            test=False,
            person=person,
            due=NEVER if forget is None else t + forget,
        )


def compile_program(
    journeys: Sequence[Journey],
    vocabulary: Vocabulary,
    options: EngineOptions | None = None,
    changes: Sequence[Change] = (),
    *,
    watch: Watch | None = None,
) -> Program:
    """Compile journeys that `journeys.load` found fit to run; equal attributes are kept once for all.

    Args:
        journeys: the present version of each.
        vocabulary: the event types there are.
        options: what a deployment can set.
        changes: what becomes of customers in other versions; those that are kept run beside the present one.
        watch: notes what each guard says, for tests and explanations; costs speed, changes nothing else.
    """
    options = options or EngineOptions()
    journeys = side_by_side(journeys, changes)
    places: dict[str, tuple[int, ...]] = {}
    for place, journey in enumerate(journeys):
        places[journey.id] = (*places.get(journey.id, ()), place)
    building = Building(vocabulary, places, watch)
    builders = [JourneyBuilding(building, place, journey) for place, journey in enumerate(journeys)]
    building.start([builder.stages for builder in builders])
    compilers = [RuleCompiler(builder) for builder in builders]
    for builder in builders:
        builder.compile_attributes()
    for compiler in compilers:
        compiler.compile_rules()
    timers = tuple(building.timers)
    tables = tuple(compiler.table() for compiler in compilers)
    plans = (
        _plans(building, compilers, tables, active=True),
        _plans(building, compilers, tables, active=False),
    )
    return Program(options, tables, timers, plans, building, journeys, changes)


def side_by_side(journeys: Sequence[Journey], changes: Sequence[Change]) -> list[Journey]:
    """Put the versions that are kept before the one that newcomers enter, in the order they were given."""
    return [
        each
        for journey in journeys
        for each in (
            *(
                change.previous
                for change in changes
                if change.journey == journey.id and change.policy == "keep" and change.previous is not None
            ),
            journey,
        )
    ]


def _plans(
    building: Building, compilers: Sequence[RuleCompiler], tables: Sequence[JourneyTable], *, active: bool
) -> dict[str, Plan]:
    plans: dict[str, Plan] = {}
    for kind in building.vocabulary.names():
        plan = Plan(profile=UPDATES.get(kind))
        steps = [each for only, each in building.updates.get(kind, ()) if active or not only]
        before = set(building.always_before)
        for compiler in compilers:
            part = compiler.plan(kind, active=active)
            before |= part.before
            steps += part.timers
            plan.sequences += part.sequences
            plan.moves += part.moves
            plan.signals += part.signals
            plan.cancels += part.cancels
        plan.fold = fuse(steps)
        plan.touched = bool(plan.signals or plan.cancels)
        plan.all_ = _all(tables, plan)
        readers = list(building.befores.values())
        plan.before = tuple((place, *readers[place]) for place in sorted(before))
        plans[kind] = plan
    return plans


def _all(tables: Sequence[JourneyTable], plan: Plan) -> Any:
    """Lay out for every journey what may be raised and taken back after some journey has moved."""
    signals, cancels = dict(plan.signals), dict(plan.cancels)
    found = []
    for table in tables:
        nothing: Chances = ((),) * (len(table.stages) + 1)
        staying = signals.get(table.index, nothing)
        entering = tuple(
            tuple(sorted((*chances, *entry.signals), key=attrgetter("order")))
            for chances, entry in zip(staying, table.entries, strict=False)
        )
        found.append((table, staying, entering, cancels.get(table.index, ())))
    return tuple(found)
