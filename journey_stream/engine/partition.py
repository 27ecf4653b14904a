"""All customers of one keyed partition: in memory, no I/O, no clock of its own.

In: states at rest, events in the order they are to be applied, times up to which timers may fire, the horizon
above which events may still come out of order. Out, at each `drain`: the records since the last one, the
states that changed, what was refused, counts. Customers are bytes until touched; touched ones are encoded
once per drain, with what has happened to them above the horizon (`recent`). An event that comes behind what
its customer has seen finds its place there, and what no longer holds is corrected (`corrections`).

An exception while one customer is at work costs nobody else: the customer is rebuilt from the state of the
last drain and what was applied since, the event is tried once more, and then refused.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from journey_stream.engine.corrections import base_of, insert
from journey_stream.engine.course import introduces, take
from journey_stream.engine.drained import Drained
from journey_stream.engine.ids import fingerprint
from journey_stream.engine.program import Program
from journey_stream.engine.queue import Entry
from journey_stream.engine.residents import Residents
from journey_stream.engine.seen import has_seen
from journey_stream.engine.stages import growth, run_on, tombstones, with_stages
from journey_stream.engine.state import Customer, encode, encode_nobody
from journey_stream.engine.store import LAYOUT_KEY
from journey_stream.engine.tables import Run
from journey_stream.engine.timers import FORGET, Due, earliest, fire, forgotten_at
from journey_stream.errors import EngineError
from journey_stream.values import NEVER, Event, rfc3339

__all__ = ["LAYOUT_KEY", "Drained", "Partition"]

NOBODIES: Final = 100_000
"""Persons nobody knows of whom recent events are kept, at most; of others they are counted and left."""


class Partition(Residents):
    """Customers and their timers, and what happens to them. Not safe for use by several threads."""

    def __init__(self, program: Program, *, cache: int = 2_000) -> None:
        """Args: program: compiled journeys. cache: how many customers may stay decoded between drains."""
        super().__init__(program, cache)
        self.horizon = NEVER
        """No event at or before this time will come out of order: no history of it is kept."""
        self._logged = 0
        """Length of the log at hand before the step at hand."""
        self._sorting = False
        """Whether the step at hand looks for the place of an event."""
        self._run = Run()
        self._counts: Counter[str] = Counter()
        self._applied = 0
        """Counted apart: a `Counter` is slow, and this is said of every event."""
        self._population: Counter[tuple[str, str]] = Counter()
        self._rejected: list[tuple[Event, str]] = []

    def has_had(self, event: Event) -> bool:
        """Tell whether an event is in the state of its customer (for as long as ids are remembered)."""
        c = self.customer(event.person)
        return c is not None and has_seen(c, fingerprint(event.event_id))

    def replace(self, c: Customer) -> Run:
        """Take in a state that was changed outside, by a change of version; gives where its records go."""
        self._hot[c.person] = c
        self._touch(c).clear()
        self._memory.begin(c)
        self._queue.put(c.person, c.due)
        return self._run

    # Events.

    def apply(self, event: Event, now: int, *, late: bool = False) -> None:
        """Apply one event; the customer's timers that were due before it fire first.

        Args:
            event: the event; one behind the customer's latest applied time finds its place if it is above
                the horizon, else it is applied at that time.
            now: becomes `decided_at`.
            late: flag its records as late.
        """
        run, person = self._run, event.person
        run.now, run.late = now, late
        records = len(run.records)
        c = self._hot.get(person)
        log = self._touched.get(person) if c is None else c.log
        self._logged = 0 if log is None else len(log)
        self._sorting = False
        try:
            self._advance(event, c)
        except Exception:  # whatever it is, it must not reach other customers
            self._back(person, records)
            self._retry(event, now, late, records)

    def _retry(self, event: Event, now: int, late: bool, records: int) -> None:
        """Apply an event once more; one that finds no place as the latest; then refuse it."""
        run, person = self._run, event.person
        for flag in (late, True) if self._sorting else (late,):
            run.now, run.late = now, flag
            try:
                self._advance(event, self._hot.get(person))
            except Exception as error:
                self._back(person, records)
                failed = f"{type(error).__name__}: {error}"
            else:
                return
        self._counts["rejected"] += 1
        self._rejected.append((event, failed))

    def _advance(self, event: Event, c: Customer | None) -> None:
        """Apply an event; `c` is who it is of, if decoded."""
        run, person, at = self._run, event.person, event.at
        c = c or self._wake(person)
        mark = fingerprint(event.event_id)
        if c is not None:
            if mark in c.seen and has_seen(c, mark) and forgotten_at(self.program, c) >= at:
                self._counts["duplicate"] += 1
                return
            if at <= c.latest and at > self.horizon and not run.late and self._sort_in(c, event):
                return
            if c.due < at:
                c = self._settle(c, at - 1)
        elif self._sort_in(None, event):
            return
        c = c or self._new(event)
        if c is None:
            return
        log = c.log
        if log is None:
            log = self._touch(c)
        due = c.due
        bound = c.due = self._queue.bound(person, due)
        if run.late:
            self._counts["late"] += 1
        elif at < c.latest:
            self._counts["disordered"] += 1
        take(self.program, c, event, at, mark, run)
        log.append((event, None, run.late, c.latest))
        armed = c.due
        if armed > due:
            c.due = due
        if armed < bound:
            self._queue.put(person, armed)
        self._applied += 1

    def _sort_in(self, c: Customer | None, event: Event) -> bool:
        """Let an event take its place among what has happened; false if it is to be applied as the latest."""
        run, person = self._run, event.person
        if self.horizon == NEVER:
            return False
        if c is None and person not in self._store.nobodies and person not in self._touched:
            return False
        log = self._touched.get(person)
        if log:
            self._logged = 0
        recent = self._memory.recall(person, c, log, self.horizon)
        if run.late:
            return False
        if recent.knows(event.event_id):
            self._counts["duplicate"] += 1
            return True
        if (c is None or recent.entries) and recent.in_order(event):
            return False
        base = base_of(self.program, person, recent)
        if event.at <= self.horizon or (base is not None and event.at <= base.latest):
            self._counts["unsorted"] += 1
            run.late = True
            return False
        numbers = self._memory.numbers.get(person) if c is None else c.sequences
        self._sorting = True  # what fails here may be another event of the history
        found = insert(
            self.program, person, recent, event, numbers or [0] * len(self.program.journeys), run.now
        )
        self._sorting = False
        recent.insert(event)
        recent.numbers = found.numbers
        run.records += found.records
        self._population.update(found.population)
        self._become(person, found.customer, found.numbers)
        self._counts["disordered"] += 1
        self._applied += 1
        self._counts["corrected"] += found.corrected
        return True

    def _become(self, person: str, c: Customer | None, numbers: list[int]) -> None:
        """Put another state in the place of what a person was."""
        log = self._touched.setdefault(person, [])
        if c is None:
            self._hot.pop(person, None)
            self._memory.numbers[person] = numbers
            self._queue.forget(person)
        else:
            self._hot[person] = c
            self._memory.numbers.pop(person, None)
            c.log = log
            self._queue.put(person, c.due)

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

    def _new(self, event: Event) -> Customer | None:
        """Make somebody of nobody, if the event is one that introduces them."""
        person, at = event.person, event.at
        if person.startswith("\0"):
            msg = f"person {person!r}: ids that begin with a NUL character are reserved"
            raise ValueError(msg)
        if not introduces(event):
            self._counts["unknown_person"] += 1
            if at > self.horizon and not self._run.late and len(self._store.nobodies) < NOBODIES:
                # The person's first act may still come, and come before this.
                self._touched.setdefault(person, []).append((event, None, False, at))
            return None
        recent = self._memory.recents.get(person)
        if recent is not None and recent.newest > at:
            at = recent.newest  # too late for a place before what is known already
        c = self.program.newcomer(person, event.customer_id is not None, at)
        numbers = self._memory.numbers.pop(person, None)
        if numbers is not None:
            c.sequences = numbers.copy()
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
            fired += self._see_to(entry)
        return fired

    def _see_to(self, entry: Entry) -> int:
        """Fire what is due for somebody whose entry has come, if anything is; gives how many fired."""
        at, person = entry
        c = self._hot.get(person) or self._peek(person)
        if c is None:
            self._queue.forget(person)
            return 0
        due = earliest(self.program, c)
        if due[0] > at:
            self._put_back(c, due[0])
            return 0
        self._hot[person] = c
        fired = 0
        # All of one time at once: a history tells up to when timers have fired, not which.
        while c is not None and due[0] <= at:
            self._fire(c, due)
            fired += 1
            c = self._hot.get(person)
            if c is not None:
                due = earliest(self.program, c)
        return fired

    def _put_back(self, c: Customer, due: int) -> None:
        """Look at a customer again when something is due: the hint came too early."""
        if self._states is not None:
            c.due = due
            if c.person not in self._touched:
                self._states.move(c.person, due)
        self._queue.put(c.person, due)

    def _fire(self, c: Customer, due: Due) -> None:
        """Fire one timer; if the engine fails, once more on the state rebuilt."""
        run, person = self._run, c.person
        records, now = len(run.records), run.now
        log = self._touched.get(person)
        self._logged = 0 if log is None else len(log)
        try:
            self._fire_once(c, due)
        except Exception:
            rebuilt = self._back(person, records)
            run.now, run.late = now, False
            try:
                self._fire_once(rebuilt or c, due)
            except Exception as error:
                self._back(person, records)
                rule = "forget" if due[1] == FORGET else self.program.timers[due[1]].key
                msg = (
                    f"timer {rule!r} of a customer, due {rfc3339(due[0])}: expected it to fire, "
                    f"but the engine failed twice ({type(error).__name__}: {error}); the partition stops: "
                    f"report this together with the definition"
                )
                raise EngineError(msg) from error

    def _fire_once(self, c: Customer, due: Due) -> bool:
        """Fire; tells whether the customer is still known."""
        log = c.log
        if log is None:
            log = self._touch(c)
        flag = False
        if due[1] == FORGET:
            flag = due[0] > self.horizon
            self._forget(c, remember=flag)
        else:
            fire(self.program, c, due, self._run)
            before, c.due = c.due, earliest(self.program, c)[0]
            self._queue.moved(c.person, before, c.due)
            self._counts["timers"] += 1
        log.append((None, due, flag, due[0]))
        return due[1] != FORGET

    def _forget(self, c: Customer, *, remember: bool) -> None:
        self._run.records += tombstones(self.program, c)
        del self._hot[c.person]
        if remember:
            self._memory.numbers[c.person] = run_on(self.program, c.sequences)
        self._queue.forget(c.person)
        self._counts["forgotten"] += 1

    # What came of it.

    def drain(self) -> Drained:
        """Hand out what happened since the last drain and put the customers touched to rest."""
        program, store = self.program, self._store
        changes: list[tuple[str, bytes | None]] = []
        if self._touched and not store.layout_written:
            changes.append((LAYOUT_KEY + program.fingerprint.hex(), program.layout_bytes))
            store.layout_written = True
        # Whoever leaves memory leaves it here, one by one: later all of it is out of the processor's caches.
        hot, horizon, layout = self._hot, self.horizon, program.fingerprint
        leaving = len(hot) > self._cache
        find = hot.pop if leaving else hot.get
        for person, log in self._touched.items():
            c = find(person, None)
            history = b"" if horizon == NEVER else self._memory.written(person, c, log, horizon)
            if c is not None:
                c.log = None
                blob = encode(c, layout, history)
            elif history:
                blob = encode_nobody(layout, history)
            else:
                if store.drop(person):
                    changes.append((person, None))
                continue
            store.put(person, blob)
            changes.append((person, blob))
        changes += [(person, None) for person in store.cut(self.horizon)]
        store.tidy(len(self._touched) // 16)
        if self._applied:
            self._counts["applied"] += self._applied
            self._applied = 0
        run, population = self._run, growth(self._run.records)
        population.update(self._population)
        drained = Drained(
            with_stages(run.records), changes, self._rejected, self._counts, population, run.unknown
        )
        self._run, self._counts, self._population, self._rejected = Run(), Counter(), Counter(), []
        self._touched = {}
        self._memory.clear()
        if leaving:
            hot.clear()
        self._queue.compact(store.blobs, len(store.blobs))
        return drained

    def _back(self, person: str, records: int) -> Customer | None:
        """Undo what an exception left half done: rebuild the customer from rest (or history) and log."""
        del self._run.records[records:]
        self._hot.pop(person, None)
        log = self._touched.pop(person, [])
        del log[self._logged :]
        c = self._memory.rebuilt(person, log)
        if log or person in self._memory.recents:
            self._touched[person] = log
        if c is not None:
            self._hot[person] = c
            c.log = self._touched.get(person)
            self._queue.put(person, c.due)
        return c
