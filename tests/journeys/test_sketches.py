"""The sketch that the language began with, completed where it leaves things out, is accepted."""

from __future__ import annotations

from journey_stream.journeys.guards import parse
from journey_stream.journeys.model import Absence
from journey_stream.values import HOUR
from journeys.definitions import accepted

SKETCH = """\
journey: buyer-value
version: 1
parameters: {core_orders: 4, silence: 270d}
attributes:                       # kept per customer, shared between journeys where equal
  orders:      {count: order_completed, less: [order_cancelled, order_refunded], by: order_id}
  satisfied:   {last: survey_responded.score_norm, where: survey_type == "nps"}
  complaints:  {open: {opened: ticket_created, closed: ticket_solved, reopened: ticket_reopened,
                       by: ticket_id}, where: kind == "complaint"}
  revenue_90d: {sum: order_completed.total, over: 90d}
  categories:  {distinct: "order_completed.products[].category"}
  rhythm:      {rhythm: order_completed}                     # the sketch leaves these two out
  cart_value:  {last: cart_viewed.value}
start: prospect
stages:
  prospect:           {kind: prospect, title: {en: Prospect, fr: Prospect}, owner: marketing}
  first_time_buyer:   {kind: conversion}
  early_repeat_buyer: {kind: development}                    # and this one
  core_customer:      {kind: retention}
  core_defector:      {kind: attrition}
transitions:
  - {id: first-order, from: prospect, to: first_time_buyer, event: order_completed}
  - {id: repeat, from: first_time_buyer, to: early_repeat_buyer, event: order_completed}
  - {id: core, from: early_repeat_buyer, to: core_customer, event: [order_completed, survey_responded],
     when: orders >= core_orders && (!has(satisfied) || satisfied >= 0.7)}
  - {id: silent, from: core_customer, to: core_defector, after: "max(silence, 4 * rhythm)",
     since: order_completed, reason: silence}
signals:
  - {id: abandoned-cart, event: product_added, after: 1h, unless: [order_completed, product_removed],
     by: cart_id, expires: 72h, owner: marketing, payload: {value: cart_value}}
"""


def test_the_sketch_of_the_contract_is_accepted() -> None:
    journey = accepted(SKETCH)

    assert ["first-order", "repeat", "core", "silent"] == [rule.id for rule in journey.transitions]
    assert Absence(parse("max(silence, 4 * rhythm)"), ("order_completed",)) == journey.transitions[3].trigger
    assert (
        Absence(HOUR, ("product_added",), ("order_completed", "product_removed"), "cart_id")
        == journey.signals[0].trigger
    )


def test_the_same_text_gives_the_same_journey_and_hash() -> None:
    assert accepted(SKETCH) == accepted(SKETCH)
    assert accepted(SKETCH).content_sha == accepted(SKETCH + "# a comment\n").content_sha
