"""What order costs: `python -m benchmarks.corrections`, the core with recent histories on and off.

Enters: options (`--help`). Leaves: a table, and a JSON file if asked. Strategy: the simulated shop's events
are decoded and applied in batches, as a worker does that has caught up, five models, states encoded at the
end of each batch; without histories (`allowed_lateness: 0`), with them, with a lateness of a day (long
histories), and with a tenth of the events out of order. The ways take turns batch by batch, so that whatever
else the machine does hits all alike; the figures are medians of CPU time over rounds. No broker: what a
larger changelog record costs on the wire is told in bytes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any

from journey_stream.deployment import assemble
from journey_stream.engine.partition import Partition
from journey_stream.engine.state import core_end
from journey_stream.settings import Settings
from journey_stream.shop import ShopOptions, simulate
from journey_stream.values import DAY, HOUR, Event

WAYS: dict[str, tuple[int, bool]] = {
    "off": (0, False),
    "one hour": (HOUR, False),
    "one day": (DAY, False),
    "one hour, a tenth out of order": (HOUR, True),
}
"""Name to (lateness, whether there is disorder)."""


class Way:
    """One way of taking the events in, and what it cost so far."""

    def __init__(self, made: Any, lines: list[bytes], lateness: int, batch: int) -> None:
        self.partition, self.decode = Partition(made.program), made.decoder.decode
        self.lines, self.lateness, self.batch = lines, lateness, batch
        self.counts: Counter[str] = Counter()
        self.at = self.clock = self.written = self.changes = 0
        self.cpu = 0.0

    def step(self) -> bool:
        """Take a batch in; tells whether there was one."""
        part = self.lines[self.at : self.at + self.batch]
        self.at += len(part)
        begun = time.process_time()
        partition, decode = self.partition, self.decode
        if self.lateness:
            partition.horizon = self.clock - self.lateness - 1
        for line in part:
            event = decode(line)
            if isinstance(event, Event):
                partition.apply(event, event.at)
                if event.at > self.clock:
                    self.clock = event.at
        partition.fire(self.clock, self.clock)
        drained = partition.drain()
        self.cpu += time.process_time() - begun
        self.counts.update(drained.counts)
        self.changes += len(drained.changes)
        self.written += sum(len(blob) for _, blob in drained.changes if blob is not None)
        return bool(part)

    def figures(self) -> dict[str, float]:
        """Tell what it came to."""
        count = len(self.lines)
        blobs = self.partition._store.blobs.values()
        active = [len(blob) for blob in blobs if core_end(blob) < len(blob)]
        return {
            "cpu_us": self.cpu / count * 1e6,
            "disordered": self.counts["disordered"] / count,
            "corrected": self.counts["corrected"] / count,
            "changelog_bytes_per_change": self.written / max(self.changes, 1),
            "idle_bytes": statistics.fmean(map(core_end, blobs)),
            "active_bytes": statistics.fmean(active) if active else 0.0,
        }


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--customers", type=int, default=3_000)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--batch", type=int, default=500, help="events between two drains")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    chosen = parser.parse_args()
    made = assemble(Settings())
    lines = {
        disorder: [
            record.value
            for record in simulate(
                ShopOptions(
                    customers=chosen.customers, days=chosen.days, out_of_order=0.1 if disorder else 0.0
                )
            )
            if record.value is not None
        ]
        for disorder in (False, True)
    }
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    for _ in range(chosen.repeat):
        ways = {
            name: Way(made, lines[disorder], lateness, chosen.batch)
            for name, (lateness, disorder) in WAYS.items()
        }
        while sum(way.step() for way in ways.values()):
            pass
        for name, way in ways.items():
            runs[name].append(way.figures())
    figures = {
        name: {key: statistics.median(run[key] for run in each) for key in each[0]}
        for name, each in runs.items()
    }
    off = figures["off"]["cpu_us"]
    print(f"{len(lines[False])} events, {chosen.customers} customers, five models, {chosen.repeat} rounds")
    print(
        f"{'lateness':32}{'CPU us/event':>13}{'ratio':>7}{'B/change':>10}{'B active':>10}{'B idle':>8}",
        end="",
    )
    print(f"{'disordered':>12}{'corrected':>11}")
    for name, found in figures.items():
        spread = [run["cpu_us"] for run in runs[name]]
        print(
            f"{name:32}{found['cpu_us']:13.1f}{found['cpu_us'] / off:7.2f}"
            f"{found['changelog_bytes_per_change']:10.0f}{found['active_bytes']:10.0f}{found['idle_bytes']:8.0f}"
            f"{found['disordered']:12.1%}{found['corrected']:11.1%}"
            f"   ({min(spread):.1f} to {max(spread):.1f})"
        )
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
