"""`worker` from the command line, on a protected cluster and beside another deployment."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from journey_stream.broker import EmbeddedKafka, ScramUser
from journey_stream.kafka.security import client_options
from journey_stream.kafka.topics import ensure_topics
from journey_stream.settings import Security, Settings, TopicNames
from journey_stream.settings_read import load_settings
from journey_stream.shop import ShopOptions, simulate
from journey_stream.shop.feed import feed
from journey_stream.shop.files import write_files
from journey_stream.values import DAY, rfc3339

pytestmark = pytest.mark.broker

SHOP = ShopOptions(customers=40, days=30, seed=11)
UNTIL = rfc3339(SHOP.start + SHOP.days * DAY)


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    folder = tmp_path_factory.mktemp("protected")
    with EmbeddedKafka(folder, users=[ScramUser("journeys", "tall tree")]) as kafka:
        yield kafka


def settings_of(kafka: EmbeddedKafka, password: Path, **more: object) -> Settings:
    security = Security(
        protocol="SASL_SSL",
        sasl_username="journeys",
        sasl_password_file=str(password),
        ssl_cafile=str(kafka.cafile),
    )
    return Settings(bootstrap_servers=kafka.secure_bootstrap, security=security, **more)  # type: ignore[arg-type]


def configuration(settings: Settings, path: Path) -> Path:
    """What an operator would write."""
    security = settings.security
    path.write_text(
        f"""
bootstrap_servers: {settings.bootstrap_servers}
application_id: {settings.application_id}
topic_prefix: {settings.topic_prefix}
journeys: {json.dumps(settings.journeys)}
partitions: 2
source_partitions: 2
clock: event
until: {UNTIL}
idle_after: 1s
web: {{port: 0}}
security:
  protocol: {security.protocol}
  sasl_username: {security.sasl_username}
  sasl_password_file: {security.sasl_password_file}
  ssl_cafile: {security.ssl_cafile}
""",
        encoding="utf-8",
    )
    return path


def work(config: Path, processes: int) -> None:
    command = [sys.executable, "-m", "journey_stream", "worker", "--config", str(config)]
    ran = subprocess.run(
        [*command, "--exit-when-done", "--processes", str(processes)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == ran.returncode, ran.stderr


async def fill(settings: Settings) -> None:
    await ensure_topics(settings)
    topics = dict(zip(settings.sources, TopicNames.of(settings).sources, strict=True))
    await feed(simulate(SHOP), topics, client_options(settings))


async def published(settings: Settings) -> list[dict[str, Any]]:
    names = TopicNames.of(settings)
    consumer = AIOKafkaConsumer(
        names.transitions,
        names.signals,
        **client_options(settings),
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    async with consumer:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        found = []
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [json.loads(record.value) for record in records]
    return found


def replayed(journeys: list[str], folder: Path) -> list[dict[str, Any]]:
    written = write_files(simulate(SHOP), folder)
    command = [sys.executable, "-m", "journey_stream", "replay", "--until", UNTIL, *map(str, written.lines)]
    for name in journeys:
        command += ["--journeys", name]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(line)["data"] for line in out.splitlines()]


def contents(values: list[dict[str, Any]]) -> list[str]:
    left_out = {"decided_at", "sequence"}
    return sorted(
        json.dumps({key: value for key, value in each.items() if key not in left_out}, sort_keys=True)
        for each in values
    )


def test_workers_of_two_deployments_on_one_protected_cluster_each_equal_their_replay(
    protected: EmbeddedKafka, tmp_path: Path
):
    password = tmp_path / "password"
    password.write_text("tall tree\n", encoding="utf-8")
    deployments = [
        settings_of(protected, password, application_id="one", topic_prefix="a", journeys=["buyer-value"]),
        settings_of(protected, password, application_id="two", topic_prefix="b", journeys=["lifecycle"]),
    ]
    for number, chosen in enumerate(deployments):
        config = configuration(chosen, tmp_path / f"{number}.yaml")
        settings = load_settings(config.read_text("utf-8"))
        asyncio.run(fill(settings))
        work(config, processes=1 + number)
        found = asyncio.run(published(settings))
        assert len(found) > 40
        assert contents(replayed(chosen.journeys, tmp_path / f"shop-{number}")) == contents(found)
        assert set(chosen.journeys) == {each["journey"] for each in found}


def test_several_processes_do_not_start_when_one_could_not(tmp_path: Path):
    ran = subprocess.run(
        [sys.executable, "-m", "journey_stream", "worker", "--processes", "3", "--set", "web.port=65534"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 2 == ran.returncode
    assert "3 processes need the ports 65534 to 65537" in ran.stderr
    assert "started" not in ran.stderr


def test_a_wrong_password_is_a_clear_error(protected: EmbeddedKafka, tmp_path: Path):
    password = tmp_path / "password"
    password.write_text("short tree", encoding="utf-8")
    config = configuration(settings_of(protected, password), tmp_path / "app.yaml")
    ran = subprocess.run(
        [sys.executable, "-m", "journey_stream", "worker", "-c", str(config), "--set", "startup_timeout=2s"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 1 == ran.returncode
    assert "`security` settings" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "short tree" not in ran.stderr
