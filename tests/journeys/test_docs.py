"""What docs/journeys.md shows is run, and what is made of it is as the grammar says."""

from __future__ import annotations

import re

import pytest

from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import load
from journey_stream.journeys.grammar import SHAPES
from journeys.docs_page import PAGE, examples, made


@pytest.mark.parametrize("example", [pytest.param(text, id=line) for line, text in examples().items()])
def test_an_example_of_the_page_loads_and_is_clean(example: str) -> None:
    found = load([("example", example)], BUILT_IN).findings

    # a part of a journey need not lead to every stage of the whole
    assert [] == [str(each) for each in found if each.rule != "unreachable-stage"]


def test_the_whole_journey_has_no_finding_at_all() -> None:
    whole = next(iter(examples().values()))

    assert () == load([("example", whole)], BUILT_IN).findings


def test_the_tables_of_the_page_are_made_from_the_code() -> None:
    assert made() == PAGE.read_text("utf-8"), "in tests/: python -m journeys.docs_page"


def test_every_key_of_the_language_is_in_an_example() -> None:
    shown = set(re.findall(r"\b(\w+):", "".join(examples().values())))

    assert set() == {name for shape in SHAPES.values() for name in shape.names} - shown
