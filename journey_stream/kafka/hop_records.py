"""What is in a record of the keyed topic: its packed header, its event.

Enters: a consumed record. Leaves: the header of the hop, or none; the event, or why it is none;
the dead letter that it becomes.
"""

from __future__ import annotations

from collections.abc import Callable

from journey_stream.events.decode import Filtered
from journey_stream.kafka import hop
from journey_stream.kafka.keyed_values import Record
from journey_stream.letters import AS_OF, as_of_then
from journey_stream.values import DeadLetter, Event, Reason, Rejection


def event_of(
    record: Record, broker_at: int, decode: Callable[[bytes | None, int], Event | Rejection | Filtered]
) -> Event | Rejection | Filtered:
    """Decode the event of a hop record, at the time that a letter sent back asks for."""
    event = decode(record.value, broker_at)
    if record.headers and record.headers[-1][0] == AS_OF and type(event) is Event:
        return as_of_then(event, record.headers, broker_at)
    return event


def event_again(
    record: Record, decode: Callable[[bytes | None, int], Event | Rejection | Filtered], *, late: bool
) -> Event:
    """Decode an event, of the hop or of a source, that the compiled core has read as one already."""
    head = head_of(record)
    event = event_of(record, hop.unpack(head)[2] if head else record.timestamp * 1000, decode)
    assert type(event) is Event, "the core reads only what Python reads"
    event.late = late
    return event


def head_of(record: Record) -> bytes:
    """Give the packed header of the hop, empty where there is none."""
    headers = record.headers
    if headers and headers[0][0] == hop.HEADER:
        return headers[0][1]
    return b""


def letter_of(record: Record, reason: Reason, detail: str) -> DeadLetter:
    """Make the dead letter of a record of the hop: what its source record was."""
    kind, sub_offset, broker_at, source = hop.unpack(head_of(record))
    topic, partition = hop.unpack_source(source)
    origin = (topic, partition, sub_offset // 2, broker_at)
    came_with = tuple(record.headers[2 if kind == hop.DEAD else 1 :])
    return DeadLetter(
        reason, detail, *origin, record.key, record.value, came_with, derived=bool(sub_offset & 1)
    )


def letter_of_stranger(record: Record, detail: str) -> DeadLetter:
    """Make the dead letter of a record that no intake of ours wrote: of the keyed topic itself."""
    origin = (record.topic, record.partition, record.offset, record.timestamp * 1000)
    headers = tuple(record.headers)
    return DeadLetter("processing_error", detail, *origin, record.key, record.value, headers)
