"""States of one keyed partition in a RocksDB of its own: for more customers than memory holds.

Enters: states as the engine puts them down, and what a committed transaction held. Leaves: states by person,
and who is due, in that order. Strategy: what the engine puts down stays in memory until its transaction is
committed; then `keep` writes it together with the place in the changelog that it stands for, in one write.
So what is on disk is always what the changelog said at that place, and a restart reads the changelog from
there on. The place is that of a checkpoint's meta record: the tail always holds it, and with it the name of
the changelog's generation. A directory of another generation, of other definitions, left in the middle of a
full restore, or so old that tombstones may be gone from the changelog, is thrown away and filled anew.

Keys: s<person> a state, d<due><person> nothing (the index of who is due), n<person> nothing (nobodies),
L<key> a layout, m the place.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from journey_stream.engine.state import due_at, redated
from journey_stream.engine.store import LAYOUT_KEY
from journey_stream.errors import SettingsError
from journey_stream.values import HOUR, NEVER

log = logging.getLogger(__name__)

SAFE_AGE: Final = 12 * HOUR
"""Changelogs keep tombstones for a day (`delete.retention.ms`): what is older than half of it is not used."""
WINDOW: Final = 50_000
"""Entries of the index fetched at once."""
_READ_AT_MOST: Final = 100_000
"""States read and not put down again that are remembered, so that nothing is read twice for one change."""
_STATE, _DUE, _NOBODY, _LAYOUT, _PLACE = b"s", b"d", b"n", b"L", b"m"
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
    """Entries of the index."""


FORMAT: Final = 1


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
        self._folder, self._program = folder, program
        self._db = _open(folder)
        self._place = self._read_place()
        why = self._useless(now)
        if why:
            log.info("%s: %s: all is read from the changelog", folder, why)
            self.clear()
        self._begin()

    def _begin(self) -> None:
        self._fresh: dict[str, bytes | None] = {}
        """Put down or removed, and not written yet."""
        self._moved: set[str] = set()
        """Those among them that differ from what is written in when they are due alone."""
        self._read: dict[str, bytes | None] = {}
        self._count = self._place.known
        self.pending = self._place.pending

    def _read_place(self) -> Place:
        found = self._db.get(_PLACE)
        return Place(FORMAT, "", self._program, 0, 0, 0, 0) if found is None else _decode_place(found)

    def _useless(self, now: int) -> str:
        place = self._place
        if self._db.get(_PLACE) is None:
            return "nothing is here yet"
        if place.format != FORMAT or not place.generation:
            return "it was not filled to the end"
        if place.program != self._program:
            return "it was written under other definitions"
        if now - place.written_at > SAFE_AGE:
            return "it is too old"
        return ""

    def clear(self) -> None:
        """Throw all away, and begin anew."""
        self._db.close()
        _module().Rdict.destroy(str(self._folder), _options())
        self._db = _open(self._folder)
        self._place = Place(FORMAT, "", self._program, 0, 0, 0, 0)
        self._begin()

    def close(self) -> None:
        """Let go of the directory; what was not kept is gone."""
        self._db.close()

    @property
    def generation(self) -> str:
        """Of the changelog that this is from; empty if there is nothing here yet."""
        return self._place.generation

    @property
    def offset(self) -> int:
        """Where the tail of the changelog begins."""
        return self._place.offset

    # A dict of states, to the engine.

    def get(self, person: str, /) -> bytes | None:
        """Give a state."""
        if person in self._fresh:
            return self._fresh[person]
        return self._at_rest(person)

    def _at_rest(self, person: str) -> bytes | None:
        read = self._read
        if person in read:
            return read[person]
        if len(read) >= _READ_AT_MOST:
            read.clear()
        found: bytes | None = self._db.get(_STATE + person.encode())
        read[person] = found
        return found

    def __setitem__(self, person: str, blob: bytes, /) -> None:
        self._count += self.get(person) is None
        self._fresh[person] = blob
        self._moved.discard(person)

    def pop(self, person: str, otherwise: None = None, /) -> bytes | None:
        """Remove a state."""
        found = self.get(person)
        if found is not None:
            self._count -= 1
            self._fresh[person] = None
            self._moved.discard(person)
        return found

    def __len__(self) -> int:
        return self._count

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Give all states."""
        for key, blob in self._keys(_STATE):
            person = key[1:].decode()
            if person not in self._fresh:
                yield person, blob
        for person, fresh in self._fresh.items():
            if fresh is not None:
                yield person, fresh

    def __iter__(self) -> Iterator[str]:
        return (person for person, _ in self.items())

    def _keys(self, prefix: bytes, begin: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        for key, value in self._db.items(from_key=prefix + begin):
            if not key.startswith(prefix):
                return
            yield key, value

    # Who is due, nobodies, layouts.

    def nobodies(self) -> list[tuple[str, bytes]]:
        """Give the states that are nothing but a history."""
        people = (key[1:].decode() for key, _ in self._keys(_NOBODY))
        return [(person, blob) for person in people if (blob := self.get(person)) is not None]

    def layouts(self) -> list[bytes]:
        """Give the layouts that states were written in."""
        return [value for _, value in self._keys(_LAYOUT)]

    def move(self, person: str, due: int) -> None:
        """Say that a state is due at another time than it was put down with."""
        blob = self.get(person)
        assert blob is not None, "somebody whose timers were looked at"
        self._fresh[person] = redated(blob, due)
        self._moved.add(person)

    def due_from(self, due: int) -> tuple[list[tuple[int, str]], int]:
        """Give who is due from here on, some of the first, and the due of the first that was left out."""
        found: list[tuple[int, str]] = []
        end = NEVER
        fresh = self._fresh
        for key, _ in self._keys(_DUE, max(due, 0).to_bytes(8, "big")):
            at = int.from_bytes(key[1:9], "big")
            if len(found) >= WINDOW and at != found[-1][0]:
                end = at
                break
            person = key[9:].decode()
            if person not in fresh:
                found.append((at, person))
        found += [
            (at, person)
            for person, blob in fresh.items()
            if blob is not None and due <= (at := due_at(blob)) < end
        ]
        return found, end

    # What was committed.

    def keep(
        self, changes: Iterable[tuple[str, bytes | None]], offset: int, generation: str, now: int
    ) -> None:
        """Write what a committed transaction held, and the place that it brings this directory to.

        Args:
            changes: keys and states (None: a tombstone), as the changelog has them.
            offset: where the tail begins now: at or before the last meta record.
            generation: of the changelog; empty while there is more to come of a full restore.
            now: the wall clock, microseconds.
        """
        batch = _module().WriteBatch(raw_mode=True)
        written = set()
        for key, blob in changes:
            if key.startswith(LAYOUT_KEY):
                name = _LAYOUT + key.encode()
                batch.delete(name) if blob is None else batch.put(name, blob)
                continue
            written.add(key)
        # As the engine put it down: a state of other definitions has another due than the changelog says.
        for person in (*written, *(self._moved - written)):
            if person in self._fresh:
                self._write(batch, person, self._fresh.pop(person))
        self._moved.clear()
        place = Place(FORMAT, generation, self._program, offset, now, self._count, self.pending)
        batch.put(_PLACE, msgspec.msgpack.encode(place))
        try:
            self._db.write(batch)
        except Exception as error:  # RocksDB has no types of errors
            msg = f"state_dir {self._folder}: expected to write states there, but: {error}"
            raise SettingsError(msg) from error
        self._place = place
        self._read.clear()

    def _write(self, batch: Any, person: str, blob: bytes | None) -> None:
        old, name = self._at_rest(person), person.encode()
        before = NEVER if old is None else due_at(old)
        after = NEVER if blob is None else due_at(blob)
        if before != after:
            if before != NEVER:
                batch.delete(_DUE + before.to_bytes(8, "big") + name)
            if after != NEVER:
                batch.put(_DUE + after.to_bytes(8, "big") + name, b"")
            self.pending += (after != NEVER) - (before != NEVER)
        if blob is None:
            batch.delete(_STATE + name)
        else:
            batch.put(_STATE + name, blob)
        was, is_ = _is_nobody(old), _is_nobody(blob)
        if is_ and not was:
            batch.put(_NOBODY + name, b"")
        elif was and not is_:
            batch.delete(_NOBODY + name)


def _is_nobody(blob: bytes | None) -> bool:
    return blob is not None and blob[0] == 2 and blob[13:17] == bytes(_NOBODY_LENGTH)


_decode_place = msgspec.msgpack.Decoder(Place).decode


def _module() -> Any:
    try:
        import rocksdict
    except ImportError:
        msg = (
            "state_store: rocksdb: expected the package `rocksdict`, it is not installed: "
            "pip install 'journey-stream[rocksdb]', or choose `state_store: memory`"
        )
        raise SettingsError(msg) from None
    return rocksdict


def _options() -> Any:
    rocksdict = _module()
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_keep_log_file_num(2)
    options.set_max_open_files(256)
    options.set_write_buffer_size(16 << 20)
    options.set_compression_type(rocksdict.DBCompressionType.lz4())
    table = rocksdict.BlockBasedOptions()
    table.set_block_cache(_cache())
    table.set_bloom_filter(10, False)
    table.set_cache_index_and_filter_blocks(True)
    options.set_block_based_table_factory(table)
    return options


_CACHE_BYTES: Final = 256 << 20
"""Of blocks, for all partitions of a process; filters and indexes count."""


@functools.cache
def _cache() -> Any:
    return _module().Cache(_CACHE_BYTES)


def _open(folder: Path) -> Any:
    options = _options()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _module().Rdict(str(folder), options)
    except OSError as error:
        why = error.strerror or str(error)
    except Exception as error:
        # RocksDB has no types of errors: whatever it is, this directory cannot be used now.
        why = str(error)
        if "lock" in why.lower():
            why = "another process has it: each worker of a machine needs a `state_dir` of its own"
    msg = f"state_dir {folder}: cannot be used: {why}"
    raise SettingsError(msg)
