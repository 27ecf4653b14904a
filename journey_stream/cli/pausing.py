"""What `pause` and `resume` share: what to pause, checked against the deployment, and telling it.

Enters: options. Leaves: records in the control topic, which every worker follows (`kafka.control`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from journey_stream.cli.common import source_topic
from journey_stream.errors import BrokerError, UsageError
from journey_stream.kafka.control import ALL, Pauses, read_pauses, target
from journey_stream.kafka.reading import Reader, reader
from journey_stream.kafka.security import client_options
from journey_stream.kafka.topics import admin_client, ensure_topics
from journey_stream.settings import Settings, TopicNames


def target_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the options that say what is meant."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option("--all", "everything", is_flag=True, help="The whole deployment."),
        click.option(
            "--source",
            "sources",
            multiple=True,
            metavar="TOPIC[/PARTITION]",
            help="A source topic, or one partition of it; may be repeated.",
        ),
        click.option(
            "--partition",
            "partitions",
            type=click.IntRange(0),
            multiple=True,
            metavar="N",
            help="A partition of customers; may be repeated.",
        ),
    ):
        verb = option(verb)
    return verb


def run_change(
    settings: Settings,
    partitions: Sequence[int],
    sources: Sequence[str],
    everything: bool,
    change: Callable[[Pauses, list[str]], dict[str, bytes | None]],
) -> Callable[[], Any]:
    """Make the coroutine that tells what `change` makes of the pauses there are and of what is meant."""

    async def run() -> tuple[dict[str, bytes | None], Pauses]:
        client = client_options(settings)
        try:
            async with admin_client(settings) as admin, reader(client) as read:
                targets = await _targets(read, settings, partitions, sources, everything)
                await ensure_topics(settings, admin, only="notes")
                before = await read_pauses(read, settings)
                changes = change(before, targets)
                await _tell(client, settings, changes)
                return changes, before
        except KafkaError as error:
            msg = f"the cluster refused: {type(error).__name__}: {error}"
            raise BrokerError(msg) from error

    return run


async def _targets(
    read: Reader, settings: Settings, partitions: Iterable[int], sources: Iterable[str], everything: bool
) -> list[str]:
    names = TopicNames.of(settings)
    keyed = await read.partitions(names.events)
    targets = [ALL] if everything else []
    for partition in partitions:
        if partition not in keyed:
            msg = f"--partition {partition}: {names.events} has the partitions 0 to {len(keyed) - 1}"
            raise UsageError(msg)
        targets.append(target(names.events, partition))
    for text in sources:
        targets.append(await _source(read, settings, text))
    if not targets:
        raise UsageError("expected what is meant: --partition N, --source TOPIC[/PARTITION] or --all")
    return targets


async def _source(read: Reader, settings: Settings, text: str) -> str:
    match = re.fullmatch(r"([^/]+)(?:/(\d+))?", text)
    topic = None if match is None else source_topic(settings, match[1])
    if match is None or topic is None:
        names = TopicNames.of(settings).sources
        msg = f"--source {text}: expected TOPIC or TOPIC/PARTITION, with one of the topics {', '.join(names)}"
        raise UsageError(msg)
    if match[2] is None:
        return target(topic)
    there = await read.partitions(topic)
    if int(match[2]) not in there:
        msg = f"--source {text}: {topic} has the partitions 0 to {len(there) - 1}"
        raise UsageError(msg)
    return target(topic, int(match[2]))


async def _tell(client: dict[str, Any], settings: Settings, changes: dict[str, bytes | None]) -> None:
    async with AIOKafkaProducer(**client, acks="all", enable_idempotence=True) as producer:
        for key, value in changes.items():
            await producer.send_and_wait(TopicNames.of(settings).control, value, key.encode(), partition=0)
