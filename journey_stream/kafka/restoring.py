"""The state of a keyed partition at its takeover: what a standby here holds and the rest, or everything.

Enters: the changelog, fenced already, and what may be warm. Leaves: the logic with all states, the last meta
record, and how many records were read. Strategy: a standby saves reading and nothing else. Where the
changelog does not go on from where it stands, or the rest cannot be read, it is dropped and all is read:
what is wrong is then told as if there had been none.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from faust.types import TP

from journey_stream.errors import StateError
from journey_stream.kafka.changelog import read_changelog
from journey_stream.kafka.checkpoint import Writer
from journey_stream.kafka.keyed import KeyedPartition
from journey_stream.kafka.metrics import Metrics
from journey_stream.kafka.standbys import Warm

log = logging.getLogger(__name__)

Restored = tuple[KeyedPartition, bytes | None, int]
"""The logic, the last meta record (None if there is none), records read."""


class Home(Protocol):
    """What is asked of the worker."""

    def make_partition(self, partition: int, engine: Any = None) -> KeyedPartition:
        """Make the logic of a keyed partition, empty, or around an engine that holds states."""

    def take_standby(self, partition: int) -> Warm | None:
        """Take over what is here of the partition's state."""


async def restore(
    home: Home,
    tp: TP,
    client: Mapping[str, Any],
    changelog: str,
    writer: Writer,
    metrics: Metrics,
    *,
    look: bool,
) -> Restored:
    """Read what is missing of a partition's state.

    Args:
        home: the worker.
        tp: the keyed partition.
        client: connection options.
        changelog: the topic of its state.
        writer: has fenced the former owner; is told where the changelog ends.
        metrics: are told how much is missing, and what was read.
        look: a state turned out damaged: all are read and decoded, to find where.

    Raises:
        StateError: a state cannot be read.
    """

    async def read(warm: Warm | None) -> Restored:
        logic = home.make_partition(tp.partition, None if warm is None else warm.engine)
        load, restored = logic.engine.load, 0

        def keep(key: bytes, state: bytes | None) -> None:
            nonlocal restored
            restored += 1
            load(key.decode(), state)

        def run(records: Sequence[Any], place: int) -> int:
            nonlocal restored
            reached: int = logic.engine.load_run(records, place)
            restored += reached - place
            return reached

        def inspect(key: bytes) -> None:
            logic.engine.customer(key.decode())

        def reached(at: int, end: int) -> None:
            writer.changelog_end = end
            remaining.set(end - at)

        value = await read_changelog(
            client,
            changelog,
            tp.partition,
            keep,
            reached,
            inspect if look else None,
            0 if warm is None else warm.offset,
            run if hasattr(logic.engine, "load_run") else None,
        )
        if value is None and warm is not None:
            value = warm.meta
        metrics.restore_records.inc(restored)
        return logic, value, restored

    remaining = metrics.restore_remaining.labels(tp.partition)
    warm = home.take_standby(tp.partition)
    if warm is not None and not look:
        try:
            return await read(warm)
        except StateError as error:
            log.warning("%s[%d]: its standby is of no use, all is read: %s", tp.topic, tp.partition, error)
    return await read(None)
