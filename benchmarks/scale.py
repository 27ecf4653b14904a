"""`python -m benchmarks.scale WHAT`: what many customers, many timers and a disk cost the engine, no broker.

Enters: `population`, `timers` or `disk`. Leaves: events a second and how the process grew. Strategy: states
of the simulated shop under keys of their own are loaded as a takeover loads them; then page views come,
in batches as a lane takes them, of customers drawn uniformly or after Zipf (exponent 1). An event is decoded
beforehand, its customer's state unpacked, taken on and encoded. Both sides of a ratio take turns, batch by
batch, so that whatever else the machine does hits both alike; only their own time counts (CPU).
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from benchmarks.measuring import say
from benchmarks.state_size import lived, rss, states
from journey_stream.deployment import assemble
from journey_stream.engine.partition import LAYOUT_KEY, Partition
from journey_stream.engine.state import due_of, redated
from journey_stream.kafka.local_states import RocksStates
from journey_stream.settings import Settings
from journey_stream.shop import ShopOptions, simulate
from journey_stream.values import DAY, HOUR, NEVER, Event

BATCH = 2_000
MADE = assemble(Settings())
VIEW = next(
    event
    for record in simulate(ShopOptions(customers=50, days=3))
    if record.value is not None
    and isinstance(event := MADE.decoder.decode(record.value), Event)
    and event.type == "page_viewed"
)


class Side:
    """One population at work."""

    def __init__(self, blobs: list[bytes], count: int, draw: str, *, folder: Path | None = None) -> None:
        self.partition, self.count, self.cpu, self.events = Partition(MADE.program), count, 0.0, 0
        self.states = None if folder is None else RocksStates(folder, MADE.program.fingerprint, 0)
        if self.states is not None:
            self.partition.rest_in(self.states)
        before = rss()
        layout = LAYOUT_KEY + MADE.program.fingerprint.hex(), MADE.program.layout_bytes
        self.partition.load(*layout)
        rows: list[tuple[str, bytes | None]] = [layout]
        for number in range(count):
            person, blob = name(number), bytes(bytearray(blobs[number % len(blobs)]))
            self.partition.load(person, blob)
            if self.states is not None:
                rows.append((person, blob))
                if len(rows) >= 20_000:
                    self.keep(rows)
                    rows = []
        self.keep(rows)
        self.grown = rss() - before
        self._draw = zipf(count) if draw == "zipf" else uniform(count)
        self._clock = VIEW.at

    def keep(self, changes: Any) -> None:
        """As a committed transaction."""
        if self.states is not None:
            self.states.keep(changes, 0, "bench", 0)

    def step(self) -> None:
        """A batch."""
        self._clock += 1_000_000
        events = [
            replace(VIEW, event_id=f"e{self.events + n}", at=self._clock, person=who, customer_id=who)
            for n, who in enumerate(map(name, itertools.islice(self._draw, BATCH)))
        ]
        self.events += BATCH
        began = time.process_time()
        partition = self.partition
        partition.horizon = self._clock - HOUR
        for event in events:
            partition.apply(event, event.at)
        partition.fire(self._clock, self._clock)
        self.keep(partition.drain().changes)
        self.cpu += time.process_time() - began

    @property
    def rate(self) -> float:
        return self.events / self.cpu


def name(number: int) -> str:
    return f"c-{number:08d}"


def uniform(count: int) -> Iterator[int]:
    draw = random.Random(1)
    while True:
        yield draw.randrange(count)


def zipf(count: int) -> Iterator[int]:
    """Rank r with odds 1/r: the logarithm is uniform."""
    draw = random.Random(1)
    while True:
        yield int((count + 1) ** draw.random()) - 1


def turns(first: Side, second: Side, seconds: float) -> float:
    """Let them take turns; gives how quick the first is, the second being 1."""
    for side in (first, second):
        for _ in range(3):
            side.step()
        side.events, side.cpu = 0, 0.0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        first.step()
        second.step()
    return first.rate / second.rate


def tell(what: str, first: Side, second: Side, seconds: float) -> None:
    ratio = turns(first, second, seconds)
    print(
        f"{what}: {first.rate:,.0f} against {second.rate:,.0f} events a second of CPU: {ratio:.2f}",
        flush=True,
    )


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["population", "timers", "disk"])
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each ratio")
    chosen = parser.parse_args()
    past = VIEW.at - 1
    # States of the past, none of whose timers comes due while the bench runs.
    source = list(states(lived(1_000, 30), known=True).values())
    source = [redated(blob, max(due_of(blob), past + 400 * DAY)) for blob in source]
    sides: dict[str, Callable[[], None]] = {
        "population": lambda: population(source, chosen),
        "timers": lambda: timers(source, chosen),
        "disk": lambda: disk(source, chosen),
    }
    sides[chosen.what]()


def population(source: list[bytes], chosen: Any) -> None:
    """Many customers against few."""
    for draw in ("uniform", "zipf"):
        many, few = Side(source, chosen.many, draw), Side(source, chosen.few, draw)
        say(f"{chosen.many:,} customers: {many.grown / chosen.many:.0f} bytes each")
        tell(f"{chosen.many:,} customers against {chosen.few:,}, {draw}", many, few, chosen.seconds)
        del many, few


def timers(source: list[bytes], chosen: Any) -> None:
    """The same customers with a timer each, far ahead, and without."""
    without = [redated(blob, NEVER) for blob in source]
    many, none = Side(source, chosen.many, "uniform"), Side(without, chosen.many, "uniform")
    tell(f"{chosen.many:,} pending timers against none", many, none, chosen.seconds)


def disk(source: list[bytes], chosen: Any) -> None:
    """So many on disk against few enough for memory."""
    folder = Path(tempfile.mkdtemp(prefix="scale-"))
    try:
        began = time.monotonic()
        on_disk = Side(source, chosen.many, "uniform", folder=folder / "0")
        say(
            f"filled in {time.monotonic() - began:.0f} s; the process grew by {on_disk.grown / 2**20:.0f} MiB"
        )
        memory = Side(source, min(chosen.many, 1_000_000), "uniform")
        before = rss()
        tell(f"{chosen.many:,} on disk against memory", on_disk, memory, chosen.seconds)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        say(f"while at work it grew by {(rss() - before) / 2**20:.0f} MiB; on disk {size / 2**30:.1f} GiB")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
