"""A keyed partition's lane: the task around `keyed.KeyedPartition` that does its input and output.

Enters: batches of the keyed topic. Leaves: one transaction per checkpoint. Strategy: takeover = start the
transactional producer (fences the former owner), then read the changelog to its end, then read the keyed
topic from the offset that the changelog's meta record names. Whatever fails afterwards, nothing is
repaired: the lane stops, says so, and starts over from its takeover, while all other lanes go on. Through a
rebalance a lane that stays with its worker keeps its state: should somebody else have owned it meanwhile,
its next transaction is fenced.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from typing import Any, Final, Literal, Protocol

import msgspec
from aiokafka.errors import ProducerFenced
from faust.types import TP

from journey_stream.encode import Encoder
from journey_stream.errors import StateError
from journey_stream.kafka.changelog import META_KEY, read_changelog
from journey_stream.kafka.checkpoint import Writer
from journey_stream.kafka.inbox import Inbox, Position
from journey_stream.kafka.keyed import KeyedPartition, read_meta
from journey_stream.kafka.metrics import Metrics
from journey_stream.values import NEVER, SECOND

log = logging.getLogger(__name__)

SLICE: Final = 500
TICK_SECONDS: Final = 0.25
"""How often a quiet lane looks at the clock."""
LAZY_SECONDS: Final = 5.0
"""How often progress alone (markers, no effects) is committed."""
COMMIT_SECONDS: Final = 90.0
"""A transaction that takes longer has failed: its outcome is read at the takeover."""
BACKOFF: Final = (0.5, 30.0)
CLOSE_SECONDS: Final = 5.0
FENCED_SECONDS: Final = 5.0
"""Wait after being fenced: a worker that lost its partitions hears of it from the group meanwhile."""

State = Literal["restoring", "waiting", "working", "parked", "failed", "stopped"]


class LaneOptions(msgspec.Struct, frozen=True):
    """What a lane needs to know of the deployment."""

    client: Mapping[str, Any]
    application_id: str
    changelog: str
    partitions: int
    max_record_bytes: int
    public_compression: str
    internal_compression: str
    interval: float
    """Seconds between checkpoints."""
    records: int
    """Records after which a checkpoint is due whatever the time."""


class Worker(Protocol):
    """What a lane needs of the worker around it."""

    def make_partition(self, partition: int) -> KeyedPartition:
        """Make the empty logic of a keyed partition."""

    async def seek(self, tp: TP, offset: int | None) -> Position | None:
        """Set the position of a partition; None when it is not ours now."""

    async def committed(self, tp: TP) -> int | None:
        """Read the group's committed offset."""

    async def bounds(self, tp: TP) -> tuple[int, int]:
        """Read first and end offset of a partition."""

    def hold(self, tp: TP, why: str) -> None:
        """Stop fetching a partition."""

    def release(self, tp: TP, why: str) -> None:
        """Fetch it again."""

    def failed(self, lane: str, where: str, error: BaseException) -> None:
        """Tell that a lane stopped and starts over."""

    def now(self) -> int:
        """The wall clock, microseconds."""


class JourneyLane:
    """One keyed partition: restores, works, commits; starts over when anything fails."""

    def __init__(
        self, worker: Worker, tp: TP, options: LaneOptions, encoder: Encoder, metrics: Metrics
    ) -> None:
        self.tp = tp
        self.state: State = "restoring"
        self.logic: KeyedPartition | None = None
        self.finished = False
        """Everything up to `until` is done and committed."""
        self.failed_since: float | None = None
        self.last_error = ""
        self._worker = worker
        self._options = options
        self._encoder = encoder
        self._metrics = metrics
        self._writer: Writer | None = None
        self.inbox = Inbox(lambda: worker.hold(tp, "queue"), lambda: worker.release(tp, "queue"))
        self._next: int | None = None
        self._owned = asyncio.Event()
        self._parked = asyncio.Event()
        self._committed_at = time.monotonic()
        self._backoff = BACKOFF[0]
        self._task: asyncio.Task[None] | None = None

    # -- told by the worker ----------------------------------------------------------------------------------

    def assigned(self) -> None:
        """The partition is ours: go on, or begin."""
        self._owned.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"journeys [{self.tp.partition}]")

    async def park(self, seconds: float) -> None:
        """Commit what is done and wait for the next assignment; state stays."""
        self._owned.clear()
        self.inbox.close()
        if self.state == "working":
            self._parked.clear()
            self.inbox.wake.set()
            try:
                await asyncio.wait_for(self._parked.wait(), seconds)
            except TimeoutError:
                log.warning("%s: not committed within %.0f s; that part is read again", self, seconds)

    async def close(self) -> None:
        """Stop for good, without another commit."""
        self._owned.clear()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task], timeout=CLOSE_SECONDS)
        self.state = "stopped"
        await self._discard()

    def __str__(self) -> str:
        return f"{self.tp.topic}[{self.tp.partition}]@{self._next if self._next is not None else '?'}"

    # -- the task --------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            try:
                await self._take_over()
                while True:
                    await self._go_on()
                    await self._work()
            except ProducerFenced:
                log.warning("%s: fenced: another worker took over, or a transaction timed out", self)
                self._metrics.fenced.inc()
                await self._stop_short("fenced", FENCED_SECONDS)
            except Exception as error:
                self._worker.failed("journeys", str(self), error)
                await self._stop_short(f"{type(error).__name__}: {error}", self._backoff)
                self._backoff = min(self._backoff * 2, BACKOFF[1])

    async def _stop_short(self, why: str, pause: float) -> None:
        self.state = "failed"
        self.failed_since = self.failed_since or time.monotonic()
        self.last_error = why
        self._parked.set()
        self.inbox.close()
        await self._discard()
        await asyncio.sleep(pause)

    async def _discard(self) -> None:
        self.logic = None
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.stop()

    async def _take_over(self) -> None:
        """Fence, then read."""
        began = time.monotonic()
        await self._owned.wait()
        self.state = "restoring"
        options, partition = self._options, self.tp.partition
        self._worker.hold(self.tp, "restore")
        writer = self._writer = Writer(
            options.client,
            application_id=options.application_id,
            partition=partition,
            partitions=options.partitions,
            max_record_bytes=options.max_record_bytes,
            public_compression=options.public_compression,
            internal_compression=options.internal_compression,
        )
        await writer.start()
        logic = self._worker.make_partition(partition)
        remaining = self._metrics.restore_remaining.labels(partition)
        load, restored = logic.engine.load, 0

        def keep(key: bytes, state: bytes | None) -> None:
            nonlocal restored
            restored += 1
            load(key.decode(), state)

        value = await read_changelog(
            options.client, options.changelog, partition, keep, lambda at, end: remaining.set(end - at)
        )
        self._next = await self._start_offset(logic, value)
        self.logic = logic
        seconds = time.monotonic() - began
        self._metrics.restore_seconds.observe(seconds)
        log.info("%s: taken over in %.2f s (%d changelog records)", self, seconds, restored)

    async def _start_offset(self, logic: KeyedPartition, value: bytes | None) -> int:
        """Find where to read from, and refuse what cannot be right."""
        first, end = await self._worker.bounds(self.tp)
        where = f"{self.tp.topic}[{self.tp.partition}]"
        if value is None:
            committed = await self._worker.committed(self.tp)
            if committed:
                msg = (
                    f"{where}: the group has committed offset {committed}, but the changelog "
                    f"{self._options.changelog} holds no checkpoint: its state is lost. Restore that topic, "
                    "or begin anew with `journey-stream reset`"
                )
                raise StateError(msg)
            return logic.restore(None, first)
        meta = read_meta(value)
        if meta.position > end:
            msg = (
                f"{where}: the last checkpoint stands at offset {meta.position}, but the topic "
                f"ends at {end}: it was made anew under its state. Begin anew with `journey-stream reset`"
            )
            raise StateError(msg)
        return logic.restore(meta, first)

    async def _go_on(self) -> None:
        """Wait until the partition is ours, and read from where we stand."""
        while True:
            if not self._owned.is_set():
                self.state = "parked"
                self._parked.set()
                await self._owned.wait()
            position = await self._worker.seek(self.tp, self._next)
            if position is not None and self._owned.is_set():
                break
            self.state = "waiting"
            await asyncio.sleep(0.1)
        self.inbox.open(position)
        self._worker.release(self.tp, "restore")
        self.state = "working"

    async def _work(self) -> None:
        logic = self.logic
        assert logic is not None
        now_of, options = self._worker.now, self._options
        batch_seconds = self._metrics.batch_seconds.labels("journeys")
        records: list[Any] = []
        start = 0
        more = False
        while True:
            if not self._owned.is_set():
                if logic.dirty:
                    await self._checkpoint(logic)
                return
            if self.inbox.gap and start >= len(records) and not self.inbox.queued:
                log.warning("%s: fetched again: something was lost on its way here", self)
                return
            if start >= len(records):
                records, start = self.inbox.take(), 0
                if not records and not more:
                    await self._rest(logic)
                    records = self.inbox.take()
            began = time.perf_counter()
            now = now_of()
            if start < len(records):
                part = records[start : start + SLICE]
                start += len(part)
                logic.take(part, now)
                self._next = part[-1].offset + 1
            more = logic.advance(now)
            batch_seconds.observe(time.perf_counter() - began)
            waited = time.monotonic() - self._committed_at
            if (logic.effects and (waited >= options.interval or logic.pending >= options.records)) or (
                logic.dirty and waited >= LAZY_SECONDS
            ):
                await self._checkpoint(logic)
            else:
                if logic.finished and not self.finished and not self.inbox.queued and start >= len(records):
                    await self._checkpoint(logic)
                    self.finished = True
                await asyncio.sleep(0)

    async def _rest(self, logic: KeyedPartition) -> None:
        """Wait for records, the next tick, or the moment a checkpoint is due."""
        seconds = TICK_SECONDS
        if logic.effects:
            seconds = min(seconds, self._options.interval - (time.monotonic() - self._committed_at))
        if seconds <= 0:
            return
        inbox = self.inbox
        inbox.wake.clear()
        if inbox.queued or inbox.gap or not self._owned.is_set():
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(inbox.wake.wait(), seconds)

    async def _checkpoint(self, logic: KeyedPartition) -> None:
        began = time.monotonic()
        arrived = logic.oldest_arrival
        checkpoint = logic.checkpoint()
        encode = self._encoder.encode_all
        outs = [out for record in checkpoint.records for out in encode(record)]
        changes: list[tuple[bytes, bytes | None]] = [
            (key.encode(), state) for key, state in checkpoint.changes
        ]
        changes.append((META_KEY, checkpoint.meta))
        writer = self._writer
        assert writer is not None
        offsets = {(self.tp.topic, self.tp.partition): checkpoint.oldest}
        try:
            await asyncio.wait_for(
                writer.commit(outs, self._options.changelog, changes, offsets), COMMIT_SECONDS
            )
        except BaseException:
            self._metrics.checkpoints.labels("failed").inc()
            raise
        self._committed_at = time.monotonic()
        self._metrics.checkpoint_seconds.observe(self._committed_at - began)
        self._metrics.checkpoints.labels("committed").inc()
        self._metrics.published(checkpoint.records)
        self._metrics.count_events(logic.counts)
        self._metrics.count_engine(logic)
        if arrived != NEVER:
            self._metrics.latency.observe(max(0, self._worker.now() - arrived) / SECOND)
        self.failed_since = None
        self._backoff = BACKOFF[0]
