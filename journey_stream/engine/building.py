"""What is collected while a program is compiled: slots, updaters, readers, guards; shared, and per journey.

In: journeys of the model. Out: nothing; `rules` and `program` read the collections. Attributes with equal
sharing keys are one: the first journey that has it compiles it, the others read the same slot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from journey_stream.engine.attributes import compile_attribute
from journey_stream.engine.folds import short
from journey_stream.engine.fusing import Step
from journey_stream.engine.kept import Kept, Reach, Read, Where, own
from journey_stream.engine.paths import Getter, described_identity, getter, says
from journey_stream.engine.scope import Names, environment
from journey_stream.engine.tables import Timer
from journey_stream.engine.watch import Watch
from journey_stream.events.vocabulary import ACTIVITY, Vocabulary
from journey_stream.journeys.attribute_types import attribute_type
from journey_stream.journeys.guards import Expression, Guard, Type, check, compile_event_expr, compile_expr
from journey_stream.journeys.model import Attribute, Journey
from journey_stream.journeys.places import VALUE, WHERE, GuardPlace


class Building:
    """What all journeys share."""

    def __init__(
        self, vocabulary: Vocabulary, journeys: Mapping[str, tuple[int, ...]], watch: Watch | None = None
    ) -> None:
        self.vocabulary = vocabulary
        self.journeys = journeys
        """Id to the places of its versions, in the order of the program."""
        self.watch = watch
        """Looks over the shoulder of every guard; None where speed counts."""
        self.env: dict[str, Any] = {}
        """What the code of bindings calls."""
        self.empties: list[Any] = []
        self.slot_keys: list[str] = []
        self.silences: list[int] = []
        self.kept: dict[str, Kept] = {}
        """Sharing key to compiled attribute."""
        self.updates: dict[str, list[tuple[bool, Step]]] = {}
        """Event type to (only as an act of the customer, updater)."""
        self.befores: dict[str, tuple[Read, bool]] = {}
        """Sharing key to reader and whether to copy: values before the event that a rule asks for."""
        self.described_befores: dict[str, Any] = {}
        """How those are read, as data."""
        self.always_before: set[int] = set()
        """Those that any event may need."""
        self.timers: list[Timer] = []
        self.sequence_keys: list[str] = []
        self.signal_keys: list[str] = []
        self.memory_keys: list[str] = []

    def start(self, stages: Sequence[Sequence[str]]) -> None:
        """Let guards name the stages of all journeys."""
        self.env |= environment(stages)
        self.env["_own"] = own

    def expand(self, words: Sequence[str], *, active: bool) -> dict[str, str]:
        """Event types a list stands for, each with the word it came by; `activity` only as an act."""
        found = {word: word for word in words if word != ACTIVITY}
        if active and ACTIVITY in words:
            for kind in self.vocabulary.activity():
                found.setdefault(kind, ACTIVITY)
        return found

    def identity(self, kind: str, word: str, by: str) -> Getter:
        """Read the id that `by` names, shortened; None where the event carries none."""
        get = getter(self.vocabulary, kind, by, common=word != kind)
        return says(
            lambda e, t: None if (value := get(e, t)) is None else short(value),
            described_identity(self.vocabulary, kind, by, common=word != kind),
        )


@dataclass(slots=True)
class _Slots:
    """`kept.Room` for one attribute: names the slots it takes."""

    building: Building
    key: str
    journey: JourneyBuilding
    words: Sequence[str]
    name: str
    """Of the attribute."""
    taken: int = 0

    @property
    def vocabulary(self) -> Vocabulary:
        return self.building.vocabulary

    def slot(self, empty: Any) -> int:
        building = self.building
        building.empties.append(empty)
        building.slot_keys.append(f"{self.key}#{self.taken}")
        self.taken += 1
        return len(building.empties) - 1

    def session(self, silence: int) -> int:
        silences = self.building.silences
        if silence not in silences:
            silences.append(silence)
        return silences.index(silence)

    def kinds(self, word: str) -> Iterator[tuple[str, bool]]:
        if word == ACTIVITY:
            return ((kind, True) for kind in self.vocabulary.activity())
        return iter(((word, False),))

    def where(self, expression: Expression, word: str) -> Where:
        return self.journey.where(expression, self.words, word, self.journey.place_of(self.name))


class JourneyBuilding:
    """One journey: what its expressions can name, and their compiled forms (each once)."""

    def __init__(self, building: Building, place: int, journey: Journey) -> None:
        self.building, self.place, self.journey = building, place, journey
        self.stages: tuple[str, ...] = tuple(journey.stages)
        self.names = Names(
            building.vocabulary,
            journey.parameters,
            place,
            self.stages,
            building.journeys,
            self._before,
        )
        self.kept: dict[str, Kept] = {}
        self._types: dict[str, Type] = {}
        self._compiled: dict[
            tuple[int, str, tuple[str, ...], str, Type | None], tuple[Guard, frozenset[int]]
        ] = {}
        self._expressions: list[Expression] = []

    def compile_attributes(self) -> None:
        """Compile all attributes, those that others are made of first."""
        for name in self.journey.attributes:
            self._attribute(name)

    def where(
        self, expression: Expression, words: Sequence[str], word: str, at: GuardPlace | None = None
    ) -> Guard:
        """Compile a `where` for events that come as `word`; `at` is its place, if it is a guard's."""
        key = (id(expression), "where", tuple(words), word, None)
        if key not in self._compiled:
            self._expressions.append(expression)
            guard = compile_event_expr(expression, self.names.where(words, word), self.building.env)
            self._compiled[key] = (guard, frozenset())
        found, _ = self._compiled[key]
        watch = self.building.watch
        if watch is None or at is None:
            return found
        return watch.over(at, expression, self.names.where(words, word), self.building.env, found)

    def when(
        self,
        expression: Expression,
        words: Sequence[str] = (),
        word: str = "",
        id_: Type | None = None,
        at: GuardPlace | None = None,
    ) -> tuple[Guard, frozenset[int]]:
        """Compile a guard over the customer; also tells which values before the event it reads."""
        if "event" not in expression.names():
            words, word = (), ""
        key = (id(expression), "when", tuple(words), word, id_)
        if key not in self._compiled:
            self._expressions.append(expression)
            scope = self.names.when(words, word or None, id_)
            guard = compile_expr(expression, scope, self.building.env)
            self._compiled[key] = (guard, frozenset(scope.before))
        found, before = self._compiled[key]
        watch = self.building.watch
        if watch is not None and at is not None:
            scope = self.names.when(words, word or None, id_)
            found = watch.over(at, expression, scope, self.building.env, found)
        return found, before

    def place_of(self, attribute: str, part: str = WHERE) -> GuardPlace:
        """Name the place of an attribute's expression."""
        return GuardPlace(self.journey.name, "attribute", attribute, part)

    def scalar(self, name: str) -> bool:
        """Whether an attribute's values are no collections: nothing to copy."""
        return self._types[name].name in ("bool", "int", "double", "string")

    def _before(self, name: str) -> int:
        kept, key = self.kept[name], self.journey.attributes[name].sharing_key or f"{self.place}/{name}"
        if kept.slot < 0 and len(self.building.journeys[self.journey.id]) > 1:
            key = f"{self.place}/{key}"  # `dwell` and its like differ between versions that run side by side
        befores = self.building.befores
        befores.setdefault(key, (kept.read, kept.mutable))
        self.building.described_befores.setdefault(key, kept.described)
        return list(befores).index(key)

    def _attribute(self, name: str) -> None:
        if name in self.kept:
            return
        attribute = self.journey.attributes[name]
        if attribute.form == "value":
            kept, of = self._value(attribute)
        else:
            kept = self._shared(attribute)
            of = attribute_type(attribute, self.building.vocabulary, self._types)
        self.kept[name] = kept
        self._types[name] = of
        self.names.add(name, attribute.form, of, kept)

    def _shared(self, attribute: Attribute) -> Kept:
        building = self.building
        key = attribute.sharing_key or f"{self.journey.name}/{attribute.name}"
        if attribute.over == "session":
            key += f" session {self.journey.session}"
        if key in building.kept:
            return building.kept[key]
        words = tuple(dict.fromkeys(source.type for source in attribute.sources))
        first = len(building.empties)
        slots = _Slots(building, key, self, words, attribute.name)
        kept = compile_attribute(attribute, slots, self.journey.session)
        reach: Reach = "last" if attribute.form == "last" and attribute.over is None else attribute.over
        kept.rests = tuple((slot, reach) for slot in range(first, len(building.empties)))
        building.kept[key] = kept
        building.env |= kept.env
        for kind, only, update in kept.updates:
            building.updates.setdefault(kind, []).append((only, update))
        return kept

    def _value(self, attribute: Attribute) -> tuple[Kept, Type]:
        expression = attribute.value
        assert expression is not None, attribute.name
        needed_names = expression.names() | expression.members("before") | expression.calls("oldest")
        for needed in sorted(needed_names):
            if needed in self.journey.attributes and needed != attribute.name:
                self._attribute(needed)
        of, _ = check(expression, self.names.when())
        guard, before = self.when(expression, at=self.place_of(attribute.name, VALUE))
        self.building.always_before |= before
        name = f"_v{self.place}_{len(self.kept)}"
        self.building.env[name] = guard
        kept = Kept(
            slot=-1,
            code=f"{name}(c, None, t)",
            read=lambda c, t: own(guard(c, None, t)),
            described={"r": "guard", "guard": guard},
        )
        read = [kept_ for each, kept_ in self.kept.items() if each in needed_names]
        kept.rests = tuple(rest for each in read for rest in each.rests)
        kept.moves = (
            bool(needed_names & {"dwell", "loops"})
            or bool(expression.calls("entries"))
            or any(each.moves or each.stage_slots for each in read)
        )
        return kept, of
