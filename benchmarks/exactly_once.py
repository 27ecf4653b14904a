"""`python -m benchmarks.exactly_once`: what transactions cost, by the same worker without them, in one run.

Enters: options (`--help`). Leaves: one line with the ratio of the medians and its spread, and a JSON file on
demand. Strategy: one embedded Kafka, topics filled once; the worker and the worker without transactions
(`without_transactions`) take turns over the same backlog, the order changing with each turn. What counts is
the time between 5 % and 95 % of the events; a run whose records are not those of a replay does not count.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.measuring import Figure, command, kafka_in, say
from benchmarks.shop import PARTITIONS, flags, oracle, run_worker
from journey_stream.broker import EmbeddedKafka
from journey_stream.settings import Settings, TopicNames
from journey_stream.shop.feed import feed
from journey_stream.shop.records import ShopOptions, ShopRecord
from journey_stream.shop.simulate import simulate
from journey_stream.values import DAY

WITH, WITHOUT = "with transactions", "without"
MODULES = {WITH: "journey_stream", WITHOUT: "benchmarks.without_transactions"}
TARGET = 0.25


class Cost(msgspec.Struct):
    """What exactly once costs."""

    events: int
    rates: dict[str, list[float]]
    """Events a second of each run."""
    cpu: dict[str, list[float]]
    """CPU microseconds an event of each run."""

    @property
    def share(self) -> float:
        """Of the throughput without transactions, how much they take: 0.1 = a tenth slower."""
        return 1 - statistics.median(self.rates[WITH]) / statistics.median(self.rates[WITHOUT])

    @property
    def pairs(self) -> list[float]:
        """The same, for each turn by itself."""
        return [1 - a / b for a, b in zip(self.rates[WITH], self.rates[WITHOUT], strict=True)]

    def line(self) -> str:
        """The figures in words."""
        cpu = statistics.median(self.cpu[WITH]) / statistics.median(self.cpu[WITHOUT]) - 1
        paid, plain = (statistics.median(self.rates[name]) for name in (WITH, WITHOUT))
        return (
            f"{self.events:,} events  {len(self.pairs)} turns   transactions cost {self.share:.0%} of "
            f"throughput ({min(self.pairs):.0%} to {max(self.pairs):.0%})  {cpu:+.0%} CPU   "
            f"{paid:,.0f} against {plain:,.0f} events/s   target at most {TARGET:.0%}"
        )

    def plain(self) -> dict[str, Any]:
        """The figures for a machine."""
        return {**msgspec.to_builtins(self), "share": self.share, "pairs": self.pairs}


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.exactly_once", description="What transactions cost in a backlog."
    )
    parser.add_argument("--customers", type=int, default=800)
    parser.add_argument("--days", type=int, default=200)
    parser.add_argument("--browsing", type=float, default=25, help="pages a session looks at besides")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="a JSON file")
    options = parser.parse_args()
    shop = ShopOptions(
        seed=7, customers=options.customers, days=options.days, browsing=options.browsing, cast=False
    )
    with tempfile.TemporaryDirectory(prefix="journey-stream-bench-") as folder:
        cost = asyncio.run(measure(Path(folder), shop, options.repeats))
    print(cost.line())
    if options.out is not None:
        options.out.write_text(json.dumps(cost.plain(), indent=2) + "\n")
    return 0


async def measure(folder: Path, shop: ShopOptions, repeats: int) -> Cost:
    """Fill the topics of a Kafka of its own and let both take turns."""
    records = list(simulate(shop))
    until = shop.start + (shop.days + 200) * DAY
    with kafka_in(folder / "kafka") as kafka:
        figures = await _turns(kafka, records, until, repeats)
    return Cost(
        len(records),
        {name: [figure.rate for figure in runs] for name, runs in figures.items()},
        {name: [figure.cpu for figure in runs] for name, runs in figures.items()},
    )


async def _turns(
    kafka: EmbeddedKafka, records: list[ShopRecord], until: int, repeats: int
) -> dict[str, list[Figure]]:
    settings = Settings(
        bootstrap_servers=kafka.bootstrap,
        topic_prefix="bench",
        application_id="bench",
        partitions=PARTITIONS,
        source_partitions=PARTITIONS,
        clock="event",
        until=until,
    )
    command("topics", "--create", *flags(settings, "bench"))
    topics = dict(zip(settings.sources, TopicNames.of(settings).sources, strict=True))
    await feed(records, topics, {"bootstrap_servers": kafka.bootstrap})
    expected = oracle(settings, records, until)
    figures: dict[str, list[Figure]] = defaultdict(list)
    for turn in range(repeats):
        for name in (WITH, WITHOUT) if turn % 2 == 0 else (WITHOUT, WITH):
            marked = f"{turn}-{name.split()[0]}"
            figure = await run_worker(settings, len(records), expected, marked, module=MODULES[name])
            figures[name].append(figure)
            say(f"turn {turn + 1}: {name} {figure.rate:,.0f} events/s, {figure.cpu:.1f} µs CPU/event")
    return figures


if __name__ == "__main__":
    sys.exit(main())
