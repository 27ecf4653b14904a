"""One customer's story across the models, from the records out.

Enters: records out as decoded JSON values, and a person (or nobody: then the one with most to tell is found).
Leaves: `Story`, moments in the order of time: what happened, what the customer felt, which stages changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from journey_stream.histories import OPINION

Value = Mapping[str, Any]

LONGEST = 45
"""Moments of a story that a reader has patience for."""
QUIET_SIGNALS = frozenset({"purchase_counted", OPINION, "loop_closed"})
"""Signals that are there for the measures, not for people."""


class Moment(msgspec.Struct):
    """What became of one event or timer."""

    at: str
    """RFC 3339."""
    cause: str
    """Type of the event; `silence` for a timer."""
    moves: dict[str, str]
    """Journey and the stage entered."""
    reasons: list[str]
    signals: list[str]
    sentiment: float | None
    minor: bool = False
    """Its mood alone is not worth telling."""


class Story(msgspec.Struct, frozen=True):
    """One person's way."""

    person: str
    journeys: tuple[str, ...]
    moments: tuple[Moment, ...]
    left_out: int
    """Moments without a change of stage or mood, left out to keep it readable."""


def person_of(value: Value) -> str:
    """Whose record it is."""
    return value.get("customer_id") or f"anon:{value.get('anonymous_id')}"


def most_telling(values: Iterable[Value]) -> str | None:
    """Find the customer whose records visit most stages and moods, within a readable number of moments."""
    stages: dict[str, set[tuple[str, str]]] = defaultdict(set)
    moods: dict[str, set[float]] = defaultdict(set)
    moments: dict[str, set[str]] = defaultdict(set)
    for value in values:
        person = person_of(value)
        if "to" in value:
            stages[person].add((value["journey"], value["to"]))
            moments[person].add(value["occurred_at"])
        elif value.get("signal") == OPINION:
            feeling = value["payload"].get("sentiment")
            if feeling is not None:
                moods[person].add(feeling)

    def telling(person: str) -> tuple[float, str]:
        many = len(stages[person]) + 3 * len(moods[person])
        return many - max(0, len(moments[person]) - LONGEST) * 2, person

    return max(stages, key=telling, default=None)


def tell(values: Iterable[Value], person: str | None = None) -> Story | None:
    """Tell the story of a person, or of the most telling one; None if there is nobody."""
    kept = [value for value in values if "to" in value or "signal" in value]
    person = person or most_telling(kept)
    own = [value for value in kept if person_of(value) == person]
    if person is None or not own:
        return None
    own.sort(key=lambda value: (value["occurred_at"], value["journey"], value["sequence"]))
    moments: dict[tuple[str, str], Moment] = {}
    for value in own:
        cause = value["cause"]
        what = "time passes" if cause["type"] == "timer" else cause["type"]
        key = (value["occurred_at"], what)
        moment = moments.setdefault(key, Moment(value["occurred_at"], what, {}, [], [], None))
        if "to" in value:
            moment.moves[value["journey"]] = value["to"]
            if value.get("reason") and value["reason"] not in moment.reasons:
                moment.reasons.append(value["reason"])
        elif value["signal"] == OPINION:
            moment.sentiment = value["payload"].get("sentiment")
            moment.minor = cause["type"] == "checkout_failed"
        elif _for_people(value) and value["signal"] not in moment.signals:
            moment.signals.append(value["signal"])
    journeys = tuple(dict.fromkeys(value["journey"] for value in sorted(own, key=lambda v: v["sequence"])))
    chosen = _worth_telling(list(moments.values()))
    return Story(person, journeys, tuple(chosen), len(moments) - len(chosen))


def _for_people(value: Value) -> bool:
    return value["signal"] not in QUIET_SIGNALS and value["status"] == "raised"


def _worth_telling(moments: Sequence[Moment]) -> list[Moment]:
    """Keep the moments with a change of stage or mood; of too many, the ones that change most."""

    def weight(moment: Moment) -> int:
        return len(moment.moves) + 2 * (moment.sentiment is not None and not moment.minor)

    chosen = [moment for moment in moments if weight(moment)]
    if len(chosen) > LONGEST:
        least = sorted(map(weight, chosen), reverse=True)[LONGEST]
        chosen = [moment for moment in chosen if weight(moment) > least] or chosen
    return chosen[:LONGEST]
