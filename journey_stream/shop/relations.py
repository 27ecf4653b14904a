"""The relation over time: welcome series, newsletters, consent, cards, plans, quotes, referrals, goodbyes.

Enters: occasions met in visits and orders. Leaves: their events and, on the agenda, what repeats (renewals,
newsletters) or comes back (win-backs, referred newcomers).
"""

from __future__ import annotations

from heapq import heappush
from typing import Any

from journey_stream.shop import service
from journey_stream.shop.catalogue import CANCEL_REASONS, MAIL_CAMPAIGNS, PLANS, WELCOME
from journey_stream.shop.personas import Person
from journey_stream.shop.world import Act, World
from journey_stream.values import DAY, HOUR, MINUTE, SECOND

NEWSLETTER_DAYS = 50


def message(
    world: World, who: Person, at: int, campaign: str, *, opens: float = 0.3, clicks: float = 0.25,
    channel: str = "email",
) -> bool:  # fmt: skip
    """Send one message and what comes of it; tells whether it was clicked."""
    draw, emit = world.random, world.emit
    about = {"message_id": f"m-{world.number('message'):07d}", "channel": channel, "campaign": campaign}
    ours = {"channel": channel} if channel == "email" else None
    emit(who, at, "message_sent", about, ours)
    if draw() < 0.015:
        emit(who, at + 5 * SECOND, "message_bounced", about, ours)
        return False
    emit(who, at + 20 * SECOND, "message_delivered", about, ours)
    if draw() >= opens:
        return False
    opened = at + int(5 + draw() * 1500) * MINUTE
    context = {**(ours or {"channel": "app"}), "device": who.device, **who.base}
    emit(who, opened, "message_opened", about, context)
    if draw() < clicks:
        emit(who, opened + int(5 + draw() * 60) * SECOND, "message_clicked", about, context)
        return True
    if draw() < 0.008:
        emit(who, opened + 2 * MINUTE, "message_complained", about, context)
        _unsubscribe(world, who, opened + 3 * MINUTE, channel)
    return False


def welcome(world: World, who: Person, at: int) -> None:
    """Send the welcome series after a first order: days 0, 1, 3 and 7."""
    eager = 0.5 + 0.3 * who.mood
    for days, name in zip((0, 1, 3, 7), WELCOME, strict=True):
        message(world, who, at + days * DAY + 30 * MINUTE, name, opens=eager, clicks=0.45)


def newsletter(world: World, who: Person, day: int) -> None:
    """Send the season's newsletter, as long as the consent stands (an act on the agenda)."""
    if not who.mail or who.unsubscribed:
        return
    campaign = MAIL_CAMPAIGNS[(world.month(day) - 1) // 2]
    dice = world.random()
    channel = "email" if dice < 0.86 else "sms" if dice < 0.94 else "push"
    message(world, who, world.moment(day), campaign, opens=0.1 if who.gone else 0.3, channel=channel)
    if not who.gone or world.random() < 0.5:
        world.plan(day + NEWSLETTER_DAYS + int(world.random() * 10), newsletter, who)


def _unsubscribe(world: World, who: Person, at: int, channel: str) -> None:
    if who.unsubscribed:
        return
    who.unsubscribed = True
    context = {"channel": "email" if channel == "email" else "app", **who.base}
    world.emit(who, at, "unsubscribed", {"channel": channel}, context)
    world.emit(who, at + SECOND, "consent_changed",
               {"purpose": "marketing", "channel": channel, "status": "withdrawn"}, context)  # fmt: skip


def after_visit(world: World, who: Person, day: int, at: int, context: dict[str, Any]) -> None:
    """What else a named person may do at the end of a visit."""
    draw, persona, emit = world.random, who.persona, world.emit
    if "customer_id" not in who.ids:
        return
    if who.visits == 0:
        _first_visit(world, who, day, at, context)
        at += MINUTE
    if persona.quote and draw() < persona.quote * 0.5:
        _quote(world, who, day, at, context)
    if not who.card and who.orders and draw() < persona.card * 0.5:
        who.card = True
        emit(who, at + 10 * SECOND, "loyalty_joined", {"program": "Bean Club"}, context)
    elif who.card and draw() < 0.008:
        who.card = False
        emit(who, at + 10 * SECOND, "loyalty_left", {"program": "Bean Club"}, context)
    if who.plan is None and draw() < persona.plan * (0.4 if who.orders else 0.15):
        _subscribe(world, who, day, at + 20 * SECOND, context)
    odds = draw()
    if odds < 0.012:
        service.ask(world, who, at + 40 * SECOND, "email")
    elif odds < 0.02:
        emit(who, at + 40 * SECOND, "contact_made", {"means": "form", "subject": "offer"}, context)
    elif odds < 0.026:
        emit(who, at + 40 * SECOND, "service_requested", {"service": "repair"}, context)
    elif odds < 0.032:
        emit(who, at + 40 * SECOND, "call_made",
             {"direction": "inbound", "outcome": "advised", "duration_s": 30 + int(draw() * 400)},
             {"channel": "phone", **who.base})  # fmt: skip
    elif odds < 0.034:
        emit(who, at + 40 * SECOND, "profile_changed",
             {"attribute": "city", "from": "Lyon", "to": "Paris", "in_target": True}, context)  # fmt: skip


def _first_visit(world: World, who: Person, day: int, at: int, context: dict[str, Any]) -> None:
    draw = world.random
    if draw() < who.persona.mail:
        who.mail = True
        world.plan(day + 5 + int(draw() * NEWSLETTER_DAYS), newsletter, who)
    world.emit(who, at, "consent_changed",
               {"purpose": "marketing", "channel": "email", "status": "granted" if who.mail else "denied"},
               context)  # fmt: skip
    if draw() < 0.05:
        first = world.stamp(world.start - int(200 + draw() * 600) * DAY)
        last = world.stamp(world.start - int(20 + draw() * 150) * DAY)
        world.emit(who, at + 5 * SECOND, "history_imported",
                   {"orders": 1 + int(draw() * 4), "revenue": round(30 + draw() * 400, 2),
                    "first_order_at": first, "last_order_at": last, "categories": [who.category]},
                   {"channel": "store"})  # fmt: skip


def _quote(world: World, who: Person, day: int, at: int, context: dict[str, Any]) -> None:
    """A business asks for a quote; every outcome happens."""
    draw, emit = world.random, world.emit
    value = round(400 + draw() * 6000, 2)
    valid = at + 30 * DAY
    quote: dict[str, Any] = {"quote_id": f"q-{world.number('quote'):05d}", "value": value, "currency": "EUR"}
    emit(who, at, "quote_requested", quote, context)
    if draw() < 0.1:
        return
    sent = at + int(3 + draw() * 60) * HOUR
    emit(who, sent, "quote_sent", {**quote, "valid_until": world.stamp(valid)}, {"channel": "email"})
    fate, decided = draw(), sent + int(1 + draw() * 20) * DAY
    if fate < 0.45:
        emit(who, decided, "quote_signed", quote, context)
        who.orders += 1
        who.last_order = (decided - world.start) // DAY
    elif fate < 0.75:
        emit(who, decided, "quote_declined", {**quote, "reason": "too_expensive"}, context)
    else:
        emit(who, valid, "quote_expired", quote, {"channel": "email"})


def _subscribe(world: World, who: Person, day: int, at: int, context: dict[str, Any]) -> None:
    plan = world.pick(PLANS)
    who.plan = plan
    if world.random() < 0.4:
        world.emit(who, at, "trial_started", {"plan": plan}, context)
        if world.random() < 0.35:
            who.plan = None
            return
        at, day = at + 14 * DAY, day + 14
    world.emit(who, at, "subscription_started", {"plan": plan}, context)
    world.plan(day + 30, renew, who)


def renew(world: World, who: Person, day: int) -> None:
    """A month of the plan is over: renewed, failed, paused, changed or cancelled (an act on the agenda)."""
    if who.plan is None:
        return
    draw, emit = world.random, world.emit
    at = world.moment(day)
    system, own = {"country": who.base["country"]}, {"channel": "web", **who.base}
    fate = draw()
    if fate < 0.04:
        emit(who, at, "subscription_payment_failed", {"plan": who.plan}, system)
        if draw() < 0.3:
            emit(who, at + 8 * DAY, "subscription_cancelled",
                 {"plan": who.plan, "reason": "payment_failed", "voluntary": False,
                  "effective_at": world.stamp(at + 8 * DAY)}, own)  # fmt: skip
            who.plan = None
            return
        emit(who, at + 2 * DAY, "subscription_recovered", {"plan": who.plan}, system)
    elif fate < 0.09 - 0.04 * who.mood:
        emit(who, at, "subscription_cancelled",
             {"plan": who.plan, "reason": world.pick(CANCEL_REASONS), "voluntary": True,
              "effective_at": world.stamp(at + 20 * DAY)}, own)  # fmt: skip
        who.plan = None
        return
    elif fate < 0.12:
        emit(who, at, "subscription_paused", {"plan": who.plan}, own)
        world.plan(day + 60, renew, who)
        return
    elif fate < 0.15:
        new = world.pick(PLANS)
        emit(who, at, "subscription_changed", {"from_plan": who.plan, "to_plan": new, "plan": new}, own)
        who.plan = new
    else:
        emit(who, at, "subscription_renewed", {"plan": who.plan}, system)
    world.plan(day + 30, renew, who)


def refer(world: World, who: Person, at: int) -> None:
    """Recommend the shop to a friend; a newcomer of the coming weeks may come of it (`simulate`)."""
    day = (at - world.start) // DAY
    if day >= world.options.days:
        return
    world.emit(who, at, "referral_sent", {"referral_id": f"rf-{world.number('referral'):05d}"},
               {"channel": "app", **who.base})  # fmt: skip
    if world.random() < 0.5:
        heappush(world.referrers, (day + 1 + int(world.random() * 20), who.person))


def referral_converted(world: World, who: Person, at: int) -> None:
    """A newcomer says who sent them."""
    world.emit(
        who, at, "referral_converted", {"referrer_id": who.referred_by}, {"channel": "web", **who.base}
    )


def win_back(world: World, who: Person, day: int, visit: Act) -> None:
    """Somebody silent gets one more message months later, and comes back."""
    at = world.moment(day)
    if who.mail and not who.unsubscribed:
        message(world, who, at - 3 * HOUR, "we-miss-you", opens=0.9, clicks=0.8)
    world.plan(day, visit, who)


def leave(world: World, who: Person, day: int) -> None:
    """Somebody goes for good, mostly without a word."""
    who.gone = True
    draw = world.random
    if "customer_id" not in who.ids:
        return
    at = world.moment(day) + DAY
    if who.card and draw() < 0.15:
        who.card = False
        world.emit(who, at, "loyalty_left", {"program": "Bean Club"}, {"channel": "web", **who.base})
    if who.plan is not None and draw() < 0.7:
        world.emit(who, at + HOUR, "subscription_cancelled",
                   {"plan": who.plan, "reason": world.pick(CANCEL_REASONS), "voluntary": True,
                    "effective_at": world.stamp(at + 15 * DAY)}, {"channel": "web", **who.base})  # fmt: skip
        who.plan = None
    if draw() < 0.03:
        world.emit(who, at + 2 * HOUR, "profile_changed",
                   {"attribute": "country", "from": who.base["country"], "to": "BR", "in_target": False},
                   {"channel": "web", **who.base})  # fmt: skip
    elif who.mail and draw() < 0.15:
        _unsubscribe(world, who, at + 3 * HOUR, "email")
