"""All of one checkpoint as bytes: what a transaction of a keyed partition holds.

Enters: a `Checkpoint`. Leaves: records and states encoded, batches that the compiled core has finished, and
how many bytes all of it is (as far as the pace of checkpoints asks).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from journey_stream.encode import Encoder
from journey_stream.kafka.changelog import META_KEY
from journey_stream.kafka.checkpoint import Writer
from journey_stream.kafka.keyed_values import Checkpoint
from journey_stream.values import Out


class Outgoing(msgspec.Struct, frozen=True):
    """What `checkpoint.Writer.commit` takes, and its size."""

    outs: list[Out]
    changes: list[tuple[bytes, bytes | None]]
    ready: Mapping[tuple[str, int], Sequence[Any]]
    size: int


async def packable(encoder: Encoder, writer: Writer) -> bool:
    """Tell whether finished batches can be taken: plain topics, partitioned alike."""
    topics = encoder.plain_topics
    return topics is not None and await writer.alike(topics)


def encoded(checkpoint: Checkpoint, encoder: Encoder, changelog: str, partition: int) -> Outgoing:
    """Write all of a checkpoint down."""
    encode = encoder.encode_all
    outs = [out for record in checkpoint.records for out in encode(record)]
    changes: list[tuple[bytes, bytes | None]] = [(key.encode(), state) for key, state in checkpoint.changes]
    changes.append((META_KEY, checkpoint.meta))
    size = sum(len(out.value or b"") for out in outs) + sum(len(state or b"") for _, state in changes)
    found, topics = checkpoint.ready, encoder.plain_topics
    if found is None or topics is None:
        return Outgoing(outs, changes, {}, size)
    batches = (found.transitions, found.signals, found.stages, found.changes)
    names = (*topics, changelog)
    ready = {(topic, partition): each for topic, each in zip(names, batches, strict=True) if each}
    return Outgoing(outs, changes, ready, size + found.size)
