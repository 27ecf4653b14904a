"""A live partition for tests: events as they arrive, a clock that runs on, drains, crashes; and the oracle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import msgspec

from journey_stream.engine.partition import Partition
from journey_stream.engine.program import Program
from journey_stream.engine.state import decode, encode_core
from journey_stream.net import net, record_id
from journey_stream.values import Event, Signal, StageNow, Transition

Net = Counter[bytes]


def content(record: Transition | Signal) -> bytes:
    """A record by what counts."""
    return msgspec.json.encode(msgspec.structs.replace(record, decided_at=0, sequence=0), order="sorted")


def states_of(partition: Partition) -> dict[str, bytes]:
    """Everybody's state, but for publication numbers and histories."""
    found = {}
    for person in partition.people():
        c = decode(person, partition.encoded(person) or b"")
        c.sequences = []
        found[person] = encode_core(c)
    return found


def in_order(events: Sequence[Event]) -> list[Event]:
    return sorted(events, key=lambda event: (event.at, event.event_id))


def oracle(program: Program, events: Sequence[Event], until: int) -> tuple[Net, dict[str, bytes]]:
    """What comes of the history in order."""
    partition = Partition(program)
    for event in in_order(events):
        partition.apply(event, event.at)
    partition.fire(until, until)
    drained = partition.drain()
    assert not drained.rejected
    records = [record for record in drained.records if isinstance(record, Transition | Signal)]
    return Counter(map(content, records)), states_of(partition)


class Live:
    """Applies events as they arrive, with a horizon; what is drained survives a crash."""

    def __init__(self, program: Program, lateness: int) -> None:
        self.program, self.lateness = program, lateness
        self.partition = Partition(program, cache=1)
        self.rest: dict[str, bytes] = {}
        self.published: list[Transition | Signal] = []
        self.stages: dict[tuple[str, str], StageNow] = {}
        self.population: Counter[tuple[str, str]] = Counter()
        self.counts: Counter[str] = Counter()

    def tell(self, clock: int) -> None:
        """Time has come so far; what arrives from now on is at most the lateness behind."""
        self.partition.horizon = clock - self.lateness - 1

    def arrive(self, event: Event, *, late: bool = False) -> None:
        self.partition.apply(event, event.at + self.lateness, late=late)

    def drain(self, refused: frozenset[str] | set[str] = frozenset()) -> None:
        drained = self.partition.drain()
        assert {event.event_id for event, _ in drained.rejected} <= refused, drained.rejected
        for record in drained.records:
            if isinstance(record, StageNow):
                self.stages[record.person, record.journey] = record
            else:
                self.published.append(record)
        for person, blob in drained.changes:
            if blob is None:
                del self.rest[person]
            else:
                self.rest[person] = blob
        self.population.update(drained.population)
        self.counts.update(drained.counts)

    def crash(self) -> None:
        """Lose what was not drained, and start over from what was."""
        horizon = self.partition.horizon
        self.partition = Partition(self.program, cache=1)
        for person, blob in self.rest.items():
            self.partition.load(person, blob)
        self.partition.horizon = horizon

    def net(self) -> Net:
        return Counter(map(content, net(self.published, strict=True)))

    def check(self) -> None:
        """What holds of whatever was published."""
        said: dict[str, bytes] = {}
        numbers: dict[tuple[str, str], int] = {}
        for record in self.published:
            name = record_id(record)
            if record.corrects is None:
                assert said.setdefault(name, content(record)) == content(record), "two contents, one id"
            else:
                assert name not in said, "the id of a correction is not its own"
                said[name] = b""
            number = numbers.get((record.person, record.journey), 0)
            begins = record.sequence == 1 and getattr(record, "rule", None) == "start"
            assert record.sequence > number or begins, "publication numbers grow while somebody is known"
            numbers[record.person, record.journey] = record.sequence
        standing: Counter[tuple[str, str]] = Counter()
        for person in self.partition.people():
            c = self.partition.customer(person)
            assert c is not None
            for journey in self.program.journeys:
                stage = journey.stages[c.stages[journey.index]]
                standing[journey.id, stage] += 1
                assert stage == self.stages[person, journey.id].stage
                assert c.entered[journey.index] == self.stages[person, journey.id].entered_at
        assert {key: n for key, n in self.population.items() if n} == standing
        known = set(self.partition.people())
        assert all(now.stage is None for (person, _), now in self.stages.items() if person not in known)


def lived(
    program: Program,
    events: Sequence[Event],
    chance: Random,
    lateness: int,
    until: int,
    *,
    each: Callable[[Live, Sequence[Event], int], Any] | None = None,
) -> Live:
    """Let events arrive in this order, while the clock runs as far as it may, with drains and crashes at random."""
    live = Live(program, lateness)
    clock = min(event.at for event in events) - lateness
    for number, event in enumerate(events):
        # Nothing that is still to come may lie further behind the clock than the lateness.
        latest = min(other.at for other in events[number:]) + lateness
        if chance.random() < 0.5 and latest > clock:
            clock = chance.randint(clock, latest) if chance.random() < 0.7 else latest
        live.tell(clock)
        if chance.random() < 0.5:
            live.partition.fire(clock, clock, chance.choice((None, 1)))
        live.arrive(event)
        if chance.random() < 0.4:
            live.partition.fire(clock, clock)
        if chance.random() < 0.4:
            live.drain()
            if chance.random() < 0.4:
                live.crash()
        if each is not None:
            each(live, events[: number + 1], clock)
    live.partition.fire(until, until)
    live.drain()
    return live
