"""All lanes of one worker process: started and stopped with the group's assignments, fed by the agents.

Enters: assignments and batches (from the transport), the deployment's settings and program. Leaves: lanes
at work, and the answers of /health, /ready and /metrics. Strategy: an owner of lanes and of what they
share: the hop's sender, the markers (one task that asks the brokers where the source partitions end), and
the rule that source partitions which run ahead of the slowest clock wait while too much is buffered.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from faust.types import TP

from journey_stream.encode import Encoder
from journey_stream.events.decode import Decoder
from journey_stream.kafka import hop
from journey_stream.kafka.checkpoint import Row, Sender
from journey_stream.kafka.inbox import Batch, Position
from journey_stream.kafka.intake import Intake, IntakeLane
from journey_stream.kafka.keyed import KeyedPartition, Options
from journey_stream.kafka.lane import JourneyLane, LaneOptions
from journey_stream.kafka.metrics import Metrics
from journey_stream.kafka.progress import Progress
from journey_stream.kafka.transport import BatchConsumer

log = logging.getLogger(__name__)

PARK_SECONDS: Final = 5.0
STUCK_SECONDS: Final = 60.0
"""A lane that has failed for this long makes the worker unhealthy."""
SEND_SECONDS: Final = 120.0
"""A batch that takes longer to be acknowledged has failed."""
TAKE_UP_SECONDS: Final = 600.0
"""After so long without taking up an assignment the process ends; whoever runs it starts another."""


class WorkerOptions(msgspec.Struct, frozen=True):
    """What the worker needs of the deployment."""

    client: Mapping[str, Any]
    sources: tuple[str, ...]
    events: str
    partitions: int
    keyed: Options
    lane: LaneOptions
    max_record_bytes: int
    max_buffered: int
    marker_seconds: float
    idle_seconds: float


class JourneyWorker:
    """The lanes of this process."""

    consumer: BatchConsumer

    def __init__(
        self,
        options: WorkerOptions,
        make_engine: Callable[[], Any],
        decoder: Decoder,
        encoder: Encoder,
        metrics: Metrics,
    ) -> None:
        self.options = options
        self.metrics = metrics
        self.lanes: dict[TP, JourneyLane] = {}
        self.intakes: dict[TP, IntakeLane] = {}
        self.stopping = False
        self.assigned_once = False
        self.finished = asyncio.Event()
        """Everything up to `until` is done in every lane of ours."""
        self._make_engine = make_engine
        self._decoder = decoder
        self._encoder = encoder
        self._partitioner = hop.Partitioner(options.partitions)
        self._sources: tuple[bytes, ...] = ()
        self._holds: defaultdict[TP, set[str]] = defaultdict(set)
        self._sender: Sender | None = None
        self._sender_lock = asyncio.Lock()
        self._progress = Progress(self)
        self._tasks: list[asyncio.Task[None]] = []
        self._revoked_at: float | None = None
        self._reports: dict[str, tuple[str, float]] = {}

    # -- the host of the transport ---------------------------------------------------------------------------

    def deliver(self, tp: TP, batch: Batch) -> None:
        """Give a batch to its lane; without one nothing is lost: the next assignment sets its position."""
        lane = self.lanes.get(tp) or self.intakes.get(tp)
        if lane is not None:
            lane.inbox.put(batch)

    async def partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit what is done and park the lanes, bounded in time."""
        self._revoked_at = time.monotonic()
        closing = [lane.close(PARK_SECONDS) for lane in self.intakes.values()]
        parking = [lane.park(PARK_SECONDS) for lane in self.lanes.values()]
        await asyncio.gather(*closing, *parking, return_exceptions=True)
        self.intakes.clear()

    async def partitions_assigned(self, assigned: set[TP]) -> None:
        """Take up an assignment; while the brokers cannot be reached, try again for some minutes."""
        began, told = time.monotonic(), False
        while not self.stopping:
            try:
                await self._take_up(assigned)
            except Exception as error:
                if time.monotonic() - began > TAKE_UP_SECONDS:
                    raise
                if not told:
                    log.warning("assignment: cannot be taken up yet: %s: %s", type(error).__name__, error)
                told = True
                await asyncio.sleep(1.0)
            else:
                return

    async def _take_up(self, assigned: set[TP]) -> None:
        """Set positions of source partitions, start or resume the lanes of keyed ones."""
        sender = await self._hop_sender()
        if not self._sources:
            self._sources = await self._all_sources(sender)
        self.assigned_once = True
        keyed = {tp for tp in assigned if tp.topic == self.options.events}
        gone = [self.lanes.pop(tp) for tp in list(self.lanes) if tp not in keyed]
        for lane in gone:
            self.metrics.forget_partition(lane.tp.topic, lane.tp.partition)
        for tp in list(self._holds):
            if tp not in assigned:
                self._holds.pop(tp)
        self.consumer.thread.held = frozenset(tp for tp, why in self._holds.items() if why)
        # Before anything else: keyed partitions must not flow from wherever the group's offset stands.
        for tp in keyed:
            if tp not in self.lanes:
                self.hold(tp, "restore")
        await self._start_intakes(sorted(assigned - keyed))
        for tp in sorted(keyed):
            if tp not in self.lanes:
                self.lanes[tp] = JourneyLane(self, tp, self.options.lane, self._encoder, self.metrics)
            self.lanes[tp].assigned()
        if gone:
            await asyncio.gather(*(lane.close() for lane in gone), return_exceptions=True)
        self._report_assignment(assigned)
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._progress.run(), name="progress")]

    async def _start_intakes(self, tps: list[TP]) -> None:
        thread = self.consumer.thread
        committed = await thread.run(lambda: thread.committed_offsets(tps))
        positions, lost = await thread.run(lambda: thread.seek_to(committed))
        self._tell_lost(lost)
        for tp in tps:
            old = self.intakes.pop(tp, None)
            if old is not None:
                await old.close(0)
            intake = Intake(self._decoder, tp.topic, tp.partition, self._partitioner)
            lane = self.intakes[tp] = IntakeLane(self, tp, intake, self.metrics)
            if tp in positions:
                lane.start(positions[tp], committed[tp])

    async def _all_sources(self, sender: Sender) -> tuple[bytes, ...]:
        counts = {topic: await sender.partitions(topic) for topic in self.options.sources}
        return tuple(hop.pack_source(topic, p) for topic, count in counts.items() for p in range(count))

    def _report_assignment(self, assigned: set[TP]) -> None:
        counts: dict[str, int] = dict.fromkeys((*self.options.sources, self.options.events), 0)
        for tp in assigned:
            counts[tp.topic] = counts.get(tp.topic, 0) + 1
        for topic, count in counts.items():
            self.metrics.assigned.labels(topic).set(count)
        self.metrics.rebalances.inc()
        if self._revoked_at is not None:
            self.metrics.rebalance_seconds.observe(time.monotonic() - self._revoked_at)
            self._revoked_at = None
        log.info("assigned: %s", ", ".join(f"{topic} {count}" for topic, count in counts.items()))

    async def shutdown(self) -> None:
        """Commit what is done and stop everything; called while the group still knows us."""
        if self.stopping:
            return
        self.stopping = True
        for task in self._tasks:
            task.cancel()
        await self.partitions_revoked(set())
        await asyncio.gather(*(lane.close() for lane in self.lanes.values()), return_exceptions=True)
        if self._sender is not None:
            await self._sender.stop()

    # -- what lanes ask for ----------------------------------------------------------------------------------

    def now(self) -> int:
        """The wall clock, microseconds."""
        return time.time_ns() // 1000

    def make_partition(self, partition: int) -> KeyedPartition:
        """Make the empty logic of a keyed partition."""
        return KeyedPartition(self._make_engine(), self._decoder, self._sources, self.options.keyed)

    async def seek(self, tp: TP, offset: int | None) -> Position | None:
        """Set the position of a partition; None when it is not ours now."""
        thread = self.consumer.thread
        positions, lost = await thread.run(lambda: thread.seek_to({tp: offset}))
        self._tell_lost(lost)
        return positions.get(tp)

    @staticmethod
    def _tell_lost(lost: Mapping[TP, tuple[int, int]]) -> None:
        for tp, (wanted, first) in lost.items():
            log.error(
                "%s[%d]: offsets %d to %d were deleted before they were read; raise the topic's retention",
                tp.topic,
                tp.partition,
                wanted,
                first - 1,
            )

    async def committed(self, tp: TP) -> int | None:
        """Read the group's committed offset."""
        thread = self.consumer.thread
        return (await thread.run(lambda: thread.committed_offsets([tp])))[tp]

    async def commit(self, tp: TP, offset: int) -> None:
        """Commit the offset of a source partition."""
        thread = self.consumer.thread
        await thread.run(lambda: thread.commit_offsets({tp: offset}))

    async def bounds(self, tp: TP) -> tuple[int, int]:
        """Read first and end offset of a partition."""
        thread = self.consumer.thread
        return await thread.run(lambda: thread.bounds(tp))

    def hold(self, tp: TP, why: str) -> None:
        """Stop fetching a partition, until every reason is gone."""
        self._holds[tp].add(why)
        self.consumer.hold(tp)

    def release(self, tp: TP, why: str) -> None:
        """Take back one reason."""
        reasons = self._holds.get(tp)
        if reasons:
            reasons.discard(why)
            if not reasons:
                self.consumer.release(tp)

    def moved(self) -> None:
        """Progress was made: a marker is due."""
        self._progress.moved()

    def is_held(self, tp: TP, why: str) -> bool:
        """Tell whether a partition waits for this reason."""
        return why in self._holds.get(tp, ())

    def failed(self, lane: str, where: str, error: BaseException) -> None:
        """Tell that a lane stopped and starts over: first with its trace, then in short, once a minute."""
        self.metrics.failures.labels(lane).inc()
        what = f"{type(error).__name__}: {error}"
        key = f"{lane} {where.partition('@')[0]}"
        last, at = self._reports.get(key, ("", 0.0))
        if last != what:
            log.error("%s lane %s stopped and starts over from its last checkpoint: %s", lane, where, what,
                      exc_info=error)  # fmt: skip
        elif time.monotonic() - at > 60:
            log.error("%s lane %s still cannot go on: %s", lane, where, what)
        else:
            return
        self._reports[key] = (what, time.monotonic())

    async def send_hop(self, rows: dict[int, list[Row]]) -> None:
        """Send rows to the keyed topic; returns when all are acknowledged, raises the first failure."""
        sender = await self._hop_sender()
        topic, compression = self.options.events, self.options.lane.internal_compression
        sends = [sender.send(topic, partition, batch, compression) for partition, batch in rows.items()]
        try:
            outcomes = await asyncio.wait_for(asyncio.gather(*sends, return_exceptions=True), SEND_SECONDS)
        except TimeoutError:
            await self._discard_sender(sender)
            raise
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                await self._discard_sender(sender)
                raise outcome

    async def _hop_sender(self) -> Sender:
        async with self._sender_lock:
            if self._sender is None:
                sender = Sender(self.options.client, self.options.max_record_bytes)
                await sender.start()
                self._sender = sender
            return self._sender

    async def _discard_sender(self, sender: Sender) -> None:
        async with self._sender_lock:
            if self._sender is sender:
                self._sender = None
                await sender.stop()

    # -- what others ask for ---------------------------------------------------------------------------------

    def look_whether_finished(self) -> None:
        """Notice that every lane of ours has done all up to `until`."""
        if self.lanes and all(lane.finished for lane in self.lanes.values()):
            self.finished.set()

    def problems(self) -> list[str]:
        """Name what keeps the worker from making progress; empty when it is well."""
        now = time.monotonic()
        found = [
            f"{lane} has failed for {now - lane.failed_since:.0f} s: {lane.last_error}"
            for lane in self.lanes.values()
            if lane.failed_since is not None and now - lane.failed_since > STUCK_SECONDS
        ]
        return found + [
            f"intake of {tp.topic}[{tp.partition}] has failed for {now - lane.failing_since:.0f} s"
            for tp, lane in self.intakes.items()
            if lane.failing_since is not None and now - lane.failing_since > STUCK_SECONDS
        ]

    @property
    def ready(self) -> bool:
        """Every keyed partition of ours is restored and at work."""
        at_work = all(lane.state == "working" for lane in self.lanes.values())
        return self.assigned_once and not self.stopping and at_work

    def refresh_metrics(self) -> None:
        """Set the gauges, when somebody looks."""
        logics = {tp.partition: lane.logic for tp, lane in self.lanes.items() if lane.logic is not None}
        self.metrics.show(logics, self.now())
