"""The scene of a case: a deployment on a real Kafka, its workers, the feeding, and a reader that reads along.

Enters: a broker, a workload, a size. Leaves: what a case may do (start, kill, stop, pause workers; wait for
progress), and at the end the verdict of both readers. Strategy: the workers run with `--exit-when-done`, so
that the end of the work is their word, not a guess; the case only attacks, the scene does all else.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Protocol

import msgspec

from journey_stream.settings import Checkpoint, Settings, TopicNames, Web
from journey_stream.values import SECOND
from tests.faults.feeding import Feeding, topics_of
from tests.faults.reading import Reader
from tests.faults.verdict import Verdict, judge
from tests.faults.workload import Workload
from tests.kafka.cluster import WorkerProcess, topics

DONE = "--exit-when-done"
TAKEN_OVER = "taken over in"
"""What a worker says when a keyed partition is restored and at work."""
START_SECONDS = 180.0
OVER = 0.95
"""Work of which so much was published when the last fault struck was over: the case says nothing."""


class Broker(Protocol):
    """What a case needs of a Kafka: an embedded node, or several of them.

    One with `ways` gives the workers other addresses than the feeding and the readers, in turn.
    """

    @property
    def bootstrap(self) -> str:
        """Address for clients."""


@dataclass(frozen=True)
class Size:
    """How large a case is."""

    events: int = 100_000
    customers: int = 20_000
    partitions: int = 8
    workers: int = 3
    faults: int = 20
    seconds: float = 300.0
    """How long the feeding takes: the faults have to fit in."""
    checkpoint: float = 5.0
    """Seconds between checkpoints: long, so that deaths land in the middle."""
    idle: float = 20.0
    """A source partition is at its end after so many seconds: longer than any pause of the feeding."""
    done: float = 600.0
    """Seconds that the work may take after the feeding."""


@dataclass
class Scene:
    """One case under way."""

    broker: Any
    settings: Settings
    names: TopicNames
    workload: Workload
    size: Size
    folder: Path
    feeding: Feeding
    along: Reader
    random: Random
    module: str = "journey_stream"
    workers: list[WorkerProcess] = field(default_factory=list)
    """Those alive, oldest first."""
    gone: list[WorkerProcess] = field(default_factory=list)
    faults: int = 0
    progress_at_fault: float = 0.0
    """Share of the net records that were published when the last fault struck."""
    fed_at_fault: float = 0.0
    notes: dict[str, Any] = field(default_factory=dict)
    """Further figures of the case, shown in its line."""

    @property
    def progress(self) -> float:
        """Share of the expected records that the reader along has got; live, where some are taken back, of the feeding."""
        if self.workload.live:
            return self.feeding.share
        got = self.along.count(self.names.transitions, self.names.signals)
        return got / max(1, len(self.workload.expected.records))

    async def start_worker(self, *flags: str) -> WorkerProcess:
        settings, folder = self.settings, self.folder
        ways = getattr(self.broker, "ways", ())
        if ways:  # workers take turns, each way with a settings file of its own
            way = len(self.workers) + len(self.gone)
            folder = self.folder / f"way-{way % len(ways)}"
            folder.mkdir(exist_ok=True)
            settings = msgspec.structs.replace(settings, bootstrap_servers=ways[way % len(ways)])
        own = () if self.workload.live else (DONE,)
        worker = WorkerProcess(settings, folder, *own, *flags, module=self.module)
        self.workers.append(worker)
        return worker

    def struck(self) -> None:
        """Note that a fault has just happened."""
        self.faults += 1
        self.progress_at_fault, self.fed_at_fault = self.progress, self.feeding.share

    async def kill(self, worker: WorkerProcess) -> None:
        """As if the machine had died."""
        self._leaves(worker)
        worker.kill()

    async def stop(self, worker: WorkerProcess, seconds: float = 60.0) -> None:
        """Tell a worker to leave, in order."""
        self._leaves(worker)
        code = await asyncio.to_thread(worker.terminate, seconds)
        # Before its program listens for SIGTERM a process simply ends.
        fine = (0,) if "assigned:" in worker.text() else (0, -signal.SIGTERM)
        assert code in fine, f"worker {worker.number}, told to leave, gave {code}:\n{worker.text()[-3000:]}"

    def pause(self, worker: WorkerProcess) -> None:
        """Freeze a worker: the machine hangs, nobody is told."""
        worker.process.send_signal(signal.SIGSTOP)

    def resume(self, worker: WorkerProcess) -> None:
        """Let a frozen worker go on, unaware of what happened meanwhile."""
        worker.process.send_signal(signal.SIGCONT)

    def pick(self) -> WorkerProcess:
        """Draw one of the living."""
        return self.random.choice(self.workers)

    async def reaches(self, share: float, seconds: float = 600.0) -> None:
        """Wait until so much of the result has been published."""
        await self.wait_for(lambda: self.progress >= share, seconds, f"progress of {share:.0%}")

    async def wait_for(
        self, check: Callable[[], bool], seconds: float, what: str, pause: float = 0.1
    ) -> None:
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while not check():
            self.all_well()
            assert time.monotonic() < end, f"no {what} within {seconds:.0f} s (progress {self.progress:.0%})"
            await asyncio.sleep(pause)

    def all_well(self) -> None:
        """Raise when a worker has ended by itself with an error."""
        for worker in self.workers:
            code = worker.process.poll()
            assert code in (None, 0), f"worker {worker.number} ended with {code}:\n{worker.text()[-3000:]}"

    async def done(self) -> None:
        """Wait until all is fed and every worker says that all is done."""
        self.feeding.attacked = False
        await self.feeding.end()
        if self.workload.live:
            await self.wait_for(self._as_expected, self.size.done, "end of what is due", pause=3.0)
            await asyncio.gather(*(self.stop(worker) for worker in list(self.workers)))
            return
        await self.wait_for(
            lambda: all(worker.process.poll() is not None for worker in self.workers),
            self.size.done,
            "end of the work",
        )
        self.all_well()

    def _as_expected(self) -> bool:
        """Tell whether all is there; what is wrong or twice will not go away, but may be corrected yet."""
        return judge(self.along.records, self.names, self.workload.expected, self.feeding.dead).zero

    def said(self, words: str) -> int:
        """Count how often workers, living or gone, said something."""
        return sum(worker.text().count(words) for worker in (*self.gone, *self.workers))

    async def verdicts(self) -> tuple[Verdict, Verdict]:
        """Judge what the reader along got, and what one gets who comes afterwards."""
        await self.along.finish()
        afterwards = Reader(self.settings, list(self.along.records))
        await afterwards.to_the_end()
        expected, dead = self.workload.expected, self.feeding.dead
        return (
            judge(self.along.records, self.names, expected, dead),
            judge(afterwards.records, self.names, expected, dead),
        )

    def _leaves(self, worker: WorkerProcess) -> None:
        if worker in self.workers:
            self.workers.remove(worker)
            self.gone.append(worker)


@contextlib.asynccontextmanager
async def scene(
    broker: Broker,
    workload: Workload,
    size: Size,
    folder: Path,
    name: str,
    *,
    seed: int = 7,
    module: str = "journey_stream",
    **chosen: Any,
) -> AsyncIterator[Scene]:
    """Set up a case and leave nothing behind.

    Args:
        broker: where.
        workload: what is sent.
        size: how large.
        folder: for logs and settings of the workers.
        name: makes topics and group this case's own.
        seed: of what the case draws.
        module: what a worker process runs.
        chosen: further settings.
    """
    own: dict[str, Any] = {
        "application_id": name,
        "topic_prefix": name,
        "partitions": size.partitions,
        "web": Web(port=0),
        "idle_after": int(size.idle * SECOND),
        "checkpoint": Checkpoint(interval=int(size.checkpoint * SECOND), records=1_000_000),
    }
    settings = Settings(bootstrap_servers=broker.bootstrap, **{**own, **workload.settings, **chosen})
    names = await topics(settings)
    workload.expected  # noqa: B018  (computed now, not while the clock of the case runs)
    feeding = Feeding(settings, topics_of(settings.sources, names.sources), workload, size.seconds)
    along = Reader(settings, [names.transitions, names.signals, names.stages, names.dead_letters])
    made = Scene(
        broker, settings, names, workload, size, folder, feeding, along, Random(f"{seed}/{name}"), module
    )
    try:
        along.start()
        for _ in range(size.workers):
            await made.start_worker()
        await made.wait_for(lambda: made.said(TAKEN_OVER) >= size.partitions, START_SECONDS, "worker ready")
        feeding.start()
        yield made
    finally:
        for worker in (*made.workers, *made.gone):
            if worker.process.poll() is None:
                made.resume(worker)
                worker.kill()
        await feeding.stop()
        await along.stop()
