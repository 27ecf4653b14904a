"""Who is due next among the customers of a partition: one live heap entry per customer with timers.

In: hints (never later than a customer's earliest due) as they change. Out: the persons whose entry has come.
An entry may come too early; the caller looks at the customer and puts it back where it belongs. An entry
that is not the customer's live one any more is dropped when it comes, and all are when they outnumber the
customers.

Where states are kept elsewhere, in the order they are due (`Far`), the heap holds those due soon: entries
from `_end` on are left to whoever keeps the states, and fetched when time has come that far.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from journey_stream.values import NEVER

Entry: TypeAlias = "tuple[int, str]"
Far: TypeAlias = Callable[[int], "tuple[Iterable[Entry], int]"]
"""Gives entries from a due time on, some of the first, and the due time of the first that it left out."""
Used: TypeAlias = Callable[[str, int], bool]
"""Takes note of an entry that has come; tells whether it is live though it may be earlier than the hint."""
STALE_AT_MOST: Final = 200_000
"""Entries of a heap, where the states are kept elsewhere, before it is begun anew without the stale ones."""


class DueQueue:
    """A heap with hints. `hint_of` tells a customer's present hint (NEVER for nobody)."""

    def __init__(self, hint_of: Callable[[str], int]) -> None:
        self._hint_of = hint_of
        self._heap: list[Entry] = []
        self._ordered = True
        self._live: dict[str, int] = {}
        """Due of the live entry, for those whose hint is another (NEVER: has none)."""
        self._far: Far | None = None
        self._used: Used | None = None
        self._end = NEVER
        """Entries from here on are not in the heap."""
        self._crowded = STALE_AT_MOST

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_due(self) -> int:
        """Due of the first entry, NEVER if there is none."""
        if self._far is not None and self._end < 0:
            self._fetch(self._far)
        if not self._ordered:
            self._order()
        return self._heap[0][0] if self._heap else self._end

    @property
    def windowed(self) -> bool:
        """Whether only those due soon are here."""
        return self._far is not None

    def leave_far_ones(self, far: Far, used: Used) -> None:
        """Keep those due soon only; the others are where `far` finds them. Everything before is forgotten."""
        self._far, self._used = far, used
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._heap, self._live, self._ordered = [], {}, True
        self._end = -1

    def load(self, person: str, hint: int, *, entry: int | None = None) -> None:
        """Take in a customer in bulk; the entry is at the hint unless given."""
        due = hint if entry is None else entry
        if due != hint:
            self._live[person] = due
        elif self._live:
            self._live.pop(person, None)
        if due < self._end:
            self._heap.append((due, person))
            self._ordered = False

    def moved(self, person: str, before: int, after: int) -> None:
        """Take in that a hint changed; where all is here, only one before the live entry costs anything."""
        live = self._live.pop(person, before)
        if after < live:
            self._push(after, person)
        elif live >= self._end:
            return  # there is no entry: whoever keeps the state has it
        elif live != after:
            self._live[person] = live
            if self._far is not None:
                # They may be listed under this, and are looked for nowhere else before the end.
                self._push(after, person)

    def bound(self, person: str, hint: int) -> int:
        """Tell from when on a timer that is armed now needs an entry of its own.

        That is the hint, or the live entry's due where one that came too early was put back behind the hint.
        """
        live = self._live.get(person, hint)
        return live if live > hint else hint

    def put(self, person: str, due: int) -> None:
        """Make this due the person's live entry."""
        if due == self._hint_of(person) or (self._far is not None and due >= self._end):
            self._live.pop(person, None)
        else:
            self._live[person] = due
        self._push(due, person)

    def forget(self, person: str) -> None:
        """Drop a person: what is left of them in the heap is stale."""
        self._live.pop(person, None)

    def pop(self, until: int) -> Entry | None:
        """Take the first live entry at or before `until`; stale ones before it are dropped."""
        while True:
            entry = self._first(until)
            if entry is not None or self._far is None or until < self._end:
                return entry
            self._fetch(self._far)

    def _first(self, until: int) -> Entry | None:
        if not self._ordered:
            self._order()
        heap, live = self._heap, self._live
        while heap and heap[0][0] <= until:
            due, person = heapq.heappop(heap)
            used = self._used is not None and self._used(person, due)
            expected = live.get(person)
            if used or due == (self._hint_of(person) if expected is None else expected):
                live[person] = NEVER
                return due, person
        return None

    def _fetch(self, far: Far) -> None:
        entries, end = far(self._end)
        self._heap += entries
        self._end, self._ordered = end, False
        self._crowded = max(STALE_AT_MOST, 2 * len(self._heap))

    def compact(self, people: Iterable[str], count: int) -> None:
        """Build the heap anew from the live entries if stale ones outnumber them."""
        if self._far is not None:
            if len(self._heap) > self._crowded:
                self._begin_anew()  # all that is live is found again
        elif len(self._heap) > 2 * count + 1_000:
            entries = ((self._live.get(person, self._hint_of(person)), person) for person in people)
            self._heap = [entry for entry in entries if entry[0] != NEVER]
            self._ordered = False

    def _push(self, due: int, person: str) -> None:
        if due >= self._end:
            return
        if not self._ordered:
            self._order()
        heapq.heappush(self._heap, (due, person))

    def _order(self) -> None:
        heapq.heapify(self._heap)
        self._ordered = True
