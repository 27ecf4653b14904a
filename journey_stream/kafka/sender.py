"""Records on their way out in large batches of our own making, and the plain idempotent producer of intake.

Enters: rows per topic and partition, and batches that the compiled core finished (to aiokafka, a `ReadyBatch`
is a closed `BatchBuilder`). Leaves: records, each batch acknowledged. Strategy: one produce request a batch;
each acknowledgement is looked at, since aiokafka's own flush reports no failure. A producer on which anything
went wrong is never used again.
"""

# ruff: noqa: SLF001 (aiokafka keeps what failed to itself)

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer, codec
from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from aiokafka.producer.message_accumulator import BatchBuilder

from journey_stream.errors import BrokerError, SettingsError
from journey_stream.kafka.transactions import CLOSE_SECONDS, REQUEST_TIMEOUT_MS
from journey_stream.settings import Compression

MAX_BATCH_BYTES: Final = 1_000_000
"""Little less than what a topic takes unless its settings say otherwise (`max.message.bytes`)."""

_COMPRESSION: Final[Mapping[str, int]] = {"none": 0, "gzip": 1, "lz4": 3, "zstd": 4}

_PACKAGED: Final[Mapping[str, Callable[[], bool]]] = {"lz4": codec.has_lz4, "zstd": codec.has_zstd}
"""What Python itself brings no code for."""

Row = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]
"""Key, value, headers."""


class Counts:
    """How many partitions topics have."""

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client
        self._known: dict[str, int] = {}

    async def of(self, topic: str) -> int:
        """Count the partitions of a topic; asked once.

        Raises:
            BrokerError: there is no such topic.
        """
        count = self._known.get(topic)
        if count is None:
            found = None
            with contextlib.suppress(UnknownTopicOrPartitionError):
                found = await self._client._wait_on_metadata(topic)
            if not found:
                msg = (
                    f"topic {topic}: expected at least one partition, the broker knows none; "
                    "create it with `journey-stream topics`"
                )
                raise BrokerError(msg)
            count = self._known[topic] = len(found)
        return count

    async def anew(self, topics: Iterable[str]) -> dict[str, int] | None:
        """Count the partitions that topics have at this moment, 0 for none; None when no broker answers."""
        found = ClusterMetadata()
        if not await self._client._metadata_update(found, list(topics)):
            return None
        return {topic: len(found.partitions_for_topic(topic) or ()) for topic in topics}


def check_codecs(compression: Compression) -> None:
    """Refuse a codec that is not there: what is written is read again, if only at a restart.

    Raises:
        SettingsError: naming it, and what to install.
    """
    for key, name in (("public", compression.public), ("internal", compression.internal)):
        if not _PACKAGED.get(name, lambda: True)():
            msg = (
                f"`compression.{key}: {name}`: expected the package `cramjam`, it is not installed. Install "
                '"journey-stream[speed]", or choose gzip or none'
            )
            raise SettingsError(msg)


def in_batches(rows: Iterable[Row], compression: str, *, transactional: bool) -> Iterator[BatchBuilder]:
    """Put rows into as few batches as they fit in, in order; each is made when it is asked for."""
    attributes = _COMPRESSION[compression]
    batch = BatchBuilder(MAX_BATCH_BYTES, attributes, is_transactional=transactional)
    for key, value, headers in rows:
        if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
            yield batch
            batch = BatchBuilder(MAX_BATCH_BYTES, attributes, is_transactional=transactional)
            batch.append(timestamp=None, key=key, value=value, headers=headers)
    if batch.record_count():
        yield batch


def joined(
    batches: Sequence[Any], rows: Sequence[Row], compression: str = "none", *, transactional: bool
) -> Sequence[Any]:
    """Put finished batches, which are not compressed, into as few as they fit in, rows behind them."""
    if len(batches) == 1 and not rows and compression == "none":
        return batches
    import journey_stream_native

    return journey_stream_native.join_batches(
        batches, rows, time.time_ns() // 1_000_000, transactional, compression=compression
    )


async def joined_aside(
    batches: Sequence[Any], rows: Sequence[Row], compression: str, *, transactional: bool
) -> Sequence[Any]:
    """Do as `joined`; compress beside the event loop: gzip takes a tenth of a second for much."""
    if compression == "none":
        return joined(batches, rows, transactional=transactional)
    return await asyncio.to_thread(joined, batches, rows, compression, transactional=transactional)


class Sender:
    """A producer that sends whole batches and tells the truth about each."""

    def __init__(self, client: Mapping[str, Any], max_record_bytes: int, **options: Any) -> None:
        self._producer = AIOKafkaProducer(
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=max(max_record_bytes, MAX_BATCH_BYTES) + 65_536,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            **client,
            **options,
        )
        self.counts = Counts(self._producer.client)
        self._transactional = options.get("transactional_id") is not None
        self._turns: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def start(self) -> None:
        """Connect; a transactional producer fences every older one of its id here."""
        try:
            await self._producer.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close within a bounded time, whatever state the producer is in."""
        self._hush()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._producer.stop(), CLOSE_SECONDS)

    def _hush(self) -> None:
        """Take note of failures that aiokafka leaves in futures nobody awaits: whoever sent has told them."""
        accumulator = self._producer._message_accumulator
        batches = [
            *accumulator._pending_batches,
            *(b for queue in accumulator._batches.values() for b in queue),
        ]
        waiters = [batch._drain_waiter for batch in batches]
        waiters.append(self._producer._txn_manager._transaction_waiter)
        for waiter in waiters:
            if waiter is not None and waiter.done() and not waiter.cancelled():
                waiter.exception()

    async def send(self, topic: str, partition: int, rows: Iterable[Row], compression: str = "none") -> int:
        """Send rows in order and return when all are acknowledged; gives the offset of the last batch.

        Several batches follow one another only after an acknowledgement: no later batch can succeed after a
        failed one, so the partition never holds a gap.
        """
        batches = in_batches(rows, compression, transactional=self._transactional)
        return await self.deliver(topic, partition, batches)

    async def send_ready(
        self,
        topic: str,
        partition: int,
        batches: Sequence[Any],
        rows: Sequence[Row] = (),
        compression: str = "none",
    ) -> int:
        """Send finished batches, rows behind them, as `send` sends its own; gives the offset of the last."""
        together = await joined_aside(batches, rows, compression, transactional=self._transactional)
        return await self.deliver(topic, partition, together)

    async def deliver(self, topic: str, partition: int, batches: Iterable[Any]) -> int:
        """Send batches one after another; gives the offset of the last."""
        offset = -1
        for batch in batches:
            offset = await self._deliver(batch, topic, partition)
        return offset

    async def _deliver(self, batch: Any, topic: str, partition: int) -> int:
        # aiokafka holds one batch a partition and fails those who wait for their turn too early (each round
        # of its loop counts the whole wait again): so one of ours waits at a time, the others here.
        async with self._turns[topic, partition]:
            sent = await self._producer.send_batch(batch, topic, partition=partition)
        try:
            return int((await sent).offset)
        except KafkaError as error:
            error.add_note(f"sending to {topic}[{partition}]")
            raise
