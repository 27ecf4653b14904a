"""A worker from source topics to records out, stopped at chosen steps, and what a sorted history says of it.

Everything is the real thing (worker, intake and journey lanes, checkpoint, takeover, engine, encoder) but the
brokers and the clock. A plan says at which step each process dies or is paused, and which requests fail. After
each end another process takes over; a paused one wakes up when the next is at work already, and does not know
that its partitions are gone. `play` gives what is wrong in the end: nothing, if the promises hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from unittest.mock import patch

import msgspec
from faust.types import TP

from journey_stream.encode import Encoder
from journey_stream.engine.partition import Partition
from journey_stream.events.decode import DecodeLimits, Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.kafka import (
    changelog,
    commits,
    hop,
    inbox,
    intake,
    lane,
    progress,
    sender,
    transaction_requests,
    transactions,
)
from journey_stream.kafka import worker as worker_module
from journey_stream.kafka.app import Parts, worker_options
from journey_stream.kafka.aside import Aside
from journey_stream.kafka.changelog import META_KEY
from journey_stream.kafka.meta import JourneyVersion, Meta, read_meta
from journey_stream.kafka.metrics import Metrics
from journey_stream.kafka.versions import Versions
from journey_stream.kafka.worker import JourneyWorker
from journey_stream.settings import Settings, TopicNames
from journey_stream.values import DAY, Event
from tests.engine.histories import PROGRAM, Drawn, lines_of
from tests.kafka.crash import steps
from tests.kafka.crash.broker import Broker
from tests.kafka.crash.clients import Client, Ear, Fault, Group, Producer, Reader, Wire
from tests.kafka.crash.steps import Place, Process, VirtualLoop, VirtualTime

SESSION_SECONDS = 4.0
TOLD_SECONDS = 1.0
"""How long a process that wakes up takes to hear that its partitions are gone."""
REGROUP_SECONDS = 0.3
"""How long a rebalance takes."""
MOST_SECONDS = 200.0
BATCH_BYTES = 1_500
"""So small that one checkpoint takes several batches to a partition."""
SOURCES = ("visits", "purchases")
DECODER = Decoder(BUILT_IN, DecodeLimits())

Line = tuple[int, bytes]
"""Source, and the value of a record."""


@dataclass(frozen=True)
class Stop:
    """The end of one process."""

    step: int
    """At which it comes; none if it has fewer."""
    paused: bool = False
    """Paused instead of killed; it wakes up once the next process is at work."""
    wakes: float = 1.0
    """Seconds from the start of the next process until then."""
    arrives: float | None = None
    """After how long requests arrive that were under way; None = never."""
    pause: float = 0.2
    """Seconds until the next process starts, after a death."""


@dataclass(frozen=True)
class Plan:
    """What happens to whom."""

    stops: Sequence[Stop] = ()
    """Of the first process, the second, ..."""
    faults: Mapping[int, Fault] = field(default_factory=dict)
    """By number of the first process' request."""
    rebalance: int = 0
    """The step of the first process at which its partitions are taken away and given back."""
    newer: bool = True
    """Transactions are those of Kafka 4."""
    slow: float = 0.0
    """Seconds that each request is on its way, and each answer: lanes work on while they commit."""


@dataclass
class Played:
    """What came of it."""

    problems: list[str]
    steps: int
    """Of the first process."""
    requests: list[str]
    """Of the first process, by name."""
    places: set[Place]
    """Where anybody waited."""
    processes: int


def settings(partitions: int, keyed_input: str = "none") -> Settings:
    """A small deployment on event time."""
    return Settings(
        application_id="app",
        topic_prefix="t",
        sources=list(SOURCES),
        partitions=partitions,
        source_partitions=partitions if keyed_input != "none" else 1,
        keyed_input=keyed_input,  # type: ignore[arg-type]
        clock="event",
        idle_after=300_000,
        max_buffered=20,
    )


def lines(history: Sequence[Drawn], sources: Sequence[int], jitter: Sequence[int]) -> list[Line]:
    """Spread a history over the sources, out of order by `jitter`; some records are not JSON."""
    values = zip(lines_of(list(history)), history, strict=True)
    placed = [
        (drawn[1] + jitter[n % len(jitter)], n, sources[n % len(sources)], value)
        for n, (value, drawn) in enumerate(values)
    ]
    found = [(source, value) for _, _, source, value in sorted(placed)]
    for n in range(2, len(found), 7):
        found.insert(n, (sources[n % len(sources)], b"\xff%d" % n))
    return found


def play(
    given: Sequence[Line], until: int, plan: Plan, partitions: int = 1, keyed_input: str = "none"
) -> Played:
    """Run a plan over the records of the sources; `until` is where the clock ends."""
    loop = VirtualLoop()
    chosen = msgspec.structs.replace(settings(partitions, keyed_input), until=until)
    playing = _Play(loop, chosen, given, plan)
    with _silence():
        try:
            return loop.run_until_complete(playing.run())
        finally:
            loop.close()
            for process in playing.processes:
                process.bury()


def _place(number: int, value: bytes, chosen: Settings) -> int:
    """Choose the partition of a source that a record comes to: with `keyed_input` mostly that of its person."""
    event = DECODER.decode(value)
    if number % 4 == 3 or not isinstance(event, Event):
        return number % chosen.source_partitions
    return hop.Partitioner(chosen.source_partitions)(event.person.encode())


class _Aside(Aside):
    """Does work beside the loop, as with the compiled core, in the one thread that there is here."""

    async def _done(self, work: Any, logic: Any, size: int) -> Any:
        await asyncio.sleep(0)
        done = work()
        await asyncio.sleep(0)
        return done


class _Worker(JourneyWorker):
    """Keeps what failed, to be told when nothing goes on."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.aside = _Aside()

    failures: list[str]

    def failed(self, lane: str, where: str, error: BaseException) -> None:
        self.failures.append(f"{lane} {where}: {error!r}")


class _Play:
    def __init__(self, loop: VirtualLoop, chosen: Settings, given: Sequence[Line], plan: Plan) -> None:
        self.settings, self.given, self.plan = chosen, given, plan
        self.names = TopicNames.of(chosen)
        self.time = VirtualTime(loop, (chosen.until or 0) + DAY)
        self.broker = Broker(lambda: self.time.time_ns() // 1000)
        self.broker.counts = dict.fromkeys(self.names.all(), chosen.partitions)
        self.broker.counts |= dict.fromkeys(self.names.sources, chosen.source_partitions)
        for number, (source, value) in enumerate(given):
            place = _place(number, value, chosen)
            self.broker.append((self.names.sources[source], place), [(b"theirs", value, ())])
        self.wires: dict[Process, Wire] = {}
        self.problems: list[str] = []
        self.processes: list[Process] = []
        self.waking: list[asyncio.Future[None]] = []

    async def run(self) -> Played:
        with self._stand_ins():
            try:
                async with asyncio.timeout(MOST_SECONDS):
                    await self._work()
            except (TimeoutError, AssertionError) as error:
                told = [failure for process in self.processes for failure in self.wires[process].failures]
                self.problems.append(f"stuck: {error} after {told[-5:]}")
            for ours in self.waking:
                ours.cancel()
            for process in self.processes:
                process.kill()
            await asyncio.sleep(0)
        first = self.processes[0]
        places = set[Place]().union(*(process.places for process in self.processes))
        return Played(self.problems, first.steps, self.wires[first].names, places, len(self.processes))

    async def _work(self) -> None:
        stops: list[Stop | None] = [*self.plan.stops, None]
        asleep: list[tuple[Process, JourneyWorker, Stop]] = []
        for number, stop in enumerate(stops):
            stopped = asyncio.Event()
            process, worker = self._start(number, stop, stopped)
            for old, its_worker, its_stop in asleep:
                self.waking.append(asyncio.ensure_future(self._wake(old, its_worker, its_stop)))
            asleep.clear()
            done = asyncio.ensure_future(worker.finished.wait())
            dying = asyncio.ensure_future(stopped.wait())
            await asyncio.wait([done, dying], return_when=asyncio.FIRST_COMPLETED)
            ended = not stopped.is_set()
            done.cancel(), dying.cancel()
            if ended:
                process.on_step = lambda step: None
                await process.run(worker.shutdown())
                process.kill()
                break
            assert stop is not None
            if stop.paused:
                asleep.append((process, worker, stop))
            await asyncio.sleep(SESSION_SECONDS if stop.paused else stop.pause)
            self._compare_offsets()
        await asyncio.sleep(1.0)  # what zombies still try, and the markers of the last transaction
        self._compare_offsets()
        self.problems += _wrong(self.broker, self.settings, self.given)

    def _start(self, number: int, stop: Stop | None, stopped: asyncio.Event) -> tuple[Process, JourneyWorker]:
        process = Process(f"worker-{number}")
        self.processes.append(process)
        wire = self.wires[process] = Wire(self.broker, process)
        wire.slow, rebalance = self.plan.slow, 0
        if number == 0:
            wire.faults, rebalance = dict(self.plan.faults), self.plan.rebalance
        if stop is not None:
            wire.arrives = stop.arrives

        def reached(step: int) -> None:
            if step == rebalance:
                process.run(_regroup(worker))
            if stop is not None and step == stop.step:
                if stop.paused:
                    process.pause()
                else:
                    process.kill()
                stopped.set()

        process.on_step = reached
        parts = Parts(
            make_engine=lambda: Partition(PROGRAM, cache=1),
            decoder=DECODER,
            encoder=Encoder(self.names),
            versions=Versions((JourneyVersion("lives", 1, "0"), JourneyVersion("mirror", 2, "0"))),
        )
        worker = _Worker(
            worker_options(self.settings, parts), parts.make_engine, parts.decoder, parts.encoder, Metrics()
        )
        group = Group(wire, worker.deliver)
        worker.consumer = group  # type: ignore[assignment]
        worker.failures = wire.failures
        group.assigned = {
            TP(topic, p) for topic in self.names.sources for p in range(self.settings.source_partitions)
        }
        group.assigned |= {TP(self.names.events, p) for p in range(self.settings.partitions)}
        self.broker.member = process
        process.run(group.pump())
        process.run(worker.partitions_assigned(set(group.assigned)))
        return process, worker

    async def _wake(self, process: Process, worker: JourneyWorker, stop: Stop) -> None:
        await asyncio.sleep(stop.wakes)
        process.wake()
        await asyncio.sleep(TOLD_SECONDS)
        if not process.dead:
            process.run(_regroup(worker))

    def _compare_offsets(self) -> None:
        """The group's offset and the state become visible at one moment."""
        if not self.broker.at_rest:
            return
        for partition, meta in _metas(self.broker, self.names).items():
            committed = self.broker.committed.get((self.names.events, partition))
            if committed != (None if meta is None else meta.oldest):
                self.problems.append(f"the group stands at {committed}, the state at {meta}")
            for source, kept in (meta.direct if meta is not None else {}).items():
                committed = self.broker.committed.get(hop.unpack_source(source))
                if committed != kept.oldest:
                    self.problems.append(
                        f"the group stands at {committed} of {source!r}, the state at {kept}"
                    )

    @contextlib.contextmanager
    def _stand_ins(self) -> Iterator[None]:
        def wire() -> Wire:
            process = steps.current()
            assert process is not None
            return self.wires[process]

        def producer(**more: Any) -> Producer:
            return Producer(wire=wire(), **more)

        def client(**more: Any) -> Client:
            return Client(wire=wire(), **more)

        async def joins_implicitly(client: Any, node: int) -> bool:
            await asyncio.sleep(0)
            return self.plan.newer

        def reader(**more: Any) -> Reader:
            return Reader(wire=wire(), **more)

        with contextlib.ExitStack() as stack:
            for module in (commits, inbox, intake, lane, progress, worker_module):
                stack.enter_context(patch.object(module, "time", self.time))
            stack.enter_context(patch.object(worker_module, "Control", Ear))
            stack.enter_context(patch.object(sender, "MAX_BATCH_BYTES", BATCH_BYTES))
            stack.enter_context(patch.object(sender, "AIOKafkaProducer", producer))
            stack.enter_context(patch.object(transactions, "AIOKafkaClient", client))
            stack.enter_context(patch.object(transaction_requests, "joins_implicitly", joins_implicitly))
            stack.enter_context(patch.object(transactions, "REQUEST_BYTES", 2 * BATCH_BYTES))
            stack.enter_context(patch.object(changelog, "AIOKafkaConsumer", reader))
            yield


async def _regroup(worker: JourneyWorker) -> None:
    """A rebalance: all is taken away, then comes back all, or nothing if the group has another member now."""
    group: Any = worker.consumer
    had, group.assigned = group.assigned, set()
    await worker.partitions_revoked(had)
    await asyncio.sleep(REGROUP_SECONDS)
    group.assigned = had if group.is_member else set()
    await worker.partitions_assigned(set(group.assigned))


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


# What should have come of it


@dataclass(frozen=True)
class Expected:
    """What one partition that gets the events in order says."""

    records: Counter[bytes]
    stages: Mapping[bytes, bytes]
    states: Mapping[str, bytes]


@cache
def expected(values: tuple[bytes, ...], until: int) -> Expected:
    """Let the engine have the sorted history."""
    partition, encoder = Partition(PROGRAM), Encoder(TopicNames.of(settings(1)))
    events = [event for value in values if isinstance(event := DECODER.decode(value), Event)]
    for event in sorted(events, key=lambda e: (e.at, e.event_id)):
        partition.apply(event, event.at)
    partition.fire(until, until)
    drained = partition.drain()
    outs = [out for record in drained.records for out in encoder.encode_all(record)]
    stages = {out.key: _content(out.value) for out in outs if out.topic.endswith(".stages")}
    records = Counter(_content(out.value) for out in outs if not out.topic.endswith(".stages"))
    states = {person: partition.encoded(person) for person in partition.people()}
    return Expected(records, stages, states)  # type: ignore[arg-type]


def _content(value: bytes | None) -> bytes:
    fields = msgspec.json.decode(value or b"null")
    if isinstance(fields, dict):
        fields.pop("decided_at", None)
    return msgspec.json.encode(fields, order="sorted")


def _metas(broker: Broker, names: TopicNames) -> dict[int, Meta | None]:
    found: dict[int, Meta | None] = dict.fromkeys(range(broker.counts[names.changelog]))
    for entry in broker.seen(names.changelog):
        if entry.key == META_KEY:
            found[entry.partition] = read_meta(entry.value or b"")
    return found


def _wrong(broker: Broker, chosen: Settings, given: Sequence[Line]) -> list[str]:
    """Compare what readers see with what the sorted history says."""
    names, until = TopicNames.of(chosen), chosen.until or 0
    wanted = expected(tuple(value for _, value in given), until)
    problems = []
    outs = [*broker.seen(names.transitions), *broker.seen(names.signals)]
    found = Counter(_content(entry.value) for entry in outs)
    for what, difference in (("lost", wanted.records - found), ("unexpected", found - wanted.records)):
        problems += [f"{what} {n} times: {record.decode()}" for record, n in difference.items()]
    stages = {entry.key: _content(entry.value) for entry in broker.seen(names.stages)}
    if stages != wanted.stages:
        problems.append(f"stages: expected {wanted.stages}, found {stages}")
    poison = Counter(value for _, value in given if value.startswith(b"\xff"))
    letters = Counter(entry.value for entry in broker.seen(names.dead_letters))
    if letters != poison:
        problems.append(f"dead letters: expected {poison}, found {letters}")
    states: dict[str, bytes] = {}
    for entry in broker.seen(names.changelog):
        if entry.key is not None and not entry.key.startswith(b"\0"):
            states[entry.key.decode()] = entry.value or b""
    if states != wanted.states:
        problems.append(f"states: expected {wanted.states}, found {states}")
    return problems + open_ends(broker, names)


def open_ends(broker: Broker, names: TopicNames) -> list[str]:
    """Everything is read: at or behind the offset of the keyed topic lie only markers, and what lies before it, too.

    A former owner that wakes up when all is done hands on once more what it had begun with: the hop is at least
    once. Whoever reads on drops that by its coordinates, which are in its headers.
    """
    problems = []
    for partition in range(broker.counts[names.events]):
        tp = (names.events, partition)
        entries, at = broker.logs[tp].entries, broker.committed.get(tp, 0)
        events = [entry for entry in entries[at:] if entry.key is not None or entry.value is None]
        had = {entry.headers for entry in entries[:at]}
        if any(entry.headers not in had for entry in events):
            problems.append(f"{tp}: the group stands at {broker.committed.get(tp)}, before an event")
    for tp in [(topic, p) for topic in names.sources for p in range(broker.counts[topic])]:
        end = len(broker.logs[tp].entries)
        if broker.committed.get(tp, 0) > end:
            problems.append(f"{tp}: ends at {end}, the group at {broker.committed.get(tp)}")
    return problems
