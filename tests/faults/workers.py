"""Attacks on workers: they die, leave, come, freeze."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace
from typing import Any

from journey_stream.kafka.changelog import META_KEY
from tests.faults.case import SHORT, case
from tests.faults.scene import TAKEN_OVER, Scene, Size
from tests.kafka.cluster import read_all

SESSION_SECONDS = 10.0
"""After so long without a heartbeat the group gives a worker's partitions to others."""
REQUEST_SECONDS = 40.0
"""Longer than any request of a producer may take."""


@case("kill-9", Size(faults=20, seconds=300), word="kills")
async def kill_9(scene: Scene) -> None:
    """Workers are killed with -9 at random times and replaced at once."""
    moments = sorted(scene.random.uniform(0.05, 0.9) for _ in range(scene.size.faults))
    for moment in moments:
        await scene.feeding.reaches(moment)
        scene.struck()
        await scene.kill(scene.pick())
        await scene.start_worker()


@case("bounce", Size(faults=3, seconds=120), replace(SHORT, faults=2), word="rounds")
async def bounce(scene: Scene) -> None:
    """All workers go at once after each 20 % of progress, killed and told to leave in turn; new ones come."""
    for number in range(scene.size.faults):
        await scene.reaches(scene.progress + 0.2)
        scene.struck()
        everyone = list(scene.workers)
        if number % 2 == 0:
            for worker in everyone:
                await scene.kill(worker)
        else:
            await asyncio.gather(*(scene.stop(worker) for worker in everyone))
        for _ in everyone:
            await scene.start_worker()


@case("storm", Size(faults=10, seconds=200), replace(SHORT, faults=3, seconds=25), word="rounds")
async def storm(scene: Scene) -> None:
    """A worker comes each 12 to 15 s and the oldest leaves, so that the group is never at rest."""
    short = scene.size.faults < 10
    leaving: list[asyncio.Task[None]] = []
    await scene.reaches(0.02)
    for _ in range(scene.size.faults):
        began = time.monotonic()
        scene.struck()
        await scene.start_worker()
        leaving.append(asyncio.create_task(scene.stop(scene.workers[0])))
        pause = scene.random.uniform(4, 6) if short else scene.random.uniform(12, 15)
        await asyncio.sleep(pause - (time.monotonic() - began))
    await asyncio.gather(*leaving)


@case("pause", Size(faults=3, seconds=150), replace(SHORT, faults=1, seconds=25), word="pauses")
async def pause(scene: Scene) -> None:
    """A worker freezes for longer than its session lasts, others take over, and it wakes up unaware."""
    for number in range(scene.size.faults):
        await scene.feeding.reaches((number + 0.5) / (scene.size.faults + 1))
        frozen = scene.pick()
        scene.pause(frozen)
        long = number > 0 and number == scene.size.faults - 1  # longer, too, than its requests may take
        await asyncio.sleep(REQUEST_SECONDS if long else SESSION_SECONDS + scene.random.uniform(2, 6))
        scene.struck()
        scene.resume(frozen)
    scene.notes["fenced"] = scene.said("fenced: another worker took over")


@case(
    "rolling",
    Size(workers=2, faults=2, seconds=100),
    replace(SHORT, faults=2),
    word="restarts",
    module="tests.faults.older_worker",
)
async def rolling(scene: Scene) -> None:
    """Workers that write the older state format are replaced one after the other by those of today."""
    scene.module = "journey_stream"
    for number, worker in enumerate(list(scene.workers)):
        await scene.feeding.reaches((number + 1) / (scene.size.faults + 1))
        scene.struck()
        await scene.stop(worker)
        new = await scene.start_worker()
        await scene.wait_for(lambda new=new: TAKEN_OVER in new.text(), 60, "takeover")
    formats = Counter(
        record.value[0]
        for record in await read_all(scene.settings, scene.names.changelog)
        if is_state(record)
    )
    scene.notes["states written"] = f"{formats[1]:,} of format 1, {formats[2]:,} of format 2"
    assert formats[1] > 0, "no worker wrote the older format"


def is_state(record: Any) -> bool:
    """Tell the state of a customer from a checkpoint's own record and from who was forgotten."""
    return record.value is not None and record.key != META_KEY
