"""A change of version, carried out: every customer of a partition goes where the policy of the change says.

In: a partition whose states were written under other definitions, the time of the change, and, for `replay`,
a partition with the same program that history was run through. Out, step by step: states of the present
layout, and one transition (`trigger: migration`) for each customer whose stage has another name now. A step
can be drained and committed by itself: a state says by its layout whether it has changed yet, so that what
was cut short goes on with the others.

    keep     nothing is done here: the versions run side by side, states are read as they are touched
    migrate  stages by the map; the time in the stage, loops, entries and the sequence go on. A timer goes on
             where both versions have the rule. One that is new counts from the entry into the stage, or from
             the last act of the customer, else from the change; what is overdue moves the customer at the
             change. A signal is never raised for the past: what would be overdue, or waits for an event
             that nobody remembers, waits for the next.
    replay   the journey's part of the state is the one that history gives; sequence and signals go on
"""

from __future__ import annotations

from typing import Any, Final

from journey_stream.engine.ids import transition_id
from journey_stream.engine.partition import Partition
from journey_stream.engine.records import about, after_of, read_attributes
from journey_stream.engine.state import NOWHERE, Customer, decode
from journey_stream.engine.step import take_before
from journey_stream.engine.tables import JourneyTable, Run, Timer
from journey_stream.engine.timers import earliest
from journey_stream.engine.translation import Route, Translation
from journey_stream.errors import VersionError
from journey_stream.journeys.changes import Policy, rules_by_key
from journey_stream.journeys.model import ACTIVITY, Absence
from journey_stream.values import SECOND, Cause, StageNow, Transition

MIGRATION: Final = "migration"
"""The rule and the cause of a transition that a change of version makes."""


def occupied(partition: Partition) -> set[str]:
    """Name the versions (`buyer-value@1`) that somebody is in: reads every state."""
    found: set[str] = set()
    own = partition.program.layout.journeys
    other = set(partition.of_other_layouts())
    for person in partition.people():
        blob = partition.at_rest(person) if person in other else partition.encoded(person)
        if blob is not None:
            layout = partition.reader.translation(blob).old.journeys if person in other else own
            stages = decode(person, blob).stages
            found |= {name for (name, _), stage in zip(layout, stages, strict=True) if stage != NOWHERE}
    return found


class Switch:
    """Takes customers to the present versions, some at a time."""

    def __init__(self, partition: Partition, at: int, now: int, history: Partition | None = None) -> None:
        """Give the partition, the time of the change, the wall time, and for `replay` what history gave."""
        self._partition, self._at, self._now, self._history = partition, at, now, history
        self._left = partition.of_other_layouts()
        self._left.reverse()
        self._check_history()
        self._fresh: dict[tuple[int, int], tuple[tuple[Timer, Absence], ...]] = {}

    def __len__(self) -> int:
        """How many customers are left."""
        return len(self._left)

    def step(self, count: int) -> None:
        """Take so many customers over; the partition's next drain holds what came of it.

        Raises:
            VersionError: a customer is where nothing is said about, or history does not know a customer.
        """
        for _ in range(min(count, len(self._left))):
            person = self._left.pop()
            self._take_over(person, self._at_rest(person))

    def _at_rest(self, person: str) -> bytes:
        blob = self._partition.at_rest(person)
        assert blob is not None, "they are known"
        return blob

    def _take_over(self, person: str, blob: bytes) -> None:
        reader, program = self._partition.reader, self._partition.program
        translation = reader.translation(blob)
        old = decode(person, blob).stages
        c = reader.read(person, blob)
        moved = _moved(translation, old)
        for _, route, policy in moved:
            if policy == "replay":
                self._recompute(c, route, translation)
        c.first = None
        t = max(self._at, c.latest)
        take_before(program, c, program.readers, t)
        run = self._partition.replace(c)
        run.now = self._now
        run.begin(None)
        for place, route, policy in moved:
            if route.timers:
                self._overdue(c, route, t)
            self._arm(c, route, t)
            names, kinds = translation.old.journeys[place][1], translation.old.kinds
            left = names[old[place]]
            kind = kinds[place][old[place]] if kinds else None
            journey = program.journeys[route.place]
            if journey.stages[c.stages[route.place]] != left:
                _record(c, journey, (left, kind), t, run, replay=policy == "replay")
        run.read = {}
        c.before = c.first = None
        c.due = earliest(program, c)[0]
        self._partition.replace(c)

    def _check_history(self) -> None:
        """See that history knows everybody whose stage it has to tell, before anything is published."""
        known = set() if self._history is None else set(self._history.people())
        for person in self._left:
            blob = self._at_rest(person)
            translation = self._partition.reader.translation(blob)
            for route in translation.routes if person not in known else ():
                if route is None or route.change is None or route.change.policy != "replay":
                    continue
                if decode(person, blob).stages[translation.routes.index(route)] != NOWHERE:
                    msg = (
                        f"journey {route.new!r}: a customer is in {route.old!r}, but the history "
                        f"given for `replay` does not know that customer: it does not reach back to the "
                        f"first event. Give more history, or choose `migrate` or `keep`"
                    )
                    raise VersionError(msg)

    def _recompute(self, c: Customer, route: Route, translation: Translation) -> None:
        """Take the journey's part of the state from the customer that history gives."""
        assert self._history is not None, "asked for beforehand"
        past, j = self._history.customer(c.person), route.place
        assert past is not None, "asked for beforehand"
        program = self._partition.program
        c.stages[j], c.entered[j], c.loops[j] = past.stages[j], past.entered[j], past.loops[j]
        c.entries[j] = past.entries[j]
        layout = program.layout
        own = f"{route.new}/"
        memories = {k for k, key in enumerate(layout.memories) if key.startswith(own)}
        c.memories = _with(c.memories, past.memories, memories)
        timers = {timer.index for timer in program.timers if timer.journey == j}
        c.armed = _with(c.armed, past.armed, timers) or {}
        sequences = {k for k, key in enumerate(layout.sequences) if key.startswith(own)}
        c.partial = _with(c.partial, past.partial, sequences)
        young = c.young or {}
        for slot in set(range(len(layout.slots))) - {target for _, target in translation.slots}:
            c.attrs[slot] = past.attrs[slot]
            young.pop(slot, None)
        c.young = young or None

    def _overdue(self, c: Customer, route: Route, t: int) -> None:
        """Timers that wait less long now are due at the change at the earliest; signals not at all."""
        timers = route.timers or {}
        for timer in self._partition.program.timers:
            shift = timers.get(timer.key.partition("/")[2], 0) if timer.journey == route.place else 0
            held = c.armed.get(timer.index) if shift < 0 else None
            if held is None:
                continue
            dues = {"": held} if type(held) is int else held
            kept = {
                name: max(due, t)
                for name, due in dues.items()
                if due > t or due - shift <= t or timer.call is None
            }
            if not kept:
                del c.armed[timer.index]
            else:
                c.armed[timer.index] = kept[""] if type(held) is int else kept

    def _arm(self, c: Customer, route: Route, t: int) -> None:
        """Arm the timers of rules that the other version did not have."""
        j = route.place
        for timer, trigger in self._timers(route):
            if timer.index in c.armed or not timer.live[c.stages[j]]:
                continue
            if trigger.since == "stage":
                since = c.entered[j]
            elif timer.by or timer.call is not None:
                continue
            else:
                since = c.active if trigger.since == (ACTIVITY,) and trigger.where is None else t
            after = timer.after
            wait = after if isinstance(after, int) else after_of(after(c, None, t))
            if wait is not None and (timer.call is None or since + wait > t):
                c.armed[timer.index] = max(since + wait, t)

    def _timers(self, route: Route) -> tuple[tuple[Timer, Absence], ...]:
        """The timers that do not go on from the other version, with what they wait for."""
        if route.timers is None or route.change is None or route.change.policy == "replay":
            return ()
        key = (id(route), route.place)
        if key not in self._fresh:
            program = self._partition.program
            present = program.target.present[route.change.journey]
            rules = rules_by_key(present)
            found = []
            for timer in program.timers:
                name = timer.key.partition("/")[2]
                if timer.journey == route.place and name not in route.timers:
                    trigger = rules[name].trigger
                    assert isinstance(trigger, Absence), name
                    found.append((timer, trigger))
            self._fresh[key] = tuple(found)
        return self._fresh[key]


def _moved(translation: Translation, stages: list[int]) -> list[tuple[int, Route, Policy]]:
    """(Position in the old layout, way, policy) of the journeys whose version changes for somebody."""
    return [
        (place, route, route.change.policy)
        for place, route in enumerate(translation.routes)
        if route is not None and route.change is not None and stages[place] != NOWHERE
    ]


def _with(held: dict[int, Any] | None, past: dict[int, Any] | None, own: set[int]) -> dict[int, Any] | None:
    """Put what history says of the journey's own in place of what is held of it."""
    kept = {k: value for k, value in (held or {}).items() if k not in own}
    return kept | {k: value for k, value in (past or {}).items() if k in own} or None


def _record(
    c: Customer, journey: JourneyTable, left: tuple[str, Any], t: int, run: Run, *, replay: bool
) -> None:
    """Say that the customer's stage has another name now, and since when the customer has been in it."""
    j = journey.index
    stage = c.stages[j]
    number = (c.entries[j] or {}).get(stage, 1)
    c.sequences[j] += 1
    attributes, approximate, partial = read_attributes(c, journey, t, run)
    to = journey.stages[stage]
    shared = about(c, t, run, (t, None))
    said = (c.entered[j], number, c.loops[j], attributes, approximate, shared.profile, *partial)
    named = transition_id(journey.id, journey.version, c.person, left[0], to, MIGRATION, (t, None), t, said)
    run.records.append(
        Transition(
            transition_id=named,
            journey=journey.id,
            version=journey.version,
            customer_id=shared.customer_id,
            anonymous_id=shared.anonymous_id,
            account_id=c.account_id,
            from_=left[0],
            to=to,
            from_kind=left[1],
            to_kind=journey.kinds[stage],
            direction="lateral",
            rule=MIGRATION,
            reason=MIGRATION,
            owner=journey.owners[stage],
            trigger="migration",
            cause=Cause(None, MIGRATION, t),
            occurred_at=t,
            decided_at=run.now,
            entered_from_at=c.entered[j],
            dwell_s=max(0, t - c.entered[j]) / SECOND,
            sequence=c.sequences[j],
            first_entry=number == 1,
            entry_number=number,
            loop=c.loops[j],
            attributes=attributes,
            approximate=approximate,
            partial=partial,
            contactable=shared.contactable,
            over_contacted=shared.over_contacted,
            locale=c.locale,
            country=c.country,
            timezone=c.timezone,
            late=False,
            test=c.test,
            replay=replay,
            person=c.person,
        )
    )
    run.records.append(
        StageNow(
            person=c.person,
            journey=journey.id,
            version=journey.version,
            customer_id=shared.customer_id,
            anonymous_id=shared.anonymous_id,
            account_id=c.account_id,
            stage=to,
            kind=journey.kinds[stage],
            owner=journey.owners[stage],
            entered_at=c.entered[j],
            sequence=c.sequences[j],
            transition_id=named,
            attributes=attributes,
            test=c.test,
            replay=replay,
        )
    )
