"""Transitions: triggers, priority, sources, targets, guards, and the order of things within one event."""

from __future__ import annotations

from engine.stories import BEGIN, Story, journey
from journey_stream.values import DAY, HOUR, SECOND

NESTED = """\
stages:
  calm: {kind: acquisition, stages: {need: {}, search: {}, choice: {}}, initial: need}
  weak: {kind: at_risk, remember: true, stages: {need: {}, search: {}}}
  lost: {kind: attrition}
"""


def nested(transitions: str) -> Story:
    return Story(journey(f"transitions:\n{transitions}", stages=NESTED, start="calm/need"))


def test_the_first_event_enters_the_start_and_is_then_evaluated() -> None:
    story = Story(journey("transitions: [{id: buy, from: one, to: two, event: order_completed}]\n"))
    story.on("order_completed", 5)

    start, buy = story.transitions
    assert (None, "one", "start", 1, None, None, "forward") == (
        start.from_, start.to, start.rule, start.sequence, start.dwell_s, start.entered_from_at, start.direction
    )  # fmt: skip
    assert ("one", "two", "buy", 2, 0.0, BEGIN + 5) == (
        buy.from_, buy.to, buy.rule, buy.sequence, buy.dwell_s, buy.entered_from_at
    )  # fmt: skip
    assert start.cause == buy.cause
    assert ("e1", "order_completed") == (buy.cause.event_id, buy.cause.type)


def test_the_first_rule_in_file_order_that_holds_wins_and_only_one_moves() -> None:
    story = Story(
        journey(
            "attributes: {n: {count: order_completed}}\n"
            "transitions:\n"
            "  - {id: no, from: one, to: three, event: order_completed, when: n > 5}\n"
            "  - {id: yes, from: one, to: two, event: order_completed}\n"
            "  - {id: too-late, from: one, to: three, event: order_completed}\n"
            "  - {id: next, from: two, to: three, event: order_completed}\n",
            stages="stages: {one: {kind: prospect}, two: {kind: retention}, three: {kind: advocacy}}\n",
        )
    )
    story.on("order_completed", 1).on("order_completed", 2)

    assert ["start", "yes", "next"] == [move.rule for move in story.transitions]


def test_several_triggers_and_several_sources() -> None:
    story = Story(
        journey(
            "transitions:\n"
            "  - {id: up, from: one, to: two, event: [order_completed, quote_signed]}\n"
            "  - {id: out, from: [one, two], to: three, event: unsubscribed}\n"
            "  - {id: anew, from: any, to: one, event: referral_sent}\n",
            stages="stages: {one: {kind: prospect}, two: {kind: retention}, three: {kind: attrition}}\n",
        )
    )
    for at, kind in enumerate(
        ("quote_signed", "unsubscribed", "unsubscribed", "referral_sent", "unsubscribed")
    ):
        story.on(kind, at)

    assert [("one", "two", 0), ("two", "three", 1), ("three", "one", 3), ("one", "three", 4)] == story.moves


def test_activity_is_any_act_of_the_customer_but_opening_a_mail() -> None:
    story = Story(journey("transitions: [{id: act, from: one, to: two, event: activity}]\n"))
    story.on("message_opened", 0).on("message_sent", 1).on("order_delivered", 2)
    assert [] == story.moves

    story.on("link_clicked", 3)
    assert [("one", "two", 3)] == story.moves


def test_where_reads_the_event_and_when_the_customer_and_the_event() -> None:
    story = Story(
        journey(
            "parameters: {large: 100, least: 2}\n"
            "attributes: {n: {count: order_completed}}\n"
            "transitions:\n"
            "  - {id: go, from: one, to: two, event: order_completed, where: total >= large, "
            'when: "n >= least && event.coupon == \\"vip\\""}\n'
        )
    )
    story.on("order_completed", 0, total=500.0, coupon="vip")
    story.on("order_completed", 1, total=50.0, coupon="vip")
    story.on("order_completed", 2, total=500.0)
    assert [] == story.moves

    story.on("order_completed", 3, total=100.0, coupon="vip")
    assert [("one", "two", 3)] == story.moves


def test_a_rule_that_touches_something_unknown_does_not_hold_and_is_counted() -> None:
    story = Story(
        journey(
            "attributes: {score: {last: survey_responded.score_norm}}\n"
            "transitions:\n"
            "  - {id: no, from: one, to: two, event: order_completed, when: score >= 0.5}\n"
            '  - {id: yes, from: one, to: two, event: order_completed, when: "!has(score)"}\n'
        )
    )
    story.on("order_completed")

    assert ["start", "yes"] == [move.rule for move in story.transitions]
    assert {("test", "no"): 1} == story.drained[0].unknown


def test_before_is_the_value_before_this_event() -> None:
    story = Story(
        journey(
            "attributes:\n"
            "  n: {count: order_completed}\n"
            "  tags: {distinct: order_completed.coupon}\n"
            "transitions:\n"
            "  - {id: go, from: one, to: two, event: order_completed, "
            "when: before.n == 1 && n == 2 && size(before.tags) == 1 && size(tags) == 2}\n"
        )
    )
    story.on("order_completed", 0, coupon="a").on("order_completed", 1, coupon="b")

    assert [("one", "two", 1)] == story.moves


def test_another_journeys_stage_is_the_one_before_the_event() -> None:
    first = journey("transitions: [{id: go, from: one, to: two, event: order_completed}]\n", name="first")
    second = journey(
        "transitions:\n"
        '  - {id: after, from: one, to: two, event: order_completed, when: stage("first") == "two"}\n'
        '  - {id: newcomer, from: one, to: two, event: referral_sent, when: stage("first") == ""}\n',
        name="second",
    )
    story = Story(first, second)
    story.on("order_completed", 0)
    assert ["first"] == [move.journey for move in story.transitions if move.from_]

    story.on("order_completed", 1)
    assert ["first", "second"] == [move.journey for move in story.transitions if move.from_]

    story.on("referral_sent", 2, who="bob")
    assert ["second"] == [move.journey for move in story.transitions if move.from_ and move.person == "bob"]


def test_nested_stages_siblings_same_leaf_and_parents() -> None:
    story = nested(
        "  - {id: look, from: calm, to: ./search, event: product_viewed}\n"
        "  - {id: trouble, from: [calm/need, calm/search], to: weak/., event: ticket_created}\n"
        "  - {id: quit, from: 'weak/*', to: lost, event: unsubscribed}\n"
        "  - {id: again, from: lost, to: calm, event: page_viewed}\n"
        "  - {id: pick, from: 'calm/search', to: ./choice, event: product_added}\n"
        "  - {id: seek, from: '*/need', to: ./search, event: products_searched}\n"
    )
    story.on("product_viewed", 0).on("product_viewed", 1)
    story.on("product_added", 2).on("ticket_created", 3).on("product_viewed", 4).on("ticket_created", 5)
    story.on("unsubscribed", 6).on("page_viewed", 7).on("ticket_created", 8).on("products_searched", 9)

    assert [
        ("calm/need", "calm/search", 0),
        ("calm/search", "calm/choice", 2),
        ("calm/choice", "calm/search", 4),
        ("calm/search", "weak/search", 5),
        ("weak/search", "lost", 6),
        ("lost", "calm/need", 7),
        ("calm/need", "weak/need", 8),
        ("weak/need", "weak/search", 9),
    ] == story.moves


def test_back_leads_to_the_remembered_stage_or_to_the_fallback() -> None:
    story = nested(
        "  - {id: look, from: calm, to: ./search, event: product_viewed}\n"
        "  - {id: trouble, from: [calm/need, calm/search], to: weak/., event: ticket_created}\n"
        "  - {id: deeper, from: weak/need, to: weak/search, event: ticket_created}\n"
        "  - {id: solved, from: weak, to: {back: calm/choice}, event: ticket_solved}\n"
    )
    story.on("ticket_created", 0).on("ticket_created", 1).on("ticket_solved", 2)
    story.on("product_viewed", 3).on("ticket_created", 4).on("ticket_solved", 5)

    assert [
        ("calm/need", "weak/need", 0),
        ("weak/need", "weak/search", 1),
        ("weak/search", "calm/need", 2),
        ("calm/need", "calm/search", 3),
        ("calm/search", "weak/search", 4),
        ("weak/search", "calm/search", 5),
    ] == story.moves

    started = Story(
        journey(
            "transitions: [{id: solved, from: weak, to: {back: calm/choice}, event: ticket_solved}]\n",
            stages=NESTED,
            start="weak/need",
        )
    )
    started.on("page_viewed", 0).on("ticket_solved", 1)
    assert [("weak/need", "calm/choice", 1)] == started.moves


def test_directions_loops_and_entries() -> None:
    story = Story(
        journey(
            "transitions:\n"
            "  - {id: up, from: one, to: two, event: order_completed}\n"
            '  - {id: down, from: two, to: one, event: order_cancelled, when: entries("two") >= 1}\n'
            "  - {id: side, from: two, to: beside, event: ticket_created, when: loops == 1}\n",
            stages="stages: {one: {kind: prospect}, two: {kind: retention}, beside: {kind: at_risk, rank: 2}}\n",
        )
    )
    for at, kind in enumerate(("order_completed", "order_cancelled", "order_completed", "ticket_created")):
        story.on(kind, at * SECOND)

    assert [
        ("start", "forward", 0, True, 1, None),
        ("up", "forward", 0, True, 1, 0.0),
        ("down", "backward", 1, False, 2, 1.0),
        ("up", "forward", 1, False, 2, 1.0),
        ("side", "lateral", 1, True, 1, 1.0),
    ] == [(m.rule, m.direction, m.loop, m.first_entry, m.entry_number, m.dwell_s) for m in story.transitions]


def test_a_stage_is_not_entered_from_itself_unless_it_is_meant() -> None:
    rules = "transitions: [{id: go, from: any, to: two, event: page_viewed%s}]\n"
    once, again = Story(journey(rules % "")), Story(journey(rules % ", reenter: true"))
    for story in (once, again):
        story.on("page_viewed", 0).on("page_viewed", 1)

    assert [("one", "two", 0)] == once.moves
    assert [("one", "two", 0), ("two", "two", 1)] == again.moves


def test_min_dwell_holds_a_rule_back() -> None:
    story = Story(journey("transitions: [{id: go, from: one, to: two, event: page_viewed, min_dwell: 1h}]\n"))
    story.on("page_viewed", 0).on("page_viewed", HOUR - 1)
    assert [] == story.moves

    story.on("page_viewed", HOUR)
    assert [("one", "two", HOUR)] == story.moves


def test_dwell_now_and_known_are_there_to_ask() -> None:
    story = Story(
        journey(
            "transitions:\n"
            f"  - {{id: go, from: one, to: two, event: page_viewed, "
            f"when: dwell >= 2h && known && now > {BEGIN / SECOND}}}\n"
        )
    )
    story.on("page_viewed", 0).on("page_viewed", HOUR).on("page_viewed", 2 * HOUR)
    story.on("page_viewed", 0, anonymous_id="x").on("page_viewed", 3 * HOUR, anonymous_id="x")

    assert [("one", "two", 2 * HOUR)] == story.moves


def test_a_sequence_is_complete_when_its_steps_came_in_order_and_in_time() -> None:
    text = journey(
        "transitions: [{id: go, from: one, to: two, sequence: [page_viewed, product_viewed, product_added], within: 1h}]\n"
    )

    def after(*events: tuple[str, int]) -> list[tuple[str | None, str, int]]:
        story = Story(text)
        for kind, at in events:
            story.on(kind, at)
        return story.moves

    a, b, c = "page_viewed", "product_viewed", "product_added"
    assert [("one", "two", HOUR)] == after((a, 0), (b, 1), (c, HOUR))
    assert [] == after((a, 0), (b, 1), (c, HOUR + 1))
    assert [] == after((b, 0), (a, 1), (c, 2))
    assert [("one", "two", 9)] == after((a, 0), (a, 5), (b, 6), (b, 7), (c, 9))
    assert [("one", "two", HOUR + 5)] == after((a, 0), (a, HOUR), (b, HOUR + 1), (c, HOUR + 5))


def test_a_sequence_of_equal_steps_needs_as_many_events_and_starts_anew() -> None:
    story = Story(
        journey(
            "transitions:\n"
            "  - {id: go, from: any, to: two, sequence: [page_viewed, page_viewed, page_viewed], within: 1h, reenter: true}\n"
        )
    )
    for at in range(6):
        story.on("page_viewed", at)

    assert [("one", "two", 2), ("two", "two", 5)] == story.moves


def test_a_sequence_by_id_keeps_ids_apart_and_its_steps_can_have_guards() -> None:
    story = Story(
        journey(
            "signals:\n"
            "  - {id: hm, title: Hm, sequence: [ticket_created, ticket_created], within: 7d, by: order_id, "
            "where: [has(order_id), 'priority == \"high\"'], owner: service, payload: {order: id}}\n"
        )
    )
    story.on("ticket_created", 0, order_id="a").on("ticket_created", 1, order_id="b", priority="high")
    story.on("ticket_created", 2, order_id="a", priority="low")
    assert [] == story.calls

    story.on("ticket_created", 3, order_id="a", priority="high")
    assert [("hm", "raised", 3)] == story.calls
    assert {"order": "a"} == story.signals[0].payload


def test_reasons_and_owners_come_from_the_rule_or_the_stage() -> None:
    story = Story(
        journey(
            "transitions:\n"
            "  - {id: a, from: one, to: two, event: order_completed, reason: bought}\n"
            "  - {id: b, from: two, to: one, event: order_cancelled, reason_from: event.reason, owner: care}\n"
        )
    )
    story.on("order_completed", 0).on("order_cancelled", DAY, reason="too_late")

    assert [(None, "marketing"), ("bought", "sales"), ("too_late", "care")] == [
        (move.reason, move.owner) for move in story.transitions
    ]


def test_ids_are_the_same_on_every_run_and_no_two_records_share_one() -> None:
    text = journey("transitions: [{id: go, from: any, to: two, event: page_viewed, reenter: true}]\n")
    first, second = Story(text), Story(text)
    for story in (first, second):
        for at in range(3):
            story.on("page_viewed", 0 if at < 2 else at)

    ids = [move.transition_id for move in first.transitions]
    assert ids == [move.transition_id for move in second.transitions]
    assert len(ids) == len(set(ids))
    assert [32] * 4 == [len(each) for each in ids]
