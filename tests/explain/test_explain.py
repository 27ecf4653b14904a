"""Where a customer is, why, what lies ahead, and what each way out still asks."""

import json
from typing import Any

from journey_stream.engine.program import compile_program
from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.explain import Conditions, Explanation, WayOut, explain, last_state, tell
from journey_stream.journeys import Journey, load
from journey_stream.values import DAY, Event, rfc3339

JOURNEY = """
journey: x
version: 4
parameters: {many: 3, spent: 100.0, silence: 30d}
attributes:
  orders:   {count: order_completed}
  revenue:  {sum: order_completed.total}
  opinion:  {last: survey_responded.score_norm}
  seen:     {distinct: product_viewed.category}
  problems: {open: {opened: ticket_created, closed: ticket_solved, by: ticket_id}}
  happy:    {value: "problems == 0 && opinion >= 0.5"}
  last_at:  {last: order_completed.occurred_at}
records: [orders, revenue, opinion, problems]
start: new
stages:
  new:   {kind: prospect}
  buyer: {kind: conversion, owner: sales}
  loyal: {kind: retention}
  gone:  {kind: attrition}
transitions:
  - {id: buys, from: new, to: buyer, event: order_completed, reason: first}
  - {id: core, from: buyer, to: loyal, event: order_completed, when: orders >= many && happy && revenue > spent, min_dwell: 2d}
  - {id: wide, from: buyer, to: loyal, event: page_viewed, when: size(seen) >= 2 && event.duration_s > 5}
  - {id: asks, from: buyer, to: loyal, sequence: [product_viewed, product_added], within: 1h}
  - {id: lost, from: buyer, to: gone, after: silence, since: order_completed, when: now - last_at >= 30d}
  - {id: left, from: loyal, to: gone, event: unsubscribed}
signals:
  - {id: nudge, in: buyer, after: 10d, since: stage, expires: 5d, payload: {orders: orders}}
""".replace(" && event.duration_s > 5", ' && event.url != ""')


def decoded(number: int, type: str, at: int, **properties: Any) -> Event:
    found = Decoder(BUILT_IN).decode(
        json.dumps(
            {"event_id": f"e{number}", "type": type, "occurred_at": rfc3339(at), "customer_id": "ann", "properties": properties}
        ).encode(),
        at,
    )  # fmt: skip
    assert isinstance(found, Event)
    return found


def order(number: int, at: int, total: float = 10.0) -> Event:
    return decoded(number, "order_completed", at, order_id=str(number), total=total)


def explained(events: list[Event], until: int) -> tuple[Explanation, Journey]:
    journey = load([("x.yaml", JOURNEY)], BUILT_IN).usable()[0]
    conditions = Conditions()
    program = compile_program([journey], BUILT_IN, watch=conditions)
    state, records = last_state(program, "ann", events, until)
    return explain([journey], program, conditions, "ann", state, records, until, events=len(events)), journey


def ways(found: Explanation) -> dict[str, WayOut]:
    return {way.rule: way for way in found.journeys[0].ways_out}


def line(found: Explanation, journey: Journey, rule: str) -> str:
    told = [each.strip() for each in tell(found, [journey]).splitlines()]
    (said,) = [each for each in told if each.startswith(f"{rule} -> ")]
    return said


def test_the_stage_says_which_rule_which_event_and_which_values_led_there():
    events = [order(1, 0), order(2, 3 * DAY, 95.0), decoded(3, "survey_responded", 3 * DAY, survey_id="s", response_id="r", survey_type="csat", score=5, scale_min=1, scale_max=5), order(4, 4 * DAY)]  # fmt: skip
    found, journey = explained(events, 5 * DAY)
    (now,) = found.journeys
    assert ("loyal", "retention", "1970-01-05T00:00:00Z") == (now.stage, now.kind, now.since)
    assert now.entered_by is not None
    assert ("core", "order_completed e4") == (now.entered_by.rule, now.entered_by.cause)
    assert {"orders": 3, "revenue": 115.0, "opinion": 1.0, "problems": 0} == now.entered_by.values
    assert "entered by core (order_completed e4) [orders 3, revenue 115, opinion 1, problems 0]" in tell(
        found, [journey]
    )
    assert ["(new) -> new", "new -> buyer", "buyer -> loyal"] == [m.says for m in found.timeline]


def test_what_a_way_out_still_asks_is_counted_and_has_a_date():
    found, journey = explained([order(1, 0)], DAY)
    assert (
        "core -> loyal: 2 more orders (1 of 3) and happy is unknown: opinion >= 0.5 is unknown [opinion unknown]"
    ) in line(found, journey, "core").replace("; ", " and ")
    assert "over 90 more revenue (10 of 100)" in line(found, journey, "core")
    assert "before 1970-01-31 00:00:00" in line(found, journey, "core")
    assert "not before 1970-01-03 00:00:00" in line(found, journey, "core")
    assert "waits for order_completed" in line(found, journey, "core")


def test_a_derived_attribute_says_which_of_its_own_parts_does_not_hold():
    found, _ = explained([order(1, 0), decoded(2, "ticket_created", 1, ticket_id="t", kind="question")], DAY)
    happy = next(each for each in ways(found)["core"].conditions if each.text == "happy")
    assert happy.holds is False
    assert [("problems == 0", False, {"problems": 1}), ("opinion >= 0.5", None, {"opinion": None})] == [
        (each.text, each.holds, each.values) for each in happy.because
    ]


def test_what_depends_on_the_event_to_come_is_not_decided_now():
    found, journey = explained(
        [order(1, 0), decoded(2, "product_viewed", 1, category="a", product_id="p")], DAY
    )
    size, event = ways(found)["wide"].conditions
    assert (False, 1.0) == (size.holds, size.gap and size.gap.more)
    assert (None, True) == (event.holds, event.later)
    assert "1 more seen (1 of 2)" in line(found, journey, "wide")
    assert 'only if event.url != ""' in line(found, journey, "wide")


def test_deadlines_are_those_ahead_and_a_timer_is_asked_as_of_its_due_time():
    found, journey = explained([order(1, 0)], DAY)
    (now,) = found.journeys
    assert [("1970-01-11T00:00:00Z", "nudge", "signal"), ("1970-01-31T00:00:00Z", "lost", "transition")] == [
        (each.due, each.rule, each.sort) for each in now.deadlines
    ]
    assert [True] == [each.holds for each in ways(found)["lost"].conditions]
    assert "lost -> gone: on 1970-01-31 00:00:00" == line(found, journey, "lost")
    assert "asks -> loyal: waits for product_viewed then product_added within 1h" == line(
        found, journey, "asks"
    )
    later, _ = explained([order(1, 0)], 12 * DAY)
    assert ["lost"] == [each.rule for each in later.journeys[0].deadlines]
    assert "raised nudge" == later.timeline[-1].says
    assert {"orders": 1} == later.timeline[-1].values


def test_a_stage_that_nothing_leaves_says_so():
    found, journey = explained([order(1, 0)], 40 * DAY)
    assert "gone" == found.journeys[0].stage
    assert "nothing leads out of this stage" in tell(found, [journey])


def test_nobody_is_known_by_that_name():
    found, journey = explained([], 0)
    assert not found.known
    assert "nobody of that name is known" in tell(found, [journey])


def test_records_of_a_deployment_tell_the_same_as_those_of_a_replay():
    """Records as JSON values, corrections among them, give the same timeline as the structs."""
    import msgspec

    from journey_stream.wire import value_of

    events = [order(1, 0), order(2, 3 * DAY)]
    journey = load([("x.yaml", JOURNEY)], BUILT_IN).usable()[0]
    conditions = Conditions()
    program = compile_program([journey], BUILT_IN, watch=conditions)
    state, records = last_state(program, "ann", events, 5 * DAY)
    values = [msgspec.json.decode(msgspec.json.encode(value_of(record))) for record in records]
    by_structs = explain([journey], program, conditions, "ann", state, records, 5 * DAY)
    by_values = explain([journey], program, conditions, "ann", state, values[::-1], 5 * DAY)
    assert by_structs == by_values
    taken_back = [*values, values[-1] | {"corrects": values[-1]["transition_id"], "sequence": 9}]
    shorter = explain([journey], program, conditions, "ann", state, taken_back, 5 * DAY)
    assert len(by_structs.timeline) - 1 == len(shorter.timeline)
