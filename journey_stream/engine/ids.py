"""Ids: hashes of content, so that the same history gives the same ids on any machine.

In: what makes a record the one it is: where, who, why, when, and all that the history decides about it. Out:
32 hex characters (BLAKE2b, 128 bits, over canonical msgpack). What the day of publication decides
(`decided_at`, `sequence`, `late`, `replay`, corrections) is left out, and so is what the version of the
journey decides. So an id never stands for two contents, also when a history is corrected.
`fingerprint` is the short form that de-duplication keeps of an event id.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

_pack = msgspec.msgpack.Encoder().encode


def fingerprint(event_id: str) -> bytes:
    """The 8 bytes that stand for an event id in a customer's state."""
    return blake2b(event_id.encode(), digest_size=8).digest()


def transition_id(
    journey: str,
    version: int,
    person: str,
    from_: str | None,
    to: str,
    rule: str,
    cause: str | tuple[int, str | None],
    occurred_at: int,
    said: tuple[Any, ...],
) -> str:
    """Name a stage change; `cause` is the event's id, or the timer's due and its `by` id."""
    content = ("transition", journey, version, person, from_, to, rule, cause, occurred_at, *said)
    return blake2b(_pack(content), digest_size=16).hexdigest()


def signal_id(
    journey: str,
    version: int,
    person: str,
    stage: str,
    rule: str,
    cause: str | tuple[int, str | None],
    occurred_at: int,
    said: tuple[Any, ...],
) -> str:
    """Name a signal; the record that cancels it carries the same id with another status."""
    content = ("signal", journey, version, person, stage, rule, cause, occurred_at, *said)
    return blake2b(_pack(content), digest_size=16).hexdigest()


def correction_id(corrected: str, number: int) -> str:
    """Name the record that takes another back; `number` is its publication number."""
    return blake2b(_pack(("correction", corrected, number)), digest_size=16).hexdigest()
