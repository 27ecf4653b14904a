"""What a lane lets its keyed partition do: at once, or beside the event loop if the compiled core does it.

Enters: a keyed partition, records, the time. Leaves: what came of it, awaited. Strategy: two threads for all
lanes. The core lets go of Python's lock while it works, so that fetching, sending and markers go on
meanwhile, and while one lane is between two pieces of work another has the processor; more processors are for
`processes`. Lanes share nothing that changes: neither the program nor what decodes or encodes keeps anything.
Short work is done at once: a thread costs a tenth of a millisecond each time, and readers of live events wait
for that. While it lasts, the partition is `turn`'s: whoever else looks at it waits.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from journey_stream.kafka.keyed import KeyedPartition
from journey_stream.kafka.keyed_values import Checkpoint

T = TypeVar("T")

WORTH: Final = 200
"""Records from which on a thread is worth it."""
SLICE: Final = 500
"""Records worked on before other lanes get a turn."""
COMPILED_SLICE: Final = 1_000
"""The same where the core does it."""
THREADS: Final = 2
"""Many lanes' worth: what they do in Python they do one at a time."""
SWITCH_SECONDS: Final = 0.0005
"""How long the loop and the threads may keep Python's lock from one another."""


def slice_of(logic: KeyedPartition) -> int:
    """Tell how many records are worked on in one go."""
    return SLICE if logic.runs is None else COMPILED_SLICE


class Aside:
    """The threads; there are none until they are wanted."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None

    async def step(
        self, logic: KeyedPartition, topic: str | None, part: Sequence[Any], now: int, *, again: bool
    ) -> bool:
        """Take records in, and let go of events and timers; gives whether more can be done right now.

        Args:
            logic: the partition.
            topic: of which source the records are; None: of the keyed topic.
            part: the records.
            now: the wall clock, microseconds.
            again: there was more to be done before.
        """

        def work() -> bool:
            with logic.turn:
                if part and topic is None:
                    logic.take(part, now)
                elif part and topic is not None:
                    logic.take_direct(topic, part, now)
                more = logic.advance(now)
                logic.buffered = len(logic.buffer)
                return more

        # A single marker may let go of all that waits.
        return await self._done(work, logic, WORTH if again else max(len(part), logic.buffered))

    async def checkpoint(self, logic: KeyedPartition, ready: int | None) -> Checkpoint:
        """Collect what the next transaction has to hold; see `KeyedPartition.checkpoint`."""

        def work() -> Checkpoint:
            with logic.turn:
                return logic.checkpoint(ready=ready)

        return await self._done(work, logic, logic.pending)

    async def _done(self, work: Callable[[], T], logic: KeyedPartition, size: int) -> T:
        if logic.runs is None or size < WORTH:
            return work()
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="journeys")
            sys.setswitchinterval(SWITCH_SECONDS)
        # Whoever is cancelled here leaves it behind, running to its end on a partition nobody uses any more.
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def stop(self) -> None:
        """Let them end with what they are at."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
