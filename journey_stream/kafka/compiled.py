"""The keyed partition's work where the compiled core does it: plain records in, waiting events let go.

Enters: batches of records, the clock. Leaves: the place of the first record that the core could not judge,
events that Python has to apply. Strategy: the core takes runs of plain records (an event, of use, not too
late, of ours) straight into its buffer; whatever is anything else ends the run, is seen to by `keyed` or
`direct` as ever, and the next run begins behind it. So what is rare is written once, in Python.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from journey_stream.kafka import hop
from journey_stream.kafka.received import Received
from journey_stream.letters import AS_OF
from journey_stream.values import NEVER, Event

if TYPE_CHECKING:
    from journey_stream_native import Core, Fetched

HEADERS: Final = (hop.HEADER, AS_OF)
EVERYTHING: Final = 2**62
"""No limit."""


def readable(records: Sequence[Any]) -> Fetched:
    """Give records as the core reads them: as it fetched them itself, or a copy of aiokafka's."""
    import journey_stream_native

    kind = journey_stream_native.Fetched
    return records if isinstance(records, kind) else kind.of(records)


class CoreBuffer:
    """The core's buffer, as `release.ReleaseBuffer`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def __len__(self) -> int:
        return self._core.waiting

    def push(self, event: Event, tag: Any = None) -> None:
        """Keep an event until the clock has come to it."""
        self._core.push(event, tag)

    @property
    def earliest(self) -> int:
        """Time of the first event waiting, NEVER if none."""
        found = self._core.earliest
        return NEVER if found is None else found

    def tags(self) -> Iterator[Any]:
        """Per topic the tag with the lowest offset: all that anybody looks for among them."""
        return iter(self._core.lowest())

    def release(self, home: Home, until: int, limit: int, decided: int, *, event_clock: bool) -> int:
        """Apply what waits up to `until`, in order, at most `limit`; gives how many were let go."""
        released = 0
        while released < limit:
            count, back = self._core.release(until, limit - released, decided, event_clock)
            released += count
            if back is None:
                break
            event, record, late, at = back
            home.apply_here(event, record, at, late=late)
        return released


class Home(Protocol):
    """What is needed of the keyed partition."""

    def apply_here(self, event: Event | None, record: Any, decided: int, *, late: bool) -> None:
        """Apply an event in Python."""


class Times(Protocol):
    """How a keyed partition treats time."""

    @property
    def allowed_lateness(self) -> int:
        """Microseconds."""

    @property
    def dedup_window(self) -> int:
        """Microseconds."""


class Runs:
    """Runs of plain records of one keyed partition."""

    def __init__(self, core: Core, times: Times, counts: Counter[tuple[str, str]]) -> None:
        self._core = core
        self._times = (times.allowed_lateness, times.dedup_window)
        self._counts = counts
        self.first = NEVER
        """Time of the earliest event taken in since somebody looked."""
        self.arrival = NEVER
        """Broker time of the oldest record, likewise."""

    @property
    def has_written(self) -> bool:
        """Some of what the next checkpoint holds is written already: it can be had as batches only."""
        return self._core.has_written

    def of_hop(
        self, records: Fetched, start: int, clock: int, received: Received, read: Container[bytes]
    ) -> int:
        """Take plain records of the keyed topic; gives the place of the first that is not."""
        topic = records[start].topic
        place, first, oldest, counts = self._core.take_hop(
            records, start, topic, (clock, *self._times), *HEADERS, received.highest, received.times, read
        )
        for source, (on_time, late) in counts.items():
            self._count(hop.unpack_source(source)[0], on_time, late)
        self._note(first, oldest)
        return place

    def of_source(
        self, records: Fetched, start: int, topic: str, clock: int, partition: tuple[int, int]
    ) -> tuple[int, int]:
        """Take plain records of a source partition; gives the place of the first that is not, highest time.

        `partition` is ours, and how many there are: only records of persons who belong here are plain.
        """
        place, on_time, late, first, highest, oldest = self._core.take_direct(
            records, start, topic, (clock, *self._times), AS_OF, partition
        )
        self._count(topic, on_time, late)
        self._note(first, oldest)
        return place, highest

    def _count(self, topic: str, on_time: int, late: int) -> None:
        if on_time:
            self._counts[topic, "on_time"] += on_time
        if late:
            self._counts[topic, "late"] += late

    def _note(self, first: int, oldest: int) -> None:
        self.first = min(self.first, first)
        self.arrival = min(self.arrival, oldest)
