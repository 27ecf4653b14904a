"""Time and order: histories that come in any order, timers that are late, clocks that are wrong, and every step.

Drills are tests told in one line; `timers` is a bench with something to pass.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.faults.case import CASES
from tests.faults.neighbours import SHOWN, Drill, drill
from tests.kafka.cluster import ROOT

LATEST_MS = 1_000.0
"""99 % of timers are decided no later than that after they were due."""
PENDING, SECONDS = 1_000_000, 30

drill(
    "orders",
    "All permutations of short histories, a thousand shuffles of long ones, disorder on a real Kafka.",
    "tests/engine/test_corrections.py",
    "tests/kafka/test_corrections.py",
)
drill(
    "clocks",
    "Timers under downtime, takeovers and clocks set back and forward, by model and on a real Kafka.",
    "tests/kafka/test_timers.py",
    "tests/kafka/test_clock_jumps.py",
)
drill("steps", "A worker stopped at every step, over stand-ins for the brokers.", "tests/kafka/crash")


async def timers(folder: Path, scale: float) -> tuple[str, dict[str, Any]]:
    """A million timers pending in one partition, 2,000 due a second, then half of all due at once."""
    out, pending = folder / "timers.json", max(100_000, int(PENDING * scale))
    command = [sys.executable, "-m", "benchmarks.timers", "--events", "500", "--out", str(out)]
    command += ["--pending", str(pending), "--seconds", str(SECONDS)]
    ran = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-SHOWN:]
    found: dict[str, Any] = json.loads(out.read_text())
    late = {key: found[f"past the due time {key} ms"] for key in ("p50", "p99", "max")}
    what = (
        f"{found['timers pending']:,.0f} pending  {found['timers/s']:,.0f} due/s   after their time "
        + "  ".join(f"{key} {ms / 1000:.2f} s" for key, ms in late.items())
        + f"   burst of {found['burst of']:,.0f}: {found['burst drained in s']:.1f} s, "
        f"{'in' if found['burst in due order'] else 'OUT OF'} due order, events went on at "
        f"{found['events/s during'] / found['events/s before']:.0%}"
    )
    assert found["burst in due order"], what
    assert late["p99"] <= LATEST_MS, what
    return what, found


CASES["timers"] = Drill("timers", timers)
