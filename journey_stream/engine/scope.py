"""Scopes at run time: what each name of an expression is in Python, over customer, event and time.

In: a journey of the program under construction. Out: `guards.Scope`s whose bindings carry code. The types
come from `journeys.attribute_types`, the same that checked the definition; the code is ours alone.
Where several event types may trigger, a guard is compiled once per type: a property that this type lacks is
unknown there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from journey_stream.engine import paths
from journey_stream.engine.kept import Kept
from journey_stream.events.vocabulary import Vocabulary
from journey_stream.journeys.attribute_types import ALWAYS_KNOWN, property_types
from journey_stream.journeys.guards.types import BOOL, DOUBLE, INT, STRING, Binding, PlainScope, Type
from journey_stream.journeys.model import Value

NO_ENTRIES: Final[dict[int, int]] = {}


@dataclass(slots=True)
class Names:
    """What the expressions of one journey can name; attributes join as they are compiled."""

    vocabulary: Vocabulary
    parameters: Mapping[str, Value]
    journey: int
    """Index of the journey in the program."""
    stages: Sequence[str]
    journeys: Mapping[str, tuple[int, ...]]
    """Ids of all journeys loaded together, to the index of each of their versions."""
    before: Callable[[str], int]
    """Reserve a place for an attribute's value before the event."""
    attributes: dict[str, Binding] = field(default_factory=dict)
    oldest: dict[str, Binding] = field(default_factory=dict)

    def add(self, name: str, form: str, of: Type, kept: Kept) -> None:
        """Let expressions name an attribute."""
        self.attributes[name] = Binding(
            of, kept.code, always=form in ALWAYS_KNOWN, described=_read(kept.described)
        )
        if kept.oldest is not None:
            self.oldest[name] = Binding(DOUBLE, kept.oldest, described=_read(kept.described_oldest))

    def where(self, words: Sequence[str], word: str) -> PlainScope:
        """The scope of `where` over an event that came as `word`, one of `words`."""
        found = self._properties(words, word)
        bare = {name: binding for name, binding in found.items() if "." not in name}
        for name, value in self.parameters.items():
            bare.setdefault(name, Binding.of(value))
        return PlainScope(bare, _namespaces(found))

    def when(
        self, words: Sequence[str] = (), word: str | None = None, id_: Type | None = None
    ) -> CustomerScope:
        """The scope over a customer, and over the event too where one triggers; `id_` types `id`."""
        namespaces: dict[str, Mapping[str, Binding]] = {}
        if word is not None:
            found = self._properties(words, word)
            namespaces["event"] = {name: binding for name, binding in found.items() if "." not in name}
            namespaces |= {f"event.{owner}": members for owner, members in _namespaces(found).items()}
        return CustomerScope(self, namespaces, id_)

    def _properties(self, words: Sequence[str], word: str) -> dict[str, Binding]:
        types = property_types(self.vocabulary, words)
        return {
            path: Binding(
                of,
                paths.code(self.vocabulary, word, path),
                described=paths.described_code(self.vocabulary, word, path),
            )
            for path, of in types.items()
        }


@dataclass(slots=True)
class CustomerScope:
    """Attributes, parameters, what is built in, other journeys; `event.x` and `before.x` as namespaces."""

    all: Names
    namespaces: Mapping[str, Mapping[str, Binding]]
    id_: Type | None = None
    before: set[int] = field(default_factory=set)
    """Places of the values before the event that were asked for."""

    def lookup(self, name: str) -> Binding | None:
        """What a bare name stands for."""
        known, j = self.all, self.all.journey
        match name:
            case "dwell":
                code = f"((t - c.entered[{j}]) / 1000000.0)"
                return Binding(DOUBLE, code, always=True, described={"x": "dwell", "journey": j})
            case "now":
                return Binding(DOUBLE, "(t / 1000000.0)", always=True, described={"x": "now"})
            case "loops":
                described = {"x": "loops", "journey": j}
                return Binding(INT, f"c.loops[{j}]", always=True, described=described)
            case "known":
                return Binding(BOOL, "c.known", always=True, described={"x": "known"})
            case "id" if self.id_ is not None:
                number = self.id_ == DOUBLE
                code = "_number(c.id)" if number else "c.id"
                return Binding(self.id_, code, described={"x": "id", "number": number})
            case _:
                pass
        if name in known.attributes:
            return known.attributes[name]
        return Binding.of(known.parameters[name]) if name in known.parameters else None

    def names(self) -> Sequence[str]:
        """The bare names."""
        return [*self.all.attributes, *self.all.parameters, "dwell", "now", "loops", "known"]

    def lookup_member(self, owner: str, member: str) -> Binding | None:
        """What `owner.member` stands for; asking for `before.x` reserves its place."""
        if owner != "before":
            return self.namespaces.get(owner, {}).get(member)
        attribute = self.all.attributes.get(member)
        if attribute is None:
            return None
        place = self.all.before(member)
        self.before.add(place)
        return Binding(
            attribute.type,
            f"c.before[{place}]",
            always=attribute.always,
            described={"x": "before", "place": place},
        )

    def members(self, owner: str) -> Sequence[str] | None:
        """The fields of a namespace, None if there is no such namespace."""
        if owner == "before":
            return list(self.all.attributes)
        found = self.namespaces.get(owner)
        return None if found is None else list(found)

    def lookup_call(self, function: str, argument: str) -> Binding | None:
        """What `stage("x")`, `entries("x")` and `oldest(x)` stand for."""
        match function:
            case "stage":
                # A customer is in one of the versions that run side by side; elsewhere the stage reads as "".
                versions = self.all.journeys.get(argument, ())
                code = " or ".join(f"_stages{k}[(c.earlier or c.stages)[{k}]]" for k in versions)
                described: dict[str, Any] = {"x": "stage", "journeys": list(versions)}
                return Binding(STRING, f"({code})" if code else '""', always=True, described=described)
            case "entries" if argument in self.all.stages:
                at = list(self.all.stages).index(argument)
                code = f"(c.entries[{self.all.journey}] or _no_entries).get({at}, 0)"
                described = {"x": "entries", "journey": self.all.journey, "stage": at}
                return Binding(INT, code, always=True, described=described)
            case "oldest":
                return self.all.oldest.get(argument)
            case _:
                return None

    def call_arguments(self, function: str) -> Sequence[str] | None:
        """The arguments that the function takes here, None if it is not offered."""
        match function:
            case "stage":
                return list(self.all.journeys)
            case "entries":
                return list(self.all.stages)
            case "oldest":
                return list(self.all.oldest)
            case _:
                return None


def environment(stages: Sequence[Sequence[str]]) -> dict[str, Any]:
    """What the code of bindings calls on, but for what attributes bring; NOWHERE reads as no stage."""
    env: dict[str, Any] = {f"_stages{j}": (*names, "") for j, names in enumerate(stages)}
    return env | {"_no_entries": NO_ENTRIES, "_number": _number}


def _read(described: Any) -> Any:
    """An expression that reads an attribute, as data."""
    return None if described is None else {"x": "read", "of": described}


def _number(text: str | None) -> float | None:
    """An id that is a number comes back as one."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _namespaces(found: Mapping[str, Binding]) -> dict[str, dict[str, Binding]]:
    """`context.channel` becomes the member `channel` of `context`."""
    spaces: dict[str, dict[str, Binding]] = {}
    for path, binding in found.items():
        owner, dot, member = path.rpartition(".")
        if dot:
            spaces.setdefault(owner, {})[member] = binding
    return spaces
