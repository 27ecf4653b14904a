"""The one sender of a worker's hop: made when first wanted, thrown away when anything failed on it.

Enters: rows and finished batches for the keyed topic, from many intakes. Leaves: they are acknowledged, or
the first failure is raised. Strategy: one round at a time. Whoever comes while one is under way waits for
the next, and all who wait go together, in one batch a partition: brokers and worker are paid by request and
by batch, and the intakes of many source partitions would send many tiny ones. After a failure the next round
gets a new producer (an idempotent one that has lost count is of no use any more), and for a while everybody
goes alone: whatever one of them cannot send must not keep failing the others.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

from journey_stream.kafka.sender import Row, Sender

SEND_SECONDS: Final = 120.0
"""A round that takes longer to be acknowledged has failed."""
LINGER_SECONDS: Final = 0.003
"""How long a round waits for others: what was fetched together comes to the intakes one by one."""
ALONE_SECONDS: Final = 60.0
"""How long after a failure everybody goes alone: longer than an intake waits before it tries again."""


class _Round:
    """What goes together, and whether it went."""

    def __init__(self) -> None:
        self.rows: dict[int, list[Row]] = {}
        self.ready: dict[int, list[Any]] = {}
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def add(self, rows: Mapping[int, list[Row]], ready: Mapping[int, Sequence[Any]]) -> None:
        """Take somebody along."""
        for partition, several in rows.items():
            self.rows.setdefault(partition, []).extend(several)
        for partition, batches in ready.items():
            self.ready.setdefault(partition, []).extend(batches)


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
        self._rounds: deque[_Round] = deque()
        """Those that wait."""
        self._sending: asyncio.Task[None] | None = None
        self._alone_until = 0.0

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

        Raises the first failure. Whoever is cancelled here takes nothing back.
        """
        if not self._rounds or time.monotonic() < self._alone_until:
            self._rounds.append(_Round())
        mine = self._rounds[-1]
        mine.add(rows, ready)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_rounds(), name="hop")
        await asyncio.shield(mine.done)

    async def stop(self) -> None:
        """Close it."""
        if self._sending is not None:
            self._sending.cancel()
        for one in self._rounds:
            one.done.cancel()
        if self._sender is not None:
            await self._sender.stop()

    async def _send_rounds(self) -> None:
        try:
            while self._rounds:
                await asyncio.sleep(LINGER_SECONDS)
                await self._send_round(self._rounds.popleft())
        finally:
            self._sending = None

    async def _send_round(self, one: _Round) -> None:
        try:
            await self._send(one)
        except asyncio.CancelledError:
            one.done.cancel()
            raise
        except BaseException as error:  # (a panic of the compiled core is no `Exception`)
            self._alone_until = time.monotonic() + ALONE_SECONDS
            one.done.set_exception(error)
        else:
            one.done.set_result(None)

    async def _send(self, one: _Round) -> None:
        sender, topic = await self.get(), self._topic
        rows, codec = one.rows, self._compression
        sends = [
            sender.send_ready(topic, p, batches, rows.pop(p, ()), codec) for p, batches in one.ready.items()
        ]
        sends += [sender.send(topic, p, batch, codec) for p, batch in rows.items()]
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

    async def _discard(self, sender: Sender) -> None:
        async with self._lock:
            if self._sender is sender:
                self._sender = None
                await sender.stop()
