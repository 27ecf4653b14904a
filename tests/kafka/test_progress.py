"""Progress is told on when brokers were away; anything else that keeps it from being told ends the process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from faust.types import TP

from journey_stream.errors import BrokerError, told
from journey_stream.kafka import health, hop, progress
from journey_stream.kafka.lead import Lead
from journey_stream.kafka.progress import Progress


class Worker:
    """What progress asks of the worker around it; `tell` is what becomes of a marker."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self.options = SimpleNamespace(marker_seconds=0.001, partitions=1, idle_seconds=1.0, max_buffered=10)
        self.consumer = SimpleNamespace(thread=SimpleNamespace(broken=lambda: None), crash=self._crash)
        lane = SimpleNamespace(idle=False, at_end_since=3.0, lead=Lead(), progress=self._progress)
        self.intakes: dict[Any, Any] = {SimpleNamespace: lane}
        self.lanes: dict[Any, Any] = {}
        self.metrics = SimpleNamespace(held_sources=SimpleNamespace(set=lambda count: None))
        self.crashed: BaseException | None = None
        self.sent = 0
        self._tell = tell

    @staticmethod
    def _progress(wall: int, idle: bool) -> tuple[int, bool]:
        return wall, idle

    def now(self) -> int:
        return 0

    async def send_hop(self, rows: Any, ready: Any = None) -> None:
        self.sent += 1
        self._tell()

    async def _crash(self, why: BaseException) -> None:
        self.crashed = why

    def is_held(self, tp: Any, why: str) -> bool:
        return False

    def release(self, tp: Any, why: str) -> None:
        return None

    def look_whether_finished(self) -> None:
        return None


def failing(*errors: Exception) -> Callable[[], None]:
    """Fail with each error once, then be well."""
    left = list(errors)

    def tell() -> None:
        if left:
            raise left.pop(0)

    return tell


async def run(worker: Worker, until: Callable[[], bool]) -> asyncio.Task[None]:
    task = asyncio.create_task(Progress(worker).run())  # type: ignore[arg-type]
    async with asyncio.timeout(10):
        while not until() and not task.done():
            await asyncio.sleep(0.01)
    return task


async def test_brokers_that_are_away_are_tried_again_and_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "PAUSE", 0.01)
    caplog.set_level(logging.INFO)
    away = (KafkaConnectionError("away"), TimeoutError(), OSError("reset"), BrokerError("no topic"))
    worker = Worker(failing(*away))
    task = await run(worker, lambda: worker.sent > len(away) + 1)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert worker.crashed is None
    said = [record.message for record in caplog.records]
    assert [f"the brokers do not answer, trying on: {told(away[0])}"] == [
        line for line in said if "trying on" in line
    ]
    assert 1 == said.count("the brokers answer again")
    assert worker.intakes[SimpleNamespace].at_end_since is None


async def test_brokers_that_stay_away_make_a_worker_ill_that_has_nothing_else_to_send(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "PAUSE", 0.01)
    monkeypatch.setattr(health, "STUCK_SECONDS", 0.05)
    ill: list[str] = []
    telling = Progress(Worker(lambda: away()))  # type: ignore[arg-type]

    def away() -> None:
        ill.extend(health.stuck([telling.trial]))
        if not ill:
            raise KafkaConnectionError("away")

    task = asyncio.create_task(telling.run())
    async with asyncio.timeout(10):
        while not ill or telling.trial.since is not None:
            await asyncio.sleep(0.01)
    task.cancel()
    assert re.match(r"telling of progress has failed for \d+ s: the brokers do not answer.*away", ill[0])


async def test_a_worker_that_reads_no_source_notices_as_well_that_the_brokers_are_away() -> None:
    asked: list[Any] = []

    async def run(ask: Callable[[], Any]) -> Any:
        asked.append(ask())
        raise KafkaConnectionError("away")

    worker = Worker(failing())
    worker.intakes = {}
    telling = Progress(worker)  # type: ignore[arg-type]
    thread = SimpleNamespace(broken=lambda: None, run=run, ends=lambda tps: tps)
    worker.consumer.thread = thread
    worker.lanes = {}
    await telling._tell()
    assert [] == asked, "who has no partition at all asks nobody"
    worker.lanes = {TP("events", 3): SimpleNamespace(finished=False), TP("events", 4): None}
    with pytest.raises(KafkaConnectionError):
        await telling._tell()
    assert [[TP("events", 3)]] == asked


async def test_a_fault_of_our_own_ends_the_process(caplog: pytest.LogCaptureFixture) -> None:
    fault = KeyError("ours")
    worker = Worker(failing(fault))
    task = await run(worker, lambda: False)
    await task
    assert fault is worker.crashed
    assert "progress cannot be told, the process ends" in caplog.text


async def test_a_telling_under_way_ends_with_its_task() -> None:
    worker = Worker(failing())
    stuck = asyncio.Event()
    ended = asyncio.Event()

    async def send_hop(rows: Any) -> None:
        stuck.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    worker.send_hop = send_hop  # type: ignore[method-assign]
    task = await run(worker, stuck.is_set)
    task.cancel()
    await asyncio.wait_for(ended.wait(), 5)


async def test_a_source_counts_as_idle_once_its_time_is_over_not_a_marker_later() -> None:
    worker = Worker(failing())
    worker.options.marker_seconds, worker.options.idle_seconds = 30.0, 0.2
    worker.metrics.lag = SimpleNamespace(labels=lambda *names: SimpleNamespace(set=lambda lag: None))
    source = TP("orders", 0)
    told_idle: list[bool] = []

    def noted(wall: int, idle: bool) -> hop.Progress:
        told_idle.append(idle)
        return hop.Progress(b"orders", 1, idle, wall, 5)

    lane = SimpleNamespace(
        idle=True, at_end_since=None, lead=Lead(), progress=noted, has_received=lambda handed: True
    )
    worker.intakes = {source: lane}
    ends = SimpleNamespace(handed=5, position=5, end=5)

    async def done(ask: Callable[[], Any]) -> dict[Any, Any]:
        return {source: ends}

    worker.consumer.thread = SimpleNamespace(broken=lambda: None, run=done, ends=lambda quiet: None)
    telling = Progress(worker)  # type: ignore[arg-type]
    telling.moved()
    task = asyncio.create_task(telling.run())
    async with asyncio.timeout(10):
        while len(told_idle) < 2 and not task.done():
            await asyncio.sleep(0.01)
    task.cancel()
    assert [False, True] == told_idle[:2]


@pytest.mark.parametrize(
    ("partitions", "seconds"), [(1, 0.05), (64, 0.05), (128, 0.1), (320, 0.25), (5_000, 0.25)]
)
def test_many_keyed_partitions_are_told_less_often_but_each_interval(partitions: int, seconds: float) -> None:
    assert seconds == pytest.approx(progress.gap(partitions, 0.25))


def test_a_short_interval_does_not_bring_markers_closer_than_few_partitions_have_them() -> None:
    assert progress.GAP == progress.gap(1_000, 0.001)
