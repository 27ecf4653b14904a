"""A compiled core that fails in an intake is given up: Python goes on, nothing is lost, nothing twice."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.latency import PROBE
from journey_stream.kafka.checkpoint import Writer
from journey_stream.settings import Settings
from journey_stream.values import SECOND, rfc3339
from tests.kafka.cluster import Row, WorkerProcess, client, ended, eventually, read_values, send, topics
from tests.kafka.panicking_worker import POISON

pytest.importorskip("journey_stream_native")

PEOPLE, FENCED = 40, 2


def orders(topic: str, ids: list[str]) -> list[Row]:
    """One of each person, over all source partitions."""
    now = rfc3339(int(time.time() * SECOND))
    rows: list[Row] = []
    for number, name in enumerate(ids):
        value = {
            "event_id": name,
            "type": "order_completed",
            "occurred_at": now,
            "customer_id": f"c{number}",
            "properties": {"order_id": name, "total": 10.0},
        }
        rows.append((topic, number % 4, None, json.dumps(value).encode(), []))
    return rows


async def test_an_intake_whose_core_panics_over_a_record_goes_on_in_python_with_nothing_lost_or_twice(
    deployment: Callable[..., Settings], tmp_path: Path
) -> None:
    (tmp_path / "probe.yaml").write_text(PROBE)
    journeys = [str(tmp_path / "probe.yaml")]
    settings = deployment(core="compiled", journeys=journeys, idle_after=SECOND // 2)
    names = await topics(settings)
    sent: Counter[str] = Counter()
    worker = WorkerProcess(settings, tmp_path, module="tests.kafka.panicking_worker")

    async def heard() -> Counter[str]:
        return Counter(record["payload"]["id"] for record in await read_values(settings, names.signals))

    async def all_heard() -> bool:
        return sent.keys() <= (await heard()).keys()

    async def order(ids: list[str]) -> None:
        sent.update(ids)
        await send(settings, orders(names.sources[1], ids))
        await eventually(all_heard)

    with ended([worker]):
        await order([f"before-{n}" for n in range(PEOPLE)])
        assert "panicked" not in worker.text()
        # The record stands between others of its partition, which go on in their order.
        await order([POISON.decode() if n == 21 else f"with-{n}" for n in range(PEOPLE)])
        await order([f"after-{n}" for n in range(PEOPLE)])
        # The partitions go on with the core, which did not fail them, until they start over.
        assert {"FastPartition"} == engines(worker)
        thief = Writer(
            client(settings),
            application_id=settings.application_id,
            partition=FENCED,
            partitions=4,
        )
        await thief.start()
        await thief.stop()
        await order([f"fenced-{n}" for n in range(PEOPLE)])
        assert {"FastPartition", "Partition"} == engines(worker)
        assert 0 == worker.terminate()
    assert sent == await heard()
    said = worker.text()
    assert 1 == said.count("stopped and starts over") == said.count("intake lane"), "once, and only that one"
    assert 1 == said.count("Python goes on without it")


def engines(worker: WorkerProcess) -> set[str]:
    """Who works, or has worked, on partitions."""
    lines = [line for line in worker.text().splitlines() if line.startswith("partition ")]
    return {line.split()[-1] for line in lines}
