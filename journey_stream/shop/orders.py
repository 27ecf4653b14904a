"""What follows from an order: delivery on time or late, cancellation, refund, use, thanks and questions.

Enters: an order placed in a visit. Leaves: the events of its whole life, planned at once, and what it does
to the person's mood. Store orders have nothing to deliver.
"""

from __future__ import annotations

from typing import Any

from journey_stream.shop import relations, service
from journey_stream.shop.catalogue import Product
from journey_stream.shop.personas import Person
from journey_stream.shop.world import World
from journey_stream.values import DAY, HOUR, MINUTE, SECOND


def order(
    world: World,
    who: Person,
    day: int,
    at: int,
    context: dict[str, Any],
    basket: list[Product],
    *,
    order_id: str | None = None,
    checkout_id: str | None = None,
    cart_id: str | None = None,
    store: str | None = None,
) -> None:
    """Place an order and plan everything that comes of it."""
    draw, emit = world.random, world.emit
    order_id = order_id or f"o-{world.number('order'):07d}"
    lines = [{**product, "quantity": 1 if draw() < 0.85 else 2} for product in basket]
    revenue = sum(line["price"] * line["quantity"] for line in lines)
    discount = round(revenue * 0.15, 2) if draw() < who.persona.coupon else 0.0
    shipping = 0.0 if store or revenue > 60 else 4.9
    promised = at + (3 + int(draw() * 3)) * DAY
    properties: dict[str, Any] = {
        "order_id": order_id,
        "total": round(revenue - discount + shipping, 2),
        "revenue": round(revenue - discount, 2),
        "shipping": shipping,
        "tax": round((revenue - discount) / 6, 2),
        "discount": discount,
        "currency": "EUR",
        "affiliation": "store" if store else "web shop",
        "products": lines,
    }
    if discount:
        properties["coupon"] = "WELCOME15" if who.orders == 0 else "FRIENDS15"
    if checkout_id:
        properties["checkout_id"] = checkout_id
        properties["cart_id"] = cart_id
    if store:
        properties["location_id"] = store
    else:
        properties["promised_at"] = world.stamp(promised)
    emit(who, at, "order_completed", properties, context)
    first = who.orders == 0
    who.orders += 1
    who.last_order = day
    who.cart = None
    if first:
        relations.welcome(world, who, at)
    if draw() < 0.03:
        emit(who, at + 2 * HOUR, "order_updated", {"order_id": order_id}, context)
    if store:
        after_delivery(world, who, at + 10 * MINUTE, order_id, properties["total"], late=False)
        return
    if draw() < 0.03:
        emit(who, at + int((2 + draw() * 20) * HOUR), "order_cancelled",
             {"order_id": order_id, "total": properties["total"], "currency": "EUR"}, context)  # fmt: skip
        who.mood -= 0.1
        return
    late = draw() < 0.12
    early = -int(draw() * 40) * HOUR
    delivered = (
        promised + (int((0.5 + draw() * 7) * 24) * HOUR if late else early) + int(draw() * 3600) * SECOND
    )
    emit(who, delivered, "order_delivered", {"order_id": order_id, "promised_at": properties["promised_at"]},
         {"country": who.base["country"]})  # fmt: skip
    after_delivery(world, who, delivered, order_id, properties["total"], late=late)


def after_delivery(
    world: World, who: Person, delivered: int, order_id: str, total: float, *, late: bool
) -> None:
    """Use it, complain, ask for money back, answer surveys, review, tell friends."""
    draw, persona, emit = world.random, who.persona, world.emit
    who.mood = max(-1.0, min(1.0, who.mood + (-0.35 if late else 0.06)))
    app = {"channel": "app", "device": who.device, **who.base}
    if draw() < persona.uses:
        use = delivered + int((0.5 + draw() * 5) * 24) * HOUR
        for _ in range(1 + int(draw() * 4)):
            emit(who, use, "product_used", {"feature": "brew"}, app)
            use += int((1 + draw() * 9) * 24) * HOUR + int(draw() * 3000) * SECOND
    trouble = draw() < (persona.ticket * 1.6 + 0.15 if late else persona.ticket)
    if trouble:
        solved = service.trouble(world, who, delivered + int(4 + draw() * 60) * HOUR, order_id, late=late)
        if draw() < (0.15 if solved else 0.35):
            emit(who, delivered + int(6 + draw() * 9) * DAY, "order_refunded",
                 {"order_id": order_id, "total": total, "currency": "EUR"}, app)  # fmt: skip
            who.mood -= 0.15
    service.survey(world, who, delivered + 3 * DAY, "csat", order_id=order_id)
    if draw() < persona.reviews:
        service.review(world, who, delivered + int((5 + draw() * 15) * 24) * HOUR)
    if who.mood > 0.2 and draw() < persona.refers:
        relations.refer(world, who, delivered + int((6 + draw() * 20) * 24) * HOUR)
