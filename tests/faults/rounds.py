"""A deployment that counts orders, fed in rounds: after each, every customer must have one order more.

Enters: settings. Leaves: how many of the orders are lost, wrong or twice in what a `read_committed` reader
gets. For the cases in which the broker, the network or a topic's owner does something between two rounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from journey_stream.kafka.coordinator import committed_of
from journey_stream.kafka.hop import Partitioner
from journey_stream.kafka.topics import admin_client
from journey_stream.settings import Settings, TopicNames, Web
from journey_stream.values import SECOND, rfc3339
from tests.kafka.cluster import Row, WorkerProcess, eventually, read_all, send, topics

PEOPLE = 40
QUICK = "tests.faults.quick_worker"


@dataclass
class Rounds:
    """The deployment, its workers, and what was sent."""

    settings: Settings
    names: TopicNames
    folder: Path
    workers: list[WorkerProcess] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    """Transition expected to the number of orders it must tell."""
    _orders: Counter[str] = field(default_factory=Counter)

    def start_worker(
        self, *flags: str, tally: bool = True, through: str | None = None, **chosen: Any
    ) -> WorkerProcess:
        """Start a worker with pages of its own; `through`: the address it knows the brokers by."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        if through is not None:
            chosen["bootstrap_servers"] = through
        settings = msgspec.structs.replace(self.settings, web=Web(port=port), **chosen)
        folder = self.folder / f"worker-{len(self.workers) + 1}"
        folder.mkdir()
        if tally:
            flags = (*flags, "--tally")
        worker = WorkerProcess(settings, folder, *flags, module=QUICK)
        worker.port = port  # type: ignore[attr-defined]
        self.workers.append(worker)
        return worker

    async def order(self, source_partitions: Collection[int] = range(4), source: str | None = None) -> None:
        """Everybody orders once."""
        now = int(time.time() * SECOND)
        topic = source or self.names.sources[1]
        places = sorted(source_partitions)
        rows: list[Row] = []
        for number in range(PEOPLE):
            person = f"c{number}"
            self._orders[person] += 1
            event_id = f"{self._orders[person]}-{number}"
            self.sent[f"{person}/order/{event_id}"] = self._orders[person]
            fields = {
                "event_id": event_id,
                "type": "order_completed",
                "occurred_at": rfc3339(now),
                "customer_id": person,
            }
            rows.append((topic, places[number % len(places)], None, json.dumps(fields).encode(), []))
        await send(self.settings, rows)

    def due_in(self, keyed: Collection[int]) -> int:
        """How many of the transitions sent so far belong to these keyed partitions."""
        where = Partitioner(self.settings.partitions)
        return sum(where(name.split("/")[0].encode()) in keyed for name in self.sent)

    async def verdict(self) -> tuple[int, int, int]:
        """Lost, wrong, twice."""
        records = [
            json.loads(record.value) for record in await read_all(self.settings, self.names.transitions)
        ]
        found = Counter(record["transition_id"] for record in records)
        wrong = sum(
            self.sent.get(r["transition_id"]) != r["attributes"]["orders"]
            or r["sequence"] != r["attributes"]["orders"]
            for r in records
        )
        return len(self.sent.keys() - found.keys()), wrong, sum(count - 1 for count in found.values())

    async def all_there(self, seconds: float = 120.0) -> None:
        """Wait until nothing is lost; nothing may be wrong or twice then."""

        async def complete() -> bool:
            return (await self.verdict())[0] == 0

        await eventually(complete, seconds)
        assert (0, 0, 0) == await self.verdict()

    async def lose(self, topic: str, end: int) -> None:
        """Everybody orders, and all up to there is deleted at once: nobody may expect it."""
        sent, orders = dict(self.sent), self._orders.copy()
        await self.order([0], topic)
        async with admin_client(self.settings) as admin:
            await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(end)})
        self.sent, self._orders = sent, orders

    async def published(self) -> int:
        """Count the records that are out."""
        return len(await read_all(self.settings, self.names.transitions))


async def page(worker: WorkerProcess, path: str) -> tuple[int, str]:
    """Ask a worker for one of its pages; (0, "") when it does not answer."""

    def get() -> tuple[int, str]:
        try:
            url = f"http://127.0.0.1:{worker.port}{path}"  # type: ignore[attr-defined]
            with urllib.request.urlopen(url, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    return await asyncio.to_thread(get)


async def becomes_unwell(worker: WorkerProcess, words: str, seconds: float = 120.0) -> None:
    """Wait until /health is 503 and says these words."""

    async def said() -> bool:
        status, text = await page(worker, "/health")
        return status == 503 and words in " ".join(json.loads(text)["problems"])

    await eventually(said, seconds)


async def becomes_well(worker: WorkerProcess, seconds: float = 120.0) -> None:
    """Wait until /health is 200 and all partitions are at work."""

    async def well() -> bool:
        return (await page(worker, "/health"))[0] == 200 and (await page(worker, "/ready"))[0] == 200

    await eventually(well, seconds)


async def metric(worker: WorkerProcess, start: str) -> float:
    """Sum up the samples that begin with this text; -1 without any."""
    lines = [line for line in (await page(worker, "/metrics"))[1].splitlines() if line.startswith(start)]
    return sum(float(line.split()[-1]) for line in lines) if lines else -1.0


async def has_committed(on: Rounds, topic: str, offset: int, partition: int = 0) -> bool:
    """Tell whether intake has committed up to this offset of a source partition."""
    async with admin_client(on.settings) as admin:
        committed = await committed_of(admin, on.settings.application_id)
    return committed.get((topic, partition)) == offset


@contextlib.asynccontextmanager
async def rounds(settings: Settings, folder: Path) -> AsyncIterator[Rounds]:
    """Set up the deployment, and leave no process behind."""
    made = Rounds(settings, await topics(settings), folder)
    try:
        yield made
    except BaseException:
        for worker in made.workers:
            print(f"--- worker {worker.log}\n{worker.text()[-5000:]}")
        raise
    finally:
        for worker in made.workers:
            if worker.process.poll() is None:
                worker.kill()
