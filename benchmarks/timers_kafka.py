"""`python -m benchmarks.timers_kafka`: how late timers are with a real worker on a real Kafka.

Enters: options (`--help`). Leaves: lateness of timers and a JSON file. Strategy: first others act whose
timers are due tomorrow (`--pending`), until the worker has applied all of that. Then customers act at a
steady rate, and count as silent some seconds later: as many timers due a second. Told are what the worker's
own metric says (how far the clock had passed the due time) and, from the records, how long after the due
time on the wall a timer was decided.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from benchmarks.measuring import command, kafka_in, read_all, say
from benchmarks.timers import spread, visit
from journey_stream.broker.embedded import free_port
from journey_stream.values import micros

JOURNEY = """\
journey: visits
version: 1
start: there
stages: {{there: {{kind: retention}}, gone: {{kind: attrition}}}}
transitions:
  - {{id: silent, from: there, to: gone, after: {after}s, since: page_viewed, reason: silence}}
  - {{id: later, from: there, to: gone, after: 1d, since: product_viewed, reason: silence}}
"""
PREFIX = "timers"
_BUCKET = re.compile(r'journey_stream_timer_lateness_seconds_bucket\{le="([^"]+)"\} (\S+)')

_PENDING = re.compile(r"journey_stream_timers_pending\{[^}]*\} (\S+)")


async def act(bootstrap: str, customers: int, rate: int) -> None:
    """Let every customer look at one page, at a steady rate."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=5)
    await producer.start()
    began, done = time.perf_counter(), 0
    while done < customers:
        for _ in range(min(customers, int((time.perf_counter() - began) * rate)) - done):
            person = f"c{done}"
            value = visit(person, time.time_ns() // 1000, person)
            await producer.send(f"{PREFIX}.visits", value, person.encode())
            done += 1
        await asyncio.sleep(0.005)
    await producer.stop()


async def wait_tomorrow(bootstrap: str, customers: int, port: int) -> None:
    """Let others look at a product, as fast as the broker takes it, and wait until their timers are set."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=20, max_batch_size=1 << 20)
    await producer.start()
    for number in range(customers):
        person = f"t{number}"
        value = visit(person, time.time_ns() // 1000, person).replace(b"page_viewed", b"product_viewed")
        value = value.replace(b'"properties":{}', b'"properties":{"product_id":"p"}')
        await producer.send(f"{PREFIX}.visits", value, person.encode())
    await producer.stop()
    say(f"{customers:,} sent")
    while customers and (pending := timers_pending(port)) < customers:
        say(f"{pending:,.0f} timers pending")
        await asyncio.sleep(5)


def timers_pending(port: int) -> float:
    """Ask the worker."""
    return sum(map(float, _PENDING.findall(metrics(port))))


def metrics(port: int) -> str:
    """Read the worker's page; nothing while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
            return str(page.read().decode())
    except OSError:
        return ""


async def lateness(bootstrap: str) -> list[int]:
    """Read how late each timer was decided, in microseconds."""
    late = []
    async for value in read_all(bootstrap, f"{PREFIX}.transitions"):
        record = json.loads(value)
        if record["trigger"] == "timer":
            late.append(moment(record["decided_at"]) - moment(record["occurred_at"]))
    return late


def moment(text: str) -> int:
    """Read a time."""
    return micros(datetime.fromisoformat(text))


def past_the_clock(port: int) -> dict[str, float]:
    """Shares of the worker's histogram: seconds to the share of firings that were at most so late."""
    found = {le: float(count) for le, count in _BUCKET.findall(metrics(port))}
    return {f"within {le} s": count / found["+Inf"] for le, count in found.items() if le != "+Inf"}


async def measure(bootstrap: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run one worker."""
    definition, port = folder / "visits.yaml", free_port()
    definition.write_text(JOURNEY.format(after=options.after), encoding="utf-8")
    words = ["--bootstrap-servers", bootstrap, "--topic-prefix", PREFIX, "--application-id", PREFIX]
    words += ["--set", f"web.port={port}", "--set", "log_level=warning"]
    command("topics", "--create", *words)
    worker = subprocess.Popen(
        [sys.executable, "-m", "journey_stream", "worker", *words, "--journeys", str(definition)]
    )
    try:
        await wait_tomorrow(bootstrap, options.pending, port)
        before = timers_pending(port)
        await act(bootstrap, options.customers, options.rate)
        late: list[int] = []
        async with asyncio.timeout(options.after + 300):
            while len(late) < options.customers:
                await asyncio.sleep(2)
                late = await lateness(bootstrap)
        result: dict[str, Any] = {"timers": len(late), "pending beside": max(0, before)}
        result |= {f"decided after the due time {what}": figure for what, figure in spread(late).items()}
        return result | {"past the clock": past_the_clock(port)}
    finally:
        worker.terminate()
        worker.wait()


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.timers_kafka", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--customers", type=int, default=20_000, help="one timer each")
    parser.add_argument("--rate", type=int, default=2_000, help="customers, later timers, a second")
    parser.add_argument("--after", type=int, default=30, help="seconds from the act to the due time")
    parser.add_argument("--pending", type=int, default=0, help="timers of others, due tomorrow")
    parser.add_argument("--out", type=Path, default=Path("timers-kafka-result.json"))
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="journey-stream-timers-") as folder,
        kafka_in(Path(folder) / "kafka") as kafka,
    ):
        result = asyncio.run(measure(kafka.bootstrap, options, Path(folder)))
    print(json.dumps(result, indent=2))
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
