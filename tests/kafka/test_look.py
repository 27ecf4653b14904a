"""Looking at a running deployment from the side: what is committed, and nothing else moves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from journey_stream.deployment import assemble
from journey_stream.engine.partition import Partition
from journey_stream.engine.view import view
from journey_stream.kafka.look import find, partition_of
from journey_stream.kafka.reading import Where, reader
from journey_stream.settings import Settings
from journey_stream.values import HOUR, SECOND, Event, rfc3339
from tests.kafka.cluster import WorkerProcess, client, ended, eventually, read_values, send, topics

Make = Callable[..., Settings]


def order(event_id: str, person: str, at: int, **more: Any) -> bytes:
    fields = {"event_id": event_id, "type": "order_completed", "occurred_at": rfc3339(at), **more}
    return json.dumps({"customer_id": person, "properties": {"order_id": event_id}, **fields}).encode()


async def _read(settings: Settings, topic: str, where: Where | None = None) -> list[bytes]:
    async with reader(client(settings)) as r:
        return [record.value async for batch in r.read(topic, where=where or Where()) for record in batch]


async def test_reading_sees_what_is_committed_up_to_the_end_and_from_where_it_is_told(
    deployment: Make,
) -> None:
    settings = deployment()
    names = await topics(settings)
    source = names.sources[0]
    await send(settings, [(source, n % 4, None, b"early%d" % n, []) for n in range(40)])
    await send_late(settings, source)
    assert 44 == len(await _read(settings, source))
    assert 4 == len(await _read(settings, source, Where(tail=2)))
    assert [] == await _read(settings, source, Where(since=int(time.time() * SECOND) + HOUR))
    assert [] == await _read(settings, names.signals)


async def send_late(settings: Settings, source: str) -> None:
    """Four that are committed, then four that are aborted."""
    producer = AIOKafkaProducer(**client(settings), transactional_id=f"{settings.application_id}-test")
    await producer.start()
    try:
        for word in (b"aborted", b"committed"):
            await producer.begin_transaction()
            for partition in range(4):
                await producer.send_and_wait(source, word, partition=partition)
            await (producer.abort_transaction() if word == b"aborted" else producer.commit_transaction())
    finally:
        await producer.stop()


async def test_a_customer_of_a_running_deployment_is_seen_as_the_worker_knows_them(
    deployment: Make, tmp_path: Path
) -> None:
    settings = deployment(journeys=["buyer-value", "relationship"], idle_after=SECOND)
    names = await topics(settings)
    now = int(time.time() * SECOND)
    values = [order(f"e{n}", f"c{n % 5}", now - HOUR + n * SECOND) for n in range(30)]
    await send(settings, [(names.sources[1], n % 4, None, value, []) for n, value in enumerate(values)])
    made = assemble(settings)
    local = Partition(made.program)
    for value in values:
        event = made.decoder.decode(value)
        assert isinstance(event, Event)
        local.apply(event, event.at)
    expected = local.customer("c3")
    assert expected is not None
    worker = WorkerProcess(settings, tmp_path, module="journey_stream")
    with ended([worker]):

        async def known() -> bool:
            moves = await read_values(settings, names.transitions)
            return {f"c{n}" for n in range(5)} == {
                m["customer_id"] for m in moves if m["to"] == "early_repeat_buyer"
            }

        await eventually(known)

        async def as_here() -> bool:
            async with reader(client(settings)) as r:
                found = await find(r, settings, made.program, "c3")
            assert partition_of(settings, "c3") == found.partition
            assert found.customer is not None
            assert found.checkpoint is not None
            return view(made.program, expected, now) == view(made.program, found.customer, now)

        await eventually(as_here)
        async with reader(client(settings)) as r:
            assert (await find(r, settings, made.program, "nobody")).customer is None
        admin = AIOKafkaAdminClient(**client(settings))
        await admin.start()
        groups = [name for name, _ in await admin.list_consumer_groups() if name != settings.application_id]
        await admin.close()
        assert [] == [name for name in groups if settings.application_id in name or not name]
        assert 0 == worker.terminate()
    assert "fenced" not in worker.text()
