"""States on disk: what comes of customers is what comes of them in memory, whatever dies when."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from journey_stream.deployment import assemble
from journey_stream.engine import compiled_store
from journey_stream.engine.partition import LAYOUT_KEY, Partition
from journey_stream.engine.state import due_at, redated
from journey_stream.errors import SettingsError
from journey_stream.kafka import local_states
from journey_stream.kafka.local_states import SAFE_AGE, RocksStates
from journey_stream.settings import Settings
from journey_stream.shop import ShopOptions, simulate
from journey_stream.values import DAY, HOUR, NEVER, Event

pytest.importorskip("rocksdict")

MADE = assemble(Settings())
PROGRAM = MADE.program
EVENTS = [
    event
    for record in simulate(ShopOptions(customers=60, days=60, out_of_order=0.1))
    if record.value is not None and isinstance(event := MADE.decoder.decode(record.value), Event)
]
GENERATION = "first"
ENGINES = ("python", "compiled")


def empty(engine: str, program: Any) -> Any:
    """A partition without customers."""
    if engine == "python":
        return Partition(program)
    pytest.importorskip("journey_stream_native")
    from tests.native.cores import fast

    return fast(program, cache=20)


class OnDisk:
    """A partition whose states are on disk, its changelog beside it, to be crashed between any two steps."""

    def __init__(self, folder: Path, program: Any = PROGRAM, engine: str = "python") -> None:
        self.folder, self.program, self.engine = folder, program, engine
        self.changelog: list[tuple[str, bytes | None]] = []
        self.read = 0
        self.open()

    def open(self, now: int = 0) -> None:
        self.states = RocksStates(self.folder, self.program.fingerprint, now)
        self.partition = empty(self.engine, self.program)
        self.partition.rest_in(self.states)
        tail = self.changelog[self.states.offset :]
        self.read = len(tail)
        for key, blob in tail:
            self.partition.load(key, blob)
        self.states.keep(tail, len(self.changelog), GENERATION, now)

    def drain(self, *, keep: bool = True) -> Any:
        drained = self.partition.drain()
        self.changelog += drained.changes
        if keep:
            self.states.keep(drained.changes, len(self.changelog), GENERATION, 0)
        return drained

    def crash(self, engine: str = "") -> None:
        self.states.close()
        self.engine = engine or self.engine
        self.open()

    def written(self) -> dict[str, bytes]:
        """What the changelog says of everybody."""
        return {p: b for p, b in dict(self.changelog).items() if b is not None and p[0] != "\0"}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which engine is at work; the compiled one keeps nothing in memory that is on disk."""
    monkeypatch.setattr(compiled_store, "BOUND", 1)
    return str(request.param)


@pytest.fixture
def disk(tmp_path: Path, engine: str) -> Iterator[OnDisk]:
    made = OnDisk(tmp_path / "0", engine=engine)
    yield made
    made.states.close()


def same(blobs: dict[str, bytes]) -> dict[str, bytes]:
    """States without the hint of when they are due: on disk it is exact."""
    return {person: redated(blob, 0) for person, blob in blobs.items()}


@pytest.mark.parametrize("histories", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_what_comes_of_customers_is_the_same_on_disk_and_in_memory_through_any_crash(
    disk: OnDisk, seed: int, histories: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_states, "WINDOW", 7)
    draw = Random(seed)
    memory, clock, at = Partition(PROGRAM), 0, 0
    while at < len(EVENTS):
        batch = EVENTS[at : at + draw.randrange(1, 60)]
        at += len(batch)
        if histories:
            memory.horizon = disk.partition.horizon = clock - HOUR - 1
        batch += [event for event in batch if draw.random() < 0.1]  # duplicates
        looked = [event.person for event in batch if draw.random() < 0.05]
        behind = draw.random() < 0.2  # so that nobody looks at timers yet
        for partition in (memory, disk.partition):
            for event in batch:
                partition.apply(event, event.at)
                clock = max(clock, event.at)
            for person in looked:
                partition.encoded(person)
            while not behind and partition.next_due <= clock:
                partition.fire(clock, clock, 5)
        expected, came = memory.drain(), disk.drain(keep=(kept := draw.random() < 0.8))
        assert by_person(expected.records) == by_person(came.records)
        assert (expected.counts, expected.population) == (came.counts, came.population)
        assert same(_states(expected)) == same(_states(came))
        assert _gone(expected) == _gone(came)
        assert len(memory) == len(disk.partition)
        if not kept or draw.random() < 0.2:
            disk.crash()
            assert (len(came.changes) if not kept else 0) == disk.read
    # After a crash some of those listed under a time that has come may have to be looked at again.
    assert memory.fire(clock, clock) == disk.partition.fire(clock, clock)
    assert by_person(memory.drain().records) == by_person(disk.drain().records)
    assert clock < disk.partition.next_due
    assert set(memory.people()) == set(disk.partition.people())
    at_rest = {p: b for p in disk.partition.people() if (b := disk.partition.at_rest(p)) is not None}
    assert same({p: b for p, b in disk.written().items() if p in at_rest}) == same(at_rest)


def _states(drained: Any) -> dict[str, bytes]:
    return {person: blob for person, blob in drained.changes if blob is not None and person[0] != "\0"}


def _gone(drained: Any) -> set[str]:
    return {person for person, blob in drained.changes if blob is None}


def by_person(records: Any) -> dict[str, list[bytes]]:
    """Records per person in their order: among persons there is none within a drain."""
    found: dict[str, list[bytes]] = {}
    for record in records:
        found.setdefault(record.person, []).append(msgspec.json.encode(record))
    return found


def lived(disk: OnDisk, count: int = 400) -> OnDisk:
    clock = 0
    for start in range(0, count, 50):
        for event in EVENTS[start : start + 50]:
            disk.partition.apply(event, event.at)
            clock = max(clock, event.at)
        disk.partition.fire(clock, clock)
        disk.drain()
    return disk


def test_the_index_says_who_is_due_and_the_counts_are_those_of_a_full_reading(disk: OnDisk) -> None:
    lived(disk)
    disk.crash()
    full = Partition(PROGRAM)
    for key, blob in disk.changelog:
        full.load(key, blob)
    assert len(full) == len(disk.partition)
    dues = {person: due_at(blob) for person, blob in disk.states.items() if due_at(blob) != NEVER}
    index = disk.states.due_from(-1)[0]
    assert sorted(index) == index
    assert len(set(index)) == len(index)
    assert dues.keys() == {person for _, person in index}
    for person, due in dues.items():
        # Listed under one time, and if they are due before that, under this as well.
        times = [at for at, who in index if who == person]
        assert times[0] <= due
        assert len(times) == 1 or (len(times) == 2 and times[0] == due < times[1])
    assert len(dues) == disk.states.pending
    assert sorted(full.people()) == sorted(disk.partition.people())


def test_who_comes_and_goes_is_listed_as_before(disk: OnDisk) -> None:
    lived(disk, 100)
    person, blob = next(iter(disk.states.items()))
    states = disk.states

    def index(due: int | None, *, used: tuple[int, bool] | None = None) -> list[int]:
        """Where they stand once they are due then."""
        if used is not None:
            at, expected = used
            assert expected is states.used(person, at)
        if due is None:
            states.pop(person, None)
        else:
            states[person] = redated(blob, due)
        states.keep([], 0, GENERATION, 0)
        return [at for at, who in states.due_from(-1)[0] if who == person]

    assert [] == index(None)
    assert [900] == index(900)
    assert [10, 900] == index(10)
    assert [20, 900] == index(20, used=(10, False))
    assert [900] == index(1_000)
    assert [1_000] == index(1_000, used=(900, True))
    assert [30, 1_000] == index(30, used=(900, False))
    assert [40] == index(40, used=(1_000, True))
    assert [40] == index(900)
    assert [] == index(NEVER, used=(40, True))
    assert [5] == index(5)
    assert [] == index(None)


def test_what_was_not_committed_is_not_on_disk(disk: OnDisk) -> None:
    lived(disk, 100)
    before = disk.written()
    for event in EVENTS[100:200]:
        disk.partition.apply(event, event.at)
    disk.partition.drain()
    disk.crash()
    assert before == dict(disk.states.items())


@pytest.mark.parametrize(
    ("way", "said"),
    [("old", "too old"), ("program", "other definitions"), ("unfinished", "not filled to the end")],
)
def test_a_directory_that_is_of_no_use_is_filled_anew(
    disk: OnDisk, caplog: pytest.LogCaptureFixture, way: str, said: str
) -> None:
    caplog.set_level("INFO")
    lived(disk)
    program, now = PROGRAM.fingerprint, 0
    if way == "old":
        now = SAFE_AGE + 1
    elif way == "program":
        program = b"else"
    else:
        disk.states.keep([], 10, "", 0)
    disk.states.close()
    disk.states = RocksStates(disk.folder, program, now)
    assert (0, 0, "") == (len(disk.states), disk.states.offset, disk.states.generation)
    assert [] == list(disk.states.items())
    assert said in caplog.text


@pytest.mark.parametrize("days", [30, 3_000])
def test_states_of_other_definitions_are_looked_at_before_anything_is_due(
    tmp_path: Path, engine: str, days: int
) -> None:
    old = assemble(Settings(forget_after=Settings().forget_after.__class__(anonymous=days * DAY)))
    source = Partition(old.program)
    for event in EVENTS[:300]:
        source.apply(event, event.at)
    changes = source.drain().changes
    memory, disk = Partition(PROGRAM), OnDisk(tmp_path / "1", engine=engine)
    for key, blob in changes:
        memory.load(key, blob)
    disk.changelog += changes
    disk.crash()
    until = EVENTS[299].at + 200 * DAY
    assert set(memory.people()) == set(disk.partition.of_other_layouts())
    assert {0} == {due for due, _ in disk.states.due_from(-1)[0]}
    for partition in (memory, disk.partition):
        partition.fire(until, until)
    assert by_person(memory.drain().records) == by_person(disk.drain().records)
    disk.crash()
    assert len(memory) == len(disk.partition)
    disk.states.close()


def test_each_engine_goes_on_where_the_other_stopped(tmp_path: Path, engine: str) -> None:
    memory, disk, clock = Partition(PROGRAM), OnDisk(tmp_path / "1", engine=engine), 0
    for start in range(0, 600, 100):
        memory.horizon = disk.partition.horizon = clock - HOUR - 1
        clock = max(event.at for event in EVENTS[: start + 100])
        for partition in (memory, disk.partition):
            for event in EVENTS[start : start + 100]:
                partition.apply(event, event.at)
            partition.fire(clock, clock)
        expected, came = memory.drain(), disk.drain()
        assert by_person(expected.records) == by_person(came.records)
        assert same(_states(expected)) == same(_states(came))
        disk.crash(ENGINES[disk.engine == ENGINES[0]])
        assert 0 == disk.read
    disk.states.close()


def test_two_processes_cannot_have_one_directory(disk: OnDisk) -> None:
    code = f"from journey_stream.kafka.local_states import *; RocksStates(Path({str(disk.folder)!r}), b'abcd', 0)"
    tried = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "another process has it" in tried.stderr


def test_without_the_extra_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rocksdict", None)
    with pytest.raises(SettingsError, match=r"pip install 'journey-stream\[rocksdb\]'"):
        RocksStates(tmp_path, b"abcd", 0)


def test_nobodies_are_known_again_after_a_restart(disk: OnDisk) -> None:
    opened = next(e for e in EVENTS if e.actor != "customer" and e.person[:5] != "anon:")
    disk.partition.horizon = opened.at - HOUR
    disk.partition.apply(opened, opened.at)
    disk.drain()
    disk.crash()
    assert [opened.person] == list(disk.partition._store.nobodies)
    assert [] == disk.partition.people()
    disk.partition.horizon = opened.at + HOUR
    assert [(opened.person, None)] == disk.drain().changes
    assert 0 == len(disk.states)
    assert LAYOUT_KEY not in disk.written()
