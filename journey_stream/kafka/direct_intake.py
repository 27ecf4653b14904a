"""The source partitions that a journey lane reads itself (`keyed_input`): their batches, holds and progress.

Enters: batches of source topics. Leaves: their records to the lane, one batch at a time; what belongs to
other keyed partitions to the hop; progress for the markers. Strategy: these have no task and no position of
their own. They are opened, held and closed with their lane, whose checkpoint holds how far they are; `direct`
does the judging. A marker tells of a batch only once all it sent on is acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from faust.types import TP

from journey_stream.kafka import hop
from journey_stream.kafka.direct import Direct, Directs
from journey_stream.kafka.inbox import Inbox, Position
from journey_stream.kafka.lead import AHEAD, Lead
from journey_stream.kafka.metrics import Metrics
from journey_stream.kafka.sender import Row
from journey_stream.release import BEGINNING

log = logging.getLogger(__name__)

RESTING: Final = "resting"
"""Why fetching is held while an operator wants this source partition to rest."""
RESTORING: Final = "restore"
"""Why fetching is held until a lane has its state and all its positions."""


class Worker(Protocol):
    """What is needed of the worker around."""

    async def send_hop(
        self, rows: Mapping[int, list[Row]], ready: Mapping[int, Sequence[Any]] | None = None
    ) -> None:
        """Send rows, and finished batches, to the keyed topic; returns when all are acknowledged."""

    async def seek(self, tp: TP, offset: int | None) -> Position | None:
        """Set the position of a partition; None when it is not ours now."""

    def hold(self, tp: TP, why: str) -> None:
        """Stop fetching a partition."""

    def release(self, tp: TP, why: str) -> None:
        """Fetch it again."""

    def is_held(self, tp: TP, why: str) -> bool:
        """Tell whether a partition waits for this reason."""

    def moved(self) -> None:
        """Progress was made: a marker is due."""


class DirectIntake:
    """One source partition, for the worker: what it asks of whoever reads a source."""

    failing_since: float | None = None
    """Its lane fails, not it."""

    def __init__(self, worker: Worker, tp: TP, wake: asyncio.Event) -> None:
        self.tp = tp
        self.source = hop.pack_source(tp.topic, tp.partition)
        self.inbox = Inbox(lambda: worker.hold(tp, "queue"), lambda: worker.release(tp, "queue"), wake)
        self.next = 0
        """Where to read on after a seek."""
        self.done = 0
        """Offset up to which everything has been taken in and sent on."""
        self.highest: int | None = None
        """Highest event time of that."""
        self.lead = Lead()
        """How far ahead it is, of that."""
        self.busy = False
        """Records of it are under way."""
        self.at_end_since: float | None = None
        self.paused = False
        self.astray: str | None = None
        """Partitioner that explains the records in the wrong partition, as last told."""
        self._worker = worker

    @property
    def is_ahead(self) -> bool:
        """It waits for slower source partitions."""
        return self._worker.is_held(self.tp, AHEAD)

    @property
    def rests(self) -> bool:
        """What waits is not to be taken in now."""
        return self.paused or self.is_ahead

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is under way."""
        return self.inbox.is_open and not self.inbox.queued and not self.busy

    def has_received(self, handed: int) -> bool:
        """Tell whether all that the consumer has handed out has come; if not for long, fetch it again."""
        return self.inbox.has_received(handed, at_rest=self.idle)

    def progress(self, wall: int, idle: bool) -> hop.Progress:
        """Tell how far this source partition has come."""
        return hop.Progress(self.source, self.highest, idle, wall, self.done)

    def pause(self, *, paused: bool) -> None:
        """Rest, or go on."""
        self.paused = paused
        if paused:
            self._worker.hold(self.tp, RESTING)
        else:
            self._worker.release(self.tp, RESTING)
            self.inbox.wake.set()

    async def close(self, seconds: float) -> None:
        """Nothing to do: the lane that reads it is parked."""


class Inputs:
    """All that one lane reads: its keyed partition, and with `keyed_input` its source partitions."""

    def __init__(self, worker: Worker, tp: TP, inbox: Inbox, topics: Iterable[str], metrics: Metrics) -> None:
        tps = [TP(topic, tp.partition) for topic in topics]
        self.direct: Mapping[TP, DirectIntake] = {
            each: DirectIntake(worker, each, inbox.wake) for each in tps
        }
        self._turns = list(self.direct.values())
        """Whose turn it is to give a batch, first to last."""
        self._worker = worker
        self._tp = tp
        self._inbox = inbox
        self._metrics = metrics
        self._directs: Directs | None = None
        self._at: DirectIntake | None = None
        """Whose batch is under way."""

    def restored(self, directs: Directs, starts: Mapping[str, int]) -> None:
        """Begin with a new logic: `starts` says per source topic where to read."""
        self._directs = directs
        self._at = None
        for each in self._turns:
            each.next, each.done = starts[each.tp.topic], directs[each.tp.topic].position
            each.highest, each.at_end_since, each.busy = None, None, False
            each.lead.clear()

    def hold(self, why: str) -> None:
        """Stop fetching."""
        for tp in (self._tp, *self.direct):
            self._worker.hold(tp, why)

    def release(self, why: str) -> None:
        """Fetch again."""
        for tp in (self._tp, *self.direct):
            self._worker.release(tp, why)

    async def seek(self, offset: int | None) -> dict[TP, Position] | None:
        """Set all positions, the keyed partition's to `offset`; None when one of them is not ours now.

        Nothing is fetched until `open`: what came in between would be lost, and again each time.
        """
        self.hold(RESTORING)
        wanted = {self._tp: offset, **{tp: each.next for tp, each in self.direct.items()}}
        positions = {}
        for tp, at in wanted.items():
            position = await self._worker.seek(tp, at)
            if position is None:
                return None
            positions[tp] = position
        return positions

    def open(self, positions: Mapping[TP, Position]) -> None:
        """Fetch and take batches that continue these positions; what is left of one under way comes again."""
        self._at = None
        self._inbox.open(positions[self._tp])
        for tp, each in self.direct.items():
            each.busy = False
            each.inbox.open(positions[tp])
            if self._directs is not None and positions[tp].offset > each.next:
                # What is between is gone, and told of: not again at the next takeover.
                direct = self._directs[tp.topic]
                direct.skip(positions[tp].offset)
                each.next, each.done = positions[tp].offset, direct.position
        self.release(RESTORING)

    def close(self) -> None:
        """Take no more batches."""
        self._inbox.close()
        for each in self._turns:
            each.inbox.close()

    @property
    def queued(self) -> int:
        """Records that wait to be taken in."""
        return self._inbox.queued + sum(each.inbox.queued for each in self._turns if not each.rests)

    @property
    def behind(self) -> bool:
        """More is to come at once, or as soon as slower source partitions have come along."""
        return self.queued > 0 or any(each.is_ahead for each in self._turns)

    @property
    def gap(self) -> bool:
        """A batch is missing, and what came before it has been given out."""
        inboxes = (self._inbox, *(each.inbox for each in self._turns))
        return any(inbox.gap and not inbox.queued for inbox in inboxes)

    @property
    def topic(self) -> str | None:
        """Of which source topic the records are that are under way; None: of the keyed topic, or none are."""
        return None if self._at is None else self._at.tp.topic

    def take(self, most: int) -> Sequence[Any]:
        """Give the next records, at most so many, of each source in turn; none if nothing waits."""
        records = self._inbox.take(most)
        if records:
            return records
        for each in self._turns:
            records = [] if each.rests else each.inbox.take(most)
            if records:
                self._turns.remove(each)
                self._turns.append(each)
                self._at, each.busy = each, True
                return records
        return []

    def took(self, last: Any, keyed: int | None) -> int | None:
        """What was given is taken in; gives where to read the keyed topic on, which was at `keyed`."""
        if self._at is None:
            return int(last.offset) + 1
        self._at.next = last.offset + 1
        return keyed

    async def send_on(self) -> None:
        """Send what belongs to other keyed partitions, and wait until it is acknowledged."""
        rows: dict[int, list[Row]] = {}
        for direct in self._directs or ():
            for partition, batch in direct.rows.items():
                rows.setdefault(partition, []).extend(batch)
            direct.rows = {}
        if rows:
            await self._worker.send_hop(rows)

    async def finish(self) -> None:
        """Records of a source are taken in: send on what is not ours; then markers may tell of them."""
        await self.send_on()
        at, self._at = self._at, None
        if at is None or self._directs is None:
            return
        direct = self._directs[at.tp.topic]
        taken, at.done, at.busy = direct.position - at.done, direct.position, False
        at.highest = None if direct.highest == BEGINNING else direct.highest
        if at.highest is not None:
            at.lead.took(at.highest, taken)
        self._worker.moved()
        self._look_where_records_stand(at, direct)

    def _look_where_records_stand(self, at: DirectIntake, direct: Direct) -> None:
        fits = direct.astray.fits
        if fits != at.astray:
            at.astray = fits
            self._metrics.topic_problems.labels(at.tp.topic, "partitioner").set(fits is not None)
            if fits is not None:
                log.error(
                    "%s[%d]: `keyed_input` says `%s`, but records that came to the wrong partition stand "
                    "where `%s` puts their keys: a producer uses %s. They go through the hop, which is right "
                    "but slow; let it use %s, or begin anew with the other (docs/keyed-input.md)",
                    *at.tp,
                    direct.partitioner_name,
                    fits,
                    fits,
                    direct.partitioner_name,
                )
