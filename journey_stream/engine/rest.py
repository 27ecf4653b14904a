"""States at rest, read for the present program whatever definitions they were written under.

In: layouts that stand beside the states, then bytes. Out: customers, in the present layout.
"""

from __future__ import annotations

from journey_stream.engine.layout import Layout, fingerprint, unpack
from journey_stream.engine.program import Program
from journey_stream.engine.state import HEADER, VERSION, Customer, decode, decode_present, fingerprint_of
from journey_stream.engine.timers import earliest
from journey_stream.engine.translation import Translation
from journey_stream.errors import StateError


class Reader:
    """Reads states; learns the layouts they were written in."""

    def __init__(self, program: Program) -> None:
        self._program, self._own = program, program.fingerprint
        self._translations: dict[bytes, Translation] = {}

    def learn(self, layout: bytes) -> bool:
        """Learn to read states of this layout; tells whether it is the present one."""
        mark = fingerprint(layout)
        if mark == self._program.fingerprint:
            return True
        self._translations[mark] = Translation(unpack(layout), self._program.target)
        return False

    def read(self, person: str, blob: bytes) -> Customer:
        """Decode a state, in the present layout.

        Raises:
            StateError: damaged, or of an unknown layout.
            VersionError: of a version that nothing is said about.
        """
        if blob[9:13] == self._own and blob[0] == VERSION and len(blob) > HEADER:
            return decode_present(person, blob)  # nearly all: in one step
        c = decode(person, blob)
        if fingerprint_of(blob) != self._own:
            self.translation(blob).apply(c)
            c.due = earliest(self._program, c)[0]
        return c

    def translation(self, blob: bytes) -> Translation:
        """Give the way from the layout of a state, which is not the present one.

        Raises:
            StateError: the layout was not learnt.
        """
        mark = fingerprint_of(blob)
        translation = self._translations.get(mark)
        if translation is None:
            msg = (
                f"state of a customer: it was written under other journey definitions (layout "
                f"{mark.hex()}), and their layout was not loaded; load the whole changelog, or reset"
            )
            raise StateError(msg)
        return translation

    def layouts(self) -> list[Layout]:
        """The other layouts learnt."""
        return [translation.old for translation in self._translations.values()]
