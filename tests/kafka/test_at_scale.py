"""The main job at size: a simulated shop of 10,000 customers and the CDNOW sample, by the worker and by replay.

Both ways must publish the same net records, ids and all, whoever of the workers dies meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson
import pytest

from examples.cdnow.convert import by_time, events
from journey_stream.deployment import assemble
from journey_stream.encode import structured
from journey_stream.kafka.security import client_options
from journey_stream.net import net
from journey_stream.replay import replay
from journey_stream.settings import Settings
from journey_stream.shop import SOURCES, ShopOptions, ShopRecord, simulate
from journey_stream.shop.feed import feed
from journey_stream.values import DAY, HOUR, SECOND, Transition
from tests.kafka.cluster import ROOT, WorkerProcess, ended, eventually, read_all, topics, written

Make = Callable[..., Settings]
DAYS = 150
DONE = "--exit-when-done"
CDNOW_ENDS = 899_251_200_000_000
"""1998-07-01."""


@cache
def shop() -> tuple[list[ShopRecord], int]:
    """The events of 10,000 customers, and when the clock ends."""
    records = list(
        simulate(ShopOptions(customers=10_000, days=DAYS, duplicates=0.02, out_of_order=0.1, poison=0.001))
    )
    return records, ShopOptions().start + (DAYS + 30) * DAY


@cache
def expected() -> tuple[Counter[bytes], int]:
    """What replay makes of them, by content; and how many of the records are transitions."""
    records, until = shop()
    made = assemble(Settings())
    lines = [[r.value for r in records if r.source == s and r.value is not None] for s in SOURCES]
    received = time.time_ns() // 1_000
    outcome = replay(made.program, lines, made.decoder, HOUR, until, received)
    contents = Counter(content(orjson.loads(structured(record))["data"]) for record in outcome.records)
    return contents, sum(isinstance(record, Transition) for record in outcome.records)


def content(record: dict[str, Any]) -> bytes:
    """Digest of a record but for what may differ between two ways to the same result."""
    kept = {key: value for key, value in record.items() if key not in ("decided_at", "sequence")}
    return blake2b(orjson.dumps(kept, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


async def fed(settings: Settings, records: list[ShopRecord]) -> None:
    names = await topics(settings)
    await feed(records, dict(zip(SOURCES, names.sources, strict=True)), client_options(settings))


async def published(settings: Settings) -> Counter[bytes]:
    names = await topics(settings)
    found = [
        orjson.loads(record.value)
        for topic in (names.transitions, names.signals)
        for record in await read_all(settings, topic)
    ]
    return Counter(content(record) for record in net(found, strict=True))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("deaths", [0, 1])
async def test_two_workers_publish_what_replay_says_of_a_shop_of_ten_thousand(
    deployment: Make, tmp_path: Path, deaths: int
) -> None:
    records, until = shop()
    assert len(records) >= 200_000
    settings = deployment(
        clock="event", until=until, idle_after=5 * SECOND, partitions=8, source_partitions=8
    )
    names = await topics(settings)
    feeding = asyncio.create_task(fed(settings, records))
    workers = [WorkerProcess(settings, tmp_path, DONE, module="journey_stream") for _ in range(2)]
    with ended(workers):
        if deaths:

            async def under_way() -> bool:
                return await written(settings, names.transitions) > 5_000

            await eventually(under_way, 120)
            workers[0].kill()
            dead_at = await written(settings, names.transitions)
            workers.append(WorkerProcess(settings, tmp_path, DONE, module="journey_stream"))
        await feeding
        assert [0] * 2 == [worker.wait(400) for worker in workers[deaths:]]
    found, (wanted, moves) = await published(settings), expected()
    lost, more = wanted - found, found - wanted
    assert (0, 0) == (lost.total(), more.total()), f"lost and unexpected, of {wanted.total()}"
    if deaths:
        assert dead_at < 0.9 * moves, "died too late"
    letters = Counter(
        dict(record.headers)["journey_stream_reason"].decode()
        for record in await read_all(settings, names.dead_letters)
    )
    assert Counter(record.poison for record in records if record.poison) == letters


async def test_the_worker_finds_the_buyers_of_the_cdnow_sample(deployment: Make, tmp_path: Path) -> None:
    rows = (ROOT / "examples" / "cdnow" / "cdnow_sample.txt").read_text().splitlines()
    records = [
        ShopRecord("purchases", str(event["customer_id"]).encode(), json.dumps(event).encode(), (), 0)
        for event in sorted(events(rows), key=by_time)
    ]
    settings = deployment(clock="event", until=CDNOW_ENDS, idle_after=SECOND, journeys=["buyer-value"])
    await fed(settings, records)
    worker = WorkerProcess(settings, tmp_path, DONE, module="journey_stream")
    with ended([worker]):
        assert 0 == worker.wait()
    names = await topics(settings)
    ever: dict[str, set[str]] = {}
    for record in await read_all(settings, names.transitions):
        move = json.loads(record.value)
        ever.setdefault(move["to"], set()).add(move["customer_id"])
    assert (2_357, 1_152) == (len(ever["first_time_buyer"]), len(ever["early_repeat_buyer"]))
