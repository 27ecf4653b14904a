"""When a keyed partition commits: soon when it has caught up, seldom and much in a backlog. Pure.

In: what the settings allow, what the commits so far have cost, whether more waits to be worked on. Out: how
long to wait after a commit, and how much one transaction may hold. Strategy: three rules. Caught up, a lane
waits only as long as its commits take, so that readers hear soon and brokers and worker do not spend
themselves on commits: one that was slow lengthens the next wait, up to a bound. In a backlog nobody
is waiting for the latest record, and it waits as long as it may. And whatever the time, a transaction is
closed before it grows so large that it might outlast its time-out: by records, by bytes, by the time that
records take.
"""

from __future__ import annotations

from typing import Final

import msgspec

COMMITS_PER_WAIT: Final = 1.0
"""Caught up, a lane waits this many times as long as a commit takes: half of its time for commits (0025)."""
STRETCH: Final = 5.0
"""But never longer than so many times the shortest wait, however slow commits are."""
COMMIT_BUDGET: Final = 15.0
"""Seconds that writing one transaction may take: a quarter of the time-out it is begun with."""
_NEWS: Final = 0.3
"""How much the last commit counts against all before it."""


class Limits(msgspec.Struct, frozen=True):
    """What the deployment allows. Times in seconds."""

    shortest: float
    """Between two commits, when caught up."""
    longest: float
    """Between two commits, in a backlog."""
    records: int
    """Events and timers in one transaction."""
    size: int
    """Bytes in one transaction."""


class Pace(msgspec.Struct, frozen=True):
    """What is known of one lane's commits; `after` each there is a new one."""

    limits: Limits
    commit_seconds: float = 0.0
    """How long a commit takes, smoothed."""
    record_seconds: float = 0.0
    """The part of that for each event or timer, smoothed."""
    record_bytes: float = 0.0
    """Bytes written for each event or timer, smoothed."""

    def wait(self, *, behind: bool) -> float:
        """Tell how long after a commit the next one is due, in seconds; `behind` = more work waits."""
        limits = self.limits
        longest = max(limits.shortest, limits.longest)
        if behind:
            return longest
        wait = min(COMMITS_PER_WAIT * self.commit_seconds, STRETCH * limits.shortest, longest)
        return max(limits.shortest, wait)

    @property
    def most(self) -> int:
        """How many events and timers one transaction may hold; at least one."""
        most = float(self.limits.records)
        if self.record_bytes:
            most = min(most, self.limits.size / self.record_bytes)
        if self.record_seconds:
            most = min(most, COMMIT_BUDGET / self.record_seconds)
        return max(1, int(most))

    def is_due(self, waited: float, pending: int, *, behind: bool) -> bool:
        """Tell whether to commit now.

        Args:
            waited: seconds since the last commit.
            pending: events and timers that the next transaction has to hold.
            behind: more work waits.
        """
        return pending >= self.most or waited >= self.wait(behind=behind)

    def after(self, seconds: float, records: int, size: int) -> Pace:
        """Learn from a commit that took `seconds` for so many events and timers, `size` bytes in all."""
        if not records:
            return msgspec.structs.replace(self, commit_seconds=_smooth(self.commit_seconds, seconds))
        return Pace(
            self.limits,
            _smooth(self.commit_seconds, seconds),
            _smooth(self.record_seconds, seconds / records),
            _smooth(self.record_bytes, size / records),
        )


def _smooth(known: float, new: float) -> float:
    return known + _NEWS * (new - known) if known else new
