"""Why a value cannot be read as an event: the slow second look, taken only after the first one failed.

In: bytes and the vocabulary. Out: the `Rejection`, always the same for the same bytes: checks go from the
outside in (JSON, event_id, type, occurred_at, ids, context, properties), the first that fails is the reason.
"""

from __future__ import annotations

import datetime as dt
import re
from itertools import accumulate

import msgspec

from journey_stream.events.declared import Validate
from journey_stream.events.envelope import MAX_ID, Context
from journey_stream.events.fields import dec_hook
from journey_stream.events.vocabulary import Vocabulary
from journey_stream.values import Rejection

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError, OverflowError)
"""All that reading foreign bytes can raise."""

MAX_NESTING = 256
"""Arrays and objects in each other. How much deeper the reader gets depends on who calls it: worker and
replay would disagree."""
ALWAYS_SHALLOW = 2 * MAX_NESTING
"""Bytes that cannot hold deeper nesting: each level opens and closes."""

_MAX_DETAIL = 500
_TEXTS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
"""A text that never ends runs to the end, so that each byte is looked at once."""
_STEPS = [1 if byte in b"[{" else -1 for byte in range(256)]
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


def too_deep(value: bytes) -> bool:
    """Tell whether a value is nested deeper than `MAX_NESTING`, without reading it."""
    if value.count(b"[") + value.count(b"{") <= MAX_NESTING:
        return False
    brackets = _TEXTS.sub(b"", value).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MAX_NESTING


def explain(value: bytes, vocabulary: Vocabulary) -> Rejection:
    """Say why these bytes are no event."""
    try:
        value.decode()
        found = msgspec.json.decode(value)
    except RecursionError:
        return Rejection("not_json", "nested too deeply to be read")
    except UnicodeDecodeError as error:
        return Rejection("not_json", f"not UTF-8: {error.reason} at byte {error.start}")
    except msgspec.ValidationError:
        return Rejection("wrong_type", "a number is out of range")
    except (msgspec.MsgspecError, ValueError) as error:
        return Rejection("not_json", _cut(str(error)))
    if not isinstance(found, dict):
        return Rejection("wrong_type", f"expected a JSON object; got {_name(found)}")

    for check in (_event_id, _event_type, _occurred_at, _ids, _context, _properties):
        rejection = check(found, vocabulary)
        if rejection is not None:
            return rejection
    return Rejection("wrong_type", "the value does not fit the shape of an event")


def refuse_properties(raw: bytes, validate: Validate) -> Rejection | None:
    """Check a declared type's properties against its schema."""
    try:
        properties = msgspec.json.decode(raw)
    except RecursionError:
        return Rejection("not_json", "nested too deeply to be read")
    except (msgspec.MsgspecError, ValueError) as error:
        return _wrong("properties", error)
    return validate({} if properties is None else properties)


def _event_id(found: dict[str, object], _: Vocabulary) -> Rejection | None:
    event_id = found.get("event_id")
    if event_id is None or event_id == "":
        return _missing("event_id", "a string, unique per event")
    if not isinstance(event_id, str):
        return _expected("event_id", "a string", event_id)
    if len(event_id) > MAX_ID:
        return _too_long("event_id", event_id)
    return None


def _event_type(found: dict[str, object], vocabulary: Vocabulary) -> Rejection | None:
    name = found.get("type")
    if name is None or name == "":
        return _missing("type", "the name of an event type")
    if not isinstance(name, str):
        return _expected("type", "a string", name)
    if vocabulary.get(name) is None:
        return Rejection("unknown_type", _cut(f"type: no event type is called {name!r}"))
    return None


def _occurred_at(found: dict[str, object], _: Vocabulary) -> Rejection | None:
    text = found.get("occurred_at")
    if text is None or text == "":
        return _missing("occurred_at", "a time as RFC 3339 with offset")
    if not isinstance(text, str):
        return _expected("occurred_at", "a string, RFC 3339 with offset", text)
    try:
        moment = msgspec.convert(text, dt.datetime)
    except msgspec.ValidationError:
        return Rejection("bad_time", _cut(f"occurred_at: expected RFC 3339 with offset; got {text!r}"))
    if moment.tzinfo is None:
        return Rejection("bad_time", f"occurred_at: {text!r} has no offset; end it with Z or +01:00")
    return None


def _ids(found: dict[str, object], _: Vocabulary) -> Rejection | None:
    for name in ("customer_id", "anonymous_id", "account_id"):
        value = found.get(name)
        if value is not None and not isinstance(value, str):
            return _expected(name, "a string", value)
        if value is not None and len(value) > MAX_ID:
            return _too_long(name, value)
    return None


def _context(found: dict[str, object], _: Vocabulary) -> Rejection | None:
    try:
        msgspec.convert(found.get("context"), Context | None)
    except msgspec.ValidationError as error:
        return _wrong("context", error)
    return None


def _properties(found: dict[str, object], vocabulary: Vocabulary) -> Rejection | None:
    kind = vocabulary.get(str(found["type"]))
    if kind is None:
        return None
    try:
        msgspec.convert(found.get("properties"), kind.properties | None, dec_hook=dec_hook)
    except msgspec.ValidationError as error:
        return _wrong("properties", error)
    return None


def _wrong(where: str, error: Exception) -> Rejection:
    """Turn msgspec's "Expected `float | null`, got `str` - at `$.total`" into ours."""
    what, _, path = str(error).partition(" - at `$")
    place = where + path.rstrip("`")
    what = what[:1].lower() + what[1:]
    return Rejection("wrong_type", _cut(f"{place.lstrip('.')}: {what}" if place else what))


def _missing(name: str, expected: str) -> Rejection:
    return Rejection("missing_field", f"{name}: expected {expected}; it is not there")


def _expected(name: str, expected: str, came: object) -> Rejection:
    return Rejection("wrong_type", f"{name}: expected {expected}; got {_name(came)}")


def _too_long(name: str, came: str) -> Rejection:
    return Rejection("wrong_type", f"{name}: expected at most {MAX_ID} characters; got {len(came)}")


def _name(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_DETAIL else text[: _MAX_DETAIL - 1] + "…"
