"""Every construct of transitions and signals is accepted and modelled, names resolved."""

from __future__ import annotations

import pytest

from journey_stream.journeys.guards import parse
from journey_stream.journeys.model import (
    Absence,
    Back,
    Fixed,
    OnEnter,
    OnEvent,
    Rate,
    SameLeaf,
    Sequence,
    Sibling,
    Step,
    called,
)
from journey_stream.values import DAY, HOUR
from journeys.definitions import accepted, with_signal, with_transition

NESTED = """\
journey: cycles
version: 3
title: {en: Cycles, fr: Cycles}
start: seduction
stages:
  seduction:
    kind: acquisition
    owner: marketing
    initial: search
    stages: {need: {}, search: {owner: shop}, choice: {kind: conversion}}
  weak:
    kind: at_risk
    remember: true
    rank: 1
    stages: {need: {}, search: {}}
  lost: {kind: attrition, title: Lost}
transitions:
  - {id: choose, from: 'seduction/*', to: ./choice, event: product_added}
  - {id: any-search, from: '*/search', to: weak/., event: ticket_created}
  - {id: to-parent, from: seduction/choice, to: weak, event: ticket_reopened}
  - {id: recover, from: weak, to: {back: seduction}, event: ticket_solved}
  - {id: recover-same, from: weak, to: {back: seduction/.}, event: ticket_rated}
  - {id: lost, from: any, to: lost, event: unsubscribed}
  - {id: found, from: lost, to: seduction/need, event: activity}
"""


def test_nested_stages_take_kind_and_owner_from_their_parent() -> None:
    stages = accepted(NESTED).stages

    assert [
        "seduction/need",
        "seduction/search",
        "seduction/choice",
        "weak/need",
        "weak/search",
        "lost",
    ] == list(stages)
    assert ("acquisition", "marketing", "seduction") == (
        stages["seduction/need"].kind,
        stages["seduction/need"].owner,
        stages["seduction/need"].parent,
    )
    assert ("shop", "conversion") == (stages["seduction/search"].owner, stages["seduction/choice"].kind)


def test_rank_is_the_place_in_the_file_unless_written() -> None:
    assert [1, 2, 3, 1, 1, 6] == [stage.rank for stage in accepted(NESTED).stages.values()]


def test_a_parent_that_remembers_is_the_memory_of_what_is_inside() -> None:
    stages = accepted(NESTED).stages

    assert [None, "weak", None] == [stages[name].memory for name in ("seduction/need", "weak/search", "lost")]


def test_the_name_of_a_parent_enters_its_initial_stage() -> None:
    journey = accepted(NESTED)

    assert "seduction/search" == journey.start
    assert "weak/need" == journey.groups["weak"].initial


def test_from_expands_patterns_parents_and_any_in_file_order() -> None:
    rules = {rule.id: rule.from_ for rule in accepted(NESTED).transitions}

    assert ("seduction/need", "seduction/search", "seduction/choice") == rules["choose"]
    assert ("seduction/search", "weak/search") == rules["any-search"]
    assert ("weak/need", "weak/search") == rules["recover"]
    assert 6 == len(rules["lost"])


def test_targets_lead_where_they_say() -> None:
    journey = accepted(NESTED)
    targets = {rule.id: rule.to for rule in journey.transitions}

    assert {
        "choose": Sibling("choice"),
        "any-search": SameLeaf("weak"),
        "to-parent": Fixed("weak/need"),
        "recover": Back(Fixed("seduction/search")),
        "recover-same": Back(SameLeaf("seduction")),
        "lost": Fixed("lost"),
        "found": Fixed("seduction/need"),
    } == targets
    assert "seduction/choice" == journey.destination(targets["choose"], "seduction/need")
    assert "weak/search" == journey.destination(targets["any-search"], "seduction/search")
    assert "lost" == journey.destination(targets["recover"], "weak/need", "lost")
    assert "seduction/need" == journey.destination(targets["recover-same"], "weak/need", None)


def test_titles_are_chosen_by_language_with_plain_text_for_all() -> None:
    journey = accepted(NESTED)

    assert "Cycles" == called(journey.title, "fr", journey.id)
    assert "Lost" == called(journey.stages["lost"].title, "fr", "lost")
    assert "weak/need" == called(journey.stages["weak/need"].title, "fr", "weak/need")


def test_an_event_triggers_with_guards_reason_owner_and_dwell() -> None:
    rule = with_transition(
        "{id: x, from: [prospect, lost], to: buyer, event: [quote_signed, order_updated], where: value > 10, "
        "when: orders >= least && before.orders < least && event.value > 1, reason_from: 'event.type', "
        "owner: sales, min_dwell: 2d, reenter: true}",
        more="""\
        parameters: {least: 4}
        attributes: {orders: {count: order_completed}}
        """,
    ).transitions[-1]

    assert OnEvent(("quote_signed", "order_updated"), parse("value > 10")) == rule.trigger
    assert ("prospect", "lost") == rule.from_
    assert parse("orders >= least && before.orders < least && event.value > 1") == rule.when
    assert (parse("event.type"), "sales", 2 * DAY, True) == (
        rule.reason_from,
        rule.owner,
        rule.min_dwell,
        rule.reenter,
    )


@pytest.mark.parametrize(
    ("written", "after"),
    [
        ("90d", 90 * DAY),
        ("1d12h", 36 * HOUR),
        ("silence", 30 * DAY),
        ("'max(silence, 4 * rhythm)'", parse("max(silence, 4 * rhythm)")),
        ("silence + 2d", parse("silence + 2d")),
    ],
)
def test_absence_waits_for_a_duration_a_parameter_or_an_expression(written: str, after: object) -> None:
    rule = with_transition(
        f"{{id: x, from: buyer, to: lost, after: {written}, since: order_completed, reason: silence}}",
        more="""\
        parameters: {silence: 30d}
        attributes: {rhythm: {rhythm: order_completed}}
        """,
    ).transitions[-1]

    assert Absence(after, ("order_completed",)) == rule.trigger  # type: ignore[arg-type]
    assert "silence" == rule.reason


def test_absence_counts_from_the_stage_unless_told() -> None:
    rule = with_transition("{id: x, from: buyer, to: lost, after: 90d}").transitions[-1]

    assert Absence(90 * DAY, "stage") == rule.trigger


def test_absence_has_one_timer_per_id_which_guards_know() -> None:
    rule = with_transition(
        "{id: x, from: buyer, to: lost, after: 'promised[id] - now', since: order_completed, "
        "where: has(promised_at), unless: [order_delivered, ticket_replied], "
        "unless_where: 'author != \"bot\"', by: order_id, limit: 7, when: 'id in promised', reason_from: id}",
        more="attributes: {promised: {map: {key: order_completed.order_id, value: last, of: promised_at}}}\n",
    ).transitions[-1]

    assert (
        Absence(
            parse("promised[id] - now"),
            ("order_completed",),
            ("order_delivered", "ticket_replied"),
            "order_id",
            parse("has(promised_at)"),
            parse('author != "bot"'),
            7,
        )
        == rule.trigger
    )


def test_an_event_with_after_is_what_the_waiting_begins_with() -> None:
    one = with_transition("{id: x, from: buyer, to: lost, event: product_added, after: 1h}")
    other = with_transition("{id: x, from: buyer, to: lost, since: product_added, after: 1h}")

    assert one.transitions == other.transitions


def test_a_sequence_has_steps_each_with_its_own_guard() -> None:
    rule = with_transition(
        "{id: x, from: buyer, to: lost, sequence: [checkout_started, [checkout_failed, page_left]], "
        "within: 30m, by: context.session_id, where: [null, 'type == \"page_left\"'], when: 'id != \"\"'}"
    ).transitions[-1]

    assert (
        Sequence(
            (
                Step(("checkout_started",)),
                Step(("checkout_failed", "page_left"), parse('type == "page_left"')),
            ),
            HOUR // 2,
            "context.session_id",
        )
        == rule.trigger
    )


def test_one_guard_over_a_sequence_is_for_every_step() -> None:
    rule = with_transition(
        "{id: x, from: buyer, to: lost, sequence: [page_viewed, page_viewed], within: 1d, "
        'where: content_type == "faq"}'
    ).transitions[-1]

    assert isinstance(rule.trigger, Sequence)
    assert [parse('content_type == "faq"')] * 2 == [step.where for step in rule.trigger.steps]


def test_what_is_built_in_is_known_to_every_guard() -> None:
    with_transition(
        "{id: x, from: buyer, to: lost, after: 1d, when: 'dwell > 1d && now > 0.0 && loops < 3 && known "
        '&& stage("other") != "gone" && entries("buyer") > 1 && oldest(cases) > 2d && has(score) '
        "&& max(score, 0.5) > 0.4'}",
        more="""\
        attributes:
          cases: {open: {opened: ticket_created, closed: ticket_solved, by: ticket_id}}
          score: {last: survey_responded.score_norm}
        """,
    )


def test_lines_of_an_order_have_names_inside_guards() -> None:
    with_transition(
        "{id: x, from: buyer, to: lost, event: order_completed, "
        "where: 'products.exists(p, p.category == \"tea\" && p.price > 3)'}"
    )


def test_a_signal_has_payload_expiry_rate_and_cancellation() -> None:
    rule = with_signal(
        "{id: abandoned, signal: abandoned_cart, title: {en: Cart, fr: Panier}, in: [prospect, buyer], "
        "kind: conversion, after: 1h, since: product_added, unless: [order_completed, product_removed], "
        "by: cart_id, expires: 72h, cancel: order_completed, limit: {every: 7d, count: 2}, owner: marketing, "
        "reason: left, payload: {cart: id, seen: size(seen), fixed: '\"x\"', number: 3}}",
        more="attributes: {seen: {distinct: product_viewed.category}}\n",
    ).signals[0]

    assert ("abandoned", "abandoned_cart", "Panier") == (rule.id, rule.signal, rule.title["fr"])
    assert ("prospect", "buyer") == rule.in_
    assert ("conversion", "marketing", "left") == (rule.kind, rule.owner, rule.reason)
    assert (72 * HOUR, ("order_completed",), "cart_id") == (rule.expires, rule.cancel, rule.by)
    assert Rate(7 * DAY, 2) == rule.rate
    assert {
        "cart": parse("id"),
        "seen": parse("size(seen)"),
        "fixed": parse('"x"'),
        "number": parse("3"),
    } == (rule.payload)


def test_a_signal_is_everywhere_and_named_by_its_id_unless_told() -> None:
    rule = with_signal("{id: hello, enter: buyer, when: known}").signals[0]

    assert ("hello", ("prospect", "buyer", "lost")) == (rule.signal, rule.in_)
    assert OnEnter(("buyer",)) == rule.trigger


@pytest.mark.parametrize("word", ["stage", "enter"])
def test_a_signal_may_wait_from_the_entry_into_a_stage(word: str) -> None:
    rule = with_signal(f"{{id: hello, in: buyer, after: 3d, since: {word}}}").signals[0]

    assert Absence(3 * DAY, "stage") == rule.trigger


def test_a_cancellation_is_tied_to_its_signal_by_id() -> None:
    rule = with_signal(
        "{id: quote, event: quote_sent, cancel: [quote_signed, quote_declined], by: quote_id, expires: 9d, "
        "payload: {value: event.value}}"
    ).signals[0]

    assert "quote_id" == rule.by
    assert OnEvent(("quote_sent",)) == rule.trigger


def test_sequences_trigger_signals_with_the_last_event_at_hand() -> None:
    with_signal(
        "{id: x, sequence: [product_viewed, order_completed], within: 1d, payload: {total: event.total}}"
    )


def test_parameters_are_numbers_truth_values_texts_lists_and_durations() -> None:
    journey = with_transition(
        "{id: x, from: buyer, to: lost, event: unsubscribed}",
        more="parameters: {a: 4, b: true, c: text, d: 1d, e: [1d, 2d], f: [x, y], session: 20m, g: off}\n",
    )

    assert {
        "a": 4.0,
        "b": True,
        "c": "text",
        "d": 86_400.0,
        "e": (86_400.0, 172_800.0),
        "f": ("x", "y"),
        "session": 1_200.0,
        "g": "off",
    } == journey.parameters
    assert 20 * 60 * 1_000_000 == journey.session


def test_records_name_the_attributes_that_travel() -> None:
    journey = with_signal(
        "{id: hello, enter: buyer}",
        more="records: [orders]\nattributes: {orders: {count: order_completed}}\n",
    )

    assert ("orders",) == journey.records
