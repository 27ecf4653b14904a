"""The static scopes of expressions: which names each place of a definition may use, and of what type.

In: vocabulary, attributes, parameters, stages and journeys by name. Out: a `guards.Scope` per place. The
engine makes the scopes that know where the values are at run time; both ask `attribute_types` for types.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from journey_stream.events.vocabulary import Vocabulary
from journey_stream.journeys.attribute_types import ALWAYS_KNOWN, property_types
from journey_stream.journeys.guards.types import BOOL, DOUBLE, INT, STRING, Binding, PlainScope, Type
from journey_stream.journeys.model import Value

BUILT_IN: dict[str, tuple[Type, str]] = {
    "dwell": (DOUBLE, "seconds in the current stage"),
    "now": (DOUBLE, "the time of the event, or the due time, in seconds since 1970"),
    "loops": (INT, "backward moves so far in this journey"),
    "known": (BOOL, "whether the person has a customer_id"),
}
"""Names that every `when` knows."""

FUNCTIONS = (
    "has", "max", "min", "size", "stage", "entries", "oldest", "int", "double", "string", "abs", "ceil",
    "floor", "round", "matches", "contains", "startsWith", "endsWith", "all", "exists", "exists_one",
    "filter", "map",
)  # fmt: skip

CEL_WORDS = (
    "as break const continue else false for function if import in let loop namespace null package "
    "return true var void while"
)

RESERVED: dict[str, str] = {
    **{name: f"it stands for {doc}" for name, (_, doc) in BUILT_IN.items()},
    **{name: f"{name}() is a function" for name in FUNCTIONS},
    "id": "it stands for the value of `by` in rules that have it",
    "event": "event.x is a property of the event",
    "before": "before.x is an attribute before this event",
    "context": "context.x is part of the event",
    **dict.fromkeys(CEL_WORDS.split(), "it is a reserved word of CEL"),
}
"""Names that attributes and parameters cannot have, and why."""


class AnyJourney(dict[str, Binding]):
    """The journeys that `stage()` may name when a definition is looked at alone: any."""

    def get(self, key: object, default: object = None) -> Binding:
        """Every name stands for a journey."""
        return Binding(STRING, always=True)


@dataclass(frozen=True, slots=True)
class Scopes:
    """Makes the scopes of one journey."""

    vocabulary: Vocabulary
    parameters: Mapping[str, Value]
    attributes: Mapping[str, Type] = field(default_factory=dict)
    """Types of the attributes that are known so far."""
    forms: Mapping[str, str] = field(default_factory=dict)
    stages: Sequence[str] = ()
    journeys: Sequence[str] | None = None
    """All that are loaded together; None when one is looked at alone."""

    def with_attributes(self, types: Mapping[str, Type], forms: Mapping[str, str]) -> Scopes:
        """The same with these attributes."""
        return replace(self, attributes=types, forms=forms)

    def where(self, kinds: Iterable[str]) -> PlainScope:
        """The scope over an event of one of `kinds`: bare names are its properties, then parameters."""
        paths = _bindings(property_types(self.vocabulary, kinds))
        bare = {name: binding for name, binding in paths.items() if "." not in name}
        for name, value in self.parameters.items():
            bare.setdefault(name, Binding.of(value))
        return PlainScope(bare, _namespaces(paths))

    def when(self, kinds: Iterable[str] = (), id_: Type | None = None) -> PlainScope:
        """The scope over a customer; `event.x` too where an event of one of `kinds` triggers.

        `id_` is the type of `id`, in rules that have one timer (or sequence) per value of `by`.
        """
        attributes = {
            name: Binding(of, always=self.forms.get(name) in ALWAYS_KNOWN)
            for name, of in self.attributes.items()
        }
        built_in = {name: Binding(of, always=True) for name, (of, _) in BUILT_IN.items()}
        if id_ is not None:
            built_in["id"] = Binding(id_)
        parameters = {name: Binding.of(value) for name, value in self.parameters.items()}
        namespaces: dict[str, Mapping[str, Binding]] = {"before": attributes}
        kinds = tuple(kinds)
        if kinds:
            paths = _bindings(property_types(self.vocabulary, kinds))
            namespaces["event"] = {name: binding for name, binding in paths.items() if "." not in name}
            namespaces |= {f"event.{owner}": members for owner, members in _namespaces(paths).items()}
        calls: dict[str, Mapping[str, Binding]] = {
            "stage": AnyJourney()
            if self.journeys is None
            else {name: Binding(STRING, always=True) for name in self.journeys},
            "entries": {name: Binding(INT, always=True) for name in self.stages},
            "oldest": {name: Binding(DOUBLE) for name, form in self.forms.items() if form == "open"},
        }
        return PlainScope({**built_in, **parameters, **attributes}, namespaces, calls)


def _bindings(types: Mapping[str, Type]) -> dict[str, Binding]:
    return {path: Binding(of) for path, of in types.items()}


def _namespaces(paths: Mapping[str, Binding]) -> dict[str, Mapping[str, Binding]]:
    """`context.channel` becomes member `channel` of `context`."""
    found: dict[str, dict[str, Binding]] = {}
    for path, binding in paths.items():
        owner, dot, member = path.rpartition(".")
        if dot:
            found.setdefault(owner, {})[member] = binding
    return dict(found)
