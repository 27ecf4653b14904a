"""Simulated time: an agenda of what people will do, day by day, and the events that came of it.

Enters: acts (`plan`) and events (`emit`), each for any moment from today on. Leaves: `days()`, the events
of each day in the order of (time, event id). Strategy: one list per coming day; a day is worked off, sorted
and forgotten, so memory holds the people and what is still to come, never the past. One `random.Random`
is shared by all acts, which always run in the same order: the seed decides everything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import orjson

from journey_stream.shop.personas import Person
from journey_stream.shop.records import ShopOptions
from journey_stream.values import DAY, SECOND

Act = Callable[["World", Person, int], None]
"""Something a person does on a day: (world, person, day)."""
Happening = tuple[int, str, str, str, bytes]
"""Time, event id, type, person, JSON."""

_MINUTES = tuple(f"{m // 60:02d}:{m % 60:02d}:" for m in range(1440))
_SECONDS = tuple(f"{s:02d}Z" for s in range(60))
_WEEK = (0.9, 0.85, 0.9, 0.95, 1.05, 1.25, 1.3)
_YEAR = (1.15, 0.85, 0.85, 0.9, 0.9, 0.9, 0.8, 0.75, 0.95, 1.0, 1.5, 1.7)
_HOURS = tuple(
    hour
    for hour, weight in enumerate((1, 0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 1, 3, 2, 1, 1, 1, 2, 2, 3, 5, 4, 2, 1))
    for _ in range(weight)
)  # fmt: skip


class World:
    """The clock, the agenda and the dice of one simulation."""

    def __init__(self, options: ShopOptions, rng: Random) -> None:
        self.options = options
        self.rng = rng
        self.random = rng.random
        self.start = options.start // SECOND * SECOND
        self.end = self.start + options.days * DAY
        self.emitted = 0
        """Events so far: the source of event ids."""
        self.referrers: list[tuple[int, str]] = []
        """Recommendations under way: a heap of (day the friend may come, who sends them)."""
        self._numbers: dict[str, int] = {}
        self._prefix = f"{options.seed & 0xFFFF:04x}-"
        self._events: defaultdict[int, list[Happening]] = defaultdict(list)
        self._agenda: defaultdict[int, list[tuple[Act, Person]]] = defaultdict(list)
        self._dates: dict[int, str] = {}
        first = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=options.start)
        self._weights = [
            _WEEK[(first + timedelta(days=d)).weekday()] * _YEAR[(first + timedelta(days=d)).month - 1]
            for d in range(options.days)
        ]

    def weight(self, day: int) -> float:
        """Tell how busy this day is: 1 is an ordinary day, 2.2 a Sunday in December."""
        return self._weights[day] if day < len(self._weights) else 1.0

    def month(self, day: int) -> int:
        """Month of the year (1-12) of a simulated day."""
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.start + day * DAY)).month

    def moment(self, day: int) -> int:
        """Draw a time of that day as people have it: few at night, most in the evening."""
        draw = self.random
        hour = _HOURS[int(draw() * len(_HOURS))]
        return self.start + day * DAY + (hour * 3600 + int(draw() * 3600)) * SECOND

    def number(self, what: str) -> int:
        """Count up: the next number for an order, a ticket, a message."""
        number = self._numbers.get(what, 0) + 1
        self._numbers[what] = number
        return number

    def pick(self, options: tuple[Any, ...]) -> Any:
        """Draw one of these, each as likely as the other."""
        return options[int(self.random() * len(options))]

    def days_until_next(self, a_month: float) -> int:
        """Draw the days to the next occasion of something that happens so often a month."""
        return 1 + int(self.rng.expovariate(a_month / 30.4))

    def plan(self, day: int, act: Act, who: Person) -> None:
        """Put an act on the agenda; what lies behind the end of the simulation never happens."""
        if day < self.options.days:
            self._agenda[day].append((act, who))

    def stamp(self, at: int) -> str:
        """Write a time as RFC 3339; fractions of a second are cut."""
        day, second = divmod(at // SECOND, 86_400)
        date = self._dates.get(day)
        if date is None:
            date = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).strftime("%Y-%m-%dT")
            self._dates[day] = date
        return date + _MINUTES[second // 60] + _SECONDS[second % 60]

    def emit(
        self,
        who: Person,
        at: int,
        event_type: str,
        properties: Mapping[str, Any],
        context: Mapping[str, Any] | None = None,
    ) -> None:
        """Let an event happen now or later; behind the end of the simulation it is not written."""
        if at >= self.end:
            return
        at -= at % SECOND
        number = self.emitted
        self.emitted = number + 1
        event_id = f"{self._prefix}{number:010x}"
        body = {
            "event_id": event_id,
            "type": event_type,
            "occurred_at": self.stamp(at),
            **who.ids,
            "properties": properties,
        }
        if context is not None:
            body["context"] = context
        self._events[(at - self.start) // DAY].append(
            (at, event_id, event_type, who.person, orjson.dumps(body))
        )

    def days(self, opening: Callable[[int], None]) -> Iterator[Happening]:
        """Live through all days; `opening(day)` lets newcomers in before the day's acts."""
        for day in range(self.options.days):
            opening(day)
            for act, who in self._agenda.pop(day, ()):
                act(self, who, day)
            today = self._events.pop(day, None)
            if today:
                today.sort()
                yield from today
