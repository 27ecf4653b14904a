"""The network between workers and broker: cut, silent, slow, and brokers that answer late."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from journey_stream.broker import EmbeddedKafka
from journey_stream.settings import Settings, Web
from journey_stream.values import SECOND
from tests.faults.proxy import (
    END_TXN,
    PRODUCE,
    TXN_OFFSET_COMMIT,
    Hold,
    Proxy,
    Way,
    kafka_behind,
)
from tests.faults.rounds import becomes_unwell, becomes_well, has_committed, metric, rounds
from tests.kafka.cluster import eventually

pytestmark = [pytest.mark.slow, pytest.mark.broker]
LONGER_THAN_A_SESSION = 14
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedKafka, Proxy, Proxy]]:
    """A Kafka and two ways to it."""
    with (
        Proxy() as one,
        Proxy() as other,
        kafka_behind(tmp_path_factory.mktemp("kafka"), one, other) as kafka,
    ):
        yield kafka, one, other


@pytest.fixture
def network(ways: tuple[EmbeddedKafka, Proxy, Proxy]) -> Iterator[tuple[Settings, Proxy, Proxy]]:
    """Settings of a deployment of its own, and the two ways, whole again afterwards."""
    kafka, one, other = ways
    name = f"net-{next(_numbers)}"
    yield (
        Settings(
            bootstrap_servers=kafka.bootstrap,
            application_id=name,
            topic_prefix=name,
            partitions=4,
            source_partitions=4,
            idle_after=SECOND // 2,
            web=Web(port=0),
        ),
        one,
        other,
    )
    for proxy in (one, other):
        proxy.heal()


async def caught(hold: Hold) -> None:
    assert await asyncio.to_thread(hold.caught.wait, 60)


@pytest.mark.parametrize("how", [Proxy.cut, Proxy.silence], ids=["connections reset", "nothing answers"])
async def test_a_network_gone_for_longer_than_the_session_costs_time_and_nothing_else(
    network: tuple[Settings, Proxy, Proxy], tmp_path: Path, how: Callable[[Proxy], None]
) -> None:
    settings, one, other = network
    async with rounds(settings, tmp_path) as on:
        workers = [on.start_worker(through=one.address), on.start_worker(through=other.address)]
        for worker in workers:
            await becomes_well(worker)
        await on.order()
        await on.all_there()
        await on.order()
        for proxy in (one, other):
            how(proxy)
        await on.order()
        await asyncio.sleep(LONGER_THAN_A_SESSION)
        for proxy in (one, other):
            proxy.heal()
        await on.order()
        await on.all_there()
        for worker in workers:
            assert "the brokers do not answer, trying on" in worker.text()
            await becomes_well(worker)


@pytest.mark.parametrize(
    "silent", [("request", "response"), ("response",)], ids=["both ways", "answers only"]
)
async def test_a_worker_cut_off_alone_is_replaced_and_harms_nothing_when_it_is_back(
    network: tuple[Settings, Proxy, Proxy], tmp_path: Path, silent: tuple[Way, ...]
) -> None:
    settings, one, other = network
    async with rounds(settings, tmp_path) as on:
        lonely, whole = on.start_worker(through=one.address), on.start_worker(through=other.address)
        for worker in (lonely, whole):
            await becomes_well(worker)
        await on.order()
        await on.all_there()
        await on.order()
        one.silence(*silent)
        for _ in range(3):
            await on.order()
            await asyncio.sleep(LONGER_THAN_A_SESSION / 3)
        await on.all_there()
        one.heal()
        await on.order()
        await on.all_there()
        await becomes_well(lonely)


@pytest.mark.parametrize("way", ["request", "response"])
async def test_when_nobody_knows_whether_a_transaction_was_committed_the_takeover_finds_out(
    network: tuple[Settings, Proxy, Proxy], tmp_path: Path, way: Way
) -> None:
    settings, one, _ = network
    async with rounds(settings, tmp_path) as on:
        worker = on.start_worker("commit=4", "request=3", through=one.address)
        await becomes_well(worker)
        await on.order()
        await on.all_there()
        late = one.hold(END_TXN, way)
        await on.order()
        await caught(late)

        async def given_up() -> bool:
            return "a transaction was not committed within 4 s: the coordinator" in worker.text()

        await eventually(given_up)
        # What was held arrives now, after somebody else has taken over.
        late.release()
        await on.order()
        await on.all_there()
        assert 0 < await metric(worker, 'journey_stream_checkpoints_total{outcome="failed"}')


@pytest.mark.parametrize("api", [PRODUCE, TXN_OFFSET_COMMIT, END_TXN])
async def test_a_broker_that_answers_late_slows_the_work_and_no_more(
    network: tuple[Settings, Proxy, Proxy], tmp_path: Path, api: int
) -> None:
    settings, one, _ = network
    async with rounds(settings, tmp_path) as on:
        worker = on.start_worker("request=2", through=one.address)
        await becomes_well(worker)
        # Later than a request may take: the client asks again while the first answer is still under way.
        late = one.hold(api, "response", seconds=3, times=6)
        for _ in range(4):
            await on.order()
            await asyncio.sleep(0.5)
        await on.all_there()
        late.release()


async def test_a_transaction_that_timed_out_in_the_middle_of_a_checkpoint_never_was(
    network: tuple[Settings, Proxy, Proxy], tmp_path: Path
) -> None:
    settings, one, _ = network
    async with rounds(settings, tmp_path) as on:
        # A request must not time out while the worker is stopped: it is to hear what became of its transaction.
        worker = on.start_worker("transaction=4", "request=30", through=one.address)
        await becomes_well(worker)
        await on.order()
        await on.all_there()
        before = await on.published()
        held = one.hold(TXN_OFFSET_COMMIT)
        await on.order()
        await caught(held)
        worker.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(8)  # the brokers look for such transactions now and then
        assert before == await on.published()
        held.release()
        worker.process.send_signal(signal.SIGCONT)
        await on.order()
        await on.all_there()
        assert "fenced: another worker took over, or a transaction timed out" in worker.text()
        assert 0 < await metric(worker, "journey_stream_fenced_total")


async def test_a_rebalance_in_the_middle_of_a_checkpoint_repeats_nothing(
    network: tuple[Settings, Proxy, Proxy], tmp_path: Path
) -> None:
    settings, one, other = network
    async with rounds(settings, tmp_path) as on:
        first = on.start_worker("request=30", "commit=60", through=one.address)
        await becomes_well(first)
        await on.order()
        await on.all_there()
        # Its checkpoints take longer than a rebalance waits for them.
        slow = one.hold(END_TXN, seconds=15, times=4)
        await on.order()
        await caught(slow)
        second = on.start_worker(through=other.address)
        await on.order()
        await becomes_well(second)
        await on.order()
        await on.all_there()
        assert "not committed within 5 s; that part is read again" in first.text()


async def test_what_retention_deleted_while_a_worker_was_cut_off_is_told_once(
    network: tuple[Settings, Proxy, Proxy], tmp_path: Path
) -> None:
    settings, one, _ = network
    async with rounds(settings, tmp_path) as on:
        purchases = on.names.sources[1]
        worker = on.start_worker(through=one.address)
        await on.order([0])
        await on.all_there()
        await eventually(lambda: has_committed(on, purchases, 40))
        # Cut, not only stopped: a fetch that waits at the broker would bring the worker what is deleted only then.
        one.cut()
        await on.lose(purchases, 80)
        one.heal()
        deleted = f'journey_stream_deleted_unread_records_total{{topic="{purchases}"}}'

        async def told() -> bool:
            return await metric(worker, deleted) > 0

        await eventually(told)
        assert f"{purchases}[0]: offsets 40 to 79 were deleted before they were read" in worker.text()
        await eventually(lambda: has_committed(on, purchases, 80))
        await on.order([0])
        await on.all_there()
        assert 40 == await metric(worker, deleted)


async def test_slow_produce_is_waited_for_and_a_lane_that_waits_too_long_says_so(
    network: tuple[Settings, Proxy, Proxy], tmp_path: Path
) -> None:
    settings, one, _ = network
    async with rounds(settings, tmp_path) as on:
        worker = on.start_worker("commit=5", "request=30", through=one.address)
        await becomes_well(worker)
        slow = one.hold(PRODUCE, "response", seconds=0.5)
        for _ in range(3):
            await on.order()
        await on.all_there()
        assert "stopped and starts over" not in worker.text()
        slow.release()
        stuck = one.hold(PRODUCE, "response")
        await on.order()
        await becomes_unwell(worker, "s: ")
        stuck.release()
        await on.all_there()
        await becomes_well(worker)
