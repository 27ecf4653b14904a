"""The network between: passes everything on, until a test cuts it, silences it, or holds one kind of frame."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError

from tests.faults.proxy import PRODUCE, Proxy, kafka_behind

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def proxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, Proxy]]:
    """Two ways to one broker, with a topic `t`."""
    with (
        Proxy() as one,
        Proxy() as other,
        kafka_behind(tmp_path_factory.mktemp("kafka"), one, other) as kafka,
    ):
        asyncio.run(_make_topic(kafka.bootstrap))
        yield one, other


async def _make_topic(bootstrap: str, name: str = "t") -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1)])
    await admin.close()


async def test_one_way_can_be_cut_and_healed_while_the_other_goes_on(proxies: tuple[Proxy, Proxy]) -> None:
    cut, whole = proxies
    sender = AIOKafkaProducer(bootstrap_servers=whole.address)
    await sender.start()
    cut.cut()
    with pytest.raises(KafkaConnectionError):
        await AIOKafkaProducer(bootstrap_servers=cut.address).start()
    await sender.send_and_wait("t", b"1")
    cut.heal()
    again = AIOKafkaProducer(bootstrap_servers=cut.address)
    await again.start()
    await again.send_and_wait("t", b"2")
    await again.stop()
    await sender.stop()


async def test_what_was_silenced_arrives_when_the_network_heals(proxies: tuple[Proxy, Proxy]) -> None:
    proxy, _ = proxies
    sender = AIOKafkaProducer(bootstrap_servers=proxy.address)
    await sender.start()
    await sender.send_and_wait("t", b"first")
    proxy.silence("request")
    sent = await sender.send("t", b"late")
    assert not (await asyncio.wait([sent], timeout=1))[0]
    proxy.heal()
    await asyncio.wait_for(sent, 10)
    await sender.stop()


async def test_one_kind_of_frame_waits_while_the_others_pass(proxies: tuple[Proxy, Proxy]) -> None:
    proxy, _ = proxies
    sender = AIOKafkaProducer(bootstrap_servers=proxy.address)
    await sender.start()
    hold = proxy.hold(PRODUCE, "response", times=1)
    sent = await sender.send("t", b"held")
    assert await asyncio.to_thread(hold.caught.wait, 5)
    await _make_topic(proxy.address, "other")  # other kinds, and other connections, go on
    assert not sent.done()
    hold.release()
    await asyncio.wait_for(sent, 10)
    slow = proxy.hold(PRODUCE, seconds=0.5, times=1)
    began = time.monotonic()
    await sender.send_and_wait("t", b"slow")
    assert time.monotonic() - began >= 0.5
    assert slow.caught.is_set()
    await sender.stop()
