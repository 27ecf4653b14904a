"""States of another layout, in the present one: what both know moves, what is new begins empty.

In: an old layout, the present one, and the changes of version that the deployment has chosen. Out: a
`Translation` that rearranges decoded states. A journey is known by its name with the version; customers of a
version that is no longer there go where its `Change` says. What is gone is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from journey_stream.engine.layout import Layout
from journey_stream.engine.state import NOWHERE, Customer
from journey_stream.errors import VersionError
from journey_stream.journeys.changes import Change, sequences_carried, timers_carried
from journey_stream.journeys.model import Journey


class Route(NamedTuple):
    """Where the customers of one journey of an old layout go."""

    old: str
    """Name in the old layout."""
    new: str
    """Name in the present one."""
    place: int
    """Position in the present one."""
    change: Change | None
    """None: the same version."""
    stages: tuple[int, ...]
    """Old stage to new one; NOWHERE where it has none (or where history has to tell)."""
    timers: Mapping[str, int] | None
    """Rules whose timers go on, by how much their due times move; None: all that both have."""
    sequences: frozenset[str] | None
    """Rules whose sequences go on; None: all that both have."""


class Target(NamedTuple):
    """What a translation needs of the program that states are read for."""

    layout: Layout
    empties: list[Any]
    present: Mapping[str, Journey]
    """Id to the version that newcomers enter."""
    changes: Mapping[str, Change]
    """Name of another version to what becomes of its customers."""


class Translation:
    """From an old layout to the present one."""

    def __init__(self, old: Layout, target: Target) -> None:
        new = target.layout
        self.old, self._new, self._empties = old, new, target.empties
        places = range(len(old.journeys))
        self.routes: tuple[Route | None, ...] = tuple(_route(old, place, target) for place in places)
        """Per journey of the old layout; None: it is gone."""
        self._by_name = {route.old: route for route in self.routes if route is not None}
        self._ids = frozenset(target.present)
        self.slots = _places(old.slots, new.slots)
        """(old position, new position) of what both keep."""
        kept = {place for _, place in self.slots}
        self._young = [place for place in range(len(new.slots)) if place not in kept]
        self._silences = _places(old.silences, new.silences)
        self._rivals = self._find_rivals()
        self._timers = self._moved_timers()
        self._sequences = _renamed(old.sequences, new.sequences, self._carried)
        self._signals = _renamed(old.signals, new.signals, self._present)
        self._memories = self._moved_memories()

    def apply(self, c: Customer) -> None:
        """Rearrange a state just decoded.

        Raises:
            VersionError: the customer is in a stage, or in a version, that nothing is said about.
        """
        stages, entered, sequences, loops, entries = c.stages, c.entered, c.sequences, c.loops, c.entries
        count = len(self._new.journeys)
        c.stages, c.entered, c.sequences, c.loops = (
            [NOWHERE] * count,
            [c.latest] * count,
            [0] * count,
            [0] * count,
        )
        c.entries = [None] * count
        for place, route in enumerate(self.routes):
            if stages[place] == NOWHERE:
                continue
            if route is None:
                self._check_gone(place)
                continue
            j = route.place
            c.stages[j] = self._stage(place, route, stages[place])
            c.entered[j], c.sequences[j], c.loops[j] = entered[place], sequences[place], loops[place]
            c.entries[j] = _entries(entries[place], route.stages)
        attrs, c.attrs = c.attrs, self._empties.copy()
        young, c.young = c.young or {}, dict.fromkeys(self._young, c.latest)
        for source, target in self.slots:
            c.attrs[target] = attrs[source]
            if source in young:
                c.young[target] = young[source]
        c.young = c.young or None
        sessions, c.sessions = c.sessions, [c.active] * len(self._new.silences)
        for source, target in self._silences:
            c.sessions[target] = sessions[source]
        c.armed = self._armed(self._lived(c.armed, self.old.timers, stages))
        c.partial = _moved(self._lived(c.partial, self.old.sequences, stages), self._sequences)
        c.raised = _moved(c.raised, self._signals)
        c.rates = _moved(c.rates, self._signals)
        c.memories = self._remembered(c.memories)

    def _check_gone(self, place: int) -> None:
        name = self.old.journeys[place][0]
        id_ = name.partition("@")[0]
        if id_ in self._ids:
            msg = (
                f"journey {id_!r}: a customer is in the version {name!r}, and nothing says what "
                f"becomes of those who are in it: add an entry for it to `versions`, with a `policy`"
            )
            raise VersionError(msg)

    def _stage(self, place: int, route: Route, stage: int) -> int:
        found = route.stages[stage]
        if found == NOWHERE and (route.change is None or route.change.policy != "replay"):
            names = self._new.journeys[route.place][1]
            msg = (
                f"journey {route.new!r}: a customer is in the stage "
                f"{self.old.journeys[place][1][stage]!r}, which the definition no longer has (it has "
                f"{', '.join(names)}); keep the stage, or raise `version` and say where its customers go"
            )
            raise VersionError(msg)
        return found

    def _find_rivals(self) -> dict[int, list[int]]:
        """Places of the old layout to the others that lead to the same journey: versions side by side."""
        together: dict[int, list[int]] = {}
        for place, route in enumerate(self.routes):
            if route is not None:
                together.setdefault(route.place, []).append(place)
        return {one: [o for o in all_ if o != one] for all_ in together.values() for one in all_ if all_[1:]}

    def _lived(self, held: dict[int, Any] | None, keys: list[str], stages: list[int]) -> dict[int, Any]:
        """Leave out what waits for a version that the customer is not in, where another one leads there.

        Events arm timers and begin sequences in every version that runs: those of a version somebody is not
        in are nobody's, and must not stand in for those of the version they are in.
        """
        names = tuple(
            f"{self.old.journeys[place][0]}/"
            for place, rivals in self._rivals.items()
            if stages[place] == NOWHERE and any(stages[other] != NOWHERE for other in rivals)
        )
        return {k: value for k, value in (held or {}).items() if not names or not keys[k].startswith(names)}

    # Names: `buyer-value@1/transition/silent`, and the same rule of the version that customers go to.

    def _present(self, key: str) -> str | None:
        name, _, rest = key.partition("/")
        route = self._by_name.get(name)
        return None if route is None else f"{route.new}/{rest}"

    def _carried(self, key: str) -> str | None:
        name, _, rest = key.partition("/")
        route = self._by_name.get(name)
        if route is None or (route.sequences is not None and rest not in route.sequences):
            return None
        return f"{route.new}/{rest}"

    def _moved_timers(self) -> dict[int, tuple[int, int]]:
        """Old timer to new one, and by how much what it waits for moves."""
        places = {key: place for place, key in enumerate(self._new.timers)}
        found = {}
        for source, key in enumerate(self.old.timers):
            name, _, rest = key.partition("/")
            route = self._by_name.get(name)
            if route is None or (route.timers is not None and rest not in route.timers):
                continue
            target = places.get(f"{route.new}/{rest}")
            if target is not None:
                found[source] = (target, 0 if route.timers is None else route.timers[rest])
        return found

    def _armed(self, armed: dict[int, Any]) -> dict[int, Any]:
        found: dict[int, Any] = {}
        for source, held in armed.items():
            if source in self._timers:
                target, shift = self._timers[source]
                if not shift:
                    found[target] = held
                elif type(held) is int:
                    found[target] = held + shift
                else:
                    found[target] = {name: due + shift for name, due in held.items()}
        return found

    def _moved_memories(self) -> dict[int, tuple[int, Route]]:
        places = {key: place for place, key in enumerate(self._new.memories)}
        found = {}
        for source, key in enumerate(self.old.memories):
            route, target = self._by_name.get(key.partition("/")[0]), self._present(key)
            if route is not None and target is not None and target in places:
                found[source] = (places[target], route)
        return found

    def _remembered(self, memories: dict[int, int] | None) -> dict[int, int] | None:
        found: dict[int, int] = {}
        for source, stage in (memories or {}).items():
            if source in self._memories:
                target, route = self._memories[source]
                if route.stages[stage] != NOWHERE:
                    found[target] = route.stages[stage]
        return found or None


def _route(old: Layout, place: int, target: Target) -> Route | None:
    name, stages = old.journeys[place]
    id_, versioned, _ = name.partition("@")
    places = {each: number for number, (each, _) in enumerate(target.layout.journeys)}
    present = target.present.get(id_)
    new = name if name in places else None
    if new is None and not versioned and present is not None:
        new = present.name
    if new is not None:
        to = target.layout.journeys[places[new]][1]
        return Route(name, new, places[new], None, _indices(stages, {}, to), None, None)
    change = target.changes.get(name)
    if change is None or present is None:
        return None
    there = places[present.name]
    to = target.layout.journeys[there][1]
    if change.policy == "replay" or change.previous is None:
        nowhere = (NOWHERE,) * len(stages)
        return Route(name, present.name, there, change, nowhere, {}, frozenset())
    timers = timers_carried(change.previous, present)
    sequences = frozenset(sequences_carried(change.previous, present))
    indices = _indices(stages, change.stages, to)
    return Route(name, present.name, there, change, indices, timers, sequences)


def _indices(old: list[str], chosen: Mapping[str, str], new: list[str]) -> tuple[int, ...]:
    wanted = [chosen.get(stage, stage) for stage in old]
    return tuple(new.index(stage) if stage in new else NOWHERE for stage in wanted)


def _entries(held: dict[int, int] | None, stages: tuple[int, ...]) -> dict[int, int] | None:
    """How often each stage was entered; stages that become one add up."""
    if held is None:
        return None
    found: dict[int, int] = {}
    for stage, number in held.items():
        if stages[stage] != NOWHERE:
            found[stages[stage]] = found.get(stages[stage], 0) + number
    return found


def _places(old: list[Any], new: list[Any]) -> list[tuple[int, int]]:
    """(old position, new position) of what both have."""
    target = {name: place for place, name in enumerate(new)}
    return [(source, target[name]) for source, name in enumerate(old) if name in target]


def _renamed(old: Iterable[str], new: Iterable[str], rename: Callable[[str], str | None]) -> dict[int, int]:
    target = {name: place for place, name in enumerate(new)}
    renamed = {source: rename(key) for source, key in enumerate(old)}
    return {source: target[key] for source, key in renamed.items() if key is not None and key in target}


def _moved(held: dict[int, Any] | None, places: dict[int, int]) -> dict[int, Any] | None:
    return {places[k]: value for k, value in (held or {}).items() if k in places} or None
