"""The worker's consumer in its group: how it is made, and what it finds out about positions. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor


class Misplaced(msgspec.Struct, frozen=True):
    """An offset that the brokers do not have."""

    wanted: int
    first: int
    end: int

    @property
    def beyond(self) -> bool:
        """It lies after the end: the topic is another one than when the offset was true."""
        return self.wanted > self.end


class GroupOptions(msgspec.Struct, frozen=True):
    """How the worker's group consumer is made."""

    client: Mapping[str, Any]
    """Connection options: bootstrap servers, security."""
    group: str
    assignor: type[AbstractPartitionAssignor]
    max_records: int
    startup_seconds: float = 60.0
    session_seconds: float = 10.0
    heartbeat_seconds: float = 2.0
    rebalance_seconds: float = 30.0
    metadata_seconds: float = 30.0
    """How soon partitions added to a topic are noticed."""
    fetch_wait_ms: int = 100
    fetch_bytes: int = 4 << 20
    fetch_max_bytes: int = 50 << 20
    compiled: bool = False
    """The compiled core reads what was fetched."""
