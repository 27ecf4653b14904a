"""All customers of one keyed partition: in memory, no I/O, no clock of its own.

In: states at rest, events in the order they are to be applied, times up to which timers may fire. Out, at
each `drain`: the records since the last one, the states that changed, what was refused, counts. Customers
are bytes until touched; touched ones are encoded once per drain.

An exception while one customer is at work costs nobody else: the customer is rebuilt from the state of the
last drain and what was applied since, the event is tried once more, and then refused.
"""

from __future__ import annotations

from collections import Counter
from typing import TypeAlias

from journey_stream.engine.drained import Drained
from journey_stream.engine.ids import fingerprint
from journey_stream.engine.layout import Translation, unpack
from journey_stream.engine.layout import fingerprint as fingerprint_of_layout
from journey_stream.engine.program import Program
from journey_stream.engine.queue import DueQueue
from journey_stream.engine.seen import has_seen, remember
from journey_stream.engine.stages import tombstones, with_stages
from journey_stream.engine.state import Customer, decode, due_of, encode, fingerprint_of
from journey_stream.engine.step import apply_event
from journey_stream.engine.tables import Run
from journey_stream.engine.timers import FORGET, Due, earliest, fire, forgotten_at
from journey_stream.errors import EngineError, StateError
from journey_stream.values import NEVER, Event, rfc3339

__all__ = ["LAYOUT_KEY", "Drained", "Partition"]

LAYOUT_KEY = "\0layout:"
"""States under a key that begins so are layouts (`Program.layout_bytes`), not persons."""

Log: TypeAlias = list[tuple[Event | None, Due | None, int, bool]]
"""Entries (event, timer that fired, decided at, late): one of the first two."""


class Partition:
    """Customers and their timers. Not safe for use by several threads."""

    def __init__(self, program: Program, *, cache: int = 2_000) -> None:
        """Args: program: compiled journeys. cache: how many customers may stay decoded between drains."""
        self.program = program
        self._cache = cache
        self._blobs: dict[str, bytes] = {}
        self._hot: dict[str, Customer] = {}
        """Decoded customers. Whoever is touched but not hot has been forgotten in this batch."""
        self._touched: dict[str, Log] = {}
        self._queue = DueQueue(self._hint)
        self._run = Run()
        self._counts: Counter[str] = Counter()
        self._rejected: list[tuple[Event, str]] = []
        self._translations: dict[bytes, Translation] = {}
        self._layout_written = False

    @property
    def next_due(self) -> int:
        """When something may be due: never later than the earliest timer, NEVER without any."""
        return self._queue.next_due

    def __len__(self) -> int:
        """How many customers are known; costs as much as was touched since the last drain."""
        blobs, hot = self._blobs, self._hot
        return len(blobs) + sum((person in hot) - (person in blobs) for person in self._touched)

    @property
    def timers_pending(self) -> int:
        """How many customers have something due some time; at most so many, since it is not counted out."""
        return min(len(self._queue), len(self))

    # States at rest.

    def load(self, person: str, blob: bytes | None) -> None:
        """Take in a state at rest, as a former `drain` gave it; None is a tombstone. Decodes nothing.

        Raises:
            StateError: the state is of a format this version does not read.
        """
        if person.startswith(LAYOUT_KEY):
            if blob is not None:
                self.learn(blob)
        elif blob is None:
            self._blobs.pop(person, None)
            self._queue.forget(person)
        else:
            self._blobs[person] = blob
            due = due_of(person, blob)
            if fingerprint_of(blob) == self.program.fingerprint:
                self._queue.load(person, due)
            else:
                # Written under other definitions: when something is due has to be worked out anew.
                self._queue.load(person, due, entry=0)

    def learn(self, layout: bytes) -> None:
        """Learn to read the states of a program with this layout (`Program.layout_bytes`)."""
        old = unpack(layout)
        if old == self.program.layout:
            self._layout_written = True
        else:
            translation = Translation(old, self.program.layout, self.program.empties)
            self._translations[fingerprint_of_layout(old)] = translation

    def encoded(self, person: str) -> bytes | None:
        """The state of one customer as it would be at rest now, None for nobody."""
        c = self._hot.get(person)
        if c is not None:
            return encode(c, self.program.fingerprint)
        return None if person in self._touched else self._blobs.get(person)

    def customer(self, person: str) -> Customer | None:
        """A decoded copy of one customer's state, to look at."""
        blob = self.encoded(person)
        return None if blob is None else self._decode(person, blob)

    def people(self) -> list[str]:
        """Everybody known here."""
        gone = {person for person in self._touched if person not in self._hot}
        return [person for person in dict.fromkeys((*self._blobs, *self._hot)) if person not in gone]

    # Events.

    def apply(self, event: Event, now: int, *, late: bool = False) -> None:
        """Apply one event; the customer's timers that were due before it fire first.

        Args:
            event: the event; one behind the customer's latest applied time is applied at that time.
            now: becomes `decided_at`.
            late: flag its records as late.
        """
        run, person = self._run, event.person
        run.now, run.late = now, late
        records = len(run.records)
        log = self._touched.get(person)
        logged = 0 if log is None else len(log)
        try:
            self._advance(event)
        except Exception:  # whatever it is, it must not reach other customers
            self._back(person, records, logged)
            run.now, run.late = now, late
            try:
                self._advance(event)
            except Exception as error:
                self._back(person, records, logged)
                self._counts["rejected"] += 1
                self._rejected.append((event, f"{type(error).__name__}: {error}"))

    def _advance(self, event: Event) -> None:
        run, person, at = self._run, event.person, event.at
        c = self._hot.get(person) or self._wake(person)
        mark = fingerprint(event.event_id)
        if c is not None:
            if mark in c.seen and has_seen(c, mark) and forgotten_at(self.program, c) >= at:
                self._counts["duplicate"] += 1
                return
            if c.due < at:
                c = self._settle(c, at - 1)
        if c is None:
            if event.actor != "customer":
                self._counts["unknown_person"] += 1
                return
            c = self._new(event)
        log = c.log
        if log is None:
            log = self._touch(c)
        due = c.due
        bound = c.due = self._queue.bound(person, due)
        if run.late:
            self._counts["late"] += 1
        elif at < c.latest:
            self._counts["disordered"] += 1
        _take(self.program, c, event, mark, run)
        log.append((event, None, run.now, run.late))
        armed = c.due
        if armed > due:
            c.due = due
        if armed < bound:
            self._queue.put(person, armed)
        self._counts["applied"] += 1

    def _settle(self, c: Customer, until: int) -> Customer | None:
        """Fire what was due for this customer up to `until`; None when that was forgetting the person."""
        while c.due <= until:
            due = earliest(self.program, c)
            if due[0] > until:
                self._touch(c)
                self._queue.moved(c.person, c.due, due[0])
                c.due = due[0]
            elif not self._fire_once(c, due):
                return None
        return c

    def _new(self, event: Event) -> Customer:
        person = event.person
        if person.startswith("\0"):
            msg = f"person {person!r}: ids that begin with a NUL character are reserved"
            raise ValueError(msg)
        c = self.program.newcomer(person, event.customer_id is not None, event.at)
        self._hot[person] = c
        self._touch(c)
        self._queue.put(person, c.due)
        self._counts["new"] += 1
        return c

    # Timers.

    def fire(self, until: int, now: int, limit: int | None = None) -> int:
        """Fire timers due up to `until` (inclusive), in the order they are due over all customers.

        Args:
            until: how far time has come.
            now: becomes `decided_at`.
            limit: look at so many customers at most; then `next_due` may still be at or before `until`.

        Returns:
            How many fired (or forgot somebody).

        Raises:
            EngineError: the engine failed twice on one timer.
        """
        run = self._run
        run.now, run.late = now, False
        fired = looked = 0
        while limit is None or looked < limit:
            entry = self._queue.pop(until)
            if entry is None:
                break
            looked += 1
            at, person = entry
            c = self._hot.get(person) or self._peek(person)
            if c is None:
                self._queue.forget(person)
                continue
            due = earliest(self.program, c)
            if due[0] > at:
                self._queue.put(person, due[0])
                continue
            self._hot[person] = c
            self._fire(c, due)
            fired += 1
        return fired

    def _fire(self, c: Customer, due: Due) -> None:
        """Fire one timer; if the engine fails, once more on the state rebuilt."""
        run, person = self._run, c.person
        records, now = len(run.records), run.now
        log = self._touched.get(person)
        logged = 0 if log is None else len(log)
        try:
            self._fire_once(c, due)
        except Exception:
            again = self._back(person, records, logged)
            run.now, run.late = now, False
            try:
                self._fire_once(again or c, due)
            except Exception as error:
                self._back(person, records, logged)
                rule = "forget" if due[1] == FORGET else self.program.timers[due[1]].key
                msg = (
                    f"timer {rule!r} of customer {person!r}, due {rfc3339(due[0])}: expected it to fire, "
                    f"but the engine failed twice ({type(error).__name__}: {error}); the partition stops: "
                    f"report this together with the definition"
                )
                raise EngineError(msg) from error

    def _fire_once(self, c: Customer, due: Due) -> bool:
        """Fire; tells whether the customer is still known."""
        log = c.log
        if log is None:
            log = self._touch(c)
        if due[1] == FORGET:
            self._forget(c)
        else:
            fire(self.program, c, due, self._run)
            before, c.due = c.due, earliest(self.program, c)[0]
            self._queue.moved(c.person, before, c.due)
            self._counts["timers"] += 1
        log.append((None, due, self._run.now, False))
        return due[1] != FORGET

    def _forget(self, c: Customer) -> None:
        self._run.records += tombstones(self.program, c)
        del self._hot[c.person]
        self._queue.forget(c.person)
        self._counts["forgotten"] += 1

    # What came of it.

    def drain(self) -> Drained:
        """Hand out what happened since the last drain and put the customers touched to rest."""
        program, blobs = self.program, self._blobs
        changes: list[tuple[str, bytes | None]] = []
        if self._touched and not self._layout_written:
            changes.append((LAYOUT_KEY + program.fingerprint.hex(), program.layout_bytes))
            self._layout_written = True
        for person in self._touched:
            c = self._hot.get(person)
            if c is not None:
                c.log = None
                blob = blobs[person] = encode(c, program.fingerprint)
                changes.append((person, blob))
            elif blobs.pop(person, None) is not None:
                changes.append((person, None))
        run = self._run
        drained = Drained(with_stages(run.records), changes, self._rejected, self._counts, run.unknown)
        self._run, self._counts, self._rejected, self._touched = Run(), Counter(), [], {}
        if len(self._hot) > self._cache:
            self._hot.clear()
        self._queue.compact(blobs, len(blobs))
        return drained

    # Memory.

    def _hint(self, person: str) -> int:
        c = self._hot.get(person)
        if c is not None:
            return c.due
        blob = None if person in self._touched else self._blobs.get(person)
        return NEVER if blob is None else due_of(person, blob)

    def _wake(self, person: str) -> Customer | None:
        c = self._peek(person)
        if c is not None:
            self._hot[person] = c
        return c

    def _peek(self, person: str) -> Customer | None:
        blob = None if person in self._touched else self._blobs.get(person)
        return None if blob is None else self._decode(person, blob)

    def _decode(self, person: str, blob: bytes) -> Customer:
        c = decode(person, blob)
        mark = fingerprint_of(blob)
        if mark != self.program.fingerprint:
            translation = self._translations.get(mark)
            if translation is None:
                msg = (
                    f"state of customer {person!r}: it was written under other journey definitions (layout "
                    f"{mark.hex()}), and their layout was not loaded; load the whole changelog, or reset"
                )
                raise StateError(msg)
            translation.apply(c)
            c.due = earliest(self.program, c)[0]
        return c

    def _touch(self, c: Customer) -> Log:
        log = c.log = self._touched.setdefault(c.person, [])
        return log

    def _back(self, person: str, records: int, logged: int) -> Customer | None:
        """Undo what an exception left half done: rebuild the customer from rest and log."""
        del self._run.records[records:]
        self._hot.pop(person, None)
        log = self._touched.pop(person, [])
        del log[logged:]
        c = self._peek(person)
        present, self._run = self._run, Run()
        try:
            for event, due, now, late in log:
                self._run.now, self._run.late = now, late
                c = self._again(person, c, event, due)
        finally:
            self._run = present
        if log:
            self._touched[person] = log
        if c is not None:
            self._hot[person] = c
            c.log = log or None
            self._queue.put(person, c.due)
        return c

    def _again(
        self, person: str, c: Customer | None, event: Event | None, due: Due | None
    ) -> Customer | None:
        program, run = self.program, self._run
        if event is None:
            if c is None or due is None or due[1] == FORGET:
                return None
            fire(program, c, due, run)
            c.due = earliest(program, c)[0]
            return c
        if c is None:
            c = program.newcomer(person, event.customer_id is not None, event.at)
        elif c.due < event.at:
            c.due = earliest(program, c)[0]
        _take(program, c, event, fingerprint(event.event_id), run)
        return c


def _take(program: Program, c: Customer, event: Event, mark: bytes, run: Run) -> None:
    """Let one customer, whose timers have fired, take an event in."""
    t = event.at if event.at > c.latest else c.latest
    run.begin(event)
    options = program.options
    remember(c, mark, t, options.dedup_window, options.dedup_limit)
    apply_event(program, c, event, t, run)
    c.latest = t
