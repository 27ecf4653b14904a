"""The page on backfill: its configuration is read, and means what the page says."""

import re

from journey_stream.settings import Backfill, TopicNames
from journey_stream.settings_read import load_settings
from tests.shown import ROOT

PAGE = (ROOT / "docs" / "backfill.md").read_text("utf-8")


def test_the_configuration_of_the_page_adds_the_source_that_history_comes_by():
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    settings = load_settings(text)
    assert Backfill(until=1_767_225_600_000_000, records="flagged") == settings.backfill
    assert "journey.history" == TopicNames.of(settings).sources[-1]
    assert "journey.history" not in TopicNames.of(load_settings("{}")).sources
