"""The fields that every event has, and its context. What enters and leaves: see `decode`."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import msgspec

from journey_stream.events.fields import ContextChannel, Properties

MAX_ID = 512
"""The longest id (characters): ids become record keys and are kept in state."""

EventId = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)]
Id = Annotated[str, msgspec.Meta(max_length=MAX_ID)]
WireTime = Annotated[dt.datetime, msgspec.Meta(tz=True)]


class Campaign(Properties):
    """Where a visit came from, in the words of UTM."""

    source: str | None = None
    medium: str | None = None
    name: str | None = None
    term: str | None = None
    content: str | None = None


class Context(Properties):
    """The circumstances of an event."""

    channel: ContextChannel | None = None
    campaign: Campaign | None = None
    session_id: str | None = None
    device: str | None = None
    locale: str | None = None
    country: str | None = None
    timezone: str | None = None
    referrer: str | None = None
    test: bool | None = None


_NULL = msgspec.Raw(b"null")


class Envelope(msgspec.Struct, gc=False):
    """An event on the wire; `properties` wait, as they came, for the type that reads them."""

    event_id: EventId
    type: str
    occurred_at: WireTime
    customer_id: Id | None = None
    anonymous_id: Id | None = None
    account_id: Id | None = None
    properties: msgspec.Raw = msgspec.field(default_factory=lambda: _NULL)
    context: Context | None = None
