"""Standbys: states of keyed partitions of others, kept near, so that a takeover need not read them all.

Enters: which partitions the group wants us to follow, and their changelog. Leaves: at a takeover, an engine
with all states up to some offset. Strategy: one task, one consumer without a group, `read_committed`; it
reads in small helpings and then rests three times as long, since the same event loop serves our own
partitions, and it stands back while one of these restores. Nothing is decoded. A standby decides nothing and
proves nothing: whoever takes over fences first and reads the rest; on any trouble the standby is given up,
says so, and the takeover reads everything, so that it meets the trouble itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from journey_stream.errors import StateError, told
from journey_stream.kafka.assignor import StickyAssignor
from journey_stream.kafka.changelog import META_KEY
from journey_stream.kafka.engines import failures
from journey_stream.kafka.metrics import Metrics
from journey_stream.kafka.reading import stop_consumer

log = logging.getLogger(__name__)

HELPING: Final = 1_000
"""Records read at once."""
REST: Final = 3.0
"""Rest after a helping, in times of what it took: a quarter of the loop at most."""
FETCH_BYTES: Final = 1 << 20
QUIET_SECONDS: Final = 0.5
"""How often standbys that have everything look for more."""
LOOK_SECONDS: Final = 1.0
"""How often the ends are asked for."""
NEAR: Final = 10_000
"""Records behind the end, at most, of a standby that is warm: a takeover reads them in a blink."""
FRESH_SECONDS: Final = 3_600.0
"""One that has not seen its end for so long might have missed tombstones that compaction took away."""
RETRY_SECONDS: Final = 60.0
"""A standby that was given up is begun anew after this."""


class Warm(msgspec.Struct):
    """What a takeover gets of a standby."""

    engine: Any
    offset: int
    """Up to where the changelog has been read."""
    meta: bytes | None
    """The last meta record below it."""


class Standby:
    """The state of one partition as far as it has been read."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.offset: int | None = None
        """Where to read on; None before the first look."""
        self.meta: bytes | None = None
        self.behind: int | None = None
        self.current_at = time.monotonic()
        """When it last stood at the end; before that, when it began."""

    @property
    def warm(self) -> bool:
        """Nearly all of the state is here."""
        return self.behind is not None and self.behind <= NEAR

    def take(self, records: Iterable[Any]) -> None:
        """Take in records of the changelog.

        Raises:
            StateError, UnicodeDecodeError: one of them cannot be read.
        """
        for record in records:
            if record.key == META_KEY:
                self.meta = record.value
            elif record.key is not None:
                self.engine.load(record.key.decode(), record.value)


class Host(Protocol):
    """What is asked of the worker."""

    metrics: Metrics

    def is_restoring(self) -> bool:
        """Tell whether a lane of ours needs the event loop more than a standby."""

    async def ask_for_round(self) -> None:
        """Ask the group to share out the partitions anew."""


class Standbys:
    """All standbys of this worker."""

    def __init__(
        self,
        host: Host,
        client: Mapping[str, Any],
        changelog: str,
        make_engine: Any,
        assignor: type[StickyAssignor],
    ) -> None:
        """Make them; none is followed yet.

        Args:
            host: the worker.
            client: connection options.
            changelog: the topic of states.
            make_engine: makes an empty engine, and is told of errors of the core (`engines.Engines`).
            assignor: knows what the group wants of us, and tells it what is warm.
        """
        self.kept: dict[int, Standby] = {}
        self._client = client
        self._changelog = changelog
        self._make_engine = make_engine
        self._metrics = host.metrics
        self._assignor = assignor
        self._host = host
        self._wanted: frozenset[int] = frozenset()
        self._awaited: frozenset[int] = frozenset()
        self._asked = False
        """For another round, since the last."""
        self._given_up: dict[int, float] = {}
        """Partition to when (monotonic)."""
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def follow(self, ours: Iterable[int]) -> None:
        """Follow what the assignment says and nothing else; what has become ours waits to be taken."""
        given = self._assignor.given
        self._wanted, self._awaited = frozenset(given.standbys), frozenset(given.awaited)
        self._asked = False
        for partition in self.kept.keys() - self._wanted - set(ours):
            self._drop(partition)
        self._changed.set()
        if self._wanted and self._task is None:
            self._task = asyncio.create_task(self._run(), name="standbys")

    def take(self, partition: int) -> Warm | None:
        """Hand over what there is of a partition, to be followed no more; None for nothing of use."""
        self._wanted -= {partition}
        self._changed.set()
        standby = self._drop(partition)
        if standby is None or standby.offset is None:
            return None
        stale = time.monotonic() - standby.current_at
        if stale > FRESH_SECONDS:
            log.warning("standby of partition %d: last at the end %.0f s ago: not used", partition, stale)
            return None
        return Warm(standby.engine, standby.offset, standby.meta)

    def states(self) -> dict[int, str]:
        """Tell how each stands: `warm`, or how much is missing."""
        return {
            partition: "given up"
            if standby is None
            else "warm"
            if standby.warm
            else f"{'?' if standby.behind is None else standby.behind} records behind"
            for partition in sorted(self._wanted)
            for standby in (self.kept.get(partition),)
        }

    async def close(self) -> None:
        """Follow nothing more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task], timeout=5.0)
        for partition in list(self.kept):
            self._drop(partition)

    def _drop(self, partition: int) -> Standby | None:
        self._metrics.forget_standby(partition)
        return self.kept.pop(partition, None)

    def _give_up(self, partition: int, error: BaseException) -> None:
        log.warning(
            "standby of %s[%d]: given up, a takeover now would read everything; begun anew in %.0f s: %s",
            self._changelog,
            partition,
            RETRY_SECONDS,
            told(error),
        )
        self._drop(partition)
        self._given_up[partition] = time.monotonic()

    # -- the task --------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            if not self._wanted:
                self._changed.clear()
                continue
            try:
                await self._follow()
            except Exception as error:
                log.warning("standbys: reading is interrupted, and begun again: %s", told(error))
                await asyncio.sleep(LOOK_SECONDS)
                self._changed.set()

    async def _follow(self) -> None:
        """Read until there is nothing to follow any more."""
        consumer = AIOKafkaConsumer(
            enable_auto_commit=False,
            # What is gone from under a standby may hold tombstones it has not seen.
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_wait_ms=int(QUIET_SECONDS * 1000),
            **self._client,
        )
        try:
            await consumer.start()
            await consumer._client._wait_on_metadata(self._changelog)  # noqa: SLF001 (no public call before assign)
            looked = 0.0
            while self._wanted:
                now = time.monotonic()
                self._forgive(now)
                if self._changed.is_set():
                    self._changed.clear()
                    await self._assign(consumer)
                    looked = 0.0
                if self._host.is_restoring() or not self.kept:
                    await asyncio.sleep(QUIET_SECONDS)
                    continue
                read = await self._read(consumer)
                if now - looked >= LOOK_SECONDS:
                    looked = now
                    await self._look(consumer)
                if not read:
                    for standby in self.kept.values():
                        standby.engine.tidy()
                    await asyncio.sleep(QUIET_SECONDS)
        finally:
            await stop_consumer(consumer)

    def _forgive(self, now: float) -> None:
        for partition, at in list(self._given_up.items()):
            if now - at > RETRY_SECONDS:
                del self._given_up[partition]
                self._changed.set()

    async def _assign(self, consumer: AIOKafkaConsumer) -> None:
        """Read on where each stands; new ones begin at the beginning."""
        wanted = sorted(self._wanted - self._given_up.keys())
        tps = {p: TopicPartition(self._changelog, p) for p in wanted}
        consumer.assign(list(tps.values()))
        if not tps:
            return
        first = await consumer.beginning_offsets(list(tps.values()))
        for partition, tp in tps.items():
            if partition not in self._wanted:
                continue  # taken over meanwhile
            standby = self.kept.setdefault(partition, Standby(self._make_engine()))
            if standby.offset is None:
                standby.offset = first[tp]
            consumer.seek(tp, standby.offset)

    async def _read(self, consumer: AIOKafkaConsumer) -> bool:
        """Read one helping and rest; tells whether there was anything."""
        try:
            fetched = await consumer.getmany(timeout_ms=0, max_records=HELPING)
        except OffsetOutOfRangeError as error:
            for tp in error.args[0]:
                self._give_up(tp.partition, error)
            self._changed.set()
            return False
        began = time.perf_counter()
        for tp, records in fetched.items():
            # Whoever was taken over, or begun anew, while this was fetched has another position by now.
            standby = self.kept.get(tp.partition)
            if standby is None or standby.offset is None or not records or records[0].offset < standby.offset:
                continue
            try:
                standby.take(records)
            except (StateError, UnicodeDecodeError) as error:
                self._give_up(tp.partition, error)
                self._changed.set()
            except failures() as error:
                # So that the next one, and whoever takes over, is Python's (a panic is no `Exception`).
                self._make_engine.give_up(error)
                self._give_up(tp.partition, error)
                self._changed.set()
            else:
                standby.offset = records[-1].offset + 1
        await asyncio.sleep((time.perf_counter() - began) * REST)
        return bool(fetched)

    async def _look(self, consumer: AIOKafkaConsumer) -> None:
        """Find out how far each is behind, and tell."""
        tps = {p: TopicPartition(self._changelog, p) for p in self.kept}
        ends = await consumer.end_offsets(list(tps.values()))
        for partition, tp in tps.items():
            standby = self.kept.get(partition)
            if standby is None or standby.offset is None or tp not in consumer.assignment():
                continue
            # A transaction ends with a marker that no reader sees: the consumer's position is beyond it.
            position = await consumer.position(tp)
            if self.kept.get(partition) is not standby:
                continue
            standby.behind = max(0, ends[tp] - max(position, standby.offset))
            if not standby.behind:
                standby.current_at = time.monotonic()
            self._metrics.standby_behind.labels(partition).set(standby.behind)
        warm = self._assignor.warm = frozenset(p for p, standby in self.kept.items() if standby.warm)
        if self._awaited and self._awaited <= warm and not self._asked:
            self._asked = True
            log.info(
                "standbys: warm, and asked for: partitions %s", ", ".join(map(str, sorted(self._awaited)))
            )
            await self._host.ask_for_round()
