"""The JSON Schema for editors beside the checker: what has the wrong shape, both refuse."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journey_stream.events.declared import DeclaredType
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import load, shipped, shipped_names
from journey_stream.journeys.grammar import EXAMPLES, SHAPES, Shape
from journey_stream.journeys.jsonschema import journey_schema
from journeys.definitions import HEAD
from journeys.docs_page import examples, rule_examples
from journeys.rejected_cases import CASES
from journeys.test_any_text import WHOLE

SCHEMA = journey_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
OF_SHAPE = {"unknown-key", "missing-key", "wrong-type", "empty"}
"""Rules that are about the shape alone: what has one of them, the schema refuses."""
SKETCHES = {f"{name}.yaml": shipped(name) for name in shipped_names()} | examples()


def fits(text: str) -> bool:
    return VALIDATOR.is_valid(yaml.safe_load(text))


def errors(text: str) -> list[str]:
    return [each.rule for each in load([("x", text)], BUILT_IN).errors]


@pytest.mark.parametrize("name", SKETCHES)
def test_what_is_shipped_and_shown_fits(name: str) -> None:
    found = [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(SKETCHES[name]))]

    assert [] == found


def test_whatever_is_accepted_fits() -> None:
    texts = [case.read_text("utf-8") for case in CASES]
    texts += [text for pair in rule_examples().values() for text in pair]

    assert [] == [text for text in texts if not errors(text) and not fits(text)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_definition_of_the_wrong_shape_does_not_fit(case: Any) -> None:
    text = case.read_text("utf-8")
    found = load([("x", text)], BUILT_IN).errors
    shaped = [each for each in found if each.rule in OF_SHAPE and "sequence needs" not in each.message]
    readable = not any(each.rule.startswith(("yaml-", "too-", "duplicate-key")) for each in found)

    if shaped and readable:
        assert not fits(text), shaped[0]


def mappings(tree: Any, shape: Shape) -> Iterator[tuple[Shape, dict[str, Any]]]:
    """Every mapping of a definition with its shape."""
    if not isinstance(tree, dict):
        return
    yield shape, tree
    for key in shape.keys:
        inner = tree.get(key.name)
        if key.shape is None:
            continue
        parts = inner if key.takes == "list of tables" else [inner]
        if key.takes == "tables by name" and isinstance(inner, dict):
            parts = inner.values()
        for part in parts if isinstance(parts, list | type({}.values())) else ():
            yield from mappings(part, SHAPES[key.shape])


TREE = yaml.safe_load(WHOLE)


def _add_unknown(shape: Shape, table: dict[str, Any], draw: Any) -> bool:
    table[draw(st.sampled_from(["wehn", "evnt", "x", "from_"]))] = "known"
    return True


def _take_required(shape: Shape, table: dict[str, Any], draw: Any) -> bool:
    required = [key.name for key in shape.keys if key.required and key.name in table]
    forms = [name for name in shape.one_of if name in table]
    if not required and len(forms) != 1:
        return False
    del table[draw(st.sampled_from(required or forms))]
    return True


def _add_form(shape: Shape, table: dict[str, Any], draw: Any) -> bool:
    values = {
        "event": "page_viewed", "after": "3d", "sequence": ["page_viewed", "page_left"], "enter": "buyer",
        "count": "page_viewed", "sum": "order_completed.total", "last": "page_viewed.url", "value": "known",
    }  # fmt: skip
    missing = [name for name in shape.one_of if name in values and name not in table]
    if not missing or {"event", "after"} >= {*missing, *(set(shape.one_of) & table.keys())}:
        return False
    name = draw(st.sampled_from(missing))
    if {name, *(set(shape.one_of) & table.keys())} == {"event", "after"}:
        return False
    table[name] = values[name]
    return True


def _change_kind(shape: Shape, table: dict[str, Any], draw: Any) -> bool:
    names = [key.name for key in shape.keys if key.name in table and key.takes not in ("title", "guards")]
    table[draw(st.sampled_from(names))] = draw(st.sampled_from([{"x": {"y": []}}, [[["x"]]], [{"x": 1}]]))
    return True


MISTAKES = (_add_unknown, _take_required, _add_form, _change_kind)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(MISTAKES), st.data())
def test_a_mistake_of_shape_is_seen_by_both(mistake: Any, data: st.DataObject) -> None:
    tree = copy.deepcopy(TREE)
    shape, table = data.draw(st.sampled_from(list(mappings(tree, SHAPES["journey"]))))
    if not table or not mistake(shape, table, data.draw):
        return
    text = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)

    assert errors(text), text
    assert not fits(text), text


_VALUES = st.sampled_from(
    ["buyer", "page_viewed", "3d", 3, 0, 1.5, True, "known", ["page_viewed"], ["buyer"], "stage", "any", [], {}, -1,
     "order_completed.total", "Order Completed", "order_complete", "x", "", {"en": "x"}, {"back": "buyer"}]
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), _VALUES), min_size=1, max_size=3))
def test_the_schema_refuses_nothing_that_the_checker_accepts(changes: list[tuple[int, int, Any]]) -> None:
    tree = copy.deepcopy(TREE)
    for which, key, value in changes:
        places = list(mappings(tree, SHAPES["journey"]))
        shape, table = places[which % len(places)]
        table[shape.names[key % len(shape.names)]] = value
    text = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)

    if not fits(text):
        assert errors(text), text


@pytest.mark.parametrize(
    "line",
    [
        "{id: x, from: buyer, to: lost, event: order_complete}",
        "{id: x, from: buyer, to: lost, event: page_viewed, sequence: [page_viewed, page_left], within: 1d}",
        "{id: x, from: buyer, to: lost, sequence: [page_viewed, page_left]}",
        "{id: x, from: buyer, to: lost, event: page_viewed, after: 1d, since: page_left}",
        "{id: x, from: buyer, to: lost, event: page_viewed, reason: a, reason_from: known}",
        "{id: x, from: buyer, to: lost, event: page_viewed, where: [known, known]}",
        "{id: x, from: buyer, to: lost, after: 3d, limit: 3}",
    ],
)
def test_exactly_one_trigger_and_what_goes_with_it(line: str) -> None:
    text = HEAD + f"  - {line}\n"

    assert errors(text)
    assert not fits(text)


@pytest.mark.parametrize(
    "line",
    [
        "{id: x, from: buyer, to: lost, event: page_viewed, after: 1d}",
        "{id: x, from: buyer, to: lost, event: Page Viewed}",
        "{id: x, from: buyer, to: lost, sequence: [page_viewed, page_left], within: 1d, where: [null, known]}",
    ],
)
def test_what_is_allowed_beside_each_other_fits(line: str) -> None:
    text = HEAD + f"  - {line}\n".replace("known", "1 < 2")

    assert [] == errors(text)
    assert fits(text)


def test_types_that_a_deployment_declares_are_in_its_schema() -> None:
    text = HEAD + "  - {id: x, from: buyer, to: lost, event: visit_rated}\n"
    own = BUILT_IN.with_declared([DeclaredType("visit_rated", {"type": "object"})])

    assert not fits(text)
    assert jsonschema.Draft202012Validator(journey_schema(own)).is_valid(yaml.safe_load(text))


def definitions() -> Iterator[dict[str, Any]]:
    yield SCHEMA
    yield from (SCHEMA["$defs"][name] for name in SHAPES if name != "journey")


def test_every_key_tells_an_editor_what_it_is_for() -> None:
    for definition in definitions():
        assert definition["description"]
        assert all(each["description"] for each in definition["properties"].values())


def test_examples_and_defaults_fit_where_they_are_shown() -> None:
    for definition in definitions():
        for name, each in definition["properties"].items():
            shown = [*each.get("examples", ()), *([each["default"]] if "default" in each else ())]
            schema = {
                "$defs": SCHEMA["$defs"],
                **{key: value for key, value in each.items() if key != "examples"},
            }
            for value in shown:
                assert jsonschema.Draft202012Validator(schema).is_valid(value), (name, value)


def test_every_kind_of_value_with_a_form_of_its_own_has_an_example() -> None:
    plain = {"id", "text", "integer", "boolean", "kind", "duration", "keeps", "names", "stage", "guards"}

    assert (
        plain
        == {key.takes for shape in SHAPES.values() for key in shape.keys if key.shape is None}
        - EXAMPLES.keys()
    )
