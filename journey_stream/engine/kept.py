"""What compiling an attribute takes and gives: the values between `attributes`, `spans` and `program`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from journey_stream.engine.fusing import Step
from journey_stream.engine.state import Customer
from journey_stream.events.vocabulary import Vocabulary
from journey_stream.journeys.guards import Expression
from journey_stream.values import Event

Reach: TypeAlias = 'int | Literal["stage", "session", "last"] | None'
"""So many microseconds, since the stage was entered, in this session, the last match alone, or all time."""
Read: TypeAlias = Callable[[Customer, int], Any]
Where: TypeAlias = Callable[[Customer, Event, int], Any]


class Room(Protocol):
    """What compiling an attribute needs of the program."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The event types there are."""
        ...

    def slot(self, empty: Any) -> int:
        """Reserve a slot; `empty` is what it holds at first."""
        ...

    def session(self, silence: int) -> int:
        """The place in `Customer.sessions` of sessions that this silence ends."""
        ...

    def kinds(self, word: str) -> Iterator[tuple[str, bool]]:
        """Expand a word of a type list: (type, only as an act of the customer)."""
        ...

    def where(self, expression: Expression, word: str) -> Where:
        """Compile a `where` over events that come as `word`."""
        ...


@dataclass(slots=True)
class Kept:
    """A compiled attribute."""

    slot: int
    """Where it is kept (the first slot, if it has several)."""
    code: str
    """Python source over `c` and `t` that reads the value."""
    read: Read
    mutable: bool = False
    """Whether the value is changed in place later: whoever keeps it has to copy."""
    updates: list[tuple[str, bool, Step]] = field(default_factory=list)
    """(type, only as an act of the customer, what to do)."""
    env: dict[str, Any] = field(default_factory=dict)
    """What `code` calls."""
    approximate: str | None = None
    """Python source that tells whether a limit made it approximate, if one can."""
    moves: bool = False
    """Whether entering a stage can change the value at once."""
    oldest: str | None = None
    """`open`: source that reads the age of the oldest."""
    stage_slots: list[tuple[int, Any]] = field(default_factory=list)
    """`over: stage`: slots to empty on an entry, and what is in an empty one."""
    rests: tuple[tuple[int, Reach], ...] = ()
    """The slots its value rests on, and how far back each looks: whose past is short, is partial."""
    gap_slot: int | None = None
    """`gap`: where the time of the last match is kept."""
    described: Any = None
    """How the value is read, as data (`described`); None: only in Python."""
    described_approximate: Any = None
    """What `approximate` asks, as data."""
    described_oldest: Any = None
    """What `oldest` reads, as data."""


def own(value: Any) -> Any:
    """A value that does not change with the customer."""
    return value.copy() if isinstance(value, list | dict) else value
