"""Workers live on a real Kafka: events come in any order, one dies, and what holds is what replay says."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import orjson

from journey_stream.deployment import assemble
from journey_stream.encode import structured
from journey_stream.net import net
from journey_stream.replay import replay
from journey_stream.settings import Settings, TopicNames
from journey_stream.values import HOUR, MINUTE, SECOND, micros, rfc3339
from tests.kafka.cluster import Row, WorkerProcess, ended, eventually, read_values, send, topics

Make = Callable[..., Settings]
PEOPLE = 60
EVENTS = 2_500


def shuffled(names: TopicNames, now: int, random: Random) -> list[Row]:
    """Fifty minutes of sixty customers, in no order at all, some events twice."""
    rows: list[Row] = []
    for number in range(EVENTS):
        person, order = f"c{random.randrange(PEOPLE)}", f"o{random.randrange(200)}"
        kind, properties = random.choice(
            [
                ("page_viewed", {"url": "/"}),
                ("product_viewed", {"product_id": "p", "price": 5.0}),
                ("product_added", {"cart_id": f"k-{person}", "product_id": "p", "price": 5.0}),
                ("product_removed", {"cart_id": f"k-{person}", "product_id": "p"}),
                ("order_completed", {"order_id": order, "total": 20.0}),
                ("order_cancelled", {"order_id": order}),
                ("ticket_created", {"ticket_id": f"t-{person}", "kind": "complaint", "priority": "high"}),
                ("ticket_solved", {"ticket_id": f"t-{person}"}),
                ("message_sent", {"message_id": f"m{number}", "channel": "email"}),
            ]
        )
        fields = {
            "event_id": f"e{number}",
            "type": kind,
            "occurred_at": rfc3339(now - random.randrange(50 * MINUTE)),
            "customer_id": person,
            "properties": properties,
        }
        row = (random.choice(names.sources), random.randrange(4), None, json.dumps(fields).encode(), [])
        rows += [row, row] if random.random() < 0.05 else [row]
    return rows


def content(record: dict[str, Any]) -> bytes:
    kept = {key: value for key, value in record.items() if key not in ("decided_at", "sequence")}
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)


async def test_disorder_on_a_real_kafka_ends_in_what_replay_says(deployment: Make, tmp_path: Path) -> None:
    settings = deployment(idle_after=SECOND)
    names = await topics(settings)
    workers = [WorkerProcess(settings, tmp_path, module="journey_stream") for _ in range(2)]
    with ended(workers):

        async def caught_up() -> bool:
            texts = [worker.text() for worker in workers]
            return sum(text.count("taken over in") for text in texts) >= settings.partitions

        await eventually(caught_up)
        await asyncio.sleep(3)
        rows = shuffled(names, time.time_ns() // 1_000, Random(5))
        third = len(rows) // 3
        for part in range(3):
            for begin in range(part * third, len(rows) if part == 2 else (part + 1) * third, 100):
                await send(settings, rows[begin : min(begin + 100, len(rows))])
            if part == 1:
                workers[0].kill()
        until = time.time_ns() // 1_000 + SECOND
        made = assemble(settings)
        lines = sorted((row[3] for row in rows if row[3]), key=lambda line: orjson.loads(line)["occurred_at"])
        wanted = Counter(
            content(orjson.loads(structured(record))["data"])
            for record in replay(made.program, [lines], made.decoder, HOUR, until).records
        )
        published: list[dict[str, Any]] = []

        async def holds() -> bool:
            published[:] = [
                *await read_values(settings, names.transitions),
                *await read_values(settings, names.signals),
            ]
            return found() == wanted

        def found() -> Counter[bytes]:
            # What timers said after `until` is not what replay was asked for.
            return Counter(
                content(record)
                for record in net(published, strict=True)
                if micros(datetime.fromisoformat(record["occurred_at"])) <= until
            )

        try:
            await eventually(holds)
        except AssertionError:
            lost, more = wanted - found(), found() - wanted
            assert ([], []) == (list(lost)[:2], list(more)[:2]), f"of {wanted.total()}"
            raise
        assert sum(record["corrects"] is not None for record in published) > 500
        await _stages_are_the_last_net_transitions(settings, names)


async def _stages_are_the_last_net_transitions(settings: Settings, names: TopicNames) -> None:
    async def agree() -> bool:
        """Timers go on firing between the two readings: sooner or later none does."""
        moves = net(await read_values(settings, names.transitions))
        moves.sort(key=lambda record: (record["occurred_at"], record["sequence"]))
        stages = {
            (r["customer_id"], r["journey"]): r["stage"] for r in await read_values(settings, names.stages)
        }
        return {(r["customer_id"], r["journey"]): r["to"] for r in moves} == stages

    await eventually(agree)
