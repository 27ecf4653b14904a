"""Compiled guards: the unknown, our own functions, and code that stays as short as what it says."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from journey_stream.journeys.guards import (
    BOOL,
    DOUBLE,
    DYN,
    INT,
    STRING,
    Binding,
    GuardTypeError,
    PlainScope,
    compile_event_expr,
    compile_expr,
    explain_code,
    list_of,
    map_of,
    parse,
    record_of,
)


class Line(msgspec.Struct):
    category: str | None = None
    price: float | None = None


SCOPE = PlainScope(
    {
        "orders": Binding(INT, "c.orders", always=True),
        "satisfied": Binding(DOUBLE, "c.satisfied"),
        "rhythm": Binding(DOUBLE, "c.rhythm"),
        "n": Binding(INT, "c.n"),
        "text": Binding(STRING, "c.text"),
        "flag": Binding(BOOL, "c.flag"),
        "categories": Binding(list_of(STRING), "c.categories", always=True),
        "scores": Binding(map_of(STRING, DOUBLE), "c.scores"),
        "traits": Binding(DYN, "c.traits"),
        "now": Binding(DOUBLE, "t / 1000000", always=True),
        "looked_up": Binding(DOUBLE, "table.get('x')"),
        "silence": Binding.of(100.0),
        "brands": Binding.of(["a", "b"]),
        "strict": Binding.of(False),
    },
    {
        "event": {
            "total": Binding(DOUBLE, "e.total"),
            "products": Binding(list_of(record_of({"category": STRING, "price": DOUBLE})), "e.products"),
        }
    },
    {"stage": {"brand": Binding(STRING, "c.stage", always=True)}},
)
NOTHING = dict.fromkeys(["satisfied", "rhythm", "n", "text", "flag", "scores", "traits"])


def evaluate(expression: str, event: Any = None, at: int = 0, /, **state: Any) -> Any:
    known = NOTHING | {"orders": 0, "categories": [], "stage": ""} | state
    guard = compile_expr(parse(expression), SCOPE, {"table": {"x": 7.0}})
    return guard(SimpleNamespace(**known), event, at)


@pytest.mark.parametrize(
    "text",
    [
        "satisfied > 1",
        "satisfied == satisfied",
        "satisfied != 1.0",
        "satisfied + 1",
        "-satisfied",
        "!flag",
        "flag",
        "flag && true",
        "flag || false",
        "satisfied > 1 || flag",
        "flag ? 1 : 1",
        "satisfied in [1.0]",
        "[satisfied]",
        '{"a": satisfied}',
        "text.contains('a')",
        "size(text)",
        "string(satisfied)",
        "scores.a",
        "has(scores.a)",
        "traits.a.b",
        "max(satisfied, rhythm)",
        "categories.map(x, satisfied)[0]",
        "has(satisfied) ? 1.0 : satisfied + 1",
        "!has(satisfied) ? satisfied + 1 : 1.0",
        "has(satisfied) || satisfied > 1",
        "!has(satisfied) && satisfied > 1",
        "(has(satisfied) || flag) && satisfied > 1",
        "!(!has(satisfied) && !flag) && satisfied > 1",
        "null",
    ],
)
def test_what_touches_something_unknown_is_unknown(text: str) -> None:
    assert evaluate(text, categories=["a"]) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("false && flag", False),
        ("flag && false", False),
        ("flag && orders > 3", False),
        ("true || flag", True),
        ("flag || true", True),
        ("flag || satisfied > 1 || true", True),
        ("!(flag && false)", True),
        ("has(satisfied)", False),
        ("has(orders)", True),
        ("has(satisfied) ? satisfied : -1.0", -1.0),
        ("categories.all(x, x == 'a' || satisfied > 1)", None),
        ("categories.all(x, x == 'c' && satisfied > 1)", False),
        ("categories.exists(x, x == 'a' || satisfied > 1)", True),
        ("categories.exists(x, x == 'c' && satisfied > 1)", False),
        ("categories.exists_one(x, x == 'a' || satisfied > 1)", None),
        ("categories.filter(x, x == 'a' || satisfied > 1)", None),
    ],
)
def test_the_unknown_is_absorbed_where_the_rest_decides(text: str, expected: object) -> None:
    assert expected is evaluate(text, categories=["a", "b"]) or expected == evaluate(
        text, categories=["a", "b"]
    )


@pytest.mark.parametrize(
    "text",
    [
        "1 / 0",
        "1 % 0",
        "1.0 / 0.0",
        "satisfied / 0",
        "9223372036854775807 + 1",
        "-9223372036854775807 - 2",
        "9223372036854775807 * 2",
        "-9223372036854775808 / -1",
        "-9223372036854775808 % -1",
        "-(-9223372036854775807 - 1)",
        "abs(-9223372036854775808)",
        "int(1e19)",
        "int(1e308 * 10.0)",
        'int("12a")',
        'int("9223372036854775808")',
        'double("")',
        'double("nan")',
        'double("1e999")',
        "[1][1]",
        "[1][-1]",
        '{"a": 1}["b"]',
        '{"a": 1}.b',
        "{text: 1, 'x': 2}",
        "traits.a.b.c",
        "traits[0]",
        "traits > 3",
        "traits && true",
        "traits.a + 'x'",
        "traits.exists(x, x > 1)",
        "max(traits, traits)",
    ],
)
def test_what_cel_calls_an_error_is_unknown(text: str) -> None:
    assert evaluate(text, satisfied=1.0, text="x", traits={"a": 1}) is None


def test_max_and_min_leave_the_unknown_out() -> None:
    assert 100.0 == evaluate("max(silence, 4 * rhythm)")
    assert 200.0 == evaluate("max(silence, 4 * rhythm)", rhythm=50.0)
    assert 50.0 == evaluate("min(silence, rhythm, satisfied)", rhythm=50.0)
    assert (0, int) == (evaluate("max(orders, n)"), type(evaluate("max(orders, n)")))


@given(st.lists(st.none() | st.floats(allow_nan=False), min_size=1, max_size=5))
def test_max_is_the_largest_of_the_known(values: list[float | None]) -> None:
    names = [f"a{number}" for number in range(len(values))]
    scope = PlainScope({name: Binding(DOUBLE, f"c[{number}]") for number, name in enumerate(names)})
    known = [value for value in values if value is not None]

    for function, plain in (("max", max), ("min", min)):
        guard = compile_expr(parse(f"{function}({', '.join(names)})"), scope)
        assert plain(known, default=None) == guard(values, None, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max(orders, 2.5)", 7.0),
        ("true ? orders : 2.5", 7.0),
        ("[orders, 2.5][0]", 7.0),
        ("orders + 0.5", 7.5),
        ("max(n, 2.5)", 3.0),
        ("false ? 2.5 : n", 3.0),
    ],
)
def test_an_int_that_stands_for_a_double_is_one(text: str, expected: float) -> None:
    result = evaluate(text, orders=7, n=3)

    assert (expected, float) == (result, type(result))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7 / -2", -3),
        ("-7 % 3", -1),
        ("round(2.5)", 3.0),
        ("round(-0.5)", -1.0),
        ("round(0.49999999999999994)", 0.0),
        ("ceil(1.2) + floor(-1.2)", 0.0),
        ("abs(-3)", 3),
        ("string(1500000.0) + string(4.0) + string(0.00001) + string(true)", "1.5e+0641e-05true"),
        ("size('h\u00e9')", 2),
        ("event.products.exists(p, p.category == 'x' && p.price > 5)", True),
        ("event.products.map(p, has(p.price), p.price)", [2.0, 9.0]),
        ("event.products.all(p, p.price > 1)", None),
        ("event.products[2].category", "x"),
        ("event.total > silence", True),
        ("now - 2", 8.0),
        ("looked_up", 7.0),
        ('stage("brand") == "fan"', True),
        ("text in brands && brands.exists(b, b == text)", True),
        ("brands + [text]", ["a", "b", "a"]),
        ("scores.map(k, scores[k])", [1.5]),
        ("traits.vip && traits.level in [1, 2] && traits.tags.exists(t, t == 'x')", True),
        ("has(traits.vip) && !has(traits.other)", True),
        ("traits.line.price * 2", 6.0),
        ('"a" < "b" && false < true', True),
        ("[1, 2] == [1.0, 2.0]", True),
        ("[[1], []] != [[1], [2]]", True),
    ],
)
def test_a_guard_computes(text: str, expected: object) -> None:
    lines = [Line("y", 2.0), Line(None, None), Line("x", 9.0)]
    traits = {"vip": True, "level": 2, "tags": ["x"], "line": Line("z", 3.0), "other": None}
    state = {"stage": "fan", "text": "a", "scores": {"a": 1.5}, "traits": traits}

    assert expected == evaluate(text, SimpleNamespace(total=150.0, products=lines), 10_000_000, **state)


def test_an_event_guard_is_compiled_alike() -> None:
    scope = PlainScope({"total": Binding(DOUBLE, "e.total")})

    assert compile_event_expr(parse("total >= 3"), scope)(None, SimpleNamespace(total=3.0), 0) is True


def test_an_expression_with_problems_is_not_compiled() -> None:
    with pytest.raises(
        GuardTypeError, match=r"column 1: nothing is called `orderz` here: did you mean `orders`\?"
    ):
        compile_expr(parse("orderz > 1"), SCOPE)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (
            "orders >= 4.0 && (!has(satisfied) || satisfied >= 0.7)",
            "c.orders >= 4 and ((v1 := c.satisfied) is None or v1 >= 0.7)",
        ),
        ("satisfied >= 1", "None if (v1 := c.satisfied) is None else v1 >= 1.0"),
        ("has(satisfied) && satisfied > 3", "(v1 := c.satisfied) is not None and v1 > 3.0"),
        ("has(satisfied) ? satisfied : 0", "v1 if (v1 := c.satisfied) is not None else 0.0"),
        (
            "satisfied / 4 + 1 > rhythm",
            "None if (v1 := c.satisfied) is None or (v2 := c.rhythm) is None else v1 / 4.0 + 1.0 > v2",
        ),
        ("orders > 1 && orders < 5", "(v1 := c.orders) > 1 and v1 < 5"),
        ('text in ["a", "b"]', "None if (v1 := c.text) is None else v1 in {'a', 'b'}"),
        ("max(silence, 4 * rhythm)", "cel_larger(100.0, None if (v1 := c.rhythm) is None else 4.0 * v1)"),
        ("event.total > silence", "None if (v1 := e.total) is None else v1 > 100.0"),
        ('text.startsWith("a") || flag', None),
    ],
)
def test_a_simple_guard_is_straight_python(text: str, code: str | None) -> None:
    written = explain_code(parse(text), SCOPE)

    assert "lambda" not in written
    assert "try" not in written
    if code is not None:
        assert f"def guard(c, e, t):\n    return {code}" == written


def test_a_name_is_read_once_however_often_it_stands() -> None:
    reads = []

    def read() -> float:
        reads.append(1)
        return 3.0

    scope = PlainScope({"x": Binding(DOUBLE, "read()")})
    guard = compile_expr(parse("x > 1 && x < 5 && (has(x) ? x * x : 0) == 9.0"), scope, {"read": read})

    assert guard(None, None, 0) is True
    assert 1 == len(reads)


HOSTILE: list[str] = [
    "traits.__class__",
    "traits.__class__.__mro__",
    "traits.line.__struct_fields__",
    "traits.line.__init__",
    'traits["__class__"]',
    "text.__class__",
    "scores.__class__",
    "scores.get",
    "event.products[0].__class__",
    "categories[0].__len__",
    "__import__",
    '__import__("os")',
    'eval("1")',
    'open("/etc/passwd")',
    'getattr(text, "upper")',
    "cel_chosen",
    "c",
    "e.total",
    "v1",
    "text.format(traits)",
    "text.upper()",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_reaches_the_insides_of_python(text: str) -> None:
    traits = {"line": Line("z", 3.0)}
    event = SimpleNamespace(total=1.0, products=[Line()])

    def attempt(run: Callable[[], Any]) -> Any:
        try:
            return run()
        except GuardTypeError:
            return None

    assert (
        attempt(lambda: evaluate(text, event, text="a", scores={}, traits=traits, categories=["a"])) is None
    )


def test_variables_of_authors_never_become_names_of_python() -> None:
    written = explain_code(parse("categories.map(__import__, __import__ + 'x')"), SCOPE)

    assert "__import__" not in written
    assert ["ax"] == evaluate("categories.map(__import__, __import__ + 'x')", categories=["a"])


def test_a_compiled_guard_has_no_builtins_but_the_harmless() -> None:
    guard: Any = compile_expr(parse("orders > 1"), SCOPE)

    assert {} == guard.__globals__["__builtins__"]
    assert not {"eval", "exec", "open", "__import__", "compile"} & set(guard.__globals__)


def test_the_deepest_and_the_longest_expressions_still_compile() -> None:
    deep = "(" * 24 + "orders + 1" + ") + 1" * 24 + " > 1"
    long = " && ".join(["(satisfied > 1 || flag)"] * 140)

    assert evaluate(deep) is True
    assert evaluate(long, satisfied=2.0) is True


@pytest.mark.parametrize("name", ["v1", "cel_larger"])
def test_the_environment_cannot_take_the_place_of_our_own_names(name: str) -> None:
    with pytest.raises(ValueError, match=f"env binds {name}"):
        compile_expr(parse("orders > 1"), SCOPE, {name: len})


def test_names_of_the_environment_that_look_like_helpers_hurt_nobody() -> None:
    guard = compile_expr(parse("max(traits, 2)"), SCOPE, {"_number": lambda value: 1 / 0, "_larger": None})

    assert 3 == guard(SimpleNamespace(traits=3), None, 0)
