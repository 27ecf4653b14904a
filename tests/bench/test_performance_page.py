"""docs/performance.md, its plot and the README's sentence say what the last bench measured."""

import shutil
from pathlib import Path

import pytest

from benchmarks.peers import page
from benchmarks.peers.contestants import CONTESTANTS, RATIOS

ROOT = Path(__file__).parents[2]
PAGES = (*page.PARTS, page.PLOT, page.RESULT)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for each in PAGES:
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / each, tmp_path / each)
    return tmp_path


def test_the_pages_say_what_was_measured():
    for each, text in page.pages(ROOT, page.load(ROOT)).items():
        assert (ROOT / each).read_text("utf-8") == text, f"{each}: run `make schemas`"


def test_the_result_is_of_those_who_take_part_now():
    result = page.load(ROOT)
    assert [each.name for each in CONTESTANTS] == [row.name for row in result.rows]
    goals = [(each.ours, each.peer, each.at_least, each.aim) for each in RATIOS]
    assert goals == [(each.ours, each.peer, each.at_least, each.aim) for each in result.ratios]


def test_the_result_names_no_place():
    text = (ROOT / page.RESULT).read_text("utf-8")
    assert "/" not in text.replace("not run", "")


def test_a_figure_changed_by_hand_is_found(copy: Path, capsys: pytest.CaptureFixture[str]):
    assert 0 == page.main(["--check"], copy)
    (row, *_) = (row for row in page.load(copy).rows if row.rate is not None)
    file = copy / "docs/performance.md"
    file.write_text(file.read_text("utf-8").replace(f"{row.rate.median:,.0f} |", "999,999 |"), "utf-8")
    assert 1 == page.main(["--check"], copy)
    assert "docs/performance.md does not say" in capsys.readouterr().err
    assert 0 == page.main([], copy)
    assert 0 == page.main(["--check"], copy)


def test_a_page_without_its_marks_is_told():
    with pytest.raises(ValueError, match="figures: begin"):
        page.filled("nothing", {"figures": "x"})
