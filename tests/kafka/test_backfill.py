"""A backfill joined to a live stream: what comes of it is what one replay over all says."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from journey_stream.backfill import told_apart
from journey_stream.deployment import assemble
from journey_stream.encode import structured
from journey_stream.kafka.security import client_options
from journey_stream.net import net
from journey_stream.replay import replay
from journey_stream.settings import Backfill, Settings
from journey_stream.shop import SOURCES, ShopOptions, ShopRecord, simulate
from journey_stream.shop.feed import feed
from journey_stream.values import DAY, HOUR, micros, rfc3339
from tests.kafka.cluster import ROOT, WorkerProcess, ended, eventually, read_all, send, topics, yaml_of
from tests.kafka.test_at_scale import content

Make = Callable[..., Settings]
HISTORY = 200_000
OVERLAP = 3_000
JOURNEYS = ["buyer-value", "lifecycle"]


def time_of(value: bytes) -> int:
    return micros(datetime.fromisoformat(orjson.loads(value)["occurred_at"]))


async def backfill(settings: Settings, folder: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Run the verb: exit code, what it printed, what it noted."""
    config = folder / "backfill.yaml"
    config.write_text(yaml_of(settings))
    command = [sys.executable, "-m", "journey_stream", "backfill", "-c", str(config), "--json", *arguments]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


async def published(settings: Settings, until: int) -> Counter[bytes]:
    """The net records of what happened up to a time, by content."""
    names = await topics(settings)
    found = [
        orjson.loads(record.value)
        for topic in (names.transitions, names.signals)
        for record in await read_all(settings, topic)
    ]
    limit = rfc3339(until)
    return Counter(content(record) for record in net(found, strict=True) if record["occurred_at"] <= limit)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
async def test_a_backfill_of_two_hundred_thousand_events_joins_the_live_stream(
    deployment: Make, tmp_path: Path
) -> None:
    now = time.time_ns() // 1_000
    start = (now - 151 * DAY) // DAY * DAY
    shop = list(simulate(ShopOptions(customers=11_000, days=150, start=start, cast=False, out_of_order=0.1)))
    history, backlog = shop[:HISTORY], shop[HISTORY:]
    assert HISTORY == len(history)
    files = [tmp_path / "visits.jsonl", tmp_path / "rest.jsonl"]
    for file, mine in zip(files, ({"visits"}, {*SOURCES} - {"visits"}), strict=True):
        file.write_bytes(b"".join((r.value or b"") + b"\n" for r in history if r.source in mine))
    fence = max(time_of(record.value or b"") for record in history)
    settings = deployment(partitions=8, journeys=JOURNEYS, backfill=Backfill(until=fence))
    names = await topics(settings)
    by_source = dict(zip(SOURCES, names.sources, strict=False))

    code, said, _ = await backfill(settings, tmp_path, *map(str, files))
    assert (0, HISTORY, 0, rfc3339(fence)) == (code, said["sent"], said["skipped"], said["last"])
    code, again, _ = await backfill(settings, tmp_path, *map(str, files))
    assert (0, 0, HISTORY) == (code, again["sent"], again["skipped"])
    # The live topics hold the end of the history once more, and what came after it.
    await feed([*history[-OVERLAP:], *backlog], by_source, client_options(settings))

    live: list[ShopRecord] = []

    async def go_on() -> None:
        """Customers buy while history is read."""
        people = sorted({orjson.loads(r.value or b"{}").get("customer_id") or "" for r in history} - {""})
        for number in range(300):
            event = {
                "event_id": f"live-{number}",
                "type": "order_completed",
                "occurred_at": rfc3339(time.time_ns() // 1_000),
                "customer_id": people[number * 7 % len(people)],
                "properties": {"order_id": f"live-{number}", "total": 20.0},
            }
            live.append(ShopRecord("purchases", None, json.dumps(event).encode(), (), 0))
            await send(settings, [(names.sources[1], number % 4, None, live[-1].value, ())])
            await asyncio.sleep(0.05)

    workers = [WorkerProcess(settings, tmp_path, module="journey_stream") for _ in range(2)]
    with ended(workers):
        living = asyncio.create_task(go_on())

        async def under_way() -> bool:
            return len(await read_all(settings, names.transitions)) > 5_000

        await eventually(under_way, 180)
        workers[0].kill()
        dead_at = len(await read_all(settings, names.transitions))
        workers.append(WorkerProcess(settings, tmp_path, module="journey_stream"))
        await living
        until = max(time_of(record.value or b"") for record in live)

        made = assemble(settings)
        lines = [[r.value for r in (*shop, *live) if r.source == s and r.value is not None] for s in SOURCES]
        outcome = replay(made.program, lines, made.decoder, HOUR, until, time.time_ns() // 1_000)
        told = told_apart(outcome.records, fence, withhold=False)
        wanted = Counter(content(orjson.loads(structured(record))["data"]) for record in told)

        async def all_there() -> bool:
            await asyncio.sleep(3)  # reading it all again and again would take the workers' time
            return not wanted - await published(settings, until)

        await eventually(all_there, 600)
        found = await published(settings, until)
    assert (0, 0) == ((wanted - found).total(), (found - wanted).total())
    assert dead_at < 0.9 * wanted.total(), "died too late"
    assert 0 == len(await read_all(settings, names.dead_letters))
    code, _, noted = await backfill(settings, tmp_path, *map(str, files))
    assert 2 == code
    assert "has begun: its clock stands in the present" in noted


async def test_history_of_old_topics_can_be_withheld(deployment: Make, tmp_path: Path) -> None:
    old = deployment()
    names = await topics(old)
    now = time.time_ns() // 1_000

    def order(number: int, at: int) -> bytes:
        event = {
            "event_id": f"e{number}",
            "type": "order_completed",
            "occurred_at": rfc3339(at),
            "customer_id": "ann",
        }
        return json.dumps({**event, "properties": {"order_id": f"o{number}"}}).encode()

    past = [order(number, now - (30 - number) * DAY) for number in range(3)]
    await send(old, [(names.sources[1], 0, None, each, ()) for each in past])
    settings = deployment(
        journeys=["buyer-value"], backfill=Backfill(until=now - DAY, records="withheld"), partitions=1
    )
    code, said, _ = await backfill(settings, tmp_path, "--from-topic", names.sources[1])
    assert (0, 3) == (code, said["sent"])
    own = await topics(settings)
    await send(settings, [(own.sources[1], 0, None, order(9, now), ())])
    worker = WorkerProcess(settings, tmp_path, module="journey_stream")
    with ended([worker]):

        async def stages() -> list[dict[str, Any]]:
            found = [json.loads(record.value) for record in await read_all(settings, own.stages)]
            return [each for each in found if not each["replay"]]

        await eventually(stages, 60)
    moves = [json.loads(record.value) for record in await read_all(settings, own.transitions)]
    assert moves
    assert {False} == {move["replay"] for move in moves}
    assert "prospect" not in {move["to"] for move in moves}
