"""What the wire costs: sends of the hop, transactions, fetches, a restore; on an embedded Kafka.

Enters: a running Kafka. Leaves: runs for `fit` with the CPU of this process, the CPU of the broker, bytes on
the wire and bytes on disk, and how long transactions take. Strategy: the worker's own `Sender`, `Writer` and
`read_changelog`, driven from here in designed numbers; bytes are counted where asyncio writes and reads them.
Where the compiled core is installed it reads what is fetched, and batches are finished before they come here:
what that costs is told by `core`.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.capacity import core
from benchmarks.capacity.fit import Run
from journey_stream.broker import EmbeddedKafka
from journey_stream.kafka import hop
from journey_stream.kafka.changelog import META_KEY, read_changelog
from journey_stream.kafka.checkpoint import Writer
from journey_stream.kafka.engines import PACKAGE
from journey_stream.kafka.fetched import read_compiled
from journey_stream.kafka.loops import use_fast_loop
from journey_stream.kafka.sender import Row, Sender
from journey_stream.values import Out

COMPILED = find_spec(PACKAGE) is not None
PARTITIONS = 64
WARM_SECONDS = 80.0
OUT_BYTES = 1_400
STATE_BYTES = 2_500


class Spent(msgspec.Struct):
    """What went by between two moments."""

    seconds: float = 0.0
    cpu: float = 0.0
    """Microseconds of this process."""
    broker: float = 0.0
    """Microseconds of the broker's process."""
    sent: float = 0.0
    received: float = 0.0
    """Bytes of this process on the wire."""


class Meter:
    """Watches this process and the broker."""

    def __init__(self, kafka: EmbeddedKafka) -> None:
        self._pid = pid_of(kafka)
        self.sent = self.received = 0
        self._idle = 0.0
        self._count_bytes()

    async def rest(self, times: int) -> None:
        """Learn what the broker spends with nothing to do, at least: it is left out of what follows."""
        found = []
        for _ in range(times):
            before = cpu_of(self._pid)
            await asyncio.sleep(1.0)
            found.append(cpu_of(self._pid) - before)
        self._idle = min(found)

    def _count_bytes(self) -> None:
        write, read = asyncio.StreamWriter.write, asyncio.StreamReader.readexactly
        writelines = asyncio.StreamWriter.writelines

        def counted_write(stream: Any, data: Any) -> None:
            self.sent += len(data)
            write(stream, data)

        def counted_pieces(stream: Any, pieces: Any) -> None:
            listed = list(pieces)
            self.sent += sum(map(len, listed))
            writelines(stream, listed)

        async def counted_read(stream: Any, n: int) -> bytes:
            self.received += n
            return await read(stream, n)

        asyncio.StreamWriter.write = counted_write  # type: ignore[assignment,method-assign]
        asyncio.StreamWriter.writelines = counted_pieces  # type: ignore[assignment,method-assign]
        asyncio.StreamReader.readexactly = counted_read  # type: ignore[assignment,method-assign]

    @contextmanager
    def spent(self) -> Iterator[Spent]:
        """Measure what happens inside."""
        found = Spent()
        before = time.perf_counter(), time.process_time(), cpu_of(self._pid), self.sent, self.received
        yield found
        found.seconds = time.perf_counter() - before[0]
        found.cpu = (time.process_time() - before[1]) * 1e6
        found.broker = max(0.0, cpu_of(self._pid) - before[2] - self._idle * found.seconds) * 1e6
        found.sent, found.received = self.sent - before[3], self.received - before[4]


def pid_of(kafka: EmbeddedKafka) -> int:
    """The broker's own process, which a keeper has started."""
    assert kafka._process is not None
    keeper = kafka._process.pid
    return int(Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()[0])


def cpu_of(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Wired(msgspec.Struct):
    """Runs by what they cost."""

    cpu: list[Run] = []
    broker: list[Run] = []
    bytes: list[Run] = []

    def take(self, name: str, counts: dict[str, float], spent: Spent) -> None:
        """Add a run; bytes are those of both directions."""
        self.cpu.append(Run(name, counts, spent.cpu))
        self.broker.append(Run(name, counts, max(spent.broker, 1.0)))
        self.bytes.append(Run(name, counts, spent.sent + spent.received))


class Transactions(msgspec.Struct):
    """Transactions beside one another."""

    writers: int
    rate: float
    """A second."""
    p50: float
    p99: float
    """Seconds."""
    cpu: float
    broker: float
    """Microseconds each, of this process and of the broker."""


class Measured(msgspec.Struct):
    """All of it."""

    hop: Wired
    commit: Wired
    commit_seconds: list[Run]
    beside: list[Transactions]
    fetch: Wired
    disk: list[Run]
    offset_broker: float
    """Microseconds of the broker to note one offset of a group."""
    restore_cpu: float
    """Microseconds a record of the changelog."""
    restore_seconds: float
    """Likewise, with all waits."""
    restore_bytes: float


def measure(kafka: EmbeddedKafka, turns: float = 1.0) -> Measured:
    """Do it all; `turns` = 1 takes about three minutes."""
    use_fast_loop()
    with asyncio.Runner() as runner:
        return runner.run(_measure(kafka, turns))


async def _measure(kafka: EmbeddedKafka, turns: float) -> Measured:
    client, meter = {"bootstrap_servers": kafka.bootstrap}, Meter(kafka)
    await create(kafka, {"wire.events": PARTITIONS, "wire.restore": 1})
    for topic in ("transitions", "signals", "stages", "changelog"):
        await create(kafka, {f"wire.{topic}": PARTITIONS})
    # The broker's machine compiles what it runs often: that is over in production.
    for count in (4, 16):
        await _beside(client, meter, count, WARM_SECONDS / 2 * turns)
    await meter.rest(4)
    hops = await _hop(client, meter, turns)
    fetch = await _fetch(client, meter)
    beside = [await _beside(client, meter, count, 2.0 * turns) for count in (16, 4, 1)]
    commit, seconds, disk = await _commits(kafka, client, meter, turns)
    restored = await _restore(client, meter, int(20_000 * turns))
    offset = await _offsets(client, meter, int(600 * turns))
    return Measured(hops, commit, seconds, beside, fetch, disk, offset, *restored)


async def create(kafka: EmbeddedKafka, topics: dict[str, int]) -> None:
    """Make topics, and wait until they are there."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, count, 1) for name, count in topics.items()])
        while not topics.keys() <= set(await admin.list_topics()):
            await asyncio.sleep(0.1)
    finally:
        await admin.close()


def rows_of(count: int, offset: int = 0) -> list[Row]:
    """Rows of the hop."""
    header = hop.packer(core.SOURCE)
    return [
        (
            f"c{n}".encode(),
            core.value_of(False, f"c{n}", n, core.BEGAN),
            [(hop.HEADER, header(hop.EVENT, (offset + n) * 2, core.BEGAN))],
        )
        for n in range(count)
    ]


async def _hop(client: dict[str, Any], meter: Meter, turns: float) -> Wired:
    """Batches of intake, spread over more or fewer partitions."""
    found, sender = Wired(), Sender(client, 1 << 20)
    await sender.start()
    try:
        for count, spread in ((64, 1), (64, 64), (16, 16), (512, 1), (512, 64), (2_048, 16), (4, 1)):
            each = rows_of(count)
            split = {p: each[p::spread] for p in range(spread)}
            times = max(6, int(turns * 60 * 64 / (spread + count / 16)))
            warm = times // 10 + 1
            sends = [
                [
                    sender.send_ready("wire.events", p, finished(rows, transactional=False))
                    if COMPILED
                    else sender.send("wire.events", p, rows)
                    for p, rows in split.items()
                ]
                for _ in range(warm + times)
            ]
            for each_time in sends[:warm]:
                await asyncio.gather(*each_time)
            with meter.spent() as spent:
                for each_time in sends[warm:]:
                    await asyncio.gather(*each_time)
            counts = {"sends": 1.0, "batches": float(spread), "rows": float(count)}
            found.take(
                f"{count} rows over {spread}", {k: v * times for k, v in counts.items()}, spent
            )  # fmt: skip
    finally:
        await sender.stop()
    return found


async def _fetch(client: dict[str, Any], meter: Meter) -> Wired:
    """Read what was sent: many records a fetch, and few."""
    found = Wired()
    partitions = [TopicPartition("wire.events", p) for p in range(PARTITIONS)]
    for most, name in ((20_000, "a backlog"), (8, "few at a time")):
        consumer = AIOKafkaConsumer(
            enable_auto_commit=False,
            isolation_level="read_committed",
            max_poll_records=most,
            max_partition_fetch_bytes=(4 << 20) if most > 8 else 4_096,
            fetch_max_wait_ms=100,
            **client,
        )
        await consumer.start()
        try:
            if COMPILED:
                read_compiled(consumer)
            await consumer._client.add_topic("wire.events")
            rows = batches = 0
            with meter.spent() as spent:
                consumer.assign(partitions[:16])
                await consumer.seek_to_beginning()
                began = time.perf_counter()
                while not rows or time.perf_counter() - began < 2.0:
                    got = await consumer.getmany(timeout_ms=300 if rows else 5_000)
                    if not got:
                        break
                    batches += len(got)
                    chunks = [chunk for found in got.values() for chunk in found]
                    rows += sum(map(len, chunks)) if COMPILED else len(chunks)
            found.take(name, {"batches": float(batches), "rows": float(rows)}, spent)
        finally:
            await consumer.stop()
    return found


def outs_of(count: int, topics: int) -> list[Out]:
    """Records out."""
    value = b"v" * OUT_BYTES
    names = ("wire.transitions", "wire.stages", "wire.signals")[: max(topics, 1)]
    return [Out(names[n % len(names)], f"c{n}".encode(), value, (), f"c{n}".encode()) for n in range(count)]


def states_of(count: int) -> list[tuple[bytes, bytes | None]]:
    """Changes of state, and the meta record."""
    state = b"s" * STATE_BYTES
    return [*((f"c{n}".encode(), state) for n in range(count)), (META_KEY, b"m" * 400)]


def finished(rows: Sequence[Row], *, transactional: bool) -> Sequence[Any]:
    """Rows as the compiled core gives them, in batches: each can be sent once."""
    import journey_stream_native

    return journey_stream_native.ready_batches(rows, [0] * len(rows), transactional)


def transaction(outs: Sequence[Out], changes: int, partition: int) -> tuple[Any, ...]:
    """What `Writer.commit` takes: records out, so many changes of state, an offset."""
    states, offsets = states_of(changes), {("wire.events", partition): 1}
    if not COMPILED:
        return outs, "wire.changelog", states, offsets
    *states, meta = states
    rows: dict[str, list[Row]] = {"wire.changelog": [(key, state, []) for key, state in states]}
    for out in outs:
        rows.setdefault(out.topic, []).append((out.key, out.value, list(out.headers)))
    ready: Mapping[tuple[str, int], Any] = {
        (topic, partition): finished(several, transactional=True) for topic, several in rows.items()
    }
    return (), "wire.changelog", [meta], offsets, ready


def writer_of(client: dict[str, Any], partition: int) -> Writer:
    """The writer of a keyed partition."""
    return Writer(client, application_id="wire", partition=partition, partitions=PARTITIONS)


async def _commits(
    kafka: EmbeddedKafka, client: dict[str, Any], meter: Meter, turns: float
) -> tuple[Wired, list[Run], list[Run]]:
    """One lane's transactions: nearly empty, usual, large."""
    found, seconds, disk = Wired(), [], []
    writer = writer_of(client, 0)
    await writer.start()
    try:
        for outs, topics, changes, times in (
            (0, 0, 1, 120),
            (3, 3, 10, 100),
            (30, 3, 50, 60),
            (400, 2, 800, 12),
        ):
            some, states = outs_of(outs, topics), states_of(changes)
            times = max(4, int(times * turns))
            transactions = [transaction(some, changes, 0) for _ in range(3 + times)]
            for each in transactions[:3]:
                await writer.commit(*each)
            before, took = disk_bytes(kafka.folder), []
            with meter.spent() as spent:
                for each in transactions[3:]:
                    began = time.perf_counter()
                    await writer.commit(*each)
                    took.append(time.perf_counter() - began)
            name = f"{outs} records in {topics} topics, {changes} states"
            rows = float(outs + changes + 1)
            payload = float(sum(len(o.value or b"") for o in some) + sum(len(s or b"") for _, s in states))
            counts = {"commits": 1.0, "topics": 1.0 + topics, "rows": rows, "KB": payload / 1e3}
            found.take(name, {k: v * times for k, v in counts.items()}, spent)
            seconds.append(Run(name, counts, statistics.median(took)))
            disk.append(Run(name, counts, (disk_bytes(kafka.folder) - before) / times))
    finally:
        await writer.stop()
    return found, seconds, disk


def disk_bytes(folder: Path) -> int:
    """Bytes of all logs."""
    return sum(path.stat().st_size for path in (folder / "data").glob("*/*.log"))


async def _beside(client: dict[str, Any], meter: Meter, count: int, seconds: float) -> Transactions:
    """Several lanes' transactions beside one another, each as soon as the last one is done."""
    writers = [writer_of(client, partition) for partition in range(count)]
    await asyncio.gather(*(writer.start() for writer in writers))
    some, took = outs_of(3, 3), []

    async def work(writer: Writer, partition: int, end: float) -> None:
        while time.perf_counter() < end:
            each = transaction(some, 10, partition)
            began = time.perf_counter()
            await writer.commit(*each)
            took.append(time.perf_counter() - began)

    try:
        await asyncio.gather(*(work(w, p, time.perf_counter() + 0.5) for p, w in enumerate(writers)))
        took.clear()
        with meter.spent() as spent:
            end = time.perf_counter() + seconds
            await asyncio.gather(*(work(w, p, end) for p, w in enumerate(writers)))
    finally:
        await asyncio.gather(*(writer.stop() for writer in writers))
    took.sort()
    each = len(took)
    return Transactions(
        count,
        each / spent.seconds,
        took[each // 2],
        took[each * 99 // 100],
        spent.cpu / each,
        spent.broker / each,
    )


async def _offsets(client: dict[str, Any], meter: Meter, times: int) -> float:
    """Commit offsets of a group, and nothing else."""
    consumer = AIOKafkaConsumer(group_id="wire-offsets", enable_auto_commit=False, **client)
    await consumer.start()
    try:
        await consumer._client.add_topic("wire.events")
        tp = TopicPartition("wire.events", 0)
        consumer.assign([tp])
        await consumer.commit({tp: 1})
        with meter.spent() as spent:
            for offset in range(times):
                await consumer.commit({tp: offset})
        return spent.broker / times
    finally:
        await consumer.stop()


async def _restore(client: dict[str, Any], meter: Meter, count: int) -> tuple[float, float, float]:
    """Fill a changelog with customers at rest and read it back."""
    sender = Sender(client, 1 << 20)
    changes: list[Row] = [(key.encode(), state, []) for key, state in core.states(count)]
    await sender.start()
    try:
        await sender.send("wire.restore", 0, changes)
    finally:
        await sender.stop()
    engine = core.partition_of(core.deployment_of()).engine
    with meter.spent() as spent:
        await read_changelog(
            client,
            "wire.restore",
            0,
            lambda key, state: engine.load(key.decode(), state),
            lambda at, end: None,
            run=getattr(engine, "load_run", None),
        )
    return spent.cpu / count, spent.seconds / count * 1e6, spent.received / count
