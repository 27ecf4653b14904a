"""A place where an expression stands, and what is possible there: which events, how long the stage lasts.

In: a journey with its scopes, the place. Out: for every term of an expression, by its key (`orders`,
`event.total`, `before.orders`, `oldest(cases)`, `stage(brand)`), what it can be: from the forms of
attributes, the limits of properties, and what has happened by then (after `order_completed`, a count of them
is 1 at least).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from journey_stream.events.derive import actor_of
from journey_stream.events.limits import Limits, limits
from journey_stream.events.vocabulary import Vocabulary
from journey_stream.journeys.analysis.logic import ANYTHING, Possible
from journey_stream.journeys.attribute_types import ALWAYS_KNOWN
from journey_stream.journeys.guards import nodes
from journey_stream.journeys.guards.nodes import Node
from journey_stream.journeys.guards.types import PlainScope, Type
from journey_stream.journeys.model import ACTIVITY, Attribute, Journey, SignalRule, TransitionRule
from journey_stream.journeys.scopes import Scopes

LEVELS = 20
"""Derived attributes in derived attributes: further down their names are kept."""
COUNTED = Possible(least=0, whole=True, known=True)
LENGTH = Possible(least=0.0)


@dataclass(frozen=True)
class World:
    """What all places of a journey share."""

    journey: Journey
    vocabulary: Vocabulary
    scopes: Scopes
    stages_of: Mapping[str, Collection[str]]
    """The stages of the journeys whose stages are known."""

    def rules(self) -> Iterator[TransitionRule | SignalRule]:
        """Transitions, then signals, in the order of the file."""
        yield from self.journey.transitions
        yield from self.journey.signals

    def weight(self, part: Node) -> float:
        """How many nodes a part has with derived attributes spelled out; infinite where that is too deep."""
        total = 0.0
        for node in nodes.walk(part):
            total += 1
            if isinstance(node, nodes.Name):
                total += self._weights.get(node.name, 0)
        return total

    @cached_property
    def _weights(self) -> Mapping[str, float]:
        """The weights of derived attributes: those that need none first, then those that need these."""
        derived = {
            name: each.value for name, each in self.journey.attributes.items() if each.value is not None
        }
        weights: dict[str, float] = dict.fromkeys(derived, math.inf)
        for _ in range(LEVELS):
            heavier = {
                name: sum(1 + weights.get(getattr(node, "name", ""), 0) for node in nodes.walk(value.root))
                for name, value in derived.items()
            }
            if heavier == weights:
                break
            weights = heavier
        return weights

    def kinds(self, words: Iterable[str]) -> tuple[str, ...]:
        """The types that words mean, `activity` spelled out."""
        found: dict[str, None] = {}
        for word in words:
            found |= dict.fromkeys(self.vocabulary.activity() if word == ACTIVITY else (word,))
        return tuple(found)

    def surely(self, words: Iterable[str]) -> frozenset[str]:
        """The types of which every event is one of `words`: an agent's reply is no activity, replies are."""
        words = tuple(words)
        found = {word for word in words if word != ACTIVITY}
        if ACTIVITY in words:
            found |= {kind for kind in self.vocabulary.activity() if actor_of(kind) is None}
        return frozenset(found)


@dataclass(frozen=True)
class Place:
    """Where an expression stands."""

    world: World
    over_event: bool = False
    """It is a `where`: bare names are properties of the event."""
    words: tuple[str, ...] = ()
    """The event types in force as written; none where no event is at hand."""
    only: str | None = None
    """Look at events of this one type."""
    id_: Type | None = None
    dwell: tuple[float, float] = (0.0, math.inf)
    """The least and most seconds that the stage can have lasted."""
    after_event: bool = False
    """Attributes have taken in the event, which is surely one of `words`."""

    def narrowed(self, kind: str) -> Place:
        """The same for events of one type."""
        return replace(self, only=kind)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The event types that can be at hand."""
        return (self.only,) if self.only else self.world.kinds(self.words)

    def scope(self) -> PlainScope:
        """What the expression may name."""
        scopes = self.world.scopes
        return scopes.where(self.words) if self.over_event else scopes.when(self.words, self.id_)

    def key(self, path: str) -> str:
        """The key of what a path reads here."""
        is_event = self.over_event and not self.is_parameter(path)
        return f"event.{path}" if is_event else path

    def is_parameter(self, path: str) -> bool:
        """Whether the path is a parameter's name, and no property hides it."""
        parameters = self.world.journey.parameters
        if path not in parameters:
            return False
        return not self.over_event or self.scope().bindings[path].constant is not None

    def possible(self, key: str) -> Possible:
        """What the term of a key can be; anything, where nothing is known of it."""
        owner, dot, path = key.partition(".")
        if dot and owner == "event":
            return self._property(path)
        name, bracket, argument = key.partition("(")
        if bracket:
            return self._called(name, argument.rstrip(")"))
        attributes = self.world.journey.attributes
        if dot and owner == "before" and path in attributes:
            return self.attribute(attributes[path])
        if key in attributes:
            return self._now(attributes[key])
        return self._built_in(key)

    def _built_in(self, key: str) -> Possible:
        match key:
            case "dwell":
                return Possible(least=self.dwell[0], most=self.dwell[1], known=True)
            case "loops":
                return COUNTED
            case "now":
                return Possible(known=True)
            case "known":
                return Possible(words=frozenset([True, False]), known=True)
            case _:
                return Possible(known=True) if key in self.world.journey.parameters else ANYTHING

    def _called(self, name: str, argument: str) -> Possible:
        match name:
            case "entries":
                return COUNTED
            case "oldest":
                return LENGTH
            case "stage" if argument in self.world.stages_of:
                return Possible(words=frozenset(["", *self.world.stages_of[argument]]), known=True)
            case _:
                return ANYTHING

    def _property(self, path: str) -> Possible:
        kinds = self.kinds
        if not kinds:
            return ANYTHING
        found = widest(limits(self.world.vocabulary, kind, path) for kind in kinds)
        return replace(found, known=True) if path == "type" and found.words else found

    def _now(self, attribute: Attribute) -> Possible:
        """The attribute as the guard sees it: the event at hand, if any, has been taken in."""
        found = self.attribute(attribute)
        if self.after_event and self._counted(attribute):
            return replace(found, least=1)
        return found

    def _counted(self, attribute: Attribute) -> bool:
        """Whether any event at hand has just been counted by it."""
        if attribute.form != "count" or attribute.where is not None or attribute.over is not None:
            return False
        if attribute.gap is not None and attribute.less:
            return False
        taken = set(self.world.kinds(attribute.less))
        counted = self.world.surely(source.type for source in attribute.sources)
        return bool(self.kinds) and set(self.kinds) <= counted - taken

    def attribute(self, attribute: Attribute) -> Possible:
        """What an attribute can be at any time."""
        match attribute.form:
            case "count" | "open":
                found = COUNTED
            case "elapsed" | "rhythm":
                found = LENGTH
            case "first" | "last" | "min" | "max" | "mean":
                found = self.sources(attribute)
            case _:
                found = ANYTHING
        return replace(found, known=True) if attribute.form in ALWAYS_KNOWN else found

    def sources(self, attribute: Attribute, path: str | None = None) -> Possible:
        """What the properties can be that an attribute reads; `path` instead of its own, if given."""
        vocabulary = self.world.vocabulary
        return widest(
            limits(vocabulary, source.type, path or source.path or "") for source in attribute.sources
        )


def widest(found: Iterable[Limits]) -> Possible:
    """What can be when it comes from any of these."""
    some: Sequence[Limits] = [each for each in found if not each.never]
    if not some:
        return Possible(known=False)
    words: frozenset[str] | None = frozenset()
    for each in some:
        words = None if words is None or each.words is None else words | each.words
    return Possible(
        least=min(-math.inf if each.least is None else each.least for each in some),
        most=max(math.inf if each.most is None else each.most for each in some),
        words=words,
    )
