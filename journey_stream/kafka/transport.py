"""Batches through Faust: one message per topic and fetch instead of one per record.

Enters: what aiokafka fetched. Leaves: `Batch` values in Faust's streams, each tagged with the epoch of its
position. Strategy: Faust stays the host (group membership, agents, flow control); three things become ours,
since Faust's own cannot keep exactly-once (ADR 0004): a message is whole batches, acknowledging it commits
nothing, and after each assignment the positions are set by the lanes. An epoch counts the seeks of a
partition; it is read and raised only in the consumer's own thread, at the same moment as positions change,
so a batch from before a seek can be told and dropped wherever it still travels. `tests/kafka/test_seam.py`
fails when the internals used here move.
"""

# ruff: noqa: SLF001 (this module is the seam to internals of Faust and aiokafka)

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, ClassVar, Protocol, TypeVar, cast

import aiokafka
from aiokafka.errors import (
    ConsumerStoppedError,
    IllegalStateError,
    KafkaConnectionError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from journey_stream.kafka.ends import Ends, very_ends
from journey_stream.kafka.fetched import pieces, read_compiled
from journey_stream.kafka.group import GroupOptions, Misplaced
from journey_stream.kafka.inbox import Batch, Position
from journey_stream.kafka.spacing import space_out

POLL_SECONDS = 0.1
"""How long one fetch may wait: also how late a released hold is noticed at worst."""

RUN_SECONDS = 60.0
"""How long a question to the brokers may take."""

T = TypeVar("T")


class Host(Protocol):
    """Who owns the lanes: told about each assignment before records flow and before partitions go."""

    consumer: BatchConsumer

    async def partitions_assigned(self, assigned: set[TP]) -> None:
        """Set positions and start lanes; returns quickly, restoring goes on in the lanes."""

    async def partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit what is done and park the lanes, bounded in time."""

    def fetch_failed(self, error: BaseException) -> None:
        """Records of a topic are refused."""


class _NoReadOffsets(dict[TP, int | None]):
    """Faust drops messages below the last offset it saw; after a seek back that would lose records."""

    def __getitem__(self, tp: TP) -> int | None:
        return None

    def __setitem__(self, tp: TP, offset: int | None) -> None:
        return None


class BatchThread(driver.AIOKafkaConsumerThread):
    """The consumer's thread: fetches, seeks and commits run on its own loop, one at a time."""

    mundane_level = "debug"

    epochs: dict[TP, int]
    held: frozenset[TP]
    handed: dict[TP, int]
    hurry: Callable[[], None] = staticmethod(lambda: None)
    """Fetch at once: something has come. May be called from any thread."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.epochs = {}
        self.held = frozenset()
        self.handed = {}

    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        options = cast(BatchTransport, transport).options
        return aiokafka.AIOKafkaConsumer(
            group_id=options.group,
            partition_assignment_strategy=[options.assignor],
            enable_auto_commit=False,
            # A position that the brokers do not have is the lane's affair: it means loss, or another topic.
            auto_offset_reset="none",
            metadata_max_age_ms=int(options.metadata_seconds * 1000),
            # Sources may be written in transactions: what was aborted never happened.
            isolation_level="read_committed",
            max_poll_records=options.max_records,
            max_poll_interval_ms=600_000,
            max_partition_fetch_bytes=options.fetch_bytes,
            fetch_max_bytes=options.fetch_max_bytes,
            fetch_max_wait_ms=options.fetch_wait_ms,
            session_timeout_ms=int(options.session_seconds * 1000),
            heartbeat_interval_ms=int(options.heartbeat_seconds * 1000),
            rebalance_timeout_ms=int(options.rebalance_seconds * 1000),
            **options.client,
        )

    async def on_start(self) -> None:
        """Connect; while the brokers are away, try again for as long as a start may take."""
        deadline = time.monotonic() + cast(BatchTransport, self.transport).options.startup_seconds
        while True:
            try:
                await super().on_start()
                break
            except KafkaConnectionError:
                with contextlib.suppress(Exception):
                    await self._ensure_consumer().stop()
                if self.should_stop or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(1.0)
        if cast(BatchTransport, self.transport).options.compiled:
            read_compiled(self._ensure_consumer())
        self.hurry = space_out(self._ensure_consumer())

    async def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine on the consumer's loop and wait for it here, though not for ever.

        Raises:
            TimeoutError: brokers, or the client, gave no answer.
        """
        running = asyncio.run_coroutine_threadsafe(work(), self.thread_loop)
        # Not `wait_for`: before Python 3.12 it forgets that it was cancelled when the answer comes at that
        # very moment; Faust cancels its fetcher once, and would wait for it for ever.
        async with asyncio.timeout(RUN_SECONDS):
            return await asyncio.wrap_future(running)

    def broken(self) -> BaseException | None:
        """Tell why the client can no longer learn about the cluster; None as long as it can."""
        task = None if self._consumer is None else self._consumer._client._sync_task
        if task is None or not task.done() or task.cancelled():
            return None
        return task.exception() or RuntimeError("aiokafka's metadata task has ended")

    async def fetch_batches(self, active: set[TP], timeout: float) -> list[tuple[TP, Batch]]:
        """Fetch what has arrived for partitions that nobody holds back."""
        consumer = self._ensure_consumer()
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError()
        wanted = active - self.held
        compiled = cast(BatchTransport, self.transport).options.compiled
        if not wanted:
            await asyncio.sleep(timeout)
            return []
        try:
            with fetcher._subscriptions.fetch_context():
                fetched = await fetcher.fetched_records(
                    wanted, timeout=timeout, max_records=None if compiled else consumer._max_poll_records
                )
        except NoOffsetForPartitionError:
            return []  # its lane has not yet set a position
        except OffsetOutOfRangeError as error:
            return [(TP(*tp), self._nothing_there(tp)) for tp in error.args[0]]
        # No await from here to the return: records, positions and epochs belong together.
        epochs = self.epochs
        batches = []
        for tp, records in pieces(fetched, consumer._max_poll_records) if compiled else fetched.items():
            if records:
                # Before the first seek of an assignment nobody takes batches; any start will do.
                batches.append((tp, Batch(records, epochs.get(tp, 0), self.handed.get(tp, 0))))
                self.handed[tp] = records[-1].offset + 1
        return batches

    def _nothing_there(self, tp: Any) -> Batch:
        """Stop asking for records that the brokers do not have, and make the lane set its position anew."""
        self._ensure_consumer().pause(tp)
        return Batch([], self.epochs.get(tp, 0), -1)

    async def seek_to(
        self, wanted: Mapping[TP, int | None]
    ) -> tuple[dict[TP, Position], dict[TP, Misplaced]]:
        """Set positions (None = the beginning).

        Gives the positions of the partitions still assigned, and what was found for offsets that the brokers
        do not have: below the first, reading starts at the first; beyond the end, no position is set.
        """
        consumer = self._ensure_consumer()
        mine = list({driver.ensure_aiokafka_TP(tp) for tp in wanted} & consumer.assignment())
        first = await consumer.beginning_offsets(mine) if mine else {}
        end = await very_ends(consumer, mine) if mine else {}
        positions: dict[TP, Position] = {}
        misplaced: dict[TP, Misplaced] = {}
        for tp, offset in wanted.items():
            aiokafka_tp = driver.ensure_aiokafka_TP(tp)
            if aiokafka_tp not in first:
                continue
            start = first[aiokafka_tp] if offset is None else offset
            if not first[aiokafka_tp] <= start <= end[aiokafka_tp]:
                found = misplaced[tp] = Misplaced(start, first[aiokafka_tp], end[aiokafka_tp])
                if found.beyond:
                    continue
                start = found.first
            try:
                consumer.seek(aiokafka_tp, start)
                consumer.resume(aiokafka_tp)
            except IllegalStateError:
                continue  # taken away meanwhile; the next assignment sets it again
            epoch = self.epochs[tp] = self.epochs.get(tp, 0) + 1
            self.handed[tp] = start
            positions[tp] = Position(epoch, start)
        return positions, misplaced

    async def committed_offsets(self, tps: Iterable[TP]) -> dict[TP, int | None]:
        """Read what the group has committed."""
        wanted = [driver.ensure_aiokafka_TP(tp) for tp in tps]
        if not wanted:
            return {}
        found = await self._ensure_consumer()._coordinator.fetch_committed_offsets(wanted)
        return {TP(tp.topic, tp.partition): found[tp].offset if tp in found else None for tp in wanted}

    async def ask_for_round(self) -> None:
        """Ask the group to share out the partitions anew."""
        self._ensure_consumer()._coordinator.request_rejoin()

    async def bounds(self, tp: TP) -> tuple[int, int]:
        """Read the first and the end offset of a partition."""
        consumer, wanted = self._ensure_consumer(), driver.ensure_aiokafka_TP(tp)
        first = await consumer.beginning_offsets([wanted])
        end = await consumer.end_offsets([wanted])
        return first[wanted], end[wanted]

    async def commit_offsets(self, offsets: Mapping[TP, int]) -> None:
        """Commit positions of source partitions; raises when the group refuses."""
        await self._ensure_consumer().commit({driver.ensure_aiokafka_TP(tp): o for tp, o in offsets.items()})

    async def ends(self, tps: list[TP]) -> dict[TP, Ends]:
        """Ask the brokers where partitions end, and say where we are."""
        consumer = self._ensure_consumer()
        wanted = [driver.ensure_aiokafka_TP(tp) for tp in tps]
        ends = await very_ends(consumer, wanted)
        state = consumer._subscription.subscription
        found = {}
        for tp in wanted:
            if state is None or state.assignment is None or tp not in state.assignment.tps:
                continue
            tp_state = state.assignment.state_value(tp)
            position = tp_state.position if tp_state is not None and tp_state.has_valid_position else None
            found[TP(tp.topic, tp.partition)] = Ends(position, ends[tp], self.handed.get(tp, 0))
        return found


class BatchConsumer(driver.Consumer):
    """Faust's consumer with batches for messages and positions that belong to the lanes."""

    mundane_level = "debug"

    _thread: BatchThread
    host: Host

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _NoReadOffsets()
        self.host = cast(BatchTransport, self.transport).host
        self.host.consumer = self

    def _new_consumer_thread(self) -> BatchThread:
        return BatchThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def thread(self) -> BatchThread:
        """The consumer's thread, for the lanes."""
        return self._thread

    def hold(self, tp: TP) -> None:
        """Stop fetching a partition until `release`."""
        self._thread.held |= {tp}

    def release(self, tp: TP) -> None:
        """Fetch a partition again."""
        self._thread.held -= {tp}

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """Yield one message per topic that has something, with the batches of all its partitions."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]
        if self.should_stop:
            return
        active = set(self._get_active_partitions())
        try:
            batches = await self._thread.run(lambda: self._thread.fetch_batches(active, POLL_SECONDS))
        except TopicAuthorizationFailedError as error:
            self.host.fetch_failed(error)
            await asyncio.sleep(POLL_SECONDS)
            return
        topics: dict[str, list[tuple[TP, Batch]]] = {}
        for tp, batch in batches:
            topics.setdefault(tp.topic, []).append((tp, batch))
        for several in topics.values():
            if not self.flow_active:
                # Batches from before a rebalance are told by their epoch; newer ones must not get lost here.
                await self.wait(self.can_resume_flow)  # type: ignore[arg-type]
            if self.should_stop:
                return
            yield several[0][0], self._message(several)

    def _message(self, batches: list[tuple[TP, Batch]]) -> ConsumerMessage:
        """Make the message that carries batches of one topic; to Faust, the last record of the first."""
        tp, batch = batches[0]
        last = batch.records[-1] if batch.records else None
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            max(batch.start, 0) if last is None else last.offset,
            0.0 if last is None else last.timestamp / 1000,
            0 if last is None else last.timestamp_type,
            None,
            None,
            cast(Any, batches),
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def perform_seek(self) -> None:
        """Called by Faust once per assignment, before records flow."""
        await self.host.partitions_assigned({TP(tp.topic, tp.partition) for tp in self.assignment()})

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let the lanes commit first, while the partitions are still ours."""
        await self.host.partitions_revoked(revoked)
        await super().on_partitions_revoked(revoked)

    def ack(self, message: Any) -> bool:
        """A batch handed to its lane is done as far as Faust is concerned."""
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Offsets are the lanes' affair: in transactions, or after acknowledgements."""
        return False

    async def wait_empty(self) -> None:
        """Nothing to wait for: agent bodies hand a batch over and return."""

    async def verify_all_partitions_active(self) -> None:
        """Faust watches for commits here, which we do not make; /health watches the lanes instead."""


class IdleProducer(driver.Producer):
    """Faust's producer, never connected: what we send goes through producers of the lanes."""

    mundane_level = "debug"

    async def on_start(self) -> None:
        """Connect nothing."""

    async def on_stop(self) -> None:
        """Nothing was connected."""

    async def flush(self) -> None:
        """Nothing is pending."""


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with our consumer."""

    Consumer: ClassVar[Any] = BatchConsumer
    Producer: ClassVar[Any] = IdleProducer
    options: GroupOptions
    host: Host


def hand_over(deliver: Callable[[TP, Batch], None]) -> Callable[[Any], Awaitable[None]]:
    """Make the body of an agent: hand each batch to its lane at once, so that no lane blocks another.

    A message that Faust drops loses the batches in it: the lanes notice, and fetch them again.
    """

    async def body(stream: Any) -> None:
        async for event in stream.events():
            for tp, batch in event.value:
                deliver(tp, batch)

    return body
