"""`python -m benchmarks.latency`: how soon a `read_committed` reader hears of an event; what a backlog takes.

Enters: options (`--help`). Leaves: a table and a JSON file. Strategy: one embedded Kafka, one worker process
with the five models and one more that raises a signal for every order, wall clock. First it finds a backlog
waiting (events a second between 5 % and 95 % of the signals), then events come at a steady rate (time from
`send` of an order to the receipt of its signal). A first run is not counted: Java compiles the broker
meanwhile. So many of the events are orders (`--orders`), the others page views: orders alone, the default,
are ten times the records out of a usual shop. With `--variant NAME=KEY:VALUE,...` several settings take turns
in one run, so that their ratio means something on a busy machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.measuring import command, kafka_in, say
from journey_stream.settings import SHIPPED_JOURNEYS
from journey_stream.values import rfc3339

PROBE = """\
journey: probe
version: 1
start: here
stages: {here: {kind: prospect}, there: {kind: retention}}
transitions: [{id: never, from: there, to: here, event: quote_expired}]
signals: [{id: heard, title: Heard, event: order_completed, owner: bench, payload: {id: event.order_id}}]
"""
SOURCE = "purchases"
CUSTOMERS = 3_000
WARM_SECONDS = 4.0


class Probe:
    """Sends events to one deployment and hears its signals."""

    def __init__(self, bootstrap: str, prefix: str, orders: float = 1.0) -> None:
        self.bootstrap, self.topic = bootstrap, f"{prefix}.{SOURCE}"
        self._orders, self._random = orders, random.Random(1)
        self.signals = f"{prefix}.signals"
        self.sent: dict[str, float] = {}
        self.heard: dict[str, float] = {}
        self._numbers = 0

    def event(self) -> tuple[bytes, bytes]:
        """The next event: customer and value. When an order was sent is noted."""
        self._numbers += 1
        number = str(self._numbers)
        customer = f"c{self._numbers * 7919 % CUSTOMERS}"
        is_order = self._random.random() < self._orders
        if is_order:
            self.sent[number] = time.perf_counter()
        value = {
            "event_id": number,
            "type": "order_completed" if is_order else "page_viewed",
            "occurred_at": rfc3339(time.time_ns() // 1000),
            "customer_id": customer,
            "properties": {"order_id": number, "total": 10.0} if is_order else {"title": "A page"},
        }
        return customer.encode(), msgspec.json.encode(value)

    async def listen(self) -> None:
        """Note when each signal is received."""
        consumer = AIOKafkaConsumer(
            self.signals,
            bootstrap_servers=self.bootstrap,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=50,
        )
        await consumer.start()
        try:
            while True:
                found = await consumer.getmany(timeout_ms=100)
                now = time.perf_counter()
                for records in found.values():
                    for record in records:
                        value = msgspec.json.decode(record.value)
                        if value.get("signal") == "heard":
                            self.heard.setdefault(value["payload"]["id"], now)
        finally:
            await consumer.stop()

    async def fill(self, count: int) -> None:
        """Send a backlog as fast as it goes."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, linger_ms=20, max_batch_size=1 << 18)
        await producer.start()
        for _ in range(count):
            key, value = self.event()
            await producer.send(self.topic, value, key)
        await producer.stop()

    async def pace(self, rate: int, seconds: float) -> list[float]:
        """Send at a steady rate; gives the latencies of what was sent after the first seconds, in order."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, linger_ms=0)
        await producer.start()
        began, done = time.perf_counter(), 0
        mine: list[str] = []
        while (at := time.perf_counter() - began) < seconds + WARM_SECONDS:
            for _ in range(int(at * rate) - done):
                key, value = self.event()
                await producer.send(self.topic, value, key)
                done += 1
                if at >= WARM_SECONDS and str(self._numbers) in self.sent:
                    mine.append(str(self._numbers))
            await asyncio.sleep(0.005)
        await producer.stop()
        await self.all_heard()
        return sorted(self.heard[number] - self.sent[number] for number in mine)

    async def all_heard(self, seconds: float = 300.0) -> None:
        """Wait for every signal."""
        async with asyncio.timeout(seconds):
            while len(self.heard) < len(self.sent):
                await asyncio.sleep(0.2)


async def run(kafka: str, name: str, chosen: list[str], options: argparse.Namespace, folder: Path) -> Any:
    """Run one variant once: backlog, then each rate."""
    prefix = f"l{time.monotonic_ns() % 10**9}"
    words = ["--bootstrap-servers", kafka, "--topic-prefix", prefix, "--application-id", prefix]
    words += ["--set", "web.port=0", "--set", "log_level=warning", *chosen]
    command("topics", "--create", *words)
    definition = folder / "probe.yaml"
    definition.write_text(PROBE, encoding="utf-8")
    probe = Probe(kafka, prefix, options.orders)
    await probe.fill(options.backlog)
    listening = asyncio.create_task(probe.listen())
    journeys = [word for each in (*SHIPPED_JOURNEYS, str(definition)) for word in ("--journeys", each)]
    worker = subprocess.Popen([sys.executable, "-m", "journey_stream", "worker", *words, *journeys])
    result: dict[str, Any] = {}
    try:
        await probe.all_heard()
        times = sorted(probe.heard.values())
        low, high = times[len(times) // 20], times[len(times) * 19 // 20]
        result["backlog events/s"] = 0.9 * options.backlog / (high - low)
        for rate in options.rates:
            found = await probe.pace(rate, options.seconds)
            result[f"{rate}/s p50 ms"] = 1e3 * found[len(found) // 2]
            result[f"{rate}/s p99 ms"] = 1e3 * found[len(found) * 99 // 100]
        say(f"{name}: " + ", ".join(f"{what} {figure:,.0f}" for what, figure in result.items()))
    finally:
        worker.terminate()
        worker.wait()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    return result


def variant(text: str) -> tuple[str, list[str]]:
    """Read `NAME=KEY:VALUE,KEY:VALUE`."""
    name, _, rest = text.partition("=")
    pairs = [pair.partition(":") for pair in rest.split(",") if pair]
    return name, [word for key, _, value in pairs for word in ("--set", f"{key}={value}")]


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.latency",
        description=__doc__.splitlines()[0],
        epilog="example: --variant now= --variant 'fixed=checkpoint.interval:100ms,checkpoint.longest:100ms'",
    )
    parser.add_argument("--rates", type=int, nargs="+", default=[500, 2000], help="events a second")
    parser.add_argument("--seconds", type=float, default=20, help="at each rate")
    parser.add_argument("--warm", type=float, default=75, help="seconds before anything counts")
    parser.add_argument("--backlog", type=int, default=60_000, help="events that wait at the start")
    parser.add_argument("--orders", type=float, default=1.0, help="share of the events that are orders")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--variant", action="append", type=variant, help="NAME=KEY:VALUE,... (several)")
    parser.add_argument("--out", type=Path, default=Path("latency-result.json"))
    options = parser.parse_args()
    variants = options.variant or [("now", [])]
    figures: dict[str, list[dict[str, float]]] = defaultdict(list)
    with (
        tempfile.TemporaryDirectory(prefix="journey-stream-latency-") as folder,
        kafka_in(Path(folder) / "kafka") as kafka,
    ):
        warm = argparse.Namespace(**{**vars(options), "seconds": options.warm, "rates": options.rates[-1:]})
        asyncio.run(run(kafka.bootstrap, "not counted", variants[0][1], warm, Path(folder)))
        for _ in range(options.repeats):
            for name, chosen in variants:
                figures[name].append(asyncio.run(run(kafka.bootstrap, name, chosen, options, Path(folder))))
    medians = {
        name: {what: statistics.median(each[what] for each in runs) for what in runs[0]}
        for name, runs in figures.items()
    }
    first = medians[variants[0][0]]
    print(
        f"\n{'':20}"
        + "".join(f"{name:>14}" for name in medians)
        + (f"{'ratio':>10}" if len(medians) > 1 else "")
    )
    for what in first:
        row = [medians[name][what] for name in medians]
        ratio = f"{row[-1] / row[0]:>10.2f}" if len(row) > 1 else ""
        print(f"{what:20}" + "".join(f"{figure:>14,.0f}" for figure in row) + ratio)
    options.out.write_text(json.dumps({"medians": medians, "runs": figures}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
