"""Which partitioner the producers use, told by where their records came to stand. Pure.

Enters: keys of records, and the partition they came in. Leaves: the name of the partitioner that explains
them. Strategy: a wrong one explains a key with a chance of one in the number of partitions; the right one
explains all but what is keyed otherwise. Each key counts once, so that one busy customer proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from journey_stream.kafka import hop

SAMPLE: Final = 100
"""Keys that came to the wrong partition: after so many the partitioner is judged."""
FITS: Final = 0.7
"""Share that a partitioner has to explain; the rest may be keyed otherwise. By chance it is half at most."""
AHEAD: Final = 0.25
"""Share that it has to explain beyond what the configured one does."""
LEAST: Final = 20
"""Keys that a start has to see before it refuses."""


class Astray:
    """The records that came to the wrong partition."""

    def __init__(self, partition: int, partitions: int) -> None:
        self.fits: str | None = None
        """The partitioner that explains them, once enough have come."""
        self._partition, self._partitions = partition, partitions
        self._keys: set[bytes] = set()

    def note(self, key: bytes) -> None:
        """Look at one of them."""
        self._keys.add(key)
        if len(self._keys) == SAMPLE:
            found = explained(((each, self._partition) for each in self._keys), self._partitions)
            name = max(found, key=lambda each: found[each])
            self.fits = name if found[name] >= FITS * SAMPLE else None
            self._keys.clear()


def explained(placed: Iterable[tuple[bytes, int]], partitions: int) -> Mapping[str, int]:
    """Count by partitioner the keys that it brings to where they stand."""
    found = dict.fromkeys(hop.HASHES, 0)
    for key, partition in placed:
        for name, hash_ in hop.HASHES.items():
            found[name] += hash_(key) % partitions == partition
    return found


def misfit(topic: str, placed: set[tuple[bytes, int]], partitions: int, configured: str) -> str | None:
    """Say that another partitioner than the configured one explains where keys stand, if it does."""
    found = explained(placed, partitions)
    fits = max(found, key=lambda each: found[each])
    if len(placed) < LEAST or found[fits] < FITS * len(placed):
        return None
    if found[fits] - found[configured] < AHEAD * len(placed):
        return None
    return (
        f"`keyed_input: {configured}`: of {len(placed)} keys in topic {topic}, {found[configured]} stand "
        f"where {configured} puts them, and {found[fits]} where {fits} does: its producers use {fits}. Set "
        f"`keyed_input: {fits}` (docs/keyed-input.md)"
    )
