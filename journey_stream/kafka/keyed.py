"""What a keyed partition does with its records: the worker's logic without Kafka, to be crashed at will.

Enters: hop records and the wall time. Leaves: at each checkpoint the records to publish, the states that
changed, the meta record and the offset to commit, all to be written in one transaction. Strategy: the clock
follows the markers; events wait in the buffer until the clock lets them go (event-time order); timers fire
up to there. Three numbers make a restart exact: P, up to where the keyed topic has been taken in; O, the
lowest offset that still waits in the buffer (what the group commits); W, up to when waiting events have
been let go. A restart reads from O; of what lies below P only events after W are taken again: those that
waited. Until P is reached nothing is let go and nothing committed: all that waited waits again first.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any, cast
from uuid import uuid4

from journey_stream.backfill import told_apart
from journey_stream.events.decode import Decoder
from journey_stream.kafka import hop
from journey_stream.kafka.compiled import EVERYTHING, CoreBuffer, Runs, readable
from journey_stream.kafka.direct import Directs
from journey_stream.kafka.hop_records import event_again, event_of, head_of, letter_of, letter_of_stranger
from journey_stream.kafka.keyed_values import Checkpoint, Options, Record
from journey_stream.kafka.markers import Markers
from journey_stream.kafka.meta import META_FORMAT, DirectPosition, Meta, write_meta
from journey_stream.kafka.received import Received
from journey_stream.kafka.sender import MAX_BATCH_BYTES
from journey_stream.kafka.versions import Settled, settle
from journey_stream.release import BEGINNING, PartitionClock, ReleaseBuffer, classify, settled
from journey_stream.values import NEVER, SECOND, DeadLetter, Event, Reason, Rejection

FIRE_LIMIT = 500
"""Timers fired in one go: a burst of timers must not keep the loop from everything else."""
RELEASE_LIMIT = 1_000
"""Events let go in one go, likewise."""


class KeyedPartition:
    """One keyed partition. `take` records, `advance` the clock, `checkpoint` what came of it."""

    def __init__(self, engine: Any, decoder: Decoder, sources: Iterable[bytes], options: Options) -> None:
        self.engine = engine
        self.clock = PartitionClock(options.mode, sources)
        core = getattr(engine, "core", None)
        """The compiled core, if that does the work."""
        self.turn = threading.Lock()
        """Held while its lane works on it beside the loop (`aside`), and by whoever else looks at it."""
        self.buffer = ReleaseBuffer() if core is None else CoreBuffer(core)
        self.buffered = 0
        """Events that waited after the last step: to be read while the partition is at work."""
        self.counts: Counter[tuple[str, str]] = Counter()
        """Events by (source topic, outcome) since the last `checkpoint`."""
        self.position = 0
        self.pending = 0
        """Events applied, timers fired and dead letters since the last checkpoint."""
        self.restored_below = 0
        self.rereading = False
        """Between O and P after a restart."""
        self.released = BEGINNING
        self.dirty = False
        """Whether the clock or the position moved since the last checkpoint."""
        self.effects = False
        """Whether there is something to publish or to keep since the last checkpoint."""
        self.engine_counts: Counter[str] = Counter()
        """What the engine counted since somebody emptied this."""
        self.unknown: Counter[tuple[str, str]] = Counter()
        """(journey, rule) whose expression touched something unknown, likewise."""
        self.fired: list[tuple[int, int]] = []
        """(microseconds the clock was past the earliest due, timers fired), likewise."""
        self.population: dict[str, dict[str, int]] = {}
        self.settled = Settled([], changes=False)
        """Which versions of journeys are used here, and what has to happen before anything else."""
        self.generation = uuid4().hex
        """Names the changelog, from its first checkpoint on."""
        self.began = 0
        self.first = NEVER
        """Time of the earliest event ever taken in."""
        self.oldest = 0
        """O as of the last checkpoint: it stands until what waited there waits again."""
        self.oldest_arrival = NEVER
        """Broker time of the oldest source record applied since the last checkpoint."""
        self._decode = decoder.decode
        self._options = options
        self._received = Received(self.clock.sources, broker_times=options.broker_times)
        self._topics: dict[bytes, str] = {}
        self._dead: list[DeadLetter] = []
        self._applied: list[tuple[Event, Record]] = []
        self.runs = None if core is None else Runs(core, options, self.counts)
        self.direct = Directs(self, decoder)
        """Source partitions that are read without the hop."""
        self._markers = Markers(self.clock, self.direct)

    def restore(self, meta: Meta | None, start: int) -> int:
        """Take over from the last checkpoint; gives the offset to read from.

        Args:
            meta: the last meta record, None for a partition that never made a checkpoint.
            start: the first offset there is.

        Raises:
            VersionError: a definition has changed without its version.
        """
        versions = self._options.versions
        if meta is None:
            self.position = self.began = start
            self.settled = settle((), versions, start)
            return start
        self.settled = settle(meta.journeys, versions, meta.position)
        self.generation = meta.generation or self.generation
        self.began, self.first, self.oldest = meta.began, meta.first, meta.oldest
        self.position = self.restored_below = meta.position
        self.released = meta.released
        self.clock.reached = meta.clock
        for source, (highest, idle, wall) in meta.progress.items():
            # Only sources that are still read hold the clock; the others are remembered for nothing.
            if source in self.clock.sources:
                self.clock.progress(source, highest, idle, wall)
        self.rereading = max(meta.oldest, start) < meta.position
        self._received.restore(meta.received, meta.received_at)
        self.population = meta.population
        return meta.oldest

    @property
    def keyed_input(self) -> str:
        """Under which setting it works."""
        return self._options.keyed_input

    @property
    def waits(self) -> bool:
        """After a restart: not all that waited waits again."""
        return self.rereading or self.direct.rereading

    def has_received(self, source: bytes, sub_offset: int) -> bool:
        """Tell whether a record of a source has come through the keyed topic."""
        return sub_offset <= self._received.highest.get(source, -1)

    def expect(self, sources: Iterable[bytes]) -> None:
        """Wait for these source partitions, too: their topic has grown by them."""
        for source in sources:
            self.clock.expect(source)

    def take(self, records: Sequence[Record], now: int) -> None:
        """Take in records of the keyed topic, in offset order."""
        clock: int | None = None
        place, count, runs = 0, len(records), None if self.direct else self.runs
        fetched = None if runs is None else readable(records)
        while place < count:
            record = records[place]
            header = head_of(record)
            if header[:2] == hop.MARKER_BYTES:
                if record.offset >= self.restored_below:
                    self._markers.hear(record.value or b"", record.timestamp * 1000 + 999, now)
                    clock = None  # asked when the next event comes, not at each of many markers
            else:
                if clock is None:
                    clock = self.clock.clock(now)
                if runs is not None and fetched is not None and record.offset >= self.restored_below:
                    begun, sources = place, self.clock.sources
                    place = runs.of_hop(fetched, place, clock, self._received, sources)
                    if place > begun:
                        self._reached(records[place - 1].offset + 1)
                        continue
                self._receive(record, header, clock)
            place += 1
            self._reached(record.offset + 1)
        self._note_runs()
        self.clock.clock(now)
        self.dirty = not self.waits

    def _reached(self, position: int) -> None:
        """The keyed topic has been taken in up to here."""
        if position >= self.position:
            self.position = position
            self.rereading = False

    def _note_runs(self) -> None:
        """Take over what the compiled core noted of the events it took in."""
        runs = self.runs
        if runs is not None and runs.first != NEVER:
            self.first = min(self.first, runs.first)
            self.oldest_arrival = min(self.oldest_arrival, runs.arrival)
            runs.first = runs.arrival = NEVER

    def take_direct(self, topic: str, records: Sequence[Record], now: int) -> None:
        """Take in records of a source partition that is read without the hop, in offset order."""
        self.direct.take(topic, records, self.clock, now)
        self._note_runs()
        self.oldest_arrival = min(self.oldest_arrival, records[0].timestamp * 1000)
        self.dirty = not self.waits

    def advance(self, now: int) -> bool:
        """Let go of events and fire timers up to the clock; gives whether more can be done right now."""
        if self.waits:
            return False
        options = self._options
        until = settled(options.mode, self.clock, now, options.allowed_lateness, options.until)
        if options.mode == "wall":
            decided = now
            self._tell_horizon()
            # When caught up, what arrives is applied at once: nobody waits for a clock seconds behind.
            caught_up = self.clock.caught_up(now, options.catch_up)
            gate = options.until if caught_up else until
        else:
            decided, gate = max(until, 0), until
        gate = max(gate, self.released)
        if self.buffer and self.buffer.earliest <= gate:
            self._release(gate, decided)
            if self.buffer and self.buffer.earliest <= gate:
                # Others get a turn first. Timers wait: events up to the clock come before them.
                self.released = max(self.released, min(until, self.buffer.earliest - 1))
                return True
        self.released = max(self.released, until)
        if self.engine.next_due <= until:
            behind = until - self.engine.next_due
            fired = self.engine.fire(until, decided, FIRE_LIMIT)
            self.pending += fired
            if fired:
                self.dirty = self.effects = True
                self.fired.append((behind, fired))
        return bool(self.engine.next_due <= until)

    def _tell_horizon(self) -> None:
        """Tell the engine how far back events on time may still come, those that wait included."""
        lateness = self._options.allowed_lateness
        if lateness:
            self.engine.horizon = min(self.clock.reached - lateness, self.buffer.earliest) - 1

    @property
    def finished(self) -> bool:
        """Everything up to `until` is done (only with `clock: event` and `until`)."""
        options = self._options
        return (
            not self.waits
            and options.mode == "event"
            and options.until != NEVER
            and self.clock.ended()
            and self.released >= options.until
            and self.engine.next_due > options.until
        )

    def checkpoint(self, *, ready: int | None = None) -> Checkpoint:
        """Collect all that the next transaction has to hold. What is collected here is not given again.

        `ready` lets the compiled core, where it does the work, give batches for topics that are partitioned
        as the keyed one: it is the time of their records, milliseconds. From then on the core writes records
        as they come, and what is written (`runs.has_written`) can be had as batches only.
        """
        if ready is not None and self.runs is not None and self._options.fence == BEGINNING:
            drained = self.engine.drain_ready(ready, MAX_BATCH_BYTES)
        else:
            drained = self.engine.drain()
        self.engine_counts.update(drained.counts)
        self.unknown.update(drained.unknown)
        self._count_population(drained.population)
        if drained.rejected:
            records = {id(event): record for event, record in self._applied}
            for event, detail in drained.rejected:
                self.kill(records[id(event)], "processing_error", detail)
        direct, waiting = self.direct.kept(self.buffer.tags())
        oldest = min((record.offset for record in waiting), default=self.position)
        if self.rereading:
            oldest = self.oldest
        options = self._options
        meta = self._meta(oldest, direct)
        published = drained.records
        if options.fence != BEGINNING:
            published = told_apart(published, options.fence, withhold=options.withhold)
        result = Checkpoint(
            [*published, *self._dead],
            drained.changes,
            write_meta(meta),
            oldest,
            self.direct.oldest,
            drained.ready,
        )
        self._dead = []
        self._applied = []
        self.pending = 0
        self.dirty = self.effects = False
        self.oldest_arrival = NEVER
        return result

    def _meta(self, oldest: int, direct: dict[bytes, DirectPosition]) -> Meta:
        """What a restart has to know."""
        received = self._received
        return Meta(
            META_FORMAT,
            self.position,
            oldest,
            self.released,
            self.clock.reached,
            {source: (p.highest, p.idle, p.wall) for source, p in self.clock.sources.items()},
            received.highest,
            self._options.application,
            self.settled.known,
            self.population,
            received.times,
            self.began,
            self.first,
            self._options.keyed_input,
            direct,
            self.generation,
        )

    def _count_population(self, growth: Mapping[tuple[str, str], int]) -> None:
        for (journey, stage), more in growth.items():
            stages = self.population.setdefault(journey, {})
            stages[stage] = stages.get(stage, 0) + more

    def _receive(self, record: Record, header: bytes, clock: int) -> None:
        again = record.offset < self.restored_below
        try:
            kind, sub_offset, broker_at, source = hop.unpack(header)
        except hop.HopFormatError as error:
            if not again:
                self._bury(letter_of_stranger(record, str(error)))
            return
        topic = self._topics.get(source) or self._topics.setdefault(source, hop.unpack_source(source)[0])
        # What we read ourselves cannot be news here, and the dead are buried where they are read.
        had = self.direct.reads(source) or (kind == hop.DEAD and bool(self.direct))
        if had or (not again and not self._received.is_new(source, sub_offset, broker_at)):
            self.counts[topic, "repeated"] += 1
            return
        if kind == hop.DEAD:
            if not again:
                reason, detail = hop.unpack_dead(record.headers[1][1])
                self.kill(record, cast(Reason, reason), detail)
            return
        event = event_of(record, broker_at, self._decode)
        if again:
            # Below P only what still waited at the checkpoint is news; the rest is in the state already.
            if type(event) is Event and event.at > self.released:
                self.buffer.push(event, record)
        elif type(event) is Event:
            self.judge(event, record, topic, clock)
            self.oldest_arrival = min(self.oldest_arrival, broker_at)
        elif isinstance(event, Rejection):
            self.kill(record, event.reason, event.detail)
        else:
            self.counts[topic, "filtered"] += 1

    def judge(self, event: Event, record: Record, topic: str, clock: int) -> None:
        """Let an event wait for its turn, unless it is too late."""
        options = self._options
        lateness = classify(event.at, clock, options.allowed_lateness, options.dedup_window)
        if lateness == "too_late":
            behind = (clock - event.at) // SECOND
            self.kill(record, "too_late", f"occurred_at is {behind} s behind the clock: beyond the window")
            return
        event.late |= lateness == "late"
        self.first = min(self.first, event.at)
        self.buffer.push(event, record)
        self.counts[topic, lateness] += 1

    def _release(self, gate: int, decided: int) -> None:
        event_clock = self._options.mode == "event"
        if isinstance(self.buffer, CoreBuffer):
            # None at or below W may stay behind, as below.
            released = self.buffer.release(self, self.released, EVERYTHING, decided, event_clock=event_clock)
            released += self.buffer.release(self, gate, RELEASE_LIMIT, decided, event_clock=event_clock)
            self.pending += released
            self.dirty = self.effects = True
            return
        apply, applied = self.engine.apply, self._applied.append
        release, before = self.buffer.release, len(self._applied)
        # None at or below W may stay behind, whatever the limit: a restart would take it for done.
        for event, record in chain(release(self.released), islice(release(gate), RELEASE_LIMIT)):
            apply(event, max(event.at, decided) if event_clock else decided, late=event.late)
            applied((event, record))
        self.pending += len(self._applied) - before
        self.dirty = self.effects = True

    def apply_here(self, event: Event | None, record: Record, decided: int, *, late: bool) -> None:
        """Apply an event that the compiled core gave back; None: it is in the record."""
        event = event_again(record, self._decode, late=late) if event is None else event
        self.engine.apply_here(event, decided, late=late)
        self._applied.append((event, record))

    def wait_again(self, event: Event, record: Record) -> None:
        """Let an event wait that waited at the last checkpoint."""
        self.buffer.push(event, record)

    def kill(self, record: Record, reason: Reason, detail: str) -> None:
        """Make a record a dead letter."""
        letter = self.direct.letter(record, reason, detail)
        if letter is not None:
            self._bury(letter)
            return
        self._bury(letter_of(record, reason, detail))

    def _bury(self, letter: DeadLetter) -> None:
        self._dead.append(letter)
        self.counts[letter.topic, "dead"] += 1
        self.pending += 1
        self.effects = True
