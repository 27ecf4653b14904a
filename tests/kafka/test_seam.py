"""The seam to Faust and aiokafka: fails loudly, and says where, when the internals that the worker uses move.

Each of these is overridden or called by `kafka.transport`, `kafka.checkpoint`, `kafka.changelog` or `kafka.app`.
When one fails after an upgrade, read the named module again before pinning the new version (ADR 0001).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import aiokafka
import faust
import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import TopicPartitionState
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.errors import KafkaConnectionError
from aiokafka.producer.message_accumulator import BatchBuilder, MessageBatch
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.types import Int32
from faust.app.base import App
from faust.tables.recovery import Recovery
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import ConsumerMessage

from journey_stream.kafka import loops, transport
from journey_stream.kafka.transaction_requests import Produce


def arguments(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (faust_consumer.Consumer._drain_messages, ["self", "fetcher"]),
        (faust_consumer.Consumer.getmany, ["self", "timeout"]),
        (faust_consumer.Consumer._get_active_partitions, ["self"]),
        (faust_consumer.Consumer.perform_seek, ["self"]),
        (faust_consumer.Consumer.on_partitions_revoked, ["self", "revoked"]),
        (faust_consumer.Consumer.ack, ["self", "message"]),
        (faust_consumer.Consumer.commit, ["self", "topics", "start_new_transaction"]),
        (faust_consumer.Consumer.wait_empty, ["self"]),
        (faust_consumer.Consumer.verify_all_partitions_active, ["self"]),
        (driver.Consumer._new_consumer_thread, ["self"]),
        (driver.AIOKafkaConsumerThread._create_worker_consumer, ["self", "transport"]),
        (driver.AIOKafkaConsumerThread._ensure_consumer, ["self"]),
        (driver.AIOKafkaConsumerThread.__post_init__, ["self"]),
        (driver.ensure_aiokafka_TP, ["tp"]),
        (App.on_stop, ["self"]),
        (App._create_directories, ["self"]),
        (faust.Worker._schedule_shutdown, ["self", "signal"]),
        (Fetcher._proc_fetch_request, ["self", "assignment", "node_id", "request"]),
        (
            PartitionRecords.__init__,
            [
                "self",
                "tp",
                "records",
                "aborted_transactions",
                "fetch_offset",
                "key_deserializer",
                "value_deserializer",
                "check_crcs",
                "isolation_level",
            ],
        ),
        (FetchResult.getall, ["self", "max_records"]),
        (Fetcher.fetched_records, ["self", "partitions", "timeout", "max_records"]),
        (GroupCoordinator.fetch_committed_offsets, ["self", "partitions"]),
        (GroupCoordinator.request_rejoin, ["self"]),
        (AbstractPartitionAssignor.assign, ["cluster", "members"]),
        (AbstractPartitionAssignor.metadata, ["topics"]),
        (AbstractPartitionAssignor.on_assignment, ["assignment"]),
        (
            BatchBuilder.__init__,
            [
                "self",
                "batch_size",
                "compression_type",
                "is_transactional",
                "key_serializer",
                "value_serializer",
            ],
        ),
        (BatchBuilder.append, ["self", "timestamp", "key", "value", "headers"]),
        (aiokafka.AIOKafkaProducer.send_batch, ["self", "batch", "topic", "partition"]),
        (AIOKafkaClient.send, ["self", "node_id", "request", "group"]),
        (AIOKafkaClient.ready, ["self", "node_id", "group"]),
        (AIOKafkaClient.coordinator_lookup, ["self", "coordinator_type", "coordinator_key"]),
        (AIOKafkaClient._wait_on_metadata, ["self", "topic"]),
        (AIOKafkaClient._metadata_update, ["self", "cluster_metadata", "topics"]),
        (ClusterMetadata.leader_for_partition, ["self", "partition"]),
        (BatchBuilder._set_producer_state, ["self", "producer_id", "producer_epoch", "base_sequence"]),
        (BatchBuilder._build, ["self"]),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_a_function_of_the_seam_is_called_as_we_call_it(
    function: Callable[..., Any], expected: list[str]
) -> None:
    assert expected == arguments(function)


def test_a_batch_message_is_built_as_faust_builds_its_own() -> None:
    expected = (
        "self topic partition offset timestamp timestamp_type headers key value checksum serialized_key_size "
        "serialized_value_size tp time_in time_out time_total generation_id"
    ).split()
    assert expected == [a for a in arguments(ConsumerMessage.__init__) if a != "stream_meta"]


def test_transport_classes_are_still_chosen_by_class_attributes() -> None:
    assert issubclass(driver.Transport.Consumer, driver.Consumer)  # type: ignore[arg-type]
    assert transport.BatchConsumer is transport.BatchTransport.Consumer
    assert transport.IdleProducer is transport.BatchTransport.Producer


@pytest.mark.parametrize(
    ("where", "what"),
    [
        # The read offset is looked up through these two, which `_NoReadOffsets` answers.
        (faust_consumer.Consumer._drain_messages, "get_read_offset = self._read_offset.__getitem__"),
        (faust_consumer.Consumer._drain_messages, "set_read_offset = self._read_offset.__setitem__"),
        (faust_consumer.Consumer._drain_messages, "getmany = self.getmany"),
        # A suspended flow drops a message: only a rebalance may suspend, and it sets all positions anew.
        (faust_consumer.Consumer._drain_messages, "callback(message), self.suspend_flow.wait()"),
        (Recovery._resume_streams, "consumer.perform_seek()"),
        (Recovery._restart_recovery, "if not self.tables"),
        (App._stop_consumer, "consumer.stop_flow()"),
        (App._on_partitions_revoked, "consumer.stop_flow"),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_faust_still_goes_the_way_we_rely_on(where: Any, what: str) -> None:
    source = inspect.getsource(getattr(where, "fun", where))
    assert what in source


def test_only_a_rebalance_or_the_end_suspends_the_flow() -> None:
    callers = [
        name
        for name, member in inspect.getmembers(App, inspect.isfunction)
        if "stop_flow" in inspect.getsource(member)
    ]
    # `start_client` is of Faust's client mode, which a worker never is in.
    assert ["_on_partitions_revoked", "_stop_consumer", "start_client"] == sorted(callers)


async def test_what_aiokafka_leaves_unsaid_is_found_where_we_look() -> None:
    producer = aiokafka.AIOKafkaProducer(transactional_id="t")
    assert {} == producer._message_accumulator._batches
    assert set() == producer._message_accumulator._pending_batches
    assert producer._txn_manager._transaction_waiter is None
    assert "_drain_waiter" in inspect.getsource(MessageBatch)
    await producer.stop()


def test_positions_are_kept_where_we_look() -> None:
    for name in ("position", "has_valid_position"):
        assert hasattr(TopicPartitionState, name)


def test_a_fetcher_that_asks_for_ends_can_be_copied_with_another_isolation() -> None:
    assert ["self", "partitions", "timeout_ms"] == arguments(Fetcher.end_offsets)
    assert "self._isolation_level" in inspect.getsource(Fetcher._proc_offset_request)
    assert not hasattr(Fetcher, "__del__"), "a copy that goes would take something along"


def test_aiokafka_seeks_and_fetches_without_waiting_between() -> None:
    """Epochs are right because between `fetched_records` handing out and our return nothing else runs."""
    source = inspect.getsource(transport.BatchThread.fetch_batches)
    tail = source[source.index("# No await from here") :]
    assert "await " not in tail.removeprefix("# No await from here")
    assert not inspect.iscoroutinefunction(aiokafka.AIOKafkaConsumer.seek)


def test_a_write_to_a_closed_transport_is_a_lost_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """What uvloop raises must not end aiokafka's metadata task."""
    assert ["self", "request", "expect_response"] == arguments(AIOKafkaConnection.send)

    def closed(self: object, request: object, expect_response: bool = True) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    monkeypatch.setattr(AIOKafkaConnection, "send", closed)
    loops.mend_sending()
    connection = object.__new__(AIOKafkaConnection)
    connection._host, connection._port = "host", 1
    reasons: list[object] = []
    connection.close = lambda reason: reasons.append(reason)
    with pytest.raises(KafkaConnectionError, match="handler is closed"):
        connection.send(None)
    assert [CloseReason.CONNECTION_BROKEN] == reasons


def test_what_becomes_of_a_response_is_made_by_names_that_can_be_others() -> None:
    code = Fetcher._proc_fetch_request.__code__
    assert {"MemoryRecords", "PartitionRecords"} <= set(code.co_names)
    assert not code.co_freevars


@pytest.mark.parametrize("request_of", loops.PRODUCE_REQUESTS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("transactional_id", [None, "shop-3"])
def test_a_produce_request_put_together_in_one_go_is_the_one_of_its_schema(
    request_of: Any, transactional_id: str | None
) -> None:
    topics = [("visits", [(0, b"records"), (7, b"")]), ("é", [(2, b"x" * 70_000)])]
    request = request_of(transactional_id=transactional_id, required_acks=-1, timeout=30_000, topics=topics)
    theirs = request.SCHEMA.encode([getattr(request, name) for name in request.SCHEMA.names])
    assert loops.encode_produce(request) == theirs


class Socket:
    """What was written, and in how many pieces."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.pieces.append(data)

    def writelines(self, pieces: Iterable[bytes]) -> None:
        self.pieces += pieces


def connection_to(socket: Socket) -> Any:
    """A connection of aiokafka on which requests get the numbers 1, 2, ..."""
    connection = object.__new__(AIOKafkaConnection)
    connection.__dict__ |= {
        "_writer": socket,
        "_versions": {0: (3, 7), 3: (0, 1)},
        "_correlation_id": 0,
        "_client_id": "worker",
        "_loop": asyncio.get_running_loop(),
        "_requests": [],
        "_request_timeout": 30,
        "_host": "host",
        "_port": 1,
        "close": lambda reason: None,
    }
    return connection


TOPICS = [("visits", [(0, b"records"), (7, b"y" * loops.ALONE)]), ("é", [(2, b"x" * 70_000), (3, b"z")])]


@pytest.mark.parametrize("request_of", [ProduceRequest, Produce], ids=lambda each: each.__name__)
async def test_records_go_to_the_socket_as_they_are_and_make_the_request_of_aiokafka(
    request_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = Socket(), Socket()
    request = request_of("shop-3", -1, 30_000, TOPICS)
    waits: list[Any] = []
    if not getattr(AIOKafkaConnection.send, "mended", False):
        waits.append(connection_to(theirs).send(request))
        monkeypatch.setattr(AIOKafkaConnection, "send", AIOKafkaConnection.send)
    for each in loops.PRODUCE_REQUESTS:
        monkeypatch.setattr(each, "pieces", loops.pieces_of, raising=False)
    loops.mend_sending()
    connection = connection_to(ours)
    waits.append(connection.send(request))
    for wait in waits:
        wait.close()

    records = [records for _, partitions in TOPICS for _, records in partitions]
    large = [each for each in records if len(each) >= loops.ALONE]
    assert len(large) == sum(any(piece is each for each in large) for piece in ours.pieces)
    assert len(ours.pieces) == 2 * len(large) + 1
    versioned = request.prepare(connection._versions)
    header = versioned.build_request_header(correlation_id=1, client_id="worker").encode()
    frame = header + versioned.encode()
    assert b"".join(ours.pieces) == Int32.encode(len(frame)) + frame
    assert b"".join(theirs.pieces) in (b"".join(ours.pieces), b"")
    assert [(1, versioned)] == [(number, sent) for number, sent, _ in connection._requests]


async def test_whatever_holds_no_records_is_sent_by_aiokafka(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(AIOKafkaConnection, "send", lambda *given: seen.append(given))
    loops.mend_sending()
    connection, request = connection_to(Socket()), MetadataRequest([])
    connection.send(request)
    assert [(connection, request, True)] == seen


@pytest.mark.parametrize("broken", [OSError("reset"), RuntimeError("the handler is closed")])
async def test_records_for_a_socket_that_broke_are_a_lost_connection(
    broken: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AIOKafkaConnection, "send", AIOKafkaConnection.send)
    loops.mend_sending()

    def fail(pieces: object) -> None:
        raise broken

    connection = connection_to(SimpleNamespace(writelines=fail))  # type: ignore[arg-type]
    with pytest.raises(KafkaConnectionError, match=str(broken)):
        connection.send(Produce("shop-3", -1, 30_000, TOPICS))
    assert connection._requests == []


def test_small_pieces_are_put_together_and_large_ones_left_alone() -> None:
    large = b"x" * loops.ALONE
    assert loops.joined([b"a", b"b", large, large, b"c", b"d"])[1] is large
    assert [b"ab", large, large, b"cd"] == loops.joined([b"a", b"b", large, large, b"c", b"d"])
    assert [b"ab"] == loops.joined([b"a", b"b"])
    assert [b"a", large] == loops.joined([b"a", large])
