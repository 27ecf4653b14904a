"""Corrections: what was published and no longer holds once an event has found its place in the order.

In: a recent history, and an event that belongs before something in it. Out: the customer as if the event had
come in its place, and the records that lead there from what was published: retractions, newest first, then
what is new, in order, then the stages now. Strategy: nothing that was published is kept. It is computed again
(A: the entries as they were), and so is what should have been (B: with the event among them); both share what
lies before the event. The difference, by id, is what has to be said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from journey_stream.engine.course import meet, settle
from journey_stream.engine.ids import correction_id
from journey_stream.engine.program import Program
from journey_stream.engine.recent import Entry, Recent
from journey_stream.engine.stages import Record, entered, run_on, standing
from journey_stream.engine.state import NOWHERE, Customer, decode_core, encode_core
from journey_stream.engine.tables import Run
from journey_stream.engine.timers import earliest
from journey_stream.net import OPPOSITE, record_id
from journey_stream.values import Cause, Event, Signal, StageNow, Transition

Outcome: TypeAlias = tuple[Customer | None, list[Record]]


class Correction(NamedTuple):
    """What came of an event in its place."""

    customer: Customer | None
    records: list[Record]
    population: Counter[tuple[str, str]]
    """(journey, stage) to how many more are in it, as far as `records` do not tell."""
    numbers: list[int]
    """The last publication number given out, per journey."""
    corrected: int
    """How many records no longer hold."""


def insert(
    program: Program, person: str, recent: Recent, event: Event, numbers: Sequence[int], now: int
) -> Correction:
    """Work out what an event changes that counts before the end of a history.

    Args:
        program: compiled journeys.
        person: whose history it is.
        recent: the history, without the event.
        event: the event, on time, later than the history's base.
        numbers: the last publication number given out, per journey.
        now: becomes `decided_at`.
    """
    place = recent.place(event)
    before, after = recent.entries[:place], recent.entries[place:]
    c, earlier = _run(program, person, base_of(program, person, recent), before, now)
    core = None if c is None else encode_core(c)
    c, was = _run(program, person, _copy(program, person, core), after, now, recent.point)
    mine = Entry(event.at, False, event.at - 1, event)
    b, now_is = _run(program, person, _copy(program, person, core), [mine, *after], now, recent.point)
    return _Difference(program, event, now, numbers).between(earlier, (c, was), (b, now_is))


def rebuild(program: Program, person: str, recent: Recent) -> Customer | None:
    """The state that a history leads to, but for its publication numbers."""
    base = base_of(program, person, recent)
    return _run(program, person, base, recent.entries, 0, recent.point)[0]


def fold(program: Program, person: str, recent: Recent, count: int) -> None:
    """Let the oldest entries go into the base."""
    base = base_of(program, person, recent)
    c, _ = _run(program, person, base, recent.entries[:count], 0)
    recent.base = b"" if c is None else encode_core(c)
    del recent.entries[:count]


def base_of(program: Program, person: str, recent: Recent) -> Customer | None:
    """The state before the history."""
    return _copy(program, person, recent.base or None)


def _copy(program: Program, person: str, core: bytes | None) -> Customer | None:
    if core is None:
        return None
    c = decode_core(person, core)
    c.due = 0  # no hint is known: the first look works it out
    return c


def _run(
    program: Program,
    person: str,
    c: Customer | None,
    entries: Sequence[Entry],
    now: int,
    point: int | None = None,
) -> Outcome:
    run = Run()
    run.now = now
    for at, late, settled, event in entries:
        run.late = False
        c = settle(program, c, settled, run)
        run.late = late
        c = meet(program, person, c, event, at, run)
    run.late = False
    if point is not None:
        c = settle(program, c, point, run)
        if c is not None:
            c.due = earliest(program, c)[0]
    return c, run.records


class _Difference:
    """Between what was said and what is right."""

    def __init__(self, program: Program, event: Event, now: int, numbers: Sequence[int]) -> None:
        self._program, self._now, self._numbers = program, now, run_on(program, numbers)
        self._cause = Cause(event.event_id, event.type, event.at)
        self._places = {(journey.id, journey.version): journey.index for journey in program.journeys}

    def between(self, earlier: list[Record], was: Outcome, right: Outcome) -> Correction:
        """Say what leads from one to the other; `earlier` are the records of what both have in common."""
        c, records = right
        old, new = _named(was[1]), _named(records)
        gone = [record for name, record in old.items() if name not in new]
        come = [record for name, record in new.items() if name not in old]
        said: list[Record] = [self._retract(record, come, c) for record in reversed(gone)]
        for record in come:
            record.sequence = self._next(record)
        said += come
        left, stays = self._left(was[1]), self._left(records)
        moved = {self._place(record) for record in (*gone, *come) if type(record) is Transition}
        moved |= {place for place, *_ in left ^ stays}
        if c is not None:
            c.sequences = self._numbers.copy()
        said += self._stages([*earlier, *records], c, moved)
        ids = [journey.id for journey in self._program.journeys]
        population = Counter((ids[place], stage) for place, stage, _ in left - stays)
        population.subtract((ids[place], stage) for place, stage, _ in stays - left)
        return Correction(c, said, population, self._numbers, len(gone))

    def _retract(
        self, record: Transition | Signal, come: list[Transition | Signal], c: Customer | None
    ) -> Transition | Signal:
        number, replace = self._next(record), msgspec.structs.replace
        if isinstance(record, Signal):
            return replace(
                record,
                status=OPPOSITE[record.status],
                corrects=record.signal_id,
                cause=self._cause,
                decided_at=self._now,
                sequence=number,
            )
        place = self._place(record)
        stage = NOWHERE if c is None else c.stages[place]
        return replace(
            record,
            transition_id=correction_id(record.transition_id, number),
            trigger="correction",
            corrects=record.transition_id,
            replaced_by=_instead(record, come),
            stage_now=None if stage == NOWHERE else self._program.journeys[place].stages[stage],
            cause=self._cause,
            decided_at=self._now,
            sequence=number,
        )

    def _place(self, record: Record) -> int:
        return self._places[record.journey, record.version]

    def _next(self, record: Record) -> int:
        place = self._place(record)
        number = self._numbers[place] + 1
        for each in (place, *self._program.journeys[place].others):
            self._numbers[each] = number
        return number

    def _left(self, records: list[Record]) -> set[tuple[int, str, int]]:
        """Who was forgotten: (journey, stage, since when in it)."""
        return {
            (self._place(record), record.left, record.entered_at)
            for record in records
            if isinstance(record, StageNow) and record.left is not None
        }

    def _stages(self, records: list[Record], c: Customer | None, moved: set[int]) -> list[Record]:
        """The stages now, where they may be others than was said."""
        last = {self._place(record): record for record in records if not isinstance(record, Signal)}
        found: list[Record] = []
        for place in sorted(moved):
            record = last.get(place)
            if isinstance(record, Transition):
                stage = entered(record)
            elif c is None and isinstance(record, StageNow):
                stage = msgspec.structs.replace(record, left=None)
            elif c is not None and c.stages[place] != NOWHERE:
                stage = standing(self._program, c, place)
            else:
                continue
            stage.sequence = self._numbers[place]
            found.append(stage)
        return found


def _named(records: list[Record]) -> dict[str, Transition | Signal]:
    return {record_id(record): record for record in records if not isinstance(record, StageNow)}


def _instead(gone: Transition, come: list[Transition | Signal]) -> str | None:
    """What takes the place of a transition: the next of the same cause, else of the same rule."""
    moves = [each for each in come if isinstance(each, Transition) and each.journey == gone.journey]
    for each in moves:
        if each.cause == gone.cause:
            return each.transition_id
    for each in moves:
        if (each.rule, each.to) == (gone.rule, gone.to):
            return each.transition_id
    return None
