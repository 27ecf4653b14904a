"""Types: what fits is typed, what does not fit is told with a way out, all of it at once."""

from __future__ import annotations

import pytest

from journey_stream.journeys.guards import (
    BOOL,
    DOUBLE,
    DYN,
    INT,
    STRING,
    Binding,
    PlainScope,
    Type,
    check,
    list_of,
    map_of,
    parse,
    record_of,
)

LINE = record_of({"category": STRING, "price": DOUBLE})
SCOPE = PlainScope(
    {
        "orders": Binding(INT, "c.orders", always=True),
        "satisfied": Binding(DOUBLE, "c.satisfied"),
        "last_channel": Binding(STRING, "c.channel"),
        "known": Binding(BOOL, "c.known", always=True),
        "categories": Binding(list_of(STRING), "c.categories"),
        "per_brand": Binding(map_of(STRING, DOUBLE), "c.per_brand"),
        "traits": Binding(DYN, "c.traits"),
        "core_orders": Binding.of(4.0),
        "brands": Binding.of(["a", "b"]),
    },
    {
        "event": {"total": Binding(DOUBLE, "e.total"), "products": Binding(list_of(LINE), "e.products")},
        "before": {"orders": Binding(INT, "c.before_orders")},
    },
    {
        "stage": {"brand": Binding(STRING, "c.stage", always=True)},
        "oldest": {"orders": Binding(DOUBLE, "c.oldest")},
    },
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("orders >= core_orders", BOOL),
        ("orders + 1", INT),
        ("orders + 1.0", DOUBLE),
        ("orders / 2", INT),
        ("-satisfied", DOUBLE),
        ("max(orders, 2)", INT),
        ("max(orders, satisfied)", DOUBLE),
        ("min(satisfied, null)", DOUBLE),
        ("known ? 1 : 2.5", DOUBLE),
        ("has(satisfied) ? satisfied : null", DOUBLE),
        ("[1, 2.5]", list_of(DOUBLE)),
        ("[]", list_of(Type("null"))),
        ('{"a": 1}', map_of(STRING, INT)),
        ("categories[0] + last_channel", STRING),
        ("categories + []", list_of(STRING)),
        ('per_brand["x"]', DOUBLE),
        ("per_brand.x", DOUBLE),
        ("event.products[0].price", DOUBLE),
        ('event.products.filter(p, p.category == "x").map(p, p.price)', list_of(DOUBLE)),
        ("categories.map(c, size(c))", list_of(INT)),
        ("before.orders < orders", BOOL),
        ('stage("brand")', STRING),
        ("oldest(orders) > 1d", BOOL),
        ("string(orders)", STRING),
        ("int(last_channel)", INT),
        ("round(satisfied)", DOUBLE),
        ("traits.vip", DYN),
        ("traits.a.b == 3", BOOL),
        ("traits.count + 1", DYN),
        ('last_channel in ["web"] && "a" in brands && "b" in per_brand', BOOL),
    ],
)
def test_an_expression_has_a_type(text: str, expected: Type) -> None:
    assert (expected, []) == check(parse(text), SCOPE)


@pytest.mark.parametrize(
    ("text", "column", "rule", "message", "suggestion"),
    [
        ("orderz > 1", 1, "unknown-name", "nothing is called `orderz` here", "did you mean `orders`?"),
        ("Orders > 1", 1, "unknown-name", "nothing is called `Orders`", "did you mean `orders`?"),
        ("known && event.totl > 1", 10, "unknown-name", "`event` has no `totl`", "did you mean `total`?"),
        ("event > 1", 1, "unknown-name", "`event` is no value of its own", "event.products"),
        ("max > 1", 1, "unknown-name", "`max` is a function", "max(...)"),
        ("event.products[0].prize > 1", 1, "unknown-name", "no `prize`", "did you mean `price`?"),
        ('stage("brnd") == ""', 7, "unknown-name", "stage() knows no `brnd`", "did you mean `brand`?"),
        ("oldest(order) > 1.0", 8, "unknown-name", "oldest() knows no `order`", "did you mean `orders`?"),
        ('entries("a") > 1', 1, "unknown-function", "entries() is not known in this place", "`when`"),
        ("stage(brand)", 1, "bad-call", "stage() takes one name", 'stage("brand")'),
        ("maxi(1, 2)", 1, "unknown-function", "no function `maxi`", "did you mean `max`?"),
        ('last_channel.startWith("a")', 1, "unknown-function", "startWith", "did you mean `startsWith`?"),
        ('last_channel.matches("a.*")', 1, "unknown-function", "regular expressions", "contains()"),
        ('contains(last_channel, "a")', 1, "bad-call", "follows what it is about", "x.contains(...)"),
        ("orders.abs()", 1, "bad-call", "does not follow a dot", "abs(orders)"),
        ('last_channel.contains("a", "b")', 1, "bad-call", "takes one text", "text.contains"),
        ("has(orders + 1)", 1, "bad-call", "has() asks for a name", "has(name)"),
        ("max()", 1, "bad-call", "max() of nothing", "max(a, b)"),
        ("abs(1, 2)", 1, "bad-call", "takes one argument, not 2", "abs(x)"),
        ('{"a": 1, "a": 2}', 1, "bad-call", "a key stands twice", "leave one"),
        ("satisfied == null", 1, "wrong-type", "unknown, and equal to nothing", "write !has(satisfied)"),
        ("satisfied != null", 1, "wrong-type", "unknown, and equal to nothing", "write has(satisfied)"),
        ('orders == "3"', 1, "wrong-type", "int == string compares two kinds", "double(...)"),
        ('orders < "3"', 1, "wrong-type", "int < string has no order", "double(...)"),
        ('orders + "3"', 1, "wrong-type", "int + string cannot be computed", "double(...)"),
        ("satisfied % 2", 1, "wrong-type", "% is for ints", "int(...)"),
        ("-last_channel", 1, "wrong-type", "- of a string", "a number"),
        ("orders && known", 1, "wrong-type", "&& takes true or false, not an int", "> 0"),
        ("!orders", 2, "wrong-type", "! takes true or false, not an int", "> 0"),
        ("orders ? 1 : 2", 1, "wrong-type", "? takes true or false", "> 0"),
        ('known ? 1 : "a"', 13, "wrong-type", "the two sides of : are int and string", "double(...)"),
        ('[1, "a"]', 5, "wrong-type", "the items of a list are int and string", "double(...)"),
        ('"a" in last_channel', 1, "wrong-type", "not into text", "last_channel.contains("),
        ("1 in categories", 1, "wrong-type", "an int is never in a list[string]", "quotes"),
        ("orders in 3", 1, "wrong-type", "not into an int", "in ["),
        ("orders.x", 1, "wrong-type", ".x of an int", "maps"),
        ("orders[0]", 1, "wrong-type", "[...] of an int", "lists and maps"),
        ("categories[1.5]", 12, "wrong-type", "indexed by an int, not by a double", "[0]"),
        ("per_brand[1]", 11, "wrong-type", "its keys are string, not int", "a string"),
        ("orders.exists(x, true)", 1, "wrong-type", "not an int", "a list"),
        ("categories.all(x, size(x))", 19, "wrong-type", "all() takes true or false", "> 0"),
        ("size(orders)", 1, "wrong-type", "size of an int", "texts, lists and maps"),
        ("max(last_channel)", 5, "wrong-type", "max() takes numbers, not a string", "max(a, b)"),
        ("round(last_channel)", 7, "wrong-type", "takes a number, not a string", "double(...)"),
        ("int(known)", 5, "wrong-type", "int() of a bool", "a number or a text"),
        ("{1.5: 2}", 1, "wrong-type", "cannot be a key", "strings"),
    ],
)
def test_a_mistake_is_told_with_a_way_out(
    text: str, column: int, rule: str, message: str, suggestion: str
) -> None:
    _, problems = check(parse(text), SCOPE)

    assert [(column, rule)] == [(problem.column, problem.rule) for problem in problems]
    assert message in problems[0].message
    assert suggestion in problems[0].suggestion


def test_all_mistakes_are_told_at_once_in_the_order_of_the_text() -> None:
    _, problems = check(parse("orderz > 1 &&\n  knwon && size(orders) > 2"), SCOPE)

    assert [(1, 1), (2, 3), (2, 12)] == [(problem.line, problem.column) for problem in problems]


def test_the_variable_of_a_macro_hides_a_name_and_ends_with_it() -> None:
    assert [] == check(parse('categories.exists(orders, orders == "x")'), SCOPE)[1]
    assert ["nothing is called `x` here"] == [
        problem.message for problem in check(parse("categories.exists(x, x != '') && x"), SCOPE)[1]
    ]
