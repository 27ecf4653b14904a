"""Which partitioner the producers use, told by where their records came to stand. Pure.

Enters: keys of records, and the partition they came in. Leaves: the name of the partitioner that explains
them. Strategy: a wrong one explains a key with a chance of one in the number of partitions; the right one
explains all of them.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from journey_stream.kafka import hop

SAMPLE: Final = 200
"""Records with a key that came to the wrong partition: after so many the partitioner is judged."""
FITS: Final = 0.95
"""Share of them that another partitioner has to explain."""


class Astray:
    """Which partitioner explains the records that came to the wrong partition."""

    def __init__(self, partition: int, partitions: int) -> None:
        self.fits: str | None = None
        """The one that does, once enough have come."""
        self._partition, self._partitions = partition, partitions
        self._seen = 0
        self._explained: Counter[str] = Counter()

    def note(self, key: bytes) -> None:
        """Look at one of them."""
        self._seen += 1
        self._explained.update(partitioners_of(key, self._partition, self._partitions))
        if self._seen == SAMPLE:
            name, count = max(self._explained.items(), key=lambda each: each[1], default=("", 0))
            self.fits = name if count >= FITS * SAMPLE else None
            self._seen = 0
            self._explained.clear()


def partitioners_of(key: bytes, partition: int, partitions: int) -> list[str]:
    """Name the partitioners that bring a key to a partition."""
    return [name for name, hash_ in hop.HASHES.items() if hash_(key) % partitions == partition]
