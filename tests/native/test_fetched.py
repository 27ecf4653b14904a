"""Record batches read by the compiled core are what aiokafka reads; what it does not read, it says so."""

from __future__ import annotations

import random
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from journey_stream.kafka import fetched
from journey_stream.kafka.fetched import _Chunks, _Response, pieces

native = pytest.importorskip("journey_stream_native")

TP = TopicPartition("visits", 3)
ATTRIBUTES = ("topic", "partition", "offset", "timestamp", "timestamp_type", "key", "value", "headers")
CONTROL = 0x20
NONE, GZIP, LZ4, TRANSACTIONAL = 0, 1, 3, True

fields = st.none() | st.binary(max_size=200)
headers = st.lists(st.tuples(st.text(max_size=8), fields), max_size=3)
rows = st.lists(st.tuples(st.integers(0, 2**42), fields, fields, headers), min_size=1, max_size=6)
batches = st.lists(
    st.tuples(rows, st.sampled_from((NONE, NONE, GZIP, LZ4)), st.sampled_from((None, 7, 8))), max_size=5
)


def batch(
    rows: list[Any], *, offset: int = 0, codec: int = NONE, producer: int | None = None, control: bool = False
) -> bytes:
    """Make a batch as a broker keeps it."""
    transactional = producer is not None
    builder = DefaultRecordBatchBuilder(2, codec, transactional, producer or -1, 0, 0, 1 << 20)
    for place, (at, key, value, headers) in enumerate(rows):
        assert builder.append(place, at, key, value, headers) is not None
    made = bytearray(builder.build())
    made[0:8] = offset.to_bytes(8, "big")
    if control:
        made[22] |= CONTROL
        resealed(made)
    return bytes(made)


def resealed(made: bytearray) -> None:
    """Write the checksum anew."""
    made[17:21] = calc_crc32c(bytes(made[21:])).to_bytes(4, "big")


def marker(producer: int, offset: int, *, commit: bool) -> bytes:
    """Make the end of a transaction."""
    key = (0).to_bytes(2, "big") + int(commit).to_bytes(2, "big")
    return batch([(0, key, b"\0" * 6, [])], offset=offset, producer=producer, control=True)


def seen(records: Any) -> list[tuple[Any, ...]]:
    return [tuple(getattr(record, name) for name in ATTRIBUTES) for record in records]


def ours(data: bytes, aborted: Any = (), start: int = 0) -> tuple[list[tuple[Any, ...]], int]:
    chunks = _Chunks(TP, _Response(data), list(aborted), start, None, None, True, READ_COMMITTED)
    return [row for chunk in chunks for row in seen(chunk)], chunks.next_fetch_offset


def theirs(data: bytes, aborted: Any = (), start: int = 0) -> tuple[list[tuple[Any, ...]], int]:
    records = PartitionRecords(
        TP, MemoryRecords(data), list(aborted), start, None, None, True, READ_COMMITTED
    )
    return seen(records), records.next_fetch_offset


def assert_read_alike(data: bytes) -> None:
    """Hold ours to theirs: the same records, or the same error."""
    try:
        expected = theirs(data)
    except Exception as error:
        with pytest.raises(type(error)):
            ours(data)
    else:
        assert ours(data) == expected


def response(described: list[tuple[list[Any], int, int | None]]) -> bytes:
    made, offset = [], 10
    for rows, codec, producer in described:
        made.append(batch(rows, offset=offset, codec=codec, producer=producer))
        offset += len(rows)
    return b"".join(made)


@given(batches.filter(bool), st.integers(0, 5), st.integers(0, 400))
def test_what_the_core_reads_is_what_aiokafka_reads(described: Any, into: int, cut: int) -> None:
    data = response(described)
    # Brokers begin with the batch that holds what was asked for.
    start = 10 + min(into, len(described[0][0]) - 1)
    for part in (data, data[: len(data) - cut]):
        assert ours(part, start=start) == theirs(part, start=start)


@given(batches.filter(bool))
def test_the_core_reads_plain_and_packed_batches_itself(described: Any) -> None:
    chunk, _ = native.Fetched.read("visits", 3, response(described), 0, [], unpack)
    assert seen(chunk) == theirs(response(described))[0]


def unpack(codec: int, packed: bytes) -> bytes:
    return fetched._unpack(codec, packed)


def test_what_was_aborted_is_left_out_and_what_was_committed_is_not() -> None:
    row = [(1_000, b"k", b"v", [])]
    data = b"".join(
        (
            batch(row, offset=0, producer=7),
            batch(row, offset=1, producer=8),
            marker(7, 2, commit=False),
            batch(row, offset=3, producer=7),
            marker(7, 4, commit=True),
            marker(8, 5, commit=True),
        )
    )
    found, position = ours(data, [(7, 0)])
    assert [row[2] for row in found] == [1, 3]
    assert position == 6
    assert (found, position) == theirs(data, [(7, 0)])


def test_a_response_of_nothing_but_marks_moves_the_position() -> None:
    assert ours(marker(7, 4, commit=True)) == ([], 5)


def test_what_stands_behind_a_batch_that_lies_about_its_place_is_left_out_as_aiokafka_does() -> None:
    row = [(0, None, b"v", [])]
    data = batch(row, offset=0) + batch(row, offset=65_536) + batch(row, offset=2)
    assert_read_alike(data)
    assert [0, 65_536] == [row[2] for row in ours(data)[0]]


@given(batches.filter(bool), st.randoms(use_true_random=False))
def test_torn_batches_are_told_as_aiokafka_tells_them(described: Any, random: random.Random) -> None:
    data = bytearray(response(described))
    data[random.randrange(12, len(data))] ^= 1 << random.randrange(8)
    assert_read_alike(bytes(data))


@given(st.binary(min_size=61, max_size=300))
def test_any_bytes_behind_a_right_checksum_are_read_alike(noise: bytes) -> None:
    data = bytearray(batch([(5, b"k", b"v" * 40, [("h", b"x")])]))
    end = min(len(data), 61 + len(noise) - 61)
    data[61:end] = noise[: end - 61]
    resealed(data)
    assert_read_alike(bytes(data))


def test_a_codec_that_is_not_there_is_aiokafkas_to_tell() -> None:
    data = bytearray(batch([(5, b"k", b"v", [])]))
    data[22] |= 5
    resealed(data)
    with pytest.raises((AssertionError, CorruptRecordException, Exception)) as told:
        theirs(bytes(data))
    with pytest.raises(told.type):
        ours(bytes(data))


def test_a_sequence_of_records_behaves_as_a_list() -> None:
    row = (1_000, b"k", b"v", [("h", b"x"), ("none", None)])
    (chunk,) = _Chunks(TP, _Response(batch([row] * 5)), [], 0, None, None, True, READ_COMMITTED)
    listed = list(chunk)
    assert len(chunk) == 5
    assert seen(chunk[1:3]) == seen(listed[1:3])
    assert seen(chunk[1:4][1:]) == seen(listed[2:4])
    assert chunk[-1].offset == 4
    assert seen(native.Fetched.of(listed)) == seen(listed)
    with pytest.raises(IndexError):
        chunk[5]
    assert [len(piece) for _, piece in pieces({TP: [chunk]}, 2)] == [2, 2, 1]
