"""The shop's records reach files and Kafka as they are."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from journey_stream.errors import BrokerError
from journey_stream.kafka.security import client_options
from journey_stream.kafka.topics import ensure_topics
from journey_stream.settings import Settings
from journey_stream.shop import SOURCES, ShopOptions, ShopRecord, simulate
from journey_stream.shop.feed import feed
from journey_stream.shop.files import write_files

MESSY = ShopOptions(seed=2, customers=30, days=40, poison=0.02, duplicates=0.03)


def test_each_source_gets_a_file_with_its_values_in_order(tmp_path: Path) -> None:
    records = list(simulate(ShopOptions(seed=2, customers=30, days=40)))

    written = write_files(records, tmp_path / "new" / "folder")

    for source in SOURCES:
        path = tmp_path / "new" / "folder" / f"{source}.jsonl"
        assert path.read_bytes().splitlines() == [r.value for r in records if r.source == source]
        assert written.lines[str(path)] == len(path.read_bytes().splitlines())
    assert written.left_out == 0


def test_what_a_line_cannot_hold_is_left_out_and_counted(tmp_path: Path) -> None:
    records = list(simulate(MESSY))
    unwritable = [r for r in records if r.flaw in ("null_value", "empty", "time_ahead")]

    written = write_files(records, tmp_path)

    assert written.left_out == len(unwritable) > 0
    assert sum(written.lines.values()) == len(records) - len(unwritable)


async def test_kafka_gets_every_record_as_it_is(deployment: Callable[..., Settings]) -> None:
    settings = deployment()
    await ensure_topics(settings)
    topics = topics_of(settings)
    records = list(simulate(MESSY))
    told: list[int] = []

    sent = await feed(records, topics, client_options(settings), on_progress=told.append)

    assert sent == {topics[source]: count for source, count in Counter(r.source for r in records).items()}
    assert told[-1] == len(records)
    for source in SOURCES:
        assert await contents(settings, topics[source]) == Counter(
            (r.key, r.value, r.headers) for r in records if r.source == source
        )


def topics_of(settings: Settings) -> dict[str, str]:
    return {source: f"{settings.topic_prefix}.{source}" for source in SOURCES}


async def contents(settings: Settings, topic: str) -> Counter[tuple[bytes | None, bytes | None, object]]:
    """All that a topic holds now."""
    consumer = AIOKafkaConsumer(
        **client_options(settings), auto_offset_reset="earliest", max_partition_fetch_bytes=16 * 1024 * 1024
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(settings.source_partitions)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        found: Counter[tuple[bytes | None, bytes | None, object]] = Counter()
        for partition in partitions:
            while await consumer.position(partition) < ends[partition]:
                for batch in (await consumer.getmany(partition, timeout_ms=1_000)).values():
                    found.update((r.key, r.value, tuple(r.headers)) for r in batch)
        return found
    finally:
        await consumer.stop()


async def test_a_rate_slows_the_feed_down(deployment: Callable[..., Settings]) -> None:
    settings = deployment()
    await ensure_topics(settings)
    topics = topics_of(settings)

    began = time.monotonic()
    await feed(first(400, simulate(MESSY)), topics, client_options(settings), rate=500)

    assert 0.7 <= time.monotonic() - began < 5


def first(count: int, records: Iterable[ShopRecord]) -> Iterator[ShopRecord]:
    for number, record in enumerate(records):
        if number == count:
            return
        yield record


async def test_a_broker_that_is_away_gives_one_clear_error() -> None:
    nowhere = {"bootstrap_servers": "127.0.0.1:1", "request_timeout_ms": 500}

    with pytest.raises(BrokerError, match=r"expected a Kafka broker at 127\.0\.0\.1:1"):
        await feed([], dict.fromkeys(SOURCES, "t"), nowhere)
