"""What has failed for so long that the worker is not well.

Enters: what fails, since when, why. Leaves: sentences for /health. Strategy: a failure that passes within a
minute is nobody's alarm: what fails is tried again all the time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final, NamedTuple

STUCK_SECONDS: Final = 60.0
"""What has failed for this long makes the worker unhealthy."""


class Trial(NamedTuple):
    """Something that is tried again and again."""

    what: str
    since: float | None
    """Monotonic seconds of the first failure in a row; None: it does not fail."""
    why: str | None = None


def stuck(trials: Iterable[Trial]) -> list[str]:
    """Name what has failed for long, how long, and why."""
    now = time.monotonic()
    return [
        f"{trial.what} has failed for {now - trial.since:.0f} s" + (f": {trial.why}" if trial.why else "")
        for trial in trials
        if trial.since is not None and now - trial.since > STUCK_SECONDS
    ]
