"""What the compiled core says of an expression or a path is what Python says."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journeys.guards.generated import TYPES, Case, cases

from journey_stream.engine import paths
from journey_stream.engine.folds import short
from journey_stream.engine.scope import Names, environment
from journey_stream.events.described import describe as describe_events
from journey_stream.events.purchases import Order
from journey_stream.events.vocabulary import ACTIVITY, BUILT_IN, Campaign, Context, Product
from journey_stream.journeys.guards import (
    BOOL,
    DOUBLE,
    DYN,
    INT,
    STRING,
    Binding,
    PlainScope,
    check,
    compile_expr,
    list_of,
    map_of,
    parse,
)
from journey_stream.values import Event

native = pytest.importorskip("journey_stream_native")
if not hasattr(native, "GuardProbe"):
    pytest.skip("a compiled core without the window for this test", allow_module_level=True)

pack, unpack = msgspec.msgpack.Encoder().encode, msgspec.msgpack.decode

PLACES = {name: place for place, name in enumerate(TYPES)}


def _scope(*, typed: bool) -> PlainScope:
    return PlainScope(
        {
            name: Binding(
                found if typed else DYN,
                f"c.before[{PLACES[name]}]",
                described={"x": "before", "place": PLACES[name]},
            )
            for name, found in TYPES.items()
        }
    )


TYPED, DYNAMIC = _scope(typed=True), _scope(typed=False)
STAGES = [["new", "loyal"], ["cold", "warm"]]
CORE = native.GuardProbe(json.dumps(describe_events(BUILT_IN)), STAGES)


def described(guard: Any) -> Any:
    return getattr(guard, "described", None)


def ask(guard: Any, state: dict[str, Any], event: Event | None = None, t: int = 0) -> Any:
    assert described(guard) is not None
    return unpack(CORE.expression(json.dumps(described(guard)), pack(state), event, t))


def alike(left: Any, right: Any) -> bool:
    """Equal in value and in kind; floats to the bit."""
    if isinstance(left, list | tuple) and isinstance(right, list):
        return len(left) == len(right) and all(map(alike, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return alike(list(left.items()), [list(pair) for pair in right.items()])
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        same_sign = math.copysign(1, left) == math.copysign(1, right)
        return (math.isnan(left) and math.isnan(right)) or (left == right and same_sign)
    return bool(left == right)


def compare(text: str, scope: PlainScope, env: dict[str, Any]) -> bool:
    """Compare one expression; False where it is left to Python."""
    guard = compile_expr(parse(text), scope)
    if described(guard) is None:
        return False
    before = [env.get(name) for name in TYPES]
    expected = guard(SimpleNamespace(before=before), None, 0)
    found = ask(guard, {"before": before})
    assert alike(expected, found), (text, env, expected, found)
    return True


thorough = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@thorough
@given(cases())
def test_typed_expressions(case: Case) -> None:
    compare(case.ours, TYPED, case.env)


@thorough
@given(cases())
def test_expressions_over_values_of_unknown_kind(case: Case) -> None:
    if not check(parse(case.ours), DYNAMIC)[1]:
        compare(case.ours, DYNAMIC, case.env)


EXPRESSIONS = """
i + 1 | i - j | i * j | i / j | i % j | -i | x / y | x / 0.0 | 1 / 0 | 5 % 0 | x * y | abs(i) | abs(x)
9223372036854775807 + i | x == 9223372036854775807 | i < 9.223372036854775807e18 | i == x | i in [1.5, 2]
x in doubles | i in ints | s in texts | s in ["a", "b"] | i in [1, 2, 3] | s in scores | "a" in ["a"]
max(i, x) | min(i, j, 3) | max(x, y) | max(i, null) | min(s == "a" ? 1 : 2, i) | max(i) | max(x, i, 7)
has(i) && i > 1 | !has(x) | b && k | b || k | b && i > 3 && x < 2.0 | !(b || k) | b ? i : j | b ? i : x
b ? 1 : 2.5 | [1, x] | [i, j] | {"a": i, "b": 2}["a"] | {s: 1, u: 2} | {"a": 1, "b": 2.5} | {"a": 1}.a
has({"a": i}.a) | has(scores.a) | scores.a | scores[s] | ints[i] | texts[0] | doubles[-1] | {true: 1}[b]
size(s) | s.size() | ints.size() | size(scores) | s.startsWith(u) | s.endsWith("a") | s.contains("b")
int(x) | int(s) | double(s) | double(i) | string(x) | string(i) | string(b) | string(s) | double(7) == x
ceil(x) | floor(x) | round(x) | round(i) | ceil(i) | ints.all(n, n > 0) | ints.exists(n, n == i)
ints.exists_one(n, n > j) | ints.filter(n, n > i) | ints.map(n, n * 2) | ints.map(n, n > 0, n + i)
scores.all(name, name != "a") | scores.map(name, scores[name]) | ints.map(n, ints.filter(m, m > n))
texts.map(w, w + s) | texts.exists(w, w.startsWith(s)) | ints + ints | texts + [s] | ints == [i, j] | [] == ints
scores == {"a": 1.0} | i == 1 | 1 == i | s == "a" | "a" != s | s < u | b < k | x <= 3 | i >= 2.5 | 3 > i | x != y
-(-9223372036854775807 - 1) | (i + j) * (i - j) / 3 | 0.1 + 0.2 | x + i | i + x | i / 2.0 | 2 / x | "é" + s
[[i], ints] | [{"a": i}] | [s][0] == u | ints.map(n, string(n)) | doubles.map(d, round(d)) | i == 1 ? null : j
""".replace("\n", " | ").split(" | ")
WHOLE = [0, 1, -1, 2, 7, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]
NUMBERS = [0.0, -0.0, 0.5, -0.5, 1.5, 2.5, 0.1, 1e15, 1e16, 9.2e18, 1e21, 1e300, -1e-7, 123456.789, 5e-324]
NUMBERS += [
    float("inf"),
    float("nan"),
    0.49999999999999994,
    4503599627370497.5,
    2.0**63,
    1000000.0,
    1234567.0,
]
WORDS = [
    "",
    "a",
    "ab",
    "12",
    "-7",
    "+0012",
    "1.5",
    ".5",
    "5.",
    "1e400",
    "inf",
    "1_0",
    "é",
    "9" * 40,
    "x" * 30,
]
VALUES = {
    "i": WHOLE,
    "j": WHOLE,
    "x": NUMBERS,
    "y": NUMBERS,
    "s": WORDS,
    "u": WORDS,
    "b": [True, False],
    "k": [True, False],
    "ints": [[], [1], [1, 2, 3], [2**63 - 1, -1, 0]],
    "doubles": [[], [0.5], [1.0, -0.5, 1e16]],
    "texts": [[], ["a", "b"], ["é", "", "a" * 30]],
    "scores": [{}, {"a": 1.0}, {"b": 2.5, "a": 1e16}],
}


@pytest.mark.parametrize("text", [each.strip() for each in EXPRESSIONS if each.strip()])
def test_written_expressions(text: str) -> None:
    assert described(compile_expr(parse(text), TYPED)) is not None
    scopes = [TYPED, *([DYNAMIC] if not check(parse(text), DYNAMIC)[1] else [])]

    @settings(max_examples=40, deadline=None)
    @given(st.fixed_dictionaries({name: st.none() | st.sampled_from(VALUES[name]) for name in VALUES}))
    def compared(env: dict[str, Any]) -> None:
        for scope in scopes:
            compare(text, scope, env)

    compared()


@pytest.mark.parametrize("text", ["([1] + [2.5])[0]", "(b ? ints : doubles)[0] + 1.0", "[ints, doubles]"])
def test_ints_in_a_list_of_doubles_are_left_to_python(text: str) -> None:
    assert described(compile_expr(parse(text), TYPED)) is None


def test_a_name_without_a_description_is_left_to_python() -> None:
    assert described(compile_expr(parse("a > 1"), PlainScope({"a": Binding(INT, "c.a")}))) is None


ENV = environment(STAGES)
KNOWN = Names(
    BUILT_IN, {"limit": 3, "words": ["a", "b"], "share": 0.1}, 0, STAGES[0], {"one": (0,)}, lambda n: 0
)
KNOWN.journeys = {"one": (0,), "two": (1,), "both": (0, 1)}
KNOWN.attributes = {
    "spent": Binding(DOUBLE, "c.before[0]", described={"x": "before", "place": 0}),
    "mixed": Binding(DYN, "c.before[1]", described={"x": "before", "place": 1}),
    "tags": Binding(list_of(STRING), "c.before[2]", described={"x": "before", "place": 2}),
    "counts": Binding(map_of(STRING, INT), "c.before[3]", described={"x": "before", "place": 3}),
    "sure": Binding(BOOL, "c.before[4]", always=True, described={"x": "before", "place": 4}),
}

LINES = [
    Product(category="shoes", price=20.5, quantity=2.0),
    Product(sku="é" * 1200, quantity=1.0),
    Product(category="hats" * 300, price=0.1),
]
AROUND = Context(channel="web", campaign=Campaign(source="mail"), test=False)


def order(**changes: Any) -> Event:
    found = Event(
        event_id="e1",
        type="order_completed",
        at=1_700_000_000_123_456,
        person="c1",
        customer_id="c1",
        anonymous_id=None,
        account_id="acc",
        properties=Order(
            order_id="o" * 200, total=99.95, coupon="é" * 1001, products=LINES, promised_at=17.5
        ),
        context=AROUND,
        actor="customer",
        activity=True,
        sentiment=0.25,
    )
    for name, value in changes.items():
        setattr(found, name, value)
    return found


EVENTS = [
    order(),
    order(context=None, properties=Order(), customer_id=None, anonymous_id="a1", sentiment=None),
    order(context=Context(), properties=Order(products=[], total=0.0)),
]
OVER_EVENTS = """
event.total > 50 | event.total | event.coupon == "x" | event.products | event.products.size()
event.products.exists(p, p.category == "shoes") | event.products.all(p, has(p.price)) | event.products[0].price
event.products.map(p, has(p.price), p.price * p.quantity) | event.products.filter(p, p.quantity > 1.0)
event.products[0] == event.products[1] | event.products[0] in event.products | has(event.products[0].sku)
has(event.context) | has(event.context.campaign) | event.context | event.context.campaign.source == "mail"
event.context.channel in ["web", "app"] | event.context.test | event.occurred_at | event.promised_at - now
event.type | event.customer_id | event.anonymous_id | event.account_id | event.sentiment < 0.5 | event.score_norm
has(event.event_id) && known | dwell > 4h | dwell | now | loops | loops + 1 | entries("loyal") | entries("new") > 2
stage("one") | stage("two") == "warm" | stage("both") != "" | id == "o1" | limit + 1 | spent > limit | share * spent
event.coupon in words | before.spent < spent | has(before.spent) | mixed.a.b | has(mixed.a) | mixed[0] | mixed + 1
mixed > 2 && known | "a" in tags | counts["a"] | counts.a > 1 | event.coupon in tags | counts.exists(k, counts[k] > 1)
stage("two") in ["cold", "warm"] | sure || mixed == 3 | max(event.total, spent, mixed) | size(mixed) | -mixed
""".replace("\n", " | ").split(" | ")
STATES = [
    {
        "before": [12.5, {"a": {"b": 2}}, ["a", "z"], {"a": 2, "b": 1}, True],
        "stages": [0, 1],
        "entered": [1_600_000_000_000_000, 5],
        "loops": [2, 0],
        "entries": [{1: 4}, None],
        "earlier": [],
        "known": True,
        "id": "o1",
    },
    {
        "before": [None, [1, None, "x"], [], {}, False],
        "stages": [1, 0],
        "entered": [7, 5],
        "loops": [0, 0],
        "entries": [None, None],
        "earlier": [-1, -1],
        "known": False,
        "id": None,
    },
    {
        "before": [3.0, 3, ["é"], {"a": 2**40}, True],
        "stages": [1, -1],
        "entered": [7, 5],
        "loops": [0, 0],
        "entries": [{0: 3}, None],
        "earlier": [-1, 0],
        "known": False,
        "id": "1.5",
    },
]


@pytest.mark.parametrize("text", [each.strip() for each in OVER_EVENTS if each.strip()])
@pytest.mark.parametrize("id_", [STRING, DOUBLE])
def test_guards_over_state_and_event(text: str, id_: Any) -> None:
    if text.startswith("id ") and id_ == DOUBLE:
        text = "id > 1.25"
    scope = KNOWN.when(["order_completed"], "order_completed", id_)
    guard = compile_expr(parse(text), scope, ENV)
    t = 1_700_000_777_654_321

    for state in STATES:
        for event in EVENTS:
            expected = guard(SimpleNamespace(**state), event, t)
            found = ask(guard, state, event, t)
            assert alike(unpack(pack(expected)), found), (text, state, expected, found)


@pytest.mark.parametrize(
    "text", ["event.context == mixed", "[event.context]", "size(event.context)", "event.products[0] == mixed"]
)
def test_structs_where_maps_may_be_are_left_to_python(text: str) -> None:
    scope = KNOWN.when(["order_completed"], "order_completed")
    assert described(compile_expr(parse(text), scope, ENV)) is None


@pytest.mark.parametrize(
    "text", ["12.5", "1e+16", " 7 ", "1_000", "_1", "1__0", "inf", "nan", "x", "", "-.5", "0x1"]
)
def test_ids_that_are_numbers(text: str) -> None:
    guard = compile_expr(parse("id"), KNOWN.when((), None, DOUBLE), ENV)

    assert alike(guard(SimpleNamespace(id=text), None, 0), ask(guard, {"id": text}))


COMMON = [
    "event_id",
    "type",
    "occurred_at",
    "customer_id",
    "anonymous_id",
    "account_id",
    "sentiment",
    "score_norm",
]
COMMON += [
    "context",
    "context.channel",
    "context.campaign.source",
    "context.test",
    "context.campaign",
    "nothing",
]
PATHS = [*BUILT_IN.fields("order_completed"), *COMMON]


def read(function: Any, event: Event, t: int) -> Any:
    return unpack(CORE.path(json.dumps(described(function)), event, t))


@pytest.mark.parametrize("common", [False, True])
@pytest.mark.parametrize("path", PATHS)
def test_paths(path: str, common: bool) -> None:
    kind, t = "order_completed", 1_700_000_001_000_001
    if common and not paths.known(BUILT_IN, ACTIVITY, path):
        return
    for event in EVENTS:
        if "[]" not in path:
            get = paths.getter(BUILT_IN, kind, path, common=common)
            value, name = read(get, event, t)
            expected = get(event, t)
            assert alike(unpack(pack(expected)), value)
            if paths.described_identity(BUILT_IN, kind, path, common=common) is not None:
                assert name == (None if expected is None else short(expected))
        many = paths.values(BUILT_IN, kind, path, common=common)
        assert alike(unpack(pack(many(event, t))), read(many, event, t))
        for of in ("products[].price", "products[].sku", "total", "coupon", "context.channel"):
            if "[]" in of and "[]" not in path:
                continue
            found = paths.pairs(BUILT_IN, kind, path, of, common=common)
            assert alike(unpack(pack(found(event, t))), read(found, event, t)), (path, of)


@pytest.mark.parametrize("number", [*NUMBERS, 1e22, 123456789012345680.0, 1e-5, 0.0001])
def test_ids_of_numbers(number: float) -> None:
    event = order(sentiment=number)

    assert read(paths.getter(BUILT_IN, "order_completed", "sentiment"), event, 0)[1] == short(number)
