"""Source partitions that their keyed partition reads itself, without the hop (`keyed_input`).

Enters: source records, in offset order. Leaves: events for the keyed partition; rows for the hop, of the
records that belong to another one. Strategy: whose an event is decides where it goes, not its key: the
partitioner only says where most are. What belongs here goes straight on, decoded once; so does what cannot
be used, as a dead letter. What belongs elsewhere is collected in `rows`, to be sent and acknowledged before
a checkpoint moves the position past it; the partition that gets it drops repeats by source coordinates, as
ever. How far we have read is part of the checkpoint, so nothing here needs to be remembered by coordinates.
Where a restart begins is kept as for the keyed topic (P, O and W of `keyed`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

import msgspec

from journey_stream.errors import StateError
from journey_stream.events.decode import Decoder, derived_events
from journey_stream.kafka import hop
from journey_stream.kafka.astray import Astray
from journey_stream.kafka.compiled import Runs, readable
from journey_stream.kafka.meta import DirectPosition
from journey_stream.kafka.received import made_anew
from journey_stream.kafka.sender import Row
from journey_stream.letters import AS_OF, as_of_then
from journey_stream.release import BEGINNING, PartitionClock
from journey_stream.values import NEVER, DeadLetter, Event, Reason, Rejection

if TYPE_CHECKING:
    from journey_stream_native import Fetched

Outcome: TypeAlias = Literal["read", "rejected", "filtered"]
DERIVES: Final = "referral_converted"
"""The type that other events follow from."""


class Derived(msgspec.Struct, frozen=True, gc=False):
    """An event that follows from a source record, in the place of a record: at the same offset."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Home(Protocol):
    """What is needed of the keyed partition."""

    counts: Counter[tuple[str, str]]
    released: int

    @property
    def runs(self) -> Runs | None:
        """Takes runs of plain records, where the compiled core does the work."""

    def judge(self, event: Event, record: Any, topic: str, clock: int) -> None:
        """Let an event wait for its turn, unless it is too late."""

    def wait_again(self, event: Event, record: Any) -> None:
        """Let an event wait that waited at the last checkpoint."""

    def kill(self, record: Any, reason: Reason, detail: str) -> None:
        """Make a record a dead letter."""


class Direct:
    """Reading of one source partition: the judging, without Kafka."""

    def __init__(
        self, home: Home, decoder: Decoder, topic: str, partition: int, partitioner: hop.Partitioner
    ) -> None:
        self.topic: Final = topic
        self.partition: Final = partition
        self.source: Final = hop.pack_source(topic, partition)
        self.position = 0
        """Up to where it has been taken in."""
        self.oldest = 0
        """O as of the last checkpoint: it stands until what waited there waits again."""
        self.rereading = False
        """After a restart, until what waited waits again."""
        self.highest = BEGINNING
        """Highest event time taken in or waiting in `rows`, since the start."""
        self.rows: dict[int, list[Row]] = {}
        """What belongs to other keyed partitions and has not been sent."""
        self.astray = Astray(partition, partitioner.partitions)
        self._home = home
        self._decode = decoder.decode
        self.partitioner_name: Final = partitioner.name
        self._partitioner = partitioner
        self._header = hop.packer(self.source)
        self._restored_below = 0
        self._last_at = 0

    def restore(self, kept: DirectPosition | None, first: int) -> int:
        """Go on from a checkpoint; gives the offset to read from.

        Args:
            kept: what the checkpoint says, None if it knows nothing of this partition.
            first: the first offset there is.
        """
        if kept is None:
            self.position = self.oldest = first
            return first
        self.position = self._restored_below = kept.position
        self.oldest, self._last_at = kept.oldest, kept.last_at
        # The last record is read again, if it is still there: it shows whether this is still the same topic.
        start = min(kept.oldest, max(kept.position - 1, first))
        self.rereading = max(start, first) < kept.position
        return start

    def skip(self, first: int) -> None:
        """Go on at the first offset there is: what was before it was deleted unread."""
        if first > self.position:
            self.position = first
            self.rereading = False

    def kept(self, oldest: int) -> DirectPosition:
        """Tell how far this partition is; `oldest` is the lowest offset of it that waits."""
        if not self.rereading:
            self.oldest = min(oldest, self.position)
        return DirectPosition(self.position, self.oldest, self._last_at)

    def take(self, records: Sequence[Any], clock: int) -> None:
        """Take in source records, `clock` as it stood before them.

        Raises:
            StateError: the topic was made anew.
        """
        below = self._restored_below
        if records[0].offset < below:
            self._take_again([record for record in records if record.offset < below])
            records = [record for record in records if record.offset >= below]
            if not records:
                return
        self.rereading = False
        rejected = filtered = place = 0
        runs = None if self.partitioner_name != hop.MURMUR2 else self._home.runs
        fetched = None if runs is None else readable(records)
        while (place := self._run(fetched, place, clock)) < len(records):
            outcome = self._judge(records[place], clock)
            rejected += outcome == "rejected"
            filtered += outcome == "filtered"
            place += 1
        counts, topic, last = self._home.counts, self.topic, records[-1]
        counts[topic, "read"] += len(records)
        if rejected:
            counts[topic, "rejected"] += rejected
        if filtered:
            counts[topic, "filtered"] += filtered
        self.position = last.offset + 1
        self._last_at = last.timestamp * 1000

    def _run(self, records: Fetched | None, start: int, clock: int) -> int:
        """Let the compiled core take plain records; gives the place of the first that it left."""
        runs = self._home.runs
        if runs is None or records is None or start == len(records):
            return start
        whole = (self.partition, self._partitioner.partitions)
        place, highest = runs.of_source(records, start, self.topic, clock, whole)
        self.highest = max(self.highest, highest)
        return place

    def _judge(self, record: Any, clock: int) -> Outcome:
        """Judge one record: an event for us, one for another partition, or none."""
        home = self._home
        event = self._decode(record.value, record.timestamp * 1000)
        if type(event) is Event:
            if event.at > self.highest:
                self.highest = event.at
            if self._partitioner(event.person.encode()) != self.partition:
                self._send_on(record, event, clock)
            elif event.type == DERIVES or (record.headers and record.headers[-1][0] == AS_OF):
                self._judge_carefully(event, record, clock)
            else:
                home.judge(event, record, self.topic, clock)
            return "read"
        if isinstance(event, Rejection):
            home.kill(record, event.reason, event.detail)
            return "rejected"
        return "filtered"

    def _take_again(self, records: Iterable[Any]) -> None:
        """Let wait again what waited at the checkpoint; the rest is in the state already, or was sent on."""
        home = self._home
        for record in records:
            broker_at = record.timestamp * 1000
            if record.offset == self._restored_below - 1:
                self.rereading = False
                if self._last_at and broker_at != self._last_at:
                    raise StateError(made_anew(self.source, record.offset, record.offset))
            event = self._decode(record.value, broker_at)
            if type(event) is not Event or record.offset < self.oldest:
                continue
            for person, derived in self._derived(event, record):
                follows = self._decode(derived.value, broker_at)
                if self._is_ours(person) and type(follows) is Event and follows.at > home.released:
                    home.wait_again(follows, derived)
            if self._is_ours(event.person):
                asked = as_of_then(event, record.headers, broker_at) if record.headers else event
                if type(asked) is Event and asked.at > home.released:
                    home.wait_again(asked, record)

    def _is_ours(self, person: str) -> bool:
        return self._partitioner(person.encode()) == self.partition

    def _judge_carefully(self, event: Event, record: Any, clock: int) -> None:
        """Judge an event that others follow from, or that was sent back as of another time."""
        self._derive(event, record, clock)
        asked = as_of_then(event, record.headers, record.timestamp * 1000) if record.headers else event
        if isinstance(asked, Rejection):
            self._home.kill(record, asked.reason, asked.detail)
        else:
            self._home.judge(asked, record, self.topic, clock)

    def _send_on(self, record: Any, event: Event, clock: int) -> None:
        """Collect a record that came to the wrong partition for the one that it belongs to."""
        key = event.person.encode()
        head = (hop.HEADER, self._header(hop.EVENT, record.offset * 2, record.timestamp * 1000))
        row = (record.key, record.value, [head, *record.headers])
        self.rows.setdefault(self._partitioner(key), []).append(row)
        self._home.counts[self.topic, "misrouted"] += 1
        if record.key is not None:
            self.astray.note(record.key)
        self._derive(event, record, clock)

    def _derive(self, event: Event, record: Any, clock: int) -> None:
        """Take in, or send on, what follows from an event."""
        home = self._home
        for person, derived in self._derived(event, record):
            if not self._is_ours(person):
                head = (hop.HEADER, self._header(hop.EVENT, record.offset * 2 + 1, record.timestamp * 1000))
                key = person.encode()
                self.rows.setdefault(self._partitioner(key), []).append((key, derived.value, [head]))
                continue
            follows = self._decode(derived.value, record.timestamp * 1000)
            if type(follows) is Event:
                home.judge(follows, derived, self.topic, clock)
            elif isinstance(follows, Rejection):
                home.kill(derived, follows.reason, follows.detail)
            else:
                home.counts[self.topic, "filtered"] += 1

    def _derived(self, event: Event, record: Any) -> Iterable[tuple[str, Derived]]:
        if event.type != DERIVES:
            return
        at = (self.topic, self.partition, record.offset, record.timestamp)
        for each in derived_events(event):
            yield each.person, Derived(*at, each.person.encode(), each.value)


class Directs:
    """Those of one keyed partition; none without `keyed_input`."""

    def __init__(self, home: Home, decoder: Decoder) -> None:
        self.oldest: dict[tuple[str, int], int] = {}
        """Per topic and partition the lowest offset that waits, as of the last checkpoint."""
        self._home = home
        self._decoder = decoder
        self._by_topic: dict[str, Direct] = {}
        self._by_source: dict[bytes, Direct] = {}
        self._left: dict[bytes, DirectPosition] = {}
        """How far source partitions were read that the settings no longer name."""

    def add(self, topic: str, partition: int, partitioner: hop.Partitioner) -> None:
        """Read a partition of a source topic without the hop; before `restore`."""
        direct = Direct(self._home, self._decoder, topic, partition, partitioner)
        self._by_topic[topic] = self._by_source[direct.source] = direct

    def restore(self, kept: Mapping[bytes, DirectPosition], first: Mapping[str, int]) -> dict[str, int]:
        """Go on from a checkpoint; gives per topic the offset to read from.

        Args:
            kept: what the checkpoint says.
            first: per topic the first offset there is.
        """
        self._left = {source: each for source, each in kept.items() if source not in self._by_source}
        return {each.topic: each.restore(kept.get(each.source), first[each.topic]) for each in self}

    def __len__(self) -> int:
        return len(self._by_topic)

    def __iter__(self) -> Iterator[Direct]:
        return iter(self._by_topic.values())

    def __getitem__(self, topic: str) -> Direct:
        return self._by_topic[topic]

    def of(self, source: bytes) -> Direct | None:
        """Give the reading of a source partition, if it is one of these."""
        return self._by_source.get(source)

    def reads(self, source: bytes) -> bool:
        """Tell whether a source partition is one of these."""
        return source in self._by_source

    @property
    def rereading(self) -> bool:
        """After a restart: not all that waited waits again."""
        return any(each.rereading for each in self._by_topic.values())

    def take(self, topic: str, records: Sequence[Any], clock: PartitionClock, now: int) -> None:
        """Take in records of one topic, and tell the clock.

        Raises:
            StateError: the topic was made anew.
        """
        direct = self._by_topic[topic]
        before = direct.position
        direct.take(records, clock.clock(now))
        if direct.position > before:
            known = clock.sources.get(direct.source)
            # It is not at its end, or was not a moment ago: whether it is now, its next marker tells.
            clock.progress(direct.source, direct.highest, False, BEGINNING if known is None else known.wall)

    def kept(self, waiting: Iterable[Any]) -> tuple[dict[bytes, DirectPosition], Iterable[Any]]:
        """Tell a checkpoint how far each is; gives those of the waiting records that are none of theirs."""
        if not self._by_topic:
            return self._left, waiting
        lowest = dict.fromkeys(self._by_topic, NEVER)
        others = []
        for record in waiting:
            known = lowest.get(record.topic)
            if known is None:
                others.append(record)
            elif record.offset < known:
                lowest[record.topic] = record.offset
        kept = {each.source: each.kept(lowest[each.topic]) for each in self}
        self.oldest = {(each.topic, each.partition): each.oldest for each in self}
        return self._left | kept, others

    def letter(self, record: Any, reason: Reason, detail: str) -> DeadLetter | None:
        """Make the dead letter of a record, if it is one of these."""
        if record.topic not in self._by_topic:
            return None
        origin = (record.topic, record.partition, record.offset, record.timestamp * 1000)
        derived = isinstance(record, Derived)
        came_with = tuple(record.headers)
        return DeadLetter(reason, detail, *origin, record.key, record.value, came_with, derived)
