"""docs/tutorial.md: the whole way of an author, from `new` to `explain` on a real Kafka, is what the page shows."""

import re
from pathlib import Path

import pytest

from journey_stream.broker import EmbeddedKafka
from tests.shown import ROOT, check_page


@pytest.mark.slow
def test_the_way_from_new_to_explain_is_as_shown(kafka: EmbeddedKafka, tmp_path: Path):
    address = {"JOURNEY_STREAM_BOOTSTRAP_SERVERS": kafka.bootstrap}
    check_page(ROOT / "docs" / "tutorial.md", tmp_path, without_chance, address)


def without_chance(text: str) -> str:
    """Leave out speed, and how far the clock of the customer's partition had come."""
    text = re.sub(r"[\d,]+ events/s", "N events/s", text)
    return re.sub(r"^(00881 at) .*$", r"\1 T", text, flags=re.MULTILINE)
