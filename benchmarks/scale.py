"""`python -m benchmarks.scale WHAT`: what many customers, many timers and a disk cost, no broker.

Enters: `population`, `timers` or `disk`. Leaves: events a second and how the process grew. Strategy: states
of the simulated shop under keys of their own are loaded as a takeover loads them; then page views come as
records of the keyed topic, a checkpoint each batch as a lane makes them, of customers drawn uniformly or by
Zipf (exponent 1). An event is decoded, its customer's state unpacked, taken on, encoded and packed for Kafka.
Both sides of a ratio take turns, batch by batch, so that whatever else the machine does hits both alike; only
their own time counts (CPU, that of RocksDB's own threads included). The engine is the compiled core if it is
installed (`--core`).
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiokafka.structs import ConsumerRecord

from benchmarks.measuring import say
from benchmarks.state_size import lived, rss, states
from journey_stream.deployment import Deployment, assemble
from journey_stream.engine.state import due_of, redated
from journey_stream.engine.store import LAYOUT_KEY
from journey_stream.kafka import hop
from journey_stream.kafka.engines import Engines
from journey_stream.kafka.keyed import KeyedPartition
from journey_stream.kafka.keyed_values import Options
from journey_stream.kafka.local_states import RocksStates
from journey_stream.settings import Settings
from journey_stream.values import DAY, HOUR, NEVER, SECOND, rfc3339

BATCH = 2_000
SOURCE = hop.pack_source("bench.visits", 0)
BEGAN = 1_767_225_600 * SECOND
"""When the bench's events begin."""


class Side:
    """One population at work."""

    def __init__(
        self, made: Deployment, blobs: list[bytes], count: int, draw: str, *, folder: Path | None = None
    ) -> None:
        engine = Engines(made)()
        options = Options("event", NEVER, HOUR, 7 * DAY, 10 * SECOND, "bench")
        self.logic = KeyedPartition(engine, made.decoder, [SOURCE], options)
        self.logic.restore(None, 0)
        self.cpu, self.events, self._offset = 0.0, 0, 0
        self.states = None if folder is None else RocksStates(folder, made.program.fingerprint, 0)
        if self.states is not None:
            engine.rest_in(self.states)
        before = rss()
        layout = LAYOUT_KEY + made.program.fingerprint.hex(), made.program.layout_bytes
        engine.load(*layout)
        rows: list[tuple[str, bytes | None]] = [layout]
        for number in range(count):
            person, blob = name(number), later(blobs[number % len(blobs)], number)
            engine.load(person, blob)
            if self.states is not None:
                rows.append((person, blob))
                if len(rows) >= 20_000:
                    self.keep(rows)
                    rows = []
        self.keep(rows)
        self.grown = rss() - before
        self._draw = zipf(count) if draw == "zipf" else uniform(count)
        self._head, self._clock = hop.packer(SOURCE), BEGAN

    def keep(self, changes: Any) -> None:
        """As a committed transaction."""
        if self.states is not None:
            self.states.keep(changes, 0, "bench", 0)

    def records(self) -> list[ConsumerRecord]:
        """The next batch, as a lane fetches it: events of one second, and the marker behind them."""
        self._clock += SECOND
        rows = [
            (
                self._head(hop.EVENT, (self._offset + n) * 2, self._clock),
                visit(who, self._clock, self._offset + n),
            )
            for n, who in enumerate(map(name, itertools.islice(self._draw, BATCH)))
        ]
        self.events += BATCH
        told = hop.Progress(SOURCE, self._clock + HOUR, False, self._clock, self._offset)
        rows.append((hop.MARKER_BYTES, hop.pack_marker([told])))
        begun, self._offset = self._offset, self._offset + len(rows)
        return [
            ConsumerRecord(
                *("bench.events", 0, begun + n, self._clock // 1000, 0, None, value, 0, -1, len(value)),
                ((hop.HEADER, head),),
            )
            for n, (head, value) in enumerate(rows)
        ]

    def step(self) -> None:
        """A batch."""
        records, logic = self.records(), self.logic
        began = time.process_time()
        logic.take(records, self._clock)
        while logic.advance(self._clock):
            pass
        checkpoint = logic.checkpoint(ready=self._clock // 1000)
        if checkpoint.ready is not None:
            for batch in checkpoint.ready.changes:
                batch._build()
        self.keep(checkpoint.changes)
        self.cpu += time.process_time() - began

    @property
    def rate(self) -> float:
        return self.events / self.cpu


def later(blob: bytes, number: int) -> bytes:
    """A copy of a state that is due so many seconds later: no two are due at one time. NEVER stays."""
    due = due_of(blob)
    return bytes(bytearray(blob)) if due == NEVER else redated(blob, due + number * SECOND)


def visit(person: str, at: int, number: int) -> bytes:
    """A page view."""
    return (
        f'{{"event_id":"e{number}","type":"page_viewed","occurred_at":"{rfc3339(at)}","customer_id":"{person}",'
        '"properties":{"url":"https://shop.example/range/7","title":"A page","category":"lamps"}}'
    ).encode()


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
    parser.add_argument("--core", choices=("auto", "python", "compiled"), default="auto")
    chosen = parser.parse_args()
    {"population": population, "timers": timers, "disk": disk}[chosen.what](past(), chosen)


def past() -> list[bytes]:
    """States of the simulated shop, none of whose timers comes due while a bench runs."""
    source = states(lived(1_000, 30), known=True).values()
    return [redated(blob, max(due_of(blob), BEGAN + 400 * DAY)) for blob in source]


def population(source: list[bytes], chosen: Any) -> None:
    """Many customers against few."""
    made = assemble(Settings(core=chosen.core))
    for draw in ("uniform", "zipf"):
        many, few = Side(made, source, chosen.many, draw), Side(made, source, chosen.few, draw)
        say(f"{chosen.many:,} customers: {many.grown / chosen.many:.0f} bytes each")
        tell(f"{chosen.many:,} customers against {chosen.few:,}, {draw}", many, few, chosen.seconds)
        del many, few


def timers(source: list[bytes], chosen: Any) -> None:
    """The same customers with a timer each, far ahead, and without."""
    made = assemble(Settings(core=chosen.core))
    without = [redated(blob, NEVER) for blob in source]
    many = Side(made, source, chosen.many, "uniform")
    none = Side(made, without, chosen.many, "uniform")
    tell(f"{chosen.many:,} pending timers against none", many, none, chosen.seconds)


def disk(source: list[bytes], chosen: Any) -> None:
    """So many on disk against few enough for memory."""
    folder = Path(tempfile.mkdtemp(prefix="scale-"))
    try:
        began = time.monotonic()
        made = assemble(Settings(core=chosen.core))
        on_disk = Side(made, source, chosen.many, "uniform", folder=folder / "0")
        say(
            f"filled in {time.monotonic() - began:.0f} s; the process grew by {on_disk.grown / 2**20:.0f} MiB"
        )
        memory = Side(made, source, min(chosen.many, 1_000_000), "uniform")
        before = rss()
        tell(f"{chosen.many:,} on disk against memory", on_disk, memory, chosen.seconds)
        say(f"while at work the process grew by {(rss() - before) / 2**20:.0f} MiB")
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        say(f"on disk {size / 2**30:.1f} GiB")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
