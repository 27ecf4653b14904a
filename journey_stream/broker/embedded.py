"""The embedded Kafka: start, wait until it answers, stop; nothing is left behind.

Enters: a folder. Leaves: a running Kafka with its address. Strategy: the storage is formatted once a folder;
Kafka runs under a `keeper` process that ends it when we end; ports are chosen free unless given; readiness is
a real metadata answer that names the broker, not an open port.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from journey_stream.broker import keeper
from journey_stream.broker.certificates import make_certificate
from journey_stream.broker.jars import class_path, java
from journey_stream.broker.properties import Listener, Quorum, as_text, server_properties
from journey_stream.errors import BrokerError


class ScramUser(msgspec.Struct, frozen=True):
    """A user of the protected listener."""

    name: str
    password: str


class EmbeddedKafka:
    """A real Kafka node in `folder`; a context manager that starts and stops it.

    Data stay in the folder: started there again, topics are still there. With `users`, a second listener
    asks for TLS and SCRAM (`secure_bootstrap`, to be trusted with `cafile`). It is alone unless given a
    `quorum`. A `lasting` one compiles itself as any Kafka in production does: slower in its first minutes,
    then twice as fast as one that is quick to start.
    """

    def __init__(
        self,
        folder: Path | str,
        port: int = 0,
        *,
        cache: Path | None = None,
        heap: str = "384m",
        properties: Mapping[str, str] | None = None,
        users: Sequence[ScramUser] = (),
        host: str = "127.0.0.1",
        start_timeout: float = 90.0,
        tell: Callable[[str], None] | None = None,
        quorum: Quorum | None = None,
        lasting: bool = False,
    ) -> None:
        self.folder = Path(folder).absolute()
        self.host = host
        self.port = port
        self.secure_port: int | None = None
        self.cafile: Path | None = None
        self.users = tuple(users)
        self._fixed_port = port
        self._cache, self._heap, self._more = cache, heap, dict(properties or {})
        self._start_timeout, self._tell = start_timeout, tell
        self._quorum, self._lasting = quorum, lasting
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """Address for clients."""
        return f"{self.host}:{self.port}"

    @property
    def secure_bootstrap(self) -> str:
        """Address for clients that come with TLS and SCRAM."""
        if self.secure_port is None:
            msg = "this Kafka has no protected listener: give it `users`"
            raise BrokerError(msg)
        return f"{self.host}:{self.secure_port}"

    @property
    def log(self) -> Path:
        """What Kafka said."""
        return self.folder / "kafka.log"

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start and wait until Kafka answers.

        Raises:
            BrokerError: it cannot be fetched, or did not answer; with the end of what it said.
        """
        if self.running:
            return self
        jars = class_path(self._cache, self._tell)
        self.folder.mkdir(parents=True, exist_ok=True)
        for attempt in range(3):
            self._configure(jars)
            self._launch(jars)
            try:
                self._await_answer()
            except BrokerError as error:
                self.stop(orderly=False)
                # A free port may be taken by somebody else before Kafka binds it.
                if self._fixed_port or attempt == 2 or "in use" not in str(error):
                    raise
                continue
            return self
        raise AssertionError  # pragma: no cover  (the loop returns or raises)

    def stop(self, *, orderly: bool = True) -> None:
        """Stop and wait until the process is gone; `orderly=False` for data that nobody needs again."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None  # (it was made with a pipe)
        with contextlib.suppress(OSError):  # it may be gone already
            if not orderly:
                process.stdin.write(b"now\n")
            process.stdin.close()
        try:
            process.wait(keeper.ORDERLY_SECONDS + 10)
        except subprocess.TimeoutExpired:
            process.kill()  # on Linux Kafka goes with its keeper
            process.wait()

    def kill(self) -> None:
        """End Kafka at once, as a power cut would; the folder stays."""
        self.stop(orderly=False)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _configure(self, jars: str) -> None:
        self.port = self._fixed_port or self.port or free_port(self.host)
        keystore = None
        if self.users:
            keystore, self.cafile = make_certificate(self.folder, self.host)
            self.secure_port = self.secure_port or free_port(self.host)
        if not _is_free(self.host, self.port):
            if self._fixed_port:
                way = "stop what listens there, or choose another (0 = any free one)"
                msg = f"port {self.port} is in use: {way}"
                raise BrokerError(msg)
            self.port = free_port(self.host)
        quorum = self._quorum
        controller = free_port(self.host) if quorum is None else quorum.controllers[quorum.node]
        listener = Listener(self.port, controller, self.secure_port, keystore)
        properties = server_properties(self.folder, listener, self.host, self._more, quorum)
        (self.folder / "server.properties").write_text(as_text(properties), encoding="utf-8")
        (self.folder / "log4j2.yaml").write_text(_LOG4J, encoding="utf-8")
        if not (self.folder / "data" / "meta.properties").exists():
            self._format(jars)

    def _format(self, jars: str) -> None:
        cluster = cluster_id() if self._quorum is None else self._quorum.cluster
        command = [*self._java(jars, "64m"), "kafka.tools.StorageTool", "format", "--ignore-formatted"]
        command += ["-t", cluster, "-c", str(self.folder / "server.properties")]
        for user in self.users:
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
                command += ["--add-scram", f"{mechanism}=[name={user.name},password={user.password}]"]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            shutil.rmtree(self.folder / "data", ignore_errors=True)
            msg = (
                f"Kafka's storage in {self.folder} cannot be made: {(run.stdout + run.stderr).strip()[-800:]}"
            )
            raise BrokerError(msg)

    def _java(self, jars: str, heap: str) -> list[str]:
        # One shared core must do: the quick compiler and the serial collector start fastest and stay small.
        quick = () if self._lasting else ("-XX:TieredStopAtLevel=1",)
        return [
            str(java()),
            f"-Xmx{heap}",
            "-XX:+UseSerialGC",
            *quick,
            "-Xshare:auto",
            "-cp",
            jars,
        ]

    def _launch(self, jars: str) -> None:
        kafka = [*self._java(jars, self._heap), "kafka.Kafka", str(self.folder / "server.properties")]
        kafka.insert(1, f"-Dlog4j2.configurationFile={self.folder / 'log4j2.yaml'}")
        kafka.insert(1, "--enable-native-access=ALL-UNNAMED")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, keeper.__file__, *kafka],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self.folder,
                env={**os.environ, "KAFKA_OPTS": ""},
            )

    def _await_answer(self) -> None:
        assert self._process is not None  # (called after _launch)
        deadline = time.monotonic() + self._start_timeout
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                msg = f"Kafka ended while starting (see {self.log}): {self._last_words()}"
                raise BrokerError(msg)
            if answers(self.host, self.port):
                return
            time.sleep(0.05)
        msg = f"Kafka did not answer at {self.bootstrap} within {self._start_timeout:g} s (see {self.log})"
        raise BrokerError(msg)

    def _last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        telling = [line for line in lines if "Exception" in line or "ERROR" in line or "Error" in line]
        return " / ".join(line.strip() for line in (telling or lines)[-3:])[-600:]


_LOG4J = """\
Configuration:
  status: "off"
  Appenders:
    Console: {name: STDOUT, PatternLayout: {pattern: "[%d] %p %m (%c)%n"}}
  Loggers:
    Root: {level: WARN, AppenderRef: {ref: STDOUT}}
"""


def cluster_id() -> str:
    """Return a new id, as Kafka's storage tool would draw it."""
    return urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A", 1)


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


_METADATA, _VERSION = 3, 4


def answers(host: str, port: int, timeout: float = 2.0) -> bool:
    """Tell whether a Kafka at this plain address answers a metadata request and names a live broker."""
    body = struct.pack(">hhih", _METADATA, _VERSION, 1, -1) + struct.pack(">i?", 0, False)
    try:
        with socket.create_connection((host, port), timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(struct.pack(">i", len(body)) + body)
            size = struct.unpack(">i", _exactly(connection, 4))[0]
            # correlation id, throttle time, number of brokers
            return bool(size >= 12 and struct.unpack(">iii", _exactly(connection, 12))[2] > 0)
    except (OSError, EOFError):
        return False


def _exactly(connection: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        more = connection.recv(size - len(read))
        if not more:
            raise EOFError
        read += more
    return read
