"""Bad records, made on purpose: every way in which a producer can get it wrong, with the reason it must get.

Enters: the kind, a number and a time. Leaves: value bytes and the expected dead-letter reason. Nothing here
is random: the n-th bad record of a kind is always the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from journey_stream.values import Reason, rfc3339

MAX_BYTES = 1_048_576
"""The default limit of an event's size; a record of kind `too_large` is longer."""


def _event(number: int, at: int, **changes: object) -> dict[str, object]:
    event: dict[str, object] = {
        "event_id": f"poison-{number:08d}",
        "type": "page_viewed",
        "occurred_at": rfc3339(at),
        "customer_id": f"c-poison-{number % 10}",
        "properties": {"url": "https://shop.example/", "title": "Home"},
    }
    event.update(changes)
    return event


def _without(field: str) -> Callable[[int, int], bytes]:
    def make(number: int, at: int) -> bytes:
        event = _event(number, at)
        del event[field]
        return orjson.dumps(event)

    return make


def _with(**changes: object) -> Callable[[int, int], bytes]:
    return lambda number, at: orjson.dumps(_event(number, at, **changes))


def _raw(text: bytes) -> Callable[[int, int], bytes]:
    return lambda number, at: text.replace(b"NUMBER", b"%08d" % number)


def _broken_text(number: int, at: int) -> bytes:
    return orjson.dumps(_event(number, at)).replace(b"Home", b"H\xff\xfeme")


def _cut(number: int, at: int) -> bytes:
    return orjson.dumps(_event(number, at))[:-7]


def _too_large(number: int, at: int) -> bytes:
    return orjson.dumps(_event(number, at, properties={"title": "x" * MAX_BYTES}))


def _deep(number: int, at: int) -> bytes:
    event = orjson.dumps(_event(number, at, properties="DEEP"))
    return event.replace(b'"DEEP"', b'{"a":' * 5_000 + b"1" + b"}" * 5_000)


def _tomorrow(number: int, at: int) -> bytes:
    return orjson.dumps(_event(number, at, occurred_at="2999-12-31T23:59:59Z"))


KINDS: dict[str, tuple[Reason, Callable[[int, int], bytes | None]]] = {
    "not_json": ("not_json", _raw(b"hello NUMBER, this is not JSON")),
    "cut": ("not_json", _cut),
    "empty": ("not_json", _raw(b"")),
    "invalid_utf8": ("not_json", _broken_text),
    "null_value": ("not_json", lambda number, at: None),
    "list": ("wrong_type", _raw(b'["NUMBER"]')),
    "no_event_id": ("missing_field", _without("event_id")),
    "no_type": ("missing_field", _without("type")),
    "no_time": ("missing_field", _without("occurred_at")),
    "number_as_text": (
        "wrong_type",
        _with(type="order_completed", properties={"order_id": "o-poison", "total": "12.50"}),
    ),
    "properties_list": ("wrong_type", _with(properties=["url"])),
    "id_number": ("wrong_type", _with(customer_id=17)),
    "unknown_channel": ("wrong_type", _with(context={"channel": "carrier pigeon"})),
    "unknown_type": ("unknown_type", _with(type="pigeon_arrived")),
    "time_words": ("bad_time", _with(occurred_at="yesterday")),
    "time_without_offset": ("bad_time", _with(occurred_at="2024-05-05T10:00:00")),
    "time_impossible": ("bad_time", _with(occurred_at="2024-02-30T10:00:00Z")),
    "time_ahead": ("bad_time", _tomorrow),
    "nobody": ("no_identity", _without("customer_id")),
    "nobody_empty": ("no_identity", _with(customer_id="", anonymous_id="")),
    "too_large": ("too_large", _too_large),
    "deep": ("not_json", _deep),
}
"""Every kind: the reason that its records must get, and how the n-th is made for a time."""
