"""A keyed partition over the compiled core does what it does over Python: plain records, bad ones, restarts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random
from typing import Any

import pytest
from aiokafka.record.memory_records import MemoryRecords

from journey_stream.deployment import assemble
from journey_stream.encode import Encoder
from journey_stream.engine.state import core_of
from journey_stream.kafka import hop
from journey_stream.kafka.keyed import KeyedPartition
from journey_stream.kafka.keyed_values import Checkpoint
from journey_stream.kafka.meta import JourneyVersion, read_meta
from journey_stream.kafka.sender import MAX_BATCH_BYTES
from journey_stream.kafka.versions import Versions
from journey_stream.settings import Settings, TopicNames
from journey_stream.shop.records import ShopOptions
from journey_stream.shop.simulate import simulate
from journey_stream.values import DAY, HOUR, NEVER, SECOND, DeadLetter, Signal, StageNow, Transition

pytest.importorskip("journey_stream_native")

from journey_stream_native import CoreError

from tests.kafka.log import Log, Record, options
from tests.native.cores import both, by_person, fast

MODELS = assemble(Settings())
SOURCES = {name: hop.pack_source(f"j.{name}", 0) for name in ("visits", "purchases", "tickets", "surveys")}
DRAINED_AT = 1_700_000_000_000
VERSIONS = Versions(tuple(JourneyVersion(j.id, j.version, j.content_sha) for j in MODELS.journeys))


def log_of_a_shop(seed: int) -> Log:
    """Duplicates, disorder, poison, late ones; markers in between."""
    messy = ShopOptions(
        seed=seed,
        customers=15,
        days=60,
        duplicates=0.05,
        out_of_order=0.2,
        late=0.02,
        too_late=0.01,
        poison=0.03,
    )
    log, offsets, highest = Log(), dict.fromkeys(SOURCES, 0), dict.fromkeys(SOURCES, 0)
    for number, record in enumerate(simulate(messy)):
        source = SOURCES[record.source]
        offset, offsets[record.source] = offsets[record.source], offsets[record.source] + 1
        highest[record.source] = max(highest[record.source], record.at)
        head = hop.packer(source)(hop.EVENT, offset * 2, record.at)
        log.add(record.value, [(hop.HEADER, head), *record.headers], key=record.key, arrived=record.at)
        if number % 20 == 0:
            log.marker(
                *(hop.Progress(s, highest[n], False, record.at, offsets[n]) for n, s in SOURCES.items())
            )
    end = max(highest.values()) + HOUR
    log.marker(*(hop.Progress(s, end, True, end, offsets[n]) for n, s in SOURCES.items()))
    return log


class Played:
    """A log, played with checkpoints; what came of it."""

    def __init__(self, make: Any, log: Log, mode: str, seed: int, *, ready: bool = False) -> None:
        self.records: list[Any] = []
        self.letters: list[DeadLetter] = []
        self.rows: dict[str, list[tuple[Any, ...]]] = {}
        self.states: dict[str, bytes | None] = {}
        self.counts: dict[tuple[str, str], int] = {}
        self.moves = self.size = 0
        self.codecs: dict[str, set[int]] = {}
        chance, meta = Random(seed), None
        self.logic = self._start(make, mode, meta)
        place = 0
        while place < len(log.records):
            size = chance.choice((1, 7, 100, 400))
            part = log.records[place : place + size]
            now = max(record.timestamp for record in part) * 1000 + 999
            self.logic.take(part, now)
            place += size
            while self.logic.advance(now):
                pass
            if chance.random() < 0.3:
                meta = self._keep(ready=ready)
                if chance.random() < 0.2 and not ready:
                    self.logic = self._start(make, mode, meta)
                    place = read_meta(meta).oldest
        self._keep(ready=ready)

    def _start(self, make: Any, mode: str, meta: bytes | None) -> KeyedPartition:
        chosen = options(mode=mode, versions=VERSIONS, catch_up=10 * DAY, dedup_window=7 * DAY)
        logic = KeyedPartition(self._engine(make), MODELS.decoder, SOURCES.values(), chosen)
        logic.restore(None if meta is None else read_meta(meta), 0)
        return logic

    def _engine(self, make: Any) -> Any:
        engine = make(MODELS.program)
        for person, state in self.states.items():
            engine.load(person, state)
        return engine

    def _keep(self, *, ready: bool) -> bytes:
        done: Checkpoint = self.logic.checkpoint(ready=DRAINED_AT if ready else None)
        self.letters += [each for each in done.records if isinstance(each, DeadLetter)]
        self.records += [each for each in done.records if isinstance(each, Transition | Signal | StageNow)]
        if done.ready is not None:
            self.moves += sum(done.ready.moves.values())
            self.size += done.ready.size
            for name in ("transitions", "signals", "stages", "changes"):
                batches = getattr(done.ready, name)
                rows = _rows(batches)
                self.codecs.setdefault(name, set()).update(_codec(batch) for batch in batches)
                if name == "changes":
                    self.states |= {key.decode(): value for key, value, _ in rows}
                else:
                    self.rows.setdefault(name, []).extend(rows)
        self.states |= dict(done.changes)
        for key, n in self.logic.counts.items():
            self.counts[key] = self.counts.get(key, 0) + n
        self.logic.counts.clear()
        return done.meta


def cores(states: dict[str, bytes | None]) -> dict[str, bytes | None]:
    """States without histories."""
    layouts = {key: blob for key, blob in states.items() if key.startswith("\0")}
    return layouts | {p: blob and core_of(blob) for p, blob in states.items() if p not in layouts}


def _rows(batches: list[Any]) -> list[tuple[Any, ...]]:
    found = []
    for batch in batches:
        batch._set_producer_state(1, 1, 0)
        memory = MemoryRecords(bytes(batch._build()))
        while memory.has_next():
            read = memory.next_batch()
            assert read.validate_crc()
            for each in read:
                assert each.timestamp == DRAINED_AT
                found.append((each.key, each.value, tuple(each.headers)))
    return found


def _codec(batch: Any) -> int:
    """As the attributes of a batch name it."""
    return int(batch._build()[22] & 7)


@pytest.mark.parametrize("mode", ["event", "wall"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_messy_shop_comes_out_alike_with_restarts_in_the_middle(mode: str, seed: int) -> None:
    log = log_of_a_shop(seed)
    python, core = (Played(make, log, mode, seed) for make in (lambda p: both(p)[0], fast))
    assert by_person(python.records) == by_person(core.records)
    assert len(python.records) > 500
    assert python.letters == core.letters
    assert len(python.letters) > 5
    # When a history is folded into its base depends on who wrote it; what it leads to does not.
    assert cores(python.states) == cores(core.states)
    assert python.counts == core.counts
    assert python.logic.population == core.logic.population


class Fickle(Played):
    """Asks for batches now and then, and when some are written already."""

    asked = 0

    def _keep(self, *, ready: bool) -> bytes:
        assert self.logic.runs is not None
        self.asked += 1
        return super()._keep(ready=ready and (self.logic.runs.has_written or self.asked % 2 == 0))


@pytest.mark.parametrize(
    ("play", "compression", "codec"),
    [
        (Played, "none", 0),
        (Fickle, "none", 0),
        (Fickle, "gzip", 1),
        (Played, "lz4", 3),
        (Fickle, "zstd", 4),
    ],
)
def test_ready_batches_hold_what_the_encoder_writes(play: type[Played], compression: str, codec: int) -> None:
    log, topics = log_of_a_shop(3), TopicNames.of(Settings())
    encoder, make = Encoder(topics), partial(fast, compression=compression)
    single, ready = Played(fast, log, "event", 3), play(make, log, "event", 3, ready=True)
    # What went through Python is among the records of both.
    outs = [out for record in single.records for out in encoder.encode_all(record)]
    ours = [out for record in ready.records for out in encoder.encode_all(record)]
    for name, topic in (("transitions", topics.transitions), ("signals", topics.signals)):
        expected = {_id(out.headers): (out.key, out.value, out.headers) for out in outs if out.topic == topic}
        found = {_id(row[2]): row for row in ready.rows[name]}
        found |= {_id(out.headers): (out.key, out.value, out.headers) for out in ours if out.topic == topic}
        assert expected.keys() == found.keys()
        assert expected == found
    # The last stage of each drain; whose came from Python as well are left out.
    theirs = {out.key for out in ours if out.topic == topics.stages}
    stages = [(out.key, out.value) for out in outs if out.topic == topics.stages and out.key not in theirs]
    found = [(key, value) for key, value, _ in ready.rows["stages"] if key not in theirs]
    assert len(stages) > 50
    assert sorted(stages) == sorted(found)
    assert dict(stages) == dict(found)
    assert ready.moves + sum(isinstance(r, Transition) for r in ready.records) == sum(
        isinstance(record, Transition) for record in single.records
    )
    assert single.states == ready.states
    assert ready.codecs == {"transitions": {codec}, "signals": {codec}, "stages": {codec}, "changes": {0}}
    # How much a checkpoint holds is told in plain, whatever the codec.
    assert ready.size == pytest.approx(play(fast, log, "event", 3, ready=True).size, rel=0.001)


def test_what_is_written_is_not_to_be_had_one_by_one() -> None:
    log = log_of_a_shop(3)
    logic = Played(fast, Log(), "event", 3, ready=True).logic
    now = log.records[-1].timestamp * 1000
    logic.take(log.records, now)
    while logic.advance(now):
        pass
    assert logic.runs is not None
    assert logic.runs.has_written
    with pytest.raises(CoreError, match="written already"):
        logic.checkpoint()


def _id(headers: Any) -> bytes:
    return dict(headers)["ce_id"]


def test_a_record_with_other_headers_is_plain_and_a_foreign_one_is_not() -> None:
    log = log_of_a_shop(4)
    logic = KeyedPartition(
        fast(MODELS.program), MODELS.decoder, SOURCES.values(), options(versions=VERSIONS, until=NEVER)
    )
    logic.restore(None, 0)
    taken = [record for record in log.records if record.headers[0][1][:2] != hop.MARKER_BYTES][:50]
    stranger = Record(taken[-1].offset + 1, b"{}", [("who", b"knows")])
    logic.take([*taken, stranger], taken[-1].timestamp * 1000)
    assert logic.counts["j.events", "dead"] == 1
    assert len(logic.buffer) + sum(n for (_, what), n in logic.counts.items() if what != "on_time") >= 45
    assert MAX_BATCH_BYTES > SECOND // 10  # batches are cut by the size that Python cuts by


@pytest.fixture
def hasty_interpreter() -> Iterator[None]:
    """Threads take Python's lock from one another all the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_interpreter")
@pytest.mark.parametrize("ready", [False, True])
def test_lanes_that_work_at_the_same_time_do_not_disturb_one_another(ready: bool) -> None:
    """Definitions, vocabulary and decoder are shared by all (`kafka.aside` has several threads)."""

    def play(seed: int) -> tuple[Any, ...]:
        played = Played(fast, logs[seed], "event", seed, ready=ready)
        return played.records, played.letters, played.rows, played.states, played.counts

    logs = [log_of_a_shop(seed) for seed in range(4)]
    alone = [play(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(play, range(4)))
    assert alone == together
