"""The measures of a journey, from its records out alone.

Enters: the history of a journey (`histories.read` makes it of the records out). Leaves: plain values. Every
measure is a function of a history and a period.

Definitions (Measures in the five models):

- A customer is in stage s *at* T when the last transition before T led to s: what happens at the first moment
  of a period belongs to it. The population of s is the number of such customers.
- retention(s, p): of the customers in s at the start of p, the share that is in no stage of kind `attrition`
  at its end. None when nobody was in s.
- attrition(p): distinct customers who entered kind attrition in p, over customers who had bought before p.
  Never-buyers (no order known) and win-backs (left kind attrition, having bought) are counted apart.
- Revenue of s in p: growth of the `revenue` attribute from one record of a customer to the next, credited to
  the time and to the stage of the later record (a first order is the revenue of the stage it leads to); what
  is taken back again is taken from the stage that the customer was in until then.
  Mean basket: revenue over growth of `orders`. Purchase interval: time between two records in which `orders`
  grew, credited to the later one.
- Sentiment of s in p: mean of the opinions given in s (`opinion_given` signals).
- Alarm: customers lost (attrition without never-buyers) exceed customers who first bought in p, in two
  periods one after the other.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, median

import msgspec

from journey_stream.histories import History, Purchase, Raised, Stay, read
from journey_stream.values import NEVER, SECOND, micros, rfc3339

__all__ = [
    "Attrition", "CauseRank", "Dwell", "Flow", "History", "OwnerMeasures", "Period", "Value", "alarms",
    "attrition", "causes", "dwell", "every", "flows", "months", "owners", "population", "read", "retention",
    "retentions", "sentiment", "value",
]  # fmt: skip

NEVER_BOUGHT = "never_bought"


class Period(msgspec.Struct, frozen=True):
    """From `start` (included) to `end` (not included), microseconds."""

    name: str
    start: int
    end: int


# Periods


def months(start: int, end: int) -> tuple[Period, ...]:
    """The calendar months (UTC) that touch the time from `start` to `end`, both included."""
    first = dt.datetime.fromtimestamp(start // SECOND, dt.UTC).replace(day=1, hour=0, minute=0, second=0)
    periods = []
    while micros(first) <= end:
        after = (first + dt.timedelta(days=32)).replace(day=1)
        periods.append(Period(first.strftime("%Y-%m"), micros(first), micros(after)))
        first = after
    return tuple(periods)


def every(length: int, start: int, end: int) -> tuple[Period, ...]:
    """Periods of one length (microseconds) from `start` until `end` is covered."""
    return tuple(Period(rfc3339(at), at, at + length) for at in range(start, end + 1, length))


# Measures


class Flow(msgspec.Struct, frozen=True):
    """A stage in a period: who was there at its ends, who came and went (a customer may do so repeatedly)."""

    start: int
    end: int
    entries: int
    exits: int


class Dwell(msgspec.Struct, frozen=True):
    """How long finished stays lasted, in seconds."""

    stays: int
    mean_s: float
    median_s: float


class Value(msgspec.Struct, frozen=True):
    """What a stage is worth in a period."""

    revenue: float
    orders: int
    mean_basket: float | None
    median_interval_s: float | None


class Attrition(msgspec.Struct, frozen=True):
    """Losses in a period, in customers."""

    lost: int
    had_bought: int
    rate: float | None
    won_back: int
    never_buyers: int
    arrived: int
    """Customers whose first order lies in the period."""


class CauseRank(msgspec.Struct, frozen=True):
    """What spoils the mood: customers touched, and all their revenue."""

    cause: str
    customers: int
    revenue: float
    opinions: int


class OwnerMeasures(msgspec.Struct, frozen=True):
    """The work of one owner: signals raised and handled, the time that took, customers handed to the next."""

    raised: int
    handled: int
    median_s: float | None
    hand_offs: dict[str, int]


def population(history: History, moment: int) -> dict[str, int]:
    """Customers per stage at a moment."""
    return dict(Counter(stay.stage for stay in history.standing(moment).values()))


def flows(history: History, period: Period) -> dict[str, Flow]:
    """Per stage: population at both ends of the period, entries and exits in it."""
    start, end = population(history, period.start), population(history, period.end)
    entries: dict[str, int] = defaultdict(int)
    exits: dict[str, int] = defaultdict(int)
    for stay in (stay for stays in history.stays.values() for stay in stays):
        entries[stay.stage] += period.start <= stay.entered < period.end
        exits[stay.stage] += period.start <= stay.left < period.end
    return {
        stage: Flow(start.get(stage, 0), end.get(stage, 0), entries[stage], exits[stage])
        for stage in history.stages
    }


def dwell(history: History) -> dict[str, Dwell]:
    """Per stage: how long finished stays lasted."""
    lasted: dict[str, list[float]] = defaultdict(list)
    for stay in (stay for stays in history.stays.values() for stay in stays):
        if stay.left != NEVER:
            lasted[stay.stage].append((stay.left - stay.entered) / SECOND)
    return {stage: Dwell(len(times), fmean(times), median(times)) for stage, times in lasted.items()}


def retention(history: History, stage: str, period: Period) -> float | None:
    """Of the customers in the stage at the start, the share that is in no attrition stage at the end."""
    return retentions(history, period).get(stage)


def retentions(history: History, period: Period) -> dict[str, float]:
    """`retention` of every stage that anybody was in at the start."""
    there: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    after = history.standing(period.end)
    for person, before in history.standing(period.start).items():
        there[before.stage] += 1
        kept[before.stage] += after[person].kind != "attrition"
    return {stage: kept[stage] / count for stage, count in there.items()}


def attrition(history: History, period: Period) -> Attrition:
    """Customers lost in the period, over those who had bought before it; the rest shown apart."""
    orders: dict[str, list[tuple[int, int]]] = defaultdict(list)
    first: dict[str, int] = {}
    for purchase in history.purchases:
        known = orders[purchase.person]
        known.append((purchase.at, (known[-1][1] if known else 0) + purchase.orders))
        if purchase.orders > 0:
            first.setdefault(purchase.person, purchase.at)

    def bought(person: str, before: int) -> bool:
        known = orders.get(person, [])
        index = bisect_left(known, before, key=lambda step: step[0])
        return index > 0 and known[index - 1][1] > 0

    def buyer(gone: Stay) -> bool:
        return gone.reason != NEVER_BOUGHT and bought(gone.person, gone.entered + 1)

    lost: set[str] = set()
    back: set[str] = set()
    never: set[str] = set()
    for person, stays in history.stays.items():
        came_from: Stay | None = None
        for stay in stays:
            if period.start <= stay.entered < period.end:
                was = came_from if came_from is not None and came_from.kind == "attrition" else None
                if stay.kind == "attrition" and was is None:
                    (lost if buyer(stay) else never).add(person)
                if stay.kind != "attrition" and was is not None and buyer(was):
                    back.add(person)
            came_from = stay
    had_bought = sum(bought(person, period.start) for person in orders)
    arrived = sum(period.start <= at < period.end for at in first.values())
    rate = len(lost) / had_bought if had_bought else None
    return Attrition(len(lost), had_bought, rate, len(back), len(never), arrived)


def alarms(history: History, periods: Sequence[Period]) -> tuple[str, ...]:
    """The periods at whose end losses had exceeded arrivals twice in a row."""
    bad = [(found.lost > found.arrived) for found in (attrition(history, period) for period in periods)]
    return tuple(
        period.name for period, now, before in zip(periods[1:], bad[1:], bad, strict=False) if now and before
    )


def value(history: History, period: Period) -> dict[str, Value]:
    """Per stage: revenue in the period, mean basket, median purchase interval."""
    found: dict[str, list[Purchase]] = defaultdict(list)
    for purchase in history.purchases:
        if period.start <= purchase.at < period.end:
            found[purchase.stage].append(purchase)
    return {stage: _worth(purchases) for stage, purchases in found.items()}


def _worth(purchases: Sequence[Purchase]) -> Value:
    revenue, orders = sum(p.amount for p in purchases), sum(p.orders for p in purchases)
    intervals = [p.interval / SECOND for p in purchases if p.interval is not None]
    return Value(
        round(revenue, 2),
        orders,
        round(revenue / orders, 2) if orders > 0 else None,
        median(intervals) if intervals else None,
    )


def sentiment(history: History, period: Period) -> dict[str, float]:
    """Per stage: mean of the opinions given in the period, -1 to +1."""
    found: dict[str, list[float]] = defaultdict(list)
    for opinion in history.opinions:
        if period.start <= opinion.at < period.end:
            found[opinion.stage].append(opinion.sentiment)
    return {stage: fmean(values) for stage, values in found.items()}


def causes(history: History, period: Period | None = None) -> tuple[CauseRank, ...]:
    """The causes of negative opinions, ranked by customers touched, then by their revenue."""
    revenue: dict[str, float] = defaultdict(float)
    for purchase in history.purchases:
        revenue[purchase.person] += purchase.amount
    touched: dict[str, list[str]] = defaultdict(list)
    for opinion in history.opinions:
        if opinion.sentiment < 0 and (period is None or period.start <= opinion.at < period.end):
            touched[opinion.cause].append(opinion.person)
    ranks = [
        CauseRank(cause, len(set(people)), round(sum(revenue[p] for p in set(people)), 2), len(people))
        for cause, people in touched.items()
    ]
    return tuple(sorted(ranks, key=lambda rank: (-rank.customers, -rank.revenue, rank.cause)))


def owners(history: History) -> dict[str, OwnerMeasures]:
    """Per owner: signals raised, handled, median seconds to that, customers handed to other owners."""
    raised: dict[str, list[Raised]] = defaultdict(list)
    for signal in history.signals:
        raised[signal.owner or ""].append(signal)
    hand_offs: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for stays in history.stays.values():
        for before, after in pairwise(stays):
            if before.owner != after.owner:
                hand_offs[before.owner or ""][after.owner or ""] += 1
    found = {}
    for owner in sorted(set(raised) | set(hand_offs)):
        times = [
            (history.closed[signal.signal_id] - signal.at) / SECOND
            for signal in raised[owner]
            if signal.signal_id in history.closed
        ]
        found[owner] = OwnerMeasures(
            len(raised[owner]), len(times), median(times) if times else None, dict(hand_offs[owner])
        )
    return found
