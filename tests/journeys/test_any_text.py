"""Whatever the text: journeys or findings, never an exception."""

from __future__ import annotations

import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journey_stream.engine.program import compile_program
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import load
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
WORDS = [
    *(name for shape in SHAPES.values() for name in shape.names),
    "any", "back", "./x", "x/.", "*/x", "stage", "activity", "order_completed", "order_completed.total",
    "prospect", "buyer", "30d", "total > 3", "known", "x", "", "on", "1", "-1", "1.5", ".nan", "true", "~",
    "products[].price", "max(a, 1)", "a.b.c", "!x", "&a", "*a", "|", ">", "'", '"', "{", "[", "#", ":", "? ",
]  # fmt: skip

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _load(text: str) -> None:
    loaded = load([("x", text)], BUILT_IN)

    assert bool(loaded.journeys) != bool(loaded.errors)
    assert all(finding.line >= 1 and finding.column >= 1 for finding in loaded.findings)
    assert sorted(loaded.findings) == list(loaded.findings)
    assert loaded == load([("x", text)], BUILT_IN)


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


def test_the_definition_that_is_broken_here_is_whole() -> None:
    assert [] == [str(each) for each in load([("x", WHOLE)], BUILT_IN).errors]


def test_the_largest_text_that_is_read_gives_findings_soon() -> None:
    loaded = load([("x", "a: [" + "{b: c}, " * (MAX_CHARACTERS // 8 - 2) + "]")], BUILT_IN)

    assert ["too-large"] == [finding.rule for finding in loaded.findings]


_TOKEN = re.compile(r"[A-Za-z_][\w./\[\]-]*|\d+\w*|\S")


@SETTINGS
@given(st.data())
def test_what_is_accepted_the_engine_compiles(data: st.DataObject) -> None:
    tokens = list(_TOKEN.finditer(WHOLE))
    taken = data.draw(st.sampled_from(tokens))
    put = data.draw(st.sampled_from(tokens)).group()
    text = WHOLE[: taken.start()] + put + WHOLE[taken.end() :]

    compile_program(load([("x", text)], BUILT_IN).journeys, BUILT_IN)
