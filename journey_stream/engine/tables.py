"""What definitions become: tables that the steps of the engine walk. Values only; `program` fills them.

Everything that happens often is a plain tuple: an event type has a `Plan`, a plan has its updaters, timers
and, per journey and stage, the rules that this type can trigger there. A rule that cannot hold is in no
table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from journey_stream.engine.fusing import Update
from journey_stream.engine.kept import Reach, Read
from journey_stream.engine.profile import ProfileUpdate
from journey_stream.engine.state import Customer
from journey_stream.journeys.guards import Guard
from journey_stream.values import Cause, Contactable, Event, Kind

SequenceStep: TypeAlias = Callable[[Customer, Event, int], "str | None"]
"""Moves a sequence on; once complete, tells the id it was for ("" without `by`)."""
NO_MEMORY = -1
NO_SEQUENCE = -1


class Ruling(NamedTuple):
    """What a transition rule says about the record it makes."""

    id: str
    reason: str | None
    reason_from: Guard | None
    owner: str | None


class Move(NamedTuple):
    """A transition rule, for one stage and one event type."""

    sequence: int
    """Sequence that has to be complete, or NO_SEQUENCE."""
    min_dwell: int
    where: Guard | None
    when: Guard | None
    target: int
    """Stage to enter; with a memory, the fallback."""
    memory: int
    """`back`: which memory to look up, or NO_MEMORY."""
    reenter: bool
    ruling: Ruling


class Call(NamedTuple):
    """A signal rule, as it is raised."""

    id: str
    signal: str
    """The name its records carry: several rules may raise the same."""
    slot: int
    """Place of the rule among all signal rules."""
    kind: Kind | None
    owner: str | None
    expires: int | None
    cancellable: bool
    by: Callable[[Event, int], str | None] | None
    """The id that ties a cancelling event to it (event-triggered ones)."""
    every: int
    """Rate limit: this long, 0 for none."""
    at_most: int
    """Signals in `every`."""
    reason: str | None
    reason_from: Guard | None
    payload: tuple[tuple[str, Guard], ...]


class Chance(NamedTuple):
    """A signal rule, for one stage and one event type (or for entering a stage: nothing but `when`)."""

    order: int
    """Place in the journey's file."""
    sequence: int
    where: Guard | None
    when: Guard | None
    call: Call


Chances: TypeAlias = "tuple[tuple[Chance, ...], ...]"
"""Per stage and, last, nowhere."""


class Cancel(NamedTuple):
    """A signal that this event type takes back."""

    slot: int
    by: Callable[[Event, int], str | None] | None
    """None: whatever its id was."""
    call: Call


@dataclass(slots=True)
class Timer:
    """An absence rule; `index` follows (journey, transitions before signals, rule)."""

    index: int
    key: str
    """Names it across versions of the definitions."""
    journey: int
    live: tuple[bool, ...]
    """Per stage (and, last, nowhere): whether it counts there."""
    after: int | Guard
    by: bool
    limit: int
    min_dwell: int
    when: Guard | None
    needs: frozenset[int] = frozenset()
    """Values before that its expressions ask for (before a timer is as now)."""
    before: tuple[tuple[int, Read, bool], ...] = ()
    """Their readers, and those of the signals that its move may raise."""
    moves: tuple[Move | None, ...] = ()
    """Transitions: per stage, where to."""
    call: Call | None = None
    """Signals."""


@dataclass(slots=True)
class Entry:
    """What entering a stage does to timers."""

    arms: tuple[Timer, ...] = ()
    disarms: tuple[int, ...] = ()
    """Timers of other stages' entries."""
    wakes: tuple[Timer, ...] = ()
    """Timers that count here: one armed before may be due by now."""
    remembers: tuple[tuple[int, tuple[int, ...]], ...] = ()
    """(memory, its stages): kept when the stage left is none of them."""
    signals: tuple[Chance, ...] = ()
    """`enter` signals, in file order."""


@dataclass(slots=True)
class JourneyTable:
    """One journey, by stage index."""

    index: int
    id: str
    version: int
    name: str
    """Id and version: `buyer-value@2`."""
    stages: tuple[str, ...]
    kinds: tuple[Kind, ...]
    owners: tuple[str | None, ...]
    ranks: tuple[int, ...]
    start: int
    attributes: Callable[[Customer, int], dict[str, Any]]
    """Reads those that travel with records; nothing in it changes later."""
    approximate: Callable[[Customer, int], tuple[str, ...]]
    """Names those among them that a limit made approximate."""
    values: dict[str, Read] = field(default_factory=dict)
    """Every attribute by its name, for looking at a customer; mutable values are not copied."""
    rests: tuple[tuple[str, tuple[tuple[int, Reach], ...]], ...] = ()
    """Attributes that travel with records, each with what it rests on (`Kept.rests`)."""
    others: tuple[int, ...] = ()
    """Other versions of this journey: who is in one of them does not enter here."""
    entered_by_newcomers: bool = True
    """Not an older version that only those stay in who are there."""
    entries: tuple[Entry, ...] = ()
    stage_slots: list[tuple[int, Any]] = field(default_factory=list)
    """Slots to empty on an entry."""
    steady: bool = False
    """Whether entering a stage leaves the attributes of records as they are."""
    described: tuple[tuple[str, Any, bool, Any], ...] = ()
    """Of what `attributes` reads: name, how (as data), whether it can be approximate, how one tells."""


@dataclass(slots=True)
class Plan:
    """What one event type does, for an act of the customer or of somebody else."""

    before: tuple[tuple[int, Read, bool], ...] = ()
    profile: ProfileUpdate | None = None
    fold: Update | None = None
    """Attributes, then timers."""
    sequences: tuple[tuple[int, SequenceStep], ...] = ()
    moves: tuple[tuple[int, tuple[tuple[Move, ...], ...]], ...] = ()
    """(journey, per stage and nowhere: moves in file order)."""
    signals: tuple[tuple[int, tuple[tuple[Chance, ...], ...]], ...] = ()
    cancels: tuple[tuple[int, tuple[Cancel, ...]], ...] = ()
    touched: bool = False
    """Whether there are signals or cancellations here."""
    all_: tuple[tuple[JourneyTable, Chances, Chances, tuple[Cancel, ...]], ...] = ()
    """Every journey: its signals per stage for who stayed and who has just entered; its cancellations."""


class About(NamedTuple):
    """What the records of one event (or timer) of a customer have in common."""

    customer_id: str | None
    """None for somebody anonymous."""
    anonymous_id: str | None
    contactable: Contactable
    over_contacted: bool
    cause: Cause
    key: str | tuple[int, str | None]
    """What stands for the cause in ids."""
    profile: tuple[Any, ...]
    """What of the person all of the records say: part of their ids."""
    replay: bool


Attributes: TypeAlias = tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]
"""What travels with a record; which of it is approximate; which is partial."""


class Run:
    """A batch being applied: where its records go, and under which circumstances they are made."""

    __slots__ = ("about", "event", "fired", "late", "now", "read", "records", "unknown")

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.unknown: dict[tuple[str, str], int] = {}
        """(journey, rule) to how often its guard touched something unknown."""
        self.now = 0
        self.late = False
        self.event: Event | None = None
        """The event being applied, None while a timer fires."""
        self.fired = 0
        self.about: About | None = None
        """What all records of the event at hand say alike, once one of them is made."""
        self.read: dict[int, Attributes] = {}
        """Journey to its attributes, as long as they cannot have changed."""

    def begin(self, event: Event | None) -> None:
        """Turn to an event, or to a timer: what was kept for the records of the last one is void."""
        self.event = event
        if self.about is not None:
            self.about = None
            self.read = {}
