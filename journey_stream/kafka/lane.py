"""A keyed partition's lane: the task around `keyed.KeyedPartition` that does its input and output.

Enters: batches of the keyed topic. Leaves: one transaction per checkpoint (`commits`). Strategy: takeover =
start the transactional producer (fences the former owner), then read the changelog to its end, then read the
keyed topic from the offset that the changelog's meta record names. Whatever fails afterwards, nothing is
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
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import msgspec
from aiokafka.errors import ProducerFenced
from faust.types import TP

from journey_stream.encode import Encoder
from journey_stream.errors import StateError, told
from journey_stream.kafka.aside import Aside, slice_of
from journey_stream.kafka.change import Past, Rebuild, change_versions, rebuilt
from journey_stream.kafka.checkpoint import Writer
from journey_stream.kafka.commits import CLOSE_SECONDS, Commits
from journey_stream.kafka.direct_intake import RESTORING, Inputs
from journey_stream.kafka.direct_intake import Worker as DirectWorker
from journey_stream.kafka.engines import failures
from journey_stream.kafka.hop import partitioner_of
from journey_stream.kafka.inbox import Inbox
from journey_stream.kafka.intake import PAUSED
from journey_stream.kafka.keyed import KeyedPartition
from journey_stream.kafka.local_restore import restore_on_disk
from journey_stream.kafka.local_states import RocksStates
from journey_stream.kafka.metrics import Metrics
from journey_stream.kafka.pace import Limits
from journey_stream.kafka.restoring import restore
from journey_stream.kafka.standbys import Warm
from journey_stream.kafka.starting import start_offsets

log = logging.getLogger(__name__)

TICK_SECONDS: Final = 0.25
"""How often a quiet lane looks at the clock."""
BACKOFF: Final = (0.5, 30.0)
FENCED_SECONDS: Final = 5.0
"""Wait after being fenced: a worker that lost its partitions hears of it from the group meanwhile."""

State = Literal["restoring", "waiting", "working", "paused", "parked", "failed", "stopped"]


class LaneOptions(msgspec.Struct, frozen=True):
    """What a lane needs to know of the deployment."""

    client: Mapping[str, Any]
    application_id: str
    changelog: str
    partitions: int
    public_compression: str
    internal_compression: str
    limits: Limits
    """How often checkpoints may come, and how large they may be."""
    state_dir: Path | None = None
    """Where states are kept; None: in memory."""
    keyed_input: str = "none"
    direct: tuple[str, ...] = ()
    """Source topics that are read without the hop."""


class Worker(DirectWorker, Protocol):
    """What a lane needs of the worker around it."""

    def make_partition(self, partition: int, engine: Any = None) -> KeyedPartition:
        """Make the logic of a keyed partition, empty, or around an engine that holds states."""

    def take_standby(self, partition: int) -> Warm | None:
        """Take over what is here of the partition's state."""

    def open_states(self, folder: Path) -> RocksStates:
        """Open the states that are on disk."""

    def make_rebuild(self, logic: KeyedPartition) -> tuple[Rebuild, Past]:
        """Make what runs the history of a partition through the present program."""

    async def committed(self, tp: TP) -> int | None:
        """Read the group's committed offset."""

    async def bounds(self, tp: TP) -> tuple[int, int]:
        """Read first and end offset of a partition."""

    aside: Aside
    """Lets keyed partitions do their work."""

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
        self._metrics = metrics
        self.inbox = Inbox(lambda: worker.hold(tp, "queue"), lambda: worker.release(tp, "queue"))
        self._commits = Commits(
            worker,
            tp,
            encoder,
            metrics,
            changelog=options.changelog,
            limits=options.limits,
            committed=self._committed,
            wake=self.inbox.wake.set,
        )
        self.inputs = Inputs(worker, tp, self.inbox, options.direct, metrics)
        self._next: int | None = None
        self._owned = asyncio.Event()
        self._assignment = 0
        """Counts them."""
        self._parked = asyncio.Event()
        self._resumed = asyncio.Event()
        """Not paused by an operator."""
        self._resumed.set()
        self._backoff = BACKOFF[0]
        self._failures: tuple[type[BaseException], ...] = (Exception, *failures())
        self._suspicious = False
        """State turned out damaged when it was touched: the takeover looks for where it is."""
        self._task: asyncio.Task[None] | None = None

    # -- told by the worker ----------------------------------------------------------------------------------

    def assigned(self) -> None:
        """The partition is ours: go on, or begin."""
        self._owned.set()
        self._assignment += 1
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"journeys [{self.tp.partition}]")

    @property
    def paused(self) -> bool:
        """An operator wants it to rest."""
        return not self._resumed.is_set()

    def pause(self, *, paused: bool) -> None:
        """Rest after a checkpoint: nothing is taken in, no timer fires; or go on."""
        if paused:
            self._resumed.clear()
            self.inbox.wake.set()
        else:
            self._resumed.set()

    async def park(self, seconds: float) -> None:
        """Commit what is done and wait for the next assignment; state stays."""
        self._owned.clear()
        self.inputs.close()
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
                    await self._commits.settle()
            except ProducerFenced:
                log.warning("%s: fenced: another worker took over, or a transaction timed out", self)
                self._metrics.fenced.inc()
                await self._stop_short("fenced", FENCED_SECONDS)
            except self._failures as error:
                self._suspicious = isinstance(error, StateError)
                self._worker.failed("journeys", str(self), error)
                await self._stop_short(told(error), self._backoff)
                self._backoff = min(self._backoff * 2, BACKOFF[1])

    async def _stop_short(self, why: str, pause: float) -> None:
        self.state = "failed"
        self.failed_since = self.failed_since or time.monotonic()
        self.last_error = why
        self._parked.set()
        self.inputs.close()
        await self._discard()
        await asyncio.sleep(pause)

    async def _discard(self) -> None:
        self.logic = None
        await self._commits.close()

    async def _take_over(self) -> None:
        """Fence, then read."""
        began = time.monotonic()
        await self._owned.wait()
        self.state = "restoring"
        options, partition = self._options, self.tp.partition
        self.inputs.hold(RESTORING)
        writer = Writer(
            options.client,
            application_id=options.application_id,
            partition=partition,
            partitions=options.partitions,
            public_compression=options.public_compression,
            internal_compression=options.internal_compression,
            partitioner=partitioner_of(options.keyed_input),
        )
        self._commits.open(writer)
        await writer.start()
        known = (self._worker, self.tp, options.client, options.changelog, writer, self._metrics)
        if options.state_dir is None:
            logic, value, restored = await restore(*known, look=self._suspicious)
        else:
            states = self._commits.states = self._worker.open_states(options.state_dir / str(partition))
            logic, value, restored = await restore_on_disk(states, *known, look=self._suspicious)
        starts = await start_offsets(self._worker, self.tp, options.changelog, logic, value)
        self._next = starts.keyed
        self.inputs.restored(logic.direct, starts.direct)
        if logic.settled.changes:
            await change_versions(
                logic,
                str(self),
                self._worker.now(),
                lambda: rebuilt(options.client, self.tp, logic, *self._worker.make_rebuild(logic)),
                lambda: self._checkpoint(logic),
            )
        self.logic = logic
        seconds = time.monotonic() - began
        self._metrics.restore_seconds.observe(seconds)
        log.info("%s: taken over in %.2f s (%d changelog records)", self, seconds, restored)

    async def _go_on(self) -> None:
        """Wait until the partition is ours and not paused, and read from where we stand."""
        while True:
            if not self._owned.is_set():
                self.state = "parked"
                self._parked.set()
                await self._owned.wait()
            if self.paused:
                self.state = "paused"
                self._parked.set()
                self.inputs.close()
                self.inputs.hold(PAUSED)
                await self._resumed.wait()
                self.inputs.release(PAUSED)
                continue
            assignment = self._assignment
            positions = await self.inputs.seek(self._next)
            # A position that was set before a rebalance is not one any more.
            if positions is not None and self._owned.is_set() and assignment == self._assignment:
                break
            self.state = "waiting"
            await asyncio.sleep(0.1)
        self.inputs.open(positions)
        self.state = "working"

    async def _work(self) -> None:
        logic = self.logic
        assert logic is not None
        now_of = self._worker.now
        batch_seconds = self._metrics.batch_seconds.labels("journeys")
        most = slice_of(logic)
        more = False
        while True:
            if self.paused or not self._owned.is_set() or self.inbox.is_closed:
                # Closed but ours: a whole rebalance went by while a checkpoint was under way.
                if logic.dirty:
                    await self._checkpoint(logic)
                return
            if self.inputs.gap:
                log.warning("%s: fetched again: something was lost on its way here", self)
                return
            records = self.inputs.take(most)
            if not records and not more:
                await self._rest(logic)
                records = self.inputs.take(most)
            await self._commits.look()
            began = time.perf_counter()
            now = now_of()
            more = await self._worker.aside.step(logic, self.inputs.topic, records, now, again=more)
            if records:
                self._next = self.inputs.took(records[-1], self._next)
            batch_seconds.observe(time.perf_counter() - began)
            if self.inputs.topic is not None:
                await self.inputs.finish()
            if self._commits.is_due(logic, behind=more or self.inputs.behind):
                await self._commits.begin(logic, self.inputs.send_on)
            elif logic.finished and not self.finished and not self.inputs.queued:
                await self._checkpoint(logic)
                self.finished = True
            await asyncio.sleep(0)

    async def _rest(self, logic: KeyedPartition) -> None:
        """Wait for records, the next tick, or the moment a checkpoint is due."""
        seconds = TICK_SECONDS
        if logic.effects:
            seconds = min(seconds, self._commits.wait())
        if seconds <= 0:
            return
        logic.engine.tidy()
        inbox = self.inbox
        inbox.wake.clear()
        if self.inputs.queued or self.inputs.gap or not self._owned.is_set():
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(inbox.wake.wait(), seconds)

    async def _checkpoint(self, logic: KeyedPartition) -> None:
        """Make a checkpoint and wait for it."""
        await self._commits.begin(logic, self.inputs.send_on)
        await self._commits.settle()

    def _committed(self) -> None:
        self.failed_since = None
        self._backoff = BACKOFF[0]
