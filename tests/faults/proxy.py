"""A network between clients and a broker that a test can cut, silence and slow down.

Enters: connections of clients, to the port that the broker advertises. Leaves: the same bytes, unless told
otherwise. Strategy: whole Kafka frames are passed on, each in the order it came; a frame that is held keeps
its place, as TCP would keep it through a partition: what was held arrives when the network heals, however
late. The proxy runs on a loop of its own thread, so that a test may block.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

from journey_stream.broker import EmbeddedKafka
from journey_stream.broker.embedded import cluster_id, free_port
from journey_stream.broker.properties import Quorum

PRODUCE: Final = 0
FETCH: Final = 1
HEARTBEAT: Final = 12
INIT_PRODUCER_ID: Final = 22
END_TXN: Final = 26
TXN_OFFSET_COMMIT: Final = 28

Way = Literal["request", "response"]
LARGEST: Final = 256 << 20


def kafka_behind(folder: Path, *proxies: Proxy, **properties: str) -> EmbeddedKafka:
    """Make a Kafka that advertises each proxy to whoever comes through it; its own address stays direct.

    Properties are written with underscores for dots.
    """
    host, port, controller = "127.0.0.1", free_port(), free_port()
    real = {f"WAY{n}": free_port() for n in range(len(proxies))}
    plain = {"PLAINTEXT": port, **real}
    advertised = {"PLAINTEXT": port, **{f"WAY{n}": proxy.port for n, proxy in enumerate(proxies)}}
    for proxy, target in zip(proxies, real.values(), strict=True):
        proxy.target = target
    more = {
        "listeners": _join({**plain, "CONTROLLER": controller}, host),
        "advertised.listeners": _join(advertised, host),
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in (*plain, "CONTROLLER")),
        # A transaction that nobody ends is aborted soon after its time.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
        **{key.replace("_", "."): value for key, value in properties.items()},
    }
    quorum = Quorum(cluster_id(), 1, {1: controller})
    return EmbeddedKafka(folder, port, quorum=quorum, properties=more)


def _join(ports: dict[str, int], host: str) -> str:
    return ",".join(f"{name}://{host}:{port}" for name, port in ports.items())


@dataclass
class Hold:
    """Frames of one kind that wait: for some seconds each, or until `release`."""

    api: int
    way: Way
    seconds: float | None
    times: int | None
    """How many frames; None for all of them."""
    caught: threading.Event = field(default_factory=threading.Event)
    """The first frame waits."""
    released: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """Let go of what waits, and of all that comes."""
        self.released.set()

    def takes(self, api: int, way: Way) -> bool:
        """Tell whether this frame is one of ours, and count it."""
        if self.released.is_set() or (api, way) != (self.api, self.way) or self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Proxy:
    """One advertised address of one broker; a context manager."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self.target = 0
        """The broker's real port."""
        with socket.socket() as probe:
            probe.bind((host, 0))
            self.port: int = probe.getsockname()[1]
        self._holds: list[Hold] = []
        self._silent: frozenset[Way] = frozenset()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    @property
    def address(self) -> str:
        """Where clients connect."""
        return f"{self.host}:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self.heal()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    # -- what a test does ------------------------------------------------------------------------------------

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        self._call(self._cut)

    def silence(self, *ways: Way) -> None:
        """Keep connections open and pass nothing on: both ways, or only requests, or only responses."""
        self._silent = frozenset(ways or ("request", "response"))

    def heal(self) -> None:
        """Accept connections, pass everything on, also what was held by `silence`."""
        self._silent = frozenset()
        self._call(self._listen)

    def hold(
        self, api: int, way: Way = "request", seconds: float | None = None, times: int | None = None
    ) -> Hold:
        """Let frames of one kind wait: each for `seconds`, or until the hold is released."""
        hold = Hold(api, way, seconds, times)
        self._holds.append(hold)
        return hold

    # -- on the loop of the thread ---------------------------------------------------------------------------

    def _call(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        asyncio.run_coroutine_threadsafe(work(), self._loop).result(10)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, self.host, self.port)

    async def _cut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        apis: dict[int, int] = {}
        upstream: asyncio.StreamWriter | None = None
        try:
            answers, upstream = await asyncio.open_connection(self.host, self.target)
            await asyncio.gather(
                self._pump(reader, upstream, "request", apis), self._pump(answers, writer, "response", apis)
            )
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # either side has gone, or the test cut: both sides are closed below
        finally:
            self._connections.discard(task)
            for side in (writer, upstream):
                if side is not None:
                    with contextlib.suppress(OSError, RuntimeError):
                        side.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way, apis: dict[int, int]
    ) -> None:
        while True:
            head = await reader.readexactly(4)
            size = struct.unpack(">i", head)[0]
            assert 0 <= size <= LARGEST, "not a Kafka frame"
            body = await reader.readexactly(size)
            if way == "request":
                api, _version, correlation = struct.unpack(">hhi", body[:8])
                apis[correlation] = api
            else:
                api = apis.pop(struct.unpack(">i", body[:4])[0], -1)
            await self._wait_for_leave(api, way)
            writer.write(head + body)
            await writer.drain()

    async def _wait_for_leave(self, api: int, way: Way) -> None:
        for hold in self._holds:
            if hold.takes(api, way):
                hold.caught.set()
                end = None if hold.seconds is None else time.monotonic() + hold.seconds
                while not hold.released.is_set() and (end is None or time.monotonic() < end):
                    await asyncio.sleep(0.02)
        while way in self._silent:
            await asyncio.sleep(0.02)
