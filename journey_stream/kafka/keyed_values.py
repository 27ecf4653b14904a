"""What goes into a keyed partition's logic, and what comes out of it. Values only.

Enters: nothing. Leaves: the shape of a consumed record, the options of time and identity, all that one
transaction has to hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from journey_stream.engine.drained import Ready
from journey_stream.kafka.versions import Versions
from journey_stream.release import BEGINNING, Mode
from journey_stream.values import DeadLetter, Signal, StageNow, Transition

Published = Transition | Signal | StageNow | DeadLetter


class Record(Protocol):
    """What is used of a consumed record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Options(msgspec.Struct, frozen=True):
    """How a keyed partition treats time, and who it is."""

    mode: Mode
    until: int
    """NEVER when the clock has no end."""
    allowed_lateness: int
    dedup_window: int
    catch_up: int
    application: str
    versions: Versions = Versions()
    fence: int = BEGINNING
    """What happened up to here is history (`backfill.until`)."""
    withhold: bool = False
    """Whether records of history are left out."""
    broker_times: bool = False
    """Brokers, not senders, stamp the records of source topics."""
    keyed_input: str = "none"
    """Partitioner of the producers whose topics are read without the hop."""


class Checkpoint(msgspec.Struct):
    """All of one transaction."""

    records: list[Published]
    changes: list[tuple[str, bytes | None]]
    meta: bytes
    oldest: int
    sources: dict[tuple[str, int], int] = {}
    """Lowest offset that still waits per source partition that is read without the hop."""
    ready: Ready | None = None
    """Records and states that the compiled core has written down already."""
