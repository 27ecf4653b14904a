"""Topics that their owner deletes, grows or cuts short while workers run: each has a defined outcome."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from journey_stream.kafka.topics import admin_client, ensure_topics
from journey_stream.settings import Settings
from journey_stream.values import SECOND
from tests.faults.rounds import becomes_unwell, becomes_well, has_committed, metric, rounds
from tests.kafka.cluster import WorkerProcess, eventually, read_all

pytestmark = pytest.mark.slow
Make = Callable[..., Settings]


def quick(deployment: Make, **chosen: object) -> Settings:
    return deployment(idle_after=SECOND // 2, **chosen)


async def test_partitions_added_to_a_source_are_read_without_a_restart(
    deployment: Make, tmp_path: Path
) -> None:
    settings = quick(deployment)
    async with rounds(settings, tmp_path) as on, admin_client(settings) as admin:
        workers = [on.start_worker(), on.start_worker()]
        for worker in workers:
            await becomes_well(worker)
        await on.order()
        await on.all_there()
        await admin.create_partitions({on.names.sources[1]: NewPartitions(6)})
        await on.order([4, 5])
        await on.all_there()
        await on.order(range(6))
        await on.all_there()
        for worker in workers:
            assert "2 more partitions are read from now on" in worker.text()

        async def clock_goes_on() -> bool:
            return 0 <= await metric(workers[0], "journey_stream_clock_lag_seconds{") < 10

        await eventually(clock_goes_on)


async def test_partitions_added_to_keyed_topic_or_changelog_are_refused_and_the_work_goes_on(
    deployment: Make, tmp_path: Path
) -> None:
    settings = quick(deployment)
    async with rounds(settings, tmp_path) as on, admin_client(settings) as admin:
        worker = on.start_worker()
        await on.order()
        await on.all_there()
        for topic in (on.names.events, on.names.changelog):
            await admin.create_partitions({topic: NewPartitions(6)})
            await becomes_unwell(worker, f"topic {topic}: expected 4 partitions, found 6")
        await on.order()
        await on.all_there()
        other = on.start_worker()
        assert 1 == other.wait()
        assert "Customers are bound to partitions" in other.text()


async def test_a_source_made_anew_stops_loudly_and_goes_on_under_another_name(
    deployment: Make, tmp_path: Path
) -> None:
    settings = quick(deployment)
    async with rounds(settings, tmp_path) as on, admin_client(settings) as admin:
        worker = on.start_worker()
        for _ in range(3):
            await on.order()
        await on.all_there()
        purchases = on.names.sources[1]
        await admin.delete_topics([purchases])
        await becomes_unwell(worker, f"topic {purchases} is gone: what was read of it is safe")
        assert 1 == await metric(
            worker, f'journey_stream_topic_problems{{problem="missing",topic="{purchases}"}}'
        )
        # Others are read on.
        await on.order(source=on.names.sources[2])
        await on.all_there()
        before = await on.published()
        await ensure_topics(settings)
        # As many as before: the record at the highest offset is another than it was.
        for _ in range(3):
            await on.order()
        await becomes_unwell(worker, "the topic was deleted and made anew")
        assert 0 == worker.terminate()
        # The way out: another name, and the events of the new topic sent there.
        sources = ["visits", "purchases-2", "tickets", "surveys"]
        worker = on.start_worker(sources=sources)
        for name in [name for name, orders in on.sent.items() if orders > 4]:
            del on.sent[name]
        on._orders.subtract(dict.fromkeys(on._orders, 3))
        await becomes_well(worker)
        for _ in range(3):
            await on.order(source=f"{settings.topic_prefix}.purchases-2")
        await on.all_there()
        assert await on.published() > before


async def test_partitions_added_to_a_topic_out_are_used_from_the_next_takeover_on(
    deployment: Make, tmp_path: Path
) -> None:
    settings = quick(deployment)
    async with rounds(settings, tmp_path) as on, admin_client(settings) as admin:
        worker = on.start_worker()
        await on.order()
        await on.all_there()
        await admin.create_partitions({on.names.transitions: NewPartitions(6)})
        await on.order()
        await on.all_there()
        await becomes_well(worker)
        assert 0 == worker.terminate()
        on.start_worker()
        await on.order()
        await on.all_there()
        published = await read_all(settings, on.names.transitions)
        assert {4, 5} <= {record.partition for record in published}


async def test_without_a_topic_out_its_partitions_wait_and_go_on_when_it_is_back(
    deployment: Make, tmp_path: Path
) -> None:
    settings = quick(deployment)
    async with rounds(settings, tmp_path) as on, admin_client(settings) as admin:
        worker = on.start_worker()
        await on.order()
        await on.all_there()
        await admin.delete_topics([on.names.transitions])
        await becomes_unwell(worker, f"topic {on.names.transitions} is gone: with it what was published")
        gone = dict(on.sent)
        await on.order()
        await becomes_unwell(
            worker, f"topic {on.names.transitions}: expected at least one partition, the broker knows none"
        )
        await ensure_topics(settings)
        for name in gone:
            del on.sent[name]
        await on.all_there()
        await becomes_well(worker)


async def test_records_that_a_topic_refuses_stop_what_has_to_send_them_until_it_takes_them(
    deployment: Make, tmp_path: Path
) -> None:
    settings = quick(deployment)
    async with rounds(settings, tmp_path) as on, admin_client(settings) as admin:
        worker = on.start_worker()
        await on.order()
        await on.all_there()
        await largest_record(admin, on.names.transitions, 200)
        await on.order()
        await becomes_unwell(worker, "MessageSizeTooLargeError")
        await becomes_unwell(worker, f"(sending to {on.names.transitions}[")
        await largest_record(admin, on.names.transitions, 1 << 20)
        await on.all_there()
        await becomes_well(worker)


async def largest_record(admin: AIOKafkaAdminClient, topic: str, size: int) -> None:
    change = {"max.message.bytes": str(size)}
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=change)])


async def test_a_changelog_made_anew_stops_every_partition_before_anything_wrong_is_published(
    deployment: Make, tmp_path: Path
) -> None:
    settings = quick(deployment)
    async with rounds(settings, tmp_path) as on, admin_client(settings) as admin:
        worker = on.start_worker()
        for _ in range(3):
            await on.order()
            await on.all_there()
        await admin.delete_topics([on.names.changelog])
        await ensure_topics(settings)
        before = await on.published()
        await on.order()
        await becomes_unwell(worker, "its state is lost")
        assert before == await on.published()
        assert f"changelog {on.names.changelog}[" in worker.text()


async def test_a_keyed_topic_made_anew_stops_every_partition(deployment: Make, tmp_path: Path) -> None:
    settings = quick(deployment)
    async with rounds(settings, tmp_path) as on, admin_client(settings) as admin:
        worker = on.start_worker()
        for _ in range(3):
            await on.order()
        await on.all_there()
        before = await on.published()
        await admin.delete_topics([on.names.events])
        await ensure_topics(settings)
        await on.order()
        await becomes_unwell(worker, "it was made anew")
        assert before == await on.published()


async def test_what_retention_deleted_unread_is_told_and_the_rest_goes_on(
    deployment: Make, tmp_path: Path
) -> None:
    settings = quick(deployment)
    async with rounds(settings, tmp_path) as on:
        purchases = on.names.sources[1]
        worker = on.start_worker()
        await on.order([0])
        await on.all_there()
        assert 0 == worker.terminate()
        await on.lose(purchases, 80)
        worker = on.start_worker()
        lost = f"{purchases}[0]: offsets 40 to 79 were deleted before they were read"
        await eventually(lambda: says(worker, lost))
        # Told once: whoever starts next, before anything new comes, goes on behind it.
        await eventually(lambda: has_committed(on, purchases, 80))
        assert 0 == worker.terminate()
        worker = on.start_worker()
        await on.order([0])
        await on.all_there()
        assert "were deleted before they were read" not in worker.text()


async def says(worker: WorkerProcess, words: str) -> bool:
    return words in worker.text()
