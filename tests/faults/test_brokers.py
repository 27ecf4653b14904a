"""Brokers that go away, and brokers whose disk is full."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from journey_stream.broker import EmbeddedKafka
from journey_stream.settings import Settings, Web
from journey_stream.values import SECOND
from tests.faults.neighbours import fill_disk
from tests.faults.rounds import becomes_unwell, becomes_well, rounds
from tests.kafka.cluster import eventually

pytestmark = [pytest.mark.slow, pytest.mark.broker]
LONGER_THAN_A_SESSION = 14


@pytest.fixture
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A Kafka that nobody else uses."""
    kafka = EmbeddedKafka(tmp_path_factory.mktemp("kafka"))
    kafka.start()
    yield kafka
    kafka.kill()


@pytest.fixture
def settings(fragile: EmbeddedKafka) -> Settings:
    return Settings(
        bootstrap_servers=fragile.bootstrap,
        partitions=4,
        source_partitions=4,
        idle_after=SECOND // 2,
        web=Web(port=0),
    )


async def test_all_brokers_away_for_longer_than_a_session_cost_time_and_nothing_else(
    fragile: EmbeddedKafka, settings: Settings, tmp_path: Path
) -> None:
    async with rounds(settings, tmp_path) as on:
        workers = [on.start_worker(), on.start_worker()]
        for worker in workers:
            await becomes_well(worker)
        await on.order()
        await on.all_there()
        await on.order()
        await asyncio.to_thread(fragile.kill)
        for worker in workers:
            await becomes_unwell(worker, "has failed for")
        await asyncio.sleep(LONGER_THAN_A_SESSION)
        await asyncio.to_thread(fragile.start)
        await on.order()
        await on.all_there()
        for worker in workers:
            await becomes_well(worker)


async def test_a_worker_with_nothing_to_send_is_unwell_soon_while_all_brokers_are_away(
    fragile: EmbeddedKafka, settings: Settings, tmp_path: Path
) -> None:
    async with rounds(settings, tmp_path) as on:
        worker = on.start_worker()
        await on.order()
        await on.all_there()
        await asyncio.sleep(2)
        await asyncio.to_thread(fragile.kill)
        await becomes_unwell(worker, "telling of progress has failed for")
        await asyncio.to_thread(fragile.start)
        await on.order()
        await on.all_there()
        await becomes_well(worker)


async def test_a_broker_that_goes_away_while_workers_start_is_waited_for(
    fragile: EmbeddedKafka, settings: Settings, tmp_path: Path
) -> None:
    async with rounds(settings, tmp_path) as on:
        # At every moment of a start: before the first connection, between two questions, before the group.
        workers = []
        for _ in range(4):
            workers.append(on.start_worker())
            await asyncio.sleep(0.5)
        await asyncio.to_thread(fragile.kill)
        await asyncio.sleep(3)
        assert [None] * 4 == [worker.process.poll() for worker in workers]
        await asyncio.to_thread(fragile.start)
        await on.order()
        await on.all_there()
        for worker in workers:
            await becomes_well(worker)


async def test_a_broker_without_space_stops_and_all_goes_on_when_it_has_space_again(
    fragile: EmbeddedKafka, settings: Settings, tmp_path: Path
) -> None:
    async with rounds(settings, tmp_path) as on:
        worker = on.start_worker()
        for _ in range(2):
            await on.order()
        await on.all_there()
        fill_disk(fragile, 1)

        async def stopped() -> bool:
            return not fragile.running

        sending = asyncio.create_task(on.order())
        await eventually(stopped)
        await becomes_unwell(worker, "has failed for")
        await asyncio.to_thread(fragile.start)
        await sending
        await on.order()
        await on.all_there()
        await becomes_well(worker)
