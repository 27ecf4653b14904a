"""Who waits for the hop goes together; who cannot be sent fails alone soon; nobody takes others along."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from journey_stream.kafka import hop_sender
from journey_stream.kafka import sender as sender_module
from journey_stream.kafka.hop_sender import HopSender
from journey_stream.kafka.sender import Row, Sender
from journey_stream.settings import Settings
from tests.kafka.cluster import client, read_all, topics

TOO_LARGE = 4 << 20


@asynccontextmanager
async def sender(settings: Settings) -> AsyncIterator[tuple[HopSender, str]]:
    events = (await topics(settings)).events
    made = HopSender(client(settings), events, "none", 64 << 20)
    try:
        yield made, events
    finally:
        await made.stop()


def rows(value: bytes, partition: int = 1) -> dict[int, list[Row]]:
    return {partition: [(b"k", value, [])]}


@pytest.fixture
def delivered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many records each batch had that went out."""
    found: list[int] = []
    deliver = Sender._deliver

    async def noted(self: Sender, batch: Any, topic: str, partition: int) -> int:
        found.append(batch.record_count())
        return await deliver(self, batch, topic, partition)

    monkeypatch.setattr(Sender, "_deliver", noted)
    return found


async def test_those_who_wait_go_in_one_batch_a_partition_in_the_order_they_came(
    deployment: Callable[..., Settings], delivered: list[int]
) -> None:
    settings = deployment()
    async with sender(settings) as (hop, events):
        first = asyncio.create_task(hop.send(rows(b"first"), {}))
        while not delivered:
            await asyncio.sleep(0.001)
        await asyncio.gather(*(hop.send(rows(b"%d" % n), {}) for n in range(20)), first)
    assert [1, 20] == delivered
    expected = [b"first", *(b"%d" % n for n in range(20))]
    assert expected == [each.value for each in await read_all(settings, events)]


async def test_finished_batches_and_rows_go_together(
    deployment: Callable[..., Settings], delivered: list[int]
) -> None:
    native = pytest.importorskip("journey_stream_native")
    settings = deployment()

    def ready(value: bytes) -> dict[int, list[Any]]:
        return {1: native.ready_batches([(b"k", value, [])], [1_767_225_600_000], False)}

    async with sender(settings) as (hop, events):
        await asyncio.gather(hop.send({}, ready(b"a")), hop.send(rows(b"row"), {}), hop.send({}, ready(b"b")))
    assert [3] == delivered
    assert [b"a", b"b", b"row"] == [each.value for each in await read_all(settings, events)]


async def test_what_cannot_be_sent_fails_all_who_went_with_it_once_and_itself_for_good(
    deployment: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = deployment(max_event_bytes=1 << 16, max_record_bytes=1 << 20)
    async with sender(settings) as (hop, events):

        async def turn() -> list[Any]:
            sends = (hop.send(rows(b"small"), {}), hop.send(rows(b"x" * TOO_LARGE), {}))
            found = await asyncio.gather(*sends, return_exceptions=True)
            return [type(each) for each in found]

        together = await turn()
        assert all(issubclass(each, KafkaError) for each in together)
        assert [type(None), MessageSizeTooLargeError] == await turn()
        monkeypatch.setattr(hop_sender, "ALONE_SECONDS", 0.0)
        hop._alone_until = 0.0
        assert together == await turn()
    assert {b"small"} == {each.value for each in await read_all(settings, events)}


async def test_who_is_cancelled_while_waiting_takes_nobody_along(
    deployment: Callable[..., Settings],
) -> None:
    settings = deployment()
    async with sender(settings) as (hop, events):
        gone = asyncio.create_task(hop.send(rows(b"gone"), {}))
        stays = asyncio.create_task(hop.send(rows(b"stays"), {}))
        await asyncio.sleep(0)
        gone.cancel()
        await stays
        assert gone.cancelled()
    assert b"stays" in {each.value for each in await read_all(settings, events)}


async def test_a_panic_of_the_core_is_told_to_those_who_wait(
    deployment: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Panic(BaseException):
        """As the compiled core raises it."""

    def fails(batches: Any, rows: Any, *, transactional: bool) -> Any:
        raise Panic

    settings = deployment()
    async with sender(settings) as (hop, _):
        with monkeypatch.context() as patched:
            patched.setattr(sender_module, "joined", fails)
            with pytest.raises(Panic):
                await hop.send({}, {1: ["batch"]})
        await hop.send(rows(b"goes on"), {})


async def test_the_end_leaves_nobody_waiting(deployment: Callable[..., Settings]) -> None:
    settings = deployment()
    async with sender(settings) as (hop, _):
        waiting = [asyncio.create_task(hop.send(rows(b"%d" % n), {})) for n in range(3)]
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await asyncio.wait(waiting)
