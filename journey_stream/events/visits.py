"""Properties of the events of the first source: visits, browsing, messages, the person itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from journey_stream.events.fields import MessageChannel, Product, Properties, Seconds

Stars = Annotated[float, msgspec.Meta(ge=1, le=5)]
ContentType = Literal[
    "article", "white_paper", "infographic", "course", "social", "faq", "kb", "product", "other"
]


class PageViewed(Properties):
    url: str | None = None
    title: str | None = None
    category: str | None = None
    content_type: ContentType | None = None
    referrer: str | None = None


class PageLeft(Properties):
    url: str | None = None
    duration_s: float | None = None


class LinkClicked(Properties):
    url: str | None = None
    target_url: str | None = None
    related: bool | None = None


class ProductsSearched(Properties):
    query: str | None = None


class ProductList(Properties):
    list_id: str | None = None
    category: str | None = None
    products: list[Product] | None = None


class Promotion(Properties):
    promotion_id: str | None = None
    creative: str | None = None
    name: str | None = None
    position: str | None = None


class ProductEvent(Product):
    """A product line and where it was met."""

    cart_id: str | None = None
    wishlist_id: str | None = None
    list_id: str | None = None
    coupon: str | None = None
    currency: str | None = None
    value: float | None = None
    position: float | None = None
    url: str | None = None


class ProductReviewed(Product):
    review_id: str | None = None
    rating: Stars | None = None
    comment: str | None = None
    currency: str | None = None


class ProductShared(ProductEvent):
    share_via: str | None = None


class Cart(Properties):
    cart_id: str | None = None
    value: float | None = None
    currency: str | None = None
    products: list[Product] | None = None


class CartShared(Cart):
    share_via: str | None = None


class Coupon(Properties):
    order_id: str | None = None
    cart_id: str | None = None
    coupon_id: str | None = None
    coupon_name: str | None = None
    discount: float | None = None
    currency: str | None = None
    reason: str | None = None


class CheckoutStarted(Properties):
    checkout_id: str | None = None
    order_id: str | None = None
    cart_id: str | None = None
    value: float | None = None
    revenue: float | None = None
    shipping: float | None = None
    tax: float | None = None
    discount: float | None = None
    coupon: str | None = None
    currency: str | None = None
    products: list[Product] | None = None


class CheckoutStep(Properties):
    checkout_id: str | None = None
    order_id: str | None = None
    step: str | int | float | None = None
    """Its name, or its number as Segment sends it; text once read (`2` becomes "2")."""
    shipping_method: str | None = None
    payment_method: str | None = None

    def __post_init__(self) -> None:
        step = self.step
        if step is not None and type(step) is not str:
            self.step = str(int(step)) if step == int(step) else str(step)


class CheckoutFailed(CheckoutStep):
    reason: str | None = None
    reason_source: Literal["observed", "stated", "inferred"] | None = None


class SignedUp(Properties):
    method: str | None = None
    newsletter: bool | None = None


class Identified(Properties):
    traits: dict[str, Any] | None = None


class ContactMade(Properties):
    means: str | None = None
    subject: str | None = None
    order_id: str | None = None


class CallMade(Properties):
    direction: str | None = None
    outcome: str | None = None
    duration_s: float | None = None


class StoreVisited(Properties):
    location_id: str | None = None


class ContentDownloaded(Properties):
    url: str | None = None
    title: str | None = None
    category: str | None = None
    content_type: ContentType | None = None
    gated: bool | None = None


class ServiceRequested(Properties):
    service: str | None = None
    subject: str | None = None
    order_id: str | None = None


class ProductUsed(Product):
    order_id: str | None = None
    feature: str | None = None
    duration_s: float | None = None


class ReferralSent(Properties):
    referral_id: str | None = None
    channel: str | None = None


class ReferralConverted(Properties):
    """Belongs to the newcomer; `referrer_id` names who sent them."""

    referral_id: str | None = None
    referrer_id: Annotated[str, msgspec.Meta(max_length=512)] | None = None


class ReferralRewarded(Properties):
    """Belongs to the referrer; made from `referral_converted` at intake."""

    referral_id: str | None = None
    newcomer_id: str | None = None


class ProfileChanged(Properties):
    attribute: str | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    to: str | None = None
    in_target: bool | None = None


class ConsentChanged(Properties):
    purpose: str | None = None
    channel: MessageChannel | None = None
    """None: every channel."""
    status: Literal["granted", "denied", "withdrawn"] | None = None


class Unsubscribed(Properties):
    channel: MessageChannel | None = None


class Message(Properties):
    message_id: str | None = None
    channel: MessageChannel | None = None
    campaign: str | None = None
    link_url: str | None = None
    reason: str | None = None


class SignalHandled(Properties):
    signal_id: str | None = None
    owner: str | None = None
    outcome: str | None = None


class HistoryImported(Properties):
    """What a customer did before the first event here."""

    orders: float | None = None
    revenue: float | None = None
    currency: str | None = None
    first_order_at: Seconds | None = None
    last_order_at: Seconds | None = None
    categories: list[str] | None = None
