"""The recent history of a customer: what corrections are worked out from, and its bytes.

In: what was applied (`course.Log`). Out: a `Recent`: the state before the oldest entry, the events since in
the order they count, and up to when timers have fired after the last of them. State now = base, then each
entry (timers due before it first), then timers up to there: `corrections` relies on it.

Bytes, behind the core of a state: newest time (8 bytes), timers fired up to (8), entries (4), number of
entries at which to look whether the oldest can be folded into the base (4), length of the base (4; 0:
nobody), length of the numbers (4), base (a core), numbers (msgpack), entries (msgpack, one after the other).
Entries are appended without reading those before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from struct import Struct
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from journey_stream.engine.course import Log
from journey_stream.events.vocabulary import Context, Properties, Vocabulary
from journey_stream.values import Actor, Event

NONE: Final = -(2**63)
"""No time: before all others."""
LOOK_AT: Final = 32
"""How many entries a history has before somebody looks whether the oldest are settled."""
LIMIT: Final = 256
"""Entries of a history at most: what comes before the oldest kept counts as late."""
SIZE: Final = 512 * 1024
"""Bytes of a history at most, likewise: a state has to fit into one record of the changelog."""

_HEAD: Final = Struct(">qqIIII")
_ACTORS: Final[tuple[Actor, ...]] = ("customer", "company", "system")
_ACTIVITY, _UNRATED, _REPLAY, _KNOWN = 4, 8, 16, 32
_PLAIN: Final = _ACTIVITY | _KNOWN
"""Of an act of a known customer."""
Row: TypeAlias = tuple[Any, ...]
_pack = msgspec.msgpack.Encoder().encode
_unpack_numbers = msgspec.msgpack.Decoder(list[int]).decode


class Entry(NamedTuple):
    """An event and its place."""

    at: int
    """When it counts: its own time, or when it was applied if that was too late for its place."""
    late: bool
    """Too late: after all others of its time."""
    settled: int
    """Timers due up to here fire before it."""
    event: Event

    @property
    def order(self) -> tuple[int, bool, str]:
        """What entries are sorted by; late ones stay as they came."""
        return self.at, self.late, "" if self.late else self.event.event_id


class Recent:
    """A history in memory."""

    __slots__ = ("base", "entries", "look_at", "numbers", "point")

    def __init__(self, base: bytes) -> None:
        self.base = base
        """Core of the state before the first entry, empty for nobody."""
        self.entries: list[Entry] = []
        """In the order they count."""
        self.point = NONE
        """All timers due up to here have fired after the last entry."""
        self.numbers: list[int] | None = None
        """The last publication number given out per journey, where no state keeps them."""
        self.look_at = LOOK_AT

    @property
    def newest(self) -> int:
        """The latest time of all."""
        return max(self.point, self.entries[-1].at if self.entries else NONE)

    def place(self, event: Event) -> int:
        """Where an event on time belongs."""
        return bisect_right(self.entries, (event.at, False, event.event_id), key=_order)

    def in_order(self, event: Event) -> bool:
        """Whether it comes after all that has happened."""
        return event.at > self.point and self.place(event) == len(self.entries)

    def knows(self, event_id: str) -> bool:
        """Whether this event is among the entries."""
        return any(event_id == each.event.event_id for each in self.entries)

    def insert(self, event: Event) -> None:
        """Put an event on time in its place; timers that fired since are where they were."""
        self.entries.insert(self.place(event), Entry(event.at, False, event.at - 1, event))

    def foldable(self, horizon: int) -> int:
        """How many of the oldest entries are to go into the base: enough to be worth it, or too many."""
        count = len(self.entries)
        settled = bisect_right(self.entries, horizon, key=_at)
        beyond = count - LIMIT // 2 if count > LIMIT else 0
        folded = max(settled if settled * 2 >= count else 0, beyond)
        self.look_at = min(max(LOOK_AT, 2 * (count - folded)), LIMIT)
        return folded

    def add(self, log: Log) -> None:
        """Append what was applied since."""
        more, self.point = entries_of(log, self.point)
        self.entries += more


def _at(entry: Entry) -> int:
    return entry.at


def _order(entry: Entry) -> tuple[int, bool, str]:
    return entry.order


def entries_of(log: Log, point: int) -> tuple[list[Entry], int]:
    """What a log adds to a history, and up to when timers have fired after the last entry then."""
    entries: list[Entry] = []
    for event, _, late, at in log:
        if event is None:
            point = at
        else:
            entries.append(Entry(at, late, max(point, at - 1) if late else at - 1, event))
            point = NONE
    return entries, point


def newest_of(blob: bytes, begin: int) -> int:
    """Read the latest time of a history that begins at this byte, from its header alone."""
    return int.from_bytes(blob[begin : begin + 8], "big", signed=True)


def appended(history: bytes, base: bytes, log: Log) -> tuple[bytes, int, int]:
    """Add what was applied to a history in bytes.

    Args:
        history: the history so far, of a customer (whose state keeps the numbers); empty for one that
            begins now.
        base: where it begins, the core of the state before the log (empty for nobody).
        log: what was applied.

    Returns:
        The history, how many entries it has, and at how many to look whether the oldest can go.
    """
    if history:
        newest, point, count, look_at, length, _ = _HEAD.unpack_from(history)
        base = history[_HEAD.size : _HEAD.size + length]
        packed = [history[_HEAD.size + length :]]
    else:
        newest, point, count, look_at, packed = NONE, NONE, 0, LOOK_AT, []
    rows, point = _rows(log, point)
    if rows:
        packed.append(_stream(rows))
    newest = max(newest, log[-1][3] if log else NONE)
    count += len(rows)
    head = _HEAD.pack(newest, point, count, look_at, len(base), 0)
    return b"".join((head, base, *packed)), count, look_at


def pack(recent: Recent) -> bytes:
    """Write a history down."""
    numbers = b"" if recent.numbers is None else _pack(recent.numbers)
    head = _HEAD.pack(
        recent.newest, recent.point, len(recent.entries), recent.look_at, len(recent.base), len(numbers)
    )
    rows = [_row(each.event, each.at, each.settled if each.late else None) for each in recent.entries]
    return b"".join((head, recent.base, numbers, _stream(rows)))


def _rows(log: Log, point: int) -> tuple[list[Row], int]:
    """As `entries_of`, ready to be packed: this is done for every event."""
    rows: list[Row] = []
    for event, _, late, at in log:
        if event is None:
            point = at
        else:
            rows.append(_row(event, at, max(point, at - 1) if late else None))
            point = NONE
    return rows, point


def _row(event: Event, at: int, settled: int | None) -> Row:
    """One entry; `settled` tells that it was too late for its own time, and which timers it comes after."""
    return (
        at,
        (
            _PLAIN
            if event.activity and event.customer_id and not event.unrated and not event.replay
            else _flags(event)
        ),
        event.event_id,
        event.type,
        event.anonymous_id,
        event.account_id,
        event.properties,
        event.context,
        event.sentiment,
        event.score_norm,
        None if settled is None else (event.at, settled),
    )


def _flags(event: Event) -> int:
    return (
        _ACTORS.index(event.actor)
        | (_ACTIVITY if event.activity else 0)
        | (_UNRATED if event.unrated else 0)
        | (_REPLAY if event.replay else 0)
        | (0 if event.customer_id is None else _KNOWN)
    )


def _stream(rows: list[Row]) -> bytes:
    """Pack entries one after the other: an array without its head."""
    count = len(rows)
    return _pack(rows)[1 if count < 16 else 3 if count < 2**16 else 5 :]


class _Packed(msgspec.Struct, array_like=True, gc=False):
    at: int
    flags: int
    event_id: str
    type: str
    anonymous_id: str | None
    account_id: str | None
    properties: msgspec.Raw
    context: Context | None
    sentiment: float | None
    score_norm: float | None
    late: tuple[int, int] | None


class HistoryReader:
    """Reads histories back; knows the event types."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._entries = msgspec.msgpack.Decoder(list[_Packed]).decode
        self._properties: dict[str, Callable[[msgspec.Raw], Any]] = {}

    def read(self, person: str, history: bytes) -> Recent:
        """Read the history of a person.

        Raises:
            msgspec.DecodeError: damaged bytes.
        """
        _, point, count, look_at, length, numbers = _HEAD.unpack_from(history)
        begin = _HEAD.size + length
        recent = Recent(history[_HEAD.size : begin])
        recent.point, recent.look_at = point, look_at
        if numbers:
            recent.numbers = _unpack_numbers(history[begin : begin + numbers])
        # An array of 32 bits of length, whose items stand there already.
        packed = self._entries(b"\xdd" + count.to_bytes(4, "big") + history[begin + numbers :])
        recent.entries = [self._entry(person, each) for each in packed]
        return recent

    def _entry(self, person: str, packed: _Packed) -> Entry:
        flags, late = packed.flags, packed.late
        at, settled = (packed.at, packed.at - 1) if late is None else late
        event = Event(
            packed.event_id,
            packed.type,
            at,
            person,
            person if flags & _KNOWN else None,
            packed.anonymous_id,
            packed.account_id,
            self._read(packed.type)(packed.properties),
            packed.context,
            _ACTORS[flags & 3],
            bool(flags & _ACTIVITY),
            packed.sentiment,
            packed.score_norm,
            bool(flags & _UNRATED),
            late is not None,
            bool(flags & _REPLAY),
        )
        return Entry(packed.at, late is not None, settled, event)

    def _read(self, kind: str) -> Callable[[msgspec.Raw], Any]:
        read = self._properties.get(kind)
        if read is None:
            found = self._vocabulary.types.get(kind)
            # A type that a deployment no longer declares: no rule can ask for its properties.
            struct = Properties if found is None else found.properties
            read = msgspec.msgpack.Decoder(struct, dec_hook=_as_it_is).decode
            self._properties[kind] = read
        return read


def _as_it_is(_: type, value: Any) -> Any:
    """Times in properties are numbers by now."""
    return value
