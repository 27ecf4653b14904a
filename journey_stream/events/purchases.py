"""Properties of the events of the second source: orders, quotes, subscriptions, loyalty."""

from __future__ import annotations

from journey_stream.events.fields import Product, Properties, Seconds


class Order(Properties):
    """An order, or what became of it."""

    order_id: str | None = None
    checkout_id: str | None = None
    cart_id: str | None = None
    subtotal: float | None = None
    total: float | None = None
    revenue: float | None = None
    shipping: float | None = None
    tax: float | None = None
    discount: float | None = None
    coupon: str | None = None
    currency: str | None = None
    affiliation: str | None = None
    location_id: str | None = None
    promised_at: Seconds | None = None
    reason: str | None = None
    products: list[Product] | None = None


class OrderDelivered(Properties):
    """An order reached its buyer."""

    order_id: str | None = None
    location_id: str | None = None
    promised_at: Seconds | None = None
    products: list[Product] | None = None


class Quote(Properties):
    """An offer in writing and its fate."""

    quote_id: str | None = None
    value: float | None = None
    currency: str | None = None
    valid_until: Seconds | None = None
    reason: str | None = None
    products: list[Product] | None = None


class Subscription(Properties):
    """A trial or subscription and what happens to it."""

    subscription_id: str | None = None
    order_id: str | None = None
    plan: str | None = None
    from_plan: str | None = None
    to_plan: str | None = None
    value: float | None = None
    currency: str | None = None
    reason: str | None = None
    effective_at: Seconds | None = None
    voluntary: bool | None = None


class Loyalty(Properties):
    """Membership of a loyalty program."""

    program: str | None = None
    tier: str | None = None
    reason: str | None = None
