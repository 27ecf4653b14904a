"""Files of events: how far they are read is shown to whoever watches, and to nobody else."""

import io
from pathlib import Path

import pytest

from journey_stream.cli import events
from journey_stream.cli.events import Lines, bar


def test_a_bar_shows_how_far_a_file_is_read_when_somebody_watches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(events, "STEP", 2)
    monkeypatch.setattr(events, "watched", lambda: True)
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"ab\n" * 4)
    with path.open("rb") as file:
        assert [b"ab"] * 4 == list(Lines("x.jsonl", file))
    shown = capsys.readouterr().err.split("\r")
    assert "x.jsonl: [##########..........]  50 %  2 lines" in shown
    assert "x.jsonl: [####################] 100 %  4 lines" in shown
    assert "" == shown[-1], "the line is cleared at the end (by a control that only a terminal gets)"


def test_nothing_is_shown_when_nobody_watches(capsys: pytest.CaptureFixture[str]):
    assert [b"a"] == list(Lines("-", io.BytesIO(b"a\n\n")))
    assert "" == capsys.readouterr().err


def test_of_a_pipe_there_is_no_whole():
    assert "" == bar(10, 0)
