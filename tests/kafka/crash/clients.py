"""Stand-ins for what the worker reaches the brokers with: clients, the changelog's reader, the group.

Each has of aiokafka's interface what the modules under test use, no more. Every request is on its way, has
its effect, and its answer is on its way back: two steps at which a process can die or be paused. What was on
its way when its process died arrives if the script says so, at once or late. A script can also make a request
fail, before or after it had its effect, or make it arrive after its sender has given up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aiokafka.errors import (
    BrokerResponseError,
    ConcurrentTransactions,
    InvalidProducerEpoch,
    KafkaError,
    ProducerFenced,
    RequestTimedOutError,
)
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
    TxnOffsetCommitRequest,
)
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords
from faust.types import TP

from journey_stream.kafka import transaction_requests as newer
from journey_stream.kafka.inbox import Batch, Position
from journey_stream.kafka.transport import Ends
from tests.kafka.crash.broker import Broker, Entry, Row
from tests.kafka.crash.steps import Process

Fault = Literal["refused", "unanswered", "late"]
"""Without effect and told so; with its effect but told otherwise; with its effect only after that."""
LATE_SECONDS = 0.4
FETCHED = 3
"""Entries per fetch: few, so that batches end everywhere."""


class Wire:
    """The way of one process to the brokers."""

    def __init__(self, broker: Broker, process: Process) -> None:
        self.broker, self.process = broker, process
        self.requests = 0
        self.faults: dict[int, Fault] = {}
        """By number of the request."""
        self.names: list[str] = []
        self.failures: list[str] = []
        """What the worker said has failed."""
        self.slow = 0.0
        """Seconds on the way, there and back."""
        self.arrives: float | None = None
        """After how long requests arrive that were on their way when the process died; None = never."""
        self._under_way: dict[int, Callable[[], Any]] = {}
        process.on_death.append(self._dies)

    async def request(self, name: str, effect: Callable[[], Any]) -> Any:
        """Send a request and wait for its answer."""
        self.requests += 1
        number = self.requests
        self.names.append(name)
        fault = self.faults.get(number)
        self._under_way[number] = effect
        await self._travel()
        del self._under_way[number]
        if fault == "refused":
            raise KafkaError(f"{name}: refused")
        if fault == "late":
            asyncio.get_running_loop().call_later(LATE_SECONDS, _arrive, effect)
            raise RequestTimedOutError(name)
        answer = effect()
        await self._travel()
        if fault == "unanswered":
            raise RequestTimedOutError(name)
        return answer

    async def _travel(self) -> None:
        if self.process.dead:
            raise ConnectionError("this process is dead")
        await asyncio.sleep(self.slow)

    def _dies(self) -> None:
        if self.arrives is not None:
            loop = asyncio.get_running_loop()
            for effect in self._under_way.values():
                loop.call_later(self.arrives, _arrive, effect)


def _arrive(effect: Callable[[], Any]) -> None:
    with contextlib.suppress(KafkaError):  # refused, and nobody is there to hear it
        effect()


class Producer:
    """Of AIOKafkaProducer what `sender` uses."""

    def __init__(self, *, wire: Wire, **_: Any) -> None:
        self._wire, self._broker = wire, wire.broker
        self.client = Client(wire=wire)
        self._message_accumulator = _NoBatches()
        self._txn_manager = _NoTransaction()

    async def start(self) -> None:
        await asyncio.sleep(0)

    async def stop(self) -> None:
        await asyncio.sleep(0)

    async def send_batch(
        self, batch: BatchBuilder, topic: str, *, partition: int
    ) -> asyncio.Future[_Acknowledged]:
        rows = _rows(batch._build())
        await asyncio.sleep(0)
        return asyncio.ensure_future(self._deliver((topic, partition), rows))

    async def _deliver(self, tp: tuple[str, int], rows: list[Row]) -> _Acknowledged:
        return _Acknowledged(await self._wire.request(f"send {tp[0]}", lambda: self._broker.append(tp, rows)))


class _NoBatches:
    _pending_batches: tuple[()] = ()
    _batches: Mapping[Any, Any] = {}


class _NoTransaction:
    _transaction_waiter = None


@dataclass(frozen=True)
class _Acknowledged:
    offset: int


class Client:
    """Of AIOKafkaClient what `transactions` and `sender` use: one broker, which is every coordinator."""

    def __init__(self, *, wire: Wire, **_: Any) -> None:
        self._wire, self._broker = wire, wire.broker
        self.cluster = self

    async def bootstrap(self) -> None:
        await asyncio.sleep(0)

    async def close(self) -> None:
        await asyncio.sleep(0)

    def leader_for_partition(self, tp: Any) -> int:
        return 0

    async def coordinator_lookup(self, kind: Any, key: str) -> int:
        await self._wire.request("coordinator", lambda: None)
        return 0

    async def ready(self, node: int, *, group: Any) -> bool:
        await asyncio.sleep(0)
        return True

    async def force_metadata_update(self) -> bool:
        await asyncio.sleep(0)
        return True

    async def _wait_on_metadata(self, topic: str) -> set[int]:
        return set(range(await self._wire.request("metadata", lambda: self._broker.counts[topic])))

    async def _metadata_update(self, found: Any, topics: list[str]) -> bool:
        counts = self._broker.counts
        await self._wire.request("metadata", lambda: None)
        found._partitions = {topic: dict.fromkeys(range(counts[topic])) for topic in topics}
        return True

    async def send(self, node: int, request: Any, group: Any = None) -> Any:
        """Have a request of a transaction done; gives its answer, as aiokafka would read it."""
        name, effect = self._meaning(request)
        return await self._wire.request(name, effect)

    def _meaning(self, request: Any) -> tuple[str, Callable[[], Any]]:
        broker, who, by = self._broker, *_sender(request)
        match request:
            case InitProducerIdRequest():
                return "fence", lambda: _fenced(broker, who)
            case AddPartitionsToTxnRequest():
                places = [(topic, p) for topic, several in request._topics for p in several]
                return "add partitions", lambda: _Answer(
                    errors=_coded(places, lambda place: broker.add_partition(*by, place))
                )
            case AddOffsetsToTxnRequest():
                return "add offsets", lambda: _Answer(_code(lambda: broker.add_offsets(*by)))
            case TxnOffsetCommitRequest():
                offsets = {(topic, p): at for topic, several in request._topics for p, at, _ in several}
                return "commit offsets", lambda: _offsets(broker, by, offsets, joins=False)
            case newer.Offsets():
                offsets = {(topic, p): at for topic, several, _ in request.topics for p, at, *_ in several}
                return "commit offsets", lambda: _offsets(broker, by, offsets, joins=True)
            case EndTxnRequest():
                committed = request._transaction_result
                return _end(committed), lambda: _ended(broker, by, committed, moves_on=False)
            case newer.End():
                committed = request.transaction_result
                return _end(committed), lambda: _ended(broker, by, committed, moves_on=True)
            case ProduceRequest():
                return _produce(request._topics), lambda: _produced(broker, who, request._topics, joins=False)
            case newer.Produce():
                return _produce(request.topics), lambda: _produced(broker, who, request.topics, joins=True)
        raise AssertionError(request)


@dataclass
class _Answer:
    """Of every answer what `transactions` looks at."""

    error_code: int = 0
    errors: list[tuple[str, list[tuple[int, int]]]] = field(default_factory=list)
    topics: list[tuple[str, list[tuple[int, int, int]]]] = field(default_factory=list)
    producer_id: int = 1
    producer_epoch: int = -1


def _sender(request: Any) -> tuple[str, tuple[str, int]]:
    """Whose it is, also with the epoch."""
    own = {name.removeprefix("_"): each for name, each in vars(request).items()}
    return own["transactional_id"], (own["transactional_id"], own.get("producer_epoch", -1))


def _end(committed: bool) -> str:
    return "commit" if committed else "abort"


def _produce(topics: list[tuple[str, Any]]) -> str:
    return f"produce {' '.join(topic for topic, _ in topics)}"


def _offsets(broker: Broker, by: Any, offsets: dict[tuple[str, int], int], *, joins: bool) -> _Answer:
    return _Answer(
        errors=_coded(offsets, lambda at: broker.commit_offsets(*by, {at: offsets[at]}, joins=joins))
    )


def _ended(broker: Broker, by: Any, committed: bool, *, moves_on: bool) -> _Answer:
    answer = _Answer()

    def end() -> None:
        outcome: Any = "committed" if committed else "aborted"
        answer.producer_epoch = broker.end_transaction(*by, outcome, moves_on=moves_on)

    answer.error_code = _code(end)
    return answer


def _code(effect: Callable[[], Any]) -> int:
    """What the brokers answer to what they refuse."""
    try:
        effect()
    except ProducerFenced:
        return InvalidProducerEpoch.errno
    except BrokerResponseError as error:
        return error.errno
    return 0


def _coded(
    places: Iterable[tuple[str, int]], effect: Callable[[tuple[str, int]], Any]
) -> list[tuple[str, list[tuple[int, int]]]]:
    return [(place[0], [(place[1], _code(lambda place=place: effect(place)))]) for place in places]


def _fenced(broker: Broker, name: str) -> _Answer:
    try:
        return _Answer(producer_epoch=broker.begin_epoch(name))
    except ConcurrentTransactions as error:
        return _Answer(error.errno)


def _produced(
    broker: Broker, name: str, topics: list[tuple[str, list[tuple[int, bytes]]]], *, joins: bool
) -> _Answer:
    answer = _Answer()
    for topic, batches in topics:
        for partition, batch in batches:
            place, offsets = (topic, partition), [-1]

            def write(place: Any = place, batch: bytes = batch, offsets: list[int] = offsets) -> None:
                head = DefaultRecordBatch(bytearray(batch))
                offsets[0] = broker.produce(
                    name, head.producer_epoch, place, _rows(batch), head.base_sequence, joins=joins
                )

            code = _code(write)
            answer.topics.append((topic, [(partition, code, offsets[0])]))
    return answer


def _rows(batch: bytes) -> list[Row]:
    records = MemoryRecords(bytes(batch))
    found: list[Row] = []
    while (part := records.next_batch()) is not None:
        found += [(r.key, r.value, tuple(r.headers)) for r in part]
    return found


class Reader:
    """Of AIOKafkaConsumer what `changelog` uses."""

    def __init__(self, *, wire: Wire, isolation_level: str = "read_uncommitted", **_: Any) -> None:
        self._wire, self._broker, self._isolation = wire, wire.broker, isolation_level
        self._client = self
        self._tp: Any = None
        self._at = 0

    async def start(self) -> None:
        await asyncio.sleep(0)

    async def stop(self) -> None:
        await asyncio.sleep(0)

    async def _wait_on_metadata(self, topic: str) -> set[int]:
        return set(range(await self._wire.request("metadata", lambda: self._broker.counts[topic])))

    def assign(self, tps: list[Any]) -> None:
        (self._tp,) = tps

    async def beginning_offsets(self, tps: list[Any]) -> dict[Any, int]:
        return {self._tp: await self._wire.request("first", lambda: 0)}

    def seek(self, tp: Any, offset: int) -> None:
        self._at = offset

    async def end_offsets(self, tps: list[Any]) -> dict[Any, int]:
        end = await self._wire.request("end", lambda: self._broker.end(tuple(self._tp), self._isolation))
        return {self._tp: end}

    async def position(self, tp: Any) -> int:
        await asyncio.sleep(0)
        return self._at

    async def getmany(self, tp: Any, timeout_ms: int) -> dict[Any, list[Entry]]:
        found, at = await self._wire.request(
            "fetch", lambda: self._broker.read(tuple(tp), self._at, FETCHED, self._isolation)
        )
        if at == self._at:
            await asyncio.sleep(timeout_ms / 1000)
        self._at = at
        return {tp: found}


class Ear:
    """Of `control.Control` what the worker uses; nobody pauses anything here."""

    def __init__(self, *_: Any) -> None: ...

    async def known(self) -> None: ...

    def stop(self) -> None: ...

    def tell(self, lanes: Iterable[Any]) -> list[Any]:
        return []


class Group:
    """Of `transport.BatchConsumer` and its thread what the worker uses: positions, batches, commits."""

    def __init__(self, wire: Wire, deliver: Callable[[TP, Batch], None]) -> None:
        self._wire, self._broker = wire, wire.broker
        self._deliver = deliver
        self._at: dict[TP, Position] = {}
        self._reads: dict[TP, int] = {}
        self.held: frozenset[TP] = frozenset()
        self.assigned: set[TP] = set()
        self.thread = self

    def hurry(self) -> None:
        """Fetches here have no pauses."""

    @property
    def is_member(self) -> bool:
        """Whether no other process has taken the place of this one in the group."""
        return self._broker.member is self._wire.process

    def hold(self, tp: TP) -> None:
        self.held |= {tp}

    def release(self, tp: TP) -> None:
        self.held -= {tp}

    async def run(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return await work()

    def broken(self) -> None:
        return None

    async def seek_to(
        self, wanted: Mapping[TP, int | None]
    ) -> tuple[dict[TP, Position], dict[TP, tuple[int, int]]]:
        await self._wire.request("first", lambda: None)
        found = {}
        for tp, offset in wanted.items():
            if tp in self.assigned:
                before = self._at.get(tp)
                found[tp] = Position(1 if before is None else before.epoch + 1, offset or 0)
                self._at[tp], self._reads[tp] = found[tp], offset or 0
        return found, {}

    async def committed_offsets(self, tps: Iterable[TP]) -> dict[TP, int | None]:
        wanted = list(tps)
        return await self._wire.request(
            "committed", lambda: {tp: self._broker.committed.get(tuple(tp)) for tp in wanted}
        )

    async def commit_offsets(self, offsets: Mapping[TP, int]) -> None:
        plain = {tuple(tp): offset for tp, offset in offsets.items()}
        await self._wire.request("group commit", lambda: self._broker.commit(self._wire.process, plain))

    async def bounds(self, tp: TP) -> tuple[int, int]:
        return await self._wire.request("bounds", lambda: (0, self._broker.end(tuple(tp), "read_committed")))

    async def ends(self, tps: list[TP]) -> dict[TP, Ends]:
        ends = await self._wire.request(
            "ends", lambda: {tp: self._broker.end(tuple(tp), "read_committed") for tp in tps}
        )
        return {tp: Ends(self._reads.get(tp), end, self._reads.get(tp, 0)) for tp, end in ends.items()}

    async def pump(self) -> None:
        """Fetch for ever what nobody holds back, and hand it to the lanes."""
        while True:
            found = False
            for tp in sorted(self.assigned - self.held):
                if tp not in self._at:
                    continue
                start, epoch = self._reads[tp], self._at[tp].epoch
                records, at = self._broker.read(tuple(tp), start, FETCHED, "read_committed")
                if records:
                    self._reads[tp] = records[-1].offset + 1
                    self._deliver(tp, Batch(list(records), epoch, start))
                    found = True
                else:
                    self._reads[tp] = max(start, at)
            await asyncio.sleep(0 if found else 0.05)
