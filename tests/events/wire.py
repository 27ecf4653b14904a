"""Events as senders write them, for the tests of this room."""

from __future__ import annotations

import json
from typing import Any

from journey_stream.events.decode import Decoder, Filtered
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.values import NEVER, Event, Rejection

DECODER = Decoder(BUILT_IN)
AT = 1_767_607_872_345_000
"""2026-01-05T10:11:12.345Z"""


def wire(type_: str = "page_viewed", /, **fields: Any) -> bytes:
    """A good event with these fields; a field given as `...` is left out."""
    event = {
        "event_id": "e-1",
        "type": type_,
        "occurred_at": "2026-01-05T10:11:12.345Z",
        "customer_id": "c-1",
        **fields,
    }
    return json.dumps({key: value for key, value in event.items() if value is not ...}).encode()


def event(type_: str = "page_viewed", decoder: Decoder = DECODER, /, **properties: Any) -> Event:
    """Decode a good event with these properties."""
    found = decoder.decode(wire(type_, properties=properties))
    assert isinstance(found, Event), found
    return found


def refusal(value: bytes | None, decoder: Decoder = DECODER, broker_at: int = NEVER) -> Rejection:
    """Decode a bad event."""
    found: Event | Rejection | Filtered = decoder.decode(value, broker_at)
    assert isinstance(found, Rejection), found
    return found
