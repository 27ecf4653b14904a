"""Fixtures for every room: a real Kafka, started once a run, when the first test asks for it.

Under pytest-xdist each worker process starts a Kafka of its own on free ports, so nothing is shared; tests in
one process share it and keep apart by `deployment`, which has its own topics, group and transactional ids.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from journey_stream.broker import EmbeddedKafka
from journey_stream.settings import Settings, Web

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A running Kafka; `kafka.bootstrap` is its address."""
    broker = EmbeddedKafka(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def deployment(kafka: EmbeddedKafka) -> Callable[..., Settings]:
    """Make settings of a deployment that nobody else uses: `deployment(partitions=4, ...)`."""

    def make(**chosen: object) -> Settings:
        number = next(_numbers)
        own = {
            "bootstrap_servers": kafka.bootstrap,
            "application_id": f"app-{number}",
            "topic_prefix": f"t{number}",
            "partitions": 4,
            "source_partitions": 4,
            "web": Web(port=0),
        }
        return Settings(**{**own, **chosen})  # type: ignore[arg-type]

    return make


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that needs Kafka, so that `-m 'not broker'` leaves them out."""
    for item in items:
        if {"kafka", "deployment"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.broker)
