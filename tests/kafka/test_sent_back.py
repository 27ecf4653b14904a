"""What workers make of records that come in transactions, and of dead letters that were sent back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from journey_stream.cli import run
from journey_stream.letters import AS_OF, COUNT, OF
from journey_stream.settings import Settings, TopicNames
from journey_stream.values import DAY, HOUR, SECOND, rfc3339
from tests.kafka.cluster import WorkerProcess, client, ended, eventually, read_all, read_values, send, topics

Make = Callable[..., Settings]


def now() -> int:
    return time.time_ns() // 1000


def event(event_id: str, at: int, type: str = "order_completed", person: str = "c1") -> bytes:
    fields = {"event_id": event_id, "type": type, "occurred_at": rfc3339(at), "customer_id": person}
    return json.dumps({**fields, "properties": {"order_id": event_id}}).encode()


async def redrive(settings: Settings, *more: str) -> None:
    flags = ["-b", settings.bootstrap_servers, "--application-id", settings.application_id]
    flags += ["--topic-prefix", settings.topic_prefix, "--send", *more]
    assert 0 == await asyncio.to_thread(run, ["redrive", *flags])


async def letters(settings: Settings, count: int) -> list[Any]:
    async def there() -> list[Any]:
        found = await read_all(settings, TopicNames.of(settings).dead_letters)
        return found if len(found) >= count else []

    return await eventually(there)  # type: ignore[no-any-return]


@pytest.mark.slow
async def test_a_timer_waits_for_what_stands_in_a_transaction_that_is_still_open(
    deployment: Make, tmp_path: Path
) -> None:
    settings = deployment(idle_after=SECOND // 2)
    names = await topics(settings)
    await send(settings, [(names.sources[1], 1, None, event("o0", now() - 60 * SECOND, person="c0"), [])])
    worker = WorkerProcess(settings, tmp_path)
    producer = AIOKafkaProducer(**client(settings), transactional_id=f"{settings.application_id}-shop")
    with ended([worker]):
        await _moves(settings, 1)
        await producer.start()
        await producer.begin_transaction()
        due = now() + 5 * SECOND
        visit = event("o2", due - HOUR + SECOND, "page_viewed")  # the timer is due an hour after this one
        await producer.send_and_wait(names.sources[0], visit, partition=0)
        await send(settings, [(names.sources[1], 0, None, event("o1", due - HOUR), [])])
        moves = await _moves(settings, 2)
        while now() < due + 3 * SECOND:
            await asyncio.sleep(0.5)
        assert moves == await _moves(settings, 2), "nobody knows yet whether c1 has been silent"
        await producer.commit_transaction()
        await producer.begin_transaction()
        await producer.send_and_wait(
            names.sources[0], event("never", due - HOUR, "order_completed"), partition=0
        )
        await producer.abort_transaction()
        await producer.stop()
        # The end of a source partition is now the mark of a transaction: time goes on nevertheless.
        soon = now() + 3 * SECOND
        await send(settings, [(names.sources[1], 1, None, event("o3", soon - HOUR, person="c2"), [])])

        async def c2_is_silent() -> bool:
            return any("c2/silence" in m["transition_id"] for m in await _moves(settings, 1))

        await eventually(c2_is_silent)
        told = [m["transition_id"] for m in await _moves(settings, 1) if m["customer_id"] == "c1"]
        assert ["c1/order/o1", f"c1/silence/{due + SECOND}"] == told
        assert 0 == worker.terminate()


async def _moves(settings: Settings, least: int) -> list[dict[str, Any]]:
    async def there() -> list[dict[str, Any]]:
        found = await read_values(settings, TopicNames.of(settings).transitions)
        found.sort(key=lambda move: move["transition_id"])
        return found if len(found) >= least else []

    return await eventually(there)  # type: ignore[no-any-return]


@pytest.mark.slow
async def test_what_came_too_late_counts_as_of_now_and_only_once(deployment: Make, tmp_path: Path) -> None:
    settings = deployment(idle_after=SECOND // 2, journeys=["buyer-value"])
    names = await topics(settings)
    began = now()
    await send(settings, [(names.sources[1], 0, None, event("new", began - HOUR), [])])
    worker = WorkerProcess(settings, tmp_path, module="journey_stream")
    with ended([worker]):
        await _moves(settings, 1)
        old = event("old", began - 30 * DAY)
        await send(settings, [(names.sources[2], 3, b"k", old, [("trace", b"1")])])
        (letter,) = await letters(settings, 1)
        assert (b"too_late", old) == (dict(letter.headers)["journey_stream_reason"], letter.value)

        await redrive(settings)  # as it is: too late it stays
        _, again = await letters(settings, 2)
        headers = dict(again.headers)
        assert (b"too_late", b"1") == (headers["journey_stream_reason"], headers[COUNT])
        assert f"{names.sources[2]}/3/0".encode() == headers[OF]
        assert [("trace", b"1")] == [pair for pair in again.headers if "journey_stream" not in pair[0]]

        await redrive(settings, "--as-of", "now")

        async def counted() -> list[dict[str, Any]]:
            found = [m for m in await _moves(settings, 1) if m["cause"]["event_id"] == "old"]
            return found if any(m["to"] == "early_repeat_buyer" for m in found) else []

        found = await eventually(counted)
        (move,) = (m for m in found if m["to"] == "early_repeat_buyer")
        assert move["late"]
        assert rfc3339(began) < move["occurred_at"] < rfc3339(now())
        assert 2 == move["attributes"]["orders"]

        await redrive(settings, "--as-of", "now", "--again")  # both letters hold the same event
        sources = await read_all(settings, names.sources[2])
        assert [5, 3] == [len(sources), sum(AS_OF in dict(record.headers) for record in sources)]
        # Two came again on the one partition; what follows there is handed on behind them.
        await send(settings, [(names.sources[2], 3, None, event("last", now(), person="c9"), [])])

        async def last() -> bool:
            return any(m["cause"]["event_id"] == "last" for m in await _moves(settings, 1))

        await eventually(last)
        await asyncio.sleep(1)
        assert len(found) == sum(m["cause"]["event_id"] == "old" for m in await _moves(settings, 1))
        assert 2 == len(await letters(settings, 2))
        assert 0 == worker.terminate()


@pytest.mark.slow
async def test_what_an_engine_refused_is_retried_and_a_filter_mends_what_a_sender_did_wrong(
    deployment: Make, tmp_path: Path
) -> None:
    settings = deployment(idle_after=SECOND // 2)
    names = await topics(settings)
    at = now() - 600 * SECOND
    rows = [event("poison", at), event("wrong", at, "never_heard_of"), event("good", at)]
    await send(settings, [(names.sources[1], n, b"k", value, []) for n, value in enumerate(rows)])
    worker = WorkerProcess(settings, tmp_path)
    with ended([worker]):
        await letters(settings, 2)
        mend = "sed -e s/never_heard_of/order_completed/g -e s/poison/antidote/g"
        await redrive(settings, "--filter", mend)

        async def mended() -> bool:
            return {"good", "wrong", "antidote"} == {
                m["transition_id"].rpartition("/")[2]
                for m in await _moves(settings, 3)
                if "/order/" in m["transition_id"]
            }

        await eventually(mended)
        assert 2 == len(await letters(settings, 2))
        assert 0 == worker.terminate()
