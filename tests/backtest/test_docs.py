"""The example in docs/backtest.md is what the commands print."""

import re
from pathlib import Path

from tests.shown import ROOT, check_page


def test_the_example_is_what_the_commands_print(tmp_path: Path):
    check_page(ROOT / "docs" / "backtest.md", tmp_path, without_speed)


def without_speed(text: str) -> str:
    return re.sub(r"[\d,]+ events/s", "N events/s", text)
