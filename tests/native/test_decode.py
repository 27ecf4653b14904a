"""The compiled decoder gives the Python decoder's event or none at all, and packs the same rows."""

from __future__ import annotations

import json
import random
from typing import Any, cast

import msgspec
import pytest
from events.wire import AT, wire
from hypothesis import given
from hypothesis import strategies as st

from journey_stream.engine.recent import _pack, _row
from journey_stream.events.decode import DecodeLimits, Decoder, Money
from journey_stream.events.described import describe
from journey_stream.events.vocabulary import BUILT_IN, DeclaredType
from journey_stream.values import MINUTE, NEVER, Event

native = pytest.importorskip("journey_stream_native")

OWN = DeclaredType(
    "visit_rated",
    {
        "type": "object",
        "properties": {
            "class": {"type": "string"},
            "stars": {"type": "number"},
            "more": {"type": "object"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "on": {"type": "string", "format": "date-time"},
        },
    },
)
VOCABULARY = BUILT_IN.with_declared([OWN])
MONEY = Money("EUR", {"USD": 0.9})


def _pair(**settings: Any) -> tuple[Decoder, Any]:
    described = describe(VOCABULARY, **settings)
    assert described is not None
    return Decoder(VOCABULARY, **settings), native.EventReader(json.dumps(described))


PYTHON, NATIVE = _pair()
STRICT = {"limits": DecodeLimits(4096, MINUTE), "money": MONEY, "ces_high_is_easy": False}
DESCRIBED = cast("dict[str, Any]", describe(VOCABULARY))
PLAIN = [kind for kind in DESCRIBED["types"] if kind["plain"]]


def shown(event: Event) -> dict[str, Any]:
    """An event as the compiled reader shows it."""
    return _shown(event)  # type: ignore[no-any-return]


def _shown(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return {name: _shown(getattr(value, name)) for name in value.__struct_fields__}
    return [_shown(each) for each in value] if isinstance(value, list) else value


def exact(value: Any) -> str:
    """With the kinds of numbers, and -0.0."""
    return repr(value)


def check(value: bytes, broker_at: int = NEVER, pair: tuple[Decoder, Any] = (PYTHON, NATIVE)) -> bool:
    """Compare both; tell whether the compiled one read it."""
    python, compiled = pair
    expected, found = python.decode(value, broker_at), compiled.decode(value, broker_at)
    if isinstance(expected, Event):
        again = compiled.from_python(expected)
        assert exact(shown(expected)) == exact(again)
        for at, settled in ((expected.at, None), (expected.at + 5, expected.at - 1)):
            row = _pack(_row(expected, at, settled))
            assert row == compiled.row_from_python(expected, at, settled)
            assert found is None or broker_at != NEVER or row == compiled.row(value, at, settled)
    if found is None:
        return False
    assert isinstance(expected, Event), (value, expected)
    assert exact(shown(expected)) == exact(found)
    return True


# Events as senders write them.

TEXTS = st.text(max_size=12) | st.sampled_from(["é", '"', "\\", "\n", "😀", "", "a" * 40, "ünï" * 9])
FLOATS = st.sampled_from([0, 1, -1, 0.0, -0.0, 19.99, 1e5, 0.1, 123456789.25, 10**14]) | st.decimals(
    -10_000, 10_000, places=2
).map(float)
TIMES = st.builds(
    lambda day, hour, rest: f"20{day:02}-0{day % 9 + 1}-{day % 28 + 1:02}T{hour:02}:59:0{day % 10}{rest}",
    st.integers(0, 99),
    st.integers(0, 23),
    st.sampled_from(["Z", "+01:00", "-05:30", ".5Z", ".000001+00:00", ".123456-11:45"]),
)


def values(field: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What a field of this shape may hold."""
    match field["shape"]:
        case "one_of":
            return st.sampled_from(field["texts"])
        case "num":
            most = field.get("most")
            return FLOATS if most is None else st.floats(field["least"], most).map(lambda x: round(x, 2))
        case "bool":
            return st.booleans()
        case "time":
            return TIMES
        case "list":
            return st.lists(values(field["of"]), max_size=3)
        case "obj":
            return objects(field["fields"])
        case "str":
            return TEXTS
    return st.none()


def objects(fields: list[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of these fields, some null, some unknown, in any order."""
    optional = {field["name"]: values(field) | st.none() for field in fields}
    extra = st.dictionaries(
        st.sampled_from(["x", "extra", "y"]),
        st.recursive(TEXTS | FLOATS | st.booleans(), lambda inner: st.lists(inner, max_size=2), max_leaves=3),
        max_size=1,
    )
    found = st.fixed_dictionaries({}, optional=optional)
    return st.builds(lambda known, more: {**known, **more}, found, extra).flatmap(
        lambda each: st.permutations(list(each.items())).map(dict)
    )


def events(kind: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Good events of a type."""
    ids = TEXTS.filter(lambda text: not text.startswith("anon:"))
    required = {
        "event_id": ids.filter(bool),
        "type": st.sampled_from(kind["spellings"]),
        "occurred_at": TIMES,
        "customer_id": ids.filter(bool),
    }
    optional = {
        "anonymous_id": ids | st.none(),
        "account_id": ids | st.none(),
        "properties": objects(kind["fields"]) | st.none(),
        "context": objects(DESCRIBED["context"]) | st.none(),
        "later": FLOATS,
    }
    return st.fixed_dictionaries(required, optional=optional).flatmap(
        lambda each: st.permutations(list(each.items())).map(dict)
    )


ANY = st.sampled_from(DESCRIBED["types"]).flatmap(events)


def written(event: dict[str, Any], ascii_only: bool) -> bytes:
    return json.dumps(event, ensure_ascii=ascii_only).encode(errors="replace")


@pytest.mark.parametrize("kind", PLAIN, ids=lambda kind: kind["name"])
def test_plain_events_of_each_type_are_read_alike_and_fast(kind: dict[str, Any]) -> None:
    """No falling back to Python for what is well formed: only a survey's score may be outside its scale."""
    made = random.Random(kind["name"])
    for round_ in range(40):
        wanted = {
            field["name"]: _example(field, made)
            for field in kind["fields"]
            if field["shape"] != "other" and made.random() < 0.8
        }
        if kind["name"] == "survey_responded":
            wanted |= {"score": made.choice([1, 2, 3.5, 5]), "scale_min": None, "scale_max": None}
        value = wire(
            made.choice(kind["spellings"]),
            anonymous_id=made.choice(["a-1", None, "", ...]),
            customer_id=made.choice(["c-1", "kunde-ü"]),
            account_id=made.choice([..., "firm"]),
            properties=wanted if round_ else ...,
            context=made.choice([..., None, {}, _context(made)]),
        )
        assert check(value), value
        assert check(value, AT)


def _context(made: random.Random) -> dict[str, Any]:
    return {field["name"]: _example(field, made) for field in DESCRIBED["context"]}


def _example(field: dict[str, Any], made: random.Random) -> Any:
    match field["shape"]:
        case "one_of":
            return made.choice(field["texts"])
        case "num":
            return made.choice(
                [1, 5, 2.25, 1.0] if "most" in field else [0, 3, -1.5, 19.99, 1e-7, 1234567.125]
            )
        case "bool":
            return made.random() < 0.5
        case "time":
            return made.choice(["2026-01-08T01:00:00+01:00", "2024-02-29T23:59:59.25Z"])
        case "list":
            items = [_example(field["of"], made) for _ in range(made.randrange(3))]
            return [each for each in items if each is not None]
        case "obj":
            return {each["name"]: _example(each, made) for each in field["fields"] if made.random() < 0.7}
    return made.choice(["plain", 'a "quoted" one', "é😀\n", "", None])


@given(ANY, st.booleans())
def test_good_events_are_read_alike(event: dict[str, Any], ascii_only: bool) -> None:
    check(written(event, ascii_only))


@given(ANY, st.booleans())
def test_settings_of_the_deployment_count(event: dict[str, Any], ascii_only: bool) -> None:
    pair = _pair(**STRICT)
    check(written(event, ascii_only), pair=pair)
    check(written(event, ascii_only), AT, pair=pair)


PIECES = (
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\t", b"\n", b"\x00", b"\x1f", b"\x7f", b"\xff",
    b"\xed\xa0\x80", b"\xc3\xa9", b"0", b"1", b"-", b"+", b".", b"e", b"E", b"00", b"1.", b".5", b"1e999",
    b"1e5", b"1E-3", b"-0", b"-0.0", b"0e1", b"12345678901234567890", b"0.1234567890123456789", b"1e22",
    b"9007199254740993", b"true", b"false", b"null", b"nul", b"NaN", b"\\u0041", b"\\ud83d\\ude00", b"\\ud83d",
    b"\\udc00", b"\\u00zz", b"\\/", b"\\q", b'"x":1,', b'"type":"cart_viewed",', b'"event_id":"2",', b"anon:",
    b'"price":1,', b'"properties":{},', b'"customer_id":null,', b"[[[[[[[[[[1]]]]]]]]]]", b"Z", b"T", b"60",
    b"24", b"+01:00", b"-24:00", b"2026-02-29T00:00:00Z", b"2026-01-01T00:00:00.1234567Z", b"1969", b"9999",
)  # fmt: skip


def _mutate(value: bytes, made: random.Random) -> bytes:
    for _ in range(made.choice([1, 1, 1, 2, 3])):
        at = made.randrange(len(value) + 1)
        match made.randrange(6):
            case 0:
                value = value[:at] + made.choice(PIECES) + value[at:]
            case 1:
                value = value[:at] + value[at + 1 :]
            case 2:
                value = value[:at] + bytes([made.randrange(256)]) + value[at + 1 :]
            case 3:
                value = value[:at] + made.choice(PIECES) + value[at + made.randrange(1, 6) :]
            case 4:
                value = (
                    value[:at] if made.random() < 0.2 else value[:at] + value[at : at + 9] * 2 + value[at:]
                )
            case _:
                # Whole tokens: numbers and texts as other kinds of values.
                parts = value.split(b":")
                parts[made.randrange(len(parts))] = b" " + made.choice(PIECES) + b","
                value = b":".join(parts)
    return value


@given(ANY, st.booleans(), st.integers(0, 2**32))
def test_whatever_the_bytes_no_event_differs(event: dict[str, Any], ascii_only: bool, seed: int) -> None:
    made, value = random.Random(seed), written(event, ascii_only)
    for _ in range(20):
        check(_mutate(value, made))


NUMBERS = (
    "0 -0 0.0 -0.0 1 -1 01 1. .5 +1 1e5 1E+5 1e-5 1e 1e+ 1e999 -1e999 1e-999 0e0 -0e0 0.1 0.30000000000000004 "
    "123456789012345 1234567890123456 123456789012345678901234567890 9007199254740993 9007199254740993.0 "
    "2.2250738585072011e-308 1.7976931348623157e308 8.41 0.000001 1e22 1e23 123456.7890123456789 true null NaN"
).split()


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("key", ["total", "unknown"])
def test_odd_numbers(key: str, number: str) -> None:
    value = wire("order_completed", properties={key: "#"}).replace(b'"#"', number.encode())

    check(value)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.floats(-1e6, 1e6))
def test_floats_are_rounded_alike(number: float) -> None:
    check(wire("order_completed", properties={"total": number}))


@given(st.decimals(allow_nan=False, allow_infinity=False).map(lambda each: f"{each:f}"[:30]))
def test_decimals_are_rounded_alike(number: str) -> None:
    check(wire("order_completed", properties={"total": "#"}).replace(b'"#"', number.encode()))


TIMES_TO_TRY = (
    "2026-01-05T10:11:12Z 2026-01-05T10:11:12.Z 2026-01-05T10:11:12.1Z 2026-01-05T10:11:12.123456Z "
    "2026-01-05T10:11:12.1234567Z 2026-01-05T10:11:60Z 2026-01-05T24:00:00Z 2026-01-05T23:60:00Z "
    "2026-02-29T10:11:12Z 2024-02-29T10:11:12Z 2100-02-29T00:00:00Z 2000-02-29T00:00:00Z 2026-13-01T00:00:00Z "
    "2026-00-01T00:00:00Z 2026-01-00T00:00:00Z 2026-04-31T00:00:00Z 2026-01-05T10:11:12+23:59 "
    "2026-01-05T10:11:12+24:00 2026-01-05T10:11:12-00:00 2026-01-05T10:11:12+0100 2026-01-05T10:11:12 "
    "2026-01-05t10:11:12z 1970-01-01T00:00:00Z 1970-01-01T00:30:00+01:00 1969-12-31T23:30:00-01:00 "
    "9999-12-31T23:59:59Z 9999-12-31T23:59:59-01:00 0001-01-01T00:00:00Z 2026-01-05T10:11:12Zx 12 2199-12-31T"
    "23:59:59.999999Z 1900-03-01T00:00:00Z"
).split()


@pytest.mark.parametrize("time", TIMES_TO_TRY)
def test_odd_times(time: str) -> None:
    check(wire(occurred_at=time))
    check(wire("order_completed", properties={"promised_at": time}))


@given(st.datetimes(), st.sampled_from(["Z", "+00:00", "-03:30", "+14:00"]))
def test_each_day_of_the_calendar(moment: Any, offset: str) -> None:
    check(wire("order_completed", properties={"promised_at": moment.isoformat() + offset}))
    check(wire(occurred_at=moment.isoformat() + offset))


def test_what_the_rest_of_the_engine_has_to_look_at_is_left_to_python() -> None:
    deep: Any = 1
    for _ in range(12):
        deep = [deep]
    for value in (
        wire("visit_rated", properties={"class": "a", "tags": ["b"], "more": {"x": [1, {"y": 2}]}}),
        wire("identified", properties={"traits": {"a": 1, "b": [True, None]}}),
        wire("referral_converted", properties={"referrer_id": "c-2"}),
        wire("checkout_step_viewed", properties={"step": 2}),
        wire(properties={"deep": deep}),
        wire(event_id="é" * 300),
    ):
        assert isinstance(PYTHON.decode(value), Event)
        assert not check(value)
    assert not check(wire(occurred_at="2026-01-05T12:00:00Z"), AT)
    assert not check(
        wire("order_completed", properties={"total": 1, "currency": "USD"}), pair=_pair(money=MONEY)
    )
    assert check(wire("order_completed", properties={"total": 1, "currency": "EUR"}), pair=_pair(money=MONEY))


def test_a_struct_of_another_make_is_not_described() -> None:
    class Odd(msgspec.Struct, array_like=True, omit_defaults=True):
        name: str | None = None

    odd = msgspec.structs.replace(BUILT_IN.types["page_viewed"], name="odd", properties=Odd)

    assert describe(type(BUILT_IN)([odd])) is None
