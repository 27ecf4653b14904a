"""Where a lane begins: what the last checkpoint says, held against what the brokers have.

Enters: the last meta record of the changelog, the keyed partition's bounds. Leaves: the offset to read from,
or a StateError that says what to restore. Strategy: nothing is guessed: state without its topic, or a topic
without its state, stops the partition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec
from faust.types import TP

from journey_stream.errors import StateError
from journey_stream.kafka.keyed import KeyedPartition
from journey_stream.kafka.meta import DirectPosition, read_meta


class Broker(Protocol):
    """What is asked of the brokers."""

    async def committed(self, tp: TP) -> int | None:
        """Read the group's committed offset."""

    async def bounds(self, tp: TP) -> tuple[int, int]:
        """Read first and end offset of a partition."""


class Starts(msgspec.Struct, frozen=True):
    """Where to read on."""

    keyed: int
    """In the keyed topic."""
    direct: Mapping[str, int]
    """In the source topics that are read without the hop."""


async def start_offsets(
    broker: Broker, tp: TP, changelog: str, logic: KeyedPartition, value: bytes | None
) -> Starts:
    """Let the logic take over from the last checkpoint; gives the offsets to read from.

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
        logic.restore(None, first)
        return Starts(first, await _direct_starts(broker, tp, logic, {}))
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
    check_input(meta.keyed_input, logic.keyed_input, where)
    offset = logic.restore(meta, first)
    return Starts(offset, await _direct_starts(broker, tp, logic, meta.direct))


def check_input(was: str, now: str, where: str) -> None:
    """See that state is used under the `keyed_input` that it was made under.

    Raises:
        StateError: it was another one.
    """
    if was == now:
        return
    msg = (
        f"{where}: its state was made with `keyed_input: {was}`, the settings say `{now}`. By that it is "
        "decided which partition a customer is in and how far source topics were read, so it cannot change "
        f"under existing state. Put `keyed_input: {was}` back; or begin anew with `journey-stream reset`, "
        "or beside it with another `application_id` and `topic_prefix` (docs/keyed-input.md)"
    )
    raise StateError(msg)


async def _direct_starts(
    broker: Broker, tp: TP, logic: KeyedPartition, kept: Mapping[bytes, DirectPosition]
) -> dict[str, int]:
    """Let the source partitions that are read without the hop go on from the checkpoint."""
    firsts = {}
    for direct in logic.direct:
        source = TP(direct.topic, direct.partition)
        where, known = f"{source.topic}[{source.partition}]", kept.get(direct.source)
        firsts[source.topic], end = await broker.bounds(source)
        committed = None if kept else await broker.committed(source)
        if committed:
            msg = (
                f"{where}: the group has committed offset {committed}, but no checkpoint of {tp.topic}"
                f"[{tp.partition}] tells of reading it: what was read went through the hop, or its state is "
                "lost. Begin anew with `journey-stream reset`, or set `keyed_input: none`"
            )
            raise StateError(msg)
        if known is not None and known.position > end:
            msg = (
                f"{where}: the last checkpoint stands at offset {known.position}, but the topic ends at {end}"
                ": it was made anew. Its events would count as repeats: give the source another name "
                "(`sources`), or begin anew with `journey-stream reset`"
            )
            raise StateError(msg)
    return logic.direct.restore(kept, firsts)
