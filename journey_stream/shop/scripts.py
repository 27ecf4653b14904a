"""The words that the cast's scripts are written in: one step, and the small scenes made of steps.

Enters: days since the script began (fractions are times of day) and what differs. Leaves: `Step` values.
Scenes give lists of steps, scripts join them with `scene(...)`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from journey_stream.shop.catalogue import PRODUCT

MINUTES = 1 / 1440
HOURS = 1 / 24


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a script. Names of properties that end in `_day` are times, told in days."""

    day: float
    type: str
    properties: dict[str, Any]
    context: dict[str, Any]


Scene = list[Step]


def step(day: float, event_type: str, channel: str = "web", /, **properties: Any) -> Step:
    """Write one event down."""
    return Step(day, event_type, properties, {"channel": channel})


def scene(*parts: Step | Iterable[Step]) -> Scene:
    """Join steps and scenes in the order of time."""
    steps: Scene = []
    for part in parts:
        steps.extend([part] if isinstance(part, Step) else part)
    return sorted(steps, key=lambda s: s.day)


def landing(day: float, medium: str | None = None, source: str = "somewhere", referrer: str = "") -> Step:
    """A first page, with the campaign that led there."""
    context: dict[str, Any] = {"channel": "web"}
    if medium:
        context["campaign"] = {"source": source, "medium": medium, "name": "cast"}
    if referrer:
        context["referrer"] = referrer
    page = {"url": "https://shop.example/", "title": "Home", "content_type": "other"}
    return Step(day, "page_viewed", page, context)


def reads(day: float, kind: str = "article") -> Step:
    """A page of content or help."""
    return step(day, "page_viewed", url=f"https://shop.example/{kind}/1", title=kind, content_type=kind)


def looks(day: float, products: int = 1, product: str = "p-050") -> Scene:
    """Product views, two minutes apart: three of them in a session are an intent."""
    return [step(day + n * 2 * MINUTES, "product_viewed", **PRODUCT[product]) for n in range(products)]


def cart(day: float, name: str, product: str = "p-050") -> Step:
    """Something goes into the cart."""
    return step(day, "product_added", cart_id=name, quantity=1, **PRODUCT[product])


def checkout(day: float, name: str, value: float = 50.0) -> Scene:
    """A checkout begins, up to the shipping step."""
    return [
        step(day, "checkout_started", checkout_id=name, value=value, currency="EUR"),
        step(day + MINUTES, "checkout_step_viewed", checkout_id=name, step="shipping"),
    ]


def failed(day: float, name: str, reason: str, source: str) -> Step:
    """A checkout fails, for a reason that somebody tells."""
    return step(day, "checkout_failed", checkout_id=name, step="payment", reason=reason, reason_source=source)


def buys(
    day: float, order: str, product: str = "p-050", *, quantity: int = 1, delivered: float | None = 3.0,
    promised: float = 5.0, **extra: Any,
) -> Scene:  # fmt: skip
    """An order, and its delivery so many days later (None: it never comes)."""
    line = {**PRODUCT[product], "quantity": quantity}
    total = round(line["price"] * quantity, 2)
    steps = [
        step(
            day,
            "order_completed",
            order_id=order,
            total=total,
            revenue=total,
            shipping=0.0,
            tax=0.0,
            discount=0.0,
            currency="EUR",
            promised_at_day=day + promised,
            products=[line],
            **extra,
        )
    ]
    if delivered is not None:
        steps.append(Step(day + delivered, "order_delivered", {"order_id": order}, {}))
    return steps


def uses(*days: float) -> Scene:
    """The product is used on these days."""
    return [step(day, "product_used", "app", feature="brew") for day in days]


def nps(day: float, score: int, comment: str | None = None) -> Step:
    """An answer to the recommendation question, 0 to 10."""
    extra = {"comment": comment} if comment else {}
    return step(
        day, "survey_responded", "email", survey_id="sv-nps", response_id=f"r-nps-{day}",
        survey_type="nps", score=score, scale_min=0, scale_max=10, **extra,
    )  # fmt: skip


def csat(day: float, score: int, **about: str) -> Step:
    """An answer to the satisfaction question, 1 to 5."""
    return step(
        day, "survey_responded", "email", survey_id="sv-csat", response_id=f"r-csat-{day}",
        survey_type="csat", score=score, scale_min=1, scale_max=5, **about,
    )  # fmt: skip


def review(day: float, rating: int, product: str = "p-050", comment: str = "As it is") -> Step:
    """A product review, 1 to 5 stars."""
    return step(day, "product_reviewed", rating=rating, comment=comment, review_id=f"rv-{day}",
                product_id=product)  # fmt: skip


def ticket(
    day: float, name: str, kind: str = "problem", priority: str = "normal", *, replied: float | None = 0.05,
    solved: float | None = 0.5, reopened: float | None = None, rated: str | None = None,
    order: str | None = None, channel: str = "email",
) -> Scene:  # fmt: skip
    """A ticket and its fate; the times are days after its creation, None means it never happens."""
    about = {"order_id": order} if order else {}
    steps = [
        step(
            day,
            "ticket_created",
            channel,
            ticket_id=name,
            kind=kind,
            priority=priority,
            subject="cast",
            **about,
        )
    ]
    end = day
    if replied is not None:
        steps.append(step(day + replied, "ticket_replied", channel, ticket_id=name, author="agent"))
        end = day + replied
    if solved is not None:
        end = day + solved
        steps.append(step(end, "ticket_solved", channel, ticket_id=name))
    if reopened is not None:
        steps.append(step(day + reopened, "ticket_reopened", channel, ticket_id=name))
        end = max(end, day + reopened + 1)
        steps.append(step(end, "ticket_solved", channel, ticket_id=name))
    if rated is not None:
        steps.append(step(end + 0.1, "ticket_rated", channel, ticket_id=name, score=rated))
    return steps


def mails(*days: float, campaign: str = "cast", opened: bool = False, clicked: bool = False) -> Scene:
    """Marketing messages on these days."""
    steps: Scene = []
    for day in days:
        about = {"message_id": f"m-{day}", "channel": "email", "campaign": campaign}
        steps.append(step(day, "message_sent", "email", **about))
        steps.append(step(day + MINUTES, "message_delivered", "email", **about))
        if opened or clicked:
            steps.append(step(day + HOURS, "message_opened", "email", **about))
        if clicked:
            steps.append(step(day + HOURS + MINUTES, "message_clicked", "email", **about))
    return steps


def handled(day: float, owner: str = "service") -> Step:
    """Somebody on our side closes the loop."""
    return step(day, "signal_handled", "phone", signal_id=f"sig-{day}", owner=owner, outcome="called back")
