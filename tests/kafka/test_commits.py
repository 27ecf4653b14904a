"""A lane works on while brokers take its last checkpoint; what fails there fails the lane."""

from __future__ import annotations

import asyncio
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaError
from faust.types import TP

from journey_stream.encode import Encoder
from journey_stream.errors import BrokerError
from journey_stream.kafka import commits
from journey_stream.kafka.aside import Aside
from journey_stream.kafka.commits import Commits
from journey_stream.kafka.metrics import Metrics
from journey_stream.kafka.pace import Limits
from journey_stream.settings import Settings, TopicNames
from journey_stream.values import DAY
from tests.kafka.log import START, Shell, history, options

UNTIL = START + 400 * DAY


class Held:
    """A writer whose transactions take until they are let go; real ones are in test_checkpoint.py."""

    waited_for = "somebody who holds it"
    changelog_end = 0

    def __init__(self) -> None:
        self.begun: list[int] = []
        """States in each."""
        self.free = asyncio.Event()
        self.error: Exception | None = None
        self.stopped = self.cancelled = False

    async def alike(self, topics: Any) -> bool:
        return False

    async def commit(self, outs: Any, changelog: str, changes: Any, *_: Any) -> None:
        self.begun.append(len(changes))
        try:
            await self.free.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.error is not None:
            raise self.error

    async def stop(self) -> None:
        self.stopped = True


class Lane:
    """What a lane has."""

    def __init__(self, records: int = 10_000) -> None:
        log, _ = history(Random(1), 60)
        self.shell = Shell(log, options(until=UNTIL))
        self.logic = self.shell.logic
        self.writer, self.metrics = Held(), Metrics()
        self.told: list[str] = []
        self.commits = Commits(
            SimpleNamespace(aside=Aside(), now=lambda: START),  # type: ignore[arg-type]
            TP("events", 0),
            Encoder(TopicNames.of(Settings())),
            self.metrics,
            changelog="changelog",
            limits=Limits(shortest=0.0, longest=0.0, records=records, size=1 << 20),
            committed=lambda: self.told.append("committed"),
            wake=lambda: self.told.append("woken"),
        )
        self.commits.open(self.writer)  # type: ignore[arg-type]

    def work(self, records: int) -> None:
        self.shell.step(records, START)

    async def begin(self) -> None:
        await self.commits.begin(self.logic, nothing)

    def read(self) -> float:
        return sum(
            sample.value
            for metric in self.metrics.events.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        )


async def nothing() -> None: ...


async def test_a_lane_works_on_while_its_checkpoint_is_under_way() -> None:
    lane = Lane()
    lane.work(40)
    await lane.begin()
    lane.work(1_000)
    assert lane.logic.effects
    assert not lane.commits.is_due(lane.logic, behind=True)
    assert float("inf") == lane.commits.wait()
    await lane.commits.look()
    assert [] == lane.told
    lane.writer.free.set()
    await lane.commits.settle()
    assert ["committed", "woken"] == lane.told
    assert lane.commits.is_due(lane.logic, behind=True)
    assert lane.commits.wait() <= 0


async def test_the_next_waits_for_the_one_before() -> None:
    lane = Lane(records=1)
    lane.work(40)
    await lane.begin()
    lane.work(1_000)
    assert lane.commits.is_due(lane.logic, behind=True), "it holds all that it may"
    second = asyncio.create_task(lane.begin())
    await asyncio.sleep(0.01)
    assert 1 == len(lane.writer.begun)
    lane.writer.free.set()
    await second
    await lane.commits.settle()
    assert 2 == len(lane.writer.begun)


async def test_what_was_counted_before_a_checkpoint_is_told_with_it_and_the_rest_later() -> None:
    lane = Lane()
    lane.work(40)
    await lane.begin()
    before = dict(lane.logic.counts)
    lane.work(1_000)
    assert not before
    later = sum(lane.logic.counts.values())
    lane.writer.free.set()
    await lane.commits.settle()
    told = lane.read()
    assert 0 < told
    assert later == sum(lane.logic.counts.values())
    await lane.begin()
    await lane.commits.settle()
    assert told + later == lane.read()


@pytest.mark.parametrize("ask", ["look", "settle", "begin"])
async def test_a_failure_is_raised_wherever_the_lane_is(ask: str) -> None:
    lane = Lane()
    lane.work(40)
    await lane.begin()
    lane.writer.error = KafkaError("refused")
    lane.writer.free.set()
    await asyncio.sleep(0.01)
    assert ["woken"] == lane.told
    with pytest.raises(KafkaError, match="refused"):
        await {"look": lane.commits.look, "settle": lane.commits.settle, "begin": lane.begin}[ask]()
    await lane.commits.close()


async def test_one_that_takes_too_long_says_what_it_was_waiting_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "COMMIT_SECONDS", 0.01)
    lane = Lane()
    lane.work(40)
    await lane.begin()
    with pytest.raises(BrokerError, match=r"not committed within 0 s: somebody who holds it"):
        await lane.commits.settle()


async def test_a_lane_that_ends_leaves_nothing_under_way() -> None:
    lane = Lane()
    lane.work(40)
    await lane.begin()
    await asyncio.sleep(0)
    await lane.commits.close()
    assert (True, True) == (lane.writer.cancelled, lane.writer.stopped)
    assert "committed" not in lane.told


async def test_states_on_disk_are_written_before_they_change_again() -> None:
    lane = Lane()
    kept: list[int] = []
    lane.commits.states = SimpleNamespace(  # type: ignore[assignment]
        keep=lambda changes, *_: kept.append(len(changes)), close=lambda: None
    )
    lane.work(40)
    begun = asyncio.create_task(lane.begin())
    await asyncio.sleep(0.01)
    assert not begun.done()
    lane.writer.free.set()
    await begun
    assert [lane.writer.begun[0] - 1] == kept  # (the meta record is not a state)
    await lane.commits.close()
