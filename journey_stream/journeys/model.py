"""The model of a journey: what `load` hands to the engine, frozen, complete and already resolved.

In: nothing but values. Out: nothing but values. `modelling` builds these from a checked document; the engine,
the diagrams and the author's tools read them. All names are resolved (stage names to leaf ids, parameters of
durations to microseconds); expressions stay parsed guards and are compiled by whoever runs them.
Times and durations are microseconds; parameters that are durations are seconds (float), as CEL sees them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from journey_stream.journeys.guards import Expression
    from journey_stream.values import Kind

Value: TypeAlias = "float | bool | str | tuple[float, ...] | tuple[bool, ...] | tuple[str, ...]"
"""A parameter: numbers are doubles, durations are seconds."""

Form = Literal[
    "count",
    "sum",
    "min",
    "max",
    "mean",
    "first",
    "last",
    "distinct",
    "map",
    "open",
    "elapsed",
    "rhythm",
    "value",
]
Over: TypeAlias = 'int | Literal["stage", "session"] | None'
"""All time (None), a sliding window in microseconds, since the stage was entered, or this session."""

ACTIVITY = "activity"
"""The pseudo-type in lists of event types: any act of the customer, message opens excluded."""

UNTITLED = "und"
"""The language of a title that was written as plain text (BCP 47: undetermined)."""

DEFAULT_LIMIT = 1_000
DEFAULT_TIMER_LIMIT = 100
DEFAULT_SESSION = 30 * 60 * 1_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """What an attribute reads: an event type (or `activity`) and, but for pure counting, a property path."""

    type: str
    path: str | None = None
    """Such as `total`, `context.channel`, `products[].category`, `occurred_at`; `[]` = each element."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One thing kept (or derived) per customer. Which fields are filled depends on `form`."""

    name: str
    form: Form
    sources: tuple[Source, ...] = ()
    """`open`: the opening types; `elapsed`: the `from` types; `map`: the key; `value`: none."""
    where: Expression | None = None
    """Over the event (for `open` and `elapsed`: over the opening / `from` event)."""
    over: Over = None
    less: tuple[str, ...] = ()
    by: str | None = None
    limit: int = DEFAULT_LIMIT
    gap: int | None = None
    closed: tuple[str, ...] = ()
    reopened: tuple[str, ...] = ()
    until: tuple[str, ...] = ()
    """`elapsed`: the `to` types."""
    gaps: int = 3
    """`rhythm`: how many intervals it needs before it says anything."""
    keeps: Literal["last", "sum", "count"] = "count"
    """`map`: what is kept per key."""
    of: str | None = None
    """`map` with last or sum: full path of the value; with the key's `[]` prefix, of the same element."""
    value: Expression | None = None
    """`value`: derived on read from other attributes and parameters, never stored."""
    sharing_key: str = ""
    """Canonical form, parameters substituted: attributes with equal keys are one, in whatever journey."""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Group:
    """A stage that has stages inside; nobody is in it, but in one of its leaves."""

    id: str
    leaves: tuple[str, ...]
    """Full ids, `group/leaf`, in file order."""
    initial: str
    """Full id of the leaf that `to: group` enters."""
    remember: bool = False
    title: Mapping[str, str] = field(default_factory=dict)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage somebody can be in. Kind and owner of a nested stage default to its parent's."""

    id: str
    kind: Kind
    title: Mapping[str, str]
    owner: str | None
    parent: str | None
    remember: bool
    """As written on this stage itself; see `memory`."""
    rank: int
    """Position in the file unless overridden: says which way a move goes."""
    memory: str | None = None
    """Whose memory `back` uses here: this stage's id, its parent's, or None. Set on entry from outside it."""
    line: int = field(default=0, compare=False)

    @property
    def leaf(self) -> str:
        """The last part of the id: `search` of `seduction/search`."""
        return self.id.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Fixed:
    """To this stage (a leaf id)."""

    stage: str


@dataclass(frozen=True, slots=True)
class Sibling:
    """`./choice`: to that leaf of the parent the customer is in."""

    leaf: str


@dataclass(frozen=True, slots=True)
class SameLeaf:
    """`retention/.`: to the leaf of the same name under that parent."""

    parent: str


@dataclass(frozen=True, slots=True)
class Back:
    """`{back: development}`: to the remembered stage, or to the fallback when nothing is remembered."""

    fallback: Fixed | Sibling | SameLeaf


Target: TypeAlias = Fixed | Sibling | SameLeaf | Back


@dataclass(frozen=True, slots=True)
class OnEvent:
    """One of these types comes (and `where` holds of it)."""

    types: tuple[str, ...]
    where: Expression | None = None


@dataclass(frozen=True, slots=True)
class Absence:
    """`after` has passed since the last `since`, and no `unless` came."""

    after: Expression | int
    """Microseconds, or seconds as a guard evaluated when the `since` event has been applied."""
    since: tuple[str, ...] | Literal["stage"]
    """Types, or `stage`: the entry into the stage (of `from`, or of a signal's `in`)."""
    unless: tuple[str, ...] = ()
    by: str | None = None
    """One timer per value of this property, which `when`, `after`, `payload` and `reason_from` know as `id`.

    An `unless` event without that property disarms all of them.
    """
    where: Expression | None = None
    """Over the `since` event: only a match arms."""
    unless_where: Expression | None = None
    """Over the `unless` event: only a match disarms."""
    limit: int = DEFAULT_TIMER_LIMIT


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a sequence."""

    types: tuple[str, ...]
    where: Expression | None = None


@dataclass(frozen=True, slots=True)
class Sequence:
    """The steps come in this order, the last within `within` of the first; triggers on the last."""

    steps: tuple[Step, ...]
    within: int
    by: str | None = None
    """One sequence per value of this property; expressions of the rule know the value as `id`."""
    limit: int = DEFAULT_TIMER_LIMIT


@dataclass(frozen=True, slots=True)
class OnEnter:
    """Signals only: a transition of this journey enters one of these stages (the start included)."""

    stages: tuple[str, ...]


Trigger: TypeAlias = OnEvent | Absence | Sequence | OnEnter


@dataclass(frozen=True, slots=True)
class TransitionRule:
    """One way out of some stages; order in the journey is priority."""

    id: str
    from_: tuple[str, ...]
    """Leaf ids, in file order."""
    to: Target
    trigger: OnEvent | Absence | Sequence
    when: Expression | None = None
    reason: str | None = None
    reason_from: Expression | None = None
    owner: str | None = None
    min_dwell: int = 0
    reenter: bool = False
    """Without it the rule does not hold where its target is the stage the customer is in."""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` signals of a rule per customer in any `every` microseconds."""

    every: int
    count: int = 1


@dataclass(frozen=True, slots=True)
class SignalRule:
    """One call to act."""

    id: str
    title: Mapping[str, str]
    in_: tuple[str, ...]
    """Leaf ids, in file order."""
    trigger: Trigger
    when: Expression | None = None
    kind: Kind | None = None
    expires: int | None = None
    cancel: tuple[str, ...] = ()
    by: str | None = None
    """The property that ties a cancelling event to its signal; the trigger's `by` is the same."""
    rate: Rate | None = None
    owner: str | None = None
    reason: str | None = None
    reason_from: Expression | None = None
    payload: Mapping[str, Expression] = field(default_factory=dict)
    signal: str = ""
    """The `signal` of its records: several rules may raise the same; the rule's id unless given."""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Journey:
    """A whole definition, checked and resolved."""

    id: str
    version: int
    title: Mapping[str, str]
    description: str | None
    parameters: Mapping[str, Value]
    attributes: Mapping[str, Attribute]
    records: tuple[str, ...]
    """Attributes that travel with every record of this journey."""
    start: str
    """A leaf id."""
    stages: Mapping[str, Stage]
    """The leaves, in file order."""
    groups: Mapping[str, Group]
    transitions: tuple[TransitionRule, ...]
    signals: tuple[SignalRule, ...]
    session: int = DEFAULT_SESSION
    """The silence that ends a session: the parameter `session`, or 30 minutes."""
    content_sha: str = ""
    """SHA-256 (hex) of what the definition says (`content`): one version number stands for one of these."""
    file: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        """The id with the version: `buyer-value@2`."""
        return versioned(self.id, self.version)

    @property
    def rules(self) -> tuple[TransitionRule | SignalRule, ...]:
        """Transitions, then signals, in file order."""
        return (*self.transitions, *self.signals)

    def destination(self, target: Target, current: str, remembered: str | None = None) -> str:
        """Tell the leaf that `target` means for somebody in `current` who remembers `remembered`."""
        match target:
            case Fixed(stage):
                return stage
            case Sibling(leaf):
                return f"{self.stages[current].parent}/{leaf}"
            case SameLeaf(parent):
                return f"{parent}/{self.stages[current].leaf}"
            case Back(fallback):
                if remembered is not None and remembered in self.stages:
                    return remembered
                return self.destination(fallback, current)


def versioned(journey: str, version: int) -> str:
    """Name one version of a journey: `buyer-value@2`."""
    return f"{journey}@{version}"


def called(title: Mapping[str, str], language: str, otherwise: str) -> str:
    """Choose a title: the language asked for, else plain text, else English, else any, else `otherwise`."""
    for key in (language, UNTITLED, "en"):
        if key in title:
            return title[key]
    return next(iter(title.values()), otherwise)
