"""Questions to the consumer's thread: answered, bounded in time, and over when whoever asked is told to stop."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from journey_stream.broker import EmbeddedKafka
from journey_stream.kafka import transport
from journey_stream.kafka.assignor import sticky_assignor
from journey_stream.kafka.group import GroupOptions
from journey_stream.kafka.transport import BatchThread
from tests.faults.proxy import Proxy


class Thread(BatchThread):
    """The consumer's thread without the app around it, its loop being that of the test."""

    should_stop = False

    def __init__(self) -> None:
        self.thread_loop = asyncio.get_running_loop()


def thread() -> BatchThread:
    return Thread()


async def answer() -> str:
    return "here"


async def test_an_answer_is_handed_on() -> None:
    assert "here" == await thread().run(answer)


async def test_no_answer_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "RUN_SECONDS", 0.01)
    with pytest.raises(TimeoutError):
        await thread().run(lambda: asyncio.sleep(30))


@pytest.mark.parametrize("turns", range(8))
async def test_who_is_told_to_stop_stops_even_when_the_answer_comes_at_that_moment(turns: int) -> None:
    """Faust cancels its fetcher once, and waits for its end: a cancellation lost is a worker that never ends."""
    asking = asyncio.create_task(thread().run(answer))
    for _ in range(turns):
        await asyncio.sleep(0)
    in_time = not asking.done()
    asking.cancel()
    await asyncio.wait([asking])
    assert in_time == asking.cancelled()


def connecting(bootstrap: str, seconds: float) -> BatchThread:
    """The consumer's thread as it is before its consumer is connected."""
    made: Any = thread()
    options = GroupOptions(
        {"bootstrap_servers": bootstrap}, "group", sticky_assignor(), 1, startup_seconds=seconds
    )
    made.transport = SimpleNamespace(options=options)
    made.app = SimpleNamespace(client_only=False)
    started: BatchThread = made
    return started


async def test_brokers_that_go_away_at_the_start_are_waited_for(kafka: EmbeddedKafka) -> None:
    with Proxy() as way:
        way.target = kafka.port
        way.cut()
        made = connecting(way.address, 30)
        starting = asyncio.create_task(made.on_start())
        await asyncio.sleep(1.5)
        assert not starting.done()
        await asyncio.to_thread(way.heal)
        await asyncio.wait_for(starting, 20)
        await made._ensure_consumer().stop()


async def test_brokers_that_stay_away_are_told() -> None:
    with Proxy() as way:
        way.cut()
        with pytest.raises(KafkaConnectionError):
            await connecting(way.address, 0.2).on_start()
