"""The event loop of a worker: uvloop where it is installed, with one gap between it and aiokafka closed.

Enters: nothing. Leaves: the event loop policy of the process. Strategy: aiokafka takes an `OSError` for a
connection that broke while it was writing; uvloop says `RuntimeError` instead, which ends aiokafka's
metadata task without a word and leaves everything that waits for metadata waiting for ever (seen when a
broker was killed). With uvloop in use, that error is turned into the one aiokafka expects.
`tests/kafka/test_seam.py` watches the function that is wrapped.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError


def use_fast_loop() -> None:
    """Use uvloop if it is installed."""
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
