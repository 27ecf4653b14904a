"""The picture of the clock shows what the clock does now, and what the page beside it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.clock import draw

ROOT = Path(__file__).parents[2]


def test_the_picture_is_what_the_clock_draws() -> None:
    assert (ROOT / "docs/clock.svg").read_text("utf-8") == draw.draw(draw.run())


def test_another_picture_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "clock.svg"
    assert 0 == draw.main([str(target)])
    assert 0 == draw.main(["--check", str(target)])
    target.write_text("<svg/>")
    assert 1 == draw.main(["--check", str(target)])
    assert "make schemas" in capsys.readouterr().err


def test_the_script_goes_as_the_page_says() -> None:
    told = draw.run()
    fired = {timer.person: timer.at for timer in told.timers}
    assert {"ann": None, "bob": 33.0, "eve": 50.0} == fired
    held = {clock for wall, clock in told.clock if draw.DOWN[0] <= wall < draw.DOWN[1]}
    assert 1 == len(held), "the clock stands while nobody reads purchases"
    assert all(now <= then for (_, now), (_, then) in zip(told.clock, told.clock[1:], strict=False))
    backlog = [dot.happened for dot in told.dots if dot.let_go == 33.0]
    assert (sorted(backlog), 8) == (backlog, len(backlog))
