"""A change of version in one keyed partition, at its takeover.

Enters: the logic of a partition just restored. Leaves: the same, its customers in the versions that this
worker runs, some taken over in each transaction. Strategy: the fence is where the last checkpoint stands (P,
O and W of `keyed`): nothing is taken in and no timer fires until all are over, so a change that dies in the
middle goes on with those who are left and comes to the same. For `replay`, all that the state holds, and
nothing else, is run through the present program: what stands below P in the keyed topic but for what still
waits; timers up to W.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from faust.types import TP

from journey_stream.engine.ids import fingerprint
from journey_stream.engine.partition import Partition
from journey_stream.engine.switch import Switch, occupied
from journey_stream.errors import VersionError
from journey_stream.events.decode import Decoder
from journey_stream.kafka import hop
from journey_stream.kafka.hop_records import event_of, head_of
from journey_stream.kafka.keyed import KeyedPartition
from journey_stream.kafka.keyed_values import Options, Record
from journey_stream.kafka.older import Retained, older_events
from journey_stream.kafka.reading import Reader, reader
from journey_stream.kafka.versions import check_answered
from journey_stream.release import BEGINNING, PartitionClock, ReleaseBuffer, classify
from journey_stream.values import NEVER, Event, rfc3339

log = logging.getLogger(__name__)

AT_ONCE: Final = 2_000
"""Customers taken over in one transaction."""
SLICE: Final = 500
"""Records of history taken in before others get a turn."""
DRAIN_EVERY: Final = 10_000
OLDER: Final = -1
"""Stands for the offset of an event from a file."""


async def change_versions(
    logic: KeyedPartition,
    where: str,
    now: int,
    history: Callable[[], Awaitable[Partition]],
    commit: Callable[[], Awaitable[None]],
) -> None:
    """Say which versions are used before they are, then take customers over, a transaction at a time.

    Args:
        logic: the partition, restored; it has taken nothing in since.
        where: its name, for messages.
        now: the wall time.
        history: runs the partition's history through the present program; asked for `replay` only.
        commit: writes a checkpoint.

    Raises:
        VersionError: somebody is in a version that nothing is said about, or that history cannot tell of;
            nothing has been written.
    """
    settled, engine = logic.settled, logic.engine
    if settled.unanswered:
        check_answered(settled, occupied(engine), where)
    switch: Switch | None = None
    if settled.moving:
        past = await history() if settled.replayed else None
        switch = Switch(engine, logic.released, now, past)
        log.info("%s: %d customers are taken over from %s", where, len(switch), ", ".join(settled.moving))
    await commit()
    while switch:
        switch.step(AT_ONCE)
        await commit()
        await asyncio.sleep(0)
    if settled.moving or settled.unanswered:
        logic.settled = settled.done()
        await commit()


class Rebuild:
    """The present program over the history of a partition, up to its fence; nothing is published."""

    def __init__(
        self,
        logic: KeyedPartition,
        engine: Partition,
        decoder: Decoder,
        sources: Iterable[bytes],
        options: Options,
    ) -> None:
        self._logic, self._engine, self._options = logic, engine, options
        self._decode = decoder.decode
        self._clock = PartitionClock(options.mode, sources)
        self._buffer = ReleaseBuffer()
        self._received: dict[bytes, int] = {}
        self._had: set[bytes] = set()
        """Ids of events that files have given."""
        self._applied = 0

    def take(self, records: Iterable[Record]) -> None:
        """Take in records of the keyed topic, in offset order."""
        for record in records:
            header = head_of(record)
            if header[:2] == hop.MARKER_BYTES:
                self._mark(record.value or b"")
            else:
                self._receive(record, header)
        # What is behind the clock by more than the lateness comes no more, or comes as late.
        self._release(self._reached() - self._options.allowed_lateness - 1)

    def before(self, event: Event) -> None:
        """Take in an event from a file, in the order of time, before all records of the topic."""
        self._had.add(fingerprint(event.event_id))
        self._buffer.push(event, OLDER)
        self._release(event.at - self._options.allowed_lateness - 1)

    def finish(self) -> Partition:
        """Let go of all that the state of the partition holds, fire its timers, and give what came of it."""
        logic, engine = self._logic, self._engine
        fence = logic.released
        self._release(fence)
        for event, offset in self._buffer.release(NEVER):
            # Beyond W the state holds what was let go on arrival; what waited is taken in again later.
            may_wait = offset == OLDER or (logic.rereading and offset >= logic.oldest)
            if not may_wait or logic.engine.has_had(event):
                engine.apply(event, event.at, late=event.late)
        while engine.next_due <= fence:
            engine.fire(fence, fence, DRAIN_EVERY)
            engine.drain()
        engine.drain()
        return engine

    def _reached(self) -> int:
        return self._clock.clock(NEVER)

    def _mark(self, value: bytes) -> None:
        for each in hop.unpack_marker(value):
            if each.source in self._clock.sources:
                highest = BEGINNING if each.highest is None else each.highest
                self._clock.progress(each.source, highest, each.idle, each.wall)

    def _receive(self, record: Record, header: bytes) -> None:
        try:
            kind, sub_offset, broker_at, source = hop.unpack(header)
        except hop.HopFormatError:
            return
        if sub_offset <= self._received.get(source, -1):
            return
        self._received[source] = sub_offset
        event = event_of(record, broker_at, self._decode) if kind == hop.EVENT else None
        if type(event) is not Event or (self._had and fingerprint(event.event_id) in self._had):
            return
        options = self._options
        lateness = classify(event.at, self._reached(), options.allowed_lateness, options.dedup_window)
        if lateness != "too_late":
            event.late |= lateness == "late"
            self._buffer.push(event, record.offset)

    def _release(self, gate: int) -> None:
        engine = self._engine
        for event, _ in self._buffer.release(min(gate, self._logic.released)):
            engine.apply(event, event.at, late=event.late)
            self._applied += 1
        if self._applied >= DRAIN_EVERY:
            engine.drain()
            self._applied = 0


class Past(msgspec.Struct, frozen=True):
    """What `rebuilt` needs of the deployment to read files."""

    files: tuple[str, ...]
    decoder: Decoder
    partitions: int
    lateness: int


async def rebuilt(
    client: Mapping[str, Any], tp: TP, logic: KeyedPartition, rebuild: Rebuild, past: Past
) -> Partition:
    """Run the history of a keyed partition, up to its fence, through the present program.

    Raises:
        VersionError: neither the topic nor the files given reach back to the first event.
    """
    needed, end = logic.began, logic.position
    if needed < end:
        async with reader(client) as side:
            first = (await side.spans(tp.topic, [tp.partition]))[tp.partition].first
            if first > needed:
                await _older(side, tp, logic, rebuild, past)
            async for records in side.read(tp.topic, [tp.partition]):
                await _take(rebuild, [record for record in records if record.offset < end])
                if records and records[-1].offset >= end - 1:
                    break
    return rebuild.finish()


async def _older(side: Reader, tp: TP, logic: KeyedPartition, rebuild: Rebuild, past: Past) -> None:
    """Take in from files what the topic has lost."""
    retained, found = Retained(past.decoder, logic), None
    async for records in side.read(tp.topic, [tp.partition]):
        found = found or next(iter(records), None)
        if not past.files:
            break
        retained.take(records)
        await asyncio.sleep(0)
    if not past.files:
        raise VersionError(_short(tp, logic.began, found))
    partition_of = hop.Partitioner(past.partitions)
    events = older_events(
        past.files,
        past.decoder,
        past.lateness,
        retained,
        lambda person: partition_of(person.encode()) == tp.partition,
        logic.first,
        f"{tp.topic}[{tp.partition}]",
    )
    for number, event in enumerate(events, 1):
        rebuild.before(event)
        if number % SLICE == 0:
            await asyncio.sleep(0)


async def _take(rebuild: Rebuild, records: Sequence[Any]) -> None:
    for start in range(0, len(records), SLICE):
        rebuild.take(records[start : start + SLICE])
        await asyncio.sleep(0)


def _short(tp: TP, needed: int, found: Any) -> str:
    there = "there is nothing left"
    if found is not None:
        there = f"the earliest there is stands at offset {found.offset}, of {rfc3339(found.timestamp * 1000)}"
    return (
        f"{tp.topic}[{tp.partition}]: policy `replay` needs history from the first event on, at offset "
        f"{needed}, and {there}: what came before was deleted (`retention.events`). Give it as files "
        f"(`history`), or choose `migrate` or `keep` (docs/versions.md)"
    )
