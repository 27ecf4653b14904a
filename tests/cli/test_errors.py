"""Each mistake of a caller: one clear error, the right exit code, no traceback, nothing started."""

from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka.admin import NewTopic

from journey_stream.kafka.topics import admin_client
from journey_stream.settings import Settings, TopicNames
from tests.cli.conftest import Said

NOWHERE = "127.0.0.1:1"
BROKEN = """\
journey: broken
version: 1
start: prospekt
stages:
  prospect: {kind: prospect, title: {en: Prospect}}
  buyer: {kind: conversion, title: {en: Buyer}}
transitions:
  - {id: first, from: prospect, to: buyr, event: order_completed}
"""


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.yaml"
    path.write_text(BROKEN, encoding="utf-8")
    return path


def clear(said: Said, code: int) -> str:
    assert code == said.code
    assert "Traceback" not in said.err
    assert "" == said.out
    assert said.err.startswith(("error: ", "Usage: "))
    return said.err


def test_a_broken_definition_stops_the_worker_before_anything_starts(broken: Path, call: Callable[..., Said]):
    told = clear(call("worker", "-b", NOWHERE, "--journeys", broken), 1)
    assert f"{broken}:3:" in told  # the start
    assert f"{broken}:8:" in told  # the target, in the same go
    assert "no Kafka" not in told


def test_a_broken_definition_stops_a_replay(broken: Path, tmp_path: Path, call: Callable[..., Said]):
    events = tmp_path / "events.jsonl"
    events.write_text("")
    assert f"{broken}:8:" in clear(call("replay", "-j", broken, events), 1)


def test_a_broken_definition_has_findings(broken: Path, call: Callable[..., Said]):
    said = call("lint", broken)
    assert 1 == said.code
    assert [3, 8] == sorted({int(line.split(":")[1]) for line in said.out.splitlines() if " error " in line})
    assert "Did you mean 'buyer'?" in said.out
    assert "1 definition: " in said.err


def test_a_missing_broker(call: Callable[..., Said]):
    for verb in (("worker", "-j", "buyer-value"), ("topics", "--create"), ("reset", "--yes")):
        told = clear(call(*verb, "-b", NOWHERE, "--set", "startup_timeout=100ms"), 1)
        assert f"no Kafka at {NOWHERE} (tried for 0.1 s" in told
        assert "journey-stream broker" in told


async def misfit(settings: Settings) -> None:
    names = TopicNames.of(settings)
    async with admin_client(settings) as admin:
        await admin.create_topics([NewTopic(names.events, 3, 1), NewTopic(names.changelog, 4, 1)])


def test_a_wrong_topic_configuration(deployment: Callable[..., Settings], call: Callable[..., Said]):
    import asyncio

    settings = deployment()
    asyncio.run(misfit(settings))
    flags = ("-b", settings.bootstrap_servers, "--application-id", settings.application_id)
    flags += ("--topic-prefix", settings.topic_prefix, "--set", "partitions=4")
    for verb in (("worker", "-j", "buyer-value"), ("topics", "--create"), ("topics", "--check")):
        told = clear(call(*verb, *flags), 1)
        if "--check" not in verb:
            assert f"topic {settings.topic_prefix}.events: expected 4 partitions, found 3" in told
            assert "expected cleanup.policy=compact, found delete" in told


@pytest.mark.parametrize("verb", [("worker", "-j"), ("replay", "-", "-j"), ("lint",)])
def test_an_unknown_journey_name(verb: tuple[str, ...], call: Callable[..., Said]):
    assert "no journey `buyer-valeu`" in clear(call(*verb, "buyer-valeu"), 2)
    assert "Did you mean `buyer-value`?" in clear(call(*verb, "buyer-valeu"), 2)


def test_a_folder_without_definitions(tmp_path: Path, call: Callable[..., Said]):
    assert "expected journey definitions (*.yaml), found none" in clear(call("lint", tmp_path), 2)


def test_an_unreadable_events_file(tmp_path: Path, call: Callable[..., Said]):
    missing = tmp_path / "none.jsonl"
    assert f"cannot read events file {missing}: No such file" in clear(call("replay", missing), 2)
    assert f"cannot read events file {tmp_path}: Is a directory" in clear(call("replay", tmp_path), 2)


def test_an_unknown_configuration_key(tmp_path: Path, call: Callable[..., Said]):
    config = tmp_path / "app.yaml"
    config.write_text("partitions: 4\nallowed_latenes: 2h\n", encoding="utf-8")
    for verb in ("worker", "topics", "lint", "reset", "schema"):
        told = clear(call(verb, "--config", config), 2)
        assert f"{config}:2: unknown setting `allowed_latenes`. Did you mean `allowed_lateness`?" in told


def test_a_configuration_file_that_is_not_there(tmp_path: Path, call: Callable[..., Said]):
    assert "cannot read configuration file" in clear(call("topics", "-c", tmp_path / "none.yaml"), 2)


def test_a_configuration_file_that_is_no_text(tmp_path: Path, call: Callable[..., Said]):
    config = tmp_path / "app.yaml"
    config.write_bytes(b"a: \xff\xfe")
    assert "expected UTF-8 text, found byte 0xff" in clear(call("topics", "-c", config), 2)


def test_a_flag_that_is_no_assignment(call: Callable[..., Said]):
    assert "expected KEY=VALUE" in clear(call("topics", "--set", "partitions"), 2)


def test_a_flag_with_a_wrong_value_names_the_flag(call: Callable[..., Said]):
    told = clear(call("topics", "--set", "partitions=many"), 2)
    assert 'flag --partitions: `partitions` must be a whole number; found "many"' in told


def test_a_certificate_that_is_not_there(tmp_path: Path, call: Callable[..., Said]):
    flags = ("--set", "security.protocol=SSL", "--set", f"security.ssl_cafile={tmp_path / 'ca.pem'}")
    assert "`security.ssl_cafile`: cannot use" in clear(call("topics", "--check", *flags), 2)


def test_a_filter_that_names_nothing(tmp_path: Path, call: Callable[..., Said]):
    config = tmp_path / "app.yaml"
    config.write_text("filters: [{name: staff, when: contxt.test == true}]", encoding="utf-8")
    events = tmp_path / "events.jsonl"
    events.write_text("")
    assert "`filters`: staff: `contxt.test == true`" in clear(call("replay", "-c", config, events), 2)


def test_sizes_of_a_shop_that_cannot_be(call: Callable[..., Said]):
    assert "0<=x<=1" in clear(call("demo", "--duplicates", "2"), 2)


def test_a_user_without_password(call: Callable[..., Said]):
    assert "--user ada: expected NAME:PASSWORD" in clear(call("broker", "--user", "ada"), 2)
