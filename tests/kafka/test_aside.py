"""Work is done beside the event loop when it takes long, at once when it does not."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from journey_stream.kafka.aside import WORTH, Aside

HERE = threading.get_ident()


class Partition:
    """A keyed partition that notes in which thread it works; `runs`: the compiled core does it."""

    def __init__(self, waiting: int = 0, *, compiled: bool = True) -> None:
        self.turn = threading.Lock()
        self.runs = SimpleNamespace() if compiled else None
        self.buffered = waiting
        self.buffer = range(waiting)
        self.pending = 0
        self.threads: list[int] = []

    def take(self, records: Any, now: int) -> None:
        self.threads.append(threading.get_ident())

    def advance(self, now: int) -> bool:
        return False


@pytest.fixture
async def aside() -> AsyncIterator[Aside]:
    made = Aside()
    yield made
    made.stop()


async def is_aside(aside: Aside, partition: Any, records: int, *, again: bool = False) -> bool:
    await aside.step(partition, None, [None] * records, 0, again=again)
    (thread,) = partition.threads
    return bool(thread != HERE)


async def test_a_few_records_are_taken_at_once(aside: Aside) -> None:
    assert not await is_aside(aside, Partition(), WORTH - 1)


async def test_many_records_are_taken_beside_the_loop(aside: Aside) -> None:
    assert await is_aside(aside, Partition(), WORTH)


async def test_a_marker_that_may_let_go_of_much_is_taken_beside_the_loop(aside: Aside) -> None:
    assert await is_aside(aside, Partition(waiting=WORTH), 1)
    assert not await is_aside(aside, Partition(waiting=WORTH - 1), 1)


async def test_more_of_what_was_too_much_for_one_step_is_done_beside_the_loop(aside: Aside) -> None:
    assert await is_aside(aside, Partition(), 1, again=True)


async def test_python_keeps_its_lock_so_a_thread_would_only_cost(aside: Aside) -> None:
    assert not await is_aside(aside, Partition(waiting=WORTH, compiled=False), WORTH)
