"""Who comes to the shop: personas as rows of habits, and one person's memory.

Enters: nothing. Leaves: `PERSONAS` and `Person`. A persona is a row of rates and odds; everything that the
stories draw for a person starts from it. Numbers are ours, tuned so that 70 % of carts are left and about
every fourth buyer becomes a core customer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Persona:
    """The habits of a kind of customer; odds are probabilities per occasion."""

    name: str
    share: float
    visits: float
    """Visits a month while active."""
    cart: float
    """A visit fills a cart."""
    finish: float
    """A cart becomes an order."""
    stay: float
    """Is still with us after a visit."""
    items: tuple[int, ...] = (1, 1, 2)
    premium: float = 0.2
    coupon: float = 0.1
    ticket: float = 0.05
    answers: float = 0.2
    reviews: float = 0.12
    refers: float = 0.03
    content: float = 0.15
    help: float = 0.05
    store: float = 0.05
    card: float = 0.05
    plan: float = 0.02
    quote: float = 0.0
    uses: float = 0.15
    mail: float = 0.45
    """Grants consent to e-mail."""
    mood: float = 0.3
    favourites: tuple[str, ...] = ()


PERSONAS: tuple[Persona, ...] = (
    Persona("browser", 20, 0.7, 0.25, 0.06, 0.70, content=0.25),
    Persona("bargain hunter", 15, 0.85, 0.40, 0.15, 0.80, coupon=0.8, premium=0.05, mail=0.7),
    Persona("loyal", 16, 1.4, 0.52, 0.27, 0.97, (1, 2, 2, 3), reviews=0.25, refers=0.10, card=0.5,
            answers=0.45, uses=0.4, mail=0.75, mood=0.55, favourites=("beans", "machines")),
    Persona("gift buyer", 10, 0.5, 0.48, 0.21, 0.87, (1, 1, 2), premium=0.35, favourites=("gifts",)),
    Persona("complainer", 8, 0.9, 0.42, 0.18, 0.86, ticket=0.45, answers=0.5, reviews=0.4, help=0.2,
            mood=-0.25),
    Persona("subscriber", 8, 0.9, 0.36, 0.22, 0.92, plan=0.5, uses=0.35, mail=0.6,
            favourites=("beans", "tea")),
    Persona("business buyer", 5, 0.7, 0.30, 0.20, 0.91, (3, 4, 6), premium=0.4, quote=0.45, ticket=0.08,
            content=0.3),
    Persona("referrer", 5, 1.2, 0.48, 0.26, 0.94, reviews=0.4, refers=0.35, answers=0.5, mood=0.7,
            favourites=("machines", "accessories")),
    Persona("researcher", 8, 0.8, 0.22, 0.11, 0.85, content=0.65, help=0.15, premium=0.4),
    Persona("local", 5, 0.8, 0.38, 0.24, 0.91, store=0.7, card=0.4),
)  # fmt: skip
VISITOR = Persona("visitor", 0, 0.8, 0.15, 0.0, 0.45, content=0.3, help=0.08, mail=0.0)
"""Somebody who never gives a name: leaves every cart."""


@dataclass(slots=True)
class Person:
    """What the simulation remembers of one person; O(1) each, dropped when the person is gone."""

    number: int
    persona: Persona
    customer_id: str | None
    anonymous_id: str
    ids: dict[str, str]
    """The identity fields of the person's events, as they stand now."""
    base: dict[str, Any]
    """The part of the context that never changes: locale, country, time zone."""
    device: str
    campaign: dict[str, str] | None
    referrer: str | None
    category: str
    mood: float
    referred_by: str | None = None
    visits: int = 0
    orders: int = 0
    last_order: int = -10_000
    """Day of the last order."""
    last_survey: int = -10_000
    cart: list[Any] | None = None
    """Products of a cart that was left, to come back to."""
    mail: bool = False
    card: bool = False
    plan: str | None = None
    unsubscribed: bool = False
    gone: bool = False

    @property
    def person(self) -> str:
        """Whose journey an event is: the key of its record."""
        return self.ids.get("customer_id") or "anon:" + self.anonymous_id
