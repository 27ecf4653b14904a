"""The state of one customer over all journeys, and its bytes at rest.

In and out: a `Customer`, or bytes. At rest = 1 version byte, 8 bytes earliest due (big endian), 4 bytes
fingerprint of the layout that gives the positions their meaning (see `layout`), then msgpack of a compact
array. The due is read without decoding the rest. Reading dispatches on the version byte; a format that is
gone for good, or damaged bytes, are a `StateError`: the partition has to stop.

Everything kept is a list, dict, str, int, float, bool, bytes or None, so that decode(encode(c)) behaves as c.
The scratch fields live between a decode and a drain only and are never part of the bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from journey_stream.errors import StateError
from journey_stream.values import NEVER, Event

VERSION: Final = 1
HEADER: Final = 13

NOWHERE: Final = -1
"""The stage of somebody who has not entered a journey yet."""


class Core(msgspec.Struct, array_like=True, gc=False):
    """What is kept of a customer: positions are those of the program's layout."""

    stages: list[int]
    """Per journey: index of the stage, or NOWHERE."""
    entered: list[int]
    """Per journey: since when in the stage."""
    sequences: list[int]
    """Per journey: the last publication number given out."""
    loops: list[int]
    """Per journey: backward transitions so far."""
    entries: list[dict[int, int] | None]
    """Per journey: stage index to times entered."""
    memories: dict[int, int] | None
    """Memory (of all journeys) to the stage left when its stages were entered from outside."""
    attrs: list[Any]
    """Per slot of the program: what an attribute keeps."""
    armed: dict[int, Any]
    """Timer to due, or to {id: due}."""
    partial: dict[int, Any] | None
    """Sequence to how far it has come, or to {id: how far}."""
    raised: dict[int, list[list[Any]]] | None
    """Cancellable signal rule to what was raised and can still be cancelled: [until, id, by]."""
    rates: dict[int, list[int]] | None
    """Rate-limited signal rule to the last times raised."""
    seen: bytes
    """8 bytes per event id applied within the de-duplication window, oldest first."""
    days: list[int]
    """Pairs: day applied, and how many ids of `seen` belong to it."""
    latest: int
    """Latest applied time: of an event or a fired timer."""
    active: int
    """Time of the last act of the customer."""
    sessions: list[int]
    """Per session length in the program: when the present session began."""
    messages: list[int]
    """Times of the last marketing messages."""
    consent: int
    """Two bits per channel, in the order of `Contactable`."""
    known: bool
    """Has a customer_id."""
    test: bool
    anonymous_id: str | None = None
    account_id: str | None = None
    locale: str | None = None
    country: str | None = None
    timezone: str | None = None
    history: bytes | None = None
    """Room for what corrections need (the recent events and the state before them); empty so far."""


class Customer(Core, array_like=True, gc=False):
    """A customer in memory: what is kept, and the scratch of the batch."""

    person: str = ""
    due: int = NEVER
    """Never later than the earliest due time: a hint, checked when it passes."""
    before: list[Any] | None = None
    """Attribute values before the event at hand (where a rule asks for them)."""
    earlier: list[int] | None = None
    """Stages before the event at hand, once it has changed one."""
    first: tuple[int, int, str | None] | None = None
    """What is due first (`timers.earliest`), as long as nothing has changed since it was worked out."""
    id: str | None = None
    """The `by` value of the timer or sequence whose expressions are being read."""
    log: list[tuple[Event | None, tuple[int, int, str | None] | None, int, bool]] | None = None
    """What was applied since the last drain, to rebuild the state if the engine fails; None if untouched.

    Entries: (event, timer that fired, decided at, late), one of the first two.
    """


_encode_packed = msgspec.msgpack.Encoder().encode
_decode_packed = msgspec.msgpack.Decoder(Customer).decode


def encode(c: Customer, fingerprint: bytes) -> bytes:
    """Write a customer's state: the same state gives the same bytes."""
    packed = _encode_packed(
        (
            c.stages,
            c.entered,
            c.sequences,
            c.loops,
            c.entries,
            c.memories or None,
            c.attrs,
            c.armed,
            c.partial or None,
            c.raised or None,
            c.rates or None,
            c.seen,
            c.days,
            c.latest,
            c.active,
            c.sessions,
            c.messages,
            c.consent,
            c.known,
            c.test,
            c.anonymous_id,
            c.account_id,
            c.locale,
            c.country,
            c.timezone,
            c.history,
        )
    )
    return b"\x01" + c.due.to_bytes(8, "big") + fingerprint + packed


def due_of(person: str, blob: bytes) -> int:
    """Read the earliest due from the header alone.

    Raises:
        StateError: the format is not one this version reads.
    """
    if len(blob) < HEADER or blob[0] not in READERS:
        raise StateError(_unreadable(person, blob))
    return int.from_bytes(blob[1:9], "big")


def fingerprint_of(blob: bytes) -> bytes:
    """Read which layout the positions in these bytes belong to."""
    return blob[9:HEADER]


def decode(person: str, blob: bytes) -> Customer:
    """Read a customer's state back.

    Raises:
        StateError: unknown format version, or damaged bytes.
    """
    reader = READERS.get(blob[0]) if len(blob) >= HEADER else None
    if reader is None:
        raise StateError(_unreadable(person, blob))
    return reader(person, blob)


def _read_1(person: str, blob: bytes) -> Customer:
    try:
        c = _decode_packed(memoryview(blob)[HEADER:])
    except (msgspec.DecodeError, ValueError) as error:
        msg = (
            f"state of customer {person!r}: expected msgpack of format {VERSION}, "
            f"but the bytes are damaged ({error}); restore the changelog record or reset the application"
        )
        raise StateError(msg) from error
    c.person = person
    c.due = int.from_bytes(blob[1:9], "big")
    return c


READERS: Final[dict[int, Callable[[str, bytes], Customer]]] = {1: _read_1}
"""Format version to reader: an old format stays readable until a major version says otherwise."""


def _unreadable(person: str, blob: bytes) -> str:
    came = f"version {blob[0]}" if len(blob) >= HEADER else f"{len(blob)} bytes"
    known = ", ".join(map(str, READERS))
    return (
        f"state of customer {person!r}: expected format version {known}, but {came} came; "
        f"it was written by another version of journey_stream: upgrade this worker or reset the application"
    )
