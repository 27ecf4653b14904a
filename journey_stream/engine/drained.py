"""What a partition hands out at each drain: records, changed states, what was refused, counts."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from journey_stream.engine.stages import Record
from journey_stream.values import Event


class Ready(msgspec.Struct):
    """Records and states as the compiled core writes them: batches for Kafka, and what is in them."""

    transitions: list[Any]
    signals: list[Any]
    stages: list[Any]
    changes: list[Any]
    size: int
    """Bytes of all of them."""
    moves: dict[tuple[str, str | None, str, str], int]
    """(journey, from, to, trigger) to how many."""
    calls: dict[tuple[str, str, str], int]
    """(journey, signal, status) to how many."""
    states: int = 0
    """How many states changed."""


class Drained(msgspec.Struct):
    """What came of a batch."""

    records: list[Record]
    """Transitions and signals in the order they happened, then the stages they led to, one per journey."""
    changes: list[tuple[str, bytes | None]]
    """(person or layout key, state or None for a tombstone)."""
    rejected: list[tuple[Event, str]]
    """Events the engine failed on twice, each with a detail for people."""
    counts: Counter[str]
    """applied, late, disordered, unsorted, corrected, duplicate, unknown_person, rejected, timers, forgotten,
    new.

    `disordered` events came behind their customer's latest time and found their place; `unsorted` ones did
    not, since their history is no longer there, and count as late; `corrected` records no longer hold.
    """
    population: Counter[tuple[str, str]]
    """(journey, stage) to how many more are in it."""
    unknown: dict[tuple[str, str], int]
    """(journey, rule) to how often its expression touched something unknown, and so was not true."""
    ready: Ready | None = None
    """What the compiled core has written down already: not among `records` and `changes`."""
