"""Twenty journeys beside five: what is compared is worth comparing."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks import many
from benchmarks.core import Lane, Load
from benchmarks.core_load import events, keyed
from journey_stream.deployment import assemble
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import load
from journey_stream.settings import Settings

SMALL = Load(customers=60, warm=1_200, commit=150)
CORES = [
    "python",
    pytest.param(
        "compiled",
        marks=pytest.mark.skipif(find_spec("journey_stream_native") is None, reason="no compiled core"),
    ),
]


def test_the_fifteen_smaller_journeys_are_without_findings() -> None:
    assert 15 == len(many.portfolio())
    documents = [(path, Path(path).read_text()) for path in many.portfolio()]
    assert () == tuple(load(documents, BUILT_IN).findings)


@pytest.mark.parametrize("path", many.portfolio(), ids=lambda path: path.rsplit("/", 1)[-1])
def test_each_of_them_has_something_to_say(path: str) -> None:
    lane = Lane(assemble(Settings(journeys=[path])), "event", "python")
    records = keyed(events(4_000, 100))
    lane.work(records[:200], 200)
    lane.records = 0
    lane.work(records[200:], 1_000)
    assert lane.records > 0


def test_each_pair_is_five_and_twenty_journeys() -> None:
    pairs = many.pairs()
    assert [(5, 20)] * 3 == [(len(pair.five.journeys), len(pair.twenty.journeys)) for pair in pairs]


@pytest.mark.parametrize("core", CORES)
def test_a_row_tells_what_both_need_and_say(core: str) -> None:
    [pair, *_] = many.pairs()
    five, twenty = many.compare(pair, keyed(events(4_000, SMALL.customers)), SMALL, core)
    assert len(five.turns) == len(twenty.turns) > 3
    assert 0 < five.records < twenty.records
    assert 0 < min(five.turns + twenty.turns)
    assert pair.title in many.line(pair.title, five, twenty)
