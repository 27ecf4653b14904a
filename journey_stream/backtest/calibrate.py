"""How long is too long? For each absence rule, how many customers come back after each length of silence.

In: the events of a replay in their order (`Silences.see`), then where customers stood. Out: one `Curve` per
absence rule. A silence begins at a `since` event of the rule, in one of the rule's stages (`since: stage`: at
the entry), and ends with the next `since` or `unless` event (for `since: stage` without `unless`, with the
next act of the customer). What has not ended at `until` is cut off there, not counted as lost: the share that
comes back after length s is 1 - S(end) / S(s), S being the product-limit estimate of the share of silences
that last longer (Kaplan and Meier, "Nonparametric Estimation from Incomplete Observations", 1958). The curve
ends where fewer than `LEAST` silences were long enough to be observed: beyond, it would be noise. Nobody can
be seen to come back after its end, so a length is suggested only in its first half: what was watched for less
than twice as long says too little.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from journey_stream.engine import paths
from journey_stream.engine.event_tests import event_names, event_test
from journey_stream.events.vocabulary import Vocabulary
from journey_stream.journeys import phrases
from journey_stream.journeys.model import ACTIVITY, Absence, Journey, SignalRule, TransitionRule
from journey_stream.values import Event, Signal, Transition

LEAST = 30
POINTS = 200
"""Points of a curve at most."""


class Point(msgspec.Struct, frozen=True):
    """One length of silence."""

    silence_s: float
    """Seconds."""
    returning: float
    """Share of the silences longer than this after which the customer came back."""
    silences: int
    """How many silences were seen to be longer."""


class Curve(msgspec.Struct, frozen=True):
    """What history says of one absence rule."""

    rule: str
    sort: str
    """transition or signal"""
    says: str
    """The rule's trigger in words."""
    silences: int
    returned: int
    points: list[Point]
    """By length; empty when there were too few silences."""
    now_s: float | None
    """The rule's own length, seconds; None where it differs between customers."""
    now_returning: float | None
    """The share that comes back after that length; None when the curve does not reach so far."""
    suggested_s: float | None
    """The shortest length after which at most `at_most` come back; None when the curve's first half does not
    get there: history is too short to say."""
    at_most: float


class _Rule:
    """An absence rule that listens to events."""

    def __init__(self, journey: Journey, rule: TransitionRule | SignalRule, vocabulary: Vocabulary) -> None:
        assert isinstance(rule.trigger, Absence)
        absence = rule.trigger
        self.rule, self.absence, self.journey = rule, absence, journey.id
        self.stages = frozenset(rule.from_ if isinstance(rule, TransitionRule) else rule.in_)
        names = event_names(vocabulary, journey.parameters)
        since = () if absence.since == "stage" else absence.since
        unless = absence.unless or ((ACTIVITY,) if absence.since == "stage" else ())
        self.since, self.unless = frozenset(since), frozenset(unless)
        self._where = None if absence.where is None else event_test(absence.where, names, since)
        self._unless_where = (
            None if absence.unless_where is None else event_test(absence.unless_where, names, unless)
        )
        self._by = absence.by
        self._vocabulary = vocabulary
        self._getters: dict[str, Callable[[Event, int], object]] = {}
        self.begun: dict[tuple[str, object], int] = {}
        self.found: list[tuple[str, int, int]] = []
        """(person, begin, end) of the silences that have ended."""
        self.acts: defaultdict[str, list[int]] = defaultdict(list)
        """For `since: stage`: when the customer did what ends a silence."""

    def see(self, event: Event) -> None:
        ends = _among(event, self.unless) and (self._unless_where is None or self._unless_where(event))
        if self.absence.since == "stage":
            if ends:
                self.acts[event.person].append(event.at)
            return
        begins = _among(event, self.since) and (self._where is None or self._where(event))
        if not (begins or ends):
            return
        key = (event.person, self._identity(event))
        begun = self.begun.pop(key, None)
        if begun is not None and event.at > begun:
            self.found.append((event.person, begun, event.at))
        if begins:
            self.begun[key] = event.at

    def _identity(self, event: Event) -> object:
        if self._by is None:
            return None
        read = self._getters.get(event.type)
        if read is None:
            read = self._getters[event.type] = paths.getter(self._vocabulary, event.type, self._by)
        return read(event, event.at)

    def silences(
        self, entries: Mapping[str, Sequence[tuple[int, str]]], until: int
    ) -> Iterator[tuple[int, bool]]:
        """Give (length, came back) of the silences that began in the rule's stages."""
        if self.absence.since == "stage":
            for person, stays in entries.items():
                acts = self.acts[person]
                for entered, stage in stays:
                    if stage in self.stages:
                        place = bisect_right(acts, entered)
                        back = place < len(acts)
                        yield ((acts[place] if back else until) - entered, back)
            return
        for person, begun, ended in self.found:
            if _stage_at(entries.get(person, ()), begun) in self.stages:
                yield (ended - begun, True)
        for (person, _), begun in self.begun.items():
            if _stage_at(entries.get(person, ()), begun) in self.stages:
                yield (until - begun, False)


class Silences:
    """Listens to the events of a replay for all absence rules of a journey."""

    def __init__(self, journey: Journey, vocabulary: Vocabulary) -> None:
        rules: list[TransitionRule | SignalRule] = [*journey.transitions, *journey.signals]
        self._journey = journey.id
        self._rules = [
            _Rule(journey, rule, vocabulary) for rule in rules if isinstance(rule.trigger, Absence)
        ]
        self._listening: dict[tuple[str, bool], list[_Rule]] = {}

    def see(self, event: Event) -> None:
        """Take in the next event."""
        key = (event.type, event.activity)
        rules = self._listening.get(key)
        if rules is None:
            rules = self._listening[key] = [
                rule for rule in self._rules if _among(event, rule.since) or _among(event, rule.unless)
            ]
        for rule in rules:
            rule.see(event)

    def curves(self, records: Iterable[Transition | Signal], until: int, at_most: float = 0.2) -> list[Curve]:
        """Draw the curves, once all events have been seen.

        Args:
            records: the journey's records, in order; others are left out.
            until: up to when was observed, microseconds.
            at_most: the share of customers who may come back after the suggested silence.
        """
        entries: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        for record in records:
            if isinstance(record, Transition) and record.journey == self._journey and not record.test:
                entries[record.person].append((record.occurred_at, record.to))
        return [_curve(rule, list(rule.silences(entries, until)), at_most) for rule in self._rules]


def _among(event: Event, types: frozenset[str]) -> bool:
    return event.type in types or (event.activity and ACTIVITY in types)


def _stage_at(stays: Sequence[tuple[int, str]], at: int) -> str | None:
    """The stage right after a moment: the event that begins a silence may itself have moved the customer."""
    place = bisect_right(stays, at, key=lambda stay: stay[0])
    return stays[place - 1][1] if place else None


def _curve(rule: _Rule, silences: list[tuple[int, bool]], at_most: float) -> Curve:
    points = returning(silences)
    now = rule.absence.after if isinstance(rule.absence.after, int) else None
    reached = [point for point in points if now is not None and point.silence_s * 1e6 <= now]
    beyond = now is None or not points or points[-1].silence_s * 1e6 < now
    watched = points[-1].silence_s / 2 if points else 0.0
    enough = [
        point.silence_s for point in points if point.returning <= at_most and point.silence_s <= watched
    ]
    return Curve(
        rule.rule.id,
        "transition" if isinstance(rule.rule, TransitionRule) else "signal",
        phrases.trigger(rule.absence),
        len(silences),
        sum(back for _, back in silences),
        _thinned(points),
        None if now is None else now / 1e6,
        None if beyond or not reached else reached[-1].returning,
        min(enough, default=None),
        at_most,
    )


def returning(silences: Iterable[tuple[int, bool]]) -> list[Point]:
    """Estimate, for each length at which somebody came back, the share that still comes back after it.

    Args:
        silences: (length in microseconds, whether it ended by coming back rather than being cut off).

    Returns:
        Points by length: 0, each length at which somebody came back, and the length that fewer than `LEAST`
        silences exceed. None when there are fewer at all, or when nobody ever came back.
    """
    ordered = sorted(silences)
    left = len(ordered)
    if left < LEAST or not any(back for _, back in ordered):
        return []
    lasting = 1.0
    steps = [(0, 1.0, left)]
    place = 0
    while place < len(ordered):
        length = ordered[place][0]
        backs = cuts = 0
        while place < len(ordered) and ordered[place][0] == length:
            if ordered[place][1]:
                backs += 1
            else:
                cuts += 1
            place += 1
        if backs:
            lasting *= 1 - backs / left
        left -= backs + cuts
        if backs or left < LEAST:
            steps.append((length, lasting, left))
        if left < LEAST:
            break
    end = steps[-1][1]
    return [Point(length / 1e6, 1 - end / share if share else 0.0, alive) for length, share, alive in steps]


def _thinned(points: list[Point]) -> list[Point]:
    """Keep about `POINTS` points, evenly by place, the last among them."""
    step = max(1, -(-len(points) // POINTS))
    return points[::step] + (points[-1:] if points and (len(points) - 1) % step else [])
