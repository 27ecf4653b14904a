"""Transactions of one transactional id, one after another, in the requests that one takes and no more.

Enters: closed batches by topic and partition, offsets of a group. Leaves: all of them, or nothing. Strategy:
aiokafka's producer hears of batches one by one, and asks its coordinator anew for what each brings: seven
requests and as many tasks a transaction. Here all that goes into one is known before it begins: batches go in
one request a broker, and where a cluster has agreed on the transactions of Kafka 4, three requests are all
(`transaction_requests`). Older ones are told first, in two, which partitions and group take part. Brokers
that move or are away are asked again, until whoever waits has waited enough: to join twice changes nothing,
and a batch keeps its sequence number. Not so offsets and the end: when their answer is lost, the request may
be under way still, and in an older cluster would end the next transaction in its middle. So that is raised,
as is whatever else a broker says, and nobody may use this producer again. Connections and metadata are
aiokafka's.
"""

# ruff: noqa: SLF001 (aiokafka waits for metadata within itself)

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import (
    ConcurrentTransactions,
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    DuplicateSequenceNumber,
    GroupAuthorizationFailedError,
    InvalidProducerEpoch,
    KafkaConnectionError,
    KafkaError,
    LeaderNotAvailableError,
    NodeNotReadyError,
    NoError,
    NotCoordinatorError,
    OperationNotAttempted,
    ProducerFenced,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
    TxnOffsetCommitRequest,
)

from journey_stream.kafka import transaction_requests as requests

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_MS: Final = 30_000
TRANSACTION_TIMEOUT_MS: Final = 60_000
CLOSE_SECONDS: Final = 3.0
REQUEST_BYTES: Final = 8 * 1024 * 1024
"""Of batches in one request; a larger batch goes alone."""
RETRY_SECONDS: Final = 0.1
SOON_SECONDS: Final = 0.02
"""The last transaction is being ended: that takes moments."""
PRODUCER_FENCED: Final = 90
"""Error code of newer brokers, which aiokafka does not know."""
_MOVED: Final = (CoordinatorNotAvailableError, NotCoordinatorError, RequestTimedOutError)
_LATER: Final = (CoordinatorLoadInProgressError, UnknownTopicOrPartitionError)
_SEQUENCES: Final = 2**31

Place = tuple[str, int]
"""Topic and partition."""

Codes = Callable[[Any], Iterable[tuple[str, int]]]
"""Gives the error codes of an answer, each with its topic."""


class Closed(Protocol):
    """A batch that is finished but for its producer: aiokafka's `BatchBuilder`, the core's `ReadyBatch`."""

    def record_count(self) -> int:
        """Count the records."""

    def size(self) -> int:
        """Count the bytes."""

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None: ...

    def _build(self) -> bytes: ...


class Transactions:
    """One call of `commit`, one transaction; after a failure, of no more use."""

    def __init__(self, client: Mapping[str, Any], transactional_id: str) -> None:
        self.client = AIOKafkaClient(request_timeout_ms=REQUEST_TIMEOUT_MS, **client)
        self._id = transactional_id
        self._producer = (-1, -1)
        """Producer id and epoch."""
        self._implicit = False
        """Partitions join with what is written to them, and each end brings a new epoch."""
        self._sequences: defaultdict[Place, int] = defaultdict(int)
        self._coordinators: dict[CoordinationType, int] = {}
        self._missing: set[Place] = set()

    @property
    def waits_for(self) -> str:
        """What the transaction waits for, or was waiting for when it failed."""
        if self._missing:
            names = ", ".join(f"{topic}[{partition}]" for topic, partition in sorted(self._missing))
            return f"the brokers do not take records for {names}"
        return "the coordinator of transactions does not answer"

    async def start(self) -> None:
        """Connect, and fence every older producer of this id.

        Raises:
            KafkaError: no broker answers, or we may not.
        """
        try:
            await self.client.bootstrap()
            coordinator = await self._coordinator(CoordinationType.TRANSACTION, self._id)
            self._implicit = await requests.joins_implicitly(self.client, coordinator)
            request = InitProducerIdRequest(self._id, TRANSACTION_TIMEOUT_MS)
            answer = await self._ask(CoordinationType.TRANSACTION, self._id, request, _one)
        except BaseException:
            await self.stop()
            raise
        self._producer = (answer.producer_id, answer.producer_epoch)

    async def stop(self) -> None:
        """Close connections, within a bounded time."""
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self.client.close(), CLOSE_SECONDS)

    async def commit(
        self,
        batches: Mapping[Place, Iterable[Closed]],
        offsets: Mapping[Place, int],
        group: str,
        acknowledged: Callable[[Place, int], None],
    ) -> None:
        """Write batches, each place's in order, and offsets of a group, in one transaction.

        Batches of a place follow one another only after an acknowledgement, so there is never a gap.

        Args:
            batches: taken one by one, when the one before was acknowledged.
            offsets: how far the group is done with places.
            group: its name.
            acknowledged: told the place and the offset of each batch (-1 where the broker no longer knows
                it), before anything is committed; may raise.

        Raises:
            ProducerFenced: a newer producer of this id has begun.
            KafkaError: something failed; what became of the transaction is not known.
        """
        self._missing = set(batches)
        try:
            for topic in {topic for topic, _ in batches}:
                await self.client._wait_on_metadata(topic)
            if not self._implicit:
                await _all(self._join(list(batches)), self._join_group(offsets, group))
            # One after the other: a broker that verifies both at once refuses one of them for a moment.
            await self._produce({place: iter(each) for place, each in batches.items()}, acknowledged)
            await self._commit_offsets(offsets, group)
            await self._end(committed=True)
        except BaseException:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._end(committed=False), CLOSE_SECONDS)
            raise

    # -- what goes in ----------------------------------------------------------------------------------------

    async def _join(self, places: list[Place]) -> None:
        if places:
            request = AddPartitionsToTxnRequest(self._id, *self._producer, _by_topic(places))
            await self._ask(CoordinationType.TRANSACTION, self._id, request, _each)

    async def _join_group(self, offsets: Mapping[Place, int], group: str) -> None:
        if offsets:
            request = AddOffsetsToTxnRequest(self._id, *self._producer, group)
            await self._ask(CoordinationType.TRANSACTION, self._id, request, _one)

    async def _commit_offsets(self, offsets: Mapping[Place, int], group: str) -> None:
        if offsets:
            request = self._offsets_request(offsets, group)
            await self._ask(CoordinationType.GROUP, group, request, _each, again=False)

    def _offsets_request(self, offsets: Mapping[Place, int], group: str) -> Any:
        topics: defaultdict[str, list[Any]] = defaultdict(list)
        if not self._implicit:
            for (topic, partition), offset in offsets.items():
                topics[topic].append((partition, offset, ""))
            return TxnOffsetCommitRequest(self._id, group, *self._producer, list(topics.items()))
        for (topic, partition), offset in offsets.items():
            topics[topic].append((partition, offset, -1, "", requests.NO_TAGS))
        some = [(*each, requests.NO_TAGS) for each in topics.items()]
        return requests.Offsets(self._id, group, *self._producer, -1, "", None, some, requests.NO_TAGS)

    async def _end(self, *, committed: bool) -> None:
        kind = CoordinationType.TRANSACTION
        if not self._implicit:
            request = EndTxnRequest(self._id, *self._producer, committed)
            await self._ask(kind, self._id, request, _one, again=False)
            return
        end = requests.End(self._id, *self._producer, committed, requests.NO_TAGS)
        answer = await self._ask(kind, self._id, end, _one, again=False)
        self._producer = (answer.producer_id, answer.producer_epoch)
        self._sequences.clear()

    # -- the coordinators ------------------------------------------------------------------------------------

    async def _ask(
        self, kind: CoordinationType, key: str, request: Any, codes: Codes, *, again: bool = True
    ) -> Any:
        """Ask a coordinator until it has done what it should; gives its answer.

        Args:
            kind: which coordinator.
            key: whose: a transactional id, or a group.
            request: what to ask for.
            codes: how to find errors in an answer.
            again: also when it is not known whether an earlier attempt arrived, or still will.
        """
        while True:
            node = await self._coordinator(kind, key)
            try:
                answer = await self.client.send(node, request, group=ConnectionGroup.COORDINATION)
            except KafkaError as error:
                asked = type(request).__name__
                if not error.retriable or not (again or isinstance(error, NodeNotReadyError)):
                    error.add_note(f"no answer to {asked}: the takeover finds out what became of it")
                    raise
                log.warning("%s: broker %s gave no answer to %s: %r", self._id, node, asked, error)
                self._coordinators.pop(kind, None)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            error_type = self._judge(codes(answer), key)
            if error_type is None:
                return answer
            if issubclass(error_type, _MOVED):
                self._coordinators.pop(kind, None)
            await asyncio.sleep(SOON_SECONDS if error_type is ConcurrentTransactions else RETRY_SECONDS)

    def _judge(self, codes: Iterable[tuple[str, int]], key: str) -> type[KafkaError] | None:
        """Give why to ask again; None when all is done. Raises what asking again does not mend."""
        again: type[KafkaError] | None = None
        refused: set[str] = set()
        for topic, code in codes:
            error: type[KafkaError] = for_code(code)
            if error is NoError or error is OperationNotAttempted:
                continue  # (not attempted: for the sake of another, which says why)
            if error is InvalidProducerEpoch or code == PRODUCER_FENCED:
                raise ProducerFenced
            if error is TransactionalIdAuthorizationFailed:
                raise error(self._id)
            if error is GroupAuthorizationFailedError:
                raise error(key)
            if error is TopicAuthorizationFailedError:
                refused.add(topic)
            elif issubclass(error, (*_MOVED, *_LATER, ConcurrentTransactions)):
                again = error
            else:
                raise error(topic)
        if refused:
            raise TopicAuthorizationFailedError(refused)
        return again

    async def _coordinator(self, kind: CoordinationType, key: str) -> int:
        while kind not in self._coordinators:
            try:
                node = await self.client.coordinator_lookup(kind, key)
            except (*_MOVED, NodeNotReadyError, KafkaConnectionError):
                await self.client.force_metadata_update()
            except (TransactionalIdAuthorizationFailed, GroupAuthorizationFailedError) as error:
                raise type(error)(key) from error
            else:
                if await self.client.ready(node, group=ConnectionGroup.COORDINATION):
                    self._coordinators[kind] = node
                    break
            await asyncio.sleep(RETRY_SECONDS)
        return self._coordinators[kind]

    # -- batches ---------------------------------------------------------------------------------------------

    async def _produce(
        self, queues: Mapping[Place, Iterator[Closed]], acknowledged: Callable[[Place, int], None]
    ) -> None:
        """Send all batches: in each round, the first of each place, one request a broker."""
        waiting: dict[Place, Closed] = {}
        for place in queues:
            self._next(place, queues, waiting)
        while waiting:
            rounds: defaultdict[int, dict[Place, Closed]] = defaultdict(dict)
            sizes: defaultdict[int, int] = defaultdict(int)
            again: set[type[KafkaError]] = set()
            for place, batch in waiting.items():
                leader = self.client.cluster.leader_for_partition(TopicPartition(*place))
                if leader is None or leader == -1:
                    again.add(LeaderNotAvailableError)
                    continue
                size = batch.size()
                if not sizes[leader] or sizes[leader] + size <= REQUEST_BYTES:
                    sizes[leader] += size
                    rounds[leader][place] = batch
            done: dict[Place, int] = {}
            for found in await _all(*(self._send(node, some) for node, some in rounds.items())):
                again |= {why for why in found.values() if not isinstance(why, int)}
                done |= {place: offset for place, offset in found.items() if isinstance(offset, int)}
            for place, offset in done.items():
                acknowledged(place, offset)
                batch = waiting.pop(place)
                self._sequences[place] = (self._sequences[place] + batch.record_count()) % _SEQUENCES
                self._next(place, queues, waiting)
            if again == {ConcurrentTransactions}:
                await asyncio.sleep(SOON_SECONDS)
            elif again:
                await self.client.force_metadata_update()
                await asyncio.sleep(RETRY_SECONDS)

    def _next(
        self, place: Place, queues: Mapping[Place, Iterator[Closed]], waiting: dict[Place, Closed]
    ) -> None:
        batch = next(queues[place], None)
        if batch is None:
            self._missing.discard(place)
        else:
            batch._set_producer_state(*self._producer, self._sequences[place])
            waiting[place] = batch

    async def _send(self, node: int, batches: Mapping[Place, Closed]) -> dict[Place, int | type[KafkaError]]:
        """Send to one broker; gives offsets, or why to send again."""
        topics: defaultdict[str, list[tuple[int, bytes]]] = defaultdict(list)
        for (topic, partition), batch in batches.items():
            topics[topic].append((partition, batch._build()))
        kind = requests.Produce if self._implicit else ProduceRequest
        request: Any = kind(self._id, -1, REQUEST_TIMEOUT_MS, list(topics.items()))
        try:
            answer = await self.client.send(node, request)
        except KafkaError as error:
            if not error.retriable:
                raise
            log.warning("%s: broker %s gave no answer to records: %r", self._id, node, error)
            return dict.fromkeys(batches, type(error))
        found: dict[Place, int | type[KafkaError]] = {}
        for topic, partitions, *_ in answer.topics:
            for partition, code, offset, *_ in partitions:
                found[topic, partition] = self._outcome((topic, partition), code, offset)
        return found

    def _outcome(self, place: Place, code: int, offset: int) -> int | type[KafkaError]:
        error: type[KafkaError] = for_code(code)
        if error is NoError or error is DuplicateSequenceNumber:
            return offset  # (a duplicate: it is there already, the broker may have forgotten where)
        if error.retriable or error is ConcurrentTransactions:
            if error is not ConcurrentTransactions:  # (which is over in a moment)
                log.warning("%s: records for %s[%d] are sent again: %s", self._id, *place, error.__name__)
            return error
        if error is InvalidProducerEpoch or code == PRODUCER_FENCED:
            raise ProducerFenced
        raised = error(place[0]) if error is TopicAuthorizationFailedError else error()
        raised.add_note(f"sending to {place[0]}[{place[1]}]")
        raise raised


async def _all(*works: Any) -> list[Any]:
    """Do all at once; all are waited for, also when one fails: an abort must not race with our requests."""
    outcomes = await asyncio.gather(*works, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return outcomes


def _by_topic(places: Iterable[Place]) -> list[tuple[str, list[int]]]:
    topics: defaultdict[str, list[int]] = defaultdict(list)
    for topic, partition in places:
        topics[topic].append(partition)
    return list(topics.items())


def _one(answer: Any) -> Iterable[tuple[str, int]]:
    return (("", answer.error_code),)


def _each(answer: Any) -> Iterable[tuple[str, int]]:
    return ((topic, code) for topic, partitions, *_ in answer.errors for _, code, *_ in partitions)
