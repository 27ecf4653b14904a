"""The event loop of a worker: uvloop where it is installed, with one gap between it and aiokafka closed.

Enters: nothing. Leaves: the event loop policy of the process; produce requests that are put together in one
go (aiokafka copies all records once per level of its schema, eight times in all, which is a tenth of a
worker that publishes much). Strategy: aiokafka takes an `OSError` for a
connection that broke while it was writing; uvloop says `RuntimeError` instead, which ends aiokafka's
metadata task without a word and leaves everything that waits for metadata waiting for ever (seen when a
broker was killed). With uvloop in use, that error is turned into the one aiokafka expects.
`tests/kafka/test_seam.py` watches the function that is wrapped.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol import produce
from aiokafka.protocol.types import Int16, Int32, String

PRODUCE_REQUESTS: Final = (
    produce.ProduceRequest_v3,
    produce.ProduceRequest_v4,
    produce.ProduceRequest_v5,
    produce.ProduceRequest_v6,
    produce.ProduceRequest_v7,
)
_TEXT: Final = String("utf-8")


def use_fast_loop() -> None:
    """Use uvloop if it is installed."""
    for request in PRODUCE_REQUESTS:
        request.encode = encode_produce
    try:
        import uvloop
    except ImportError:
        return
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    mend_sending()


def mend_sending() -> None:
    """Make a write to a closed transport a lost connection, on every loop."""
    if getattr(AIOKafkaConnection.send, "mended", False):
        return
    original = AIOKafkaConnection.send

    def send(self: Any, request: Any, expect_response: bool = True) -> Any:
        try:
            return original(self, request, expect_response)
        except RuntimeError as error:
            self.close(reason=CloseReason.CONNECTION_BROKEN)
            msg = f"Connection at {self.host}:{self.port} broken: {error}"
            raise KafkaConnectionError(msg) from error

    send.mended = True  # type: ignore[attr-defined]
    AIOKafkaConnection.send = send


def encode_produce(request: Any) -> bytes:
    """Encode a produce request of version 3 to 7, as its schema does."""
    parts = [
        _TEXT.encode(request.transactional_id),
        Int16.encode(request.required_acks),
        Int32.encode(request.timeout),
        Int32.encode(len(request.topics)),
    ]
    for topic, partitions in request.topics:
        parts += (_TEXT.encode(topic), Int32.encode(len(partitions)))
        for partition, records in partitions:
            parts += (Int32.encode(partition), Int32.encode(len(records)), records)
    return b"".join(parts)
