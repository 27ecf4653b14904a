"""Service: questions, trouble tickets with every outcome, surveys, reviews.

Enters: a moment and a person with something to say. Leaves: ticket, survey and review events, and the
change of mood that they bring.
"""

from __future__ import annotations

from typing import Any

from journey_stream.shop.catalogue import BAD_WORDS, BY_CATEGORY, GOOD_WORDS, PLAIN_WORDS
from journey_stream.shop.personas import Person
from journey_stream.shop.world import World
from journey_stream.values import DAY, HOUR, MINUTE, SECOND

QUARANTINE = 90
"""Days without another survey."""


def ask(world: World, who: Person, at: int, channel: str) -> None:
    """Ask a question before or after buying; answered in minutes, in a day, or never."""
    draw = world.random
    ticket = f"t-{world.number('ticket'):06d}"
    context = {"channel": channel, **who.base}
    world.emit(who, at, "ticket_created",
               {"ticket_id": ticket, "kind": "question", "priority": "normal", "channel": channel,
                "subject": "A question"}, context)  # fmt: skip
    fate = draw()
    if fate > 0.9:
        who.mood -= 0.1
        return
    answered = at + (int(5 + draw() * 90) * MINUTE if fate < 0.6 else int(6 + draw() * 30) * HOUR)
    if channel == "chat":
        world.emit(who, at + 3 * SECOND, "ticket_replied", {"ticket_id": ticket, "author": "bot"}, context)
    world.emit(who, answered, "ticket_replied", {"ticket_id": ticket, "author": "agent"}, context)
    world.emit(who, answered + MINUTE, "ticket_solved", {"ticket_id": ticket}, context)


def trouble(world: World, who: Person, at: int, order_id: str, *, late: bool) -> bool:
    """Report a problem with an order and live through its outcome; tells whether it was solved."""
    draw, emit = world.random, world.emit
    ticket = f"t-{world.number('ticket'):06d}"
    channel = world.pick(("email", "phone", "chat", "web"))
    context = {"channel": channel, **who.base}
    kind = "complaint" if draw() < 0.25 + max(0.0, -who.mood) * 0.3 else world.pick(("problem", "incident"))
    priority = world.pick(("normal", "normal", "normal", "low", "high", "urgent"))
    if channel == "phone":
        emit(who, at - 4 * MINUTE, "call_made",
             {"direction": "inbound", "outcome": "ticket", "duration_s": 180}, context)  # fmt: skip
    emit(who, at, "ticket_created",
         {"ticket_id": ticket, "kind": kind, "priority": priority, "channel": channel,
          "subject": "Where is it?" if late else "It does not work", "order_id": order_id},
         context)  # fmt: skip
    if draw() < 0.1:
        emit(who, at + 6 * HOUR, "ticket_priority_changed",
             {"ticket_id": ticket, "priority": "urgent", "previous_priority": priority}, context)  # fmt: skip
    who.mood -= 0.15
    fate = draw()
    if fate > 0.85:
        emit(who, at + 2 * DAY, "ticket_replied", {"ticket_id": ticket, "author": "customer"}, context)
        who.mood -= 0.3
        return False
    replied = at + int(20 + draw() * 300) * MINUTE
    emit(who, replied, "ticket_replied", {"ticket_id": ticket, "author": "agent"}, context)
    emit(who, replied + MINUTE, "ticket_status_changed",
         {"ticket_id": ticket, "status": "pending", "previous_status": "new"}, context)  # fmt: skip
    if draw() < 0.3:
        emit(
            who, replied + 50 * MINUTE, "ticket_replied", {"ticket_id": ticket, "author": "customer"}, context
        )
    fast = fate < 0.5
    solved = replied + (int(1 + draw() * 24) * HOUR if fast else int(3 + draw() * 9) * DAY)
    emit(who, solved, "ticket_solved", {"ticket_id": ticket}, context)
    if draw() < 0.12:
        solved += int(5 + draw() * 60) * HOUR
        emit(who, solved, "ticket_reopened", {"ticket_id": ticket}, context)
        who.mood -= 0.15
        solved += int(10 + draw() * 80) * HOUR
        emit(who, solved, "ticket_solved", {"ticket_id": ticket}, context)
        fast = False
    who.mood += 0.3 if fast else 0.0
    if draw() < 0.5:
        good = draw() < (0.85 if fast else 0.35)
        rating = {"ticket_id": ticket, "score": "good" if good else "bad"}
        if draw() < 0.4:
            rating["comment"] = world.pick(GOOD_WORDS if good else BAD_WORDS)
        emit(who, solved + int(1 + draw() * 30) * HOUR, "ticket_rated", rating, context)
    elif draw() < 0.4:
        survey(world, who, solved + HOUR, "ces", ticket_id=ticket)
    if draw() < 0.15:
        emit(who, solved + 5 * HOUR, "ticket_created",
             {"ticket_id": f"t-{world.number('ticket'):06d}", "kind": "question", "priority": "normal",
              "channel": channel, "subject": "Is it really solved?", "order_id": order_id},
             context)  # fmt: skip
    if kind == "complaint" and draw() < 0.6:
        handled(world, who, solved + 20 * MINUTE, "service")
    return True


def survey(world: World, who: Person, at: int, kind: str, **about: str) -> None:
    """Send a survey (never within the quarantine) and perhaps get an answer in the mood of the day."""
    day = (at - world.start) // DAY
    if day - who.last_survey < QUARANTINE:
        return
    who.last_survey = day
    draw = world.random
    if kind == "csat" and draw() < 0.5:
        kind = "nps"
    number = world.number("survey")
    context = {"channel": "email", **who.base}
    sent: dict[str, Any] = {"survey_id": f"sv-{kind}", "survey_type": kind, **about}
    at += int(draw() * 30 * 60) * MINUTE
    world.emit(who, at, "survey_sent", sent, {"channel": "email"})
    if draw() >= who.persona.answers:
        return
    low, high = {"nps": (0, 10), "csat": (1, 5), "ces": (1, 7)}[kind]
    feeling = min(1.0, max(0.0, 0.62 + 0.38 * who.mood + (draw() - 0.5) * 0.5))
    score = low + round(feeling * (high - low))
    answer: dict[str, Any] = {
        **sent,
        "response_id": f"r-{number:06d}",
        "score": score,
        "scale_min": low,
        "scale_max": high,
    }
    if draw() < 0.35:
        answer["comment"] = world.pick(words(feeling))
    answered = at + int(1 + draw() * 70) * HOUR
    world.emit(who, answered, "survey_responded", answer, context)
    if feeling < 0.4 and draw() < 0.5:
        handled(world, who, answered + int(2 + draw() * 90) * HOUR, "service")


def review(world: World, who: Person, at: int) -> None:
    """Write a product review whose stars follow the mood."""
    draw = world.random
    feeling = min(1.0, max(0.0, 0.65 + 0.35 * who.mood + (draw() - 0.5) * 0.5))
    product = world.pick(BY_CATEGORY[who.category])
    properties = {
        "product_id": product["product_id"],
        "review_id": f"rv-{world.number('review'):06d}",
        "rating": 1 + round(feeling * 4),
        "comment": world.pick(words(feeling)),
    }
    world.emit(who, at, "product_reviewed", properties, {"channel": "web", **who.base})


def words(feeling: float) -> tuple[str, ...]:
    """Comments that fit a feeling between 0 and 1."""
    return GOOD_WORDS if feeling > 0.7 else PLAIN_WORDS if feeling > 0.4 else BAD_WORDS


def handled(world: World, who: Person, at: int, owner: str) -> None:
    """Somebody on our side took care of a signal."""
    world.emit(who, at + int(world.random() * 600) * SECOND, "signal_handled",
               {"signal_id": f"sim-{world.number('handled'):06d}", "owner": owner, "outcome": "called back"},
               {"channel": "phone"})  # fmt: skip
    if world.random() < 0.4:
        world.emit(who, at - 2 * MINUTE, "call_made",
                   {"direction": "outbound", "outcome": "reached", "duration_s": 95},
                   {"channel": "phone"})  # fmt: skip
