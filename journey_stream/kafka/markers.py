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
        told, known, reads = hop.unpack_marker(value), self.clock.sources, self.direct.reads
        for each in told:
            held = known.get(each.source)
            if held is None or (held.idle and (not each.idle or reads(each.source))):
                # A source may be about to hold the clock that did not: what it had come to before stays.
                self.clock.clock(now)
                break
        hear, of = self.clock.progress, self.direct.of if self.direct else None
        for progress in told:
            source = progress.source
            if source in known or self._is_read(source):
                highest, idle = progress.highest, progress.idle
                if highest is None:
                    highest = BEGINNING
                direct = None if of is None else of(source)
                if direct is not None:
                    # Our own word, perhaps from before a restart: whether that was the end, it can tell.
                    highest, idle = BEGINNING, idle and progress.position == direct.position
                # Whatever the clock of its machine says, intake knew nothing of a time after the marker came.
                hear(source, highest, idle, progress.wall if progress.wall < arrived else arrived)

    def _is_read(self, source: bytes) -> bool:
        """Tell whether one that is not known is read: its topic has grown, and it holds the clock."""
        if hop.unpack_source(source)[0] not in self._read:
            return False
        self.clock.expect(source)
        return True
