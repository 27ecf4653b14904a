"""A person's visits: sessions of pages, products, content, help, carts and checkouts.

Enters: (world, person, day). Leaves: events in the world, and the next visit on its agenda. One visit draws
what it is for (look around, read, get help, go to the store, buy), tells it step by step with the seconds
between, and ends with the question whether the person will come back.
"""

from __future__ import annotations

from typing import Any

from journey_stream.shop import orders, relations, service
from journey_stream.shop.catalogue import (
    BY_CATEGORY,
    CATEGORIES,
    CONTENT,
    HELP,
    LEAVE_REASONS,
    PRODUCTS,
    QUERIES,
    STEPS,
    STORES,
    Product,
)
from journey_stream.shop.personas import Person
from journey_stream.shop.world import World
from journey_stream.values import MINUTE, SECOND

HOME = "https://shop.example/"
_REASONS = tuple(row[1:] for row in LEAVE_REASONS for _ in range(int(row[0])))
BUSIEST = 2.21
RETURNS_FOR_CART = 0.45
"""Odds that somebody comes back for a cart that was left, within three days."""


def visit(world: World, who: Person, day: int) -> None:
    """Live through one visit, then plan the next (the act that keeps a person in the world)."""
    draw, persona = world.random, who.persona
    if who.gone:
        return
    if who.visits and draw() > (0.35 + world.weight(day)) / BUSIEST:
        world.plan(day + 1 + int(draw() * 3), visit, who)
        return
    at = world.moment(day)
    if who.visits == 0 and who.referred_by is not None:
        relations.referral_converted(world, who, at)
        at += 20 * SECOND
    if draw() < persona.store:
        _store(world, who, day, at)
    else:
        _session(world, who, day, at)
    who.visits += 1
    _next(world, who, day)


def _next(world: World, who: Person, day: int) -> None:
    """Will the person come back, and when? The mood weighs on it."""
    persona = who.persona
    if world.random() < min(0.99, persona.stay + 0.06 * who.mood):
        soon = who.cart is not None and world.random() < RETURNS_FOR_CART
        gap = 1 + int(world.random() * 3) if soon else world.days_until_next(persona.visits)
        world.plan(day + gap, visit, who)
    elif who.orders and world.random() < 0.12:
        relations.win_back(world, who, day + 150 + int(world.random() * 200), visit)
    else:
        relations.leave(world, who, day)


def session_context(world: World, who: Person) -> dict[str, Any]:
    """The context that all events of a session share: channel, campaign, device, place."""
    draw = world.random
    context: dict[str, Any] = {
        "channel": "app" if who.device == "phone" and draw() < 0.4 else "web",
        "session_id": f"s-{world.number('session'):07d}",
        "device": who.device,
        **who.base,
    }
    if who.visits == 0 or draw() < 0.15:
        if who.campaign is not None:
            context["campaign"] = who.campaign
        if who.referrer is not None:
            context["referrer"] = who.referrer
    return context


def _page(url: str, title: str, content_type: str, category: str | None = None) -> dict[str, Any]:
    page = {"url": url, "title": title, "content_type": content_type}
    if category is not None:
        page["category"] = category
    return page


def _session(world: World, who: Person, day: int, at: int) -> None:
    """One session on the web or in the app: land, read, seek help, look at products, fill a cart."""
    draw, persona, emit = world.random, who.persona, world.emit
    context = session_context(world, who)
    landing = _page(HOME, "Home", "other")
    if "referrer" in context:
        landing["referrer"] = context["referrer"]
    emit(who, at, "page_viewed", landing, context)
    at += _pause(world)
    if draw() < 0.05:
        banner = {"promotion_id": f"banner-{world.month(day)}", "name": "Season's offer", "position": "top"}
        emit(who, at, "promotion_viewed", banner, context)
        if draw() < 0.3:
            emit(who, at + 3 * SECOND, "promotion_clicked", banner, context)
        at += 8 * SECOND
    if world.options.browsing:
        at = _browse(world, who, at, context)
    if draw() < persona.content:
        at = _read(world, who, at, context)
    if draw() < persona.help:
        at = _help(world, who, at, context)
    if who.cart is not None and draw() < 0.5:
        who.cart = None
    if who.cart is not None or draw() < persona.cart:
        at, basket = _look(world, who, at, context, 1)
        at = _cart(world, who, day, at, context, who.cart or basket)
    elif draw() < 0.8:
        at, _ = _look(world, who, at, context, 1 + int(draw() * 3))
    if who.customer_id is not None:
        _get_known(world, who, at, context)
        relations.after_visit(world, who, day, at + 2 * MINUTE, context)


def _browse(world: World, who: Person, at: int, context: dict[str, Any]) -> int:
    """Wander from page to page: `ShopOptions.browsing` of them on average, at most ten times as many."""
    mean = world.options.browsing
    for _ in range(min(int(world.rng.expovariate(1 / mean) + 0.5), int(10 * mean))):
        category = who.category if world.random() < 0.6 else world.pick(CATEGORIES)
        page = _page(f"{HOME}c/{category}?p={int(world.random() * 9)}", category.title(), "product", category)
        world.emit(who, at, "page_viewed", page, context)
        at += _pause(world)
    return at


def _pause(world: World) -> int:
    return (5 + int(world.random() * 90)) * SECOND


def _read(world: World, who: Person, at: int, context: dict[str, Any]) -> int:
    draw, emit = world.random, world.emit
    url, title, kind = world.pick(CONTENT)
    emit(who, at, "page_viewed", _page(url, title, kind), context)
    stayed = 15 + int(draw() * 240)
    if draw() < 0.6:
        emit(who, at + stayed * SECOND, "page_left", {"url": url, "duration_s": stayed}, context)
    at += (stayed + 1) * SECOND
    if draw() < 0.35:
        target = world.pick(CONTENT)
        link = {"url": url, "target_url": target[0], "related": draw() < 0.7}
        emit(who, at, "link_clicked", link, context)
        emit(who, at + 2 * SECOND, "page_viewed", _page(*target), context)
        at += _pause(world) + 2 * SECOND
    if kind in ("white_paper", "course", "infographic") and draw() < 0.4:
        emit(who, at, "content_downloaded", {"url": url, "title": title, "gated": kind != "infographic"},
             context)  # fmt: skip
        at += _pause(world)
    return at


def _help(world: World, who: Person, at: int, context: dict[str, Any]) -> int:
    for _ in range(1 + int(world.random() * 4)):
        url, title, kind = world.pick(HELP)
        world.emit(who, at, "page_viewed", _page(url, title, kind), context)
        at += _pause(world)
    if who.customer_id is not None and world.random() < 0.2:
        service.ask(world, who, at, "chat")
        at += 30 * SECOND
    return at


def _look(
    world: World, who: Person, at: int, context: dict[str, Any], products: int
) -> tuple[int, list[Product]]:
    """Search or list, then look at a few products; gives what was looked at."""
    draw, emit = world.random, world.emit
    if draw() < 0.4:
        emit(who, at, "products_searched", {"query": world.pick(QUERIES)}, context)
    else:
        category = who.category if draw() < 0.6 else world.pick(CATEGORIES)
        emit(who, at, "product_list_viewed", {"list_id": category, "category": category}, context)
        if draw() < 0.08:
            at += 9 * SECOND
            emit(who, at, "product_list_filtered", {"list_id": category, "category": category}, context)
    at += _pause(world)
    seen = []
    for _ in range(products):
        product = choose(world, who)
        if draw() < 0.06:
            emit(who, at, "product_clicked", product, context)
            at += 2 * SECOND
        emit(who, at, "product_viewed", product, context)
        at += _pause(world)
        seen.append(product)
    if draw() < 0.06:
        emit(who, at, "product_added_to_wishlist", {"wishlist_id": "w-1", **seen[0]}, context)
        at += 5 * SECOND
        if draw() < 0.25:
            emit(who, at, world.pick(("product_removed_from_wishlist", "wishlist_product_added_to_cart")),
                 {"wishlist_id": "w-1", **seen[0]}, context)  # fmt: skip
            at += 5 * SECOND
    if draw() < 0.02:
        emit(who, at, "product_shared",
             {"share_via": "social", "product_id": seen[0]["product_id"]}, context)  # fmt: skip
        at += 5 * SECOND
    return at, seen


def choose(world: World, who: Person) -> Product:
    """Draw a product after the person's favourite category and taste for the upper range."""
    draw = world.random
    shelf: tuple[Product, ...] = BY_CATEGORY[who.category] if draw() < 0.55 else PRODUCTS
    product: Product = shelf[int(draw() * len(shelf))]
    if product["range"] == "premium" and draw() > who.persona.premium:
        product = shelf[int(draw() * len(shelf))]
    return product


def _cart(
    world: World, who: Person, day: int, at: int, context: dict[str, Any], basket: list[Product]
) -> int:
    """Fill a cart and buy it, or leave it: in the cart, or in the checkout with a reason."""
    draw, emit, persona = world.random, world.emit, who.persona
    again, who.cart = who.cart is not None, None
    cart_id = f"cart-{world.number('cart'):07d}"
    wanted = world.pick(persona.items)
    while len(basket) < wanted:
        basket.append(choose(world, who))
    for product in basket:
        emit(who, at, "product_added", {"cart_id": cart_id, "quantity": 1, **product}, context)
        at += _pause(world)
    if len(basket) > 1 and draw() < 0.1:
        gone = basket.pop()
        emit(who, at, "product_removed", {"cart_id": cart_id, "quantity": 1, **gone}, context)
        at += 5 * SECOND
    if draw() < 0.6:
        emit(who, at, "cart_viewed", {"cart_id": cart_id}, context)
        at += _pause(world)
        if draw() < 0.02:
            emit(who, at, "cart_shared", {"cart_id": cart_id, "share_via": "email"}, context)
            at += 5 * SECOND
    if draw() < persona.coupon * 0.3:
        at = _coupon(world, who, at, context, cart_id)
    if who.customer_id is not None and draw() < persona.finish + 0.08 * again + 0.16 * (who.orders > 0):
        return _checkout(world, who, day, at, context, basket, cart_id)
    who.cart = basket
    if draw() < 0.55:
        return _leave_checkout(world, who, at, context, basket, cart_id)
    if draw() < 0.15:
        emit(who, at, "product_removed", {"cart_id": cart_id, "quantity": 1, **basket[0]}, context)
        who.cart = None
        at += 5 * SECOND
    return at


def _coupon(world: World, who: Person, at: int, context: dict[str, Any], cart_id: str) -> int:
    """Try a coupon code: it works, it is taken back, or it is refused."""
    coupon = {"cart_id": cart_id, "coupon_id": "FRIENDS15"}
    fate = world.random()
    world.emit(who, at, "coupon_entered", coupon, context)
    if fate < 0.3:
        world.emit(who, at + SECOND, "coupon_denied", {**coupon, "reason": "expired"}, context)
    else:
        world.emit(who, at + SECOND, "coupon_applied", coupon, context)
        if fate > 0.93:
            world.emit(who, at + 20 * SECOND, "coupon_removed", coupon, context)
    return at + 25 * SECOND


def _checkout(
    world: World,
    who: Person,
    day: int,
    at: int,
    context: dict[str, Any],
    basket: list[Product],
    cart_id: str,
) -> int:
    """Walk through all steps to the order; somebody still anonymous gives a name on the way."""
    draw, emit = world.random, world.emit
    checkout = f"co-{world.number('checkout'):07d}"
    order_id = f"o-{world.number('order'):07d}"
    become_known(world, who, at, context)
    at += 10 * SECOND
    value = round(sum(p["price"] for p in basket), 2)
    emit(who, at, "checkout_started",
         {"checkout_id": checkout, "cart_id": cart_id, "order_id": order_id, "value": value,
          "currency": "EUR"}, context)  # fmt: skip
    for step in STEPS[1:]:
        at += _pause(world)
        emit(who, at, "checkout_step_viewed",
             {"checkout_id": checkout, "step": step}, context)  # fmt: skip
        if step == "payment":
            at += _pause(world)
            emit(who, at, "payment_info_entered", {"checkout_id": checkout, "payment_method": "card"},
                 context)  # fmt: skip
            if draw() < 0.015:
                at += 2 * SECOND
                emit(who, at, "checkout_failed",
                     {"checkout_id": checkout, "step": step, "reason": "payment_declined",
                      "reason_source": "observed"}, context)  # fmt: skip
        at += _pause(world)
        emit(who, at, "checkout_step_completed",
             {"checkout_id": checkout, "step": step}, context)  # fmt: skip
    at += 3 * SECOND
    orders.order(
        world, who, day, at, context, basket, order_id=order_id, checkout_id=checkout, cart_id=cart_id
    )
    return at + 5 * SECOND


def _leave_checkout(
    world: World, who: Person, at: int, context: dict[str, Any], basket: list[Product], cart_id: str
) -> int:
    """Begin a checkout and break it off: the reason is observed, stated, or left to be inferred."""
    emit = world.emit
    checkout = f"co-{world.number('checkout'):07d}"
    reason, where, source = world.pick(_REASONS)
    value = round(sum(p["price"] for p in basket), 2)
    emit(who, at, "checkout_started",
         {"checkout_id": checkout, "cart_id": cart_id, "value": value, "currency": "EUR"},
         context)  # fmt: skip
    for step in STEPS:
        at += _pause(world)
        emit(who, at, "checkout_step_viewed",
             {"checkout_id": checkout, "step": step}, context)  # fmt: skip
        if step == where:
            at += _pause(world)
            if reason != "unknown":
                emit(who, at, "checkout_failed",
                     {"checkout_id": checkout, "step": step, "reason": reason, "reason_source": source},
                     context)  # fmt: skip
            break
        at += _pause(world)
        emit(who, at, "checkout_step_completed",
             {"checkout_id": checkout, "step": step}, context)  # fmt: skip
    return at + _pause(world)


def _get_known(world: World, who: Person, at: int, context: dict[str, Any]) -> None:
    """Somebody who came unnamed may sign up at the end of a visit."""
    if "customer_id" not in who.ids and (who.visits >= 1 or world.random() < 0.4):
        become_known(world, who, at, context)
    elif who.visits == 0 and "customer_id" in who.ids and world.random() < 0.35:
        world.emit(who, at, "signed_up", {"method": "form"}, context)


def become_known(world: World, who: Person, at: int, context: dict[str, Any]) -> None:
    """Give the person a name from now on, once: identified, then signed up."""
    if who.customer_id is None or "customer_id" in who.ids:
        return
    who.ids = {"customer_id": who.customer_id, **who.ids}
    world.emit(who, at, "identified", {"traits": {"plan": "none"}}, context)
    world.emit(who, at + SECOND, "signed_up", {"method": "form"}, context)


def _store(world: World, who: Person, day: int, at: int) -> None:
    """Go to a store: look, ask, perhaps buy there."""
    draw = world.random
    place = world.pick(STORES)
    context = {"channel": "store", **who.base}
    world.emit(who, at, "store_visited", {"location_id": place}, context)
    at += (5 + int(draw() * 25)) * MINUTE
    if draw() < 0.1:
        world.emit(who, at, "contact_made", {"means": "store desk", "subject": "question"}, context)
        at += 5 * MINUTE
    if who.customer_id is not None and draw() < who.persona.cart * 0.8:
        become_known(world, who, at, context)
        basket = [choose(world, who) for _ in range(world.pick(who.persona.items))]
        orders.order(world, who, day, at + MINUTE, context, basket, store=place)
    if who.customer_id is not None:
        relations.after_visit(world, who, day, at + 5 * MINUTE, context)
