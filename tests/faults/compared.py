"""Figures for comparison: what the same faults do to plain Faust, and what exactly once costs."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import orjson
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks import exactly_once
from journey_stream.broker import EmbeddedKafka
from journey_stream.kafka.hop import Partitioner
from journey_stream.settings import Settings
from journey_stream.shop.records import ShopOptions
from tests.faults.case import told
from tests.faults.reading import Reader
from tests.kafka.cluster import ROOT, Row, send

PARTITIONS, KILLS = 8, 3
TOPIC, MOVES, GROUP = "plain.events", "plain.moves", "plain-faust"
QUIET_SECONDS = 15.0
MOST_SECONDS = 900.0


@told("plain-faust")
async def plain_faust(folder: Path, scale: float) -> tuple[str, dict[str, Any]]:
    """Plain Faust under three kills -9: told for comparison."""
    events, customers = int(100_000 * scale), int(20_000 * scale)
    with EmbeddedKafka(folder / "kafka") as kafka:
        settings = Settings(bootstrap_servers=kafka.bootstrap)
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in (TOPIC, MOVES)])
        await admin.close()
        rows, expected = orders(events, customers)
        await send(settings, rows)
        reader = Reader(settings, [MOVES])
        reader.start()
        try:
            await killed(kafka.bootstrap, folder, reader, len(expected))
        finally:
            await reader.stop()
        found = [orjson.loads(record.value) for record in reader.records[MOVES]]
    counts = Counter(move["event_id"] for move in found)
    notes = {
        "records": len(found),
        "due": len(expected),
        "lost": len(expected.keys() - counts.keys()),
        "wrong": sum(expected[move["event_id"]] != (move["n"], move["from"], move["to"]) for move in found),
        "twice": sum(count - 1 for count in counts.values()),
    }
    what = (
        f"{events:,} events  {PARTITIONS} partitions  1 worker  {KILLS} kills   lost {notes['lost']:,}  "
        f"wrong {notes['wrong']:,}  twice {notes['twice']:,}  of {len(expected):,} due"
    )
    return what, notes


def orders(events: int, customers: int) -> tuple[list[Row], dict[str, tuple[int, str, str]]]:
    """Make events keyed by customer, and what each order has to give."""
    random, place = Random(7), Partitioner(PARTITIONS)
    rows: list[Row] = []
    expected: dict[str, tuple[int, str, str]] = {}
    state: dict[str, tuple[int, str]] = {}
    for number in range(events):
        who, kind = f"c{random.randrange(customers)}", random.choice(["page_viewed", "order_completed"])
        value = {"event_id": f"e{number}", "customer_id": who, "type": kind}
        key = who.encode()
        rows.append((TOPIC, place(key), key, orjson.dumps(value), []))
        count, old = state.get(who, (0, "prospect"))
        new = old
        if kind == "order_completed":
            new = "customer" if old == "prospect" else "repeat"
            expected[f"e{number}"] = (count + 1, old, new)
        state[who] = (count + 1, new)
    return rows, expected


async def killed(bootstrap: str, folder: Path, reader: Reader, due: int) -> None:
    """Run the worker, kill it at 20, 40 and 60 % of what is due, let the fourth come to its end."""
    for kill in range(1, KILLS + 2):
        with start(bootstrap, folder, kill) as process:
            try:
                until = due * kill // 5 if kill <= KILLS else None
                await comes_to(reader, until)
            finally:
                process.kill()


async def comes_to(reader: Reader, count: int | None) -> None:
    """Wait until so much has come; with None until nothing comes any more."""
    end = time.monotonic() + MOST_SECONDS
    seen, since = reader.count(MOVES), time.monotonic()
    began = seen
    while time.monotonic() < end:
        await asyncio.sleep(0.1)
        now = reader.count(MOVES)
        if now != seen:
            seen, since = now, time.monotonic()
        if count is not None and now >= count:
            return
        if count is None and now > began and time.monotonic() - since > QUIET_SECONDS:
            return
    raise AssertionError(f"plain Faust came no further than {seen} records in {MOST_SECONDS:.0f} s")


def start(bootstrap: str, folder: Path, number: int) -> subprocess.Popen[bytes]:
    """Start a plain Faust worker."""
    environment = {
        **os.environ,
        "FAULTS_BROKER": bootstrap,
        "FAULTS_TOPIC": TOPIC,
        "FAULTS_MOVES": MOVES,
        "FAULTS_GROUP": GROUP,
        "FAULTS_PARTITIONS": str(PARTITIONS),
        "FAULTS_FOLDER": str(folder / "faust"),
    }
    command = [sys.executable, "-m", "tests.faults.plain_faust", "worker", "-l", "error", "--without-web"]
    with (folder / f"plain-{number}.log").open("w") as log:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)


@told("exactly-once")
async def exactly_once_cost(folder: Path, scale: float) -> tuple[str, dict[str, Any]]:
    """What transactions cost in a backlog, against the same worker without them."""
    shop = ShopOptions(seed=7, customers=int(800 * scale), days=200, browsing=25, cast=False)
    cost = await exactly_once.measure(folder, shop, repeats=5 if scale >= 1 else 2)
    return cost.line(), cost.plain()
