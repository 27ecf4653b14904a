"""`pause` and `resume` on a real Kafka: what rests, rests through deaths and rebalances, and goes on right."""

from __future__ import annotations

import asyncio
import json
import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from journey_stream.kafka.look import partition_of
from journey_stream.settings import Settings, TopicNames, Web
from journey_stream.values import HOUR, SECOND, rfc3339
from tests.cli.conftest import Said
from tests.kafka.cluster import WorkerProcess, ended, eventually, read_values, send, topics

Make = Callable[..., Settings]
Call = Callable[..., Said]


def flags(settings: Settings) -> tuple[str, ...]:
    return (
        *("-b", settings.bootstrap_servers, "--application-id", settings.application_id),
        *("--topic-prefix", settings.topic_prefix),
    )


def now() -> int:
    return time.time_ns() // 1000


def person_of(settings: Settings, partition: int) -> str:
    return next(f"c{n}" for n in range(1000) if partition_of(settings, f"c{n}") == partition)


def event(event_id: str, person: str, at: int, type: str = "order_completed") -> bytes:
    fields = {"event_id": event_id, "type": type, "occurred_at": rfc3339(at), "customer_id": person}
    return json.dumps(fields).encode()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def page(port: int, name: str) -> str:
    def get() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}", timeout=20) as answer:
                return str(answer.read().decode())
        except OSError:
            return "{}"

    return await asyncio.to_thread(get)


async def moves(settings: Settings) -> list[str]:
    found = await read_values(settings, TopicNames.of(settings).transitions)
    return [f"{m['customer_id']} {m['rule']} {m['sequence']}" for m in found]


@pytest.mark.slow
async def test_a_paused_partition_rests_through_death_and_rebalance_and_goes_on_right(
    deployment: Make, call: Call, tmp_path: Path
) -> None:
    port = free_port()
    settings = deployment(idle_after=SECOND // 2, web=Web(port=port))
    names = await topics(settings)
    ann, ben = person_of(settings, 0), person_of(settings, 1)

    async def at_work() -> bool:
        ready = json.loads(await page(port, "ready") or "{}")
        return bool(ready.get("ready")) and ["working"] * 4 == list(ready["partitions"].values())

    async def rests() -> bool:
        ready = json.loads(await page(port, "ready"))
        return bool(
            ready.get("ready")
            and ready["partitions"] == {"0": "paused", "1": "working", "2": "working", "3": "working"}
            and ready["paused"] == [f"{names.events}/0"]
        )

    first = WorkerProcess(settings, tmp_path)
    workers = [first]
    with ended(workers):
        await eventually(at_work)
        # Time enough to pause before it: what it takes to start is behind us.
        due = now() + 15 * SECOND
        orders = [event(f"o-{who}", who, due - HOUR) for who in (ann, ben)]
        await send(settings, [(names.sources[1], 0, None, order, []) for order in orders])

        async def both() -> bool:
            return {f"{ann} order 1", f"{ben} order 1"} == set(await moves(settings))

        await eventually(both)
        said = await asyncio.to_thread(
            call, "pause", "--partition", "0", "--reason", "a test", *flags(settings)
        )
        assert f"{names.events}/0: paused\n" == said.out, said.err
        await eventually(rests)
        assert [f"{names.events}/0"] == json.loads(await page(port, "health"))["paused"]
        assert f'journey_stream_paused{{partition="0",topic="{names.events}"}} 1.0' in await page(
            port, "metrics"
        )
        # Ann looks in before she would have been silent for an hour; but that is read only after the pause.
        await send(settings, [(names.sources[0], 0, None, event("v", ann, due - SECOND, "page_viewed"), [])])

        async def ben_is_silent() -> bool:
            return f"{ben} silence 2" in await moves(settings)

        await eventually(ben_is_silent)
        await send(settings, [(names.sources[1], 1, None, event("o2", ann, now()), [])])
        await asyncio.sleep(1)
        first.kill()
        workers.append(WorkerProcess(settings, tmp_path, module="tests.kafka.slow_ear_worker"))
        await eventually(rests)
        other = deployment(**{**_own(settings), "web": Web(port=0)})
        (tmp_path / "other").mkdir()
        workers.append(WorkerProcess(other, tmp_path / "other"))

        async def shared() -> bool:
            return "assigned" in workers[2].text() and "taken over" in workers[2].text()

        await eventually(shared)
        await asyncio.sleep(1)
        assert [f"{ann} order 1"] == [move for move in await moves(settings) if move.startswith(ann)]

        said = await asyncio.to_thread(call, "resume", "--partition", "0", *flags(settings))
        assert f"{names.events}/0: goes on\n" == said.out, said.err

        async def ann_goes_on() -> bool:
            return any(move.startswith(f"{ann} order 2") for move in await moves(settings))

        await eventually(ann_goes_on)
        assert [f"{ann} order 1", f"{ann} order 2"] == sorted(
            move for move in await moves(settings) if move.startswith(ann)
        )
        assert [0, 0] == [worker.terminate() for worker in workers[1:]]
    assert f"{names.events}/0 is paused since" in workers[1].text()


def _own(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in ("application_id", "topic_prefix", "idle_after")}


@pytest.mark.slow
async def test_a_paused_source_is_not_read_and_time_waits_for_what_stands_there(
    deployment: Make, call: Call, tmp_path: Path
) -> None:
    settings = deployment(idle_after=SECOND // 2)
    names = await topics(settings)
    await send(settings, [(names.sources[1], 0, None, event("o0", "c0", now() - 60 * SECOND), [])])
    worker = WorkerProcess(settings, tmp_path)
    with ended([worker]):

        async def begun() -> bool:
            return bool(await moves(settings))

        await eventually(begun)
        said = await asyncio.to_thread(call, "pause", "--source", "visits", "--json", *flags(settings))
        assert [names.sources[0]] == list(json.loads(said.out))

        async def obeys() -> bool:
            return f"{names.sources[0]} is paused" in worker.text()

        await eventually(obeys)
        due = now() + 6 * SECOND
        await send(settings, [(names.sources[1], 0, None, event("o1", "c1", due - HOUR), [])])

        async def ordered() -> bool:
            return "c1 order 1" in await moves(settings)

        await eventually(ordered)
        await send(settings, [(names.sources[0], 2, None, event("o2", "c2", due), [])])
        while now() < due + 3 * SECOND:
            await asyncio.sleep(0.5)
        assert ["c0 order 1", "c1 order 1"] == sorted(await moves(settings)), "time waits for visits"

        said = await asyncio.to_thread(call, "resume", "--all", "--json", *flags(settings))
        assert [names.sources[0]] == json.loads(said.out)

        async def goes_on() -> bool:
            return {"c1 silence 2", "c2 order 1"} <= set(await moves(settings))

        await eventually(goes_on)
        assert 0 == worker.terminate()


def test_what_is_meant_is_checked_and_told_once(deployment: Make, call: Call) -> None:
    settings = deployment()
    asyncio.run(topics(settings))
    names = TopicNames.of(settings)

    def told(verb: str, *meant: str) -> tuple[int, str]:
        said = call(verb, *meant, *flags(settings))
        return said.code, said.out or said.err

    assert (2, True) == ((found := told("pause"))[0], "expected what is meant" in found[1])
    assert (2, True) == (
        (found := told("pause", "--partition", "4"))[0],
        "has the partitions 0 to 3" in found[1],
    )
    assert (2, True) == ((found := told("pause", "--source", "orders"))[0], names.sources[0] in found[1])
    assert (2, True) == ((found := told("pause", "--source", "visits/9"))[0], "partitions 0 to 3" in found[1])
    assert (0, f"{names.sources[0]}/1: paused\n") == told("pause", "--source", f"{names.sources[0]}/1")
    assert (0, True) == ((found := told("pause", "--source", "visits/1"))[0], "paused already" in found[1])
    assert (0, f"{names.sources[0]}: paused\n") == told("pause", "--source", "visits")
    assert (2, True) == (
        (found := told("resume", "--source", "visits/1"))[0],
        f"resume --source {names.sources[0]}`" in found[1],
    )
    assert (0, f"{names.sources[0]}: goes on\n{names.sources[0]}/1: goes on\n") == told(
        "resume", "--source", "visits"
    )
    assert (0, True) == ((found := told("resume", "--partition", "1"))[0], "none of it is paused" in found[1])
    told("pause", "--all", "--partition", "1")
    assert (2, True) == ((found := told("resume", "--partition", "1"))[0], "resume --all`" in found[1])
    assert (0, f"all: goes on\n{names.events}/1: goes on\n") == told("resume", "--all")
