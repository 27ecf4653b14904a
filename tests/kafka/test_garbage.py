"""The collector of cycles while a worker runs: out of the way, and still there."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from journey_stream.kafka import garbage


@pytest.fixture
def collector() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


class Node:
    """Something that can point to itself."""


def cycle() -> weakref.ref[Node]:
    node = Node()
    node.itself = node  # type: ignore[attr-defined]
    return weakref.ref(node)


@pytest.mark.usefixtures("collector")
def test_a_batch_of_containers_is_not_walked_while_it_is_alive() -> None:
    garbage.leave_alone()
    before = [each["collections"] for each in gc.get_stats()]
    alive = [[number] for number in range(300_000)]
    assert [each["collections"] for each in gc.get_stats()] == before
    assert len(alive) == 300_000


@pytest.mark.usefixtures("collector")
async def test_cycles_are_found_by_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "SWEEP_SECONDS", 0.0)
    garbage.leave_alone()
    lost = cycle()
    assert lost() is not None
    sweeping = asyncio.create_task(garbage.sweep())
    while lost() is not None:
        await asyncio.sleep(0)
    sweeping.cancel()
