"""States at rest: bytes by person, and which of their histories are still of use.

In: states as a former drain gave them, the layouts they were written in, the horizon. Out: decoded customers
and histories. A history none of whose entries lies above the horizon is settled: nothing on time can come
before any of it. Settled ones are cut off in memory, without decoding, a minute or two after their time.
What is left is packed (`packing`) when there is time for it, and unpacked when its customer is touched.

States may be kept outside memory (`States`): then nothing is cut off or packed here, and when somebody is due
is found there, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import Final, Protocol, TypeAlias

from journey_stream.engine.packing import PACKED, Packing, is_packed
from journey_stream.engine.program import Program
from journey_stream.engine.recent import HistoryReader, Recent, newest_of
from journey_stream.engine.rest import Reader
from journey_stream.engine.state import (
    HEADER,
    VERSION,
    Customer,
    core_end,
    core_of,
    due_at,
    due_of,
    encode_core,
    fingerprint_of,
    redated,
)
from journey_stream.values import MINUTE, NEVER

LAYOUT_KEY: Final = "\0layout:"
"""States under a key that begins so are layouts (`Program.layout_bytes`), not persons."""
CUT_AT_ONCE: Final = 5_000
"""Histories looked at per drain, more or less, so that a restart is not one long halt."""


class Blobs(Protocol):
    """Bytes by person: what a dict can do."""

    def get(self, person: str, /) -> bytes | None:
        """Give the bytes of a person."""

    def __setitem__(self, person: str, blob: bytes, /) -> None: ...

    def pop(self, person: str, otherwise: None, /) -> bytes | None:
        """Remove them."""

    def __iter__(self) -> Iterator[str]: ...

    def __len__(self) -> int: ...

    def items(self) -> Iterable[tuple[str, bytes]]:
        """Give all of them."""


Rows: TypeAlias = "tuple[list[bytes], list[bytes], list[bytes], int]"
"""Keys to be put, their values, keys to be removed, and how many more are due some time."""


class Above(Protocol):
    """What stands above states on disk: what was put down and is not written yet, and what was read."""

    def get(self, person: str, /) -> bytes | None:
        """Give the state of a person, wherever it is."""

    def __setitem__(self, person: str, blob: bytes, /) -> None: ...

    def pop(self, person: str, otherwise: None, /) -> bytes | None:
        """Remove it."""

    def __len__(self) -> int: ...

    def move(self, person: str, due: int, /) -> None:
        """Say that a state is due at another time than it was put down with."""

    def fresh(self) -> Mapping[str, bytes | None]:
        """Give what was put down (None: removed) and is not on disk yet."""

    def used(self, person: str, at: int, /) -> bool:
        """An entry of a person has come: tells whether they are listed under it, which makes them fresh."""

    def rows(self) -> Rows:
        """Give what is to be written, in order."""

    def kept(self) -> None:
        """All of that is on disk now."""


class States(Blobs, Protocol):
    """States kept outside memory, which say who is due."""

    @property
    def known(self) -> int:
        """How many there are, nobodies included."""

    @property
    def pending(self) -> int:
        """How many are due some time."""

    @property
    def read(self) -> Callable[[list[bytes]], list[bytes | None]]:
        """Gives what stands under keys there: states, after the time under which their persons are listed."""

    def stand_under(self, above: Above) -> None:
        """Say who keeps what is put down until it is written."""

    def nobodies(self) -> Iterable[tuple[str, bytes]]:
        """Give the states that are nothing but a history."""

    def layouts(self) -> Iterable[bytes]:
        """Give the layouts that states were written in."""

    def move(self, person: str, due: int) -> None:
        """Say that a state is due at another time than it was put down with."""

    def due_from(self, due: int) -> tuple[list[tuple[int, str]], int]:
        """Give who may be due from here on, some of the first, and the time of the first left out."""

    def used(self, person: str, at: int) -> bool:
        """Such an entry has come; tells whether it says no more than that somebody is to be looked at."""


class Store:
    """States of one partition. Not safe for use by several threads."""

    def __init__(self, program: Program) -> None:
        self.blobs: Blobs = dict[str, bytes]()
        self.in_memory = True
        self._nobodies: set[str] = set()
        self.nobodies: Set[str] = self._nobodies
        """Persons of whom there is a history and no state."""
        self.reader = Reader(program)
        self.layout_written = False
        self._own = program.fingerprint
        self._histories = HistoryReader(program.vocabulary)
        self._settling: dict[int, list[str]] = {}
        """Minute in which a history may be settled, to whose: every history at rest is in one of them."""
        self._packing = Packing()
        self._loose: set[str] = set()
        """Whose state may be fit to be packed."""

    def rest_in(self, states: States) -> None:
        """Keep states there from now on; what is there is taken over, what was here is gone."""
        self.blobs, self.in_memory = states, False
        self._nobodies, self._settling, self._loose = set(), {}, set()
        self.nobodies = self._nobodies
        for person, blob in states.nobodies():
            self._nobodies.add(person)
            self._settling.setdefault(newest_of(blob, HEADER) // MINUTE, []).append(person)

    def __len__(self) -> int:
        return len(self.blobs) - len(self.nobodies)

    def people(self) -> Iterator[str]:
        """Everybody known."""
        return (person for person in self.blobs if person not in self.nobodies)

    def known(self, person: str) -> bool:
        """Whether there is a state of this person."""
        return person in self.blobs and person not in self.nobodies

    def of_other_layouts(self) -> list[str]:
        """Everybody known whose state was written under other definitions."""
        own = self._own
        return [
            person
            for person, blob in self.blobs.items()
            if fingerprint_of(blob) != own and person not in self.nobodies
        ]

    def load(self, person: str, blob: bytes) -> tuple[int, bool]:
        """Take in a state; tells its due, and whether it was written under these definitions.

        Raises:
            StateError: the state is of a format this version does not read.
        """
        due = due_of(blob)
        ours = fingerprint_of(blob) == self._own
        if not ours and not self.in_memory:
            # Whoever is due has to be found there; when, has to be worked out anew.
            due, blob = 0, redated(blob, 0)
        self.put(person, blob)
        if self._pack(person, blob):
            self._loose.discard(person)
        return due, ours

    def put(self, person: str, blob: bytes) -> None:
        """Keep a state."""
        end = core_end(blob)
        if not self.in_memory:
            self._put_elsewhere(person, blob, end)
            return
        old = self.blobs.get(person)
        self.blobs[person] = blob
        if end < len(blob) and (old is None or is_packed(old) or core_end(old) == len(old)):
            self._settling.setdefault(newest_of(blob, end) // MINUTE, []).append(person)
        else:
            self._loose.add(person)
        if end == HEADER and blob[0] == VERSION:
            self._nobodies.add(person)
        elif self.nobodies:
            self._nobodies.discard(person)

    def _put_elsewhere(self, person: str, blob: bytes, end: int) -> None:
        self.blobs[person] = blob
        if end == HEADER and blob[0] == VERSION:
            if person not in self.nobodies:
                self._settling.setdefault(newest_of(blob, end) // MINUTE, []).append(person)
            self._nobodies.add(person)
        elif self.nobodies:
            self._nobodies.discard(person)

    def drop(self, person: str) -> bool:
        """Forget a state; tells whether there was one."""
        self._nobodies.discard(person)
        return self.blobs.pop(person, None) is not None

    def tidy(self, count: int) -> None:
        """Pack so many states at most of those that rest without a history."""
        loose, blobs = self._loose, self.blobs
        unlearnt = []
        for _ in range(min(count, len(loose))):
            person = loose.pop()
            blob = blobs.get(person)
            if blob is not None and not self._pack(person, blob):
                unlearnt.append(person)
        loose.update(unlearnt)

    def _pack(self, person: str, blob: bytes) -> bool:
        """Pack a state that fits; tells whether all is done that can be."""
        packing = self._packing
        if not self.in_memory or not packing.fits(blob) or person in self.nobodies:
            return True
        packed = self.blobs[person] = packing.pack(blob)
        return packed is not blob

    # What they mean.

    def at_rest(self, person: str) -> bytes | None:
        """The bytes of a state, with its history."""
        blob = self.blobs.get(person)
        return self._packing.unpack(blob) if blob is not None and is_packed(blob) else blob

    def peek(self, person: str) -> Customer | None:
        """Decode the state of a person, None for nobody."""
        blob = self.blobs.get(person)
        if blob is None or (self.nobodies and person in self.nobodies):
            return None
        return self.reader.read(person, self._packing.unpack(blob) if blob[0] == PACKED else blob)

    def due_of(self, person: str) -> int:
        """The earliest due of a state at rest, NEVER for nobody."""
        blob = self.blobs.get(person)
        return NEVER if blob is None else due_at(blob)

    def history(self, person: str, horizon: int) -> bytes:
        """The history of a person, if it is of use: neither settled nor of other definitions."""
        blob = self.blobs.get(person)
        if blob is None or is_packed(blob) or fingerprint_of(blob) != self._own:
            return b""
        end = core_end(blob)
        return blob[end:] if end < len(blob) and newest_of(blob, end) > horizon else b""

    def base(self, person: str) -> bytes:
        """The core of the state at rest as the base of a history: empty for nobody."""
        blob = self.at_rest(person)
        if blob is None or person in self.nobodies:
            return b""
        if blob[0] != VERSION or fingerprint_of(blob) != self._own:
            return encode_core(self.reader.read(person, blob))
        return core_of(blob)

    def recent(self, person: str, horizon: int) -> Recent:
        """The history of a person; a new one if there is none of use."""
        history = self.history(person, horizon)
        return self.read(person, history) if history else Recent(self.base(person))

    def read(self, person: str, history: bytes) -> Recent:
        """Read a history."""
        return self._histories.read(person, history)

    def cut(self, horizon: int) -> list[str]:
        """Cut settled histories off; gives the persons of whom nothing is left."""
        gone: list[str] = []
        room = CUT_AT_ONCE
        while self._settling and room > 0:
            minute = min(self._settling)
            if (minute + 1) * MINUTE > horizon:
                break
            people = self._settling[minute]
            for person in people[-room:]:
                self._look(person, horizon, gone)
            room, left = room - len(people), len(people) - room
            if left > 0:
                del people[left:]
            else:
                del self._settling[minute]
        return gone

    @property
    def settling(self) -> int:
        """How many histories may still have to be cut off."""
        return sum(map(len, self._settling.values()))

    def _look(self, person: str, horizon: int, gone: list[str]) -> None:
        blob = self.blobs.get(person)
        if blob is None or is_packed(blob) or (end := core_end(blob)) == len(blob):
            return
        newest = newest_of(blob, end)
        if newest > horizon:
            self._settling.setdefault(newest // MINUTE, []).append(person)
        elif person in self.nobodies:
            self.drop(person)
            gone.append(person)
        elif self.in_memory:
            self.blobs[person] = blob[:end]
            self._loose.add(person)
