"""A tiny engine with the interface of `engine.Partition`, so that lanes can be tested without journeys.

Each person has one journey, `tally`, whose stage counts the person's orders; a timer fires an hour after
the last event. It remembers every event id, so what comes twice shows as a duplicate, and what is lost
shows in the counts.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from journey_stream.engine.stages import growth
from journey_stream.values import HOUR, NEVER, Cause, Contactable, Event, Transition


class Tally(msgspec.Struct, array_like=True):
    """The state of one person."""

    orders: int = 0
    sequence: int = 0
    due: int = NEVER
    entered: int = 0
    seen: list[str] = []


class Drained(msgspec.Struct):
    """What `drain` gives."""

    records: list[Any]
    changes: list[tuple[str, bytes | None]]
    counts: Counter[str]
    rejected: list[tuple[Event, str]]
    population: dict[tuple[str, str], int]
    unknown: dict[tuple[str, str], int] = {}
    ready: None = None


_decode = msgspec.msgpack.Decoder(Tally).decode
_encode = msgspec.msgpack.Encoder().encode


class TallyEngine:
    """Counts orders."""

    def __init__(self) -> None:
        self.horizon = NEVER
        self.people: dict[str, Tally] = {}
        self.changed: set[str] = set()
        self.records: list[Transition] = []
        self.rejected: list[tuple[Event, str]] = []
        self.counts: Counter[str] = Counter()

    def tidy(self, count: int = 0) -> None:
        """Nothing here is ever out of shape."""

    def load(self, person: str, blob: bytes | None) -> None:
        if blob is None:
            self.people.pop(person, None)
        else:
            self.people[person] = _decode(blob)

    def customer(self, person: str) -> Tally | None:
        return self.people.get(person)

    @property
    def next_due(self) -> int:
        return min((t.due for t in self.people.values()), default=NEVER)

    def __len__(self) -> int:
        return len(self.people)

    @property
    def timers_pending(self) -> int:
        return sum(t.due != NEVER for t in self.people.values())

    def apply(self, event: Event, now: int, *, late: bool = False) -> None:
        if event.event_id.startswith("poison"):
            self.rejected.append((event, "the engine failed twice on this event"))
            return
        tally = self.people.setdefault(event.person, Tally())
        if event.event_id in tally.seen:
            self.counts["duplicate"] += 1
            return
        if tally.due < event.at:
            self._fire(event.person, tally, now)
        tally.seen.append(event.event_id)
        if event.type == "order_completed":
            tally.orders += 1
            cause = Cause(event.event_id, event.type, event.at)
            self._move(event.person, tally, f"ordered-{tally.orders}", "order", cause, event.at, now)
        tally.due = event.at + HOUR
        self.changed.add(event.person)

    def fire(self, until: int, now: int, limit: int | None = None) -> int:
        due = sorted((t.due, p) for p, t in self.people.items() if t.due <= until)[:limit]
        for _, person in due:
            self._fire(person, self.people[person], now)
        return len(due)

    def _fire(self, person: str, tally: Tally, now: int) -> None:
        at, tally.due = tally.due, NEVER
        self._move(person, tally, "silent", "silence", Cause(None, "timer", at), at, now)
        self.changed.add(person)

    def drain(self) -> Drained:
        changes = [(p, _encode(self.people[p])) for p in sorted(self.changed)]
        population = growth(self.records)  # type: ignore[arg-type]
        drained = Drained(self.records, changes, self.counts, self.rejected, population)  # type: ignore[arg-type]
        self.records, self.changed, self.rejected, self.counts = [], set(), [], Counter()
        return drained

    def _move(self, person: str, tally: Tally, to: str, rule: str, cause: Cause, at: int, now: int) -> None:
        tally.sequence += 1
        self.records.append(
            Transition(
                transition_id=f"{person}/{rule}/{cause.event_id or at}",
                journey="tally",
                version=1,
                customer_id=person,
                anonymous_id=None,
                account_id=None,
                from_=None,
                to=to,
                from_kind=None,
                to_kind="prospect",
                direction="forward",
                rule=rule,
                reason=None,
                owner=None,
                trigger="timer" if cause.event_id is None else "event",
                cause=cause,
                occurred_at=at,
                decided_at=now,
                entered_from_at=None,
                dwell_s=None,
                sequence=tally.sequence,
                first_entry=True,
                entry_number=1,
                loop=0,
                attributes={"orders": tally.orders},
                contactable=Contactable(),
                over_contacted=False,
                locale=None,
                country=None,
                timezone=None,
                late=False,
                test=False,
                replay=False,
                person=person,
            )
        )
