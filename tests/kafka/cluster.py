"""What tests against Kafka share: sending, reading everything that is committed, and worker processes."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.kafka.topics import ensure_topics
from journey_stream.settings import Settings, TopicNames
from journey_stream.values import Event
from tests.kafka.tally import TallyEngine

ROOT = Path(__file__).parents[2]
Row = tuple[str, int, bytes | None, bytes | None, Sequence[tuple[str, bytes]]]
"""Topic, partition, key, value, headers."""


def client(settings: Settings) -> dict[str, Any]:
    return {"bootstrap_servers": settings.bootstrap_servers}


async def send(settings: Settings, rows: Iterable[Row]) -> None:
    """Send rows in order and wait until the broker has them."""
    producer = AIOKafkaProducer(
        **client(settings), enable_idempotence=True, linger_ms=5, max_request_size=16 << 20
    )
    await producer.start()
    try:
        sent = []
        for topic, partition, key, value, headers in rows:
            if key is None and value is None:  # which `send` refuses, though brokers take it
                batch = producer.create_batch()
                batch.append(timestamp=None, key=None, value=None, headers=list(headers))
                sent.append(await producer.send_batch(batch, topic, partition=partition))
                continue
            sent.append(await producer.send(topic, value, key, partition=partition, headers=list(headers)))
        for each in sent:
            await each
    finally:
        await producer.stop()


async def read_all(settings: Settings, topic: str) -> list[Any]:
    """Read all that a `read_committed` reader sees."""
    consumer = AIOKafkaConsumer(
        **client(settings),
        isolation_level="read_committed",
        enable_auto_commit=False,
        max_partition_fetch_bytes=20 << 20,
    )
    await consumer.start()
    try:
        await consumer._client._wait_on_metadata(topic)
        tps = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(tps)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(tps)
        records: list[Any] = []
        while any([await consumer.position(tp) < ends[tp] for tp in tps]):
            for fetched in (await consumer.getmany(timeout_ms=200)).values():
                records += fetched
        return records
    finally:
        await consumer.stop()


async def written(settings: Settings, topic: str) -> int:
    """Count what stands in a topic, ends of transactions included: quick, whatever the size."""
    consumer = AIOKafkaConsumer(
        **client(settings), isolation_level="read_committed", enable_auto_commit=False
    )
    await consumer.start()
    try:
        await consumer._client._wait_on_metadata(topic)
        tps = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
        return sum((await consumer.end_offsets(tps)).values())
    finally:
        await consumer.stop()


async def read_values(settings: Settings, topic: str) -> list[dict[str, Any]]:
    return [json.loads(record.value) for record in await read_all(settings, topic)]


async def eventually(check: Callable[[], Any], seconds: float = 120.0) -> Any:
    """Wait until a coroutine function gives something true: long enough for a machine that others use too."""
    import asyncio

    end = time.monotonic() + seconds
    while True:
        found = await check()
        if found:
            return found
        assert time.monotonic() < end, f"still not after {seconds:.0f} s: {check}"
        await asyncio.sleep(0.3)


class WorkerProcess:
    """A worker in a process of its own; `module` is what to run."""

    def __init__(
        self, settings: Settings, folder: Path, *flags: str, module: str = "tests.kafka.tally_worker"
    ) -> None:
        self.number = len(list(folder.glob("worker-*.log"))) + 1
        self.log = folder / f"worker-{self.number}.log"
        config = folder / "settings.yaml"
        config.write_text(yaml_of(settings))
        own = ["worker", "-c", str(config)] if module == "journey_stream" else [str(config)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *own, *flags],
            cwd=ROOT,
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
        )

    def kill(self) -> None:
        """As if the machine had died."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self, seconds: float = 60.0) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds: float = 90.0) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running after {seconds:.0f} s:\n{self.text()[-6000:]}") from None

    def text(self) -> str:
        return self.log.read_text()


@contextlib.contextmanager
def ended(workers: Iterable[WorkerProcess]) -> Any:
    """Leave no process behind."""
    try:
        yield
    finally:
        for worker in workers:
            if worker.process.poll() is None:
                worker.kill()


def yaml_of(settings: Settings) -> str:
    """Write settings as a configuration file: JSON is YAML; times and durations as numbers of seconds and text."""
    return json.dumps(_plain(settings, Settings()))


def _plain(struct: Any, default: Any) -> dict[str, Any]:
    from journey_stream.values import rfc3339

    plain: dict[str, Any] = {}
    for field in msgspec.structs.fields(type(struct)):
        value = getattr(struct, field.name)
        if value == getattr(default, field.name):
            continue
        meta = str(field.type)
        if isinstance(value, msgspec.Struct):
            plain[field.name] = _plain(value, getattr(default, field.name))
        elif "'duration'" in meta:
            plain[field.name] = value / 1_000_000
        elif "'time'" in meta:
            plain[field.name] = rfc3339(value)
        else:
            plain[field.name] = msgspec.to_builtins(value)
    return plain


async def topics(settings: Settings) -> TopicNames:
    """Make the topics of a deployment."""
    await ensure_topics(settings)
    return TopicNames.of(settings)


def tally_oracle(values: Iterable[bytes], until: int) -> set[tuple[str, int, int]]:
    """What the tally engine says of the sorted history: (transition, sequence, orders)."""
    decoder, engine = Decoder(BUILT_IN), TallyEngine()
    events = [event for value in values if isinstance(event := decoder.decode(value), Event)]
    for event in sorted(events, key=lambda e: (e.at, e.event_id)):
        engine.apply(event, 0)
    engine.fire(until, 0)
    return {(t.transition_id, t.sequence, t.attributes["orders"]) for t in engine.records}


def tally_found(records: Iterable[Mapping[str, Any]]) -> list[tuple[str, int, int]]:
    return [(r["transition_id"], r["sequence"], r["attributes"]["orders"]) for r in records]
