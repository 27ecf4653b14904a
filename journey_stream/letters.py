"""Dead letters as Kafka records, written and read back, and the headers of one that is sent back again.

    dead_letter(letter, topic)         -> Out              # as it came, then our headers
    read_letter(key, value, headers)   -> DeadLetter       # the reverse; None if it is no dead letter
    sent_back(letter, as_of)           -> headers          # those it came with, and what makes it a redrive
    as_of_then(event, headers, latest) -> Event | Rejection

A letter's identity is where its record stood in its source topic. A record that is sent back keeps the
headers it first came with, and says at their end which letter it is (`journey_stream_redrive_of`) and how
often it has been sent back (`_count`), so that one which goes round in circles shows. `_as_of` asks for it to
be applied as if it had happened then: what came too late can be counted now, without changing a byte of it.
Ours are told from headers of the same name that a sender made by their place: ours are the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeAlias, cast, get_args

import msgspec

from journey_stream.values import DeadLetter, Event, Out, Reason, Rejection, micros, rfc3339

Header: TypeAlias = tuple[str, bytes | None]
Headers: TypeAlias = tuple[Header, ...]

_OURS: Final = tuple(
    f"journey_stream_{name}"
    for name in ("reason", "detail", "source_topic", "source_partition", "source_offset", "source_time")
)
DERIVED: Final = "journey_stream_source_derived"
"""Follows ours if the record was not a source record itself, but an event that intake derived from it."""
OF: Final = "journey_stream_redrive_of"
COUNT: Final = "journey_stream_redrive_count"
AS_OF: Final = "journey_stream_redrive_as_of"


class Redrive(msgspec.Struct, frozen=True):
    """What a record that was sent back says of itself."""

    of: str
    """Identity of the letter that it was."""
    count: int
    """How often the record has been sent back."""
    as_of: int | None = None
    """When it counts as having happened, microseconds."""


def identity(letter: DeadLetter) -> str:
    """Name a letter by where its record stood: `topic/partition/offset`."""
    derived = "/derived" if letter.derived else ""
    return f"{letter.topic}/{letter.partition}/{letter.offset}{derived}"


def dead_letter(record: DeadLetter, topic: str) -> Out:
    """Write a record that could not be used: all as it came, with the reason and its origin in headers."""
    ours = (
        record.reason.encode(),
        record.detail.encode(),
        record.topic.encode(),
        b"%d" % record.partition,
        b"%d" % record.offset,
        rfc3339(_written(record.timestamp)).encode(),
    )
    headers = (*record.headers, *zip(_OURS, ours, strict=True))
    if record.derived:
        headers += ((DERIVED, b"true"),)
    return Out(topic, record.key, record.value, headers, record.key)


def read_letter(key: bytes | None, value: bytes | None, headers: Sequence[Header]) -> DeadLetter | None:
    """Read a dead letter back; None if the record does not end with our headers."""
    derived = bool(headers) and headers[-1][0] == DERIVED
    end = len(headers) - derived
    start = end - len(_OURS)
    if start < 0 or tuple(name for name, _ in headers[start:end]) != _OURS:
        return None
    try:
        reason, detail, topic, partition, offset, at = (_text(text) for _, text in headers[start:end])
        if reason not in get_args(Reason):
            return None
        origin = (topic, int(partition), int(offset), _moment(at.encode()))
    except ValueError:
        return None
    came_with = tuple((name, text) for name, text in headers[:start])
    return DeadLetter(cast(Reason, reason), detail, *origin, key, value, came_with, derived)


def redrive_of(headers: Sequence[Header]) -> tuple[Redrive | None, Headers]:
    """Tell what a record that was sent back says of itself, and the headers that it first came with."""
    end = len(headers)
    asks = end > 0 and headers[-1][0] == AS_OF
    start = end - (3 if asks else 2)
    if start >= 0 and tuple(name for name, _ in headers[start : start + 2]) == (OF, COUNT):
        try:
            found = Redrive(
                _text(headers[start][1]),
                int(_text(headers[start + 1][1])),
                _moment(headers[-1][1]) if asks else None,
            )
        except ValueError:
            return None, tuple(headers)
        return found, tuple(headers[:start])
    return None, tuple(headers)


def sent_back(letter: DeadLetter, as_of: int | None = None) -> Headers:
    """Make the headers of a letter that is sent back: those it first came with, and what makes it a redrive.

    Args:
        letter: the letter.
        as_of: when it is to count as having happened (microseconds); None for its own time.
    """
    before, first = redrive_of(letter.headers)
    count = 1 if before is None else before.count + 1
    headers = (*first, (OF, identity(letter).encode()), (COUNT, b"%d" % count))
    return headers if as_of is None else (*headers, (AS_OF, rfc3339(as_of).encode()))


def as_of_then(event: Event, headers: Sequence[Header], latest: int) -> Event | Rejection:
    """Give an event the time that its record asks for, if it does, and flag it late.

    Args:
        event: the event, as decoded; changed in place.
        headers: those of its record.
        latest: when the broker got the record (microseconds): it cannot count as later than that.
    """
    if headers[-1][0] != AS_OF:
        return event
    try:
        asked = _moment(headers[-1][1])
    except ValueError:
        return Rejection("bad_time", f"header {AS_OF}: expected a time as RFC 3339 with offset")
    event.at = max(event.at, min(asked, latest))
    event.late = True
    return event


def _text(value: bytes | None) -> str:
    if value is None:
        raise ValueError(value)
    return value.decode()


def _moment(value: bytes | None) -> int:
    moment = datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        raise ValueError(value)
    return micros(moment)


def _written(at: int) -> int:
    """The nearest time that can be written: a sender may stamp a record with any number."""
    return min(max(at, _FIRST), _LAST)


_FIRST = -62_135_596_800_000_000
_LAST = 253_402_300_799_999_999
"""The first and last microsecond of the years 1 to 9999."""
