"""What happens around the workers: brokers and nodes that die, networks that part, coordinators that are late,
disks that are full; and the drills, which need no load: topics, states, answers.
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from journey_stream.broker import EmbeddedCluster, EmbeddedKafka
from tests.faults.case import CASES, SHORT, Outcome, Told, case
from tests.faults.proxy import END_TXN, Proxy, kafka_behind
from tests.faults.scene import Scene, Size
from tests.kafka.cluster import ROOT

LONGER_THAN_A_SESSION = 15
SHOWN = 4_000
QUICK = "tests.faults.quick_worker"


class TwoWays:
    """A Kafka that workers reach by two networks; feeding and readers reach it directly."""

    def __init__(self, folder: Path) -> None:
        self.one, self.other = Proxy(), Proxy()
        self.kafka = kafka_behind(folder, self.one, self.other)

    @property
    def bootstrap(self) -> str:
        """The direct address."""
        return self.kafka.bootstrap

    @property
    def ways(self) -> tuple[str, ...]:
        """The addresses for workers, in turn."""
        return self.one.address, self.other.address

    def start(self) -> None:
        self.kafka.start()
        self.one.__enter__()
        self.other.__enter__()

    def kill(self) -> None:
        self.one.__exit__(None, None, None)
        self.other.__exit__(None, None, None)
        self.kafka.kill()


def fill_disk(kafka: EmbeddedKafka, largest: int | None) -> None:
    """Make every write beyond so many bytes of a file fail, as on a full disk; None: there is space again."""
    assert kafka._process is not None
    keeper = kafka._process.pid
    (java,) = map(int, Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split())
    _, hard = resource.prlimit(java, resource.RLIMIT_FSIZE)
    resource.prlimit(java, resource.RLIMIT_FSIZE, (hard if largest is None else largest, hard))


async def evenly(scene: Scene, strike: Callable[[int], Awaitable[None]]) -> None:
    """Strike as often as the size says, spread over the feeding, once every partition is at work."""
    at_work = scene.size.partitions
    await scene.wait_for(lambda: scene.said("taken over in") >= at_work, 120, "first takeover")
    for number in range(scene.size.faults):
        await scene.feeding.reaches((number + 0.5) / (scene.size.faults + 0.5))
        scene.struck()
        await strike(number)


AT_HAND = replace(SHORT, seconds=90, idle=40)
"""Short, with outages that are shorter than what counts as the end of a source."""
LOAD = Size(events=50_000, customers=10_000, partitions=8, workers=2, faults=3, seconds=240, idle=90)


@case("brokers-away", LOAD, AT_HAND, own_broker=True, word="outages")
async def brokers_away(scene: Scene) -> None:
    """All brokers are away for a minute, again and again."""
    away = 60 if scene.size.seconds > 60 else LONGER_THAN_A_SESSION

    async def outage(_: int) -> None:
        await asyncio.to_thread(scene.broker.kill)
        await asyncio.sleep(away)
        await asyncio.to_thread(scene.broker.start)

    await evenly(scene, outage)


@case("disk-full", LOAD, AT_HAND, own_broker=True, word="full disks")
async def disk_full(scene: Scene) -> None:
    """The broker's disk is full: it stops itself; then there is space, and it is started again."""

    async def full(_: int) -> None:
        fill_disk(scene.broker, 1)
        end = time.monotonic() + 60
        while scene.broker.running:
            assert time.monotonic() < end, "Kafka goes on without space"
            await asyncio.sleep(0.2)
        await asyncio.to_thread(scene.broker.start)

    await evenly(scene, full)


@case("network-cut", LOAD, AT_HAND, own_broker=True, word="cuts", make_broker=TwoWays)
async def network_cut(scene: Scene) -> None:
    """All workers lose the broker for longer than their session: connections reset, or nothing answers."""

    async def cut(number: int) -> None:
        ways = (scene.broker.one, scene.broker.other)
        for way in ways:
            way.cut() if number % 2 else way.silence()
        await asyncio.sleep(LONGER_THAN_A_SESSION)
        for way in ways:
            way.heal()

    await evenly(scene, cut)


@case("one-cut-off", LOAD, AT_HAND, own_broker=True, word="cuts", make_broker=TwoWays)
async def one_cut_off(scene: Scene) -> None:
    """One worker of two loses the broker for longer than its session, then is back: answers only, or both ways."""

    async def cut(number: int) -> None:
        way = (scene.broker.one, scene.broker.other)[number % 2]
        way.silence(*(("response",) if number % 3 == 1 else ()))
        await asyncio.sleep(LONGER_THAN_A_SESSION)
        way.heal()

    await evenly(scene, cut)


@case(
    "late-commit",
    Size(
        events=50_000, customers=10_000, partitions=8, workers=2, faults=6, seconds=180, checkpoint=1, idle=60
    ),
    replace(AT_HAND, checkpoint=1),
    own_broker=True,
    word="commits of unknown outcome",
    make_broker=TwoWays,
    module=QUICK,
)
async def late_commit(scene: Scene) -> None:
    """The coordinator answers commits later than a worker waits; what it held arrives after the takeover."""

    async def late(number: int) -> None:
        held = [
            way.hold(END_TXN, "response" if number % 2 else "request")
            for way in (scene.broker.one, scene.broker.other)
        ]
        await asyncio.sleep(20)
        for hold in held:
            hold.release()

    await evenly(scene, late)
    scene.notes["given up"] = scene.said("a transaction was not committed within")
    assert scene.notes["given up"] > 0, "no commit was late"


@case(
    "three-nodes",
    Size(events=50_000, customers=10_000, partitions=8, workers=2, faults=6, seconds=300, idle=60),
    replace(AT_HAND, faults=3, seconds=120),
    own_broker=True,
    word="nodes killed",
    make_broker=EmbeddedCluster,
)
async def three_nodes(scene: Scene) -> None:
    """Each of three nodes is killed in turn, with the leaders, coordinators and the controller on it."""

    async def kill(number: int) -> None:
        node = scene.broker.nodes[number % 3 + 1]
        await asyncio.to_thread(node.kill)
        await asyncio.sleep(5)
        await asyncio.to_thread(node.start)
        # Replicas catch up before the next one goes: two of three must be in sync.
        await asyncio.sleep(8)

    await evenly(scene, kill)


class Drill(Told):
    """Tests that are cases each, told in one line; any failure fails it."""

    async def run(self, scale: float, folder: Path) -> Outcome:
        """Run the tests."""
        outcome = await super().run(scale, folder)
        return replace(outcome, result="ok") if outcome.result == "told" else outcome


def drill(name: str, about: str, *tests: str) -> None:
    """Register tests as a case."""

    async def tell(folder: Path, scale: float) -> tuple[str, dict[str, Any]]:
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:randomly", *tests]
        ran = await asyncio.to_thread(
            subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout[-SHOWN:]
        counted = ran.stdout.strip().splitlines()[-1].partition(" in ")[0]
        return f"{counted}: lost, wrong, twice 0 wherever the work goes on", {}

    tell.__doc__ = about
    CASES[name] = Drill(name, tell)


drill(
    "topics", "Topics deleted, made anew, grown, cut short while workers run.", "tests/faults/test_topics.py"
)
drill("states", "States and checkpoints that cannot be read.", "tests/faults/test_state.py")
drill(
    "answers",
    "Late, lost and refused answers of the brokers.",
    "tests/faults/test_network.py",
    "tests/faults/test_rights.py",
)
