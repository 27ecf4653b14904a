"""Backfill: what happened before the deployment, put in order for its way in, and told apart on its way out.

In: lines of events from before, from several files, each in any order within the lateness; later, records
out. Out: the lines that can be used, in the order of event time, with whose they are; and records of which
those up to the fence are flagged `replay`, or withheld. The fence is a time: it holds for events from files,
for events that the live topics still hold, and for timers alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from journey_stream.events.decode import Decoder
from journey_stream.release import BEGINNING, PartitionClock, ReleaseBuffer, furthest_behind
from journey_stream.replay import Refused
from journey_stream.values import NEVER, DeadLetter, Event, Rejection, Signal, StageNow, Transition

Record = TypeVar("Record", bound="Transition | Signal | StageNow | DeadLetter")


def told_apart(records: list[Record], fence: int, *, withhold: bool) -> list[Record]:
    """Flag the records of what happened up to the fence, or leave them out; the stage now always stays.

    Args:
        records: of one batch, each stage now behind the transition it tells of; flagged in place.
        fence: up to here (inclusive, microseconds) everything is history.
        withhold: leave transitions and signals of history out.
    """
    kept: list[Record] = []
    past: set[str | None] = set()
    for record in records:
        if isinstance(record, Transition | Signal) and record.occurred_at <= fence:
            record.replay = True
            if isinstance(record, Transition):
                past.add(record.transition_id)
            if withhold:
                continue
        elif isinstance(record, StageNow) and record.transition_id is not None:
            record.replay |= record.transition_id in past
        kept.append(record)
    return kept


class InOrder:
    """Lines of events from before, in the order of (`occurred_at`, `event_id`)."""

    def __init__(self, sources: Sequence[Iterable[bytes]], decoder: Decoder, lateness: int, now: int) -> None:
        """Take sources of lines (JSON, one event each), read once; `now` is when they were received."""
        self.refused: list[Refused] = []
        """Lines that cannot be used, by source and line."""
        self.counts: Counter[str] = Counter()
        """lines, filtered."""
        self.first, self.last = NEVER, BEGINNING
        """Times of the first and the last event."""
        self._sources = [iter(source) for source in sources]
        self._decode = decoder.decode
        self._lateness, self._now = lateness, now

    def __iter__(self) -> Iterator[Line]:
        clock = PartitionClock("event", range(len(self._sources)))
        buffer = ReleaseBuffer()
        for source, number, line in furthest_behind(self._sources, clock):
            self.counts["lines"] += 1
            event = self._decode(line, self._now)
            if isinstance(event, Event):
                self.first, self.last = min(self.first, event.at), max(self.last, event.at)
                buffer.push(event, line)
                clock.progress(source, event.at, idle=False, wall=0)
                yield from _let_go(buffer, clock.clock(0) - self._lateness - 1)
            elif isinstance(event, Rejection):
                self.refused.append(Refused(source, number, event.reason, event.detail))
            else:
                self.counts["filtered"] += 1
        yield from _let_go(buffer, NEVER)


class Line(msgspec.Struct, frozen=True):
    """One event, as it stands in the file, and whose it is."""

    event: Event
    text: bytes

    @property
    def person(self) -> str:
        """Whose it is."""
        return self.event.person


def _let_go(buffer: ReleaseBuffer, until: int) -> Iterator[Line]:
    for event, line in buffer.release(until):
        yield Line(event, line)
