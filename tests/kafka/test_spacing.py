"""A broker is asked for records at most so often, and at once after a quiet moment."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from journey_stream.kafka import spacing
from tests.kafka.crash.steps import VirtualLoop, VirtualTime


def asked(monkeypatch: pytest.MonkeyPatch, requests: list[tuple[float, int]]) -> list[float]:
    """Ask at moments for a node's records; gives the moments at which it was really asked."""
    loop = VirtualLoop()
    monkeypatch.setattr(spacing, "time", VirtualTime(loop, 0))
    found: list[float] = []

    async def fetch(assignment: Any, node: int, request: Any) -> bool:
        found.append(round(loop.time(), 3))
        return bool(request)

    async def run() -> None:
        consumer: Any = SimpleNamespace(_fetcher=SimpleNamespace(_proc_fetch_request=fetch))
        spacing.space_out(consumer, 0.02)
        for at, node in requests:
            await asyncio.sleep(max(0.0, at - loop.time()))
            assert await consumer._fetcher._proc_fetch_request(None, node, "request") is True
            assert await consumer._fetcher._proc_fetch_request(None, node + 100, "") is False

    try:
        loop.run_until_complete(run())
    finally:
        loop.close()
    return found[::2]


def test_one_answer_after_another_makes_no_crowd_of_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [1.0, 1.02, 1.04] == asked(monkeypatch, [(1.0, 1), (1.001, 1), (1.002, 1)])


def test_after_a_quiet_moment_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [1.0, 1.5] == asked(monkeypatch, [(1.0, 1), (1.5, 1)])


def test_each_broker_has_a_pause_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [1.0, 1.0, 1.02] == asked(monkeypatch, [(1.0, 1), (1.0, 2), (1.0, 1)])


def test_a_pause_that_is_cut_short_ends_as_a_request_that_is_cut_short_does() -> None:
    """aiokafka cancels its requests when it closes, waits for each, and does not expect an error of it."""

    async def run() -> bool:
        async def fetch(assignment: Any, node: int, request: Any) -> bool:
            return True

        consumer: Any = SimpleNamespace(_fetcher=SimpleNamespace(_proc_fetch_request=fetch))
        spacing.space_out(consumer, 60.0)
        assert await consumer._fetcher._proc_fetch_request(None, 1, "request")
        waiting = asyncio.create_task(consumer._fetcher._proc_fetch_request(None, 1, "request"))
        await asyncio.sleep(0.01)
        waiting.cancel()
        return await waiting

    assert asyncio.run(run()) is False


def test_who_knows_that_something_has_come_ends_the_pause_and_only_that_one() -> None:
    async def run() -> tuple[float, bool]:
        async def fetch(assignment: Any, node: int, request: Any) -> bool:
            return True

        consumer: Any = SimpleNamespace(_fetcher=SimpleNamespace(_proc_fetch_request=fetch))
        hurry = spacing.space_out(consumer, 60.0)
        assert await consumer._fetcher._proc_fetch_request(None, 1, "request")
        waiting = asyncio.create_task(consumer._fetcher._proc_fetch_request(None, 1, "request"))
        await asyncio.sleep(0.01)
        began = time.monotonic()
        await asyncio.get_running_loop().run_in_executor(None, hurry)
        assert await waiting
        took = time.monotonic() - began
        again = asyncio.create_task(consumer._fetcher._proc_fetch_request(None, 1, "request"))
        done, _ = await asyncio.wait([again], timeout=0.05)
        again.cancel()
        return took, bool(done)

    took, passed = asyncio.run(run())
    assert took < 5
    assert not passed


def test_to_hurry_after_the_end_is_no_error() -> None:
    async def run() -> Any:
        async def fetch(assignment: Any, node: int, request: Any) -> bool:
            return True

        consumer: Any = SimpleNamespace(_fetcher=SimpleNamespace(_proc_fetch_request=fetch))
        return spacing.space_out(consumer)

    asyncio.run(run())()
