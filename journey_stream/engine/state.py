"""The state of one customer over all journeys, and its bytes at rest.

In and out: a `Customer`, or bytes. At rest = 1 version byte, 8 bytes earliest due (big endian), 4 bytes
fingerprint of the layout that gives the positions their meaning (see `layout`), 4 bytes length of the core,
the core (msgpack of a compact array; of length 0: there is nobody, only a history), then the recent history
(`recent`; mostly none). Due, core and history are found without decoding anything. Format 1 ends after the
fingerprint and the core. Reading dispatches on the version byte; a format that is gone for good, or damaged
bytes, are a `StateError`: the partition has to stop.

Everything kept is a list, dict, str, int, float, bool, bytes or None, so that decode(encode(c)) behaves as c.
The scratch fields live between a decode and a drain only and are never part of the bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any, Final

import msgspec

from journey_stream.errors import StateError
from journey_stream.values import NEVER, Event

VERSION: Final = 2
HEADER: Final = 17
HEADER_1: Final = 13
"""Format 1."""

NOWHERE: Final = -1
"""The stage of somebody who has not entered a journey yet."""


class _Common(msgspec.Struct, array_like=True, gc=False):
    """What all formats keep, in this order."""

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


class Core(_Common, array_like=True, gc=False):
    """What is kept of a customer: positions are those of the program's layout."""

    young: dict[int, int] | None = None
    """Slot that began empty though the customer was known, to the last time before it was fed."""


class _Core1(_Common, array_like=True, gc=False):
    """Of format 1."""

    history: None = None
    """Room that was never used."""
    young: dict[int, int] | None = None


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
    log: list[tuple[Event | None, tuple[int, int, str | None] | None, bool, int]] | None = None
    """What was applied since the last drain (`course.Log`); None if untouched."""


_HEAD: Final = Struct(">BQ4sI")
_encode_packed = msgspec.msgpack.Encoder().encode
_decode_packed = msgspec.msgpack.Decoder(Customer).decode
_decode_packed_1 = msgspec.msgpack.Decoder(_Core1).decode


def encode(c: Customer, fingerprint: bytes, history: bytes = b"") -> bytes:
    """Write a customer's state: the same state gives the same bytes."""
    core = encode_core(c)
    return _HEAD.pack(VERSION, c.due, fingerprint, len(core)) + core + history


def encode_nobody(fingerprint: bytes, history: bytes) -> bytes:
    """Write a history of somebody who is not known (yet, or any more)."""
    return b"\x02" + NEVER.to_bytes(8, "big") + fingerprint + bytes(4) + history


def encode_core(c: Customer) -> bytes:
    """Write the core alone."""
    return _encode_packed(
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
            c.young,
        )
    )


def due_of(blob: bytes) -> int:
    """Read the earliest due from the header alone.

    Raises:
        StateError: the format is not one this version reads.
    """
    if len(blob) < HEADERS.get(blob[0] if blob else 0, NEVER):
        raise StateError(_unreadable(blob))
    return due_at(blob)


def due_at(blob: bytes) -> int:
    """Read the earliest due of a state that was looked at before."""
    return int.from_bytes(blob[1:9], "big")


def redated(blob: bytes, due: int) -> bytes:
    """Give a state with another due in front."""
    return blob[:1] + due.to_bytes(8, "big") + blob[9:]


def fingerprint_of(blob: bytes) -> bytes:
    """Read which layout the positions in these bytes belong to."""
    return blob[9:13]


def core_end(blob: bytes) -> int:
    """Where the core ends and the history begins."""
    return len(blob) if blob[0] == 1 else HEADER + int.from_bytes(blob[13:HEADER], "big")


def core_of(blob: bytes) -> bytes:
    """Cut out the core, of the present format; empty for nobody."""
    return blob[HEADER : core_end(blob)]


def decode(person: str, blob: bytes) -> Customer:
    """Read a customer's state back.

    Raises:
        StateError: unknown format version, or damaged bytes.
    """
    due_of(blob)
    return READERS[blob[0]](person, blob)


def decode_core(person: str, core: bytes | memoryview) -> Customer:
    """Read a core of the present format back; what is due has to be worked out anew.

    Raises:
        StateError: damaged bytes.
    """
    try:
        c = _decode_packed(core)
    except (msgspec.DecodeError, ValueError) as error:
        raise StateError(_damaged(VERSION, error)) from error
    c.person = person
    return c


def decode_present(person: str, blob: bytes) -> Customer:
    """Read a state of the present format back.

    Raises:
        StateError: damaged bytes.
    """
    _, due, _, length = _HEAD.unpack_from(blob)
    try:
        c = _decode_packed(blob[HEADER : HEADER + length])
    except (msgspec.DecodeError, ValueError) as error:
        raise StateError(_damaged(VERSION, error)) from error
    c.person = person
    c.due = due
    return c


def _read_1(person: str, blob: bytes) -> Customer:
    try:
        old = _decode_packed_1(memoryview(blob)[HEADER_1:])
    except (msgspec.DecodeError, ValueError) as error:
        raise StateError(_damaged(1, error)) from error
    c = Customer(**{name: getattr(old, name) for name in Core.__struct_fields__})
    c.person = person
    c.due = int.from_bytes(blob[1:9], "big")
    return c


READERS: Final[dict[int, Callable[[str, bytes], Customer]]] = {1: _read_1, 2: decode_present}
"""Format version to reader: an old format stays readable until a major version says otherwise."""
HEADERS: Final = {1: HEADER_1, 2: HEADER}


def _damaged(version: int, error: Exception) -> str:
    return (
        f"state of a customer: expected msgpack of format {version}, "
        f"but the bytes are damaged ({error}); restore the changelog record or reset the application"
    )


def _unreadable(blob: bytes) -> str:
    came = f"version {blob[0]}" if len(blob) >= HEADER_1 else f"{len(blob)} bytes"
    known = ", ".join(map(str, READERS))
    return (
        f"state of a customer: expected format version {known}, but {came} came: a newer version of "
        "journey_stream wrote it (upgrade this worker), or the bytes are damaged (restore the record)"
    )
