"""docs/testing.md: its commands print what it says, its tests pass where it does not say that they fail."""

import re
from pathlib import Path

import pytest

from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.scaffold import scaffold
from journey_stream.testing import Suite, Times, World, given_line, run_suite
from journey_stream.testing.cases import CASE_KEYS, SIGNAL_KEYS, TRANSITION_KEYS
from tests.shown import ROOT, Command, File, check_page, shown

PAGE = ROOT / "docs" / "testing.md"
PARTS = list(shown(PAGE))
PASSING = [
    part
    for part, following in zip(PARTS, [*PARTS[1:], None], strict=True)
    if isinstance(part, File) and not isinstance(following, Command)
]


@pytest.mark.slow
def test_the_commands_of_the_page_print_what_it_says(tmp_path: Path):
    check_page(PAGE, tmp_path)


@pytest.mark.parametrize("part", PASSING, ids=lambda part: part.text.split("name: ")[1].split("\n")[0])
def test_a_test_on_the_page_passes(part: File):
    suite = Suite("my-shop.yaml", scaffold("my-shop").definition, "my-shop_test.yaml", part.text)
    result = run_suite(suite, World(BUILT_IN, Decoder(BUILT_IN)))

    assert result.findings == ()
    assert [str(outcome) for outcome in result.failed] == []
    assert result.outcomes


def test_every_key_of_a_test_is_on_the_page():
    text = PAGE.read_text("utf-8")

    assert [key for key in (*CASE_KEYS, *TRANSITION_KEYS, *SIGNAL_KEYS) if f"`{key}`" not in text] == []


def test_the_story_in_short_form_can_be_read():
    (block,) = re.findall(r"^```\n(day 3.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    events = [given_line(line, 1, Times(), 0) for line in block.splitlines()]

    assert [each.type for each in events] == ["order_completed", "ticket_created", "survey_responded"]
    assert events[2].properties["comment"] == "very good"
