"""What markers tell the clock of a keyed partition.

Enters: the value of a marker record, when it came. Leaves: the clock, told how far each source partition is.
"""

from __future__ import annotations

from journey_stream.kafka import hop
from journey_stream.kafka.direct import Directs
from journey_stream.release import BEGINNING, PartitionClock


class Markers:
    """Hears the markers of one keyed partition."""

    def __init__(self, clock: PartitionClock, direct: Directs) -> None:
        """Args: clock: with all sources that are read. direct: those that are read without the hop."""
        self.clock, self.direct = clock, direct
        self._read = {hop.unpack_source(source)[0] for source in clock.sources}

    def hear(self, value: bytes, arrived: int, now: int) -> None:
        """Take in what a marker says; times are microseconds of the wall clock."""
        told, known = hop.unpack_marker(value), self.clock.sources
        for each in told:
            if each.source not in known or (
                known[each.source].idle and (not each.idle or self.direct.of(each.source) is not None)
            ):
                # A source may be about to hold the clock that did not: what it had come to before stays.
                self.clock.clock(now)
                break
        for progress in told:
            if self._is_read(progress.source):
                highest = BEGINNING if progress.highest is None else progress.highest
                idle = progress.idle
                direct = self.direct.of(progress.source)
                if direct is not None:
                    # Our own word, perhaps from before a restart: whether that was the end, it can tell.
                    highest, idle = BEGINNING, idle and progress.position == direct.position
                # Whatever the clock of its machine says, intake knew nothing of a time after the marker came.
                wall = min(progress.wall, arrived)
                self.clock.progress(progress.source, highest, idle, wall)

    def _is_read(self, source: bytes) -> bool:
        """Tell whether a source partition is read; one that its topic has grown by holds the clock."""
        if source not in self.clock.sources:
            if hop.unpack_source(source)[0] not in self._read:
                return False
            self.clock.expect(source)
        return True
