"""States of one keyed partition in a RocksDB of its own: for more customers than memory holds.

Enters: states as the engine puts them down, and what a committed transaction held. Leaves: states by person,
and who is due, in that order. Strategy: what the engine puts down stays in memory (`Above`: in dicts here, or
in the compiled core) until its transaction is committed; then `keep` writes it together with the place in
the changelog that it stands for, in one write. So what is on disk is always what the changelog said at that
place, and a restart reads the changelog from there on. The place is that of a checkpoint's meta record: the
tail always holds it, and with it the name of the changelog's generation. A directory of another generation,
of other definitions, left in the middle of a full restore, or so old that tombstones may be gone from the
changelog, is thrown away and filled anew.

Keys: s<person> the time they are listed under and their state, d<time><person> nothing (the index of who
is due), n<person> nothing (nobodies), L<key> a layout, m the place. The index is as exact as it has to be:
who is due some time is listed under one time for as long as it lies ahead; who is due before that has a
second entry, whoever is due later has none (`native/src/below.rs` says why).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from journey_stream.engine.state import due_at, redated
from journey_stream.engine.store import LAYOUT_KEY, Above, Rows
from journey_stream.kafka.local_disk import Disk
from journey_stream.values import HOUR, NEVER

log = logging.getLogger(__name__)

SAFE_AGE: Final = 12 * HOUR
"""Changelogs keep tombstones for a day (`delete.retention.ms`): what is older than half of it is not used."""
WINDOW: Final = 50_000
"""Entries of the index fetched at once."""
_READ_AT_MOST: Final = 100_000
"""States read and not put down again that are remembered, so that nothing is read twice for one change."""
_STATE, _DUE, _NOBODY, _LAYOUT, _PLACE = b"s", b"d", b"n", b"L", b"m"
_LISTED: Final = 8
"""Bytes in front of a state: the time its person is listed under, NEVER if none."""
_NOBODY_LENGTH: Final = 4
"""Length of the core that stands for nobody: none."""


class Place(msgspec.Struct, array_like=True, frozen=True):
    """Which changelog, and how much of it, a directory stands for."""

    format: int
    generation: str
    """Of the changelog; empty while its first full restore is under way."""
    program: bytes
    """Fingerprint of the definitions."""
    offset: int
    """The tail begins here."""
    written_at: int
    known: int
    """States, nobodies included."""
    pending: int
    """Of these, how many are due some time."""


FORMAT: Final = 2


class RocksStates:
    """States of one partition, as `engine.store.States`. Not safe for use by several threads."""

    def __init__(self, folder: Path, program: bytes, now: int) -> None:
        """Open, or begin.

        Args:
            folder: of this application and partition alone.
            program: fingerprint of the definitions.
            now: the wall clock, microseconds.

        Raises:
            SettingsError: the extra is not installed, somebody else has the directory, or it cannot be used.
        """
        self._program = program
        self._disk = Disk(folder)
        self.read = self._disk.read
        """Gives values as they stand on disk. Knows the disk alone: who is given this may be held here."""
        self._place = self._read_place()
        why = self._useless(now)
        if why:
            log.info("%s: %s: all is read from the changelog", folder, why)
            self.clear()
        self._begin()

    def _begin(self) -> None:
        self.known = self._place.known
        """States on disk, nobodies included."""
        self.pending = self._place.pending
        """States there that are due some time."""
        self.stand_under(Fresh(self.read, self.known))

    def stand_under(self, above: Above) -> None:
        """What is put down is there from now on, until it is kept."""
        self._above = above
        # As a dict of states, to the engine.
        self.get, self.pop, self.move, self.used = above.get, above.pop, above.move, above.used

    def _read_place(self) -> Place:
        found = self._disk.get(_PLACE)
        return Place(FORMAT, "", self._program, 0, 0, 0, 0) if found is None else _decode_place(found)

    def _useless(self, now: int) -> str:
        place = self._place
        if self._disk.get(_PLACE) is None:
            return "nothing is here yet"
        if place.format != FORMAT:
            return "another version wrote it"
        if not place.generation:
            return "it was not filled to the end"
        if place.program != self._program:
            return "it was written under other definitions"
        if now - place.written_at > SAFE_AGE:
            return "it is too old"
        return ""

    def clear(self) -> None:
        """Throw all away, and begin anew."""
        self._disk.clear()
        self._place = Place(FORMAT, "", self._program, 0, 0, 0, 0)
        self._begin()

    def close(self) -> None:
        """Let go of the directory; what was not kept is gone."""
        self._disk.close()

    @property
    def generation(self) -> str:
        """Of the changelog that this is from; empty if there is nothing here yet."""
        return self._place.generation

    @property
    def offset(self) -> int:
        """Where the tail of the changelog begins."""
        return self._place.offset

    # States, for the engine.

    def __setitem__(self, person: str, blob: bytes, /) -> None:
        self._above[person] = blob

    def __len__(self) -> int:
        return len(self._above)

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Give all states."""
        fresh = self._above.fresh()
        for key, blob in self._disk.items(_STATE):
            person = key[1:].decode()
            if person not in fresh:
                yield person, blob[_LISTED:]
        for person, put in fresh.items():
            if put is not None:
                yield person, put

    def __iter__(self) -> Iterator[str]:
        return (person for person, _ in self.items())

    # Who is due, nobodies, layouts.

    def nobodies(self) -> list[tuple[str, bytes]]:
        """Give the states that are nothing but a history."""
        people = (key[1:].decode() for key, _ in self._disk.items(_NOBODY))
        return [(person, blob) for person in people if (blob := self.get(person)) is not None]

    def layouts(self) -> list[bytes]:
        """Give the layouts that states were written in."""
        return [value for _, value in self._disk.items(_LAYOUT)]

    def due_from(self, due: int) -> tuple[list[tuple[int, str]], int]:
        """Give who may be due from here on, some of the first, and the time of the first that was left out.

        That is, all entries on disk, and when those are due who are not as they are there: whatever becomes
        of them, there is an entry that is not too late.
        """
        found: list[tuple[int, str]] = []
        end = NEVER
        for key, _ in self._disk.items(_DUE, max(due, 0).to_bytes(8, "big")):
            at = int.from_bytes(key[1:9], "big")
            if len(found) >= WINDOW and at != found[-1][0]:
                end = at
                break
            found.append((at, key[9:].decode()))
        fresh = (
            (at, person)
            for person, blob in self._above.fresh().items()
            if blob is not None and due <= (at := due_at(blob)) < end
        )
        return list(dict.fromkeys((*found, *fresh))), end

    # What was committed.

    def keep(
        self, changes: Iterable[tuple[str, bytes | None]], offset: int, generation: str, now: int
    ) -> None:
        """Write what a committed transaction held, and the place that it brings this directory to.

        To be called before anybody's timers are looked at again: whoever is listed by this under a time that
        the queue has passed would not be found.

        Args:
            changes: keys and states (None: a tombstone), as the changelog has them.
            offset: where the tail begins now: at or before the last meta record.
            generation: of the changelog; empty while there is more to come of a full restore.
            now: the wall clock, microseconds.
        """
        batch = self._disk.batch()
        for key, blob in changes:
            if key.startswith(LAYOUT_KEY):
                name = _LAYOUT + key.encode()
                batch.delete(name) if blob is None else batch.put(name, blob)
        # As the engine put it down: a state of other definitions has another due than the changelog says, and
        # one whose timers were looked at is due at another time without having changed.
        names, values, removed, pending = self._above.rows()
        put = batch.put
        for name, value in zip(names, values, strict=True):
            put(name, value)
        for name in removed:
            batch.delete(name)
        self.pending += pending
        self.known = len(self._above)
        place = Place(FORMAT, generation, self._program, offset, now, self.known, self.pending)
        batch.put(_PLACE, msgspec.msgpack.encode(place))
        self._disk.write(batch)
        self._place = place
        self._above.kept()


class Fresh:
    """What stands above a disk, in dicts: what was put down and is not written yet, and what was read."""

    def __init__(self, read: Callable[[list[bytes]], list[bytes | None]], known: int) -> None:
        """Args: read: gives values as they stand on disk; known: how many there are."""
        self._read_below = read
        self._count = known
        self._fresh: dict[str, bytes | None] = {}
        """Put down or removed, or listed under a time that has come."""
        self._used: set[str] = set()
        """These last."""
        self._read: dict[str, bytes | None] = {}

    def get(self, person: str, /) -> bytes | None:
        """Give a state."""
        if person in self._fresh:
            return self._fresh[person]
        value = self._at_rest(person)
        return None if value is None else value[_LISTED:]

    def _at_rest(self, person: str) -> bytes | None:
        read = self._read
        if person in read:
            return read[person]
        if len(read) >= _READ_AT_MOST:
            read.clear()
        found = read[person] = self._read_below([_STATE + person.encode()])[0]
        return found

    def __setitem__(self, person: str, blob: bytes, /) -> None:
        self._count += self.get(person) is None
        self._fresh[person] = blob

    def pop(self, person: str, otherwise: None = None, /) -> bytes | None:
        """Remove a state."""
        found = self.get(person)
        if found is None:
            return otherwise
        self._count -= 1
        self._fresh[person] = None
        return found

    def __len__(self) -> int:
        return self._count

    def move(self, person: str, due: int, /) -> None:
        """Say that a state is due at another time than it was put down with."""
        blob = self.get(person)
        assert blob is not None, "somebody whose timers were looked at"
        self._fresh[person] = redated(blob, due)

    def used(self, person: str, at: int, /) -> bool:
        """An entry of a person has come: tells whether they are listed under it, which makes them fresh."""
        value = self._at_rest(person)
        if value is None or person in self._used or _listed(value) != at:
            return False
        self._used.add(person)
        self._fresh.setdefault(person, value[_LISTED:])
        return True

    def fresh(self) -> dict[str, bytes | None]:
        """Give what was put down (None: removed) and is not on disk yet."""
        return self._fresh

    def rows(self) -> Rows:
        """Give what is to be written, in order."""
        put: list[bytes] = []
        values: list[bytes] = []
        removed: list[bytes] = []
        index: list[bytes] = []
        pending = 0
        for person, blob in sorted(self._fresh.items()):
            name, value = person.encode(), self._at_rest(person)
            old = NEVER if value is None else due_at(value[_LISTED:])
            before = NEVER if value is None else _listed(value)
            due = NEVER if blob is None else due_at(blob)
            listed = due if due == NEVER or before == NEVER or person in self._used else before
            if blob is None:
                removed.append(_STATE + name)
            else:
                put.append(_STATE + name)
                values.append(listed.to_bytes(_LISTED, "big") + blob)
            was, will_be = _entries(before, old), _entries(listed, due)
            removed += [_DUE + at.to_bytes(8, "big") + name for at in was - will_be]
            index += [_DUE + at.to_bytes(8, "big") + name for at in will_be - was]
            was_nobody, is_nobody = _is_nobody(value and value[_LISTED:]), _is_nobody(blob)
            if was_nobody != is_nobody:
                (index if is_nobody else removed).append(_NOBODY + name)
            pending += (due != NEVER) - (old != NEVER)
        return [*put, *sorted(index)], [*values, *(b"" for _ in index)], sorted(removed), pending

    def kept(self) -> None:
        """All of that is on disk now."""
        self._fresh.clear()
        self._used.clear()
        self._read.clear()


def _listed(value: bytes) -> int:
    return int.from_bytes(value[:_LISTED], "big")


def _entries(listed: int, due: int) -> set[int]:
    """When to look at somebody who is listed so and due then."""
    return {at for at in (listed, min(listed, due)) if at != NEVER}


def _is_nobody(blob: bytes | None) -> bool:
    return blob is not None and blob[0] == 2 and blob[13:17] == bytes(_NOBODY_LENGTH)


_decode_place = msgspec.msgpack.Decoder(Place).decode
