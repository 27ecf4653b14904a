"""The hop carries the source record and where it stood, and finds the partition that every Kafka client finds."""

from __future__ import annotations

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from journey_stream.kafka import hop

topics = st.from_regex(r"[a-zA-Z0-9._-]{1,60}", fullmatch=True)
numbers = st.integers(0, 2**31 - 1)
offsets = st.integers(0, 2**62)


@given(topics, numbers, st.sampled_from([hop.EVENT, hop.DEAD]), offsets, offsets)
def test_coordinates_come_back_as_they_went(topic: str, partition: int, kind: int, sub: int, at: int) -> None:
    packed = hop.packer(hop.pack_source(topic, partition))(kind, sub, at)
    *found, source = hop.unpack(packed)
    assert [kind, sub, at] == found
    assert (topic, partition) == hop.unpack_source(source)


@given(st.binary(max_size=40))
def test_bytes_of_somebody_else_are_refused_or_read_but_never_crash(data: bytes) -> None:
    try:
        found = hop.unpack(data)
    except hop.HopFormatError:
        return
    assert found[0] in (hop.EVENT, hop.DEAD)


def test_a_header_of_a_newer_format_is_refused_with_the_way_out() -> None:
    packed = bytearray(hop.packer(hop.pack_source("t", 0))(hop.EVENT, 1, 1))
    packed[1] = 9
    with pytest.raises(hop.HopFormatError, match="upgrade this worker"):
        hop.unpack(bytes(packed))


@given(st.lists(st.tuples(topics, st.none() | offsets, st.booleans(), offsets, offsets), max_size=5))
def test_markers_come_back_as_they_went(rows: list[tuple[str, int | None, bool, int, int]]) -> None:
    progress = [hop.Progress(hop.pack_source(t, 0), h, idle, wall, p) for t, h, idle, wall, p in rows]
    assert progress == hop.unpack_marker(hop.pack_marker(progress))


@given(st.sampled_from(["not_json", "too_large"]), st.text())
def test_the_reason_of_a_dead_record_comes_back(reason: str, detail: str) -> None:
    known, text = hop.unpack_dead(hop.pack_dead(reason, detail))
    assert (reason, detail.encode("utf-8", "replace").decode()) == (known, text)


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=20), st.integers(1, 64))
def test_the_partition_is_the_one_that_kafka_clients_choose(keys: list[bytes], count: int) -> None:
    partitioner, kafkas = hop.Partitioner(count), DefaultPartitioner()
    every = list(range(count))
    assert [kafkas(key, every, every) for key in keys] == [partitioner(key) for key in keys]
    assert [kafkas(key, every, every) for key in keys] == [partitioner(key) for key in keys]


def test_the_memory_of_partitions_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hop, "_CACHE", 10)
    partitioner = hop.Partitioner(4)
    for number in range(100):
        partitioner(b"%d" % number)
    assert len(partitioner._known) <= 10
