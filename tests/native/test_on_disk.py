"""The core over states on disk does what it does over states in memory, whatever of them is in memory."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from journey_stream.deployment import assemble
from journey_stream.engine.partition import Partition
from journey_stream.engine.state import due_at, redated
from journey_stream.errors import SettingsError
from journey_stream.kafka import local_states
from journey_stream.kafka.engines import Engines
from journey_stream.kafka.local_states import RocksStates
from journey_stream.settings import Settings
from journey_stream.shop import ShopOptions, simulate
from journey_stream.values import DAY, NEVER, Event

pytest.importorskip("journey_stream_native")
pytest.importorskip("rocksdict")

from journey_stream.engine import compiled_store
from journey_stream.engine.fast import FastPartition
from tests.native.cores import by_person, fast
from tests.native.test_keyed import MODELS, Played, cores, log_of_a_shop

FINGERPRINT = MODELS.program.fingerprint
FEW = 20_000
"""Bytes that stay in memory."""


@pytest.fixture(autouse=True)
def _little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_store, "BOUND", FEW)
    monkeypatch.setattr(local_states, "WINDOW", 7)


class Counting(RocksStates):
    """States on disk; notes what was asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, FINGERPRINT, 0)
        self.asked = asked = []
        read = self.read

        def noted(keys: list[bytes]) -> list[bytes | None]:
            asked.append([key[1:].decode() for key in keys])
            return read(keys)

        self.read = noted


class OnDisk(Played):
    """A log, played with states on disk; a restart finds them there."""

    def __init__(self, folder: Path, *played: Any, **how: Any) -> None:
        self._folder, self.disk, self.most = folder, None, 0
        super().__init__(*played, **how)

    def _engine(self, make: Any) -> Any:
        if self.disk is not None:
            self.disk.close()
        self.disk = Counting(self._folder)
        engine = make(MODELS.program)
        engine.rest_in(self.disk)
        return engine

    def _keep(self, *, ready: bool) -> bytes:
        meta = super()._keep(ready=ready)
        layouts = [(key, blob) for key, blob in self.states.items() if key[0] == "\0"]
        self.disk.keep(layouts, 0, "first", 0)
        engine = self.logic.engine
        if isinstance(engine, FastPartition):
            store = engine._store
            here = (len(blob) for person, blob in store.states.items() if person not in store.nobodies)
            self.most = max(self.most, sum(here))
        return meta


def dateless(states: dict[str, bytes | None]) -> dict[str, bytes | None]:
    """States without the hint of when they are due: on disk it is exact."""
    return {p: blob and redated(blob, 0) if p[0] != "\0" else blob for p, blob in states.items()}


@pytest.mark.parametrize("mode", ["event", "wall"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_messy_shop_on_disk_comes_out_as_in_memory_and_as_with_python(
    mode: str, seed: int, tmp_path: Path
) -> None:
    log = log_of_a_shop(seed)
    memory = Played(fast, log, mode, seed)
    core, python = (
        OnDisk(tmp_path / name, make, log, mode, seed)
        for name, make in (("core", lambda program: fast(program, cache=5)), ("python", Partition))
    )
    assert by_person(memory.records) == by_person(core.records) == by_person(python.records)
    assert memory.letters == core.letters == python.letters
    assert memory.counts == core.counts == python.counts
    assert cores(memory.states) == cores(core.states) == cores(python.states)
    assert memory.logic.population == core.logic.population
    # What stands on disk is what the changelog says, but for when it is due where that was looked at.
    there = {person: blob for person, blob in core.states.items() if blob is not None and person[0] != "\0"}
    assert dateless(there) == dateless(dict(core.disk.items()))
    assert {p: due_at(b) for p, b in python.disk.items()} == {p: due_at(b) for p, b in core.disk.items()}
    assert sorted(python.disk.due_from(-1)[0]) == sorted(core.disk.due_from(-1)[0])
    assert core.most <= FEW
    assert core.disk.asked  # who had left memory


def test_finished_batches_are_the_same_with_states_on_disk(tmp_path: Path) -> None:
    log = log_of_a_shop(3)
    memory = Played(fast, log, "event", 3, ready=True)
    disk = OnDisk(tmp_path / "0", lambda program: fast(program, cache=5), log, "event", 3, ready=True)
    assert {name: sorted(rows) for name, rows in memory.rows.items()} == {
        name: sorted(rows) for name, rows in disk.rows.items()
    }
    assert dateless(memory.states) == dateless(disk.states)


EVENTS = [
    event
    for record in simulate(ShopOptions(seed=5, customers=30, days=60))
    if record.value is not None and isinstance(event := MODELS.decoder.decode(record.value), Event)
]


def kept(states: RocksStates, partition: Partition) -> Any:
    """Drain, as a committed transaction."""
    drained = partition.drain()
    states.keep(drained.changes, 0, "first", 0)
    return drained


def lived(folder: Path) -> tuple[Counting, FastPartition]:
    """A partition with people on disk, just opened: nobody of them is in memory."""
    states, partition = opened(folder)
    for at in range(0, len(EVENTS), 100):
        for event in EVENTS[at : at + 100]:
            partition.apply(event, event.at)
        kept(states, partition)
    states.close()
    return opened(folder)


def opened(folder: Path) -> tuple[Counting, FastPartition]:
    states, partition = Counting(folder), fast(MODELS.program)
    partition.rest_in(states)
    return states, partition


def test_timers_of_people_on_disk_fire_after_a_restart_and_those_due_at_once_are_read_together(
    tmp_path: Path,
) -> None:
    states, partition = lived(tmp_path / "0")
    memory = fast(MODELS.program)
    memory.learn(MODELS.program.layout_bytes)
    for person, blob in states.items():
        memory.load(person, blob)
    until = max(event.at for event in EVENTS) + 500 * DAY
    assert memory.next_due == partition.next_due
    states.asked.clear()
    assert memory.fire(until, until) == partition.fire(until, until) > 100
    # Windows of the index, each read at once: most are not asked for one by one.
    assert len(states.asked) < sum(map(len, states.asked)) / 4
    expected, came = memory.drain(), kept(states, partition)
    assert by_person(expected.records) == by_person(came.records)
    assert dateless(dict(expected.changes)) == dateless(dict(came.changes))
    assert memory.timers_pending == partition.timers_pending
    states.close()


def test_whose_events_are_let_go_of_together_are_read_together(tmp_path: Path) -> None:
    states, partition = lived(tmp_path / "0")
    people = {event.person for event in EVENTS[:200]}
    for number, event in enumerate(EVENTS[:200]):
        partition.core.push(event, Tag(number))
    states.asked.clear()
    count, back = partition.core.release(NEVER, 1_000, 0, True)
    assert (200, None) == (count, back)
    assert [sorted(people)] == states.asked
    states.close()


class Tag:
    """A record."""

    topic = "j.events"

    def __init__(self, offset: int) -> None:
        self.offset = offset


def test_what_does_not_fit_into_memory_leaves_it_once_it_is_on_disk(tmp_path: Path) -> None:
    states, partition = opened(tmp_path / "0")
    for event in EVENTS[:400]:
        partition.apply(event, event.at)
    changes = partition.drain().changes
    people = {person for person, blob in changes if blob is not None and person[0] != "\0"}
    assert people == set(partition._store.states.people())  # not while it is nowhere else
    states.keep(changes, 0, "first", 0)
    assert [] == list(partition._store.states.people())
    assert people == set(partition.people()) == {person for person, _ in states.items()}
    assert len(people) == len(partition)
    states.close()


def test_who_has_left_before_the_drain_is_known_and_not_on_disk(tmp_path: Path) -> None:
    states, partition = opened(tmp_path / "0")
    memory = fast(MODELS.program)
    for event in EVENTS[:400]:
        for each in (memory, partition):
            each.apply(event, event.at)
    assert len(partition._store.states.people()) < 3  # those Python had to do with
    assert 20 < len(memory) == len(partition)
    assert set(memory.people()) == set(partition.people())
    expected, came = memory.drain(), kept(states, partition)
    assert dateless(dict(expected.changes)) == dateless(dict(came.changes))
    assert expected.population == came.population
    states.close()


def test_a_partition_that_is_let_go_of_leaves_nothing_in_memory(tmp_path: Path) -> None:
    states, partition = lived(tmp_path / "0")
    left = weakref.ref(states)
    states.close()
    del states, partition
    gc.collect()
    assert left() is None


LOOKS: dict[str, Callable[[FastPartition, str], Any]] = {
    "known": lambda partition, person: partition._store.known(person),
    "at rest": lambda partition, person: partition.at_rest(person) is not None,
    "decoded": lambda partition, person: partition.customer(person) is not None,
    "due": lambda partition, person: partition._store.due_of(person) < NEVER,
}


@pytest.mark.parametrize("look", LOOKS)
def test_whoever_is_looked_at_is_read_from_disk(look: str, tmp_path: Path) -> None:
    states, partition = lived(tmp_path / "0")
    person = next(event.person for event in EVENTS if event.customer_id)
    assert LOOKS[look](partition, person)
    assert not LOOKS[look](partition, "nobody")
    states.close()


def test_a_disk_that_cannot_be_read_is_told_of_and_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    states, partition = lived(tmp_path / "0")
    states.close()
    with pytest.raises(SettingsError, match="expected to read states there"):
        partition.apply(EVENTS[0], EVENTS[0].at)


def test_states_on_disk_are_no_reason_to_do_without_the_core() -> None:
    made = assemble(Settings(state_store="rocksdb", core="compiled"))
    assert isinstance(Engines(made)(), FastPartition)
