"""Facts about the machine and the programs that took part, for readers of the figures: no names, no paths."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

from benchmarks.peers import programs
from journey_stream.broker.jars import KAFKA, java


def machine() -> dict[str, str | int]:
    """Cores, their make, memory, system."""
    model = re.search(r"model name\s*:\s*(.+)", _text("/proc/cpuinfo"))
    memory = re.search(r"MemTotal:\s*(\d+)", _text("/proc/meminfo"))
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": model[1].strip() if model else platform.machine(),
        "memory_gib": round(int(memory[1]) / 2**20) if memory else 0,
        "system": platform.system(),
    }


def versions() -> dict[str, str]:
    """Versions of what ran."""
    said = subprocess.run([java(), "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "([^"]+)"', said)
    here = ("faust-streaming", "aiokafka", "msgspec", "uvloop")
    return {
        "python": platform.python_version(),
        "kafka": KAFKA,
        "kafka-streams": programs.STREAMS,
        "java": found[1] if found else "unknown",
        "quixstreams": programs.QUIX,
        **{name: _version(name) for name in here},
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
