"""A scripted keyed topic and a shell that can die at any time, for tests of the keyed partition's logic."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from journey_stream.events.decode import DecodeLimits, Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.kafka import hop
from journey_stream.kafka.keyed import KeyedPartition
from journey_stream.kafka.keyed_values import Options
from journey_stream.kafka.meta import JourneyVersion, read_meta
from journey_stream.kafka.versions import Versions
from journey_stream.values import DAY, HOUR, NEVER, SECOND, rfc3339
from tests.kafka.tally import TallyEngine

START = 1_767_225_600 * SECOND
DECODER = Decoder(BUILT_IN, DecodeLimits())
SOURCES = tuple(hop.pack_source(topic, 0) for topic in ("j.visits", "j.purchases"))


@dataclass
class Record:
    """What is used of a consumed record."""

    offset: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    key: bytes | None = None
    topic: str = "j.events"
    partition: int = 0
    timestamp: int = START // 1000


@dataclass
class Log:
    """A keyed topic under construction."""

    records: list[Record] = field(default_factory=list)
    sent: dict[bytes, int] = field(default_factory=dict)

    def add(
        self,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
        key: bytes | None = None,
        arrived: int = START,
    ) -> None:
        self.records.append(Record(len(self.records), value, headers, key, timestamp=arrived // 1000))

    def event(self, source: bytes, offset: int, **fields: Any) -> None:
        head = hop.packer(source)(hop.EVENT, offset * 2, fields["at"])
        self.add(event_bytes(**fields), [(hop.HEADER, head), ("theirs", b"1")], key=b"k")

    def marker(self, *rows: hop.Progress, arrived: int | None = None) -> None:
        """Markers arrive when they say, unless told otherwise."""
        wall = max(row.wall for row in rows) if arrived is None else arrived
        self.add(hop.pack_marker(list(rows)), [(hop.HEADER, hop.MARKER_BYTES)], arrived=wall)


def event_bytes(event_id: str, person: str, at: int, type: str = "page_viewed") -> bytes:
    return json.dumps(
        {"event_id": event_id, "type": type, "occurred_at": rfc3339(at), "customer_id": person}
    ).encode()


def options(**chosen: Any) -> Options:
    base: dict[str, Any] = {
        "mode": "event",
        "until": NEVER,
        "allowed_lateness": HOUR,
        "dedup_window": 7 * DAY,
        "catch_up": 10 * SECOND,
        "application": "test",
        "versions": Versions((JourneyVersion("tally", 1, "0"),)),
    }
    return Options(**{**base, **chosen})


class Shell:
    """Runs a keyed partition over a log as a lane does; `die` loses all that no checkpoint has kept."""

    def __init__(
        self,
        log: Log,
        options: Options,
        sources: Sequence[bytes] = SOURCES,
        engine: Callable[[], Any] = TallyEngine,
    ) -> None:
        self.log, self.options, self.sources, self.make_engine = log, options, sources, engine
        self.states: dict[str, bytes] = {}
        self.meta: bytes | None = None
        self.committed = 0
        self.published: list[Any] = []
        self.checkpoints = 0
        self.start()

    def start(self) -> None:
        engine = self.make_engine()
        for person, state in self.states.items():
            engine.load(person, state)
        self.logic = KeyedPartition(engine, DECODER, self.sources, self.options)
        self.next = self.logic.restore(read_meta(self.meta) if self.meta is not None else None, 0)
        assert self.next == self.committed

    die = start

    def step(self, count: int, now: int, *, once: bool = False) -> bool:
        """Take some records and advance, `once` or as far as it goes; gives whether more could be done."""
        self.logic.take(self.log.records[self.next : self.next + count], now)
        self.next = min(self.next + count, len(self.log.records))
        more = self.logic.advance(now)
        while more and not once:
            more = self.logic.advance(now)
        return more

    def checkpoint(self) -> None:
        if not self.logic.dirty:
            return
        done = self.logic.checkpoint()
        for person, state in done.changes:
            if state is None:
                self.states.pop(person, None)
            else:
                self.states[person] = state
        self.meta, self.committed = done.meta, done.oldest
        self.published += done.records
        self.checkpoints += 1

    @property
    def at_end(self) -> bool:
        return self.next >= len(self.log.records)


def history(
    random: Random, count: int, lateness: int = HOUR, step: int = 40 * 60 * SECOND
) -> tuple[Log, list[dict[str, Any]]]:
    """A log of two sources with disorder within the lateness, repeated sends, dead records and markers."""
    log, events = Log(), []
    highest: dict[bytes, int | None] = dict.fromkeys(SOURCES)
    offsets = dict.fromkeys(SOURCES, 0)
    sent: dict[bytes, list[tuple[int, dict[str, Any]]]] = {source: [] for source in SOURCES}
    at = START
    for number in range(count):
        at += random.randrange(0, step)
        source = random.choice(SOURCES)
        fields = {
            "event_id": f"e{number}",
            "person": f"c{random.randrange(4)}",
            "at": at - random.randrange(0, lateness // 2),
            "type": random.choice(["page_viewed", "order_completed"]),
        }
        events.append(fields)
        offset = offsets[source] = offsets[source] + 1
        sent[source].append((offset, fields))
        log.event(source, offset, **fields)
        highest[source] = max(highest[source] or 0, fields["at"])
        if random.random() < 0.1:  # intake started over: it sends again from where it had committed
            for again, those in sent[source][-3:]:
                log.event(source, again, **those)
        if random.random() < 0.5:
            log.marker(*(hop.Progress(s, highest[s], False, at, offsets[s]) for s in SOURCES))
    log.marker(*(hop.Progress(s, highest[s], True, at + HOUR, offsets[s]) for s in SOURCES))
    return log, events
