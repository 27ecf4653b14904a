"""A change of version under load on a real Kafka: two workers, each policy, a kill -9 in the middle.

What has to be published is computed from two replays, of the old and of the new definition over all events, and
from where each partition's changelog says that it stood at the change (W): for each customer the records of the
old version up to there, one migration if and only if the stage then has another name in the new version, and
the records of the new version from there on.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from journey_stream.deployment import assemble
from journey_stream.kafka.changelog import META_KEY
from journey_stream.kafka.hop import Partitioner
from journey_stream.kafka.meta import Meta, read_meta
from journey_stream.kafka.topics import admin_client
from journey_stream.replay import replay
from journey_stream.settings import Settings, VersionChange
from journey_stream.values import DAY, HOUR, SECOND, Transition, rfc3339
from tests.kafka.cluster import Row, WorkerProcess, ended, eventually, read_all, read_values, send, topics

Make = Callable[..., Settings]

START = 1_767_225_600 * SECOND
DAYS = 100
UNTIL = START + (DAYS + 60) * DAY
CUSTOMERS = 1_200
DONE = "--exit-when-done"
SLOW = "tests.kafka.slow_change_worker"

OLD = """\
journey: buyers
version: 1
attributes: {orders: {count: order_completed}}
records: [orders]
start: visitor
stages:
  visitor: {kind: prospect}
  buyer: {kind: conversion}
  regular: {kind: retention}
  gone: {kind: attrition}
transitions:
  - {id: back, from: gone, to: buyer, event: order_completed}
  - {id: order, from: visitor, to: buyer, event: order_completed}
  - {id: again, from: buyer, to: regular, event: order_completed, when: orders >= 3}
  - {id: silent, from: [buyer, regular], to: gone, after: 25d, since: order_completed}
"""
RENAMED = {"buyer": "customer", "gone": "lost"}
RENAMING = OLD.replace("version: 1", "version: 2").replace("buyer:", "customer:").replace("gone:", "lost:")
for old, new in RENAMED.items():
    RENAMING = RENAMING.replace(f"from: {old}", f"from: {new}").replace(f"to: {old}", f"to: {new}")
    RENAMING = RENAMING.replace(f"[{old},", f"[{new},")
STRICTER = (
    OLD.replace("version: 1", "version: 2")
    .replace("orders >= 3", "orders >= 2")
    .replace("after: 25d", "after: 15d")
    .replace("visitor: {kind: prospect}", "visitor: {kind: prospect}\n  looker: {kind: prospect}")
    .replace(
        "  - {id: order,", "  - {id: look, from: visitor, to: looker, event: page_viewed}\n  - {id: order,"
    )
    .replace("from: visitor, to: buyer", "from: [visitor, looker], to: buyer")
)


def lives() -> list[tuple[int, str, bytes]]:
    """(time, source, event) in the order of time: visits and orders of everybody, some of whom come late."""
    random, found = Random(7), []
    for number in range(CUSTOMERS):
        at = START + random.randrange(0, (DAYS - 20) * 86_400) * SECOND
        for n in range(random.randrange(2, 14)):
            kind, source = random.choice((("page_viewed", "visits"), ("order_completed", "purchases")))
            event = {
                "event_id": f"{number}-{n}",
                "type": kind,
                "occurred_at": rfc3339(at),
                "customer_id": f"c{number}",
                "properties": {"order_id": f"o{number}-{n}"} if kind == "order_completed" else {"url": "/"},
            }
            found.append((at, source, json.dumps(event).encode()))
            at += random.randrange(1, 18 * 86_400) * SECOND
    return sorted(each for each in found if each[0] < START + DAYS * DAY)


def rows(settings: Settings, events: list[tuple[int, str, bytes]]) -> list[Row]:
    return [
        (f"{settings.topic_prefix}.{source}", crc32(value) % settings.source_partitions, None, value, ())
        for _, source, value in events
    ]


def by_customer(settings: Settings, events: list[tuple[int, str, bytes]]) -> dict[str, list[Transition]]:
    """What one replay of these definitions over everything says."""
    made = assemble(settings)
    outcome = replay(made.program, [[value for _, _, value in events]], made.decoder, HOUR, UNTIL)
    found: dict[str, list[Transition]] = defaultdict(list)
    for record in outcome.records:
        assert isinstance(record, Transition)
        found[record.person].append(record)
    return found


async def fences(settings: Settings, changelog: str) -> dict[int, int]:
    """Partition to W when version 2 was first said."""
    found: dict[int, int] = {}
    for record in await read_all(settings, changelog):
        if record.key == META_KEY and record.partition not in found:
            meta: Meta = read_meta(record.value)
            if any(each.version == 2 for each in meta.journeys):
                found[record.partition] = meta.released
    return found


def promised(policy: str, old: list[Transition], new: list[Transition], fence: int) -> tuple[list[str], int]:
    """What is to be published of one customer: ids (or `migration from to`), and how many are migrations."""
    before = [record for record in old if record.occurred_at <= fence]
    if policy == "keep" or not before:
        return [record.transition_id for record in (old if before else new)], 0
    there = [record for record in new if record.occurred_at <= fence][-1].to
    here = before[-1].to
    move = [f"migration {here} {there}"] if here != there else []
    after = [record.transition_id for record in new if record.occurred_at > fence]
    return [*(record.transition_id for record in before), *move, *after], len(move)


def said(record: dict[str, Any]) -> str:
    if record["trigger"] == "migration":
        return f"migration {record['from']} {record['to']}"
    return str(record["transition_id"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "text", "stages"),
    [("keep", STRICTER, {}), ("migrate", RENAMING, RENAMED), ("replay", STRICTER, {})],
)
async def test_a_change_of_version_under_load_with_a_death_in_the_middle(
    deployment: Make, tmp_path: Path, policy: Any, text: str, stages: dict[str, str]
) -> None:
    events = lives()
    before, after = tmp_path / "old", tmp_path / "new"
    for folder, definition in ((before, OLD), (after, text)):
        folder.mkdir()
        (folder / "buyers.yaml").write_text(definition)
    base = deployment(
        clock="event",
        idle_after=2 * SECOND,
        sources=["visits", "purchases"],
        journeys=[str(before / "buyers.yaml")],
    )
    previous = None if policy == "replay" else str(before / "buyers.yaml")
    change = VersionChange(journey="buyers", from_version=1, policy=policy, previous=previous, stages=stages)
    changed = msgspec.structs.replace(
        base, journeys=[str(after / "buyers.yaml")], versions=[change], until=UNTIL
    )
    names = await topics(base)
    await send(base, rows(base, events[: len(events) // 3]))

    async def load() -> None:
        """The rest comes while versions change."""
        rest = rows(base, events[len(events) // 3 :])
        for start in range(0, len(rest), 200):
            await send(base, rest[start : start + 200])
            await asyncio.sleep(0.3)

    loading = asyncio.create_task(load())
    first = [WorkerProcess(base, tmp_path / "old", module="journey_stream") for _ in range(2)]
    with ended(first):

        async def under_way() -> bool:
            return len(await read_all(base, names.transitions)) > 1_000

        await eventually(under_way)
        assert [0, 0] == [worker.terminate() for worker in first]
    there = len(await read_all(base, names.transitions))

    workers = [WorkerProcess(changed, tmp_path / "new", DONE, module=SLOW) for _ in range(2)]
    with ended(workers):

        async def in_the_middle() -> bool:
            found = await read_values(base, names.transitions)
            return len(found) > there + 30

        await eventually(in_the_middle)
        workers[0].kill()
        workers.append(WorkerProcess(changed, tmp_path / "new", DONE, module=SLOW))
        dead_at = len(await read_all(base, names.transitions))
        await loading
        assert [0, 0] == [worker.wait(120) for worker in workers[1:]]

    olds = by_customer(base, events)
    news = by_customer(msgspec.structs.replace(changed, versions=[]), events)
    fence, partition_of = await fences(base, names.changelog), Partitioner(base.partitions)
    assert base.partitions == len(fence)
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in await read_values(base, names.transitions):
        found[record["customer_id"]].append(record)
    wanted = {
        person: promised(policy, olds[person], news[person], fence[partition_of(person.encode())])
        for person in olds
    }

    assert {person: ids for person, (ids, _) in wanted.items()} == {
        person: [said(record) for record in records] for person, records in found.items()
    }
    moved = sum(count for _, count in wanted.values())
    assert moved == sum(said(each).startswith("migration") for records in found.values() for each in records)
    assert (moved == 0) == (policy == "keep")
    for records in found.values():
        assert list(range(1, len(records) + 1)) == [record["sequence"] for record in records]
        assert all(one["to"] == two["from"] for one, two in pairwise(records))
    flags = {
        each["replay"] for records in found.values() for each in records if each["trigger"] == "migration"
    }
    assert flags <= {policy == "replay"}
    rows_now = {record.key: record.value for record in await read_all(base, names.stages)}
    now = {json.loads(value)["customer_id"]: json.loads(value)["stage"] for value in rows_now.values()}
    assert {person: records[-1]["to"] for person, records in found.items()} == now
    assert dead_at < len(events), "died too late"
    print(f"{policy}: {len(found)} customers, {sum(map(len, found.values()))} records, {moved} migrations")


async def test_a_partition_obeys_its_changelog(deployment: Make, tmp_path: Path) -> None:
    """Refused: another content under the same version, and a version that nothing is said about."""
    events = lives()[:300]
    file = tmp_path / "buyers.yaml"
    file.write_text(OLD)
    settings = deployment(
        clock="event", until=UNTIL, sources=["visits", "purchases"], partitions=1, source_partitions=1,
        journeys=[str(file)], idle_after=SECOND,
    )  # fmt: skip
    await topics(settings)
    await send(settings, rows(settings, events))
    worker = WorkerProcess(settings, tmp_path, DONE, module="journey_stream")
    with ended([worker]):
        assert 0 == worker.wait()
    for text, expected in (
        (OLD.replace("after: 25d", "after: 20d"), "has changed, but is still called version 1"),
        (RENAMING, "this worker runs version 2, and nothing says what becomes of them"),
    ):
        file.write_text(text)
        refused = WorkerProcess(settings, tmp_path, module="journey_stream")
        with ended([refused]):

            async def told(refused: WorkerProcess = refused, expected: str = expected) -> bool:
                return expected in refused.text()

            await eventually(told)
            refused.terminate()


async def test_what_the_keyed_topic_has_lost_comes_from_files_or_the_change_is_refused(
    deployment: Make, tmp_path: Path
) -> None:
    events = lives()[:1_500]
    definition, lost = tmp_path / "buyers.yaml", tmp_path / "events.jsonl"
    definition.write_text(OLD)
    base = deployment(
        clock="event", sources=["visits", "purchases"], partitions=1, source_partitions=1,
        journeys=[str(definition)], idle_after=SECOND,
    )  # fmt: skip
    names = await topics(base)
    await send(base, rows(base, events))
    first = WorkerProcess(base, tmp_path, module="journey_stream")
    with ended([first]):

        async def taken_in() -> bool:
            return (
                len(await read_all(base, names.stages)) > 0
                and len(await read_all(base, names.transitions)) > 300
            )

        await eventually(taken_in)
        assert 0 == first.terminate()
    async with admin_client(base) as admin:
        await admin.delete_records({TopicPartition(names.events, 0): RecordsToDelete(before_offset=200)})
    definition.write_text(STRICTER)
    lost.write_bytes(b"".join(value + b"\n" for _, _, value in events))

    change = VersionChange(journey="buyers", from_version=1, policy="replay")
    without = msgspec.structs.replace(base, versions=[change], until=UNTIL)
    refused = WorkerProcess(without, tmp_path, DONE, module="journey_stream")
    with ended([refused]):

        async def told() -> bool:
            return "at offset 0, and the earliest there is stands at offset 200" in refused.text()

        await eventually(told)
    given = msgspec.structs.replace(change, history=[str(lost)])
    worker = WorkerProcess(
        msgspec.structs.replace(without, versions=[given]), tmp_path, DONE, module="journey_stream"
    )
    with ended([worker]):
        assert 0 == worker.wait()

    news = by_customer(msgspec.structs.replace(without, versions=[]), events)
    definition.write_text(OLD)
    olds = by_customer(base, events)
    fence = (await fences(base, names.changelog))[0]
    found: dict[str, list[str]] = defaultdict(list)
    for record in await read_values(base, names.transitions):
        found[record["customer_id"]].append(said(record))
    wanted = {person: promised("replay", olds[person], news[person], fence)[0] for person in olds}
    assert wanted == found
