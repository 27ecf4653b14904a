"""Where a partition ends: asked of the brokers, transactions that are still open included.

Enters: a consumer that reads what is committed, and partitions. Leaves: their very ends. Strategy: such a
consumer is told the end of what is committed. Whether a source has been read to its end is another question:
what stands in an open transaction, and behind it, waits to be read, and time must not pass it.
"""

# ruff: noqa: SLF001 (the isolation of a question is aiokafka's own affair)

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

import aiokafka
import msgspec
from aiokafka.consumer.fetcher import READ_UNCOMMITTED


class Ends(msgspec.Struct, frozen=True):
    """Where a partition stands."""

    position: int | None
    """Where we read on."""
    end: int
    """The brokers' end, asked just now."""
    handed: int
    """Where the next batch will start: what lies below has been handed out."""


async def very_ends(
    consumer: aiokafka.AIOKafkaConsumer, tps: Sequence[aiokafka.TopicPartition]
) -> dict[aiokafka.TopicPartition, int]:
    """Ask the brokers where partitions end."""
    asking = copy.copy(consumer._fetcher)
    asking._isolation_level = READ_UNCOMMITTED
    found = await asking.end_offsets(tps, consumer._request_timeout_ms)
    return cast(dict[aiokafka.TopicPartition, int], found)
