"""Intake of one source partition: every record is read, judged and handed on to its keyed partition.

Enters: batches of a source topic. Leaves: hop records per keyed partition, progress for the markers, a
committed offset. Strategy: a record is decoded only to learn whose it is and whether it can be used; what
goes on is the record itself with its coordinates (see `hop`), also when it is dead, so that its dead letter
is published exactly once, in the keyed partition's transaction. A batch counts as handed on when every send
is acknowledged; the first failure stops the lane, which starts over from its committed offset (the hop
drops what came twice): no gaps. It does so with an `Intake` made anew: when the compiled core has failed,
that is Python's, and a record that the core cannot bear holds up nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from aiokafka.errors import CommitFailedError
from faust.types import TP

from journey_stream.events.decode import Decoder, derived_events
from journey_stream.kafka import hop
from journey_stream.kafka.inbox import Inbox, Position
from journey_stream.kafka.lead import AHEAD, Lead
from journey_stream.kafka.sender import Row
from journey_stream.values import Event, Rejection

log = logging.getLogger(__name__)

SLICE: Final = 500
"""Records worked on before other lanes get a turn."""
TOGETHER: Final = 5_000
"""Records handed on before progress is told: so many of each source partition at a time."""
COMMIT_SECONDS: Final = 1.0
PAUSED: Final = "paused"
"""Why fetching is held while an operator wants rest."""
BACKOFF: Final = (0.5, 30.0)


class Intake:
    """The judging, without Kafka: records in, rows per keyed partition out."""

    def __init__(self, decoder: Decoder, topic: str, partition: int, partitioner: hop.Partitioner) -> None:
        self.source = hop.pack_source(topic, partition)
        self.counts: Counter[tuple[str, str]] = Counter()
        self._topic = topic
        self._partition = partition
        self._decode = decoder.decode
        self._partitioner = partitioner
        self._header = hop.packer(self.source)

    def begin(self) -> None:
        """Begin with records to be handed on together."""

    def ready(self) -> Mapping[int, Sequence[Any]]:
        """Give finished batches by keyed partition; there are none, all is in `rows`."""
        return {}

    def take(self, records: Sequence[Any], rows: dict[int, list[Row]], highest: int | None) -> int | None:
        """Add the hop records of source records to `rows`, by keyed partition; gives the highest time."""
        decode, header, partitioner = self._decode, self._header, self._partitioner
        read = dead = filtered = 0
        for record in records:
            broker_at = record.timestamp * 1000
            read += 1
            event = decode(record.value, broker_at)
            if type(event) is Event:
                if highest is None or event.at > highest:
                    highest = event.at
                head = (hop.HEADER, header(hop.EVENT, record.offset * 2, broker_at))
                partition = partitioner(event.person.encode())
                row = (record.key, record.value, [head, *record.headers] if record.headers else [head])
                kept = rows.get(partition)
                if kept is None:
                    rows[partition] = [row]
                else:
                    kept.append(row)
                if event.type == "referral_converted":
                    self._derive(event, record, broker_at, rows)
            elif isinstance(event, Rejection):
                dead += 1
                self._bury(record, event, broker_at, rows)
            else:
                filtered += 1
        counts, topic = self.counts, self._topic
        counts[topic, "read"] += read
        if dead:
            counts[topic, "rejected"] += dead
        if filtered:
            counts[topic, "filtered"] += filtered
        return highest

    def _derive(self, event: Event, record: Any, broker_at: int, rows: dict[int, list[Row]]) -> None:
        for derived in derived_events(event):
            head = (hop.HEADER, self._header(hop.EVENT, record.offset * 2 + 1, broker_at))
            key = derived.person.encode()
            rows.setdefault(self._partitioner(key), []).append((key, derived.value, [head]))

    def _bury(self, record: Any, why: Rejection, broker_at: int, rows: dict[int, list[Row]]) -> None:
        """Send a record that cannot be used to a keyed partition chosen by where it stood."""
        head = (hop.HEADER, self._header(hop.DEAD, record.offset * 2, broker_at))
        cause = (hop.DEAD_HEADER, hop.pack_dead(why.reason, why.detail))
        partition = (record.offset + self._partition) % self._partitioner.partitions
        rows.setdefault(partition, []).append((record.key, record.value, [head, cause, *record.headers]))


class Worker(Protocol):
    """What an intake lane needs of the worker around it."""

    async def send_hop(
        self, rows: Mapping[int, list[Row]], ready: Mapping[int, Sequence[Any]] | None = None
    ) -> None:
        """Send rows, and finished batches, to the keyed topic; returns when all are acknowledged."""

    async def seek(self, tp: TP, offset: int | None) -> Position | None:
        """Set the position of a partition; None when it is no longer ours."""

    async def committed(self, tp: TP) -> int | None:
        """Read the group's committed offset of a partition."""

    async def commit(self, tp: TP, offset: int) -> None:
        """Commit the offset of a source partition."""

    def hold(self, tp: TP, why: str) -> None:
        """Stop fetching a partition."""

    def release(self, tp: TP, why: str) -> None:
        """Fetch it again."""

    def is_held(self, tp: TP, why: str) -> bool:
        """Tell whether a partition waits for this reason."""

    def moved(self) -> None:
        """Progress was made: a marker is due."""

    def failed(self, lane: str, where: str, error: BaseException) -> None:
        """Tell that a lane stopped and starts over."""


class IntakeLane:
    """One source partition: a task that takes batches in order."""

    def __init__(self, worker: Worker, tp: TP, make_intake: Callable[[], Intake], metrics: Any) -> None:
        self.tp = tp
        self.intake = make_intake()
        self.done: int | None = None
        """Offset up to which everything has been handed on, since the last seek."""
        self.at_end_since: float | None = None
        self.failing_since: float | None = None
        self.paused = False
        """An operator wants it to rest."""
        self._worker = worker
        self._make_intake = make_intake
        self._metrics = metrics
        self.inbox = Inbox(lambda: worker.hold(tp, "queue"), lambda: worker.release(tp, "queue"))
        self._busy = False
        self._closing = False
        self._committed: int | None = None
        self._committed_at = time.monotonic()
        self._highest: int | None = None
        """Highest event time handed on."""
        self.lead = Lead()
        """How far ahead it is, of what is handed on."""
        self._backoff = BACKOFF[0]
        self._task: asyncio.Task[None] | None = None

    def start(self, position: Position | None, committed: int | None) -> None:
        """Begin at a position; without one, find it."""
        self._committed = committed
        if position is not None:
            self._open(position, committed)
        self._task = asyncio.create_task(self._run(), name=f"intake {self.tp.topic}[{self.tp.partition}]")

    @property
    def idle(self) -> bool:
        """Nothing waits in this lane and nothing is under way."""
        return self.inbox.is_open and not self.inbox.queued and not self._busy and self.failing_since is None

    def has_received(self, handed: int) -> bool:
        """Tell whether all that the consumer has handed out has come; if not for long, fetch it again."""
        return self.inbox.has_received(handed, at_rest=self.idle)

    def pause(self, *, paused: bool) -> None:
        """Rest after the batch at hand: nothing more is handed on; or go on."""
        self.paused = paused
        if paused:
            self._worker.hold(self.tp, PAUSED)
        else:
            self._worker.release(self.tp, PAUSED)
            self.inbox.wake.set()

    async def close(self, seconds: float) -> None:
        """Finish the batch at hand, commit, stop; what has not been handed on by then is read again."""
        self._closing = True
        self.inbox.wake.set()
        task, self._task = self._task, None
        if task is not None:
            _, pending = await asyncio.wait([task], timeout=seconds)
            for late in pending:
                late.cancel()
            if pending:
                await asyncio.wait(pending, timeout=1.0)

    async def _run(self) -> None:
        while not self._closing:
            try:
                if self.inbox.is_open or await self._start_over():
                    await self._work()
                    return
            except CommitFailedError:
                # The group has given the partition to somebody else; if not, we go on from what is committed.
                log.info("%s[%d]: lost to another worker", self.tp.topic, self.tp.partition)
            except (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # (a panic of the compiled core is no `Exception`)
                self._fail(error)
            self.inbox.close()
            await self._back_off()

    async def _start_over(self) -> bool:
        self._committed = await self._worker.committed(self.tp)
        position = await self._worker.seek(self.tp, self._committed)
        # Not the one that failed: it may be the core's, which is given up by now. With it goes only what it
        # had taken in, and counted, without handing it on: that is read again.
        self.intake = self._make_intake()
        self.done = None
        self.at_end_since = None
        self.lead.clear()
        if position is not None:
            self._open(position, self._committed)
        return position is not None

    def _open(self, position: Position, wanted: int | None) -> None:
        """Read on from a position. Behind where we wanted: what is between is gone, and told of only once."""
        self.inbox.open(position)
        if wanted is not None and position.offset > wanted:
            self.done = position.offset

    def _fail(self, error: BaseException) -> None:
        self.failing_since = self.failing_since or time.monotonic()
        at = "?" if self.done is None else str(self.done)
        self._worker.failed("intake", f"{self.tp.topic}[{self.tp.partition}]@{at}", error)

    async def _back_off(self) -> None:
        await self._pause(self._backoff)
        self._backoff = min(self._backoff * 2, BACKOFF[1])

    async def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._closing and time.monotonic() < end:
            await asyncio.sleep(0.1)

    async def _work(self) -> None:
        inbox = self.inbox
        while True:
            if self._closing:
                await self._commit()
                return
            if inbox.gap:
                await self._fetch_again()
            rests = self.paused or self._worker.is_held(self.tp, AHEAD)
            batches = [] if rests else inbox.take_several(TOGETHER, SLICE)
            if batches:
                self._busy = True
                try:
                    await self._hand_on(batches)
                finally:
                    self._busy = False
            else:
                inbox.wake.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(inbox.wake.wait(), COMMIT_SECONDS)
            if time.monotonic() - self._committed_at >= COMMIT_SECONDS:
                await self._commit()

    async def _fetch_again(self) -> None:
        """Something was lost on its way here: finish what waits, then read on from where it ends."""
        self._busy = True
        try:
            while batches := self.inbox.take_several(TOGETHER, SLICE):
                await self._hand_on(batches)
            at = self.inbox.expected
            log.warning("%s[%d]@%s: something was lost on its way here, fetched again", *self.tp, at)
            position = await self._worker.seek(self.tp, at)
        finally:
            self._busy = False
        if position is None:
            self.inbox.close()
        else:
            self._open(position, at)

    async def _hand_on(self, batches: Sequence[Sequence[Any]]) -> None:
        """Send what waits together: one by one, small batches would come faster than they go."""
        rows: dict[int, list[Row]] = {}
        highest = self._highest
        worked = 0.0
        self.intake.begin()
        for records in batches:
            began = time.perf_counter()
            highest = self.intake.take(records, rows, highest)
            worked += time.perf_counter() - began
            await asyncio.sleep(0)
        self._metrics.batch_seconds.labels("intake").observe(worked)
        await self._worker.send_hop(rows, self.intake.ready())
        # Only now may a marker tell it: the events are in the keyed partitions before the time they moved.
        self._highest = highest
        if highest is not None:
            self.lead.took(highest, sum(map(len, batches)))
        self.done = batches[-1][-1].offset + 1
        self.failing_since = None
        self._backoff = BACKOFF[0]
        self._metrics.count_events(self.intake.counts)
        self._worker.moved()

    async def _commit(self) -> None:
        self._committed_at = time.monotonic()
        done = self.done
        if done is not None and done != self._committed:
            await self._worker.commit(self.tp, done)
            self._committed = done

    def progress(self, wall: int, idle: bool) -> hop.Progress:
        """Tell how far this source partition has come."""
        position = self.done if self.done is not None else (self._committed or 0)
        return hop.Progress(self.intake.source, self._highest, idle, wall, position)
