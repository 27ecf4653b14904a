"""Whatever the text: journeys or findings, never an exception."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journey_stream.cli.formats import FORMATS
from journey_stream.engine.program import compile_program
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import lint, load, shipped, shipped_names
from journey_stream.journeys.findings import RULES
from journey_stream.journeys.grammar import SHAPES
from journey_stream.journeys.read import MAX_CHARACTERS
from journeys.definitions import HEAD
from journeys.rejected_cases import CASES

WHOLE = (
    HEAD.replace("attrition}", "attrition, remember: true}")
    + """\
  - {id: back, from: lost, to: {back: buyer}, event: order_completed, when: 'max(orders, 2) > 1'}
  - {id: silent, from: buyer, to: lost, after: "max(silence, 4 * rhythm)", since: page_viewed, by: url}
  - {id: steps, from: buyer, to: lost, sequence: [page_viewed, page_left], within: 1d, where: [null, 1 < 2]}
parameters: {silence: 30d, words: [a, b]}
attributes:
  orders: {count: order_completed, less: order_cancelled, by: order_id, where: total > 3, over: 90d}
  rhythm: {rhythm: order_completed}
  spent: {map: {key: 'order_completed.products[].category', value: sum, of: price}}
  cases: {open: {opened: ticket_created, closed: ticket_solved, by: ticket_id}}
  twice: {value: orders * 2}
records: [orders]
signals:
  - {id: hello, enter: buyer, expires: 3d, limit: {every: 7d}, payload: {a: orders, b: 'stage("x")'}}
"""
)
TEXTS = [WHOLE, *(case.read_text("utf-8") for case in CASES)]
SHIPPED = [shipped(name) for name in shipped_names()]
WORDS = [
    *(name for shape in SHAPES.values() for name in shape.names),
    "any", "back", "./x", "x/.", "*/x", "stage", "activity", "order_completed", "order_completed.total",
    "prospect", "buyer", "30d", "total > 3", "known", "x", "", "on", "1", "-1", "1.5", ".nan", "true", "~",
    "products[].price", "max(a, 1)", "a.b.c", "!x", "&a", "*a", "|", ">", "'", '"', "{", "[", "#", ":", "? ",
]  # fmt: skip

_TOKEN = re.compile(r"[A-Za-z_][\w./\[\]-]*|\d+\w*|\S")

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _load(text: str) -> None:
    loaded = lint([("x", text)], BUILT_IN)

    assert bool(loaded.journeys) != bool(loaded.errors)
    assert all(finding.line >= 1 and finding.column >= 1 for finding in loaded.findings)
    assert all(finding.rule in RULES and str(finding) for finding in loaded.findings)
    assert sorted(loaded.findings) == list(loaded.findings)
    assert loaded == lint([("x", text)], BUILT_IN)
    alone = load([("x", text)], BUILT_IN)
    assert alone.errors == loaded.errors
    assert alone.journeys == loaded.journeys
    for form in FORMATS.values():
        form(loaded.findings).encode("utf-8", "surrogatepass")


@SETTINGS
@given(st.text(max_size=300))
def test_any_text(text: str) -> None:
    _load(text)


@SETTINGS
@given(
    st.lists(st.sampled_from([*WORDS, "\n", "\n  ", "\n    ", " ", ": ", ", ", "- ", "}", "]"]), max_size=60)
)
def test_any_words_of_the_language_in_any_order(words: list[str]) -> None:
    _load("".join(words))


_nodes = st.recursive(
    st.sampled_from(WORDS).map(lambda word: "'" + word.replace("'", "''") + "'")
    | st.integers().map(str)
    | st.booleans().map(lambda value: str(value).lower()),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: "[" + ", ".join(items) + "]")
        | st.dictionaries(st.sampled_from(WORDS[:70]), inner, max_size=6).map(
            lambda table: "{" + ", ".join(f"'{key}': {value}" for key, value in table.items()) + "}"
        )
    ),
    max_leaves=25,
)


@SETTINGS
@given(st.dictionaries(st.sampled_from(SHAPES["journey"].names), _nodes, max_size=11))
def test_any_tree_under_the_keys_of_a_journey(tree: dict[str, str]) -> None:
    _load("".join(f"{key}: {value}\n" for key, value in tree.items()))


@SETTINGS
@given(st.sampled_from(TEXTS), st.data())
def test_any_definition_with_pieces_taken_out_and_put_in(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + data.draw(st.sampled_from(WORDS) | st.text(max_size=4)) + text[end:]

    _load(text)


ODD = st.sampled_from(
    ["&a ", "*a", "<<: *a", "!!python/object:os.system ", "? ", "|-\n", "# lint: allow", "# lint: allow x y",
     "9" * 400, "1e400", "-1e400", ".inf", ".nan", "0x" + "f" * 40, "0o7", "1_000", "\u202e", "\u2028", "\x85", "é",
     "\U0001f600", "\ufeff", "\x00", "\t", "\r", "- " * 30, "[" * 30, "{a: " * 30, "(" * 60, "!" * 60, "&& " * 9,
     "known && " * 60, "9223372036854775808", "99999999999d", "0d", "-1d", "known ? " * 20, '"', "'", "%", "@", "`",
     "sentiment > 1e308 * 10.0", "orders / 0 > 1", "orders % 0 == 0", "size([]) < 0", "[1, 2][5] == 1", "{}.a == 1",
     "orders == 1.0 || orders == 9223372036854775807", 'stage("") == ""', "null", "null == null", "has(x)", "id",
     "categories.exists(c, c.exists(d, d == c))", '"a" in {"a": 1}', "-(-9223372036854775807) > 0", "true ? 1 : 2"]
)  # fmt: skip
"""What trips readers of YAML and of expressions."""


@settings(SETTINGS, max_examples=12)
@given(st.sampled_from(SHIPPED), st.data())
def test_any_shipped_definition_with_lines_lost_doubled_swapped_and_oddities_put_in(
    text: str, data: st.DataObject
) -> None:
    lines = text.split("\n")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["lose", "double", "swap", "odd", "word"])):
            case "lose":
                del lines[at]
            case "double":
                lines.insert(at, lines[at])
            case "swap":
                other = data.draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
            case "odd":
                cut = data.draw(st.integers(0, len(lines[at])))
                lines[at] = lines[at][:cut] + data.draw(ODD) + lines[at][cut:]
            case _:
                words = list(_TOKEN.finditer(lines[at]))
                if words:
                    word = data.draw(st.sampled_from(words))
                    new = data.draw(st.sampled_from(WORDS) | ODD)
                    lines[at] = lines[at][: word.start()] + new + lines[at][word.end() :]
        if not lines:
            break

    _load("\n".join(lines))


@settings(SETTINGS, max_examples=25)
@given(
    st.lists(ODD | st.sampled_from(["known", "orders", "opinion", "total", "1", "2d", '"x"']), max_size=6),
    st.lists(
        st.sampled_from([" && ", " || ", " == ", " < ", " + ", " in ", " ? ", " : ", ", ", " "]), min_size=6
    ),
)
def test_any_expression_in_any_place(operands: list[str], between: list[str]) -> None:
    text = "".join(part for pair in zip(operands, between, strict=False) for part in pair)
    quoted = "'" + text.replace("'", "''").replace("\n", " ") + "'"
    _load(WHOLE.replace("'max(orders, 2) > 1'", quoted))
    _load(WHOLE.replace("where: total > 3", f"where: {quoted}"))
    _load(WHOLE.replace("value: orders * 2", f"value: {quoted}"))


@pytest.mark.parametrize("depth", [49, 51, 500, 20_000])
@pytest.mark.parametrize("shape", ["({}", "!{}", "known && ({}", "known ? known : {}", "[{}", "-{}"])
def test_expressions_however_deep(shape: str, depth: int) -> None:
    opened, _, _ = shape.partition("{}")
    closing = ")" if "(" in opened else "]" if "[" in opened else ""
    _load(WHOLE.replace("'max(orders, 2) > 1'", "'" + opened * depth + "known" + closing * depth + "'"))


@pytest.mark.parametrize(
    ("value", "many"),
    [
        ("!{0}", 150),
        ("{0} && ({0} || known)", 40),
        ("{0} && {1}", 40),
        ("{0} ? {1} : {0}", 40),
        ("{0} || {2}", 60),
    ],
)
def test_derived_attributes_that_double_and_double_are_looked_at_soon(value: str, many: int) -> None:
    names = [f"a{number}" for number in range(many)]
    chain = "".join(
        f"  {name}: {{value: '{value.format(*(names[max(0, at - back)] for back in (1, 2, 3)))}'}}\n"
        for at, name in enumerate(names)
        if at
    )
    text = WHOLE.replace("  twice: {value: orders * 2}\n", "  a0: {value: known}\n" + chain)
    began = time.process_time()
    _load(text.replace("'max(orders, 2) > 1'", names[-1]))

    assert time.process_time() - began < 30


def test_the_definition_that_is_broken_here_is_whole() -> None:
    assert [] == [str(each) for each in load([("x", WHOLE)], BUILT_IN).errors]


def test_the_largest_text_that_is_read_gives_findings_soon() -> None:
    loaded = load([("x", "a: [" + "{b: c}, " * (MAX_CHARACTERS // 8 - 2) + "]")], BUILT_IN)

    assert ["too-large"] == [finding.rule for finding in loaded.findings]


@SETTINGS
@given(st.data())
def test_what_is_accepted_the_engine_compiles(data: st.DataObject) -> None:
    tokens = list(_TOKEN.finditer(WHOLE))
    taken = data.draw(st.sampled_from(tokens))
    put = data.draw(st.sampled_from(tokens)).group()
    text = WHOLE[: taken.start()] + put + WHOLE[taken.end() :]

    compile_program(load([("x", text)], BUILT_IN).journeys, BUILT_IN)
