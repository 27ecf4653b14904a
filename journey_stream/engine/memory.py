"""What a partition knows of recent histories between two drains.

In: a customer, the log of what was applied since the last drain, the horizon. Out: the customer's history up
to now, its bytes for the drain, and the customer as it was, rebuilt from rest (or history) and log.
"""

from __future__ import annotations

from journey_stream.engine.corrections import fold, rebuild
from journey_stream.engine.course import Log, again
from journey_stream.engine.program import Program
from journey_stream.engine.recent import SIZE, Recent, appended, pack
from journey_stream.engine.state import Customer, encode_core
from journey_stream.engine.store import Store
from journey_stream.engine.tables import Run


class Memory:
    """Histories in use. Whoever is not here has the history at rest and the log, or none."""

    def __init__(self, program: Program, store: Store) -> None:
        self._program, self._store = program, store
        self.recents: dict[str, Recent] = {}
        """Up to the last look; what was applied since is in the log."""
        self.numbers: dict[str, list[int]] = {}
        """Publication numbers of who was forgotten and may be remembered again."""

    def recall(self, person: str, c: Customer | None, log: Log | None, horizon: int) -> Recent:
        """Give the history of a person up to now; the log goes into it."""
        recent = self.recents.get(person)
        if recent is None:
            recent = self.recents[person] = self._store.recent(person, horizon)
            if c is None and recent.numbers is not None and not log:
                self.numbers[person] = recent.numbers
        if log:
            recent.add(log)
            log.clear()
        recent.numbers = self.numbers.get(person) if c is None else c.sequences.copy()
        return recent

    def begin(self, c: Customer) -> None:
        """Begin a history with a state that nothing before leads to."""
        recent = self.recents[c.person] = Recent(encode_core(c))
        recent.numbers = c.sequences.copy()

    def rebuilt(self, person: str, log: Log) -> Customer | None:
        """Rebuild a customer."""
        numbers: list[int] | None = None
        recent = self.recents.get(person)
        if recent is None:
            c = self._store.peek(person)
        else:
            c = rebuild(self._program, person, recent)
            if c is None:
                numbers = recent.numbers
            elif recent.numbers is not None:
                c.sequences = recent.numbers.copy()
        c, numbers = again(self._program, person, c, log, Run(), numbers)
        self.numbers.pop(person, None)
        if numbers is not None:
            self.numbers[person] = numbers
        return c

    def written(self, person: str, c: Customer | None, log: Log, horizon: int) -> bytes:
        """The bytes of a person's history now; none if all of it is settled."""
        store = self._store
        recent = self.recents.get(person)
        if recent is None:
            history = store.history(person, horizon)
            if not history and (not log or log[-1][3] <= horizon):
                return b""
            if c is not None:
                history, count, look_at = appended(history, b"" if history else store.base(person), log)
                if count <= look_at and len(history) <= SIZE:
                    return history
                recent = store.read(person, history)
            else:
                recent = store.recent(person, horizon)
                recent.add(log)
        else:
            recent.add(log)
            if recent.newest <= horizon:
                return b""
        recent.numbers = self.numbers.get(person) if c is None else None
        return self.folded(person, recent, horizon)

    def folded(self, person: str, recent: Recent, horizon: int) -> bytes:
        """Write a history down; what is settled, or too much, goes into its base."""
        if len(recent.entries) > recent.look_at and (count := recent.foldable(horizon)):
            fold(self._program, person, recent, count)
        history = pack(recent)
        while len(history) > SIZE and recent.entries:
            fold(self._program, person, recent, (len(recent.entries) + 1) // 2)
            history = pack(recent)
        return history

    def clear(self) -> None:
        """All is at rest."""
        self.recents.clear()
        self.numbers.clear()
