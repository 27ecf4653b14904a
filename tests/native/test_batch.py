"""The compiled core's record batches are aiokafka's, byte for byte, and aiokafka sends them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import RequestTimedOutError
from aiokafka.producer.message_accumulator import BatchBuilder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journey_stream.errors import StateError
from journey_stream.kafka.changelog import META_KEY
from journey_stream.kafka.sender import MAX_BATCH_BYTES, Sender
from journey_stream.settings import Settings
from journey_stream.values import Out
from tests.kafka.cluster import client, read_all, topics
from tests.kafka.test_checkpoint import restored, writer
from tests.native.test_joined import read

native = pytest.importorskip("journey_stream_native")
UNHURRIED = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
BYTES = st.none() | st.binary(max_size=200) | st.sampled_from([b"", b"x" * 63, b"x" * 64, b"x" * 9_000])
ROWS = st.lists(
    st.tuples(BYTES, BYTES, st.lists(st.tuples(st.text("aé-", max_size=9), BYTES), max_size=3)), max_size=80
)
Rows = list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]]


def built(
    rows: Rows, times: list[int], limit: int, transactional: bool, state: tuple[int, int, int]
) -> list[bytes]:
    """Batches as `Sender.send` cuts them."""

    def fresh() -> BatchBuilder:
        return BatchBuilder(limit, 0, is_transactional=transactional)

    batches = [fresh()]
    for (key, value, headers), at in zip(rows, times, strict=True):
        if batches[-1].append(timestamp=at, key=key, value=value, headers=headers) is None:
            batches.append(fresh())
            assert batches[-1].append(timestamp=at, key=key, value=value, headers=headers) is not None
    full = [batch for batch in batches if batch.record_count()]
    for batch in full:
        batch._set_producer_state(*state)
    return [bytes(batch._build()) for batch in full]


@UNHURRIED
@given(st.data(), ROWS, st.sampled_from([0, 100, 1_000, 20_000, MAX_BATCH_BYTES]), st.booleans())
def test_batches_are_the_bytes_of_aiokafka(
    data: st.DataObject, rows: Rows, limit: int, transactional: bool
) -> None:
    times = data.draw(st.lists(st.integers(0, 2**41), min_size=len(rows), max_size=len(rows)))
    state = data.draw(st.tuples(st.integers(0, 2**62), st.integers(0, 2**15 - 1), st.integers(0, 2**31 - 1)))
    expected = built(rows, times, limit, transactional, state)
    batches = native.ready_batches(rows, times, transactional, limit)
    assert len(expected) == len(batches)
    assert len(rows) == sum(batch.record_count() for batch in batches)
    for ready, bytes_ in zip(batches, expected, strict=True):
        ready._set_producer_state(*state)
        assert len(bytes_) == ready.size()
        assert bytes_ == ready._build()
        assert ready._build() is ready._build()
        assert len(bytes_) == ready.size()


@pytest.mark.parametrize("size", [1, 1_000, 65_000, 65_536, 300_000])
def test_large_batches_which_are_summed_as_they_come_have_the_checksum_of_aiokafka(size: int) -> None:
    rows: Rows = [(b"k", bytes([number % 251]) * size, []) for number in range(1 + 1_500_000 // (size + 500))]
    times, state = [number * 7 for number in range(len(rows))], (12, 3, 45)
    batches = native.ready_batches(rows, times, True)
    for ready in batches:
        ready._set_producer_state(*state)
    assert built(rows, times, MAX_BATCH_BYTES, True, state) == [bytes(ready._build()) for ready in batches]


@UNHURRIED
@given(
    st.data(),
    ROWS,
    st.sampled_from([1_000, 200_000, MAX_BATCH_BYTES]),
    st.booleans(),
    st.sampled_from(["gzip", "lz4", "zstd"]),
)
def test_compressed_batches_hold_what_plain_ones_hold(
    data: st.DataObject, rows: Rows, limit: int, transactional: bool, compression: str
) -> None:
    times = data.draw(st.lists(st.integers(0, 2**41), min_size=len(rows), max_size=len(rows)))
    plain = native.ready_batches(rows, times, transactional, limit)
    compressed = native.ready_batches(rows, times, transactional, limit, compression)
    assert read(plain) == read(compressed)
    assert all(batch.record_count() for batch in compressed)


@pytest.mark.parametrize(("compression", "alike"), [("gzip", 4), ("lz4", 4), ("zstd", 13)])
@pytest.mark.parametrize("repeated", [True, False])
def test_a_compressed_batch_is_never_too_large_and_holds_more_than_a_plain_one(
    compression: str, alike: int, repeated: bool
) -> None:
    random = Random(1)
    said = [random.randbytes(1_000) for _ in range(1 if repeated else 12_000)]
    rows: Rows = [(b"k", said[number % len(said)], []) for number in range(12_000)]
    made = native.ready_batches(rows, [0] * len(rows), True, MAX_BATCH_BYTES, compression)
    sizes = [batch.size() for batch in made]
    found = read(made)
    assert [row[1] for row in rows] == [value for _, _, value, _ in found]
    assert all(size < MAX_BATCH_BYTES for size in sizes)
    assert len(made) == alike if repeated else len(made) <= 17
    assert sum(sizes) < (500_000 if repeated else 13_000_000)


@pytest.mark.parametrize("compression", ["gzip", "lz4", "zstd"])
@pytest.mark.parametrize("size", [790_000, 900_000, 15_000_000])
def test_a_record_that_fills_a_batch_is_not_made_larger_than_it_is(compression: str, size: int) -> None:
    # Fixed codes of gzip have nine bits for each of these.
    value = bytes(Random(2).choices(range(0x90, 0x100), k=size))
    rows: Rows = [(b"k", b"small", []), (b"k", value, []), (b"k", b"small", [])]
    made = native.ready_batches(rows, [0, 0, 0], True, MAX_BATCH_BYTES, compression)
    found = [value for _, _, value, _ in read(made)]
    assert [b"small", value, b"small"] == found
    assert all(batch.size() < max(MAX_BATCH_BYTES, size + 1_000) for batch in made)


def test_a_codec_that_is_not_known_is_named() -> None:
    with pytest.raises(ValueError, match="expected none, gzip, lz4 or zstd, came snappy"):
        native.ready_batches([(b"k", b"v", [])], [5], True, MAX_BATCH_BYTES, "snappy")


def test_without_a_producer_id_a_batch_is_that_of_a_plain_producer() -> None:
    expected = BatchBuilder(1_000, 0)
    expected.append(timestamp=5, key=b"k", value=b"v", headers=[])
    [ready] = native.ready_batches([(b"k", b"v", [])], [5], False)
    assert bytes(expected._build()) == ready._build()


def test_a_ready_batch_is_closed_and_belongs_to_who_built_it() -> None:
    [ready] = native.ready_batches([(b"k", b"v", [])], [5], True)
    ready.close()
    assert ready.closed()
    assert ready.append(timestamp=None, key=b"k", value=b"v", headers=[]) is None
    assert 1 == ready.record_count()
    ready._build()
    with pytest.raises(RuntimeError, match="belongs to the producer"):
        ready._set_producer_state(1, 1, 1)


def test_what_was_built_is_read_where_it_lies() -> None:
    [ready] = native.ready_batches([(b"k", b"v" * 1_000_000, [])], [5], True)
    tracemalloc.start()
    try:
        built = ready._build()
        seen = [memoryview(built), memoryview(ready._build())]
        assert tracemalloc.get_traced_memory()[1] < 10_000
    finally:
        tracemalloc.stop()
    assert all(view.readonly and len(view) == len(built) > 1_000_000 for view in seen)
    assert b"".join([b"before", built, b"behind"]) == b"before" + bytes(built) + b"behind"


# On a real Kafka.

SOME: Rows = [
    (b"c-1", b'{"a":1}', [("ce_id", b"1"), ("empty", b""), ("none", None)]),
    ("é|four-cycles".encode(), None, []),
    (None, b"x" * 70_000, [("h", b"2")]),
]


def ready_of(
    rows: Rows, transactional: bool = True, limit: int = MAX_BATCH_BYTES, compression: str = "none"
) -> list[Any]:
    return native.ready_batches(rows, [1_767_225_600_123] * len(rows), transactional, limit, compression)


async def found(configured: Settings, topic: str) -> Rows:
    return [(r.key, r.value, list(r.headers)) for r in await read_all(configured, topic)]


async def test_an_idempotent_producer_sends_ready_batches(deployment: Callable[..., Settings]) -> None:
    configured = deployment()
    names = await topics(configured)
    sender = Sender(client(configured), 1 << 20)
    await sender.start()
    rows = SOME * 80
    batches = ready_of(rows, transactional=False)
    assert len(batches) > 3
    offset = await sender.send_ready(names.transitions, 2, batches)
    assert len(rows) - batches[-1].record_count() == offset
    # Between rows of our own making: the sequence numbers run on.
    await sender.send(names.transitions, 2, SOME)
    await sender.send_ready(names.transitions, 2, ready_of(SOME, transactional=False))
    await sender.stop()
    assert rows + SOME + SOME == await found(configured, names.transitions)


async def test_another_attempt_sends_the_same_batch_once(deployment: Callable[..., Settings]) -> None:
    configured = deployment()
    names = await topics(configured)
    sender = Sender(client(configured), 1 << 20)
    await sender.start()
    producer = sender._producer
    send, lost = producer.client.send, []

    async def answer_lost(node: int, request: Any, **chosen: Any) -> Any:
        answer = await send(node, request, **chosen)
        if type(request).__name__.startswith("Produce") and not lost:
            lost.append(request)
            raise RequestTimedOutError
        return answer

    producer.client.send = answer_lost
    await sender.send_ready(names.transitions, 0, ready_of(SOME, transactional=False))
    await sender.send_ready(names.transitions, 0, ready_of(SOME, transactional=False))
    await sender.stop()
    assert lost
    assert SOME + SOME == await found(configured, names.transitions)


@pytest.mark.parametrize(("public", "internal"), [("none", "none"), ("zstd", "gzip"), ("none", "lz4")])
async def test_a_transaction_takes_rows_and_ready_batches(
    public: str, internal: str, deployment: Callable[..., Settings]
) -> None:
    configured = deployment()
    names = await topics(configured)
    one = writer(configured, public_compression=public, internal_compression=internal)
    await one.start()
    states: Rows = [(b"c", b"state", []), (b"gone", None, [])]
    for number in (1, 2):
        await one.commit(
            [Out(names.transitions, b"c", b"row", (("h", b"1"),), b"c")],
            names.changelog,
            [(META_KEY, b"meta")],
            {(names.events, 1): number},
            {
                (names.transitions, 1): ready_of(SOME * 20, compression=public),
                # Compacted: no record without a key.
                (names.stages, 1): ready_of(SOME[:2], compression=public),
                (names.changelog, 1): ready_of(states, limit=1),
            },
        )
    await one.stop()
    # What the core did comes first: whoever it gave back to Python was Python's from then on.
    assert 2 * [*SOME * 20, (b"c", b"row", [("h", b"1")])] == await found(configured, names.transitions)
    assert 2 * SOME[:2] == await found(configured, names.stages)
    assert ({b"c": b"state", b"gone": None}, b"meta") == await restored(configured, names.changelog)
    # The meta record is the last of its transaction.
    assert 2 * [b"c", b"gone", META_KEY] == [key for key, _, _ in await found(configured, names.changelog)]


async def test_after_an_abort_there_is_nothing(deployment: Callable[..., Settings]) -> None:
    configured = deployment()
    names = await topics(configured)
    place = (names.transitions, 1)
    one = writer(configured)
    await one.start()
    await one._transactions._join([place])
    await one._transactions._produce({place: iter(ready_of(SOME))}, lambda *_: None)
    await one._transactions._end(committed=False)
    assert [] == await found(configured, names.transitions)
    await one.commit([], names.changelog, [], {}, {place: ready_of(SOME[:1])})
    await one.stop()
    assert SOME[:1] == await found(configured, names.transitions)


async def test_ready_states_in_a_changelog_made_anew_are_refused(deployment: Callable[..., Settings]) -> None:
    configured = deployment()
    names = await topics(configured)
    one = writer(configured)
    await one.start()
    one.changelog_end = 3  # as if it had ended there: what follows would begin at 0, and end beyond 3
    states: Rows = [(b"%d" % number, b"state", []) for number in range(9)]
    with pytest.raises(StateError, match="made anew"):
        await one.commit(
            [],
            names.changelog,
            [(META_KEY, b"m")],
            {(names.events, 1): 1},
            {(names.changelog, 1): ready_of(states)},
        )
    await one.stop()
    assert [] == await found(configured, names.changelog)


async def test_a_plain_transactional_producer_sends_a_ready_batch(
    deployment: Callable[..., Settings],
) -> None:
    configured = deployment()
    names = await topics(configured)
    producer = AIOKafkaProducer(**client(configured), transactional_id=f"{configured.application_id}-plain")
    await producer.start()
    async with producer.transaction():
        [ready] = ready_of(SOME)
        sent = await producer.send_batch(ready, names.signals, partition=0)
        assert 0 == (await sent).offset
    await producer.stop()
    assert SOME == await found(configured, names.signals)
    consumer = AIOKafkaConsumer(**client(configured), enable_auto_commit=False)
    await consumer.start()
    assert {TopicPartition(names.signals, 0): 4} == await consumer.end_offsets(
        [TopicPartition(names.signals, 0)]
    )
    await consumer.stop()
