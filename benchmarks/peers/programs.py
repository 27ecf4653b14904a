"""How the peers are started, and how a run of theirs is taken.

Enters: where to read and write. Leaves: a figure, or why a peer cannot run here. Strategy: each peer is a
program that gets its place by environment and says `begun N` once 5 % of its events are read and `ended N`
once 95 % are done; time and CPU are taken from outside when the word comes. What a peer needs beside this
project's own environment (Kafka Streams' jars, an environment with Quix Streams) is fetched once into the
cache folder of the embedded Kafka.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
import venv
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from benchmarks.measuring import Figure, cpu_seconds, say
from benchmarks.peers.workload import Layout
from journey_stream.broker.jars import KAFKA, class_path_of, default_cache, java
from journey_stream.errors import BrokerError
from journey_stream.settings import Codec

HERE = Path(__file__).parent
QUIX = "3.28.1"
STREAMS = KAFKA
JACKSON = "2.19.2"
STREAMS_JARS = (
    f"org.apache.kafka:kafka-streams:{STREAMS}"
    f"+com.fasterxml.jackson.core:jackson-databind:{JACKSON}+org.slf4j:slf4j-nop:1.7.36"
)


class NotRunnable(Exception):
    """A peer cannot run on this machine; the message says why."""


class RunFailed(Exception):
    """A run that gave no figure."""


class Place(msgspec.Struct, frozen=True):
    """Where a peer reads and writes."""

    bootstrap: str
    source: str
    layout: Layout
    group: str
    events: int
    partitions: int
    folder: Path
    compression: Codec = "none"
    """Of what it writes, where it can."""

    def environment(self) -> dict[str, str]:
        """Tell a program its place."""
        return {
            **os.environ,
            "BENCH_BROKER": self.bootstrap,
            "BENCH_SOURCE": self.source,
            "BENCH_LAYOUT": self.layout,
            "BENCH_COMPRESSION": self.compression,
            "BENCH_GROUP": self.group,
            "BENCH_EVENTS": str(self.events),
            "BENCH_PARTITIONS": str(self.partitions),
            "BENCH_FOLDER": str(self.folder),
        }


def faust_command(_: Path) -> list[str]:
    """Plain Faust."""
    return [sys.executable, str(HERE / "plain_faust.py"), "worker", "-l", "error", "--without-web"]


def loop_command(_: Path) -> list[str]:
    """The bare loop."""
    return [sys.executable, str(HERE / "bare_loop.py")]


def quix_command(_: Path) -> list[str]:
    """Quix Streams, in an environment of its own.

    Raises:
        NotRunnable: it cannot be installed.
    """
    home = default_cache() / f"quixstreams-{QUIX}"
    python = home / "bin" / "python"
    done = home / "installed"
    if not done.exists():
        say(f"Installing Quix Streams {QUIX} into an environment of its own (once)")
        shutil.rmtree(home, ignore_errors=True)
        try:
            venv.create(home, with_pip=True)
            install = [python, "-m", "pip", "install", "-q", f"quixstreams=={QUIX}"]
            subprocess.run(install, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", None) or str(error)
            raise NotRunnable(f"Quix Streams cannot be installed: {said.strip().splitlines()[-1]}") from error
        done.touch()
    return [str(python), str(HERE / "quix.py")]


def streams_command(folder: Path) -> list[str]:
    """Kafka Streams, compiled into a folder of the run.

    Raises:
        NotRunnable: there is no compiler, or the jars cannot be fetched.
    """
    compiler = javac()
    if compiler is None:
        raise NotRunnable("no JDK: no javac on PATH nor under JAVA_HOME")
    try:
        what = (f"Kafka Streams {STREAMS} with RocksDB", 75)
        jars = class_path_of(f"kafka-streams-{STREAMS}", STREAMS_JARS, what, tell=say)
    except BrokerError as error:
        raise NotRunnable(str(error)) from error
    classes = folder / "classes"
    if not (classes / "KafkaStreamsPeer.class").exists():
        source = str(HERE / "KafkaStreamsPeer.java")
        compiled = subprocess.run(
            [compiler, "--release", "17", "-cp", jars, "-d", str(classes), source],
            capture_output=True,
            text=True,
            check=False,
        )
        if compiled.returncode:
            raise NotRunnable(f"{compiler} refuses the peer: {compiled.stderr.strip()[-400:]}")
    flags = ["--enable-native-access=ALL-UNNAMED", "-cp", f"{classes}:{jars}"]
    return [str(java()), *flags, "KafkaStreamsPeer"]


def javac() -> str | None:
    """Find a Java compiler."""
    found = shutil.which("javac")
    home = os.environ.get("JAVA_HOME")
    if found is None and home and (Path(home) / "bin" / "javac").exists():
        return str(Path(home) / "bin" / "javac")
    return found


@contextlib.asynccontextmanager
async def ran(command: list[str], place: Place) -> AsyncIterator[Figure]:
    """Run a peer until 95 % are done, and give its figure; it goes on until the block is left.

    Raises:
        RunFailed: it ended before, or took too long.
    """
    place.folder.mkdir(parents=True)
    log = place.folder.with_suffix(".log")
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, env=place.environment(), stdout=subprocess.PIPE, stderr=errors, text=True
        )
    guard = threading.Timer(120 + place.events / 500, process.kill)  # a stuck peer must not hang the bench
    guard.start()
    try:
        figure = await asyncio.to_thread(_marks, process)
        if figure is None:
            said = " / ".join(log.read_text(errors="replace").splitlines()[-5:])
            raise RunFailed(f"it ended with {process.wait()} before it had done everything: {said[-800:]}")
        yield figure
    finally:
        guard.cancel()
        process.kill()
        process.wait()
        shutil.rmtree(place.folder, ignore_errors=True)


def _marks(process: subprocess.Popen[str]) -> Figure | None:
    assert process.stdout is not None  # (it was made with a pipe)
    begun: tuple[int, float, float] | None = None
    for line in process.stdout:
        word, _, number = line.strip().partition(" ")
        if word not in ("begun", "ended"):
            continue
        mark = (int(number), time.perf_counter(), cpu_seconds(process.pid))
        if word == "begun":
            begun = mark
        elif begun is not None:
            return Figure(mark[0] - begun[0], mark[1] - begun[1], mark[2] - begun[2])
    return None
