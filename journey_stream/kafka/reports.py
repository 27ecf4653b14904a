"""What the log says of lanes that fail: enough to act on, and not the same thing over and over.

Enters: which lane failed, where, and why. Leaves: lines in the log, a count in a metric. Strategy: each lane
tells a new failure once, and one that goes on once a minute; what fails many lanes alike (a producer that
lost its place while the process was frozen, brokers that went away) brings its trace once, not once a lane.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from journey_stream.errors import told
from journey_stream.kafka.metrics import Metrics

log = logging.getLogger(__name__)

TELL_SECONDS: Final = 60.0
"""A failure that goes on is told again after so long."""


class Reports:
    """Tells failures of the lanes of one worker."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._told: dict[str, tuple[str, float]] = {}
        """Lane and place, to what was said of it last, and when."""
        self._traced: dict[str, float] = {}
        """Lane and kind of error, to when it was last seen: its trace is in the log."""

    def failed(self, lane: str, where: str, error: BaseException) -> None:
        """Tell that a lane stopped and starts over.

        Args:
            lane: its kind: `intake`, `journeys`, `fetch`.
            where: topic, partition and offset: `visits[3]@17`.
            error: why.
        """
        self._metrics.failures.labels(lane).inc()
        what, now = told(error), time.monotonic()
        key = f"{lane} {where.partition('@')[0]}"
        last, at = self._told.get(key, ("", 0.0))
        if last != what:
            trace = error if self._is_new(f"{lane} {type(error).__name__}", now) else None
            log.error("%s lane %s stopped and starts over from its last checkpoint: %s", lane, where, what,
                      exc_info=trace)  # fmt: skip
        elif now - at > TELL_SECONDS:
            log.error("%s lane %s still cannot go on: %s", lane, where, what)
        else:
            return
        self._told[key] = (what, now)

    def _is_new(self, kind: str, now: float) -> bool:
        before = self._traced.get(kind)
        self._traced[kind] = now
        return before is None or now - before > TELL_SECONDS
