"""The event loop of a worker: uvloop where it is installed, with two gaps between it and aiokafka closed.

Enters: nothing. Leaves: the event loop policy of the process; produce requests whose records are copied as
seldom as can be: aiokafka copies them once per level of its schema, eight times in all, and three times more
on the way to the socket, which is a sixth of a worker that publishes much. Strategy: with uvloop they are
handed to the socket piece by piece, as they are. And aiokafka takes an `OSError` for a connection that broke
while it was writing; uvloop says `RuntimeError` instead, which ends aiokafka's metadata task without a word
and leaves everything that waits for metadata waiting for ever (seen when a broker was killed). With uvloop in
use, that error is turned into the one aiokafka expects. `tests/kafka/test_seam.py` watches the function that
is wrapped, and in part done anew.
"""

# ruff: noqa: SLF001 (what a connection of aiokafka does, done anew)

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol import produce
from aiokafka.protocol.types import Int16, Int32, String
from aiokafka.util import wait_for

from journey_stream.kafka.transaction_requests import Produce

PRODUCE_REQUESTS: Final = (
    produce.ProduceRequest_v3,
    produce.ProduceRequest_v4,
    produce.ProduceRequest_v5,
    produce.ProduceRequest_v6,
    produce.ProduceRequest_v7,
)
ALONE: Final = 32 * 1024
"""Bytes from which on a piece goes as it is; copying a smaller one is cheaper than one piece more."""
_TEXT: Final = String("utf-8")


def use_fast_loop() -> None:
    """Use uvloop if it is installed."""
    for request in PRODUCE_REQUESTS:
        request.pieces = pieces_of
        request.encode = encode_produce
    try:
        import uvloop
    except ImportError:
        return
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    mend_sending()


def mend_sending() -> None:
    """Make a write to a closed transport a lost connection, on every loop; send records uncopied."""
    if getattr(AIOKafkaConnection.send, "mended", False):
        return
    original = AIOKafkaConnection.send

    def send(self: Any, request: Any, expect_response: bool = True) -> Any:
        try:
            if expect_response and isinstance(request, (produce.ProduceRequest, Produce)):
                versioned = request.prepare(self._versions)
                if self._writer is not None and hasattr(versioned, "pieces"):
                    return _send_in_pieces(self, versioned)
            return original(self, request, expect_response)
        except (RuntimeError, OSError) as error:
            self.close(reason=CloseReason.CONNECTION_BROKEN)
            msg = f"Connection at {self.host}:{self.port} broken: {error}"
            raise KafkaConnectionError(msg) from error

    send.mended = True  # type: ignore[attr-defined]
    AIOKafkaConnection.send = send


def _send_in_pieces(connection: Any, request: Any) -> Any:
    """Do as `AIOKafkaConnection.send`, but do not put together what the socket takes apart again."""
    number = connection._next_correlation_id()
    header = request.build_request_header(correlation_id=number, client_id=connection._client_id)
    pieces = [header.encode(), *request.pieces()]
    size = Int32.encode(sum(map(len, pieces)))
    connection._writer.writelines(joined([size, *pieces]))
    answer = connection._loop.create_future()
    connection._requests.append((number, request, answer))
    return wait_for(answer, connection._request_timeout)


def joined(pieces: Iterable[bytes]) -> list[bytes]:
    """Put small pieces that follow one another together."""
    made: list[bytes] = []
    small: list[bytes] = []
    for piece in pieces:
        if len(piece) < ALONE:
            small.append(piece)
        else:
            if small:
                made.append(b"".join(small))
                small.clear()
            made.append(piece)
    return [*made, b"".join(small)] if small else made


def pieces_of(request: Any) -> list[bytes]:
    """Give the bytes of a produce request of version 3 to 7, records as they are."""
    pieces = [
        _TEXT.encode(request.transactional_id),
        Int16.encode(request.required_acks),
        Int32.encode(request.timeout),
        Int32.encode(len(request.topics)),
    ]
    for topic, partitions in request.topics:
        pieces += (_TEXT.encode(topic), Int32.encode(len(partitions)))
        for partition, records in partitions:
            pieces += (Int32.encode(partition), Int32.encode(len(records)), records)
    return pieces


def encode_produce(request: Any) -> bytes:
    """Encode a produce request of version 3 to 7, as its schema does."""
    return b"".join(pieces_of(request))
