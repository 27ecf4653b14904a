"""The guard of the hot path: it can fail, and its limits are those of what it measures."""

from __future__ import annotations

import json

import pytest

from benchmarks import core
from benchmarks.core import LIMITS, Cost, Load, beyond, ratios


@pytest.fixture(autouse=True)
def collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector of the tests' own process stays as it is."""
    monkeypatch.setattr(core, "leave_alone", lambda: None)


def test_a_slower_hot_path_is_told_with_what_was_expected() -> None:
    limits = {"five models / yardstick": 40.0}
    assert beyond({"five models / yardstick": 39.9}, limits) == []
    (told,) = beyond({"five models / yardstick": 52.0}, limits)
    assert "expected at most 40.00, measured 52.00" in told


def test_a_figure_without_a_limit_is_told() -> None:
    assert beyond({"new": 1.0}, {}) == ["new: no limit in core_limits.json; write it with --write-limits"]


def test_every_stage_of_a_small_run_is_measured_and_has_its_limit() -> None:
    best, hop, yard = core.measure(Load(customers=500, warm=4_500, measured=500, commit=200, rounds=1))
    assert all(isinstance(cost, Cost) and cost.states > 0 for cost in best.values())
    assert ratios(best, hop, yard).keys() == json.loads(LIMITS.read_text()).keys()


def test_the_command_fails_beyond_a_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cost = Cost(dict.fromkeys(core.STAGES, 1e6), 1.0, 1.0, 100.0)
    best = {f"{name}, {mode} time": cost for name, mode, kind in core.CASES if kind == "python"}
    monkeypatch.setattr(core, "measure", lambda load, say: (best, 1.0, 1.0))
    assert core.main([]) == 1
    assert "has become slower" in capsys.readouterr().err
