"""A keyed partition at its takeover: all of its changelog, or, where states are on disk, the tail of it.

Enters: the changelog, whose former writer is fenced, and maybe a directory of states. Leaves: the logic with
all states, the last meta record, how many records were read. Strategy: a directory saves reading and decides
nothing. Where the tail does not begin with the checkpoint that the directory was written at or a later one of
the same generation, the directory is emptied and all is read.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol

from faust.types import TP

from journey_stream.errors import StateError
from journey_stream.kafka.changelog import read_changelog
from journey_stream.kafka.checkpoint import Writer
from journey_stream.kafka.keyed import KeyedPartition
from journey_stream.kafka.local_states import RocksStates
from journey_stream.kafka.meta import read_meta
from journey_stream.kafka.metrics import Metrics
from journey_stream.kafka.restoring import Home as Base
from journey_stream.kafka.restoring import Restored

log = logging.getLogger(__name__)

AT_ONCE: Final = 10_000
"""Records read before their states are written."""


async def restore_on_disk(
    states: RocksStates,
    home: Home,
    tp: TP,
    client: Mapping[str, Any],
    changelog: str,
    writer: Writer,
    metrics: Metrics,
    *,
    look: bool,
) -> Restored:
    """Read what a directory does not have, into it.

    Args:
        states: what is on disk.
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
    reading = _Reading(states, home, tp, client, changelog, writer, metrics)
    if states.generation and not look:
        try:
            logic, value = await reading.read()
            came = "" if value is None else read_meta(value).generation
        except StateError as error:
            why = str(error)
        else:
            if came == states.generation:
                return logic, value, reading.count
            why = "the changelog was made anew, or an older version wrote to it"
        log.warning("%s[%d]: states on disk are of no use: %s", tp.topic, tp.partition, why)
    states.clear()
    logic, value = await reading.read(look=look)
    generation = "" if value is None else read_meta(value).generation
    # The last transaction ends with a meta record and its own mark.
    states.keep([], max(0, writer.changelog_end - 2), generation, home.now())
    return logic, value, reading.count


class Home(Base, Protocol):
    """What is asked of the worker."""

    def now(self) -> int:
        """The wall clock, microseconds."""


class _Reading:
    """One takeover's reading."""

    def __init__(
        self,
        states: RocksStates,
        home: Home,
        tp: TP,
        client: Mapping[str, Any],
        changelog: str,
        writer: Writer,
        metrics: Metrics,
    ) -> None:
        self._states, self._home, self._tp, self._client = states, home, tp, client
        self._changelog, self._writer, self._metrics = changelog, writer, metrics
        self.count = 0

    async def read(self, *, look: bool = False) -> tuple[KeyedPartition, bytes | None]:
        states, writer = self._states, self._writer
        logic = self._home.make_partition(self._tp.partition)
        logic.engine.rest_in(states)
        load, now = logic.engine.load, self._home.now
        remaining = self._metrics.restore_remaining.labels(self._tp.partition)
        rows: list[tuple[str, bytes | None]] = []

        def keep(key: bytes, state: bytes | None) -> None:
            person = key.decode()
            load(person, state)
            rows.append((person, state))

        def reached(at: int, end: int) -> None:
            writer.changelog_end = end
            remaining.set(end - at)
            if len(rows) >= AT_ONCE or at >= end:
                # The place stays where it was until all is read: what is read again is the same again.
                states.keep(rows, states.offset, states.generation, now())
                self.count += len(rows)
                self._metrics.restore_records.inc(len(rows))
                rows.clear()

        def inspect(key: bytes) -> None:
            logic.engine.customer(key.decode())

        value = await read_changelog(
            self._client,
            self._changelog,
            self._tp.partition,
            keep,
            reached,
            inspect if look else None,
            from_offset=states.offset,
        )
        return logic, value
