"""Who is due next among the customers of a partition: one live heap entry per customer with timers.

In: hints (never later than a customer's earliest due) as they change. Out: the persons whose entry has come.
An entry may come too early; the caller looks at the customer and puts it back where it belongs. An entry
that is not the customer's live one any more is dropped when it comes, and all are when they outnumber the
customers.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

from journey_stream.values import NEVER


class DueQueue:
    """A heap with hints. `hint_of` tells a customer's present hint (NEVER for nobody)."""

    def __init__(self, hint_of: Callable[[str], int]) -> None:
        self._hint_of = hint_of
        self._heap: list[tuple[int, str]] = []
        self._ordered = True
        self._live: dict[str, int] = {}
        """Due of the live entry, for those whose hint is another (NEVER: has none)."""

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_due(self) -> int:
        """Due of the first entry, NEVER if there is none."""
        if not self._ordered:
            self._order()
        return self._heap[0][0] if self._heap else NEVER

    def load(self, person: str, hint: int, *, entry: int | None = None) -> None:
        """Take in a customer in bulk; the entry is at the hint unless given."""
        due = hint if entry is None else entry
        if due != hint:
            self._live[person] = due
        elif self._live:
            self._live.pop(person, None)
        if due != NEVER:
            self._heap.append((due, person))
            self._ordered = False

    def moved(self, person: str, before: int, after: int) -> None:
        """Take in that a hint changed; only one that got earlier than the live entry costs anything."""
        live = self._live.pop(person, before)
        if after < live:
            self._push(after, person)
        elif live != after:
            self._live[person] = live

    def bound(self, person: str, hint: int) -> int:
        """Tell from when on a timer that is armed now needs an entry of its own.

        That is the hint, or the live entry's due where one that came too early was put back behind the hint.
        """
        live = self._live.get(person, hint)
        return live if live > hint else hint

    def put(self, person: str, due: int) -> None:
        """Make this due the person's live entry."""
        if due == self._hint_of(person):
            self._live.pop(person, None)
        else:
            self._live[person] = due
        if due != NEVER:
            self._push(due, person)

    def forget(self, person: str) -> None:
        """Drop a person: what is left of them in the heap is stale."""
        self._live.pop(person, None)

    def pop(self, until: int) -> tuple[int, str] | None:
        """Take the first live entry at or before `until`; stale ones before it are dropped."""
        if not self._ordered:
            self._order()
        heap, live = self._heap, self._live
        while heap and heap[0][0] <= until:
            due, person = heapq.heappop(heap)
            expected = live.get(person)
            if due == (self._hint_of(person) if expected is None else expected):
                live[person] = NEVER
                return due, person
        return None

    def compact(self, people: Iterable[str], count: int) -> None:
        """Build the heap anew from the live entries if stale ones outnumber them."""
        if len(self._heap) <= 2 * count + 1_000:
            return
        entries = ((self._live.get(person, self._hint_of(person)), person) for person in people)
        self._heap = [entry for entry in entries if entry[0] != NEVER]
        self._ordered = False

    def _push(self, due: int, person: str) -> None:
        if not self._ordered:
            self._order()
        heapq.heappush(self._heap, (due, person))

    def _order(self) -> None:
        heapq.heapify(self._heap)
        self._ordered = True
