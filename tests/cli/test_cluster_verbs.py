"""`topics` and `reset` on a real Kafka."""

import asyncio
import json
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from journey_stream.kafka.coordinator import committed_of
from journey_stream.kafka.security import client_options
from journey_stream.kafka.topics import admin_client, describe, ensure_topics
from journey_stream.settings import Settings, TopicNames
from tests.cli.conftest import Said


def flags(settings: Settings) -> tuple[str, ...]:
    return (
        *("-b", settings.bootstrap_servers, "--application-id", settings.application_id),
        *("--topic-prefix", settings.topic_prefix, "--set", "partitions=4", "--set", "source_partitions=2"),
    )


def there(settings: Settings) -> set[str]:
    async def ask() -> set[str]:
        async with admin_client(settings) as admin:
            return set(await describe(admin, list(TopicNames.of(settings).all())))

    return asyncio.run(ask())


def test_topics_are_planned_then_made_then_found(
    deployment: Callable[..., Settings], call: Callable[..., Said]
):
    settings = deployment()
    names = TopicNames.of(settings)

    plan = call("topics", *flags(settings))
    assert 0 == plan.code
    assert "cleanup.policy=compact" in plan.out
    assert set() == there(settings)

    made = json.loads(call("topics", "--create", "--json", *flags(settings)).out)
    assert list(names.all()) == list(made)
    assert {"created"} == {each["result"] for each in made.values()}
    assert [2, 4] == [made[names.sources[0]]["partitions"], made[names.events]["partitions"]]
    assert set(names.all()) == there(settings)

    found = call("topics", "--check", *flags(settings))
    assert 0 == found.code
    assert len(names.all()) == found.out.count("fits")


def test_topics_by_stage_and_signal_are_made_too(
    deployment: Callable[..., Settings], call: Callable[..., Said]
):
    settings = deployment()
    own = ("--set", "journeys=buyer-value", "--set", "record_topics.transitions=stage")
    made = json.loads(call("topics", "--create", "--json", *own, *flags(settings)).out)
    assert f"{settings.topic_prefix}.transitions.buyer-value.core_customer" in made


async def _use(settings: Settings) -> None:
    await ensure_topics(settings)
    names, options = TopicNames.of(settings), client_options(settings)
    async with AIOKafkaProducer(**options) as producer:
        await producer.send_and_wait(names.sources[0], b"x")
    consumer = AIOKafkaConsumer(**options, group_id=settings.application_id, enable_auto_commit=False)
    await consumer.start()
    partition = TopicPartition(names.sources[0], 0)
    consumer.assign([partition])
    await consumer.commit({partition: 1})
    await consumer.stop()


def offset(settings: Settings) -> int | None:
    async def ask() -> int | None:
        async with admin_client(settings) as admin:
            return next(iter((await committed_of(admin, settings.application_id)).values()), None)

    return asyncio.run(ask())


def test_reset_says_what_it_would_do_and_does_it_when_told(
    deployment: Callable[..., Settings], call: Callable[..., Said]
):
    settings, neighbour = deployment(), deployment()
    asyncio.run(_use(settings))
    asyncio.run(_use(neighbour))
    names = TopicNames.of(settings)

    plan = call("reset", *flags(settings))
    assert (0, 1) == (plan.code, offset(settings))
    assert f"topic {names.events}: would be deleted" in plan.out
    assert "say --yes" in plan.err
    assert set(names.all()) == there(settings)

    kept = call("reset", "--yes", "--keep-output", *flags(settings))
    assert 0 == kept.code
    assert set(names.all()) - {names.events, names.control, names.changelog} == there(settings)
    assert offset(settings) is None

    done = json.loads(call("reset", "--yes", "--json", *flags(settings)).out)
    assert done["deleted"] is True
    assert {*names.sources, names.redriven} == there(settings)
    assert set(TopicNames.of(neighbour).all()) == there(neighbour)
    assert 1 == offset(neighbour)


def test_reset_of_a_deployment_that_never_ran_is_fine(
    deployment: Callable[..., Settings], call: Callable[..., Said]
):
    assert 0 == call("reset", "--yes", *flags(deployment())).code


async def _member(settings: Settings, ask: Callable[[], Said]) -> Said:
    options = client_options(settings)
    consumer = AIOKafkaConsumer(
        TopicNames.of(settings).sources[0], **options, group_id=settings.application_id
    )
    await consumer.start()
    while not consumer.assignment():
        await consumer.getmany(timeout_ms=100)
    try:
        return await asyncio.to_thread(ask)
    finally:
        await consumer.stop()


def test_reset_refuses_while_a_worker_runs(deployment: Callable[..., Settings], call: Callable[..., Said]):
    settings = deployment()
    asyncio.run(_use(settings))
    said = asyncio.run(_member(settings, lambda: call("reset", "--yes", *flags(settings))))
    assert 1 == said.code
    assert "stop every worker of the deployment first" in said.err
    assert set(TopicNames.of(settings).all()) == there(settings)
