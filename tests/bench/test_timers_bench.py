"""The bench of timers still fits the lane it puts itself around."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kafka.cluster import ROOT


@pytest.mark.slow
def test_timers_fire_at_their_time_and_a_burst_in_due_order(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    command = [sys.executable, "-m", "benchmarks.timers", "--pending", "4000", "--rate", "200"]
    command += ["--seconds", "5", "--events", "50", "--out", str(out)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert 0 == ran.returncode, ran.stderr
    found = json.loads(out.read_text())
    assert (2000, True) == (found["burst of"], found["burst in due order"])
    assert found["timers/s"] > 100
    assert found["past the due time p50 ms"] < 5_000
