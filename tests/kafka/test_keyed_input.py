"""`keyed_input` on a real Kafka: two workers, a sudden death, records in the wrong place, and what is refused."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from journey_stream.kafka import hop
from journey_stream.settings import Checkpoint, Settings, TopicNames
from journey_stream.values import DAY, MINUTE, SECOND
from tests.kafka.cluster import (
    Row,
    WorkerProcess,
    ended,
    eventually,
    read_all,
    read_values,
    send,
    tally_found,
    tally_oracle,
    topics,
)
from tests.kafka.test_worker import event

START = 1_767_225_600 * SECOND
UNTIL = START + 40 * DAY
DONE = "--exit-when-done"
COUNT = 4_000

Make = Callable[..., Settings]


def keyed_rows(names: TopicNames, partitions: int, random: Random, name: str = "crc32") -> list[Row]:
    """Keyed by person but for a tenth: without a key, in any partition, or not JSON."""
    place, rows = hop.Partitioner(partitions, name), list[Row]()
    for number in range(COUNT):
        at = max(START, START + number * 30 * DAY // COUNT - random.randrange(20 * MINUTE))
        person, topic = f"c{random.randrange(60)}", random.choice(names.sources)
        value = event(f"e{number}", person, at, random.choice(["order_completed", "page_viewed"]))
        key, anywhere = person.encode(), random.randrange(partitions)
        if number % 50 == 0:
            rows.append((topic, anywhere, None, b"\xff%d" % number, []))
        row: Row = (topic, place(key), key, value, [])
        if number % 10 == 0:
            row = (topic, anywhere, None if number % 20 else key, value, [("theirs", b"1")])
        rows += [row, row] if random.random() < 0.05 else [row]
    return rows


async def test_two_workers_and_a_death_agree_with_the_sorted_history_and_other_settings_are_refused(
    deployment: Make, tmp_path: Path
) -> None:
    settings = deployment(
        clock="event",
        until=UNTIL,
        idle_after=8 * SECOND,
        keyed_input="crc32",
        checkpoint=Checkpoint(interval=500_000, records=10**6),
    )
    names = await topics(settings)
    rows = keyed_rows(names, settings.partitions, Random(5))
    half = len(rows) // 2
    await send(settings, rows[:half])
    (tmp_path / "refused").mkdir()
    wrong = changed(settings, keyed_input="murmur2")
    refused = WorkerProcess(wrong, tmp_path / "refused")
    with ended([refused]):
        assert 0 != refused.wait(60)
    assert "where crc32 does: its producers use crc32. Set `keyed_input: crc32`" in refused.text()

    workers = [WorkerProcess(settings, tmp_path, DONE) for _ in range(2)]
    with ended(workers):

        async def moves() -> bool:
            return len(await read_all(settings, names.transitions)) > 0

        await eventually(moves, 90)
        workers[0].kill()
        workers.append(WorkerProcess(settings, tmp_path, DONE))
        await send(settings, rows[half:])
        assert [0, 0] == await asyncio.to_thread(lambda: [worker.wait(120) for worker in workers[1:]])
    found = tally_found(await read_values(settings, names.transitions))
    values = [row[3] for row in rows if row[3] is not None]
    assert Counter(tally_oracle(values, UNTIL)) == Counter(found)
    letters = [record.value for record in await read_all(settings, names.dead_letters)]
    # (A bad record that was sent twice is two records, and two letters.)
    assert Counter(value for value in values if value.startswith(b"\xff")) == Counter(letters)
    sent_on = [record for record in await read_all(settings, names.events) if record.value is not None]
    through = [r for r in sent_on if r.headers[0][1][:2] != hop.MARKER_BYTES]
    assert 0 < len(through) < COUNT / 5, "only what was in the wrong place went through the hop"

    for other in ("none", "murmur2"):
        refused = WorkerProcess(changed(settings, keyed_input=other), tmp_path / "refused")
        with ended([refused]):
            assert 0 != refused.wait(60)
        assert f"made with `keyed_input: crc32`, the settings say `{other}`" in refused.text()
        assert "Put `keyed_input: crc32` back; or begin anew" in refused.text()


def changed(settings: Settings, **fields: Any) -> Settings:
    from msgspec.structs import replace

    return replace(settings, **fields)
