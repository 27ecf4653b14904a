"""Attacks on the broker itself: it leaves in order, it dies, it comes back."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.faults.case import SHORT, case
from tests.faults.scene import Scene, Size


@case(
    "broker-restarts",
    Size(faults=5, seconds=200, idle=60),
    replace(SHORT, faults=2, seconds=25, idle=30),
    own_broker=True,
    word="restarts",
)
async def broker_restarts(scene: Scene) -> None:
    """The only broker goes, in order and by -9 in turn, and comes back with its data."""
    for number in range(scene.size.faults):
        await scene.feeding.reaches((number + 1) / (scene.size.faults + 2))
        scene.struck()
        await asyncio.to_thread(scene.broker.stop, orderly=number % 2 == 0)
        await asyncio.to_thread(scene.broker.start)
