"""How a running deployment stands: its partitions of customers, its sources, what is paused. From the side.

Enters: settings; what the cluster says of topics and of the group; the last checkpoints. Leaves: values for
`inspect`. Strategy: nothing is joined, nothing written. A checkpoint is the last record of its transaction,
so the tail of a changelog partition has it; who wants customers counted has the partition read whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec
from aiokafka.admin import AIOKafkaAdminClient

from journey_stream.engine.partition import LAYOUT_KEY
from journey_stream.engine.state import due_of
from journey_stream.kafka.changelog import META_KEY
from journey_stream.kafka.control import Pause, Pauses, pause_of, read_pauses
from journey_stream.kafka.coordinator import committed_of
from journey_stream.kafka.hop import pack_source, unpack_source
from journey_stream.kafka.look import LastCheckpoint, scan
from journey_stream.kafka.meta import Meta, read_meta
from journey_stream.kafka.reading import Reader, Span, Where
from journey_stream.release import BEGINNING, PartitionClock
from journey_stream.settings import Settings, TopicNames
from journey_stream.values import NEVER, SECOND

TAIL: Final = 200
"""Offsets of a changelog's end in which the last checkpoint is looked for first."""
BEHIND: Final = 10 * SECOND
"""A clock so far behind is held by somebody."""
_LAYOUT: Final = LAYOUT_KEY.encode()


class Counted(msgspec.Struct, frozen=True):
    """The customers of a partition."""

    customers: int
    timers_pending: int
    """How many have something due some time."""
    next_due: int | None


class RunningVersion(msgspec.Struct, frozen=True):
    """A version of a journey that customers of a partition may be in."""

    journey: str
    version: int


class PartitionStanding(msgspec.Struct, frozen=True, kw_only=True):
    """One partition of customers. Times are microseconds; None is not known."""

    partition: int
    committed: int | None
    """What the group says, for tools that show lag."""
    end: int
    pause: Pause | None
    counted: Counted | None = None
    """Of `only` one partition."""
    position: int = 0
    """Up to where the keyed topic has been taken in, by the last checkpoint."""
    oldest: int = 0
    """Where a restart reads from: the oldest event that waits for its time."""
    clock: int | None = None
    clock_lag: int | None = None
    """How far the clock was behind when the checkpoint was made (`clock: wall`)."""
    holding: tuple[str, ...] = ()
    """Source partitions that hold the clock."""
    checkpoint_at: int | None = None
    """None: nobody has worked on it yet."""
    application: str | None = None
    """The version of the program that made the checkpoint."""
    journeys: tuple[RunningVersion, ...] = ()
    population: dict[str, dict[str, int]] = {}

    @property
    def lag(self) -> int:
        """Records not yet taken in (marks of transactions count as records)."""
        return max(0, self.end - self.position)


class SourceStanding(msgspec.Struct, frozen=True):
    """One source partition."""

    topic: str
    partition: int
    committed: int | None
    end: int
    highest: int | None
    """Highest event time that any partition of customers has been told of."""
    idle: bool
    """It was read to its end, and holds no clock."""
    pause: Pause | None

    @property
    def lag(self) -> int:
        """Records not yet handed on."""
        return max(0, self.end - (self.committed or 0))


class Standing(msgspec.Struct, frozen=True):
    """The whole deployment."""

    partitions: tuple[PartitionStanding, ...]
    sources: tuple[SourceStanding, ...]
    pauses: Pauses


async def standing(
    read: Reader, admin: AIOKafkaAdminClient, settings: Settings, only: int | None = None
) -> Standing:
    """Tell how a deployment stands; of `only` one partition also how many customers it has.

    Raises:
        BrokerError: a topic of the deployment is not there.
        StateError: a newer program wrote a checkpoint.
    """
    names = TopicNames.of(settings)
    pauses = await read_pauses(read, settings)
    committed = await committed_of(admin, settings.application_id)
    ends = {topic: await read.spans(topic, await read.partitions(topic)) for topic in names.sources}
    keyed = await read.spans(names.events, await read.partitions(names.events))
    expected = [pack_source(topic, p) for topic, spans in ends.items() for p in spans]
    partitions, metas = [], []
    for partition in await read.partitions(names.changelog) if only is None else [only]:
        last, counted = await _last(read, settings, partition, count=only is not None)
        if last is not None:
            metas.append(last.meta)
        found = PartitionStanding(
            partition=partition,
            committed=committed.get((names.events, partition)),
            end=keyed[partition].end if partition in keyed else 0,
            pause=pause_of(pauses, names.events, partition),
            counted=counted,
        )
        partitions.append(found if last is None else _as_of(found, last, settings, expected))
    return Standing(tuple(partitions), tuple(_sources(ends, committed, metas, pauses)), pauses)


async def _last(
    read: Reader, settings: Settings, partition: int, *, count: bool
) -> tuple[LastCheckpoint | None, Counted | None]:
    """Find the last checkpoint of a partition; and count its customers, if that is wanted."""
    if not count:
        found = await _at_the_end(read, TopicNames.of(settings).changelog, partition)
        if found is not None:
            return found, None
    dues: dict[bytes, int] = {}

    def take(key: bytes, state: bytes | None) -> None:
        if state is None:
            dues.pop(key, None)
        elif not key.startswith(_LAYOUT):
            dues[key] = due_of(state)

    last = await scan(read, settings, partition, take)
    pending = [due for due in dues.values() if due != NEVER]
    return last, Counted(len(dues), len(pending), min(pending, default=None)) if count else None


async def _at_the_end(read: Reader, topic: str, partition: int) -> LastCheckpoint | None:
    last = None
    async for records in read.read(topic, [partition], Where(tail=TAIL)):
        for record in records:
            if record.key == META_KEY:
                last = record
    return None if last is None else LastCheckpoint(read_meta(last.value), last.timestamp * 1000)


def _as_of(
    found: PartitionStanding, last: LastCheckpoint, settings: Settings, expected: Iterable[bytes]
) -> PartitionStanding:
    """Add what the last checkpoint says."""
    meta, at = last.meta, last.at
    clock = PartitionClock(settings.clock, expected)
    clock.reached = meta.clock
    for source, (highest, idle, wall) in meta.progress.items():
        if source in clock.sources:
            clock.progress(source, highest, idle, wall)
    behind = max(0, at - meta.clock) if settings.clock == "wall" else None
    # A checkpoint is always a little younger than the last word of a source: that holds nobody.
    holding = clock.holding(at) if behind is None or behind > BEHIND else []
    known = meta.clock != BEGINNING
    return msgspec.structs.replace(
        found,
        position=meta.position,
        oldest=meta.oldest,
        clock=meta.clock if known else None,
        clock_lag=behind if known else None,
        holding=tuple(sorted("{}/{}".format(*unpack_source(source)) for source in holding)),
        checkpoint_at=at,
        application=meta.application,
        journeys=tuple(RunningVersion(each.id, each.version) for each in meta.journeys if not each.ended),
        population=meta.population,
    )


def _sources(
    ends: Mapping[str, Mapping[int, Span]],
    committed: Mapping[tuple[str, int], int],
    metas: Iterable[Meta],
    pauses: Pauses,
) -> Iterator[SourceStanding]:
    told: dict[bytes, tuple[int, int, bool]] = {}
    for meta in metas:
        for source, (highest, idle, wall) in meta.progress.items():
            told[source] = max(told.get(source, (BEGINNING, BEGINNING, False)), (wall, highest, idle))
    for topic, spans in ends.items():
        for partition, span in spans.items():
            _, highest, idle = told.get(pack_source(topic, partition), (BEGINNING, BEGINNING, False))
            yield SourceStanding(
                topic=topic,
                partition=partition,
                committed=committed.get((topic, partition)),
                end=span.end,
                highest=None if highest == BEGINNING else highest,
                idle=idle,
                pause=pause_of(pauses, topic, partition),
            )
