"""Asking the coordinator of a group: a cluster that is new, or loses a broker, has none for a moment."""

from typing import Any, cast

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
)

from journey_stream.kafka.coordinator import ask_coordinator


class Cluster:
    """Names another coordinator each time; each answers with what is told it, the last with its own id."""

    def __init__(self, *answers: type[KafkaError]) -> None:
        self.answers, self.asked = list(answers), 0

    async def find_coordinator(self, group: str) -> int:
        self.asked += 1
        return self.asked

    async def ask(self, coordinator: int) -> int:
        if self.answers:
            raise self.answers.pop(0)
        return coordinator


async def asked(cluster: Cluster, wait: float) -> int:
    return await ask_coordinator(cast(AIOKafkaAdminClient, cast(Any, cluster)), "group", cluster.ask, wait)


async def test_a_broker_that_does_not_coordinate_yet_is_looked_up_and_asked_again():
    assert await asked(Cluster(NotCoordinatorForGroupError, GroupLoadInProgressError), wait=5) == 3


async def test_waiting_for_a_coordinator_ends():
    with pytest.raises(NotCoordinatorForGroupError):
        await asked(Cluster(*[NotCoordinatorForGroupError] * 9), wait=0.1)


async def test_what_another_try_does_not_mend_is_told_at_once():
    cluster = Cluster(GroupAuthorizationFailedError)
    with pytest.raises(GroupAuthorizationFailedError):
        await asked(cluster, wait=5)
    assert cluster.asked == 1
