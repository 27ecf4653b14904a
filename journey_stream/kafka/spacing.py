"""Fetch requests with a pause between them, so that each brings what came in the meantime.

Enters: a consumer. Leaves: the same consumer, whose fetcher asks each broker anew only some time after it
asked last. Strategy: a request that goes out the moment the last one was answered finds a record or two in
each partition, and what it costs (a request, an answer, a turn of every lane, a round of the hop) does not
depend on how many they are: a worker that keeps up would spend a whole processor on crumbs, and be late for
it. After a quiet moment nobody waits for the pause; in a backlog an answer takes longer than the pause. Who
knows that something has just come (the hop's records are ours to read, too) ends the pause.
"""

# ruff: noqa: SLF001 (this module is a part of the seam to internals of aiokafka)

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, Final

import aiokafka

SPACE_SECONDS: Final = 0.02


def space_out(consumer: aiokafka.AIOKafkaConsumer, seconds: float = SPACE_SECONDS) -> Callable[[], None]:
    """Let a consumer, which has been started, ask a broker for records at most once in so many seconds.

    Gives what ends the pauses that are under way; it may be called from any thread.
    """
    loop = asyncio.get_running_loop()
    hurried: asyncio.Future[None] = loop.create_future()
    fetcher = consumer._fetcher
    fetch = fetcher._proc_fetch_request
    asked: dict[int, float] = {}

    async def spaced(assignment: Any, node: int, request: Any) -> bool:
        pause = asked.get(node, 0.0) + seconds - time.monotonic()
        if pause > 0:
            try:
                await asyncio.wait([hurried], timeout=pause)
            except asyncio.CancelledError:
                # As aiokafka's own does: it cancels its requests when it closes and when partitions move,
                # waits for each, and would end with an error of one.
                return False
        asked[node] = time.monotonic()
        return bool(await fetch(assignment, node, request))

    def end_pauses() -> None:
        nonlocal hurried
        was, hurried = hurried, loop.create_future()
        was.set_result(None)

    def hurry() -> None:
        with contextlib.suppress(RuntimeError):  # (the loop is closed: nobody fetches any more)
            loop.call_soon_threadsafe(end_pauses)

    fetcher._proc_fetch_request = spaced
    return hurry
