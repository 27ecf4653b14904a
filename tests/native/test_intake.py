"""Intake by the compiled core hands on what Python's hands on: the same rows, to the same partitions, in order."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from journey_stream.deployment import assemble
from journey_stream.engine.partition import Partition
from journey_stream.kafka import hop
from journey_stream.kafka.compiled_intake import CompiledIntake
from journey_stream.kafka.engines import Engines
from journey_stream.kafka.intake import Intake
from journey_stream.kafka.sender import Row
from journey_stream.settings import Settings
from tests.kafka.log import START, event_bytes

native = pytest.importorskip("journey_stream_native")

TOPIC, PARTITION, PARTITIONS = "j.visits", 3, 4


DEPLOYMENT = assemble(Settings(journeys=["buyer-value"], core="compiled"))
DECODER = DEPLOYMENT.decoder
ENGINES = Engines(DEPLOYMENT)


def compiled(partitions: int) -> CompiledIntake:
    made = ENGINES.intake(DECODER, TOPIC, PARTITION, hop.Partitioner(partitions))
    assert isinstance(made, CompiledIntake)
    return made


class Source:
    """A record of a source."""

    topic, partition, timestamp_type = TOPIC, PARTITION, 0

    def __init__(self, offset: int, value: bytes | None, key: bytes | None, headers: Any) -> None:
        self.offset, self.value, self.key, self.headers = offset, value, key, headers
        self.timestamp = START // 1000 + offset


def referral(person: str) -> bytes:
    value = json.loads(event_bytes(f"r-{person}", person, START, "referral_converted"))
    value["properties"] = {"referrer_id": "old-friend"}
    return json.dumps(value).encode()


people = st.sampled_from(["c1", "c2", "c3", "é", ""])
values = st.one_of(
    st.builds(event_bytes, st.text(max_size=4), people, st.just(START)),
    st.builds(event_bytes, st.text(max_size=4), people, st.integers(START - 10**9, START + 10**12)),
    st.builds(referral, people),
    st.binary(max_size=30),
    st.none(),
)
headers = st.lists(
    st.tuples(st.sampled_from(["h", hop.HEADER, "é"]), st.none() | st.binary(max_size=4)), max_size=2
)
logs = st.lists(st.tuples(values, st.none() | st.binary(max_size=5), headers), max_size=30)


def sources(log: Any) -> list[Source]:
    return [Source(place * 3, value, key, tuple(h)) for place, (value, key, h) in enumerate(log)]


def rows_in(batches: Any) -> list[Row]:
    """Read batches as a consumer does."""
    found: list[Row] = []
    for batch in batches:
        batch._set_producer_state(1, 0, 0)
        records = MemoryRecords(bytes(batch._build()))
        while records.has_next():
            read = records.next_batch()
            assert read is not None
            assert read.validate_crc()
            found += ((each.key, each.value, list(each.headers)) for each in read)
    return found


@given(logs, st.integers(1, 10))
def test_rows_are_pythons_rows(log: Any, size: int) -> None:
    theirs = Intake(DECODER, TOPIC, PARTITION, hop.Partitioner(PARTITIONS))
    ours = compiled(PARTITIONS)
    expected: dict[int, list[Row]] = {}
    records, highest, found = sources(log), None, None
    ours.begin()
    for start in range(0, len(records), size):
        part = records[start : start + size]
        highest = theirs.take(part, expected, highest)
        found = ours.take(native.Fetched.of(part), {}, found)
    assert found == highest
    assert {p: rows_in(batches) for p, batches in ours.ready().items()} == expected
    assert +ours.counts == +theirs.counts


@given(logs)
def test_python_goes_on_with_records_as_the_core_fetched_them(log: Any) -> None:
    records = sources(log)
    rows: dict[int, list[Row]] = {}
    again: dict[int, list[Row]] = {}
    first = Intake(DECODER, TOPIC, PARTITION, hop.Partitioner(PARTITIONS))
    then = Intake(DECODER, TOPIC, PARTITION, hop.Partitioner(PARTITIONS))
    highest = first.take(records, rows, None)
    assert then.take(native.Fetched.of(records), again, None) == highest
    assert (again, then.counts) == (rows, first.counts)


@pytest.mark.parametrize("error", [native.CoreError("why"), native.Panic("why")])
def test_after_a_failure_of_the_core_intakes_and_engines_are_pythons(error: BaseException) -> None:
    engines, partitioner = Engines(DEPLOYMENT), hop.Partitioner(PARTITIONS)
    assert not engines.give_up(ValueError("of somebody else"))
    assert type(engines.intake(DECODER, TOPIC, PARTITION, partitioner)) is CompiledIntake
    assert engines.give_up(error)
    assert type(engines.intake(DECODER, TOPIC, PARTITION, partitioner)) is Intake
    assert type(engines()) is Partition


def test_what_was_not_handed_on_is_forgotten_when_it_begins_again() -> None:
    made = compiled(PARTITIONS)
    made.take(sources([(event_bytes("e", "c1", START), None, ())]), {}, None)
    made.begin()
    assert made.ready() == {}


def test_many_records_stand_in_several_batches_in_their_order() -> None:
    made = compiled(1)
    padding = (("padding", b"x" * 10_000),)
    made.begin()
    made.take(sources([(event_bytes(f"e{n}", "c1", START), None, padding) for n in range(200)]), {}, None)
    batches = made.ready()[0]
    assert len(batches) > 1
    offsets = [hop.unpack(row[2][0][1])[1] // 2 for row in rows_in(batches)]
    assert offsets == [place * 3 for place in range(200)]
