"""The layout of states: what stands at which position, so that states outlive new definitions.

In: the names of journeys, stages, slots, timers ... of a program. Out: four bytes of fingerprint that every
state carries, and the layout as bytes, to be kept beside the states. `translation` reads states of another
layout.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from journey_stream.errors import StateError


class Layout(msgspec.Struct, array_like=True, frozen=True):
    """Names by position."""

    journeys: list[tuple[str, list[str]]]
    """Names with their version (`buyer-value@2`; bare if written before versions were told), stages."""
    slots: list[str]
    silences: list[int]
    timers: list[str]
    sequences: list[str]
    signals: list[str]
    memories: list[str]
    texts: list[str]
    """What else decides when a state's timers are due: hashes of the definitions, and options."""
    kinds: list[list[str]] = []
    """Per journey the kinds of its stages; empty if written before they were told."""


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


def fingerprint(layout: bytes) -> bytes:
    """The four bytes that stand for a layout, as it was packed, in a state."""
    return blake2b(layout, digest_size=4).digest()
