"""States that rest for long: smaller, and what comes of them is the same."""

from __future__ import annotations

import statistics

import pytest
from msgspec.structs import replace

from journey_stream.deployment import assemble
from journey_stream.engine import packing
from journey_stream.engine.packing import Packing, is_packed
from journey_stream.engine.partition import LAYOUT_KEY, Drained, Partition
from journey_stream.engine.state import due_at, due_of, fingerprint_of
from journey_stream.settings import Settings
from journey_stream.shop import ShopOptions, simulate
from journey_stream.values import DAY, HOUR, Event

MADE = assemble(Settings())
EVENTS = [
    event
    for record in simulate(ShopOptions(customers=150, days=60, out_of_order=0.1))
    if record.value is not None and isinstance(event := MADE.decoder.decode(record.value), Event)
]


def lived(*, batch: int = 50) -> tuple[Partition, list[Drained]]:
    """The shop's days, drained batch by batch, with time to tidy up now and then."""
    partition, drained, clock = Partition(MADE.program), [], 0
    for start in range(0, len(EVENTS), batch):
        partition.horizon = clock - HOUR - 1
        for event in EVENTS[start : start + batch]:
            partition.apply(event, event.at)
            clock = max(clock, event.at)
        partition.fire(clock, clock)
        drained.append(partition.drain())
        partition.tidy()
    partition.horizon = clock + HOUR
    drained.append(partition.drain())
    partition.tidy()
    return partition, drained


def blobs() -> list[bytes]:
    partition, _ = lived()
    return [blob for person in partition.people() if (blob := partition.encoded(person)) is not None]


def test_nothing_that_comes_of_customers_tells_whether_they_were_packed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain, said = lived()
    monkeypatch.setattr(packing, "SAMPLES", 20)
    monkeypatch.setattr(packing, "GROWTH", 3)
    packed, also_said = lived()

    assert said == also_said
    assert {p: plain.encoded(p) for p in plain.people()} == {p: packed.encoded(p) for p in packed.people()}
    resting = [blob for person, blob in packed._store.blobs.items() if packed._store.known(person)]
    assert len(resting) * 0.9 < sum(map(is_packed, resting))
    assert len(packed._store._packing._unpack) > 2


def test_states_are_packed_as_they_are_loaded_and_less_than_half_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, _ = lived()
    monkeypatch.setattr(packing, "SAMPLES", 60)
    after = Partition(MADE.program)
    after.load(LAYOUT_KEY + MADE.program.fingerprint.hex(), MADE.program.layout_bytes)
    states = {person: blob for person in before.people() if (blob := before.at_rest(person)) is not None}
    for person, blob in states.items():
        after.load(person, blob)
    after.tidy()
    assert states == {person: after.at_rest(person) for person in after.people()}
    size = statistics.fmean(map(len, states.values()))
    assert 0.55 * size > statistics.fmean(map(len, after._store.blobs.values()))
    assert [before._store.due_of(p) for p in states] == [after._store.due_of(p) for p in states]


def test_a_packed_state_tells_its_due_and_its_layout_without_being_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packing, "SAMPLES", 30)
    pack = Packing()
    states = blobs()
    packed = [pack.pack(state) for state in states]
    assert pack.ready
    for state, small in list(zip(states, packed, strict=True))[30:]:
        assert (due_of(state), fingerprint_of(state)) == (due_at(small), fingerprint_of(small))
        assert not pack.fits(small)


def test_what_was_packed_with_a_former_dictionary_stays_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "SAMPLES", 20)
    monkeypatch.setattr(packing, "GROWTH", 2)
    pack, kept = Packing(), []
    for state in blobs() * 4:
        small = pack.pack(state)
        kept.append((state, small))
    assert {0, 1, 2} <= {small[13] for _, small in kept if is_packed(small)}
    assert [state for state, _ in kept] == [pack.unpack(s) if is_packed(s) else s for _, s in kept]


def test_a_minute_of_many_customers_is_cut_off_in_several_drains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journey_stream.engine.store.CUT_AT_ONCE", 7)
    partition = Partition(MADE.program)
    first = EVENTS[0].at
    partition.horizon = first - 1
    shown = next(e for e in EVENTS if e.type == "page_viewed")
    for number in range(20):
        person = f"c{number}"
        event = replace(shown, event_id=f"e{number}", at=first, person=person, customer_id=person)
        partition.apply(event, event.at)
    partition.drain()
    partition.horizon = first + DAY
    left = []
    for _ in range(4):
        partition.drain()
        left.append(sum(map(len, partition._store._settling.values())))

    assert [13, 6, 0, 0] == left


def test_states_too_small_or_too_much_alike_to_learn_from_are_packed_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packing, "SAMPLES", 5)
    state = blobs()[0]
    for each in (state, state[:13] + (3).to_bytes(4, "big") + b"abc"):
        pack = Packing()
        small = [pack.pack(each) for _ in range(9)][-1]
        assert is_packed(small)
        assert each == pack.unpack(small)
