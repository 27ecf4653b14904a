"""YAML becomes nodes that know where they stand; on, off, yes and no stay text; nothing is constructed."""

from __future__ import annotations

import pytest

from journey_stream.journeys.findings import Report
from journey_stream.journeys.read import MAX_CHARACTERS, Items, Node, Scalar, Table, read


def _read(text: str) -> tuple[Node | None, list[str]]:
    report = Report("x")
    return read(text, report), [finding.rule for finding in report.findings]


def _value(text: str) -> object:
    node, rules = _read(f"key: {text}")

    assert [] == rules
    assert isinstance(node, Table)
    value = node.entries["key"].value
    assert isinstance(value, Scalar)
    return value.value


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "On", "OFF", "Yes", "N", "y"])
def test_the_words_that_old_yaml_took_for_truth_values_stay_text(word: str) -> None:
    assert word == _value(word)


@pytest.mark.parametrize("word", ["2026-01-01", "12:30:00", "1_000", "0777x", "1e", "=", "<<"])
def test_what_old_yaml_took_for_dates_and_odd_numbers_stays_text(word: str) -> None:
    assert word == _value(word)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("12", 12),
        ("-7", -7),
        ("0x1f", 31),
        ("0o17", 15),
        ("010", 10),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".inf", float("inf")),
        ('"true"', "true"),
        ("'12'", "12"),
        ("!!str 12", "12"),
    ],
)
def test_plain_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    found = _value(text)

    assert (value, type(value)) == (found, type(found))


def test_keys_that_look_like_truth_values_stay_names() -> None:
    node, rules = _read("on: 1\nno: 2\n12: 3\n")

    assert [] == rules
    assert isinstance(node, Table)
    assert ["on", "no", "12"] == list(node.entries)


def test_every_node_knows_its_line_and_column() -> None:
    node, _ = _read("a: x\nb:\n  - y\n  - {c: z}\n")

    assert isinstance(node, Table)
    items = node.entries["b"].value
    assert isinstance(items, Items)
    inner = items.items[1]
    assert isinstance(inner, Table)
    places = [node.entries["b"].key, items.items[0], inner, inner.entries["c"].value]
    assert [(2, 1), (3, 5), (4, 5), (4, 9)] == [(place.line, place.column) for place in places]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "empty"),
        ("# only a comment\n", "empty"),
        ("~", "empty"),
        ("a: 1\n---\nb: 2\n", "yaml-documents"),
        ("a: &x 1\nb: 2\n", "yaml-alias"),
        ("a: 1\na: 2\n", "duplicate-key"),
        ("? [1, 2]\n: 3\n", "wrong-type"),
        ("a: !!python/name:os.system x\n", "yaml-tag"),
        ("a:\n\tb: 1\n", "yaml-syntax"),
        ("a: \x07\n", "yaml-syntax"),
        ("a: [1\n", "yaml-syntax"),
        ('a: "\\UFFFFFFFF"\n', "yaml-syntax"),
        ('a: "\\ud800"\n', "yaml-syntax"),
        ("%YAML 1." + "9" * 5000 + "\n---\na: 1\n", "yaml-syntax"),
        ("[" * 10_000, "too-large"),
        ("a: " + "x" * 20_000, "too-large"),
        ("x" * (MAX_CHARACTERS + 1), "too-large"),
        ("[" + "a," * 60_000 + "]", "too-large"),
    ],
)
def test_whatever_is_not_a_plain_tree_of_text_is_a_finding(text: str, rule: str) -> None:
    assert rule in _read(text)[1]


def test_a_bomb_of_aliases_is_refused_without_being_unfolded() -> None:
    levels = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]

    _, rules = _read("\n".join(levels))

    assert {"yaml-alias"} == set(rules)


def test_a_pattern_without_quotes_is_told_how_to_quote() -> None:
    report = Report("x")
    read("from: */search\n", report)

    assert "in quotes" in (report.findings[0].suggestion or "")
