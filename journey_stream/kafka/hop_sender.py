"""The one sender of a worker's hop: made when first wanted, thrown away when anything failed on it.

Enters: rows for the keyed topic. Leaves: they are acknowledged, or the first failure is raised. After a
failure the next who sends gets a new producer: an idempotent one that has lost count is of no use any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from journey_stream.kafka.checkpoint import Row, Sender

SEND_SECONDS: Final = 120.0
"""A batch that takes longer to be acknowledged has failed."""


class HopSender:
    """Sends to the keyed topic for all intakes of a worker."""

    def __init__(
        self, client: Mapping[str, Any], topic: str, compression: str, max_record_bytes: int
    ) -> None:
        self._client = client
        self._topic = topic
        self._compression = compression
        self._max_record_bytes = max_record_bytes
        self._sender: Sender | None = None
        self._lock = asyncio.Lock()

    async def get(self) -> Sender:
        """Give the sender, connected."""
        async with self._lock:
            if self._sender is None:
                sender = Sender(self._client, self._max_record_bytes)
                await sender.start()
                self._sender = sender
            return self._sender

    async def send(self, rows: Mapping[int, list[Row]], ready: Mapping[int, Sequence[Any]]) -> None:
        """Send rows and finished batches per partition; returns when all are acknowledged.

        Raises the first failure.
        """
        sender, topic = await self.get(), self._topic
        sends = [sender.send(topic, p, batch, self._compression) for p, batch in rows.items()]
        sends += [sender.send_ready(topic, p, batches) for p, batches in ready.items()]
        try:
            async with asyncio.timeout(SEND_SECONDS):
                outcomes = await asyncio.gather(*sends, return_exceptions=True)
        except TimeoutError:
            await self._discard(sender)
            raise
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                await self._discard(sender)
                raise outcome

    async def stop(self) -> None:
        """Close it."""
        if self._sender is not None:
            await self._sender.stop()

    async def _discard(self, sender: Sender) -> None:
        async with self._lock:
            if self._sender is sender:
                self._sender = None
                await sender.stop()
