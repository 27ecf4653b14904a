"""One transaction: all of it or nothing; a newer owner fences the older one; failures are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.errors import KafkaError, ProducerFenced
from aiokafka.partitioner import DefaultPartitioner

from journey_stream.errors import BrokerError, StateError
from journey_stream.kafka.changelog import META_KEY, read_changelog
from journey_stream.kafka.checkpoint import Writer
from journey_stream.kafka.coordinator import committed_of
from journey_stream.kafka.sender import Sender, in_batches
from journey_stream.kafka.topics import admin_client
from journey_stream.settings import Settings
from journey_stream.values import Out
from tests.kafka.cluster import client, read_all, topics


def writer(settings: Settings, **chosen: Any) -> Writer:
    own = {
        "application_id": settings.application_id,
        "partition": 1,
        "partitions": settings.partitions,
    }
    return Writer(client(settings), **{**own, **chosen})


async def committed(settings: Settings) -> dict[tuple[str, int], int]:
    async with admin_client(settings) as admin:
        return await committed_of(admin, settings.application_id)


async def restored(settings: Settings, topic: str) -> tuple[dict[bytes, bytes | None], bytes | None]:
    states: dict[bytes, bytes | None] = {}
    meta = await read_changelog(client(settings), topic, 1, states.__setitem__, lambda at, end: None)
    return states, meta


def out(topic: str, value: bytes, key: bytes | None = b"c") -> Out:
    return Out(topic, key, value, (("h", b"1"),), key)


async def test_records_states_and_offsets_arrive_together(deployment: Callable[..., Settings]) -> None:
    settings = deployment()
    names = await topics(settings)
    one = writer(settings)
    await one.start()
    await one.commit(
        [out(names.transitions, b"a"), out(names.signals, b"b"), out(names.dead_letters, b"d", None)],
        names.changelog,
        [(b"c", b"state"), (b"gone", None), (META_KEY, b"meta")],
        {(names.events, 1): 42},
    )
    await one.stop()
    [found] = await read_all(settings, names.transitions)
    assert (1, b"c", b"a", (("h", b"1"),)) == (found.partition, found.key, found.value, found.headers)
    assert [b"d"] == [r.value for r in await read_all(settings, names.dead_letters)]
    assert ({b"c": b"state", b"gone": None}, b"meta") == await restored(settings, names.changelog)
    assert {(names.events, 1): 42} == await committed(settings)


async def test_the_newer_owner_fences_the_older_before_it_reads(deployment: Callable[..., Settings]) -> None:
    settings = deployment()
    names = await topics(settings)
    old, new = writer(settings), writer(settings)
    await old.start()
    await old.commit([out(names.transitions, b"1")], names.changelog, [(b"c", b"1")], {(names.events, 1): 1})
    # The old owner dies in the middle of a transaction ...
    await _begin(old, names.changelog, b"never")
    # ... and the new one sees nothing of it, as soon as it has started.
    await new.start()
    assert ({b"c": b"1"}, None) == await restored(settings, names.changelog)
    with pytest.raises(KafkaError):
        await _begin(old, names.changelog, b"zombie")
    with pytest.raises(ProducerFenced):
        await old._transactions._end(committed=True)
    await new.commit([out(names.transitions, b"2")], names.changelog, [(b"c", b"2")], {(names.events, 1): 2})
    assert ({b"c": b"2"}, None) == await restored(settings, names.changelog)
    assert [b"1", b"2"] == [r.value for r in await read_all(settings, names.transitions)]
    await old.stop()
    await new.stop()


async def test_a_fenced_owner_hears_of_it(deployment: Callable[..., Settings]) -> None:
    settings = deployment()
    names = await topics(settings)
    old, new = writer(settings), writer(settings)
    await old.start()
    await new.start()
    with pytest.raises(ProducerFenced):
        await old.commit(
            [out(names.transitions, b"x")], names.changelog, [(b"c", b"x")], {(names.events, 1): 1}
        )
    assert [] == await read_all(settings, names.transitions)
    await old.stop()
    await new.stop()


async def test_one_record_that_fails_takes_all_others_with_it(deployment: Callable[..., Settings]) -> None:
    settings = deployment(max_record_bytes=1 << 20)
    names = await topics(settings)
    one = writer(settings)
    await one.start()
    too_large = b"x" * (8 << 20)
    with pytest.raises(KafkaError):
        await one.commit(
            [out(names.transitions, b"good"), out(names.signals, too_large)],
            names.changelog,
            [(b"c", b"state")],
            {(names.events, 1): 7},
        )
    await one.stop()
    assert [] == await read_all(settings, names.transitions)
    assert ({}, None) == await restored(settings, names.changelog)
    assert {} == await committed(settings)


async def test_batches_larger_than_one_request_keep_their_order(deployment: Callable[..., Settings]) -> None:
    settings = deployment()
    names = await topics(settings)
    sender = Sender(client(settings), settings.max_record_bytes)
    await sender.start()
    rows = [(b"%d" % n, b"v" * 3000, []) for n in range(1000)]
    await sender.send(names.events, 0, rows, "gzip")
    await sender.send(names.events, 0, [(None, None, [("only", b"headers")])])
    await sender.stop()
    found = await read_all(settings, names.events)
    assert [key for key, _, _ in rows] == [r.key for r in found[:-1]]
    assert (None, None) == (found[-1].key, found[-1].value)


async def test_another_partition_count_out_is_chosen_by_the_key(deployment: Callable[..., Settings]) -> None:
    settings = deployment(partitions=4)
    names = await topics(settings)
    one = writer(settings, partitions=3)
    await one.start()
    await one.commit(
        [out(names.transitions, b"a", b"customer-1")], names.changelog, [], {(names.events, 1): 1}
    )
    await one.stop()
    [found] = await read_all(settings, names.transitions)
    every = list(range(4))
    assert DefaultPartitioner()(b"customer-1", every, every) == found.partition


async def test_a_changelog_without_the_partition_is_refused(deployment: Callable[..., Settings]) -> None:
    settings = deployment(partitions=1)
    names = await topics(settings)
    with pytest.raises(StateError, match="as many partitions as the keyed topic"):
        await restored(settings, names.changelog)


async def test_a_topic_that_nobody_made_is_named(deployment: Callable[..., Settings]) -> None:
    settings = deployment()
    await topics(settings)
    sender = Sender(client(settings), 1000)
    await sender.start()
    sender._producer.client._wait_on_metadata = _nothing  # type: ignore[method-assign]
    with pytest.raises(BrokerError, match="expected at least one partition"):
        await sender.counts.of("nowhere")
    await sender.stop()


async def _begin(one: Writer, changelog: str, state: bytes) -> None:
    """All of a transaction but its end."""
    batches = in_batches([(b"c", state, [])], "none", transactional=True)
    await one._transactions._join([(changelog, 1)])
    await one._transactions._produce({(changelog, 1): batches}, lambda place, offset: None)


async def _nothing(topic: str) -> set[int]:
    return set()
