"""Where a lane begins: what the last checkpoint says, held against what the brokers have.

Enters: the last meta record of the changelog, the keyed partition's bounds. Leaves: the offset to read from,
or a StateError that says what to restore. Strategy: nothing is guessed: state without its topic, or a topic
without its state, stops the partition.
"""

from __future__ import annotations

from typing import Protocol

from faust.types import TP

from journey_stream.errors import StateError
from journey_stream.kafka.keyed import KeyedPartition
from journey_stream.kafka.meta import read_meta


class Broker(Protocol):
    """What is asked of the brokers."""

    async def committed(self, tp: TP) -> int | None:
        """Read the group's committed offset."""

    async def bounds(self, tp: TP) -> tuple[int, int]:
        """Read first and end offset of a partition."""


async def start_offset(
    broker: Broker, tp: TP, changelog: str, logic: KeyedPartition, value: bytes | None
) -> int:
    """Let the logic take over from the last checkpoint; gives the offset of the keyed topic to read from.

    Args:
        broker: whom to ask.
        tp: the keyed partition.
        changelog: the topic of its state.
        logic: what takes over.
        value: the last meta record of the changelog, None if there is none.

    Raises:
        StateError: the checkpoint does not fit what there is, or cannot be read.
    """
    first, end = await broker.bounds(tp)
    where = f"{tp.topic}[{tp.partition}]"
    if value is None:
        committed = await broker.committed(tp)
        if committed:
            msg = (
                f"{where}: the group has committed offset {committed}, but the changelog "
                f"{changelog} holds no checkpoint: its state is lost. Restore that topic, "
                "or begin anew with `journey-stream reset`"
            )
            raise StateError(msg)
        return logic.restore(None, first)
    try:
        meta = read_meta(value)
    except StateError as error:
        msg = f"changelog {changelog}[{tp.partition}]: {error}"
        raise StateError(msg) from error
    if meta.position > end:
        msg = (
            f"{where}: the last checkpoint stands at offset {meta.position}, but the topic "
            f"ends at {end}: it was made anew under its state. Begin anew with `journey-stream reset`"
        )
        raise StateError(msg)
    return logic.restore(meta, first)
