"""The layout of states: what stands at which position, so that states outlive new definitions.

In: the names of journeys, stages, slots, timers ... of a program. Out: four bytes of fingerprint that every
state carries, and a translation of states from another layout: what both know moves to its new position,
what is new starts empty, what is gone is dropped.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from journey_stream.engine.state import NOWHERE, Customer
from journey_stream.errors import StateError


class Layout(msgspec.Struct, array_like=True, frozen=True):
    """Names by position."""

    journeys: list[tuple[str, list[str]]]
    slots: list[str]
    silences: list[int]
    timers: list[str]
    sequences: list[str]
    signals: list[str]
    memories: list[str]
    texts: list[str]
    """What else decides when a state's timers are due: hashes of the definitions, and options."""


def pack(layout: Layout) -> bytes:
    """Write a layout down: it belongs beside the states, written before the first of them."""
    return msgspec.msgpack.encode(layout)


def unpack(data: bytes) -> Layout:
    """Read a layout back.

    Raises:
        StateError: damaged bytes.
    """
    try:
        return msgspec.msgpack.decode(data, type=Layout)
    except msgspec.DecodeError as error:
        msg = f"layout of states: expected what `Program.layout_bytes` gives, but it is damaged ({error})"
        raise StateError(msg) from error


def fingerprint(layout: Layout) -> bytes:
    """The four bytes that stand for a layout in a state."""
    return blake2b(pack(layout), digest_size=4).digest()


class Translation:
    """From an old layout to the present one."""

    def __init__(self, old: Layout, new: Layout, empties: list[Any]) -> None:
        self._empties = empties
        before = {name: (place, stages) for place, (name, stages) in enumerate(old.journeys)}
        self._journeys: list[tuple[int, list[str], list[str]] | None] = [
            (before[name][0], before[name][1], stages) if name in before else None
            for name, stages in new.journeys
        ]
        self._names = [name for name, _ in new.journeys]
        self._slots = _places(old.slots, new.slots)
        self._silences = _places(old.silences, new.silences)
        self._timers = dict(_places(old.timers, new.timers))
        self._sequences = dict(_places(old.sequences, new.sequences))
        self._signals = dict(_places(old.signals, new.signals))
        self._memories = {
            source: (target, _journey_of(old, old.memories[source]), _journey_of(new, new.memories[target]))
            for source, target in _places(old.memories, new.memories)
        }
        self._old, self._new = old, new

    def apply(self, c: Customer) -> None:
        """Rearrange a state just decoded.

        Raises:
            StateError: the customer is in a stage that the journey no longer has.
        """
        stages, entered, sequences, loops, entries = c.stages, c.entered, c.sequences, c.loops, c.entries
        count = len(self._journeys)
        c.stages, c.entered, c.sequences, c.loops = (
            [NOWHERE] * count,
            [c.latest] * count,
            [0] * count,
            [0] * count,
        )
        c.entries = [None] * count
        for j, known in enumerate(self._journeys):
            if known is None:
                continue
            place, old, new = known
            c.stages[j] = _stage(self._names[j], old, new, stages[place], c.person)
            c.entered[j], c.sequences[j], c.loops[j] = entered[place], sequences[place], loops[place]
            held = entries[place]
            if held is not None:
                c.entries[j] = {new.index(old[s]): n for s, n in held.items() if old[s] in new}
        attrs, c.attrs = c.attrs, self._empties.copy()
        for source, target in self._slots:
            c.attrs[target] = attrs[source]
        sessions, c.sessions = c.sessions, [c.active] * len(self._new.silences)
        for source, target in self._silences:
            c.sessions[target] = sessions[source]
        c.armed = _moved(c.armed, self._timers) or {}
        c.partial = _moved(c.partial, self._sequences)
        c.raised = _moved(c.raised, self._signals)
        c.rates = _moved(c.rates, self._signals)
        c.memories = self._remembered(c.memories)

    def _remembered(self, memories: dict[int, int] | None) -> dict[int, int] | None:
        found: dict[int, int] = {}
        for source, stage in (memories or {}).items():
            if source in self._memories:
                target, old, new = self._memories[source]
                if old[stage] in new:
                    found[target] = new.index(old[stage])
        return found or None


def _places(old: list[Any], new: list[Any]) -> list[tuple[int, int]]:
    """(old position, new position) of what both have."""
    target = {name: place for place, name in enumerate(new)}
    return [(source, target[name]) for source, name in enumerate(old) if name in target]


def _journey_of(layout: Layout, memory: str) -> list[str]:
    name = memory.partition("/")[0]
    return next(stages for journey, stages in layout.journeys if journey == name)


def _moved(held: dict[int, Any] | None, places: dict[int, int]) -> dict[int, Any] | None:
    return {places[k]: value for k, value in (held or {}).items() if k in places} or None


def _stage(journey: str, old: list[str], new: list[str], stage: int, person: str) -> int:
    if stage == NOWHERE:
        return NOWHERE
    if old[stage] not in new:
        msg = (
            f"journey {journey!r}: customer {person!r} is in the stage {old[stage]!r}, which the definition "
            f"no longer has (it has {', '.join(new)}); keep the stage, or migrate the customers in it first"
        )
        raise StateError(msg)
    return new.index(old[stage])
