"""docs/models.md says of the models what the definitions say."""

import re
from pathlib import Path

import pytest

from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import load, shipped, shipped_names
from journey_stream.journeys.durations import duration
from journey_stream.values import SECOND

TEXT = (Path(__file__).parents[2] / "docs" / "models.md").read_text("utf-8")
SECTIONS = {
    found[1]: found[2] for found in re.finditer(r"\n## `([a-z-]+)`[^\n]*\n(.*?)(?=\n## )", TEXT, re.DOTALL)
}
JOURNEYS = {name: load([(f"{name}.yaml", shipped(name))], BUILT_IN).usable()[0] for name in shipped_names()}
DEFAULT = re.compile(r"`([a-z_]+)` (\d+(?:\.\d+)?)(?: ([smhd])(?![a-z]))?")


def test_every_model_has_a_section():
    assert sorted(SECTIONS) == shipped_names()


@pytest.mark.parametrize("name", shipped_names())
def test_every_default_in_the_text_is_the_parameters(name: str):
    parameters = JOURNEYS[name].parameters
    told = {}
    for parameter, number, unit in DEFAULT.findall(SECTIONS[name]):
        seconds = duration(number + unit) if unit else None
        told[parameter] = float(number) if seconds is None else seconds / SECOND

    assert told
    assert told == {parameter: parameters.get(parameter) for parameter in told}


@pytest.mark.parametrize("name", shipped_names())
def test_every_signal_and_stage_is_named(name: str):
    journey = JOURNEYS[name]
    signals = {rule.signal for rule in journey.signals} - {"purchase_counted", "opinion_given"}
    names = signals | {stage.leaf for stage in journey.stages.values()}

    assert {each for each in names if not re.search(rf"`{each}[`{{]", SECTIONS[name])} == set()


def test_every_attribute_that_a_measure_is_made_from_travels_with_some_record():
    measures = TEXT[TEXT.index("## The measures") :]
    carried = {name for journey in JOURNEYS.values() for name in journey.records}

    assert set(re.findall(r"`attributes\.([a-z_]+)`", measures)) <= carried
