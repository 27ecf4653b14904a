"""Looking at one customer, or one keyed partition, of a running deployment, without disturbing it.

Enters: settings, the compiled program, a person. Leaves: the customer's state as of the last checkpoint.
Strategy: the changelog partition is read from the side (`reading`) to its committed end; nothing but the
layouts, the last checkpoint and the wanted customer's last state is kept. No group is joined and nothing is
written, so workers go on undisturbed, and what is seen is what a worker that takes over would restore.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from journey_stream.engine.partition import LAYOUT_KEY, Partition
from journey_stream.engine.program import Program
from journey_stream.engine.state import Customer
from journey_stream.kafka.changelog import META_KEY
from journey_stream.kafka.hop import Partitioner, partitioner_of
from journey_stream.kafka.meta import Meta, read_meta
from journey_stream.kafka.reading import Reader, Where
from journey_stream.settings import Settings, TopicNames

_LAYOUT = LAYOUT_KEY.encode()


def person_of(customer: str | None, anonymous: str | None) -> str:
    """Give the key of a person: the customer id, else `anon:` and the anonymous id."""
    return customer if customer is not None else f"anon:{anonymous}"


def partition_of(settings: Settings, person: str) -> int:
    """Give the keyed partition that a person belongs to."""
    return Partitioner(settings.partitions, partitioner_of(settings.keyed_input))(person.encode())


class LastCheckpoint(msgspec.Struct, frozen=True):
    """The last checkpoint of a keyed partition."""

    meta: Meta
    at: int
    """When it was written, microseconds."""


class Found(msgspec.Struct, frozen=True):
    """What a running deployment knows of a person."""

    person: str
    partition: int
    customer: Customer | None
    """None: nobody, or forgotten."""
    checkpoint: LastCheckpoint | None
    """None: the partition has never been worked on."""


async def find(reader: Reader, settings: Settings, program: Program, person: str) -> Found:
    """Restore one customer's state from the changelog of a running deployment.

    Raises:
        StateError: it was written by a newer program, or is damaged, or its layout is missing.
        BrokerError: there is no changelog.
    """
    partitions = await reader.partitions(TopicNames.of(settings).changelog)
    partition = Partitioner(len(partitions), partitioner_of(settings.keyed_input))(person.encode())
    key, blob = person.encode(), None
    store = Partition(program)

    def take(found: bytes, state: bytes | None) -> None:
        nonlocal blob
        if found == key:
            blob = state
        elif found.startswith(_LAYOUT):
            store.load(found.decode(), state)

    checkpoint = await scan(reader, settings, partition, take)
    store.load(person, blob)
    return Found(person, partition, store.customer(person), checkpoint)


async def records_of(
    reader: Reader,
    settings: Settings,
    person: str,
    where: Where = Where(),  # noqa: B008 (frozen)
) -> list[dict[str, Any]]:
    """Read every transition and signal of a person that the topics still hold, as JSON values.

    `where` reads from some place on; for the last ones a tail is enough.

    Raises:
        BrokerError: a topic is not there.
    """
    names, key = TopicNames.of(settings), person.encode()
    found: list[dict[str, Any]] = []
    for topic in (names.transitions, names.signals):
        number = len(await reader.partitions(topic))
        async for records in reader.read(
            topic, [Partitioner(number, partitioner_of(settings.keyed_input))(key)], where
        ):
            found += [msgspec.json.decode(record.value) for record in records if record.key == key]
    return found


async def scan(
    reader: Reader, settings: Settings, partition: int, take: Callable[[bytes, bytes | None], None]
) -> LastCheckpoint | None:
    """Feed every state of a changelog partition to `take`, layouts included; give the last checkpoint.

    Raises:
        BrokerError: there is no changelog.
        StateError: the checkpoint was written by a newer program.
    """
    topic = TopicNames.of(settings).changelog
    await reader.partitions(topic)
    last: tuple[bytes, int] | None = None
    async for records in reader.read(topic, [partition]):
        for record in records:
            if record.key == META_KEY:
                last = (record.value, record.timestamp * 1000)
            elif record.key is not None:
                take(record.key, record.value)
    return None if last is None else LastCheckpoint(read_meta(last[0]), last[1])
