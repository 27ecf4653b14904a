"""What an operator has paused: told in a topic of the deployment, obeyed by whichever worker it concerns.

Enters: `pause` and `resume` of the command line. Leaves: for each worker, whether one of its partitions is to
rest. Strategy: one compacted topic with one partition; a key is what is paused, its value since when and why,
a tombstone ends it. Every worker reads it from the beginning before it takes up its first assignment, and
follows it from then on: so a pause survives restarts and rebalances, and needs no worker's address.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec
from aiokafka.errors import KafkaError

from journey_stream.kafka.reading import Reader, reader
from journey_stream.settings import Settings, TopicNames

log = logging.getLogger(__name__)

ALL: Final = "all"
KNOWN_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 2.0


class Pause(msgspec.Struct, frozen=True):
    """What a pause says of itself."""

    since: str
    reason: str | None = None


Pauses = dict[str, Pause]
"""By what is paused: `all`, a topic, or `topic/partition`."""


def target(topic: str, partition: int | None = None) -> str:
    """Name what is paused: a whole topic, or one partition of it."""
    return topic if partition is None else f"{topic}/{partition}"


def pause_of(pauses: Mapping[str, Pause], topic: str, partition: int) -> Pause | None:
    """Tell what pauses a partition, if anything does; the widest first."""
    for key in (ALL, target(topic), target(topic, partition)):
        if key in pauses:
            return pauses[key]
    return None


def take(pauses: Pauses, records: Iterable[Any]) -> None:
    """Take records of the topic in; one that cannot be read pauses nothing."""
    for record in records:
        if record.key is None:
            continue
        key = record.key.decode("utf-8", "replace")
        pauses.pop(key, None)
        if record.value is not None:
            try:
                pauses[key] = msgspec.json.decode(record.value, type=Pause)
            except msgspec.DecodeError as error:
                log.warning(
                    "%s: the pause of %s cannot be read and is left out: %s", record.topic, key, error
                )


async def read_pauses(read: Reader, settings: Settings) -> Pauses:
    """Read what is paused now."""
    pauses: Pauses = {}
    async for records in read.read(TopicNames.of(settings).control):
        take(pauses, records)
    return pauses


class Lane(Protocol):
    """What can rest."""

    def pause(self, *, paused: bool) -> None:
        """Rest, or go on; may be told the same again."""


class Control:
    """A worker's ear: reads what is paused, and tells when that changes."""

    def __init__(self, client: Mapping[str, Any], topic: str, changed: Callable[[], None]) -> None:
        self.pauses: Pauses = {}
        self._client, self._topic, self._changed = client, topic, changed
        self._known = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def known(self) -> None:
        """Begin to follow the topic, and wait until everything told before has been read.

        Raises:
            TimeoutError: the topic cannot be read.
        """
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="control")
        await asyncio.wait_for(self._known.wait(), KNOWN_SECONDS)

    def tell(self, lanes: Iterable[tuple[tuple[str, int], Lane]]) -> list[tuple[str, int]]:
        """Tell each lane of a (topic, partition) whether it is to rest; gives those that are."""
        resting = []
        for (topic, partition), lane in lanes:
            rests = pause_of(self.pauses, topic, partition) is not None
            lane.pause(paused=rests)
            if rests:
                resting.append((topic, partition))
        return sorted(resting)

    def stop(self) -> None:
        """Follow no more."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        """Follow the topic, for ever; while it cannot be read, what is known holds."""
        told = False
        while True:
            try:
                await self._follow()
            except (KafkaError, OSError, TimeoutError) as error:
                if not told:
                    log.warning(
                        "%s cannot be read, trying on: %s: %s", self._topic, type(error).__name__, error
                    )
                told = True
            await asyncio.sleep(PAUSE_SECONDS)

    async def _follow(self) -> None:
        async with reader(self._client) as read:
            pauses: Pauses = {}
            async for records in read.read(self._topic):
                take(pauses, records)
            self._become(pauses)
            self._known.set()
            async for records in read.follow():
                pauses = dict(self.pauses)
                take(pauses, records)
                self._become(pauses)

    def _become(self, pauses: Pauses) -> None:
        for key in pauses.keys() - self.pauses.keys():
            log.warning("%s is paused since %s", key, pauses[key].since)
        for key in self.pauses.keys() - pauses.keys():
            log.warning("%s goes on", key)
        self.pauses = pauses
        self._changed()
