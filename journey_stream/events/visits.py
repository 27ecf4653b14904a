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
    """A page was opened."""

    url: str | None = None
    title: str | None = None
    category: str | None = None
    content_type: ContentType | None = None
    referrer: str | None = None


class PageLeft(Properties):
    """A page was left, after so many seconds."""

    url: str | None = None
    duration_s: float | None = None


class LinkClicked(Properties):
    """A link was followed."""

    url: str | None = None
    target_url: str | None = None
    related: bool | None = None


class ProductsSearched(Properties):
    """A search among the products."""

    query: str | None = None


class ProductList(Properties):
    """A list of products was seen."""

    list_id: str | None = None
    category: str | None = None
    products: list[Product] | None = None


class Promotion(Properties):
    """A promotion was seen or clicked."""

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
    """A product got stars (1 to 5) and a comment."""

    review_id: str | None = None
    rating: Stars | None = None
    comment: str | None = None
    currency: str | None = None


class ProductShared(ProductEvent):
    """A product was shown to others."""

    share_via: str | None = None


class Cart(Properties):
    """The cart was looked at."""

    cart_id: str | None = None
    value: float | None = None
    currency: str | None = None
    products: list[Product] | None = None


class CartShared(Cart):
    """The cart was shown to others."""

    share_via: str | None = None


class Coupon(Properties):
    """A coupon was tried."""

    order_id: str | None = None
    cart_id: str | None = None
    coupon_id: str | None = None
    coupon_name: str | None = None
    discount: float | None = None
    currency: str | None = None
    reason: str | None = None


class CheckoutStarted(Properties):
    """The checkout began."""

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
    """A step of the checkout was seen or completed."""

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
    """A step of the checkout failed."""

    reason: str | None = None
    reason_source: Literal["observed", "stated", "inferred"] | None = None


class SignedUp(Properties):
    """An account or a newsletter was signed up for."""

    method: str | None = None
    newsletter: bool | None = None


class Identified(Properties):
    """Traits of the person were told."""

    traits: dict[str, Any] | None = None


class ContactMade(Properties):
    """The customer got in touch."""

    means: str | None = None
    subject: str | None = None
    order_id: str | None = None


class CallMade(Properties):
    """A call, in either direction."""

    direction: str | None = None
    outcome: str | None = None
    duration_s: float | None = None


class StoreVisited(Properties):
    """A store was visited."""

    location_id: str | None = None


class ContentDownloaded(Properties):
    """Content was downloaded; gated content costs contact details."""

    url: str | None = None
    title: str | None = None
    category: str | None = None
    content_type: ContentType | None = None
    gated: bool | None = None


class ServiceRequested(Properties):
    """A service was asked for."""

    service: str | None = None
    subject: str | None = None
    order_id: str | None = None


class ProductUsed(Product):
    """A product is in use."""

    order_id: str | None = None
    feature: str | None = None
    duration_s: float | None = None


class ReferralSent(Properties):
    """The customer recommended us to somebody."""

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
    """An attribute of the person changed."""

    attribute: str | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    to: str | None = None
    in_target: bool | None = None


class ConsentChanged(Properties):
    """Consent was granted, denied or withdrawn."""

    purpose: str | None = None
    channel: MessageChannel | None = None
    """None: every channel."""
    status: Literal["granted", "denied", "withdrawn"] | None = None


class Unsubscribed(Properties):
    """The person left a channel."""

    channel: MessageChannel | None = None


class Message(Properties):
    """A message and its fate."""

    message_id: str | None = None
    channel: MessageChannel | None = None
    campaign: str | None = None
    link_url: str | None = None
    reason: str | None = None


class SignalHandled(Properties):
    """Somebody acted on a signal of ours."""

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
