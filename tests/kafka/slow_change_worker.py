"""A worker that changes versions a few customers at a time, so that a death lands in the middle.

Run as `python -m tests.kafka.slow_change_worker SETTINGS`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from journey_stream.kafka import change, lane
from journey_stream.kafka.start import run_worker
from journey_stream.settings_read import load_settings

PAUSE = 0.15


async def slowly(
    logic: Any, where: str, now: int, history: Any, commit: Callable[[], Awaitable[None]]
) -> None:
    async def commit_and_wait() -> None:
        await commit()
        await asyncio.sleep(PAUSE)

    await change.change_versions(logic, where, now, history, commit_and_wait)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for noisy in ("aiokafka", "faust", "mode"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    change.AT_ONCE = 40  # type: ignore[misc]
    lane.change_versions = slowly
    settings = load_settings(Path(sys.argv[1]).read_text(), {}, {}, file=sys.argv[1])
    sys.exit(run_worker(settings, exit_when_done="--exit-when-done" in sys.argv))
