"""Who lives in a keyed partition: states at rest as bytes, those at work decoded, and the queue of timers.

In: states at rest and layouts, persons. Out: customers and counts of them. `partition` lets things happen.
"""

from __future__ import annotations

from journey_stream.engine.course import Log
from journey_stream.engine.memory import Memory
from journey_stream.engine.program import Program
from journey_stream.engine.queue import DueQueue
from journey_stream.engine.state import Customer, encode
from journey_stream.engine.store import LAYOUT_KEY, States, Store
from journey_stream.values import NEVER


class Residents:
    """Customers and when their timers are due. Not safe for use by several threads."""

    def __init__(self, program: Program, cache: int) -> None:
        self.program = program
        self._store = self._make_store()
        self._memory = Memory(program, self._store)
        self.reader = self._store.reader
        self._cache = cache
        self._hot: dict[str, Customer] = {}
        """Decoded customers. Whoever is touched but not hot is not known (any more)."""
        self._touched: dict[str, Log] = {}
        self._queue = DueQueue(self._hint)
        self._states: States | None = None

    def _make_store(self) -> Store:
        """Where states rest."""
        return Store(self.program)

    @property
    def next_due(self) -> int:
        """When something may be due: never later than the earliest timer, NEVER without any."""
        return self._queue.next_due

    def __len__(self) -> int:
        """How many customers are known; costs as much as was touched since the last drain."""
        store, hot = self._store, self._hot
        return len(store) + sum((person in hot) - store.known(person) for person in self._touched)

    @property
    def timers_pending(self) -> int:
        """How many customers have something due some time; at most so many, since it is not counted out."""
        states = self._states
        return min(len(self._queue) if states is None else states.pending, len(self))

    # States at rest.

    def rest_in(self, states: States) -> None:
        """Keep states at rest there, outside memory; what is there already is taken over."""
        self._states = states
        self._store.rest_in(states)
        self._queue.leave_far_ones(self._far, states.used)
        for layout in states.layouts():
            self.learn(layout)

    def _far(self, begin: int) -> tuple[list[tuple[int, str]], int]:
        """Who is due from a time on: those at rest, and those at work."""
        assert self._states is not None
        entries, end = self._states.due_from(begin)
        hot = (self._hot.get(person) for person in self._touched)
        entries += [(c.due, c.person) for c in hot if c is not None and begin <= c.due < end]
        return entries, end

    def load(self, person: str, blob: bytes | None) -> None:
        """Take in a state at rest, as a former `drain` gave it; None is a tombstone. Decodes nothing.

        Raises:
            StateError: the state is of a format this version does not read.
        """
        if person.startswith(LAYOUT_KEY):
            if blob is not None:
                self.learn(blob)
        elif blob is None:
            self._store.drop(person)
            self._queue.forget(person)
        else:
            due, ours = self._store.load(person, blob)
            # Written under other definitions: when something is due has to be worked out anew.
            self._queue.load(person, due, entry=None if ours else 0)

    def learn(self, layout: bytes) -> None:
        """Learn to read the states of a program with this layout (`Program.layout_bytes`)."""
        if self.reader.learn(layout):
            self._store.layout_written = True

    def encoded(self, person: str) -> bytes | None:
        """The state of one customer as it would be at rest now, without its history; None for nobody."""
        c = self._hot.get(person) or self._peek(person)
        return None if c is None else encode(c, self.program.fingerprint)

    def customer(self, person: str) -> Customer | None:
        """A decoded copy of one customer's state, to look at."""
        blob = self.encoded(person)
        return None if blob is None else self.reader.read(person, blob)

    def people(self) -> list[str]:
        """Everybody known here."""
        gone = {person for person in self._touched if person not in self._hot}
        return [person for person in dict.fromkeys((*self._store.people(), *self._hot)) if person not in gone]

    def of_other_layouts(self) -> list[str]:
        """Everybody whose state at rest was written under other definitions."""
        return self._store.of_other_layouts()

    def at_rest(self, person: str) -> bytes | None:
        """The bytes of a state as a former `drain` gave them, None for nobody."""
        return self._store.at_rest(person)

    def tidy(self, count: int = 250) -> None:
        """Use spare time: make so many states at rest small."""
        self._store.tidy(count)

    # Memory.

    def _hint(self, person: str) -> int:
        c = self._hot.get(person)
        if c is not None:
            return c.due
        return NEVER if person in self._touched else self._store.due_of(person)

    def _wake(self, person: str) -> Customer | None:
        c = self._peek(person)
        if c is not None:
            self._hot[person] = c
        return c

    def _peek(self, person: str) -> Customer | None:
        return None if person in self._touched else self._store.peek(person)

    def _touch(self, c: Customer) -> Log:
        log = c.log = self._touched.setdefault(c.person, [])
        return log
