"""Reading: durations, places, limits, and errors that help."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journey_stream.journeys.guards import GuardSyntaxError, nodes, parse

PIECES = [
    *"ab1.dms\"'\\()[]{}?:!<>=&|+-*/%, \n\u00e9",
    "has(",
    "true",
    " in ",
    ".all(x, ",
    " && ",
    "1d",
    " == ",
]


def refused(text: str) -> GuardSyntaxError:
    with pytest.raises(GuardSyntaxError) as caught:
        parse(text)
    return caught.value


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("30s", 30.0),
        ("15m", 900.0),
        ("4h", 14_400.0),
        ("120d", 10_368_000.0),
        ("2w", 1_209_600.0),
        ("250ms", 0.25),
        ("1d12h", 129_600.0),
        ("1h30m15s", 5_415.0),
        ("1.5h", 5_400.0),
    ],
)
def test_a_duration_becomes_seconds(written: str, seconds: float) -> None:
    assert nodes.Literal(seconds, "double") == parse(written).root


def test_a_duration_inside_quotes_or_a_name_stays_text() -> None:
    assert nodes.Literal("120d", "string") == parse('"120d"').root
    assert nodes.Name("x120d") == parse("x120d").root


def test_columns_count_in_the_text_that_was_written_not_in_the_folded_one() -> None:
    error = refused('dwell > 365d && name == "5h" && ^')

    assert (1, 33) == (error.line, error.column)


def test_lines_are_counted() -> None:
    error = refused("orders > 3 &&\n  complaints === 0")

    assert (2, 16) == (error.line, error.column)


@pytest.mark.parametrize(
    ("text", "column", "message", "way_out"),
    [
        ("", 1, "the expression is empty", "write a condition"),
        ("   // nothing", 1, "the expression is empty", "write a condition"),
        ("orders >", 9, "the expression ends too early", "an operand"),
        ("a and b", 3, "and is not expected here", "write &&"),
        ("not a", 5, "a is not expected here", "write ! for not"),
        ("a = 3", 3, "the character = means nothing here", "write =="),
        ("a & b", 3, "the character & means nothing here", "write &&"),
        ("a == \u201cb\u201d", 6, "the character \u201c means nothing here", "straight quotes"),
        ("a == 'b", 6, "the string is not closed", "end it with '"),
        ("a > 3 days", 7, "days is not expected here", "an operator"),
        ("a > 3y", 5, "3y is neither a number nor a duration", "120d"),
        ("a > 3u", 5, "3u is neither a number nor a duration", "leave the u out"),
        ("a > 1e999", 5, "the number is too large", "1.79e308"),
        ("a > 99999999999999999999", 5, "the number does not fit into 64 bits", "with a point"),
        ("a > 9999999w", 5, "the duration is too long", "10,000 years"),
        ("(a", 3, "the expression ends too early", "closing bracket"),
        ("a)", 2, ") is not expected here", "a bracket was closed"),
        ("loop > 1", 1, "`loop` is a reserved word of CEL", "event.loop"),
        (r'"\d"', 2, r"\d is no escape of CEL", "backslash"),
        (r'"\ud800"', 7, "half a character", "write it whole"),
        ('b"a"', 1, "bytes are not offered", "leave the b"),
        ("a{b: 1}", 1, "objects are not built here", "a map is written"),
        (".a", 1, "a name cannot start with a dot", "leave the dot out"),
        ("a.exists(b.c, true)", 10, "the first argument of exists() is a name", "exists(item"),
        ("a.all(b)", 1, "all() takes a variable and an expression", "all(item"),
        ("caf\u00e9 > 1", 4, "the character \u00e9 means nothing here", "a-z"),
    ],
)
def test_an_error_says_where_what_and_the_way_out(text: str, column: int, message: str, way_out: str) -> None:
    error = refused(text)

    assert column == error.column
    assert message in error.message
    assert way_out in error.help
    assert str(error) == f"{error.message}: {error.help}"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (r'"a\n\t\"\\"', 'a\n\t"\\'),
        (r"'\x41\u00e9\U0001F600\101'", "A\u00e9\U0001f600A"),
        (r'r"\d"', r"\d"),
        ('"""a\n"b" """', 'a\n"b" '),
        ("'//no comment'", "//no comment"),
    ],
)
def test_strings_are_read_as_cel_reads_them(written: str, value: str) -> None:
    assert nodes.Literal(value, "string") == parse(written).root


def test_two_spellings_of_one_meaning_are_equal() -> None:
    left, right = parse("a>1d && b == 'x'"), parse('(a > 24h)  &&  b == "x" // same')

    assert left == right
    assert left.canonical() == right.canonical()


def test_one_and_one_point_nought_are_not_the_same() -> None:
    assert parse("1") != parse("1.0")


def test_a_canonical_text_reads_as_itself() -> None:
    text = parse('has(a.b) ? [1, -2.5][0] : {"k": m.map(x, x > 1, -x)}["k"].size() + 3 % 2').canonical()

    assert text == parse(text).canonical()


def test_names_are_those_the_scope_has_to_know() -> None:
    expression = parse(
        'event.total > x && list.exists(y, y == z) && stage("brand") == "a" && oldest(open) > 1d'
    )

    assert {"event", "x", "list", "z", "open"} == expression.names()
    assert {"total"} == expression.members("event")
    assert {"brand"} == expression.calls("stage")
    assert {"open"} == expression.calls("oldest")


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1_000_000,
        "(" * 1_000_000,
        "(" * 3_999,
        "[" * 3_999,
        "!" * 3_999 + "x",
        "-" * 3_999 + "1",
        "x." * 1_999 + "x",
        "x" + "[0]" * 1_300,
        "+".join("x" * 1_900),
        "x ? " * 900 + "y" + " : z" * 900,
        '"' + r"\n" * 1_998,
        '"' + r"\"" * 1_998,
        "9" * 3_999,
        "1" + "e9" * 1_900,
        "1d" * 1_900 + "?",
        "a.all(b, " * 400 + "b" + ")" * 400,
        "a.all(b, a.all(c, a.all(d, d)))",
        "\x00",
        "\ud800",
        '"\ud800"',
    ],
    ids=lambda text: f"{text[:6]!r} x {len(text)}",
)
def test_hostile_text_is_an_error_at_once(text: str) -> None:
    started = time.monotonic()

    refused(text)

    assert time.monotonic() - started < 2


def test_a_long_chain_of_conditions_is_no_depth() -> None:
    assert 800 == len(parse(" || ".join(["x"] * 800)).root.operands)  # type: ignore[union-attr]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_any_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    expression, error = None, None
    try:
        expression = parse(text)
    except GuardSyntaxError as refusal:
        error = refusal

    if error is not None:
        assert 1 <= error.line <= text.count("\n") + 1
        assert 1 <= error.column <= len(text) + 1
    elif expression is not None:
        assert expression == parse(expression.canonical())
