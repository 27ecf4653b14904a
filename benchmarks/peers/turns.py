"""Everybody in turn on one Kafka: topics filled once, runs interleaved, outputs held against the oracle.

Enters: who takes part, how many events, customers and repetitions. Leaves: the runs of each, and why somebody
did not run. Strategy: in each turn everybody runs once, beginning with another one each time, so that a
machine that gets slower or quicker does so for all. What a run wrote is gone before the next begins, also
from the disk: nobody pays for what another left.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.measuring import Figure, cleared, create_topics, drop_topics, fill, read_all, say
from benchmarks.peers import ours, programs, workload
from benchmarks.peers.contestants import Contestant
from benchmarks.peers.programs import NotRunnable, Place, RunFailed
from benchmarks.peers.workload import Change, Layout

PATIENCE = 60.0
"""Seconds until a peer's last records must have come."""


class Work(msgspec.Struct, frozen=True):
    """How much there is to do."""

    events: int
    customers: int
    partitions: int
    repetitions: int


class Outcome(msgspec.Struct):
    """What came of the turns."""

    runs: dict[str, list[Figure]]
    not_run: dict[str, str]
    bytes: int
    """Mean size of an event."""
    failed: dict[str, str]
    """Whose figures do not count, and why."""
    due: dict[str, int]
    """How many records each has to publish: changes of stage, signals."""


class _Peer(msgspec.Struct, frozen=True):
    """A peer, ready to start."""

    command: list[str]
    due: frozenset[tuple[str, ...]]


class Bench:
    """One Kafka, its topics and those who run on it."""

    def __init__(self, bootstrap: str, folder: Path, work: Work, contestants: Sequence[Contestant]) -> None:
        self.bootstrap, self.folder, self.work = bootstrap, folder, work
        self.outcome = Outcome({each.name: [] for each in contestants}, {}, 0, {}, {})
        self._contestants = list(contestants)
        self._peers: dict[str, _Peer] = {}
        self._ours: dict[str, ours.Records] = {}

    async def run(self) -> Outcome:
        """Prepare, then take turns."""
        most = max(map(self.events, self._contestants))
        made = list(workload.make(most, self.work.customers))
        gc.disable()  # nothing here becomes garbage, and looking through it takes longer than the replays
        self.outcome.bytes = round(statistics.mean(len(event.value) for event in made))
        self._prepare(made)
        await self._fill(made)
        self._replays(made)
        del made
        for turn in range(self.work.repetitions):
            at = turn % max(1, len(self._contestants))
            for contestant in [*self._contestants[at:], *self._contestants[:at]]:
                if contestant.name in self.outcome.failed:
                    continue
                try:
                    figure = await self._one(contestant, turn)
                except RunFailed as error:
                    say(f"turn {turn + 1}: {contestant.title} FAILED, no figure of it counts: {error}")
                    self.outcome.failed[contestant.name] = str(error)
                    self.outcome.runs[contestant.name].clear()
                    continue
                finally:
                    await cleared(self.folder / "kafka")
                self.outcome.runs[contestant.name].append(figure)
                told = f"{figure.rate:,.0f} events/s, {figure.cpu:.1f} µs CPU/event"
                say(f"turn {turn + 1}: {contestant.title} {told}")
        return self.outcome

    def _prepare(self, made: list[workload.Made]) -> None:
        """Make peers ready; leave out those who cannot run here."""
        for contestant in list(self._contestants):
            if contestant.command is None:
                continue
            try:
                command = contestant.command(self.folder)
            except NotRunnable as reason:
                say(f"{contestant.title} is not run: {reason}")
                self.outcome.not_run[contestant.name] = str(reason)
                self._contestants.remove(contestant)
                continue
            due = workload.changes(itertools.islice(made, self.events(contestant)))
            self._peers[contestant.name] = _Peer(command, told(due, contestant.layout))
            self.outcome.due[contestant.name] = len(due)

    async def _fill(self, made: list[workload.Made]) -> None:
        filled = set()
        for contestant in self._contestants:
            topic, events = self._source(contestant), self.events(contestant)
            if topic in filled:
                continue
            filled.add(topic)
            say(f"filling {topic} with {events:,} events")
            await create_topics(self.bootstrap, [topic], self.work.partitions)
            await asyncio.sleep(1)  # its partitions get their leaders a moment later
            part = itertools.islice(made, events)
            await fill(self.bootstrap, topic, workload.rows(part, contestant.layout, self.work.partitions))

    def _replays(self, made: list[workload.Made]) -> None:
        done: dict[tuple[object, ...], ours.Records] = {}
        for contestant in self._contestants:
            if contestant.command is not None:
                continue
            events = self.events(contestant)
            part = made[:events]
            if (contestant.journeys, events) not in done:
                say(f"replaying {events:,} events: what has to come out of {contestant.title}")
                values = (event.value for event in part)
                done[contestant.journeys, events] = ours.oracle(
                    contestant.journeys, values, part[-1].occurred_at
                )
            expected = self._ours[contestant.name] = done[contestant.journeys, events]
            self.outcome.due[contestant.name] = len(expected.ids)
            if len(contestant.journeys) == 1 and not ours.agree(expected, workload.changes(part)):
                raise SystemExit("the journey of three stages does not do the peers' job: a bug of the bench")

    def events(self, contestant: Contestant) -> int:
        """How many events a contestant gets."""
        return int(self.work.events * contestant.share)

    def _source(self, contestant: Contestant) -> str:
        return f"{ours.PREFIX}.{workload.source(contestant.layout, self.events(contestant))}"

    async def _one(self, contestant: Contestant, turn: int) -> Figure:
        name = f"run{turn + 1}-{contestant.name}"
        if contestant.command is None:
            events = self.events(contestant)
            job = ours.Job(contestant, self.bootstrap, name, self.work.partitions, events)
            return await ours.run(job, self._ours[contestant.name], self.folder)
        peer = self._peers[contestant.name]
        place = Place(
            self.bootstrap,
            self._source(contestant),
            contestant.layout,
            name,
            self.events(contestant),
            self.work.partitions,
            self.folder / name,
            contestant.compression,
        )
        topics = [f"{name}-changes", f"{name}-changelog"]
        await create_topics(self.bootstrap, topics, self.work.partitions)
        try:
            async with programs.ran(peer.command, place) as figure:
                found = await _published(self.bootstrap, topics[0], contestant.layout, len(peer.due))
        finally:
            await drop_topics(self.bootstrap, name)
        if len(found) != len(peer.due) or set(found) != peer.due:
            wrong = len(set(found) - peer.due)
            raise RunFailed(
                f"it published {len(found)} changes, {wrong} of them wrong; {len(peer.due)} are due"
            )
        return figure


def told(due: Sequence[Change], layout: Layout) -> frozenset[tuple[str, ...]]:
    """Say of each change what every right program says.

    Without a key, nothing orders the events of a customer that stand in different partitions: which order
    came first, and after how many events, is then open; who moved where is not.
    """
    if layout == "scattered":
        return frozenset((each.customer, each.from_, each.to) for each in due)
    return frozenset((each.customer, each.from_, each.to, str(each.count), each.last_seen) for each in due)


class _Told(msgspec.Struct, rename={"from_": "from"}):
    """A change as a peer publishes it."""

    customer: str
    from_: str
    to: str
    count: int
    last_seen: str

    def identity(self, layout: Layout) -> tuple[str, ...]:
        """Give what is compared."""
        who = (self.customer, self.from_, self.to)
        return who if layout == "scattered" else (*who, str(self.count), self.last_seen)


async def _published(bootstrap: str, topic: str, layout: Layout, due: int) -> list[tuple[str, ...]]:
    """Read a peer's committed changes: when all that are due have come, once more a second later."""
    decode = msgspec.json.Decoder(_Told).decode
    loop = asyncio.get_running_loop()
    end, complete = loop.time() + PATIENCE, False
    while True:
        found = [decode(value).identity(layout) async for value in read_all(bootstrap, topic)]
        if complete or loop.time() > end:
            return found
        complete = len(found) >= due
        await asyncio.sleep(1)
