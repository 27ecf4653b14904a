"""What a keyed partition has had of each source partition: the hop is at least once, here it becomes once.

Enters: source coordinates of hop records. Leaves: whether a record is new. Strategy: the highest sub-offset
per source partition, kept in the checkpoint; what is at or below has been had. That is right as long as an
offset stands for one record for ever, so a source topic that was deleted and made anew must not pass: its
offsets begin again, and its events would count as had. It shows in the records' broker times: the record at
the highest offset must come back with the time it had, and where brokers stamp records, one below it cannot
be a minute younger.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from journey_stream.errors import StateError
from journey_stream.kafka.hop import unpack_source
from journey_stream.values import SECOND

SKEW: Final = 60 * SECOND
"""How far the clocks of two brokers that lead a partition one after the other may be apart, microseconds."""


class Received:
    """Highest sub-offset per source partition, and the broker time of that record."""

    def __init__(self, read: Container[bytes], *, broker_times: bool) -> None:
        """Args: read: source partitions that are read. broker_times: brokers stamp the records of sources."""
        self.highest: dict[bytes, int] = {}
        self.times: dict[bytes, int] = {}
        """Microseconds; missing where an older version of this program wrote the checkpoint."""
        self._read = read
        self._broker_times = broker_times

    def restore(self, highest: dict[bytes, int], times: dict[bytes, int]) -> None:
        """Go on from a checkpoint."""
        self.highest, self.times = dict(highest), dict(times)

    def is_new(self, source: bytes, sub_offset: int, broker_at: int) -> bool:
        """Tell whether this is the first time, and remember it.

        Raises:
            StateError: the source topic was made anew, so that offsets no longer tell.
        """
        highest = self.highest.get(source, -1)
        if sub_offset > highest:
            self.highest[source] = sub_offset
            self.times[source] = broker_at
            return True
        time = self.times.get(source)
        if time is not None and source in self._read:
            other = sub_offset == highest and broker_at != time
            if other or (self._broker_times and broker_at > time + SKEW):
                raise StateError(made_anew(source, sub_offset // 2, highest // 2))
        return False


def made_anew(source: bytes, offset: int, highest: int) -> str:
    """Say that a source partition holds another record at an offset than it did."""
    topic, partition = unpack_source(source)
    return (
        f"source topic {topic}[{partition}]@{offset}: offsets up to {highest} were received before, and this "
        "is another record: the topic was deleted and made anew, and its events cannot be told from repeats. "
        "Give the source another name (`sources`) and send there, or begin anew with `journey-stream reset` "
        "(docs/guarantees.md)"
    )
