"""When Python looks for garbage in cycles: seldom, since a batch makes millions of objects and no cycle.

Enters: nothing. Leaves: the collector's thresholds, and a sweep from time to time. Strategy: Python looks
after every 700 new containers. A checkpoint's worth of decoded customers and records is thousands of times
that, all of it alive until the transaction is written, and each look walks it again: a quarter of the CPU
time of five journeys (ADR 0020). Reference counts free all of it. Cycles come from exceptions and tasks
alone, so a sweep a minute is enough; a million more objects than at the last look bring one sooner. What
the start has made (code, tables, definitions) stays, and is never walked again.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Final

THRESHOLDS: Final = (1_000_000, 5, 5)
"""More objects than at the last look; looks at the young before one at older ones, and at all."""
SWEEP_SECONDS: Final = 60.0


def leave_alone() -> None:
    """Call when all that a start makes is made, before work begins."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


async def sweep() -> None:
    """Look at everything once a minute, for ever: what broke may lie in cycles."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        gc.collect()
