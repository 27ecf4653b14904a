"""All lanes of one worker process: started and stopped with the group's assignments, fed by the agents.

Enters: assignments and batches (from the transport), the deployment's settings and program. Leaves: lanes
at work, and the answers of /health, /ready and /metrics. Strategy: an owner of lanes and of what they
share: the hop's sender, the markers, and the rule that sources too far ahead of the slowest clock wait.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
from faust.types import TP

from journey_stream.encode import Encoder
from journey_stream.errors import BrokerError
from journey_stream.events.decode import Decoder
from journey_stream.kafka import hop
from journey_stream.kafka.aside import Aside
from journey_stream.kafka.assignor import StickyAssignor
from journey_stream.kafka.change import Past, Rebuild
from journey_stream.kafka.control import Control
from journey_stream.kafka.direct_intake import RESTORING, DirectIntake
from journey_stream.kafka.garbage import sweep
from journey_stream.kafka.group import Misplaced
from journey_stream.kafka.health import Trial, stuck
from journey_stream.kafka.hop_sender import HopSender
from journey_stream.kafka.inbox import Batch, Position
from journey_stream.kafka.intake import Intake, IntakeLane
from journey_stream.kafka.keyed import KeyedPartition
from journey_stream.kafka.keyed_values import Options
from journey_stream.kafka.lane import JourneyLane, LaneOptions
from journey_stream.kafka.local_states import RocksStates
from journey_stream.kafka.metrics import Metrics
from journey_stream.kafka.progress import Progress
from journey_stream.kafka.reports import Reports
from journey_stream.kafka.sender import Row, Sender
from journey_stream.kafka.standbys import Standbys, Warm
from journey_stream.kafka.transport import BatchConsumer
from journey_stream.kafka.watch import TopicWatch, Watched, elsewhere, tell_lost

log = logging.getLogger(__name__)

PARK_SECONDS: Final = 5.0
TAKE_UP_SECONDS: Final = 600.0
"""After so long without taking up an assignment the process ends; whoever runs it starts another."""


class WorkerOptions(msgspec.Struct, frozen=True):
    """What the worker needs of the deployment."""

    client: Mapping[str, Any]
    watched: Watched
    assignor: type[StickyAssignor]
    events: str
    control: str
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
        make_intake: Callable[[Decoder, str, int, hop.Partitioner], Intake] = Intake,
    ) -> None:
        self.options = options
        self.metrics = metrics
        self.lanes: dict[TP, JourneyLane] = {}
        self.intakes: dict[TP, IntakeLane | DirectIntake] = {}
        self.stopping = False
        self.assigned_once = False
        self.paused: list[tuple[str, int]] = []
        """What of ours rests because an operator wants it."""
        self.finished = asyncio.Event()
        """Everything up to `until` is done in every lane of ours."""
        self._make_engine, self._make_intake = make_engine, make_intake
        self._decoder = decoder
        self._encoder = encoder
        self._partitioner = hop.Partitioner(options.partitions, hop.partitioner_of(options.keyed.keyed_input))
        self._sources: dict[bytes, None] = {}
        """Every source partition that was ever seen: one whose topic is gone still holds the clock."""
        self._control = Control(options.client, options.control, self._obey)
        self._watch = TopicWatch(options.watched, metrics)
        self._holds: defaultdict[TP, set[str]] = defaultdict(set)
        hop_options = (options.events, options.lane.internal_compression, options.max_record_bytes)
        self._sender = HopSender(options.client, *hop_options)
        self._progress = Progress(self)
        self.standbys = Standbys(self, options.client, options.lane.changelog, make_engine, options.assignor)
        self._tasks: list[asyncio.Task[None]] = []
        self._revoked_at: float | None = None
        self._reports, self.aside = Reports(metrics), Aside()

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
        await self._control.known()
        sender = await self._sender.get()
        await self._learn_sources(sender)
        events = {tp for tp in assigned if tp.topic == self.options.events}
        # Nobody sends to partitions that somebody added; the watch says so.
        keyed = {tp for tp in events if tp.partition < self.options.partitions}
        for tp in events - keyed:
            self.hold(tp, "unused")
        gone = [self.lanes.pop(tp) for tp in list(self.lanes) if tp not in keyed]
        for lane in gone:
            self.metrics.forget_partition(lane.tp.topic, lane.tp.partition)
        for tp in list(self._holds):
            if tp not in assigned:
                self._holds.pop(tp)
        self.consumer.thread.held = frozenset(tp for tp, why in self._holds.items() if why)
        # Before anything else: keyed partitions must not flow from wherever the group's offset stands.
        self._hold_until_restored(keyed - self.lanes.keys())
        if not self.options.lane.direct:
            await self._start_intakes(sorted(assigned - events))
        for tp in sorted(keyed):
            if tp not in self.lanes:
                self.lanes[tp] = JourneyLane(self, tp, self.options.lane, self._encoder, self.metrics)
            # Without the hop, lanes read their source partitions themselves.
            self.intakes.update(self.lanes[tp].inputs.direct)
            self.lanes[tp].assigned()
        self._obey()  # before the first of them has its turn
        self.standbys.follow(tp.partition for tp in keyed)
        if gone:
            await asyncio.gather(*(lane.close() for lane in gone), return_exceptions=True)
        self._report_assignment(assigned)
        self.assigned_once = True
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._progress.run(), name="progress"),
                asyncio.create_task(self._watch.run(self.count_topics), name="watch"),
                asyncio.create_task(sweep(), name="sweep"),
            ]

    def _hold_until_restored(self, tps: Iterable[TP]) -> None:
        for tp in tps:
            for each in (tp, *(TP(topic, tp.partition) for topic in self.options.lane.direct)):
                self.hold(each, RESTORING)

    async def _start_intakes(self, tps: list[TP]) -> None:
        thread = self.consumer.thread
        committed = await thread.run(lambda: thread.committed_offsets(tps))
        positions, misplaced = await thread.run(lambda: thread.seek_to(committed))
        self._tell_lost(misplaced)
        for tp in tps:
            old = self.intakes.pop(tp, None)
            if old is not None:
                await old.close(0)
            make = partial(self._make_intake, self._decoder, tp.topic, tp.partition, self._partitioner)
            lane = self.intakes[tp] = IntakeLane(self, tp, make, self.metrics)
            self._control.tell([(tp, lane)])
            lane.start(positions.get(tp), committed[tp])

    async def _learn_sources(self, sender: Sender) -> None:
        """Learn which source partitions there are; new ones hold the clock of every lane from now on.

        While a rebalance is under way all lanes of all workers are parked: none of them can let its clock
        pass what a partition holds that nobody has read yet.
        """
        counts = await sender.counts.anew(self.options.watched.sources)
        if counts is None:
            msg = "no broker tells how many partitions the source topics have"
            raise BrokerError(msg)
        found = {hop.pack_source(topic, p): None for topic, count in counts.items() for p in range(count)}
        new = found.keys() - self._sources.keys()
        if new and self._sources:
            log.info("source topics have grown: %d more partitions are read from now on", len(new))
        self._sources |= found
        for lane in self.lanes.values():
            if lane.logic is not None:
                with lane.logic.turn:
                    lane.logic.expect(new)

    def _obey(self) -> None:
        """Let rest what an operator has paused, and go on what not."""
        self.paused = self._control.tell([*self.lanes.items(), *self.intakes.items()])
        self.metrics.show_paused(self.paused)

    async def count_topics(self, topics: Iterable[str]) -> dict[str, int] | None:
        """Count partitions now; None when no broker answers."""
        sender = await self._sender.get()
        return await sender.counts.anew(topics)

    def _report_assignment(self, assigned: set[TP]) -> None:
        counts: dict[str, int] = dict.fromkeys((*self.options.watched.sources, self.options.events), 0)
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
        self._control.stop()
        await self.standbys.close()
        await self.partitions_revoked(set())
        await asyncio.gather(*(lane.close() for lane in self.lanes.values()), return_exceptions=True)
        await self._sender.stop()
        self.aside.stop()

    # -- what lanes ask for ----------------------------------------------------------------------------------

    def now(self) -> int:
        """The wall clock, microseconds."""
        return time.time_ns() // 1000

    def make_partition(self, partition: int, engine: Any = None) -> KeyedPartition:
        """Make the logic of a keyed partition, empty, or around an engine that holds states."""
        engine = self._make_engine() if engine is None else engine  # (one without customers is falsy)
        logic = KeyedPartition(engine, self._decoder, self._sources, self.options.keyed)
        for topic in self.options.lane.direct:
            logic.direct.add(topic, partition, self._partitioner)
        return logic

    def take_standby(self, partition: int) -> Warm | None:
        """Take over what is here of the state of a partition."""
        return self.standbys.take(partition)

    def open_states(self, folder: Path) -> RocksStates:
        """Open the states of a keyed partition that are on disk."""
        return RocksStates(folder, self._make_engine().program.fingerprint, self.now())

    def make_rebuild(self, logic: KeyedPartition) -> tuple[Rebuild, Past]:
        """Make what runs the history of a partition through the present program."""
        keyed, decoder = self.options.keyed, self._decoder
        past = Past(keyed.versions.history, decoder, self.options.partitions, keyed.allowed_lateness)
        return Rebuild(logic, self._make_engine(), decoder, self._sources, keyed), past

    async def seek(self, tp: TP, offset: int | None) -> Position | None:
        """Set the position of a partition; None when it is not ours now.

        Raises:
            JourneyStreamError: the topic ends before this offset, so it is another topic than it was.
        """
        thread = self.consumer.thread
        positions, misplaced = await thread.run(lambda: thread.seek_to({tp: offset}))
        self._tell_lost(misplaced)
        for tp_, found in misplaced.items():
            if found.beyond:
                raise elsewhere(tp_, found, keyed=tp_.topic == self.options.events)
        return positions.get(tp)

    def _tell_lost(self, misplaced: Mapping[TP, Misplaced]) -> None:
        for tp, found in misplaced.items():
            if not found.beyond:
                tell_lost(tp, found, self.metrics)

    def is_restoring(self) -> bool:
        """Tell whether a lane of ours needs the event loop more than a standby."""
        return any(lane.state == "restoring" for lane in self.lanes.values())

    async def ask_for_round(self) -> None:
        """Ask the group to share out the partitions anew."""
        await self.consumer.thread.run(self.consumer.thread.ask_for_round)

    async def committed(self, tp: TP) -> int | None:
        """Read the group's committed offset."""
        thread = self.consumer.thread
        return (await thread.run(lambda: thread.committed_offsets([tp])))[tp]

    async def commit(self, tp: TP, offset: int) -> None:
        """Commit the offset of a source partition."""
        await self.consumer.thread.run(lambda: self.consumer.thread.commit_offsets({tp: offset}))

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
        """Tell that a lane stopped and starts over."""
        self._reports.failed(lane, where, error)
        give_up = getattr(self._make_engine, "give_up", None)
        if give_up is not None:
            give_up(error)

    def fetch_failed(self, error: BaseException) -> None:
        """Tell that the brokers refuse to give records of some topic; the others are read on."""
        self.failed("fetch", ", ".join(map(str, error.args)), error)

    async def send_hop(
        self, rows: Mapping[int, list[Row]], ready: Mapping[int, Sequence[Any]] | None = None
    ) -> None:
        """Send rows and batches to the keyed topic; return when acknowledged, or raise the first failure."""
        await self._sender.send(rows, ready or {})
        self.consumer.thread.hurry()

    # -- what others ask for ---------------------------------------------------------------------------------

    def look_whether_finished(self) -> None:
        """Notice that every lane of ours has done all up to `until`."""
        if self.lanes and all(lane.finished for lane in self.lanes.values()):
            self.finished.set()

    def problems(self) -> list[str]:
        """Name what keeps the worker from making progress; empty when it is well."""
        lanes = [Trial(str(lane), lane.failed_since, lane.last_error) for lane in self.lanes.values()]
        intakes = [
            Trial(f"intake of {tp.topic}[{tp.partition}]", lane.failing_since)
            for tp, lane in self.intakes.items()
        ]
        return [*stuck([*lanes, *intakes, self._progress.trial]), *self._watch.problems.values()]

    @property
    def ready(self) -> bool:
        """Every keyed partition of ours is restored and at work, or rests because an operator wants it."""
        at_work = all(lane.state in {"working", "paused"} for lane in self.lanes.values())
        return self.assigned_once and not self.stopping and at_work

    def logics(self) -> dict[int, KeyedPartition]:
        """Give what works on each keyed partition of ours."""
        return {tp.partition: lane.logic for tp, lane in self.lanes.items() if lane.logic is not None}
