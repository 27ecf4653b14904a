"""States at rest in the core are what they are in Python's store, whatever is done with them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord
from engine.histories import PROGRAM
from hypothesis import given, settings
from hypothesis import strategies as st

from journey_stream.engine.packing import SAMPLES, is_packed
from journey_stream.engine.program import Program
from journey_stream.engine.state import HEADER, HEADER_1, VERSION
from journey_stream.engine.store import CUT_AT_ONCE, LAYOUT_KEY, Store
from journey_stream.errors import StateError
from journey_stream.values import MINUTE, NEVER

pytest.importorskip("journey_stream_native")

from journey_stream_native import Fetched

from journey_stream.engine.compiled_store import CompiledStore
from tests.native.cores import fast

PEOPLE = ("ann", "bob", "cyd", "anon:1", "é", "x" * 300)


def blob_of(
    *,
    due: int = 0,
    core: bytes = b"core",
    newest: int | None = None,
    ours: bool = True,
    version: int = VERSION,
) -> bytes:
    """A state with a history up to so many seconds, or with none."""
    head = bytes([version]) + due.to_bytes(8, "big") + (PROGRAM.fingerprint if ours else b"else")
    if version == 1:
        return head + core
    history = b"" if newest is None else (newest * MINUTE // 4).to_bytes(8, "big", signed=True) + b"entries"
    return head + len(core).to_bytes(4, "big") + core + history


cores = st.one_of(
    st.just(b""),
    st.binary(min_size=1, max_size=40),
    st.integers(0, 3_000).map(lambda size: bytes(n * n % 251 for n in range(size)) + b"."),
)
blobs = st.builds(
    blob_of,
    due=st.one_of(st.integers(0, 1_000), st.just(NEVER)),
    core=cores,
    newest=st.one_of(st.none(), st.integers(-9, 60)),
    ours=st.booleans(),
    version=st.sampled_from((VERSION, VERSION, VERSION, 1)),
)
people = st.sampled_from(PEOPLE)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), people, blobs),
        st.tuples(st.just("put"), people, blobs),
        st.tuples(st.just("load"), people, blobs),
        st.tuples(st.just("drop"), people),
        st.tuples(st.just("tidy"), st.sampled_from((0, 1, 3, 1_000))),
        st.tuples(st.just("cut"), st.integers(-10, 62).map(lambda quarter: quarter * MINUTE // 4)),
        st.tuples(st.just("cut"), st.just(NEVER)),
    ),
    max_size=40,
)


def pair(program: Program = PROGRAM) -> tuple[Store, CompiledStore]:
    """A store of each."""
    return Store(program), CompiledStore(program)


def both(stores: tuple[Store, CompiledStore], step: tuple[Any, ...]) -> None:
    """Do the same with both; they say the same."""
    name, *given = step
    said = [getattr(store, name)(*given) for store in stores]
    assert said[0] == said[1]


def alike(python: Store, core: CompiledStore, persons: tuple[str, ...] = (*PEOPLE, "nobody")) -> None:
    """All that can be asked is answered alike."""
    assert len(python) == len(core)
    assert len(python.blobs) == len(core.blobs)
    assert set(python.blobs) == set(core.blobs)
    assert python.nobodies == core.nobodies
    assert sorted(python.people()) == sorted(core.people())
    assert sorted(python.of_other_layouts()) == sorted(core.of_other_layouts())
    assert python.settling == core.settling
    for person in persons:
        assert python.at_rest(person) == core.at_rest(person)
        assert python.due_of(person) == core.due_of(person)
        assert python.known(person) == core.known(person)
        assert (person in python.nobodies) == (person in core.nobodies)
        assert (person in python.blobs) == (person in core.states)  # type: ignore[operator]
        for horizon in (-NEVER, 7 * MINUTE):
            assert python.history(person, horizon) == core.history(person, horizon)
        raw = core.blobs.get(person)
        assert (raw is None) == (python.blobs.get(person) is None)
        if raw is not None:
            assert raw == core.at_rest(person) or is_packed(raw)


@settings(max_examples=300, deadline=None)
@given(steps)
def test_they_are_alike(done: list[tuple[Any, ...]]):
    stores = pair()
    for step in done:
        both(stores, step)
        alike(*stores)


@settings(max_examples=40, deadline=None)
@given(steps, st.booleans())
def test_packed_ones_are_alike(done: list[tuple[Any, ...]], various: bool):
    stores = pair()
    for number in range(SAMPLES + 100):
        core = f"a core of {number * number if various else 7}, and what all have".encode() * 2
        both(stores, ("load", f"c-{number}", blob_of(due=number, core=core)))
    for step in done:
        both(stores, step)
        alike(*stores)
    both(stores, ("cut", NEVER))
    both(stores, ("tidy", 10_000))
    both(stores, ("tidy", 10_000))
    alike(*stores, tuple(stores[0].blobs))
    python, core = ({person for person, blob in store.blobs.items() if is_packed(blob)} for store in stores)
    assert python == core
    assert len(core) > SAMPLES
    for _, blob in stores[1].blobs.items():
        assert not is_packed(blob) or blob[13] & 0x7F == 0  # the first dictionary


def test_later_dictionaries_leave_former_ones_readable():
    store = CompiledStore(PROGRAM)
    known = {}
    for number in range(6_000):
        core = f"{number // 2_000}: {'abc'[number // 2_000] * (number % 97)} {number}".encode() * 3
        known[f"c-{number}"] = blob_of(due=number, core=core)
        store.load(f"c-{number}", known[f"c-{number}"])
    store.tidy(6_000)
    packed = [blob for _, blob in store.blobs.items()]
    assert {1, 0} == {blob[13] for blob in packed if is_packed(blob)}
    assert all(map(is_packed, packed))
    assert sum(map(len, packed)) < sum(map(len, known.values())) / 2
    assert known == {person: store.at_rest(person) for person in known}
    assert [store.due_of(f"c-{number}") for number in range(6_000)] == list(range(6_000))


def test_a_restart_is_not_one_long_halt():
    stores = pair()
    for number in range(CUT_AT_ONCE + 700):
        both(stores, ("put", f"c-{number}", blob_of(core=b"" if number % 2 else b"core", newest=number % 3)))
    for _ in range(3):
        both(stores, ("cut", 5 * MINUTE))
        alike(*stores)
    assert stores[1].settling == 0


@pytest.mark.parametrize(
    "blob",
    [b"", b"\x02", b"\x09" * 40, b"\xf0" * 40, bytes([1]) + bytes(HEADER_1 - 2), bytes([2] * (HEADER - 1))],
)
def test_what_no_version_reads_is_told(blob: bytes):
    for store in pair():
        with pytest.raises(StateError):
            store.load("ann", blob)
        assert len(store.blobs) == 0


def test_whoever_comes_and_goes_does_not_fill_the_list_of_what_is_to_be_packed():
    stores = pair()
    for _ in range(5_000):
        both(stores, ("put", "ann", blob_of(newest=1)))
        both(stores, ("put", "ann", blob_of()))
    both(stores, ("tidy", 10_000))
    alike(*stores)


def test_packing_and_looking_at_the_same_time_neither_wait_for_ever_nor_differ():
    store = CompiledStore(PROGRAM)
    known = {
        f"c-{number}": blob_of(due=number, core=f"core of {number}".encode() * 9) for number in range(20_000)
    }
    for person, blob in known.items():
        store.put(person, blob)
    with ThreadPoolExecutor(2) as pool:
        tidied = [pool.submit(store.tidy, 1_000) for _ in range(25)]
        found = [{person: store.at_rest(person) for person in known} for _ in range(5)]
        for each in tidied:
            each.result(timeout=60)
    assert all(each == known for each in found)
    assert all(is_packed(blob) for _, blob in store.blobs.items())


def test_a_changelog_is_taken_in_runs_up_to_what_is_no_readable_state_of_somebody() -> None:
    rows: list[tuple[bytes, bytes | None]] = [
        (b"ann", blob_of(due=5)),
        (b"bob", blob_of(due=3, ours=False)),
        (LAYOUT_KEY.encode() + b"1", PROGRAM.layout_bytes),
        (b"\0checkpoint", b"meta"),
        (b"cyd", blob_of(due=9, newest=4)),
        (b"cyd", None),
        (b"ann", blob_of(due=7)),
        (b"dan", b"torn"),
        (b"\xff", blob_of()),
        (b"eve", blob_of(due=NEVER)),
    ]
    records = Fetched.of(
        [
            ConsumerRecord("c", 0, offset, 0, 0, key, value, 0, -1, 0, ())
            for offset, (key, value) in enumerate(rows)
        ]
    )
    one, other = fast(PROGRAM), fast(PROGRAM)
    stops, place = [], 0
    while (place := one.load_run(records, place)) < len(rows):
        stops.append(place)
        place += 1
    assert stops == [2, 3, 5, 7, 8]
    for place in (0, 1, 4, 6, 9):
        key, value = rows[place]
        other.load(key.decode(), value)
    assert dict(one._store.blobs.items()) == dict(other._store.blobs.items())
    assert (one.next_due, one.timers_pending) == (other.next_due, other.timers_pending)
    assert one.load_run([], 0) == 0
