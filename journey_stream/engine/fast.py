"""A partition whose work is done by the compiled core, and by Python where that does not know how.

In and out as `partition.Partition`, of which it is one. Strategy: a customer has one master at a time. The
core works on whoever comes in order; what it does not do (events out of order, imports, states of other
layouts) it gives back, with the customer put to rest in the store, where Python finds them; until the next
drain they stay with Python. States at rest are the same bytes for both; they and the queue of timers
are the core's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from journey_stream.engine.compiled_store import BEGINNING, CompiledStore
from journey_stream.engine.drained import Drained, Ready
from journey_stream.engine.partition import Partition
from journey_stream.engine.program import Program
from journey_stream.engine.queue import STALE_AT_MOST, Entry, Far, Used
from journey_stream.engine.state import Customer, due_of
from journey_stream.engine.store import LAYOUT_KEY
from journey_stream.engine.tables import Run
from journey_stream.values import NEVER, Event

if TYPE_CHECKING:
    from journey_stream_native import Core
    from journey_stream_native import Program as Compiled

EVERYBODY = 2**62
"""No limit."""


class FastPartition(Partition):
    """Customers and their timers. Not safe for use by several threads."""

    _store: CompiledStore
    _queue: CoreQueue  # type: ignore[assignment]

    def __init__(
        self, program: Program, compiled: Compiled, *, cache: int = 2_000, compression: str = "none"
    ) -> None:
        """Make one that knows nobody.

        Args:
            program: the journeys.
            compiled: the same, compiled.
            cache: how many customers may stay decoded between drains.
            compression: of the batches of records that `drain_ready` gives, states aside.
        """
        import journey_stream_native

        super().__init__(program, cache=cache)
        self.core: Core = journey_stream_native.Core(compiled, self._store.states, cache, compression)
        self.core.horizon = self._horizon
        self._queue = CoreQueue(self.core, self._hint)

    def _make_store(self) -> CompiledStore:
        return CompiledStore(self.program)

    @property
    def horizon(self) -> int:
        """No event at or before this time will come out of order: no history of it is kept."""
        return self._horizon

    @horizon.setter
    def horizon(self, horizon: int) -> None:
        self._horizon = horizon
        core = getattr(self, "core", None)
        if core is not None:
            core.horizon = max(horizon, BEGINNING)

    def __len__(self) -> int:
        return super().__len__() + self.core.grown

    def apply(self, event: Event, now: int, *, late: bool = False) -> None:
        """Apply one event; see `Partition.apply`."""
        if self.core.apply(event, now, late):
            super().apply(event, now, late=late)

    def apply_here(self, event: Event, now: int, *, late: bool) -> None:
        """Apply one event that the core gave back."""
        super().apply(event, now, late=late)

    def fire(self, until: int, now: int, limit: int | None = None) -> int:
        """Fire timers due up to `until`; see `Partition.fire`."""
        left = EVERYBODY if limit is None else limit
        fired = 0
        while True:
            more, looked, entry = self.core.fire(until, now, left, self._hint)
            fired += more
            left -= looked
            if entry is None:
                if left > 0 and self._queue.fetch(until):
                    continue  # more have come to be due than were here
                return fired
            self._run.now, self._run.late = now, False
            fired += self._see_to(entry)

    # Whoever is looked at is put to rest; whoever is changed from outside is Python's until the next drain.

    def encoded(self, person: str) -> bytes | None:
        """The state of one customer as it would be at rest now, without its history; None for nobody."""
        self.core.flush(person, False)
        return super().encoded(person)

    def replace(self, c: Customer) -> Run:
        """Take in a state that was changed outside; see `Partition.replace`."""
        self.core.flush(c.person, True)
        return super().replace(c)

    def load(self, person: str, blob: bytes | None) -> None:
        """Take in a state at rest; see `Residents.load`."""
        if blob is None or person.startswith(LAYOUT_KEY):
            self.core.flush(person, False)
            super().load(person, blob)
        elif not self.core.load(person, blob):
            due_of(blob)  # which says what is wrong with it

    def load_run(self, records: Sequence[Any], place: int) -> int:
        """Take in states as they were fetched, from a place on; gives the place of the first left to `load`.

        That is what is no state of somebody, or cannot be read.
        """
        import journey_stream_native

        if not isinstance(records, journey_stream_native.Fetched):
            return place
        return self.core.load_run(records, place)

    def people(self) -> list[str]:
        """Everybody known here."""
        self.core.flush_all()
        return super().people()

    def of_other_layouts(self) -> list[str]:
        """Everybody whose state at rest was written under other definitions."""
        self.core.flush_all()
        return super().of_other_layouts()

    def drain(self) -> Drained:
        """Hand out what happened since the last drain; see `Partition.drain`."""
        told = self.core.drain(self._fold)
        self._run.records[:0] = told["records"]
        return self._drained(told)

    def drain_ready(self, timestamp: int, limit: int) -> Drained:
        """The same, with what the core did written down already, as batches for Kafka.

        Args:
            timestamp: of the records, milliseconds.
            limit: bytes of a batch at most.
        """
        told = self.core.drain_ready(self._fold, timestamp, limit)
        drained = self._drained(told)
        drained.population.update(told["population"])
        drained.ready = Ready(
            told["transitions"], told["signals"], told["stages"], told["states"],
            told["size"], told["moves"], told["calls"], told["written"],
        )  # fmt: skip
        return drained

    def _drained(self, told: dict[str, Any]) -> Drained:
        store, run = self._store, self._run
        for rule, count in told["unknown"].items():
            run.unknown[rule] = run.unknown.get(rule, 0) + count
        self._counts.update(told["counts"])
        changes: list[tuple[str, bytes | None]] = []
        if told["touched"] and not store.layout_written:
            changes.append((LAYOUT_KEY + self.program.fingerprint.hex(), self.program.layout_bytes))
            store.layout_written = True
        changes += told.get("changes", ())
        drained = super().drain()
        # Whoever Python worked on is the core's again.
        self._hot.clear()
        store.tidy(told["written"] // 16)
        flushed: dict[str, bool] = dict(told["flushed"])
        changes += drained.changes
        given = {person for person, _ in changes}
        changes += [(person, store.at_rest(person)) for person in flushed if person not in given]
        if flushed:
            # Nobody has ever been told of these: there is nothing to take back.
            changes = [each for each in changes if each[1] is not None or not flushed.get(each[0])]
        drained.changes = changes
        return drained

    def _fold(self, person: str, history: bytes) -> bytes:
        """Fold a history that has become long."""
        recent = self._store.read(person, history)
        recent.numbers = None
        return self._memory.folded(person, recent, self.horizon)


class CoreQueue:
    """The core's queue, as `queue.DueQueue`, for the persons that Python works on."""

    def __init__(self, core: Core, hint_of: Callable[[str], int]) -> None:
        self._core = core
        self._hint_of = hint_of
        self._far: Far | None = None
        self._crowded = STALE_AT_MOST

    def __len__(self) -> int:
        return self._core.queued

    @property
    def next_due(self) -> int:
        """Due of the first entry, NEVER if there is none."""
        if self._core.queue_end < 0:
            self.fetch(self._core.queue_end)
        return self._core.next_due

    @property
    def windowed(self) -> bool:
        """Whether only those due soon are here."""
        return self._far is not None

    def leave_far_ones(self, far: Far, used: Used) -> None:
        """Keep those due soon only; the others are where `far` finds them. Everything before is forgotten."""
        self._far = far  # what is used the core sees by itself
        self._core.queue_leave_far_ones()

    def fetch(self, until: int) -> bool:
        """Fetch more of who is due if entries up to `until` may be missing; tells whether it did."""
        end = self._core.queue_end
        if self._far is None or until < end or end == NEVER:
            return False
        entries, end = self._far(end)
        self._core.queue_fetched(list(entries), end)
        self._crowded = max(STALE_AT_MOST, 2 * len(self))
        return True

    def load(self, person: str, hint: int, *, entry: int | None = None) -> None:
        """Take in a customer in bulk; the entry is at the hint unless given."""
        self._core.queue_load(person, hint, hint if entry is None else entry)

    def moved(self, person: str, before: int, after: int) -> None:
        """Take in that a hint changed."""
        self._core.queue_moved(person, before, after)

    def bound(self, person: str, hint: int) -> int:
        """Tell from when on a timer that is armed now needs an entry of its own."""
        return self._core.queue_bound(person, hint)

    def put(self, person: str, due: int) -> None:
        """Make this due the person's live entry."""
        self._core.queue_put(person, due, self._hint_of(person))

    def forget(self, person: str) -> None:
        """Drop a person."""
        self._core.queue_forget(person)

    def pop(self, until: int) -> Entry | None:
        """Not asked: the core pops (`Core.fire`)."""
        raise AssertionError(until)

    def compact(self, people: Iterable[str], count: int) -> None:
        """Build the queue anew from the live entries if stale ones outnumber them."""
        if self._far is not None:
            if len(self) > self._crowded:
                self._core.queue_leave_far_ones()  # all that is live is found again
        elif len(self) > 2 * count + 1_000:
            self._core.queue_rebuild()


assert NEVER == 2**63 - 1  # the core's, too
