"""What is said never to hold, never holds: generated conditions, evaluated over many values.

A condition is drawn over the kinds of values that the analysis knows something of (counts, scores, closed lists,
times, unknowns), evaluated by the compiler that the engine runs, and held against what the formulas say.
"""

from __future__ import annotations

import time
from itertools import islice, product
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import load
from journey_stream.journeys.analysis import logic
from journey_stream.journeys.analysis.logic import opposite
from journey_stream.journeys.analysis.place import Place, World
from journey_stream.journeys.analysis.truth import Question
from journey_stream.journeys.attribute_types import attribute_type
from journey_stream.journeys.guards import BOOL, DOUBLE, INT, STRING, Binding, PlainScope, compile_expr, parse
from journey_stream.journeys.scopes import Scopes

TEXT = """\
journey: trial
version: 1
start: prospect
parameters: {few: 2, often: 2.5, asked: true, words: [nps, csat]}
stages: {prospect: {kind: prospect}}
attributes:
  orders: {count: order_completed}
  cases: {count: ticket_created}
  opinion: {last: survey_responded.sentiment}
  stars: {last: product_reviewed.rating}
  asked_by: {last: survey_responded.survey_type}
  place: {last: page_viewed.title}
  total: {sum: order_completed.total}
  both: {value: orders + cases}
  happy: {value: "has(opinion) ? opinion > 0.5 : !asked"}
"""
JOURNEY = load([("trial", TEXT)], BUILT_IN).usable()[0]
_DERIVED = {"both": INT, "happy": BOOL}
_TYPES = {name: attribute_type(each, BUILT_IN, _DERIVED) for name, each in JOURNEY.attributes.items()}
_FORMS = {name: each.form for name, each in JOURNEY.attributes.items()}
WORLD = World(JOURNEY, BUILT_IN, Scopes(BUILT_IN, JOURNEY.parameters, _TYPES, _FORMS, ("prospect",)), {})
PLACE = Place(WORLD)
VALUES: dict[str, list[Any]] = {
    "orders": [0, 1, 2, 3, 4],
    "cases": [0, 1, 3],
    "opinion": [None, -1.0, 0.0, 0.5, 0.75, 1.0],
    "stars": [None, 1.0, 2.5, 5.0],
    "asked_by": [None, "nps", "csat", "ces"],
    "place": [None, "", "nps", "x"],
    "total": [-3.0, 0.0, 2.0, 2.5, 7.0],
    "known": [True, False],
    "dwell": [0.0, 2.0, 3.0, 5.5],
}
_ALWAYS = {"orders", "cases", "total", "known", "dwell"}
_KINDS = {
    "orders": INT, "cases": INT, "opinion": DOUBLE, "stars": DOUBLE, "asked_by": STRING, "place": STRING,
    "total": DOUBLE, "known": BOOL, "dwell": DOUBLE,
}  # fmt: skip
SCOPE = PlainScope(
    {
        **{name: Binding(kind, f"c.{name}", always=name in _ALWAYS) for name, kind in _KINDS.items()},
        **{name: Binding.of(value) for name, value in JOURNEY.parameters.items()},
    }
)
HAPPY = "(has(opinion) ? opinion > 0.5 : !asked)"

_whole = st.sampled_from(
    ["orders", "cases", "0", "1", "2", "3", "-1", "both", "(orders - cases)", "size(place)"]
)
_number = _whole | st.sampled_from(
    ["opinion", "stars", "total", "dwell", "few", "often", "0.5", "1.0", "5.0", "2.5", "-1.0", "max(opinion, orders)",
     "min(stars, 2)", "(total * 2.0)", "(stars - 1.0)", "(dwell + orders)", "-opinion", "(known ? 1 : orders)"]
)  # fmt: skip
_text = st.sampled_from(
    [
        "asked_by",
        "place",
        '"nps"',
        '"ces"',
        '"x"',
        '""',
        '(known ? "nps" : place)',
        '(has(place) ? place : "x")',
    ]
)
_atom = st.one_of(
    st.builds("({} {} {})".format, _number, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), _number),
    st.builds("({} {} {})".format, _text, st.sampled_from(["==", "!=", "<"]), _text),
    st.builds("({} in [{}, {}])".format, _text, _text, _text),
    st.builds("({} in [{}, {}])".format, _whole, _whole, _whole),
    st.builds("({} in words)".format, _text),
    st.sampled_from(
        ["known", "asked", "happy", "true", "false", 'place.startsWith("n")', "(known == false)"]
    ),
    st.sampled_from(sorted(VALUES)).map("has({})".format),
)
conditions = st.recursive(
    _atom,
    lambda inner: st.one_of(
        st.builds("!{}".format, inner),
        st.builds("({} && {})".format, inner, inner),
        st.builds("({} || {})".format, inner, inner),
        st.builds("({} ? {} : {})".format, inner, inner, inner),
    ),
    max_leaves=6,
)
thorough = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def answers(condition: str, *, asked: bool = True) -> set[Any]:
    """Everything that a condition can be: true, false, unknown (None)."""
    text = condition.replace("both", "(orders + cases)").replace("happy", HAPPY)
    scope = PlainScope({**SCOPE.bindings, "asked": Binding.of(asked)})
    guard = compile_expr(parse(text), scope)
    names = sorted(parse(text).names() & VALUES.keys())
    found = set()
    for values in islice(product(*(VALUES[name] for name in names)), 20_000):
        state = SimpleNamespace(**dict.fromkeys(VALUES) | dict(zip(names, values, strict=True)))
        found.add(guard(state, None, 0))
    return found


@thorough
@given(conditions)
def test_what_can_be_is_never_said_to_be_impossible(condition: str) -> None:
    root, question = parse(condition).root, Question(PLACE)
    formulas = {True: question.true(root), False: question.false(root)}
    formulas[None] = opposite(formulas[True])
    found = answers(condition) | answers(condition, asked=False)

    assert [] == [value for value in found if not question.can(formulas[value])]
    if None in found:
        assert question.can(opposite(formulas[True]), opposite(formulas[False]))


@thorough
@given(conditions, conditions)
def test_what_is_said_to_follow_always_follows(first: str, second: str) -> None:
    question = Question(PLACE)
    one, other = question.true(parse(first).root), question.true(parse(second).root)
    both = answers(f"({first} && {second})") | answers(f"({first} && {second})", asked=False)
    only = answers(f"({first} && !{second})") | answers(f"({first} && !{second})", asked=False)

    if True in both:
        assert question.can(one, other)
    if True in only:
        assert question.can(one, opposite(other))


@thorough
@given(conditions)
def test_what_is_impossible_at_any_value_of_the_parameters_is_so_at_theirs(condition: str) -> None:
    root = parse(condition).root
    loosely, exactly = Question(PLACE, fixed=False), Question(PLACE)

    if not loosely.can(loosely.true(root)):
        assert not exactly.can(exactly.true(root))


@pytest.mark.parametrize(
    "condition",
    [
        "orders < 0",
        "orders > 1 && orders < 2",
        "orders >= 3 && cases > 0 && orders < few",
        "opinion > 1.5",
        "stars < 1.0",
        'asked_by == "npss"',
        'asked_by == "nps" && asked_by == "csat"',
        'asked_by in words && asked_by == "ces"',
        "has(opinion) && !has(opinion)",
        "opinion > 0.5 && !has(opinion)",
        "known && !known",
        "orders < cases && cases <= orders",
        "orders == cases && cases != orders",
        "both < 0",
        "both > 2 && both <= 2",
        "happy && opinion <= 0.5",
        "(known ? 1 : 2) == 3",
        '(known ? "a" : "b") == "c"',
        "dwell < 0.0",
        "max(orders, opinion) < 0.0",
        "size(place) < 0",
        'place.startsWith("a") && !place.startsWith("a")',
        "!(orders >= 0)",
        "false",
        "1 > 2",
        "orders in [-1, -2]",
        "!(opinion <= 1.0)",
        "has(place) && (orders > 2 ? cases < 0 : orders > 2)",
    ],
)
def test_it_is_seen_that_this_can_never_hold(condition: str) -> None:
    question = Question(PLACE)

    assert not question.can(question.true(parse(condition).root))


@pytest.mark.parametrize(
    "condition",
    [
        "orders > 1 && orders < 3",
        "opinion >= 1.0",
        "has(opinion) || opinion > 3.0",
        "orders < cases && cases < few",
        "asked == false",
        'asked_by == "nps" || asked_by == "npss"',
        "both == 0 && orders == 0",
        "happy && !has(opinion)",
        "stars > 1.0 && stars < 1.5",
    ],
)
def test_near_misses_can_hold(condition: str) -> None:
    question = Question(PLACE)

    assert question.can(question.true(parse(condition).root))


PIGEONS = " && ".join(f"(orders == {n} || cases == {n} || stars == {n}.0)" for n in range(1, 5))


def test_a_question_that_takes_too_long_is_answered_perhaps(monkeypatch: pytest.MonkeyPatch) -> None:
    root = parse(PIGEONS).root
    exact = Question(PLACE)
    assert not exact.can(exact.true(root))

    monkeypatch.setattr(logic, "STEPS", 5)
    hasty = Question(PLACE)

    assert hasty.can(hasty.true(root))


def test_the_longest_condition_takes_no_time_worth_telling() -> None:
    many = " && ".join(f"(orders == {n} || cases == {n} || opinion == {n}.0)" for n in range(70))
    question = Question(PLACE)
    began = time.process_time()
    question.can(question.true(parse(many).root))

    assert time.process_time() - began < 5
