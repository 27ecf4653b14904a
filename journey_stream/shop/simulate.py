"""The simulated shop: a pure function from options to records.

Enters: `ShopOptions`. Leaves: records in the order of delivery, one at a time. Strategy: newcomers arrive
with the seasons and get a persona; their visits and all that follows live on the world's agenda
(`world`, `visits`, `orders`, `service`, `relations`); the cast plays its scripts (`cast`); what comes out
in event-time order is then keyed, and put into disorder as asked (`disorder`).
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop
from itertools import accumulate
from random import Random

from journey_stream.shop import cast
from journey_stream.shop.catalogue import CATEGORIES, CHANNELS, PLACES
from journey_stream.shop.disorder import deliver
from journey_stream.shop.personas import PERSONAS, VISITOR, Person, Persona
from journey_stream.shop.records import ShopOptions, ShopRecord
from journey_stream.shop.visits import visit
from journey_stream.shop.world import Happening, World

EARLY = 0.2
"""Share of the people who are there within the first 30 days; the rest comes over the whole time."""
REFERRED = 0.5
"""Odds that a newcomer of a day takes up a waiting recommendation."""


def simulate(options: ShopOptions) -> Iterator[ShopRecord]:
    """Run the shop: the same options give the same bytes, on any machine.

    Without disorder the records are in the order of (event time, event id) over all sources. Memory grows
    with the people who are active at a time, not with the days.
    """
    return deliver(happenings(options), options)


def happenings(options: ShopOptions) -> Iterator[Happening]:
    """The bare events in order, before keys, duplicates, delays and poison."""
    world = World(options, Random(options.seed))
    if options.cast:
        cast.enter(world)
    newcomers = _Newcomers(world)
    return world.days(newcomers.arrive)


class _Newcomers:
    """Lets people in, day by day, so that all have come by the end."""

    def __init__(self, world: World) -> None:
        self.world = world
        options = world.options
        early = min(30, options.days)
        weights = [world.weight(day) for day in range(options.days)]
        late_sum, early_sum = sum(weights), sum(weights[:early])
        curve = [
            (1 - EARLY) * weight / late_sum + (EARLY * weight / early_sum if day < early else 0.0)
            for day, weight in enumerate(weights)
        ]
        self.curve = list(accumulate(curve))
        self.people = options.customers + round(options.customers * options.visitors)
        self.known = options.customers
        self.came = self.came_known = 0
        self.personas = tuple(p for p in PERSONAS for _ in range(int(p.share)))
        self.channels = tuple(c[1:] for c in CHANNELS for _ in range(int(c[0])))
        self.places = tuple(p[:3] for p in PLACES for _ in range(int(p[3])))

    def arrive(self, day: int) -> None:
        """Let the newcomers of this day in; each makes the first visit today."""
        last = day == self.world.options.days - 1
        until = self.people if last else round(self.curve[day] * self.people)
        while self.came < until:
            self.came += 1
            known = self.came * self.known // self.people
            who = self._person(day, known=known > self.came_known)
            self.came_known = known
            self.world.plan(day, visit, who)

    def _person(self, day: int, *, known: bool) -> Person:
        world, number = self.world, self.came
        draw = world.random
        persona: Persona = world.pick(self.personas) if known else VISITOR
        campaign, referrer = world.pick(self.channels)
        anonymous_id = f"a-{number:07d}"
        ids = {"anonymous_id": anonymous_id}
        customer_id = f"c-{number:07d}" if known else None
        if customer_id is not None and draw() < 0.85:
            ids = {"customer_id": customer_id, **ids}
        if persona.quote:
            ids["account_id"] = f"acct-{number // 3:06d}"
        referred_by = None
        if known and world.referrers and world.referrers[0][0] <= day and draw() < REFERRED:
            _, referred_by = heappop(world.referrers)
            campaign, referrer = {"source": "friend", "medium": "referral"}, None
            ids = {"customer_id": customer_id or "", **ids}
        locale, country, zone = world.pick(self.places)
        favourites = persona.favourites or CATEGORIES
        return Person(
            number=number,
            persona=persona,
            customer_id=customer_id,
            anonymous_id=anonymous_id,
            ids=ids,
            base={"locale": locale, "country": country, "timezone": zone},
            device="phone" if draw() < 0.6 else "desktop",
            campaign=campaign,
            referrer=referrer,
            category=world.pick(favourites),
            mood=max(-1.0, min(1.0, persona.mood + (draw() - 0.5) * 0.6)),
            referred_by=referred_by,
        )
