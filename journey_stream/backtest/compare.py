"""Two definitions over the same events: where everybody stands, who moved, what would be published.

In: two journeys and the net records of each, at a common `until`. Out: a `Comparison`. A transition is the
same under both when the same customer makes the same move at the same moment, whatever rule made it: ids
differ between versions, moves do not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

import msgspec

from journey_stream.journeys.model import Journey
from journey_stream.values import DAY, Kind, Signal, Transition, rfc3339

ABSENT = "(not there)"
"""The stage of somebody who is no part of the journey: forgotten, or never met by it."""
CANCELLED = " (cancelled)"
SHOWN = 20
"""Customers to look at first."""

Record = Transition | Signal


class RuleChange(msgspec.Struct, frozen=True):
    """One rule, or one signal, under both definitions."""

    sort: Literal["transition", "signal"]
    rule: str
    """The rule's id; for a signal its name, followed by `CANCELLED` where it was taken back."""
    old: int
    """Records under the old definition."""
    new: int
    gained: int
    """Those under the new one that the old one does not have."""
    lost: int
    """Those under the old one that the new one does not have."""


class Mover(msgspec.Struct, frozen=True):
    """A customer who stands elsewhere."""

    person: str
    old: str
    new: str
    old_since: str | None
    new_since: str | None
    rule: str
    """The new definition's rule that put the customer there (the old one's, if they left the journey)."""
    revenue: float | None
    """Where the journey's records carry an attribute of that name."""


class Day(msgspec.Struct):
    """What was published on one day, UTC."""

    day: str
    old_transitions: int = 0
    new_transitions: int = 0
    old_signals: int = 0
    new_signals: int = 0


class Comparison(msgspec.Struct, frozen=True):
    """One journey under two definitions."""

    journey: str
    old_version: int
    new_version: int
    kinds: dict[str, Kind | None]
    """All stages of both, in the order of the new definition, those of the old one alone after them."""
    old: dict[str, int]
    """Customers per stage at `until`."""
    new: dict[str, int]
    flows: list[tuple[str, str, int]]
    """(stage under the old definition, under the new one, customers): all pairs that have any."""
    customers: int
    moved: int
    rules: list[RuleChange]
    movers: list[Mover]
    """The customers to look at first: by revenue where it is known, then the latest to move."""
    days: list[Day]

    @property
    def stages(self) -> list[tuple[str, Kind | None]]:
        """Stages with their kinds, in order, as the pictures want them."""
        return list(self.kinds.items())


def compare(
    old: Journey,
    new: Journey,
    old_records: Iterable[Record],
    new_records: Iterable[Record],
    *,
    old_gone: Collection[tuple[str, str]] = (),
    new_gone: Collection[tuple[str, str]] = (),
    shown: int = SHOWN,
) -> Comparison:
    """Compare what two definitions make of the same events.

    Args:
        old: the definition in force.
        new: the one that might follow it.
        old_records: net records of a replay under `old`, in order; those of other journeys, and of test
            customers, are left out.
        new_records: likewise under `new`.
        old_gone: (person, journey) forgotten by the end, under `old`.
        new_gone: likewise under `new`.
        shown: how many movers to name.
    """
    before = _Side(old, old_records, old_gone)
    after = _Side(new, new_records, new_gone)
    flows: Counter[tuple[str, str]] = Counter()
    movers: list[Mover] = []
    for person in dict.fromkeys((*before.last, *after.last)):
        was, is_ = before.last.get(person), after.last.get(person)
        pair = (_stage(was), _stage(is_))
        flows[pair] += 1
        if pair[0] != pair[1]:
            movers.append(_mover(was, is_, after.latest.get(person) or before.latest[person]))
    kinds: dict[str, Kind | None] = {}
    for journey in (new, old):
        for stage in journey.stages.values():
            kinds.setdefault(stage.id, stage.kind)
    if any(ABSENT in pair for pair in flows):
        kinds[ABSENT] = None
    places = list(kinds)
    return Comparison(
        new.id,
        old.version,
        new.version,
        kinds,
        _population(kinds, flows, 0),
        _population(kinds, flows, 1),
        sorted(
            ((*pair, number) for pair, number in flows.items()),
            key=lambda flow: (places.index(flow[0]), places.index(flow[1])),
        ),
        sum(flows.values()),
        len(movers),
        _rules(before, after),
        sorted(sorted(movers, key=_latest, reverse=True), key=_revenue, reverse=True)[:shown],
        _days(before, after),
    )


class _Side:
    """What one definition made of the events."""

    def __init__(
        self, journey: Journey, records: Iterable[Record], gone: Collection[tuple[str, str]]
    ) -> None:
        self.records = [record for record in records if record.journey == journey.id and not record.test]
        self.order = [rule.id for rule in journey.transitions]
        self.signals = list(dict.fromkeys(rule.signal or rule.id for rule in journey.signals))
        self.last: dict[str, Transition] = {}
        self.latest: dict[str, Record] = {}
        """What was last said of each customer, whatever it was."""
        self.moves: dict[tuple[str, str | None, str, int], str] = {}
        """Person, from, to and time, to the rule that made it."""
        self.calls: dict[tuple[str, str, int], str] = {}
        """Person, name of the signal (and whether cancelled) and time, to that name."""
        for record in self.records:
            self.latest[record.person] = record
            if isinstance(record, Transition):
                self.last[record.person] = record
                self.moves[record.person, record.from_, record.to, record.occurred_at] = record.rule
            else:
                name = record.signal + (CANCELLED if record.status == "cancelled" else "")
                self.calls[record.person, name, record.occurred_at] = name
        for person in [person for person in self.last if (person, journey.id) in gone]:
            del self.last[person]


def _stage(record: Transition | None) -> str:
    return ABSENT if record is None else record.to


def _population(kinds: Iterable[str], flows: Counter[tuple[str, str]], side: int) -> dict[str, int]:
    counts = dict.fromkeys(kinds, 0)
    for pair, number in flows.items():
        counts[pair[side]] += number
    return counts


def _rules(before: _Side, after: _Side) -> list[RuleChange]:
    moves = _changes("transition", ["start", *after.order, *before.order], before.moves, after.moves)
    calls = [name + end for name in (*after.signals, *before.signals) for end in ("", CANCELLED)]
    return moves + _changes("signal", calls, before.calls, after.calls)


def _changes(
    sort: Literal["transition", "signal"],
    names: Iterable[str],
    old: Mapping[Any, str],
    new: Mapping[Any, str],
) -> list[RuleChange]:
    olds, news = Counter(old.values()), Counter(new.values())
    gained = Counter(rule for key, rule in new.items() if key not in old)
    lost = Counter(rule for key, rule in old.items() if key not in new)
    return [
        RuleChange(sort, name, olds[name], news[name], gained[name], lost[name])
        for name in dict.fromkeys(names)
        if olds[name] or news[name] or not name.endswith(CANCELLED)
    ]


def _mover(was: Transition | None, is_: Transition | None, latest: Record) -> Mover:
    known = is_ or was
    assert known is not None
    revenue = latest.attributes.get("revenue")
    return Mover(
        known.person,
        _stage(was),
        _stage(is_),
        None if was is None else rfc3339(was.occurred_at),
        None if is_ is None else rfc3339(is_.occurred_at),
        known.rule,
        float(revenue) if isinstance(revenue, int | float) else None,
    )


def _revenue(mover: Mover) -> float:
    return mover.revenue or 0.0


def _latest(mover: Mover) -> tuple[str, str]:
    return max(mover.old_since or "", mover.new_since or ""), mover.person


def _days(before: _Side, after: _Side) -> list[Day]:
    days: dict[int, Day] = {}
    for side, sort in ((before, "old"), (after, "new")):
        for record in side.records:
            number = record.occurred_at // DAY
            day = days.get(number) or days.setdefault(number, Day(rfc3339(number * DAY)[:10]))
            field = f"{sort}_{'transitions' if isinstance(record, Transition) else 'signals'}"
            setattr(day, field, getattr(day, field) + 1)
    return [day for _, day in sorted(days.items())]
