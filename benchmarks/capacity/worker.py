"""One real worker on an embedded Kafka, under loads: what the simulation has to foretell.

Enters: a running Kafka. Leaves: per load what the worker and the broker spent, how soon a `read_committed`
reader heard of each event, and what happened (records out, checkpoints, customers changed); last, how fast a
backlog goes. Strategy: `benchmarks.latency` sends and hears; the worker's own metrics tell the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.capacity.wire import cpu_of, pid_of
from benchmarks.latency import CUSTOMERS, PROBE, Probe
from benchmarks.measuring import command
from journey_stream.broker import EmbeddedKafka
from journey_stream.broker.embedded import free_port
from journey_stream.settings import SHIPPED_JOURNEYS

PARTITIONS = 8
SOURCES = 4

_LINE = re.compile(r"^journey_stream_(\w+?)(?:\{([^}]*)\})? (\S+)$", re.MULTILINE)


class Under(msgspec.Struct):
    """A worker under one load. Times in seconds, CPU in cores."""

    rate: float
    """Events a second that were sent; 0: idle."""
    seconds: float
    done: float
    """Events a second that were applied."""
    cpu: float
    broker: float
    p50: float = 0.0
    p99: float = 0.0
    """From the send to the receipt."""
    checkpoints: float = 0.0
    """A second, of all lanes."""
    checkpoint_seconds: float = 0.0
    """One of them, on average."""
    rows_out: float = 0.0
    """An event."""
    timers: float = 0.0
    """An event."""
    kept: float = 0.0
    """Events of the last hour with each customer."""


class Worked(msgspec.Struct):
    """All loads."""

    partitions: int
    customers: int
    backlog: Under
    loads: list[Under]
    rebalance_seconds: float
    """From the revocation to the assignment, when another worker came."""


class Seen(msgspec.Struct):
    """The worker's metrics at one moment."""

    at: float
    cpu: float
    broker: float
    values: dict[str, float]

    def of(self, name: str, label: str = "") -> float:
        """The sum of a metric over its labels, of those that hold `label`."""
        return sum(value for key, value in self.values.items() if key.split("{")[0] == name and label in key)


async def measure(
    kafka: EmbeddedKafka, folder: Path, rates: Sequence[int], seconds: float, backlog: int
) -> Worked:
    """Run one worker: a backlog first, then idle, then each rate."""
    prefix, port, broker = "load", free_port(), pid_of(kafka)
    words = ["--bootstrap-servers", kafka.bootstrap, "--topic-prefix", prefix, "--application-id", prefix]
    words += ["--set", "log_level=warning"]
    command("topics", "--create", *words)
    definition = folder / "probe.yaml"
    definition.write_text(PROBE, encoding="utf-8")
    words += [word for each in (*SHIPPED_JOURNEYS, str(definition)) for word in ("--journeys", each)]
    probe = Probe(kafka.bootstrap, prefix)
    await probe.fill(backlog)
    async with _listening(probe), _running(words, port) as pid:
        seen: list[Seen] = []
        async with asyncio.timeout(240):
            while not seen or applied(seen[-1]) < backlog:
                with contextlib.suppress(OSError):
                    seen.append(await asyncio.to_thread(look, port, pid, broker))
                await asyncio.sleep(0.1)
        begun = next(each for each in seen if applied(each) > 0.1 * backlog)
        ended = next(each for each in seen if applied(each) >= 0.9 * backlog)
        result = _between(0.0, begun, ended)
        await probe.all_heard()
        await asyncio.sleep(2.0)
        loads = []
        for rate in (0, *rates):
            loads.append(await _load(probe, rate, seconds, (port, pid, broker)))
        more = free_port()
        async with _running(words, more) as other:
            async with asyncio.timeout(60):
                while True:
                    with contextlib.suppress(OSError):
                        if look(more, other, broker).of("assigned_partitions"):
                            break
                    await asyncio.sleep(0.3)
            here = look(port, pid, broker)
            count = max(1.0, here.of("rebalance_duration_seconds_count"))
            rebalance = here.of("rebalance_duration_seconds_sum") / count
    return Worked(PARTITIONS, CUSTOMERS, result, loads, rebalance)


async def _load(probe: Probe, rate: int, seconds: float, where: tuple[int, int, int]) -> Under:
    """One rate, at which the first seconds do not count."""
    if not rate:
        before = look(*where)
        await asyncio.sleep(seconds)
        return _between(0.0, before, look(*where))
    sending = asyncio.create_task(probe.pace(rate, seconds))
    await asyncio.sleep(4.5)
    before = await asyncio.to_thread(look, *where)
    await asyncio.sleep(max(0.5, seconds - 1.0))
    after = await asyncio.to_thread(look, *where)
    found = await sending
    under = _between(float(rate), before, after)
    under.p50, under.p99 = found[len(found) // 2], found[len(found) * 99 // 100]
    return under


@contextlib.asynccontextmanager
async def _listening(probe: Probe) -> AsyncIterator[None]:
    task = asyncio.create_task(probe.listen())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def _running(words: Sequence[str], port: int) -> AsyncIterator[int]:
    worker = subprocess.Popen(
        [sys.executable, "-m", "journey_stream", "worker", *words, "--set", f"web.port={port}"]
    )
    try:
        yield worker.pid
    finally:
        worker.terminate()
        await asyncio.to_thread(worker.wait)


def look(port: int, pid: int, broker: int) -> Seen:
    """Read the metrics of the worker, and what it and the broker have spent."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        text = page.read().decode()
    values: dict[str, Any] = {f"{m[1]}{{{m[2] or ''}": float(m[3]) for m in _LINE.finditer(text)}
    return Seen(time.perf_counter(), cpu_of(pid), cpu_of(broker), values)


def applied(seen: Seen) -> float:
    """How many events are done."""
    return seen.of("engine_outcomes_total", '"applied"')


def _between(rate: float, before: Seen, after: Seen) -> Under:
    """What happened from one moment to the other."""
    seconds = after.at - before.at

    def more(name: str, label: str = "") -> float:
        return after.of(name, label) - before.of(name, label)

    events = max(1.0, applied(after) - applied(before))
    commits = more("checkpoints_total", '"committed"')
    transitions = more("transitions_total")
    return Under(
        rate=rate,
        seconds=seconds,
        done=(applied(after) - applied(before)) / seconds,
        cpu=(after.cpu - before.cpu) / seconds,
        broker=(after.broker - before.broker) / seconds,
        checkpoints=commits / seconds,
        checkpoint_seconds=more("checkpoint_duration_seconds_sum") / max(1.0, commits),
        rows_out=(2 * transitions + more("signals_total")) / events,
        timers=more("engine_outcomes_total", '"timers"') / events,
        kept=(applied(before) + applied(after)) / 2 / CUSTOMERS,
    )
