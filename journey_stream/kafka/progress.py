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
from typing import TYPE_CHECKING, Final

from journey_stream.kafka import hop
from journey_stream.release import BEGINNING

if TYPE_CHECKING:
    from faust.types import TP

    from journey_stream.kafka.checkpoint import Row
    from journey_stream.kafka.intake import IntakeLane
    from journey_stream.kafka.transport import Ends
    from journey_stream.kafka.worker import JourneyWorker

log = logging.getLogger(__name__)

PATIENCE: Final = 5.0
"""Seconds after which brokers that say nothing are reported."""
GAP: Final = 0.05
"""Markers after batches come no closer than this, in seconds."""


class Progress:
    """The task that tells and holds."""

    def __init__(self, worker: JourneyWorker) -> None:
        self._worker = worker
        self._moved = asyncio.Event()

    def moved(self) -> None:
        """A batch was handed on: a marker is due."""
        self._moved.set()

    async def run(self) -> None:
        """Tell and hold, for ever; brokers that do not answer are reported once."""
        worker, silent = self._worker, False
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), worker.options.marker_seconds)
                await asyncio.sleep(GAP)
            self._moved.clear()
            broken = worker.consumer.thread.broken()
            if broken is not None:
                log.critical("the Kafka client has broken down, the process ends: %r", broken)
                await worker.consumer.crash(broken)
                return
            try:
                telling = asyncio.create_task(self._tell())
                if not (await asyncio.wait([telling], timeout=PATIENCE))[0] and not silent:
                    log.warning("the brokers do not answer, trying on")
                    silent = True
                await telling
                self._hold()
            except Exception as error:
                self._know_no_ends()
                if not silent:
                    log.warning("the brokers do not answer, trying on: %s: %s", type(error).__name__, error)
                silent = True
                await asyncio.sleep(0.5)
            else:
                if silent:
                    self._know_no_ends()
                    log.info("the brokers answer again")
                silent = False
            worker.look_whether_finished()

    def _know_no_ends(self) -> None:
        """Nobody can send while the brokers are away: that a source was at its end meanwhile says nothing."""
        for lane in self._worker.intakes.values():
            lane.at_end_since = None

    async def _tell(self) -> None:
        worker = self._worker
        intakes = dict(worker.intakes)
        if not intakes:
            return
        wall, began = worker.now(), time.monotonic()
        thread = worker.consumer.thread
        quiet = [tp for tp, lane in intakes.items() if lane.idle]
        ends = await thread.run(lambda: thread.ends(quiet)) if quiet else {}
        if intakes != worker.intakes:
            return  # a rebalance came between: whoever owns them now tells
        progress = [
            lane.progress(wall, self._is_idle(tp, lane, ends.get(tp), began)) for tp, lane in intakes.items()
        ]
        row: Row = (None, hop.pack_marker(progress), [(hop.HEADER, hop.MARKER_BYTES)])
        await worker.send_hop({partition: [row] for partition in range(worker.options.partitions)})

    def _is_idle(self, tp: TP, lane: IntakeLane, found: Ends | None, began: float) -> bool:
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
        """While too much waits for the clock, source partitions ahead of the slowest clock wait too."""
        worker = self._worker
        logics = [lane.logic for lane in worker.lanes.values() if lane.logic is not None]
        buffered = sum(len(logic.buffer) for logic in logics)
        slowest = min((logic.clock.reached for logic in logics), default=BEGINNING)
        full = buffered > worker.options.max_buffered
        easy = buffered < worker.options.max_buffered // 2
        held = 0
        for tp, lane in worker.intakes.items():
            ahead = lane.highest is not None and lane.highest > slowest
            if full and ahead:
                worker.hold(tp, "ahead")
            elif easy or not ahead:
                worker.release(tp, "ahead")
            held += worker.is_held(tp, "ahead")
        worker.metrics.held_sources.set(held)
