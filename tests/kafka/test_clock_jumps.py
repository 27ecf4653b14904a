"""Wall clocks of workers that are set forward or back an hour while timers wait, on a real Kafka."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from journey_stream.settings import Settings, TopicNames
from journey_stream.values import HOUR, SECOND
from tests.kafka.cluster import WorkerProcess, ended, eventually, read_values, send, topics
from tests.kafka.log import event_bytes

PEOPLE = 20


def now() -> int:
    return time.time_ns() // 1000


def set_clock(file: Path, wrong: int) -> None:
    """Whoever reads it meanwhile sees the old or the new."""
    new = file.with_suffix(".new")
    new.write_text(str(wrong))
    os.replace(new, file)


async def order(settings: Settings, group: str, due: int) -> dict[str, int]:
    """Everybody orders, so that they count as silent when it is `due`; gives the transitions to come."""
    source = TopicNames.of(settings).sources[1]
    people = [f"{group}{n}" for n in range(PEOPLE)]
    values = [event_bytes(f"o-{who}", who, due - HOUR, "order_completed") for who in people]
    await send(settings, [(source, n % 4, None, value, []) for n, value in enumerate(values)])
    return {f"{who}/silence/{due}": 1 for who in people}


@pytest.mark.slow
async def test_a_clock_set_forward_or_back_an_hour_makes_no_timer_early_lost_or_twice(
    deployment: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = deployment(idle_after=SECOND // 2)
    names = await topics(settings)
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
        set_clock(folder / "wrong", 0)
    workers = [
        WorkerProcess(settings, folder, str(folder / "wrong"), module="tests.kafka.skewed_worker")
        for folder in folders
    ]

    async def moves(kind: str) -> Counter[str]:
        ids = [move["transition_id"] for move in await read_values(settings, names.transitions)]
        return Counter(each for each in ids if f"/{kind}/" in each)

    async def shared() -> bool:
        return all("taken over in" in worker.text() for worker in workers)

    async def ordered(count: int) -> bool:
        return len(await moves("order")) == count

    with ended(workers):
        await eventually(shared)
        due = now() + 10 * SECOND
        told = await order(settings, "a", due)
        await eventually(lambda: ordered(PEOPLE))
        set_clock(folders[0] / "wrong", HOUR)
        while True:
            found = await moves("silence")
            if now() >= due:
                break
            assert not found, "by no clock but that of one machine"
            await asyncio.sleep(0.3)

        async def all_are_silent(told: dict[str, int]) -> bool:
            return told.keys() <= (await moves("silence")).keys()

        await eventually(lambda: all_are_silent(told))
        # Set right, which is back an hour; and the other as far behind.
        set_clock(folders[0] / "wrong", 0)
        set_clock(folders[1] / "wrong", -HOUR)
        await asyncio.sleep(1)
        late = now() + 3 * SECOND
        more = await order(settings, "b", late)
        while now() < late + 5 * SECOND:
            await asyncio.sleep(0.3)
            assert told == await moves("silence"), "what the other reads has come no further: time waits"
        # Its partitions move to one whose clock is right.
        workers[1].kill()
        await eventually(lambda: all_are_silent(more))
        assert 0 == workers[0].terminate()
    assert told | more == await moves("silence")
    assert 2 * PEOPLE == len(await moves("order")) == (await moves("order")).total()
