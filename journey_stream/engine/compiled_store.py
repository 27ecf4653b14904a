"""States at rest that the compiled core keeps, for what Python does with them.

In and out as `store.Store`, of which it is one. Strategy: bytes, due and what is to be packed or cut off are
the core's (`native/src/states.rs`), so that it works on them without Python; what decodes is Python's. Where
states rest on disk, the core keeps those at work and what is not written yet, and asks for the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import TYPE_CHECKING

from journey_stream.engine.program import Program
from journey_stream.engine.state import Customer, due_of
from journey_stream.engine.store import States as Elsewhere
from journey_stream.engine.store import Store

if TYPE_CHECKING:
    from journey_stream_native import States

BEGINNING = -(2**63)
"""No time that the core knows is before."""
BOUND = 32 << 20
"""Bytes of states that stay in memory, of those that are on disk."""


class Nobodies(Set[str]):
    """Persons of whom there is a history and no state: to look at."""

    def __init__(self, states: States) -> None:
        self._states = states

    def __contains__(self, person: object) -> bool:
        return isinstance(person, str) and self._states.is_nobody(person)

    def __iter__(self) -> Iterator[str]:
        return iter(self._states.nobodies())

    def __len__(self) -> int:
        return self._states.count_nobodies()


class CompiledStore(Store):
    """States of one partition, shared with its core. Not safe for use by several threads."""

    def __init__(self, program: Program) -> None:
        """Args: program: what the states are of."""
        import journey_stream_native

        super().__init__(program)
        self.states: States = journey_stream_native.States(program.fingerprint)
        self.blobs = self.states
        self.nobodies = Nobodies(self.states)

    def rest_in(self, states: Elsewhere) -> None:
        """Keep states there from now on; see `Store.rest_in`."""
        self.blobs, self.in_memory = states, False
        self.states.rest_on(states.read, states.known, BOUND)
        states.stand_under(self.states)
        for _ in states.nobodies():
            pass  # whoever is read is known to the core, and it knows a nobody when it sees one

    def people(self) -> Iterator[str]:
        """Everybody known."""
        return iter(self.states.people()) if self.in_memory else super().people()

    def known(self, person: str) -> bool:
        """Whether there is a state of this person."""
        return self.states.known(person)

    def of_other_layouts(self) -> list[str]:
        """Everybody known whose state was written under other definitions."""
        return self.states.of_other_layouts() if self.in_memory else super().of_other_layouts()

    def load(self, person: str, blob: bytes) -> tuple[int, bool]:
        """Take in a state; see `Store.load`."""
        found = self.states.load(person, blob)
        if found is None:
            return due_of(blob), False  # which says what is wrong with it
        return found

    def put(self, person: str, blob: bytes) -> None:
        """Keep a state."""
        self.states[person] = blob

    def drop(self, person: str) -> bool:
        """Forget a state; tells whether there was one."""
        return self.states.drop(person)

    def tidy(self, count: int) -> None:
        """Pack so many states at most of those that rest without a history."""
        self.states.tidy(count)

    def cut(self, horizon: int) -> list[str]:
        """Cut settled histories off; gives the persons of whom nothing is left."""
        return self.states.cut(max(horizon, BEGINNING))

    @property
    def settling(self) -> int:
        """How many histories may still have to be cut off."""
        return self.states.settling()

    def at_rest(self, person: str) -> bytes | None:
        """The bytes of a state, with its history."""
        return self.states.at_rest(person)

    def peek(self, person: str) -> Customer | None:
        """Decode the state of a person, None for nobody."""
        blob = self.states.peek(person)
        return None if blob is None else self.reader.read(person, blob)

    def due_of(self, person: str) -> int:
        """The earliest due of a state at rest, NEVER for nobody."""
        return self.states.due_of(person)
