"""The vocabulary: every event type, once. Decoder, guards, schemas and docs all read it here.

Entering: nothing, or the types a deployment declares. Leaving: a `Vocabulary`.

    BUILT_IN.get("order_completed")        -> EventType | None; "Order Completed" is found too
    "order_completed" in BUILT_IN          -> bool
    BUILT_IN.names()                       -> tuple of all names, in the order of the contract
    BUILT_IN.activity()                    -> names of the types that the pseudo-type `activity` stands for
    BUILT_IN.fields("order_completed")     -> {"total": "double", "products[].category": "string", ...}
    BUILT_IN.field("order_completed", "context.channel") -> FieldType | None
    BUILT_IN.with_declared([DeclaredType(name=..., actor=..., source=..., schema={...})]) -> Vocabulary
    attribute_name("from")                 -> "from_", the attribute of the properties struct

`fields` holds the type's own properties; `field` also knows what all events have: `event_id`, `type`,
`occurred_at` (time), `customer_id`, `anonymous_id`, `account_id`, `sentiment`, `score_norm`, `context.*`.
A property of the same name as one of these wins. `products` is `list<map>`, `products[].price` an element's.
Segment's Title Case names map mechanically: words in lower case, joined by `_`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from journey_stream.errors import SettingsError
from journey_stream.events import purchases, surveys, tickets, visits
from journey_stream.events.declared import DeclaredType, Validate, compile_declared
from journey_stream.events.envelope import Campaign, Context
from journey_stream.events.fields import Product, Properties, attribute_name, field_types
from journey_stream.values import Actor, FieldType

__all__ = [
    "ACTIVITY",
    "BUILT_IN",
    "Campaign",
    "Context",
    "DeclaredType",
    "EventType",
    "Product",
    "Properties",
    "Vocabulary",
    "attribute_name",
]

ACTIVITY = "activity"
"""The pseudo-type: any act of the customer, message opens excluded."""

COMMON_FIELDS: dict[str, FieldType] = {
    "event_id": "string",
    "type": "string",
    "occurred_at": "time",
    "customer_id": "string",
    "anonymous_id": "string",
    "account_id": "string",
    "sentiment": "double",
    "score_norm": "double",
    "context": "map",
    **dict(field_types(Context, "context.")),
}
"""What every event has, whatever its type."""


class EventType(msgspec.Struct, frozen=True):
    """One type of event."""

    name: str
    actor: Actor
    """Whose act it is. `decode` tells replies of agents and bots, and calls out, from the customer's own."""
    source: str
    """The topic it usually comes on; it is accepted on each."""
    properties: type[msgspec.Struct]
    activity: bool
    money: tuple[str, ...] = ()
    """Paths of the amounts that are in the event's `currency`."""
    validate: Validate | None = None
    """A declared type's check against its JSON Schema."""
    schema: dict[str, object] | None = None
    """A declared type's own JSON Schema."""

    @property
    def title(self) -> str:
        """The name as Segment spells it: "Order Completed", "Product Added to Wishlist"."""
        words = self.name.split("_")
        return " ".join(word if word in _SMALL_WORDS else word.capitalize() for word in words)


_SMALL_WORDS = {"to", "from"}


class Vocabulary:
    """The event types that a deployment knows."""

    def __init__(self, types: Iterable[EventType]) -> None:
        self.types: dict[str, EventType] = {kind.name: kind for kind in types}
        self.by_spelling: dict[str, EventType] = {
            **{kind.title: kind for kind in self.types.values()},
            **self.types,
        }
        self._fields: dict[str, dict[str, FieldType]] = {
            kind.name: dict(field_types(kind.properties)) for kind in self.types.values()
        }

    def __contains__(self, name: object) -> bool:
        return name in self.types

    def __iter__(self) -> Iterator[EventType]:
        return iter(self.types.values())

    def __len__(self) -> int:
        return len(self.types)

    def get(self, name: str) -> EventType | None:
        """Find a type by its name, in either spelling."""
        found = self.by_spelling.get(name)
        return found if found is not None else self.types.get(snake_case(name))

    def names(self) -> tuple[str, ...]:
        """All names, in the order of the contract, declared ones last."""
        return tuple(self.types)

    def activity(self) -> tuple[str, ...]:
        """The types that `activity` stands for; a single event may still not be one (`Event.activity`)."""
        return tuple(kind.name for kind in self.types.values() if kind.activity)

    def fields(self, name: str) -> Mapping[str, FieldType]:
        """The type's own properties: path to static type."""
        return self._fields.get(name, {})

    def field(self, name: str, path: str) -> FieldType | None:
        """The static type of a path in events of the type `name` (or `activity`: common fields only)."""
        return self._fields.get(name, {}).get(path) or COMMON_FIELDS.get(path)

    def with_declared(self, declared: Iterable[DeclaredType]) -> Vocabulary:
        """Add a deployment's own types.

        Raises:
            SettingsError: a name is taken or not a name, or its schema is not a usable JSON Schema.
        """
        types = dict(self.types)
        for new in declared:
            if new.name in types or new.name == ACTIVITY:
                msg = (
                    f"event type {new.name!r}: expected a name of its own, but that one is taken; "
                    f"choose another"
                )
                raise SettingsError(msg)
            struct, validate = compile_declared(new)
            types[new.name] = EventType(
                name=new.name,
                actor=new.actor,
                source=new.source,
                properties=struct,
                activity=new.actor == "customer",
                validate=validate,
                schema=new.schema,
            )
        return Vocabulary(types.values())


def snake_case(name: str) -> str:
    """Map Segment's spelling to ours: "Order Completed" to "order_completed"."""
    return "_".join(name.split()).lower()


def _types() -> Iterator[EventType]:
    for source, actor, struct, money, names in _TABLE:
        for name in names.split():
            active = actor == "customer" and name != "message_opened"
            yield EventType(name, actor, source, struct, active, money)


_LINE = ("products[].price",)
_PRODUCT = ("price", "value")
_ORDER = ("subtotal", "total", "revenue", "shipping", "tax", "discount", *_LINE)
_CHECKOUT = ("value", "revenue", "shipping", "tax", "discount", *_LINE)
_QUOTE = ("value", *_LINE)

_TABLE: tuple[tuple[str, Actor, type[Properties], tuple[str, ...], str], ...] = (
    ("visits", "customer", visits.PageViewed, (), "page_viewed"),
    ("visits", "customer", visits.PageLeft, (), "page_left"),
    ("visits", "customer", visits.LinkClicked, (), "link_clicked"),
    ("visits", "customer", visits.ProductsSearched, (), "products_searched"),
    ("visits", "customer", visits.ProductList, (), "product_list_viewed product_list_filtered"),
    ("visits", "customer", visits.Promotion, (), "promotion_viewed promotion_clicked"),
    (
        "visits",
        "customer",
        visits.ProductEvent,
        _PRODUCT,
        "product_clicked product_viewed product_added product_removed product_added_to_wishlist "
        "product_removed_from_wishlist wishlist_product_added_to_cart",
    ),
    ("visits", "customer", visits.Cart, _QUOTE, "cart_viewed"),
    ("visits", "customer", visits.CartShared, _QUOTE, "cart_shared"),
    ("visits", "customer", visits.Coupon, ("discount",), "coupon_entered coupon_applied coupon_removed"),
    ("visits", "system", visits.Coupon, ("discount",), "coupon_denied"),
    ("visits", "customer", visits.CheckoutStarted, _CHECKOUT, "checkout_started"),
    ("visits", "customer", visits.CheckoutStep, (), "checkout_step_viewed checkout_step_completed"),
    ("visits", "customer", visits.CheckoutFailed, (), "checkout_failed"),
    ("visits", "customer", visits.CheckoutStep, (), "payment_info_entered"),
    ("visits", "customer", visits.SignedUp, (), "signed_up"),
    ("visits", "customer", visits.Identified, (), "identified"),
    ("visits", "customer", visits.ContactMade, (), "contact_made"),
    ("visits", "customer", visits.CallMade, (), "call_made"),
    ("visits", "customer", visits.StoreVisited, (), "store_visited"),
    ("visits", "customer", visits.ContentDownloaded, (), "content_downloaded"),
    ("visits", "customer", visits.ServiceRequested, (), "service_requested"),
    ("visits", "customer", visits.ProductUsed, (), "product_used"),
    ("visits", "customer", visits.ProductReviewed, ("price",), "product_reviewed"),
    ("visits", "customer", visits.ProductShared, _PRODUCT, "product_shared"),
    ("visits", "customer", visits.ReferralSent, (), "referral_sent"),
    ("visits", "customer", visits.ReferralConverted, (), "referral_converted"),
    ("visits", "system", visits.ReferralRewarded, (), "referral_rewarded"),
    ("visits", "customer", visits.ProfileChanged, (), "profile_changed"),
    ("visits", "customer", visits.ConsentChanged, (), "consent_changed"),
    ("visits", "customer", visits.Unsubscribed, (), "unsubscribed"),
    ("visits", "company", visits.Message, (), "message_sent"),
    ("visits", "system", visits.Message, (), "message_delivered message_bounced"),
    ("visits", "customer", visits.Message, (), "message_opened message_clicked message_complained"),
    ("visits", "company", visits.SignalHandled, (), "signal_handled"),
    ("visits", "company", visits.HistoryImported, ("revenue",), "history_imported"),
    (
        "purchases",
        "customer",
        purchases.Order,
        _ORDER,
        "order_completed order_updated order_cancelled order_refunded",
    ),
    ("purchases", "system", purchases.OrderDelivered, (), "order_delivered"),
    ("purchases", "customer", purchases.Quote, _QUOTE, "quote_requested"),
    ("purchases", "company", purchases.Quote, _QUOTE, "quote_sent"),
    ("purchases", "customer", purchases.Quote, _QUOTE, "quote_signed quote_declined"),
    ("purchases", "system", purchases.Quote, _QUOTE, "quote_expired"),
    (
        "purchases",
        "customer",
        purchases.Subscription,
        ("value",),
        "trial_started subscription_started subscription_renewed subscription_changed "
        "subscription_paused subscription_cancelled",
    ),
    (
        "purchases",
        "system",
        purchases.Subscription,
        ("value",),
        "subscription_payment_failed subscription_recovered",
    ),
    ("purchases", "customer", purchases.Loyalty, (), "loyalty_joined loyalty_left"),
    ("tickets", "customer", tickets.Ticket, (), "ticket_created"),
    ("tickets", "customer", tickets.TicketReplied, (), "ticket_replied"),
    ("tickets", "customer", tickets.TicketStatusChanged, (), "ticket_status_changed"),
    ("tickets", "customer", tickets.TicketPriorityChanged, (), "ticket_priority_changed"),
    ("tickets", "company", tickets.Ticket, (), "ticket_solved"),
    ("tickets", "customer", tickets.Ticket, (), "ticket_reopened"),
    ("tickets", "customer", tickets.TicketRated, (), "ticket_rated"),
    ("surveys", "company", surveys.SurveySent, (), "survey_sent"),
    ("surveys", "customer", surveys.SurveyResponded, (), "survey_responded"),
)

BUILT_IN = Vocabulary(_types())
"""The vocabulary of contract §1: Segment's e-commerce names and the field's usual names for the rest."""
