"""The cast: scripted customers who show, in any run of 400 days, what chance shows rarely or never.

Enters: a world. Leaves: the cast's events in it. `CAST` is a table of name and script; ids inside a script
(orders, tickets, carts) are made the script's own by its name. Each script says which corner of which model
it is there for; together they enter every stage and raise every signal of the five shipped models.
"""

from __future__ import annotations

from typing import Any

from journey_stream.shop.cast_cycles import CYCLES
from journey_stream.shop.cast_lives import LIVES
from journey_stream.shop.catalogue import PLACES
from journey_stream.shop.personas import PERSONAS, Person
from journey_stream.shop.scripts import Scene, Step
from journey_stream.shop.world import World
from journey_stream.values import DAY, MINUTE, SECOND

CAST: dict[str, Scene] = {**LIVES, **CYCLES}
"""Name (the customer id is `cast-<name>`) and script."""

_OWN = ("order_id", "ticket_id", "cart_id", "checkout_id", "message_id", "quote_id", "response_id",
        "review_id", "signal_id", "referral_id", "subscription_id")  # fmt: skip
OPENING = 8 * 60 * MINUTE
"""Scripts begin at eight in the morning of the first day."""


def enter(world: World) -> None:
    """Let the whole cast play; steps behind the end of the simulation do not happen."""
    for number, (name, script) in enumerate(CAST.items()):
        who = member(number, name)
        for offset, part in enumerate(script):
            play(world, who, name, part, offset)


def member(number: int, name: str) -> Person:
    """One member of the cast. A name that begins with `anon` never tells who it is."""
    anonymous_id = f"cast-a-{name}"
    customer_id = None if name.startswith("anon") else f"cast-{name}"
    ids = {"anonymous_id": anonymous_id}
    if customer_id is not None:
        ids = {"customer_id": customer_id, **ids}
    locale, country, zone, _ = PLACES[number % len(PLACES)]
    return Person(
        number=number,
        persona=PERSONAS[0],
        customer_id=customer_id,
        anonymous_id=anonymous_id,
        ids=ids,
        base={"locale": locale, "country": country, "timezone": zone},
        device="desktop",
        campaign=None,
        referrer=None,
        category="beans",
        mood=0.0,
    )


def play(world: World, who: Person, name: str, part: Step, offset: int) -> None:
    """Let one step happen; steps of a script never share a second."""
    at = world.start + OPENING + (int(part.day * 86_400) + offset % 50) * SECOND
    properties: dict[str, Any] = {}
    for key, value in part.properties.items():
        if key.endswith("_day"):
            properties[key[:-4]] = world.stamp(world.start + OPENING + int(value * DAY))
        elif key in _OWN:
            properties[key] = f"{name}-{value}"
        else:
            properties[key] = value
    world.emit(who, at, part.type, properties, {**who.base, **part.context})
