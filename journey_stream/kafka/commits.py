"""The checkpoints of a lane: when one is due, what is in it, and the transaction that makes it true.

Enters: a keyed partition that has worked. Leaves: one transaction after the other. Strategy: what a
checkpoint holds is collected at one moment and changes no more; while brokers take it, the partition works on
towards the next. One transaction is under way at a time, and whatever fails in it fails the lane, which
forgets what it did meanwhile and starts over from its takeover, as if it had died. With states on disk there
is no such meanwhile: what was committed has to be written down before it may change again.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec
from faust.types import TP

from journey_stream.encode import Encoder
from journey_stream.errors import BrokerError
from journey_stream.kafka.aside import Aside
from journey_stream.kafka.checkpoint import Writer
from journey_stream.kafka.keyed import KeyedPartition
from journey_stream.kafka.keyed_values import Checkpoint
from journey_stream.kafka.local_states import RocksStates
from journey_stream.kafka.metrics import Metrics
from journey_stream.kafka.outgoing import Outgoing, encoded, packable
from journey_stream.kafka.pace import Limits, Pace
from journey_stream.values import NEVER, SECOND

LAZY_SECONDS: Final = 5.0
"""How often progress alone (markers, no effects) is committed."""
COMMIT_SECONDS: Final = 90.0
"""A transaction that takes longer has failed: its outcome is read at the takeover."""
CLOSE_SECONDS: Final = 5.0


class Begun(msgspec.Struct):
    """A checkpoint whose transaction is under way."""

    checkpoint: Checkpoint
    out: Outgoing
    generation: str
    began: float
    """When it was begun to be collected, on the clock that never goes back."""
    pending: int
    """Events and timers in it."""
    arrived: int
    """When the oldest of them arrived, microseconds."""
    counts: Counter[tuple[str, str]]
    engine_counts: Counter[str]
    unknown: Counter[tuple[str, str]]
    fired: list[tuple[int, int]]

    @classmethod
    def of(cls, logic: KeyedPartition, checkpoint: Checkpoint, out: Outgoing, *of: Any) -> Begun:
        """Take along what the partition has counted; it goes on counting."""
        tallies = (logic.counts, logic.engine_counts, logic.unknown, logic.fired)
        begun = cls(checkpoint, out, logic.generation, *of, *(each.copy() for each in tallies))
        for each in tallies:
            each.clear()
        return begun


class Worker(Protocol):
    """What is needed of the worker around it."""

    aside: Aside

    def now(self) -> int:
        """The wall clock, microseconds."""


class Commits:
    """The checkpoints of one lane; `open` at each takeover, `close` when it is over."""

    def __init__(
        self,
        worker: Worker,
        tp: TP,
        encoder: Encoder,
        metrics: Metrics,
        *,
        changelog: str,
        limits: Limits,
        committed: Callable[[], None],
        wake: Callable[[], None],
    ) -> None:
        self._worker, self._tp = worker, tp
        self._changelog = changelog
        self._encoder, self._metrics = encoder, metrics
        self._committed, self._wake = committed, wake
        self._pace = Pace(limits)
        self._at = time.monotonic()
        """When the last one was done."""
        self.states: RocksStates | None = None
        """Those that are on disk."""
        self._writer: Writer | None = None
        self._under_way: asyncio.Task[None] | None = None

    def open(self, writer: Writer) -> None:
        """Use a writer until `close`."""
        self._writer = writer

    async def close(self) -> None:
        """Leave what is under way: its outcome is read at the takeover."""
        task, self._under_way = self._under_way, None
        writer, self._writer = self._writer, None
        states, self.states = self.states, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task], timeout=CLOSE_SECONDS)
            if task.done() and not task.cancelled():
                task.exception()  # (whoever waited for it has heard; nobody else may)
        if states is not None:
            states.close()
        if writer is not None:
            await writer.stop()

    def is_due(self, logic: KeyedPartition, *, behind: bool) -> bool:
        """Tell whether to begin one now; `behind` = more work waits.

        While one is under way only if the next one may hold no more.
        """
        if self._is_under_way:
            return bool(logic.effects) and logic.pending >= self._pace.most
        waited = time.monotonic() - self._at
        if logic.effects and self._pace.is_due(waited, logic.pending, behind=behind):
            return True
        return bool(logic.dirty) and waited >= LAZY_SECONDS

    def wait(self) -> float:
        """Tell after how many seconds one is due if nothing more comes; endless while one is under way."""
        if self._is_under_way:
            return float("inf")
        return self._pace.wait(behind=False) - (time.monotonic() - self._at)

    @property
    def _is_under_way(self) -> bool:
        return self._under_way is not None and not self._under_way.done()

    async def begin(self, logic: KeyedPartition, send_on: Callable[[], Any]) -> None:
        """Collect a checkpoint and begin its transaction, when the one before it is done.

        Args:
            logic: the partition.
            send_on: brings what is not ours to its partition; before the position behind it is committed.

        Raises:
            BrokerError: the one before took too long.
            BaseException: whatever else failed in it.
        """
        await self.settle()
        began = time.monotonic()
        await send_on()
        writer = self._writer
        assert writer is not None
        arrived, pending = logic.oldest_arrival, logic.pending
        packed = await packable(self._encoder, writer)
        # What was written while it was packable goes as it is.
        packed = packed or (logic.runs is not None and logic.runs.has_written)
        ready = self._worker.now() // 1000 if packed else None
        checkpoint = await self._worker.aside.checkpoint(logic, ready)
        out = encoded(checkpoint, self._encoder, self._changelog, self._tp.partition)
        begun = Begun.of(logic, checkpoint, out, began, pending, arrived)
        self._under_way = asyncio.create_task(
            self._commit(writer, begun), name=f"commit [{self._tp.partition}]"
        )
        self._under_way.add_done_callback(lambda _: self._wake())
        if self.states is not None:
            await self.settle()

    async def settle(self) -> None:
        """Wait for what is under way; raises what failed in it, as `begin` does."""
        if self._under_way is not None:
            # Cancelled while waiting here, it goes on until `close`.
            await asyncio.shield(self._under_way)
            self._under_way = None

    async def look(self) -> None:
        """Raise what has failed; do not wait."""
        if not self._is_under_way:
            await self.settle()

    async def _commit(self, writer: Writer, begun: Begun) -> None:
        metrics, changelog, out = self._metrics, self._changelog, begun.out
        checkpoint = begun.checkpoint
        offsets = {(self._tp.topic, self._tp.partition): checkpoint.oldest, **checkpoint.sources}
        try:
            await asyncio.wait_for(
                writer.commit(out.outs, changelog, out.changes, offsets, out.ready), COMMIT_SECONDS
            )
        except TimeoutError:
            metrics.checkpoints.labels("failed").inc()
            msg = f"a transaction was not committed within {COMMIT_SECONDS:.0f} s: {writer.waited_for}"
            raise BrokerError(msg) from None
        except BaseException:
            metrics.checkpoints.labels("failed").inc()
            raise
        now = self._worker.now()
        if self.states is not None:
            self.states.keep(checkpoint.changes, writer.changelog_end, begun.generation, now)
        self._at = time.monotonic()
        self._pace = self._pace.after(self._at - begun.began, begun.pending, out.size)
        metrics.checkpoint_seconds.observe(self._at - begun.began)
        metrics.checkpoints.labels("committed").inc()
        metrics.published(checkpoint.records)
        if checkpoint.ready is not None:
            metrics.add(checkpoint.ready.moves, checkpoint.ready.calls)
        metrics.count_events(begun.counts)
        metrics.count_engine(begun)
        if begun.arrived != NEVER:
            metrics.latency.observe(max(0, now - begun.arrived) / SECOND)
        self._committed()
