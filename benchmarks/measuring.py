"""What the benchmarks share: a figure and how it is taken, the Kafka, topics made, filled, read and dropped.

Enters: process ids, ports of metrics pages, addresses. Leaves: figures. Strategy: a run counts between 5 %
and 95 % of its events, so that nobody's start or end counts. Time and CPU are always taken from outside, by
the same clock for everybody: CPU is user and system time of the whole process, all its threads included.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.producer.message_accumulator import BatchBuilder

from journey_stream.broker import EmbeddedKafka

FIRST, LAST = 0.05, 0.95
"""Shares of the events between which a run counts."""
BATCH_BYTES = 512 * 1024
SAMPLES_A_SECOND = 5
PATIENCE = 60.0
"""Seconds until deleted topics must be gone."""


class Figure(msgspec.Struct):
    """What one run gave, between 5 % and 95 % of its events."""

    events: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Events per second of wall time."""
        return self.events / self.seconds

    @property
    def cpu(self) -> float:
        """CPU microseconds per event, of the process alone."""
        return self.cpu_seconds / self.events * 1e6


class Sample(msgspec.Struct):
    """How far a worker was at a moment."""

    read: int
    done: int
    wall: float
    cpu: float


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


_READ = re.compile(r'journey_stream_events_total\{outcome="read",topic="[^"]*"\} (\S+)')
_DONE = re.compile(
    r'journey_stream_engine_outcomes_total\{outcome="(?:applied|duplicate|unknown_person)"\} (\S+)'
)


def sample(port: int, pid: int) -> Sample | None:
    """Look at a worker's metrics page; None while there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
            text = page.read().decode()
        cpu = cpu_seconds(pid)
    except OSError:
        return None
    read, done = (int(sum(float(m[1]) for m in sign.finditer(text))) for sign in (_READ, _DONE))
    return Sample(read, done, time.perf_counter(), cpu)


async def watched(process: subprocess.Popen[bytes], port: int, seconds: float) -> list[Sample]:
    """Look at a worker's metrics page until it ends.

    Raises:
        TimeoutError: it goes on for longer than `seconds`.
    """
    samples: list[Sample] = []
    async with asyncio.timeout(seconds):
        while process.poll() is None:
            now = await asyncio.to_thread(sample, port, process.pid)
            if now:
                samples.append(now)
            await asyncio.sleep(1 / SAMPLES_A_SECOND)
    return samples


def read_progress(port: int, pid: int) -> tuple[int, float, float] | None:
    """Read how many events are done, the time, and the CPU seconds of the process."""
    now = sample(port, pid)
    return now and (now.done, now.wall, now.cpu)


def between(samples: list[tuple[int, float, float]], events: int) -> Figure:
    """Interpolate the moments at which 5 % and 95 % of the events were done."""
    return _figure(events, at(samples, events * FIRST), at(samples, events * LAST))


def from_read_to_done(samples: list[Sample], events: int) -> Figure:
    """From the moment at which 5 % were read to the one at which 95 % were done.

    Where events take two steps, the first may run ahead: what it does early counts, too.
    """
    read = [(one.read, one.wall, one.cpu) for one in samples]
    done = [(one.done, one.wall, one.cpu) for one in samples]
    return _figure(events, at(read, events * FIRST), at(done, events * LAST))


def _figure(events: int, low: tuple[float, float], high: tuple[float, float]) -> Figure:
    return Figure(round(events * (LAST - FIRST)), high[0] - low[0], high[1] - low[1])


def at(samples: list[tuple[int, float, float]], wanted: float) -> tuple[float, float]:
    """Wall and CPU seconds at which `wanted` events were done."""
    before = samples[0]
    for now in samples:
        if now[0] >= wanted:
            share = (wanted - before[0]) / max(1, now[0] - before[0])
            return before[1] + share * (now[1] - before[1]), before[2] + share * (now[2] - before[2])
        before = now
    return before[1], before[2]


def kafka_in(folder: Path) -> EmbeddedKafka:
    """Make the Kafka of a benchmark: it compiles itself as in production, and has room for a backlog.

    Files of deleted topics go at once (see `cleared`), not a minute later, in the midst of another run.
    """
    properties = {"log.segment.delete.delay.ms": "1000"}
    return EmbeddedKafka(folder, heap="1g", lasting=True, properties=properties, tell=say)


async def cleared(kafka: Path) -> None:
    """Wait until what a run left is gone: files of deleted topics, and what the disk has yet to write."""
    await asyncio.sleep(1)  # a broker hears of it a moment later
    ends = time.monotonic() + PATIENCE
    while any((kafka / "data").glob("*-delete")) and time.monotonic() < ends:
        await asyncio.sleep(0.2)
    await asyncio.to_thread(os.sync)


async def create_topics(bootstrap: str, topics: Iterable[str], partitions: int) -> None:
    """Create topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, partitions, 1) for topic in topics])
    finally:
        await admin.close()


async def drop_topics(bootstrap: str, sign: str) -> None:
    """Delete every topic whose name holds a sign: what a run wrote, whoever named it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        names = [name for name in await admin.list_topics() if sign in name]
        if names:
            await admin.delete_topics(names)
    finally:
        await admin.close()


async def fill(bootstrap: str, topic: str, rows: Iterable[tuple[int, bytes | None, bytes]]) -> None:
    """Send rows (partition, key, value) in their order, in large batches."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=BATCH_BYTES)
    await producer.start()
    now = int(time.time() * 1000)
    open_batches: dict[int, BatchBuilder] = {}
    for partition, key, value in rows:
        batch = open_batches.get(partition)
        if batch is None or batch.append(key=key, value=value, timestamp=now) is None:
            if batch is not None:
                await (await producer.send_batch(batch, topic, partition=partition))
            batch = open_batches[partition] = producer.create_batch()
            batch.append(key=key, value=value, timestamp=now)
    for partition, batch in open_batches.items():
        await (await producer.send_batch(batch, topic, partition=partition))
    await producer.stop()


async def count(bootstrap: str, topic: str) -> int:
    """Count the records of a topic."""
    return sum([1 async for _ in read_all(bootstrap, topic)])


async def read_all(bootstrap: str, topic: str) -> AsyncIterator[bytes]:
    """Yield every committed value of a topic up to its end now."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", enable_auto_commit=False
    )
    await consumer.start()
    try:
        await consumer._client.add_topic(topic)
        partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
        if not partitions:
            return
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(p) < ends[p] for p in partitions]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                for record in batch:
                    yield record.value
    finally:
        await consumer.stop()


def command(verb: str, *words: str) -> None:
    """Run a verb of the command line."""
    subprocess.run(
        [sys.executable, "-m", "journey_stream", verb, *words], check=True, stdout=subprocess.DEVNULL
    )


def say(text: str) -> None:
    """Tell a person what is going on."""
    print(text, file=sys.stderr, flush=True)
