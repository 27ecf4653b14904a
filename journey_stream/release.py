"""The clock of a keyed partition, and the buffer that lets events go in event-time order. Pure.

In: progress of the source partitions (from marker records), events, and the wall time as an argument.
Out: how far time has come, which events may be applied now, and how late an event is.

The clock is the minimum over all expected source partitions of the highest event time read. A source that is
read to its end counts as the wall time at which that was seen (`wall`), or is left out (`event`); a source
nothing is known of holds the clock. The clock never goes back. In `wall` it never runs ahead of the wall.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec

from journey_stream.values import NEVER, Event

Mode: TypeAlias = Literal["wall", "event"]
Lateness: TypeAlias = Literal["on_time", "late", "too_late"]

BEGINNING: Final = -(2**63)
"""The clock before anything is known."""


def classify(at: int, clock: int, allowed_lateness: int, dedup_window: int) -> Lateness:
    """Say how late an event is. Exactly `allowed_lateness` behind is on time; exactly the window is late."""
    behind = clock - at
    if behind <= allowed_lateness:
        return "on_time"
    return "late" if behind <= max(dedup_window, allowed_lateness) else "too_late"


class Progress(msgspec.Struct, array_like=True):
    """How far one source partition has been read."""

    highest: int = BEGINNING
    """Highest event time read."""
    idle: bool = False
    """Read to its end (for as long as intake wants to be sure)."""
    wall: int = BEGINNING
    """Wall time at which intake told this."""


class PartitionClock:
    """The clock of one keyed partition. Sources are named by anything hashable: (topic, partition)."""

    def __init__(self, mode: Mode, sources: Iterable[Any] = ()) -> None:
        self.mode: Final = mode
        self.sources: dict[Any, Progress] = {source: Progress() for source in sources}
        self.reached = BEGINNING
        self._lowest = BEGINNING
        """As `_look` found it, unless somebody has told something since."""
        self._told = True

    def expect(self, source: Any) -> None:
        """Wait for a source: until it tells its progress, it holds the clock."""
        self.sources.setdefault(source, Progress())
        self._told = True

    def forget(self, source: Any) -> None:
        """Stop waiting for a source (a topic that is no longer read)."""
        self.sources.pop(source, None)
        self._told = True

    def progress(self, source: Any, highest: int, idle: bool, wall: int) -> None:
        """Take in a marker. A marker that comes again, or from before a rewind, lowers nothing."""
        self._told = True
        known = self.sources.get(source)
        if known is None:
            known = self.sources[source] = Progress()
        if highest > known.highest:
            known.highest = highest
        if wall >= known.wall:
            known.wall, known.idle = wall, idle

    def clock(self, now: int) -> int:
        """Tell how far time has come; `now` is the wall time."""
        if self._told:
            # Sources may be many, and this is asked several times a batch.
            self._lowest, self._told = self._look(), False
        reached = min(self._lowest, now) if self.mode == "wall" else self._lowest
        self.reached = max(self.reached, reached)
        return self.reached

    def _look(self) -> int:
        """Find the source that is furthest behind; of `event`, with all of them idle, the furthest ahead."""
        sources = self.sources.values()
        if self.mode == "wall":
            return min(self._lived(), default=BEGINNING)
        reached = min((s.highest for s in sources if not s.idle), default=NEVER)
        return max((s.highest for s in sources), default=BEGINNING) if reached == NEVER else reached

    def caught_up(self, now: int, within: int) -> bool:
        """In `wall`: so near to the wall that events are applied as they arrive."""
        return self.mode == "wall" and now - self.clock(now) <= within

    def ended(self) -> bool:
        """All sources are known and read to their end."""
        return all(s.idle for s in self.sources.values())

    def holding(self, now: int) -> list[Any]:
        """Name the sources that hold the clock where it is: what a metric or an operator wants to see."""
        clock = self.clock(now)
        if self.mode == "wall":
            return [name for name, at in zip(self.sources, self._lived(), strict=True) if at <= clock < now]
        return [name for name, s in self.sources.items() if not s.idle and s.highest <= clock]

    def _lived(self) -> list[int]:
        # In one go: sources may be hundreds.
        return [s.highest if not s.idle or s.highest > s.wall else s.wall for s in self.sources.values()]


class ReleaseBuffer:
    """Events that wait for the clock, in the order of (`occurred_at`, `event_id`).

    Each event carries a tag of the caller's (a source position, say), handed back with it.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, str, int, Event, Any]] = []
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, event: Event, tag: Any = None) -> None:
        """Keep an event until the clock has come to it. Of equal events the first to arrive stays first."""
        self._arrivals += 1
        heapq.heappush(self._heap, (event.at, event.event_id, self._arrivals, event, tag))

    @property
    def earliest(self) -> int:
        """Time of the first event waiting, NEVER if none."""
        return self._heap[0][0] if self._heap else NEVER

    def release(self, until: int) -> Iterator[tuple[Event, Any]]:
        """Let go, in order, of every event at or before `until`."""
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= until:
            _, _, _, event, tag = pop(heap)
            yield event, tag

    def tags(self) -> Iterator[Any]:
        """The tags of what still waits, in no order: the lowest is where a restart has to read from."""
        return (entry[4] for entry in self._heap)


def settled(mode: Mode, clock: PartitionClock, now: int, allowed_lateness: int, until: int) -> int:
    """Tell up to when (inclusive) waiting events are released and timers fire.

    `event`: strictly below clock - lateness, so that any order within the lateness has the outcome of the
    sorted one; when all sources are at their end, all of `until`. `wall`: up to the clock.
    """
    reached = clock.clock(now)
    if mode == "wall":
        return min(reached, until)
    if clock.ended() and until != NEVER:
        return until
    return min(reached - allowed_lateness - 1, until)


def furthest_behind(
    sources: Sequence[Iterator[bytes]], clock: PartitionClock, ended: Callable[[], None] = lambda: None
) -> Iterator[tuple[int, int, bytes]]:
    """Give all lines of several sources, those of the source furthest behind first.

    Args:
        sources: named by their place, as in the clock.
        clock: of mode `event`; whoever takes the lines tells it their progress, the end of each is told here.
        ended: called when a source has ended and others go on.

    Yields:
        Source, number of the line in it (from 1), line.
    """
    waiting = [(BEGINNING, source, 0) for source in range(len(sources))]
    while waiting:
        _, source, number = heapq.heappop(waiting)
        bound = waiting[0][0] if waiting else NEVER
        for line in sources[source]:
            number += 1
            yield source, number, line
            if clock.sources[source].highest > bound:
                heapq.heappush(waiting, (clock.sources[source].highest, source, number))
                break
        else:
            clock.progress(source, BEGINNING, idle=True, wall=0)
            if waiting:
                ended()
