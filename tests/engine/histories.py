"""Drawn histories, and two journeys that use every construct of the language on them."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from engine.stories import BEGIN, compiled, event, wire
from journey_stream.values import DAY, HOUR, MINUTE, Event

LIVES = """\
journey: lives
version: 1
parameters: {silence: 3d, many: 3}
attributes:
  orders: {count: order_completed, less: order_cancelled, by: order_id}
  revenue: {sum: order_completed.total, less: order_cancelled, by: order_id}
  recent: {count: order_completed, over: 2d, limit: 2}
  views: {count: page_viewed, over: session}
  inside: {count: activity, over: stage}
  visits: {count: activity, gap: 30m}
  tags: {distinct: order_completed.coupon, limit: 2}
  spent: {map: {key: order_completed.coupon, value: sum, of: total}}
  tickets: {open: {opened: ticket_created, closed: ticket_solved, reopened: ticket_reopened, by: ticket_id}}
  answered: {elapsed: {from: ticket_created, to: ticket_solved, by: ticket_id}}
  beat: {rhythm: order_completed, gaps: 2}
  largest: {max: order_completed.total}
  mean: {mean: order_completed.total, over: 5d}
  channel: {last: activity.context.channel}
  waiting: {value: oldest(tickets)}
records: [orders, revenue, recent, views, inside, visits, tags, spent, tickets, answered, beat, largest, mean, waiting]
start: new
stages:
  new: {kind: prospect}
  buyer: {kind: conversion}
  loyal: {kind: retention}
  weak: {kind: at_risk, remember: true, rank: 1}
  gone: {kind: attrition}
transitions:
  - {id: buy, from: [new, gone], to: buyer, event: order_completed}
  - {id: love, from: buyer, to: loyal, event: order_completed, when: orders >= many && before.orders < orders}
  - {id: undo, from: buyer, to: new, event: order_cancelled, when: orders == 0, reason: undone}
  - {id: trouble, from: [buyer, loyal], to: weak, event: ticket_created, min_dwell: 1h}
  - {id: solved, from: weak, to: {back: buyer}, event: ticket_solved, when: tickets == 0}
  - {id: rhythm, from: loyal, to: weak, after: "max(silence, 2 * beat)", since: order_completed, reason: rhythm}
  - {id: silent, from: any, to: gone, after: 4d, since: activity, when: orders > 0, min_dwell: 1d}
  - {id: lead, from: new, to: gone, after: 6d, reason: never}
  - {id: keen, from: gone, to: new, sequence: [page_viewed, page_viewed], within: 1h}
signals:
  - {id: cart, title: C, after: 1h, since: product_added, unless: [order_completed, product_removed], by: cart_id, expires: 3d, cancel: order_completed, owner: m, payload: {cart: id}}
  - {id: thanks, title: T, event: order_completed, limit: {every: 2d, count: 1}, owner: m, payload: {total: event.total}}
  - {id: welcome, title: W, enter: [buyer, weak], owner: m, payload: {inside: inside, spent: spent}}
  - {id: seen, title: S, event: page_viewed, when: 'stage("mirror") == "there" && views >= 2', owner: m}
"""

MIRROR = """\
journey: mirror
version: 2
attributes: {orders: {count: order_completed, less: order_cancelled, by: order_id}}
records: [orders]
start: here
stages: {here: {kind: prospect}, there: {kind: retention}}
transitions:
  - {id: over, from: here, to: there, event: activity, when: 'stage("lives") in ["weak", "gone"]'}
  - {id: back, from: there, to: here, after: 12h, since: stage}
"""

PROGRAM = compiled(LIVES, MIRROR)

KINDS = (
    "page_viewed", "page_viewed", "order_completed", "order_completed", "order_cancelled", "product_added",
    "product_removed", "ticket_created", "ticket_solved", "ticket_reopened", "message_sent", "order_delivered",
)  # fmt: skip

STEPS = (0, 0, 1, MINUTE, 29 * MINUTE, HOUR, 6 * HOUR, DAY, 3 * DAY, 5 * DAY)

Drawn = tuple[str, int, str, dict[str, object]]
"""(type, time, event id, the rest)."""


@st.composite
def drawn_histories(draw: st.DrawFn, largest: int = 25) -> list[Drawn]:
    """Events in order of (time, id), some ids twice."""
    at, history = 0, []
    for number in range(draw(st.integers(1, largest))):
        at += draw(st.sampled_from(STEPS))
        kind = draw(st.sampled_from(KINDS))
        properties: dict[str, object] = {"who": draw(st.sampled_from(("ann", "bob")))}
        if kind.startswith("order"):
            properties |= {
                "order_id": draw(st.sampled_from("xyz")),
                "total": draw(st.sampled_from((5.0, 7.5))),
            }
            properties |= {"coupon": draw(st.sampled_from(("a", "b", "c", None)))}
        elif kind.startswith("product"):
            properties |= {"cart_id": draw(st.sampled_from("kl"))}
        elif kind.startswith("ticket"):
            properties |= {"ticket_id": draw(st.sampled_from("tu"))}
        history.append((kind, at, f"e{number:03}", properties))
    twice = draw(st.lists(st.sampled_from(history), max_size=3))
    return sorted([*history, *twice], key=lambda one: (one[1], one[2]))


def histories(largest: int = 25) -> st.SearchStrategy[list[Event]]:
    """Decoded events in order."""
    return drawn_histories(largest).map(lambda history: [event(*one[:3], **one[3]) for one in history])


def lines_of(history: list[Drawn]) -> list[bytes]:
    """The same events as lines of a file."""
    return [wire(*one[:3], **one[3]) for one in history]


def end_of(history: list[Event]) -> int:
    """A time after which only timers are left."""
    return max((one.at for one in history), default=BEGIN) + 30 * DAY


def long_history(seed: int, events: int = 400) -> list[Event]:
    """A long history of two persons: deep states that short ones rarely reach."""
    chance = random.Random(seed)
    at, history = 0, []
    for number in range(events):
        at += chance.choice(STEPS[:-1])
        properties: dict[str, object] = {"who": chance.choice(("ann", "bob"))}
        properties |= {"order_id": f"o{chance.randrange(9)}", "total": 5.0, "coupon": chance.choice("abc")}
        properties |= {"cart_id": chance.choice("kl"), "ticket_id": chance.choice("tu")}
        history.append(event(chance.choice(KINDS), at, f"e{number:03}", **properties))
    return history
