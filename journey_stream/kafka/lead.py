"""How far ahead of the clock a source partition is read, in records. Pure.

Enters: what was read, step by step; a clock. Leaves: how many of the records came after it. Strategy: each
step counts in whole by the highest time up to its end; what the clock has passed is forgotten. So what
events wait for anyhow (`allowed_lateness` behind the clock) counts for nobody: to hold a source does not
make them fewer. And the source that holds the clock is never ahead of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final, TypeVar

Name = TypeVar("Name")

AHEAD: Final = "ahead"
"""Why a source partition waits for slower ones."""


class Lead:
    """The lead of one source partition."""

    def __init__(self) -> None:
        self._steps: deque[tuple[int, int]] = deque()
        """Highest event time up to the end of each, records in it."""
        self._records = 0

    def took(self, highest: int, records: int) -> None:
        """So many more records are read, up to this highest time (microseconds), which never falls."""
        self._steps.append((highest, records))
        self._records += records

    def beyond(self, clock: int) -> int:
        """Count the records that are ahead of the clock; those behind are forgotten."""
        steps = self._steps
        while steps and steps[0][0] <= clock:
            self._records -= steps.popleft()[1]
        return self._records

    def clear(self) -> None:
        """Forget all: it is read again."""
        self._steps.clear()
        self._records = 0


def too_far(leads: Mapping[Name, int], most: int) -> set[Name]:
    """Name who has to wait when all together may be `most` records ahead: whoever has more than its share."""
    if sum(leads.values()) <= most:
        return set()
    return {name for name, lead in leads.items() if lead * len(leads) > most}
