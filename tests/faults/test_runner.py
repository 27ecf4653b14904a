"""The runner of the fault suite as a command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.kafka.cluster import ROOT

RUN = [sys.executable, "-m", "tests.faults"]


def test_it_says_what_there_is() -> None:
    ran = subprocess.run([*RUN, "--list"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert 0 == ran.returncode
    names = [line.split()[0] for line in ran.stdout.splitlines()]
    assert "kill-9" in names
    page = (ROOT / "docs" / "faults.md").read_text("utf-8") + (ROOT / "docs" / "guarantees.md").read_text(
        "utf-8"
    )
    assert [] == [name for name in names if f"`{name}`" not in page]


def test_an_unknown_case_is_wrong_usage() -> None:
    ran = subprocess.run([*RUN, "kill-8"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert 2 == ran.returncode
    assert "no case kill-8" in ran.stderr


@pytest.mark.slow
@pytest.mark.broker
def test_told_to_end_it_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    running = subprocess.Popen([*RUN, "kill-9", "--short"], cwd=ROOT, env=environment)
    try:
        end = time.monotonic() + 90
        while not list(tmp_path.glob("*/worker-*.log")):
            assert time.monotonic() < end, "no worker was started"
            time.sleep(0.2)
        running.send_signal(signal.SIGTERM)
        assert 128 + signal.SIGTERM == running.wait(60)
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()
    assert [] == list(tmp_path.glob("journey-stream-faults-*"))
    assert [] == [each for each in Path("/proc").glob("[0-9]*/cmdline") if bytes(tmp_path) in told(each)]


def told(path: Path) -> bytes:
    """The command of a process; empty when it has gone."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
