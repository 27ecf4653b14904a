"""The pages that explain customers show what the verb prints."""

from pathlib import Path

import pytest

from journey_stream.journeys import shipped_names
from tests.shown import ROOT, Command, check_page, shown

EXPLAINED = ROOT / "docs" / "explained"


@pytest.mark.parametrize("name", [*shipped_names()])
def test_three_customers_in_different_stages_of_each_model(name: str, tmp_path: Path):
    page = EXPLAINED / f"{name}.md"
    check_page(page, tmp_path)
    stages = {
        line.split()[1]
        for each in shown(page)
        if isinstance(each, Command)
        for line in each.printed.splitlines()
        if line.startswith(f"{name}: ")
    }
    assert 3 == len(stages) == page.read_text("utf-8").count("**By hand.**")


def test_the_page_about_explain(tmp_path: Path):
    check_page(ROOT / "docs" / "explain.md", tmp_path)
