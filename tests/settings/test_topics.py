"""Topics: made as the promises need them, and checked when they are there already."""

from collections.abc import Callable

import pytest
from aiokafka.admin import NewTopic

from journey_stream.errors import BrokerError, TopicError
from journey_stream.kafka.topics import (
    TopicPlan,
    TopicState,
    admin_client,
    describe,
    ensure_topics,
    misfits,
    plan,
)
from journey_stream.settings import Retention, Settings, TopicNames
from journey_stream.values import NEVER


def role(settings: Settings, name: str) -> TopicPlan:
    return next(each for each in plan(settings) if each.name == name)


def test_the_plan_names_every_topic_in_the_order_of_an_events_way():
    settings = Settings()
    assert list(TopicNames.of(settings).all()) == [each.name for each in plan(settings)]


def test_what_is_kept_by_key_is_compacted_the_rest_is_not():
    compacted = {each.name for each in plan(Settings()) if each.config["cleanup.policy"] == "compact"}
    notes = {"journey.redriven", "journey.control"}
    assert {"journey.stages", "journey-stream-customers-changelog", *notes} == compacted


def test_what_carries_originals_holds_more_than_what_they_come_in():
    settings = Settings(max_record_bytes=1000)
    sizes = {each.name: int(each.config.get("max.message.bytes", 0)) for each in plan(settings)}
    assert sizes["journey.visits"] == 1000
    assert min(sizes["journey.events"], sizes["journey.dead_letters"]) > 1000


def test_for_ever_is_for_ever():
    settings = Settings(retention=Retention(transitions=NEVER))
    assert role(settings, "journey.transitions").config["retention.ms"] == "-1"


def test_the_producers_clock_may_stamp_source_topics_without_bounds():
    config = role(Settings(source_timestamps="producer"), "journey.visits").config
    assert config["message.timestamp.type"] == "CreateTime"
    assert int(config["message.timestamp.after.max.ms"]) == NEVER


@pytest.mark.parametrize(
    ("name", "found", "told"),
    [
        ("journey.events", TopicState(3, {}), "expected 8 partitions, found 3"),
        (
            "journey-stream-customers-changelog",
            TopicState(8, {}),
            "expected cleanup.policy=compact, found delete",
        ),
        ("journey.stages", TopicState(8, {"cleanup.policy": "compact,delete"}), "found compact,delete"),
        ("journey.control", TopicState(1, {}), "or what was told once is forgotten"),
        ("journey.visits", TopicState(8, {"cleanup.policy": "compact"}), "expected cleanup.policy=delete"),
        (
            "journey.dead_letters",
            TopicState(8, {"max.message.bytes": "100"}),
            "max.message.bytes of at least",
        ),
    ],
)
def test_what_does_not_fit_is_said_with_expected_found_and_the_way_out(
    name: str, found: TopicState, told: str
):
    (line,) = misfits(role(Settings(), name), found, 200 if "bytes" in told else 0)
    assert line.startswith(f"topic {name}: ")
    assert told in line
    assert "kafka-configs" in line or "set `partitions: 3`" in line


def test_more_partitions_of_a_source_or_a_topic_out_are_nobodys_harm():
    assert [] == misfits(role(Settings(), "journey.visits"), TopicState(64, {}))
    assert [] == misfits(role(Settings(), "journey.signals"), TopicState(64, {}))


async def test_missing_topics_are_made_and_fit(deployment: Callable[..., Settings]):
    settings = deployment()
    made = await ensure_topics(settings)
    assert TopicNames.of(settings).all() == made.created
    again = await ensure_topics(settings)
    assert ((), TopicNames.of(settings).all()) == (again.created, again.present)


async def test_made_topics_have_the_planned_configuration(deployment: Callable[..., Settings]):
    settings = deployment()
    await ensure_topics(settings, extra=["extra.topic-1"])
    async with admin_client(settings) as admin:
        plans = plan(settings, ["extra.topic-1"])
        found = await describe(admin, [each.name for each in plans])
    for each in plans:
        assert each.partitions == found[each.name].partitions
        assert each.config == {key: found[each.name].config[key] for key in each.config}


async def test_topics_that_do_not_fit_are_all_named_and_nothing_is_changed(
    deployment: Callable[..., Settings],
):
    settings = deployment()
    names = TopicNames.of(settings)
    async with admin_client(settings) as admin:
        await admin.create_topics([NewTopic(names.events, 2, 1), NewTopic(names.changelog, 2, 1)])
    with pytest.raises(TopicError) as caught:
        await ensure_topics(settings)
    told = str(caught.value)
    assert f"topic {names.events}: expected 4 partitions, found 2" in told
    assert f"topic {names.changelog}: expected cleanup.policy=compact" in told


async def test_checking_creates_nothing(deployment: Callable[..., Settings]):
    settings = deployment()
    with pytest.raises(TopicError, match=r"missing topics: .*topics --create"):
        await ensure_topics(settings, create=False)
    async with admin_client(settings) as admin:
        assert {} == await describe(admin, list(TopicNames.of(settings).all()))


async def test_two_deployments_share_a_cluster(deployment: Callable[..., Settings]):
    one, two = deployment(), deployment()
    await ensure_topics(one)
    await ensure_topics(two)
    assert not set(TopicNames.of(one).all()) & set(TopicNames.of(two).all())


async def test_a_broker_that_stays_away_is_one_clear_error():
    settings = Settings(bootstrap_servers="127.0.0.1:1", startup_timeout=500_000)
    with pytest.raises(BrokerError, match=r"no Kafka at 127\.0\.0\.1:1 \(tried for 0\.5 s"):
        await ensure_topics(settings)
