"""How far the source partitions have come: told in the keyed topic, and kept from running apart.

Enters: the intake lanes of this worker, the brokers' word on where their partitions end. Leaves: markers in
every keyed partition, holds on source partitions that run ahead. Strategy: a marker tells only what is
acknowledged, so it stands behind the events it speaks of. A partition is idle when the brokers, asked just
before, place its end where we have handed on everything; the marker carries the time of that question, so a
worker that slept tells nothing new.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

from aiokafka.errors import KafkaError

from journey_stream.errors import BrokerError, told
from journey_stream.kafka import hop
from journey_stream.kafka.health import Trial
from journey_stream.kafka.lead import AHEAD, too_far
from journey_stream.values import NEVER

if TYPE_CHECKING:
    from faust.types import TP

    from journey_stream.kafka.direct_intake import DirectIntake
    from journey_stream.kafka.ends import Ends
    from journey_stream.kafka.intake import IntakeLane
    from journey_stream.kafka.sender import Row
    from journey_stream.kafka.worker import JourneyWorker
    from journey_stream.release import PartitionClock

log = logging.getLogger(__name__)

PATIENCE: Final = 5.0
"""Seconds after which brokers that say nothing are reported."""
PAUSE: Final = 0.5
AWAY: Final = (KafkaError, BrokerError, OSError, TimeoutError)
"""How brokers that are not there show."""
GAP: Final = 0.05
"""Markers after batches come no closer than this, in seconds."""
FEW: Final = 64
"""Keyed partitions up to which that holds. A worker tells each of them: of more, they are told less often."""

TELLING: Final = Trial("telling of progress", None)


def gap(partitions: int, interval: float) -> float:
    """Seconds between two markers while events come: wider with more keyed partitions, up to the interval."""
    return max(GAP, min(GAP * partitions / FEW, interval))


class Progress:
    """The task that tells and holds."""

    def __init__(self, worker: JourneyWorker) -> None:
        self._worker = worker
        self._moved = asyncio.Event()
        self.trial = TELLING
        """Since when the brokers do not answer; the log said so then. A worker with nothing else to send is
        ill by it, too."""

    def moved(self) -> None:
        """A batch was handed on: a marker is due."""
        self._moved.set()

    async def run(self) -> None:
        """Tell and hold, for ever; brokers that do not answer are reported once.

        Only absent brokers are survived: markers that stay away for any other reason hold the clock of every
        partition, which nobody would see; so the process ends.
        """
        worker = self._worker
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._next()):
                    await self._moved.wait()
                await asyncio.sleep(gap(worker.options.partitions, worker.options.marker_seconds))
            self._moved.clear()
            broken = worker.consumer.thread.broken()
            if broken is not None:
                await self._give_up("the Kafka client has broken down", broken)
                return
            try:
                await self._patiently(self._tell())
                self._hold()
            except AWAY as error:
                self._know_no_ends()
                self._report(f"the brokers do not answer, trying on: {told(error)}")
                await asyncio.sleep(PAUSE)
            except Exception as error:
                await self._give_up("progress cannot be told", error)
                return
            else:
                if self.trial.since is not None:
                    self._know_no_ends()
                    log.info("the brokers answer again")
                self.trial = TELLING
            worker.look_whether_finished()

    def _next(self) -> float:
        """Seconds until a marker is due; fewer where a source may count as idle sooner."""
        options, now = self._worker.options, time.monotonic()
        ends = [lane.at_end_since for lane in self._worker.intakes.values() if lane.at_end_since is not None]
        waits = [wait for end in ends if (wait := end + options.idle_seconds - now) > 0]
        return min([options.marker_seconds, *waits])

    async def _patiently(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for it to end; say when that takes long."""
        doing = asyncio.create_task(work)
        try:
            if not (await asyncio.wait([doing], timeout=PATIENCE))[0]:
                self._report("the brokers do not answer, trying on")
            await doing
        finally:
            doing.cancel()

    def _report(self, what: str) -> None:
        if self.trial.since is None:
            log.warning("%s", what)
        self.trial = self.trial._replace(since=self.trial.since or time.monotonic(), why=what)

    async def _give_up(self, what: str, why: BaseException) -> None:
        log.critical("%s, the process ends: %s", what, told(why), exc_info=why)
        await self._worker.consumer.crash(why)

    def _know_no_ends(self) -> None:
        """Nobody can send while the brokers are away: that a source was at its end meanwhile says nothing."""
        for lane in self._worker.intakes.values():
            lane.at_end_since = None

    async def _tell(self) -> None:
        worker = self._worker
        intakes = dict(worker.intakes)
        wall, began = worker.now(), time.monotonic()
        thread = worker.consumer.thread
        if not intakes:
            # Nothing to tell: asked all the same, so that it shows when the brokers are away.
            mine = list(worker.lanes)[:1]
            if mine:
                await thread.run(lambda: thread.ends(mine))
            return
        quiet = [tp for tp, lane in intakes.items() if lane.idle]
        ends = await thread.run(lambda: thread.ends(quiet)) if quiet else {}
        if intakes != worker.intakes:
            return  # a rebalance came between: whoever owns them now tells
        progress = [
            lane.progress(wall, self._is_idle(tp, lane, ends.get(tp), began)) for tp, lane in intakes.items()
        ]
        row: Row = (None, hop.pack_marker(progress), [(hop.HEADER, hop.MARKER_BYTES)])
        await worker.send_hop({partition: [row] for partition in range(worker.options.partitions)})

    def _is_idle(self, tp: TP, lane: IntakeLane | DirectIntake, found: Ends | None, began: float) -> bool:
        at_end = False
        if found is not None:
            # What the consumer has handed out but is still on its way to the lane is not done.
            received = lane.has_received(found.handed)
            at_end = found.position is not None and found.position >= found.end and lane.idle and received
            lag = max(0, found.end - (found.position or 0))
            self._worker.metrics.lag.labels(tp.topic, tp.partition).set(lag)
        if not at_end:
            lane.at_end_since = None
            return False
        if lane.at_end_since is None:
            lane.at_end_since = began
        return began - lane.at_end_since >= self._worker.options.idle_seconds

    def _hold(self) -> None:
        """Let source partitions wait that are too far ahead of the slowest clock here."""
        worker = self._worker
        at_work = [lane.logic for lane in worker.lanes.values() if lane.logic is not None and not lane.paused]
        clocks = [logic.clock for logic in at_work]
        slowest = min((clock.reached for clock in clocks if self._is_waited_for(clock)), default=NEVER)
        leads = {tp: lane.lead.beyond(slowest) for tp, lane in worker.intakes.items()}
        waiting = too_far(leads, worker.options.max_buffered)
        for tp, lane in worker.intakes.items():
            if tp in waiting:
                worker.hold(tp, AHEAD)
            elif worker.is_held(tp, AHEAD):
                worker.release(tp, AHEAD)
                lane.inbox.wake.set()
        worker.metrics.held_sources.set(len(waiting))

    def _is_waited_for(self, clock: PartitionClock) -> bool:
        """Tell whether events wait for it; near the wall they do not, whatever time they are of."""
        worker = self._worker
        return clock.mode == "event" or worker.now() - clock.reached > worker.options.keyed.catch_up
