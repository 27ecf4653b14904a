"""`python -m benchmarks.restore`: how long a takeover reads the states of a million customers.

Enters: options (`--help`). Leaves: seconds and records a second, of the whole and of the tail. Strategy:
states of the simulated shop, under keys of their own, are written to one changelog partition of a real Kafka
in transactions as a worker writes them; then a takeover reads them back, timers in order and all.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, get_args

from benchmarks.measuring import say
from benchmarks.state_size import lived, states
from journey_stream.broker import EmbeddedKafka
from journey_stream.deployment import assemble
from journey_stream.engine.store import LAYOUT_KEY
from journey_stream.kafka.changelog import META_KEY, read_changelog
from journey_stream.kafka.checkpoint import Writer
from journey_stream.kafka.engines import Engines
from journey_stream.kafka.topics import ensure_topics
from journey_stream.settings import Codec, Settings, TopicNames

AT_ONCE = 5_000
"""Records of one transaction."""
TAIL = 10_000


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=30, help="of the shop, whose states are written")
    parser.add_argument("--core", choices=("auto", "python", "compiled"), default="auto")
    parser.add_argument("--compression", default="none", choices=get_args(Codec))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # Not `kafka_in`: a `lasting` one is slower in its first minutes, and this is over by then.
        kafka = EmbeddedKafka(Path(folder))
        kafka.start()
        try:
            asyncio.run(measure(kafka.bootstrap, chosen))
        finally:
            kafka.kill()


async def measure(bootstrap: str, chosen: Any) -> None:
    """Write, and read back."""
    settings = Settings(bootstrap_servers=bootstrap, partitions=1, source_partitions=1, core=chosen.core)
    client = {"bootstrap_servers": bootstrap}
    await ensure_topics(settings)
    names = TopicNames.of(settings)
    topic = names.changelog
    made = assemble(settings)
    program = made.program
    blobs = list(states(lived(1_000, chosen.days), known=True).values())
    say(f"writing {chosen.records:,} records, {statistics.fmean(map(len, blobs)):.0f} bytes each on average")
    writer = Writer(
        client, application_id="bench", partition=0, partitions=1,
        internal_compression=chosen.compression,
    )  # fmt: skip
    await writer.start()
    layout = ((LAYOUT_KEY + program.fingerprint.hex()).encode(), program.layout_bytes)
    await writer.commit([], topic, [layout], {(names.events, 0): 1})
    for start in range(0, chosen.records, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, chosen.records))
        rows = [(f"c-{number:08d}".encode(), blobs[number % len(blobs)]) for number in numbers]
        await writer.commit([], topic, [*rows, (META_KEY, b"meta")], {(names.events, 0): start + 1})
    await writer.stop()
    for name, offset in (("all", 0), ("the tail", writer.changelog_end - TAIL)):
        partition = Engines(made)()

        def keep(key: bytes, state: bytes | None, load: Any = partition.load) -> None:
            load(key.decode(), state)

        run = getattr(partition, "load_run", None)
        began = time.perf_counter()
        await read_changelog(client, topic, 0, keep, lambda at, end: None, from_offset=offset, run=run)
        assert partition.next_due
        seconds = time.perf_counter() - began
        count = len(partition)
        print(f"{name}: {count:,} states in {seconds:.1f} s, {count / seconds:,.0f} a second")


if __name__ == "__main__":
    main()
