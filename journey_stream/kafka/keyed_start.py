"""What is checked before a worker joins its group: that state and records fit `keyed_input`.

Enters: settings; the last checkpoints and some records of the sources, read from the side. Leaves: nothing,
or the error that ends the start. Strategy: this is the early word; each lane looks again at its takeover.
State that is there decides; only without it the sources are asked which partitioner wrote them. What cannot
be read here is left to the lanes.
"""

from __future__ import annotations

import logging
from typing import Final

from aiokafka.errors import KafkaError

from journey_stream.errors import SettingsError, StateError
from journey_stream.kafka.astray import misfit
from journey_stream.kafka.changelog import META_KEY
from journey_stream.kafka.meta import Meta, read_meta
from journey_stream.kafka.reading import Reader, Where, reader
from journey_stream.kafka.security import client_options
from journey_stream.kafka.starting import check_input
from journey_stream.settings import Settings, TopicNames

log = logging.getLogger(__name__)

TAIL: Final = 50
"""Offsets before the end in which a partition's last checkpoint is looked for."""
LOOK: Final = 100
"""Offsets of each source partition that are looked at."""


async def check_keyed_input(settings: Settings) -> None:
    """See that the state there is, or else the sources, fit the setting.

    Raises:
        StateError: the state was made under another `keyed_input`.
        SettingsError: the producers use another partitioner.
    """
    try:
        async with reader(client_options(settings)) as side:
            meta = await _some_checkpoint(side, TopicNames.of(settings).changelog)
            if meta is not None:
                check_input(meta.keyed_input, settings.keyed_input, settings.application_id)
            elif settings.keyed_input != "none":
                await _check_partitioner(side, settings)
    except (KafkaError, OSError, TimeoutError) as error:
        log.warning("`keyed_input` is not checked at the start: %s: %s", type(error).__name__, error)


async def _some_checkpoint(side: Reader, changelog: str) -> Meta | None:
    async for records in side.read(changelog, where=Where(tail=TAIL)):
        for record in records:
            if record.key == META_KEY:
                try:
                    return read_meta(record.value)
                except StateError:
                    return None  # its lane will say so, and stop alone
    return None


async def _check_partitioner(side: Reader, settings: Settings) -> None:
    problems = []
    for topic in TopicNames.of(settings).sources:
        placed: set[tuple[bytes, int]] = set()
        async for records in side.read(topic, where=Where(tail=LOOK)):
            placed.update((record.key, record.partition) for record in records if record.key is not None)
        problem = misfit(topic, placed, settings.partitions, settings.keyed_input)
        if problem is not None:
            problems.append(problem)
    if problems:
        raise SettingsError("\n".join(problems))
