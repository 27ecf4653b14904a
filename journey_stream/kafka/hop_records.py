"""What is in a record of the keyed topic: its packed header, its event.

Enters: a consumed record. Leaves: the header of the hop, or none; the event, or why it is none.
"""

from __future__ import annotations

from collections.abc import Callable

from journey_stream.events.decode import Filtered
from journey_stream.kafka import hop
from journey_stream.kafka.keyed_values import Record
from journey_stream.letters import AS_OF, as_of_then
from journey_stream.values import Event, Rejection


def event_of(
    record: Record, broker_at: int, decode: Callable[[bytes | None, int], Event | Rejection | Filtered]
) -> Event | Rejection | Filtered:
    """Decode the event of a hop record, at the time that a letter sent back asks for."""
    event = decode(record.value, broker_at)
    if record.headers and record.headers[-1][0] == AS_OF and type(event) is Event:
        return as_of_then(event, record.headers, broker_at)
    return event


def head_of(record: Record) -> bytes:
    """Give the packed header of the hop, empty where there is none."""
    headers = record.headers
    if headers and headers[0][0] == hop.HEADER:
        return headers[0][1]
    return b""
