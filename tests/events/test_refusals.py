"""A bad event becomes a rejection with one reason, and nothing becomes an exception."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.wire import AT, DECODER, refusal, wire
from journey_stream.events.decode import DecodeLimits, Decoder, Filtered
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.values import Event, Rejection

UNHURRIED = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Machines that run tests are busy with others."""
DEEP = b'{"event_id":"e","extra":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def nested(depth: int, filler: str = "") -> bytes:
    """A good event with something nested in a key that nobody reads; the event itself is one level."""
    return wire(filler=filler)[:-1] + b', "extra": ' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize("filler", ["", "[{" * 300, '\\"[' * 300])
def test_nesting_has_one_limit_whatever_calls_the_decoder(filler: str) -> None:
    def deep_in_the_stack(frames: int) -> Rejection | Event | Filtered:
        return deep_in_the_stack(frames - 1) if frames else DECODER.decode(nested(256, filler))

    assert isinstance(deep_in_the_stack(300), Event)
    assert "not_json" == refusal(nested(257, filler)).reason


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (None, "no value"),
        (b"", "truncated"),
        (b"\x00\x01\x02", "malformed"),
        (b'{"event_id": "e"', "truncated"),
        (b'\xef\xbb\xbf{"event_id": "e"}', "malformed"),
        (wire()[:-1] + b', "extra": "\xff"}', "UTF-8"),
        (wire(extra=1).replace(b'"e-1"', b'"\\udc00"'), "surrogate"),
        (wire()[:-1] + b', "extra": NaN}', "malformed"),
        (DEEP, "nested deeper than 256"),
        (nested(257), "nested deeper than 256"),
    ],
)
def test_not_json(value: bytes | None, detail: str) -> None:
    found = refusal(value)

    assert "not_json" == found.reason
    assert detail in found.detail


@pytest.mark.parametrize("field", ["event_id", "type", "occurred_at"])
@pytest.mark.parametrize("came", [..., None, ""])
def test_missing_field(field: str, came: object) -> None:
    found = refusal(wire(**{field: came}) if field != "type" else wire(came))  # type: ignore[arg-type]

    assert "missing_field" == found.reason
    assert found.detail.startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (b"[]", "expected a JSON object; got an array"),
        (b"null", "expected a JSON object; got null"),
        (b'"text"', "expected a JSON object; got a string"),
        (b"12", "expected a JSON object; got a number"),
        (wire(event_id=7), "event_id: expected a string; got a number"),
        (wire(event_id="e" * 513), "event_id: expected at most 512 characters; got 513"),
        (wire(customer_id=["c"]), "customer_id: expected a string; got an array"),
        (wire(customer_id="c" * 513), "customer_id: expected at most 512 characters; got 513"),
        (wire(anonymous_id=True), "anonymous_id: expected a string; got a boolean"),
        (wire(customer_id="anon:a-1"), "customer_id: may not start with `anon:`; send anonymous_id"),
        (
            wire(occurred_at=1_767_607_872),
            "occurred_at: expected a string, RFC 3339 with offset; got a number",
        ),
        (wire(context="web"), "context: expected `object | null`, got `str`"),
        (wire(context={"channel": "pigeon"}), "context.channel: invalid enum value 'pigeon'"),
        (wire(properties=[]), "properties: expected `object | null`, got `array`"),
        (wire(properties={"url": 1}), "properties.url: expected `str | null`, got `int`"),
        (
            wire("order_completed", properties={"products": [{}, {"price": "9.90"}]}),
            "properties.products[1].price: expected `float | null`, got `str`",
        ),
        (
            wire("order_completed", properties={"total": True}),
            "properties.total: expected `float | null`, got `bool`",
        ),
        (
            wire("order_completed", properties={"promised_at": "2026-01-05T00:00:00"}),
            "properties.promised_at: expected a time with an offset",
        ),
        (
            wire("order_completed", properties={"promised_at": 5}),
            "properties.promised_at: expected `str` (a time as RFC 3339 with offset), got `int`",
        ),
        (
            wire("order_completed", properties={"total": 1}).replace(b'"total": 1', b'"total": 1e999'),
            "a number is out of range",
        ),
        (
            wire("product_reviewed", properties={"rating": 6}),
            "properties.rating: expected `float` <= 5.0",
        ),
        (
            wire("survey_responded", properties={"survey_type": "nps", "score": 11}),
            "properties: score 11 is outside its scale 0 to 10",
        ),
        (
            wire("survey_responded", properties={"score": 1, "scale_min": 5, "scale_max": 5}),
            "properties: scale_min 5 has to be below scale_max 5",
        ),
        (
            wire("identified", properties={"traits": {"n": 10**400}}),
            "properties.traits: a number out of range, or nested too deeply",
        ),
        (
            wire("identified", properties={"traits": json.loads('{"a":' * 17 + "1" + "}" * 17)}),
            "properties.traits: a number out of range, or nested too deeply",
        ),
    ],
)
def test_wrong_type(value: bytes, detail: str) -> None:
    assert Rejection("wrong_type", detail) == refusal(value)


@pytest.mark.parametrize("name", ["page_vewed", "Order-Completed", "activity", "timer", "_"])
def test_unknown_type(name: str) -> None:
    assert Rejection("unknown_type", f"type: no event type is called {name!r}") == refusal(wire(name))


def test_a_type_that_is_not_a_name() -> None:
    assert Rejection("wrong_type", "type: expected a string; got an object") == refusal(
        wire({})  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2026-01-05",
        "2026-01-05T10:11:12",
        "2026-02-30T00:00:00Z",
        "2026-01-05T25:00:00Z",
        "1969-12-31T23:59:59.999999Z",
        "0001-01-01T00:00:00+10:00",
        "9999-12-31T23:59:59-01:00",
        "12026-01-05T10:11:12Z",
    ],
)
def test_bad_time(text: str) -> None:
    found = refusal(wire(occurred_at=text))

    assert "bad_time" == found.reason
    assert found.detail.startswith("occurred_at: ")


def test_a_clock_gone_wrong_is_a_bad_time() -> None:
    found = refusal(wire(), broker_at=AT - 300_000_001)

    assert "bad_time" == found.reason
    assert "2026-01-05T10:11:12.345000Z is ahead of the broker's 2026-01-05T10:06:12.344999Z" in found.detail


@pytest.mark.parametrize(
    "ids", [{}, {"customer_id": ""}, {"customer_id": None, "anonymous_id": ""}, {"account_id": "firm"}]
)
def test_no_identity(ids: dict[str, Any]) -> None:
    assert "no_identity" == refusal(wire(**{"customer_id": ..., **ids})).reason


def test_too_large() -> None:
    ten_megabytes = wire(extra="x" * 10_000_000)
    just_right = len(wire())

    assert "too_large" == refusal(ten_megabytes).reason
    assert isinstance(Decoder(BUILT_IN, DecodeLimits(max_bytes=just_right)).decode(wire()), Event)
    assert "too_large" == refusal(wire(), Decoder(BUILT_IN, DecodeLimits(max_bytes=just_right - 1))).reason


def test_a_detail_is_short_whatever_came() -> None:
    found = refusal(wire("x" * 100_000))

    assert ("unknown_type", 500) == (found.reason, len(found.detail))


def usable(found: Event | Rejection | Filtered) -> bool:
    """An outcome that the rest of the way can rely on."""
    if isinstance(found, Rejection):
        return bool(found.detail.encode()) and len(found.detail) <= 600
    return (
        isinstance(found, Event)
        and bool(found.person.encode())
        and bool(found.event_id.encode())
        and 0 <= found.at < 253_402_300_800_000_000
        and found.properties is not None
    )


@UNHURRIED
@given(st.binary(max_size=200))
def test_any_bytes_give_an_event_or_a_rejection(value: bytes) -> None:
    assert usable(DECODER.decode(value))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def near_events(draw: st.DrawFn) -> bytes:
    """Events with a known type whose fields are anything, mostly nearly right."""
    kind = draw(st.sampled_from(list(BUILT_IN)))
    paths = [path for path in BUILT_IN.fields(kind.name) if "[" not in path and "." not in path]
    properties = draw(st.dictionaries(st.sampled_from(paths), JSON, max_size=3)) if paths else {}
    fields: dict[str, Any] = {"properties": draw(st.sampled_from([properties, properties, properties, ...]))}
    for name in draw(
        st.sets(st.sampled_from(["event_id", "occurred_at", "customer_id", "context"]), max_size=1)
    ):
        fields[name] = draw(JSON)
    return wire(kind.name, **fields)


@UNHURRIED
@given(near_events(), st.integers(-1, 2**62))
def test_any_fields_give_an_event_or_a_rejection(value: bytes, broker_at: int) -> None:
    assert usable(DECODER.decode(value, broker_at))


@UNHURRIED
@given(near_events(), st.data())
def test_a_damaged_event_gives_an_event_or_a_rejection(value: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(value) - 1))
    damaged = value[:at] + data.draw(st.binary(max_size=3)) + value[at + data.draw(st.integers(0, 3)) :]

    assert usable(DECODER.decode(damaged))


@UNHURRIED
@given(near_events())
def test_the_same_bytes_have_the_same_outcome(value: bytes) -> None:
    assert DECODER.decode(value) == Decoder(BUILT_IN).decode(value)
