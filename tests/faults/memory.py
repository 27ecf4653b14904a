"""How much memory processes hold, sampled while they work.

Enters: process ids. Leaves: samples (seconds, bytes) and what they say: the peak, and the slope of a straight
line through them.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 2**20


def resident(pid: int) -> int:
    """Bytes that a process has in memory; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


@dataclass
class Memory:
    """Samples of the sum over processes."""

    samples: list[tuple[float, int]] = field(default_factory=list)

    async def watch(self, pids: Callable[[], Iterable[int]], every: float = 1.0) -> None:
        """Sample until cancelled."""
        while True:
            held = sum(map(resident, pids()))
            if held:
                self.samples.append((time.monotonic(), held))
            await asyncio.sleep(every)

    @property
    def peak(self) -> float:
        """Most, in MiB."""
        return max((held for _, held in self.samples), default=0) / MIB

    def between(self, low: float, high: float) -> Memory:
        """The samples of a part of the time, 0 to 1."""
        if not self.samples:
            return Memory()
        first, last = self.samples[0][0], self.samples[-1][0]
        start, end = first + low * (last - first), first + high * (last - first)
        return Memory([sample for sample in self.samples if start <= sample[0] <= end])

    @property
    def mean(self) -> float:
        """On average, in MiB."""
        return statistics.fmean(held for _, held in self.samples) / MIB

    @property
    def slope(self) -> float:
        """MiB a minute that a straight line through the samples rises."""
        seconds, held = zip(*self.samples, strict=True)
        return statistics.linear_regression(seconds, held).slope * 60 / MIB
