"""Rights that are taken from a running worker, and given back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest

from journey_stream.broker import EmbeddedKafka
from journey_stream.kafka.topics import admin_client
from journey_stream.settings import Settings, Web
from journey_stream.values import SECOND
from tests.faults.rounds import becomes_unwell, becomes_well, rounds
from tests.kafka.cluster import eventually

pytestmark = [pytest.mark.slow, pytest.mark.broker]
TOPIC, LITERAL, READ, WRITE, DENY = 2, 3, 3, 4, 2


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A deployment on a Kafka that asks for rights; who has none named against them may do all."""
    properties = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
    }
    kafka = EmbeddedKafka(tmp_path_factory.mktemp("kafka"), properties=properties)
    with kafka:
        yield Settings(
            bootstrap_servers=kafka.bootstrap,
            partitions=4,
            source_partitions=4,
            idle_after=SECOND // 2,
            web=Web(port=0),
        )


async def deny(admin: AIOKafkaAdminClient, topic: str, operation: int) -> None:
    await _asked(admin, CreateAclsRequest(TOPIC, topic, LITERAL, "User:ANONYMOUS", "*", operation, DENY))


async def allow(admin: AIOKafkaAdminClient, topic: str, operation: int) -> None:
    await _asked(admin, DeleteAclsRequest(TOPIC, topic, LITERAL, "User:ANONYMOUS", "*", operation, DENY))


async def _asked(admin: AIOKafkaAdminClient, request: object) -> None:
    answer = await admin._send_to_controller(request)
    assert "error_code=0" in str(answer), answer


async def test_a_worker_that_may_no_longer_publish_stops_and_goes_on_when_it_may_again(
    settings: Settings, tmp_path: Path
) -> None:
    async with rounds(settings, tmp_path) as on, admin_client(settings) as admin:
        worker = on.start_worker()
        await on.order()
        await on.all_there()
        await deny(admin, on.names.transitions, WRITE)
        await on.order()
        await becomes_unwell(worker, "TopicAuthorizationFailedError")
        await becomes_unwell(worker, on.names.transitions)
        await allow(admin, on.names.transitions, WRITE)
        await on.all_there()
        await becomes_well(worker)


async def test_a_source_that_may_no_longer_be_read_leaves_the_others_alone(
    settings: Settings, tmp_path: Path
) -> None:
    async with rounds(settings, tmp_path) as on, admin_client(settings) as admin:
        worker = on.start_worker()
        await on.order()
        await on.all_there()
        await deny(admin, on.names.sources[0], READ)

        async def told() -> bool:
            return "fetch lane" in worker.text() and on.names.sources[0] in worker.text()

        await on.order()
        await on.all_there()
        await eventually(told)
        await allow(admin, on.names.sources[0], READ)
        await on.order(source=on.names.sources[0])
        await on.all_there()
        await becomes_well(worker)
