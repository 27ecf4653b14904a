"""Both engines over the same program, and what of their outcomes has to be alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import journey_stream_native
import msgspec

from journey_stream.engine.described import describe
from journey_stream.engine.drained import Drained
from journey_stream.engine.fast import FastPartition
from journey_stream.engine.partition import Partition
from journey_stream.engine.program import Program
from journey_stream.events.described import describe as describe_events

_COMPILED: dict[int, tuple[Program, Any]] = {}


def fast(program: Program, *, cache: int = 2_000, compression: str = "none") -> FastPartition:
    """A partition of the compiled core; the program is compiled once."""
    if id(program) not in _COMPILED:
        vocabulary = describe_events(program.vocabulary)
        assert vocabulary is not None
        _COMPILED[id(program)] = (program, journey_stream_native.Program(describe(program, vocabulary)))
    return FastPartition(program, _COMPILED[id(program)][1], cache=cache, compression=compression)


def by_person(records: Iterable[Any]) -> dict[str, list[Any]]:
    """Records as JSON, per person in their order: among persons there is none within a drain."""
    found: dict[str, list[Any]] = {}
    for record in records:
        found.setdefault(record.person, []).append(msgspec.json.decode(msgspec.json.encode(record)))
    return found


def told(drained: Drained) -> tuple[Any, ...]:
    """What a drain says, as far as both engines have to agree."""
    return (
        by_person(drained.records),
        dict(drained.changes),
        len(drained.changes),  # each once
        {name: n for name, n in drained.counts.items() if n},
        {key: n for key, n in drained.population.items() if n},
        drained.unknown,
        [(event.event_id, detail) for event, detail in drained.rejected],
    )


def both(program: Program, *, cache: int = 2_000) -> tuple[Partition, FastPartition]:
    """A partition of each."""
    return Partition(program, cache=cache), fast(program, cache=cache)
