"""Changes of version in the engine: who goes where, what is said of it, what goes on and what begins anew."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from journey_stream.engine.partition import Partition
from journey_stream.engine.program import EngineOptions, Program, compile_program, side_by_side
from journey_stream.engine.switch import Switch, occupied
from journey_stream.errors import VersionError
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.explain import Conditions, explain, tell
from journey_stream.journeys import Journey, load
from journey_stream.journeys.changes import Change, Policy, complete
from journey_stream.values import DAY, HOUR, MINUTE
from tests.engine.live import Live
from tests.engine.stories import BEGIN, Story, event

OLD = """\
journey: buyers
version: 1
attributes:
  orders: {count: order_completed}
records: [orders]
start: visitor
stages:
  visitor: {kind: prospect}
  buyer: {kind: conversion}
  gone: {kind: attrition}
transitions:
  - {id: order, from: visitor, to: buyer, event: order_completed}
  - {id: silent, from: buyer, to: gone, after: 30d, since: order_completed}
  - {id: tired, from: buyer, to: gone, after: 60d, since: stage}
signals:
  - {id: nudge, in: [buyer], after: 20d, since: order_completed}
"""

NEW = """\
journey: buyers
version: 2
attributes:
  orders: {count: order_completed}
  month: {count: page_viewed, over: 30d}
  views: {count: page_viewed}
  channel: {last: order_completed.coupon}
  twice: {value: views * 2}
records: [orders, month, views, channel, twice]
start: visitor
stages:
  visitor: {kind: prospect}
  customer: {kind: retention}
  loyal: {kind: advocacy}
  lost: {kind: attrition}
transitions:
  - {id: order, from: visitor, to: customer, event: order_completed}
  - {id: again, from: customer, to: loyal, event: order_completed, when: orders >= 2}
  - {id: silent, from: [customer, loyal], to: lost, after: 40d, since: order_completed}
  - {id: late, from: [customer], to: lost, after: 90d, since: stage}
  - {id: quiet, from: [customer], to: lost, after: 50d, since: activity}
  - {id: cold, from: [customer], to: lost, after: 70d, since: link_clicked}
signals:
  - {id: nudge, in: [customer], after: 25d, since: order_completed}
  - {id: hello, in: [customer], after: 1d, since: stage}
"""

STAGES = {"buyer": "customer", "gone": "lost"}


def journey(text: str) -> Journey:
    (found,) = load([("x.yaml", text)], BUILT_IN).usable()
    return found


def changed(policy: Policy, stages: Mapping[str, str] = STAGES, old: str = OLD, new: str = NEW) -> Program:
    """The new program with a change of this policy for those in the old version."""
    before, present = journey(old), journey(new)
    found, problems = complete(before, present, stages) if policy == "migrate" else ({}, [])
    assert not problems
    change = Change(present.id, before.version, policy, None if policy == "replay" else before, found)
    return compile_program([present], BUILT_IN, None, [change])


def told(*stories: Story) -> list[tuple[str, bytes | None]]:
    return [change for story in stories for drained in story.drained for change in drained.changes]


def after(old: Story, program: Program) -> Story:
    """A story that goes on with the states of another."""
    new = Story(program=program)
    for key, blob in told(old):
        new.partition.load(key, blob)
    return new


def switched(old: Story, program: Program, at: int, history: Partition | None = None) -> Story:
    """The same, all customers taken to their version at once."""
    new = after(old, program)
    switch = Switch(new.partition, BEGIN + at, BEGIN + at + HOUR, history)
    switch.step(len(switch))
    return new._drain()


def three() -> Story:
    """Ann has bought, bob has only looked, eve has bought and gone."""
    old = Story(OLD)
    old.on("page_viewed", 0, who="bob")
    old.on("order_completed", 0, who="eve")
    old.until(31 * DAY)
    old.on("order_completed", 32 * DAY, who="ann", event_id="first")
    old.on("page_viewed", 33 * DAY, who="ann", event_id="seen")
    return old


def stage(story: Story, person: str) -> tuple[str, int]:
    """(version, stage) of somebody, of whatever versions run."""
    c = story.partition.customer(person)
    assert c is not None
    (place,) = [j for j, at in enumerate(c.stages) if at >= 0]
    table = story.program.journeys[place]
    return table.stages[c.stages[place]], table.version


def test_keep_leaves_everybody_where_they_are_and_newcomers_begin_with_the_new_one() -> None:
    new = after(three(), changed("keep"))
    new.on("page_viewed", 34 * DAY, who="eve", event_id="eve")
    new.on("order_completed", 35 * DAY, who="bob", event_id="bob")
    new.on("order_completed", 35 * DAY, who="zoe", event_id="zoe")

    assert [
        ("bob", "visitor", "buyer", 1, 2),
        ("zoe", None, "visitor", 2, 1),
        ("zoe", "visitor", "customer", 2, 2),
    ] == [(t.person, t.from_, t.to, t.version, t.sequence) for t in new.transitions]
    assert [("buyer", 1), ("buyer", 1), ("gone", 1), ("customer", 2)] == [
        stage(new, who) for who in ("ann", "bob", "eve", "zoe")
    ]
    assert {"buyers@1", "buyers@2"} == occupied(new.partition)


def test_versions_that_are_kept_fire_the_timers_of_their_own_rules() -> None:
    new = after(three(), changed("keep"))
    new.on("order_completed", 33 * DAY, who="zoe", event_id="zoe")
    new.until(90 * DAY)

    moves = [(t.person, t.to, (t.occurred_at - BEGIN) // DAY, t.version) for t in new.transitions if t.from_]
    assert [("zoe", "customer", 33, 2), ("ann", "gone", 62, 1), ("zoe", "lost", 73, 2)] == moves
    calls = [
        (s.person, (s.occurred_at - BEGIN) // DAY, s.version) for s in new.signals if s.signal == "nudge"
    ]
    assert [("ann", 52, 1), ("zoe", 58, 2)] == calls


OTHER = """\
journey: other
version: 1
start: idle
stages: {idle: {kind: prospect}, busy: {kind: retention}}
transitions:
  - {id: busy, from: idle, to: busy, event: page_viewed, when: 'stage("buyers") in ["buyer", "customer"]'}
"""


def test_other_journeys_see_the_stage_of_whichever_version_a_customer_is_in() -> None:
    before, present = journey(OLD), journey(NEW)
    change = Change("buyers", 1, "keep", before)
    other = load([("o.yaml", OTHER)], BUILT_IN).usable()[0]
    new = after(three(), compile_program([other, present], BUILT_IN, None, [change]))
    new.on("order_completed", 34 * DAY, who="zoe", event_id="zoe")
    for number, who in enumerate(("ann", "bob", "zoe")):
        new.on("page_viewed", 35 * DAY, who=who, event_id=f"look{number}")

    assert ["ann", "zoe"] == [t.person for t in new.transitions if t.to == "busy"]


def test_somebody_forgotten_comes_back_in_the_new_version() -> None:
    old = Story(OLD).on("page_viewed", 0, anonymous_id="x", who="anon:x")
    new = after(old, changed("keep")).until(91 * DAY)
    new.on("page_viewed", 92 * DAY, anonymous_id="x", who="anon:x", event_id="back")

    assert [("visitor", 2)] == [(t.to, t.version) for t in new.transitions]


def test_publication_numbers_run_on_when_somebody_forgotten_in_one_version_comes_back_in_another() -> None:
    """Ann is forgotten in 1, back in 2, and then an act comes to light for which she was never forgotten."""
    options = EngineOptions(forget_after_known=2 * DAY)
    live = Live(compile_program([journey(OLD)], BUILT_IN, options), HOUR)
    live.tell(BEGIN)
    live.arrive(event("order_completed", 0, "first"))
    live.drain()
    live.program = compile_program(
        [journey(NEW)], BUILT_IN, options, [Change("buyers", 1, "keep", journey(OLD), {})]
    )
    live.crash()
    live.tell(BEGIN + 2 * DAY + 1)
    live.partition.fire(BEGIN + 2 * DAY + 1, 0)
    live.drain()
    live.crash()
    live.arrive(event("order_completed", 2 * DAY + MINUTE, "second"))
    live.drain()
    assert ("customer", 2, 4) == standing(live)
    live.arrive(event("page_viewed", 2 * DAY - MINUTE, "between"))
    live.drain()

    assert [1, 2, 3, 4, 5, 6] == [record.sequence for record in live.published]
    assert ("buyer", 1, 6) == standing(live)
    live.net()


def standing(live: Live) -> tuple[str | None, int, int]:
    now = live.stages["ann", "buyers"]
    return now.stage, now.version, now.sequence


def test_an_import_brings_nobody_into_a_second_version() -> None:
    new = after(three(), changed("keep"))
    new.on("history_imported", 34 * DAY, who="bob", event_id="import", orders=3)

    assert {("visitor", 1)} == {stage(new, "bob")}


def test_migrate_publishes_one_transition_for_each_customer_whose_stage_has_another_name() -> None:
    new = switched(three(), changed("migrate"), 34 * DAY)

    found = {t.person: t for t in new.transitions}
    assert {"ann", "eve"} == found.keys()
    assert 2 == len(new.transitions)
    ann = found["ann"]
    assert ("buyer", "customer", "conversion", "retention") == (ann.from_, ann.to, ann.from_kind, ann.to_kind)
    assert ("migration", "migration", 2, 3, False) == (
        ann.trigger,
        ann.rule,
        ann.version,
        ann.sequence,
        ann.replay,
    )
    assert (34 * DAY, 2 * DAY / 1e6) == (ann.occurred_at - BEGIN, ann.dwell_s)
    assert (32 * DAY, "customer", 2) == next(
        (now.entered_at - BEGIN, now.stage, now.version) for now in new.stages if now.person == "ann"
    )
    assert [("customer", 2), ("visitor", 2), ("lost", 2)] == [
        stage(new, who) for who in ("ann", "bob", "eve")
    ]


def test_a_change_cut_short_goes_on_with_those_who_are_left() -> None:
    old, program = three(), changed("migrate")
    whole = switched(old, program, 34 * DAY)
    cut = after(old, program)
    Switch(cut.partition, BEGIN + 34 * DAY, BEGIN).step(1)
    cut._drain()
    again = Story(program=program)
    for key, blob in (*told(old), *told(cut)):
        again.partition.load(key, blob)
    rest = Switch(again.partition, BEGIN + 34 * DAY, BEGIN)
    assert 2 == len(rest)
    rest.step(9)
    again._drain()

    ids = sorted(t.transition_id for t in whole.transitions)
    assert ids == sorted(t.transition_id for t in (*cut.transitions, *again.transitions))


def test_a_timer_goes_on_where_only_its_length_has_changed() -> None:
    new = switched(three(), changed("migrate"), 34 * DAY).until(200 * DAY)

    assert ("customer", "lost", 72 * DAY, "silent") == next(
        (t.from_, t.to, t.occurred_at - BEGIN, t.rule) for t in new.transitions if t.rule != "migration"
    )


def test_a_timer_that_is_shorter_now_moves_whoever_is_overdue_at_the_change() -> None:
    shorter = NEW.replace("after: 40d", "after: 1d")
    new = switched(three(), changed("migrate", new=shorter), 34 * DAY).until(34 * DAY)

    assert [("customer", "lost", 34 * DAY)] == [
        (t.from_, t.to, t.occurred_at - BEGIN) for t in new.transitions if t.rule == "silent"
    ]


@pytest.mark.parametrize(("rule", "due"), [("late", 122 * DAY), ("quiet", 83 * DAY), ("cold", 104 * DAY)])
def test_a_new_timer_counts_from_what_is_known_else_from_the_change(rule: str, due: int) -> None:
    """Ann bought (and entered the stage) on day 32, was last seen on day 33; the change is on day 34."""
    lines = [
        line for line in NEW.splitlines() if "after" not in line or f"id: {rule}," in line or "silent" in line
    ]
    text = "\n".join(lines).replace("after: 40d", "after: 400d").replace("signals:", "")
    new = switched(three(), changed("migrate", new=text + "\n"), 34 * DAY).until(200 * DAY)

    assert [(rule, due)] == [
        (t.rule, t.occurred_at - BEGIN) for t in new.transitions if t.rule != "migration"
    ]


def test_a_signal_is_not_raised_for_the_past() -> None:
    """`hello` would have been due a day after ann became a buyer, on day 33; `nudge` only waits longer."""
    new = switched(three(), changed("migrate"), 34 * DAY).until(60 * DAY)

    assert [("nudge", 57 * DAY)] == [(call[0], call[2]) for call in new.calls]


def test_what_waits_for_another_version_that_ran_beside_is_nobodys() -> None:
    """While both ran, ann in 1 and zoe in 2, the events of each armed the timers of both."""
    rules = "  - {id: missed, in: [customer], after: 1d, since: link_clicked}\n"
    new = NEW + rules
    beside = after(Story(OLD).on("page_viewed", 0, who="ann"), changed("keep", new=new))
    beside.on("order_completed", DAY, who="ann", event_id="ann")
    beside.on("link_clicked", DAY, who="ann", event_id="click")
    beside.on("order_completed", DAY, who="zoe", event_id="zoe")
    beside.until(27 * DAY)
    assert [("nudge", 21 * DAY), ("nudge", 26 * DAY)] == [
        (c[0], c[2]) for c in beside.calls if c[0] != "hello"
    ]

    story = switched(beside, changed("migrate", new=new), 27 * DAY).until(40 * DAY)

    assert [] == story.calls, "zoe was nudged already, ann has missed nothing while she was in 1"


def test_an_attribute_that_is_new_is_partial_until_its_window_is_full() -> None:
    new = switched(three(), changed("migrate"), 34 * DAY)
    assert [("month", "views", "channel", "twice")] == [
        t.partial for t in new.transitions if t.person == "ann"
    ]

    new.on("page_viewed", 40 * DAY, event_id="a", who="ann")
    new.on("order_completed", 62 * DAY, event_id="b", who="ann", coupon="x")
    (loyal,) = [t for t in new.transitions if t.rule == "again"]
    assert (
        {"orders": 2, "month": 1, "views": 1, "channel": "x", "twice": 2},
        ("month", "views", "twice"),
    ) == (
        loyal.attributes,
        loyal.partial,
    )
    new.until(103 * DAY)
    assert [("views", "twice")] == [
        t.partial for t in new.transitions if t.rule == "silent" and t.person == "ann"
    ]


def test_nothing_of_a_newcomer_is_partial() -> None:
    new = switched(three(), changed("migrate"), 34 * DAY)
    new.on("order_completed", 35 * DAY, event_id="z", who="zoe")

    assert {()} == {t.partial for t in new.transitions if t.person == "zoe"}


def test_stages_that_become_one_add_up_how_often_they_were_entered() -> None:
    loop = OLD + "  - {id: never, in: [gone], event: page_viewed}\n"
    back = loop.replace(
        "transitions:", "transitions:\n  - {id: back, from: gone, to: buyer, event: order_completed}"
    )
    old = Story(back).on("order_completed", 0).until(31 * DAY).on("order_completed", 32 * DAY)
    new = switched(old, changed("migrate", {"buyer": "customer", "gone": "customer"}, old=back), 33 * DAY)

    (move,) = new.transitions
    assert ("buyer", "customer", 3, False, 1) == (
        move.from_, move.to, move.entry_number, move.first_entry, move.loop,
    )  # fmt: skip


def history(program: Program, until: int, *events: tuple[str, int, str, str]) -> Partition:
    past = Partition(program)
    for kind, at, who, event_id in events:
        past.apply(event(kind, at, event_id, who), BEGIN + at)
    past.fire(BEGIN + until, BEGIN + until)
    past.drain()
    return past


ALL = (
    ("page_viewed", 0, "bob", "e1"),
    ("order_completed", 0, "eve", "e2"),
    ("order_completed", 32 * DAY, "ann", "first"),
    ("page_viewed", 33 * DAY, "ann", "seen"),
)


def test_replay_publishes_the_difference_and_nothing_else() -> None:
    kept = NEW.replace("customer", "buyer").replace("lost", "gone").replace("after: 40d", "after: 33d")
    program = changed("replay", new=kept)
    old = three().until(34 * DAY)
    new = switched(old, program, 34 * DAY, history(program, 34 * DAY, *ALL))
    assert [] == new.transitions

    sooner = changed("replay", new=kept.replace("after: 33d", "after: 1d"))
    new = switched(old, sooner, 34 * DAY, history(sooner, 34 * DAY, *ALL))
    (move,) = new.transitions
    assert ("ann", "buyer", "gone", True, "migration") == (
        move.person, move.from_, move.to, move.replay, move.trigger,
    )  # fmt: skip
    assert (33 * DAY, 34 * DAY, 3) == (
        (move.entered_from_at or 0) - BEGIN, move.occurred_at - BEGIN, move.sequence,
    )  # fmt: skip
    assert ({"orders": 1, "month": 1, "views": 1, "channel": None, "twice": 2}, ()) == (
        move.attributes,
        move.partial,
    )


def test_after_replay_the_journey_goes_on_as_if_it_had_always_been_the_new_one() -> None:
    program = changed("replay")
    old = three()
    new = switched(old, program, 34 * DAY, history(program, 34 * DAY, *ALL))
    always = Story(program=program)
    for kind, at, who, event_id in ALL:
        always.on(kind, at, who=who, event_id=event_id)
    always.until(34 * DAY)
    before = len(always.transitions)
    for story in (new, always):
        story.on("order_completed", 35 * DAY, who="ann", event_id="more").until(200 * DAY)

    def said(story: Story, start: int) -> list[tuple[object, ...]]:
        return [(t.transition_id, t.from_, t.to, t.attributes) for t in story.transitions[start:]]

    assert said(always, before) == said(new, len([t for t in new.transitions if t.rule == "migration"]))


def test_replay_of_a_history_that_lacks_a_customer_stops_before_anything_is_said() -> None:
    program = changed("replay")
    new = after(three(), program)
    with pytest.raises(VersionError, match=r"is in 'buyers@1'.*does not reach back"):
        Switch(new.partition, BEGIN + 34 * DAY, BEGIN, history(program, 34 * DAY, *ALL[:2]))
    assert [] == new.partition.drain().records


def test_a_version_that_nothing_is_said_about_stops_the_partition() -> None:
    new = after(three(), compile_program([journey(NEW)], BUILT_IN))
    with pytest.raises(VersionError, match=r"'buyers@1', and nothing says"):
        new.partition.customer("ann")


def test_rolled_back_everybody_is_in_the_old_version_again() -> None:
    forth = switched(three(), changed("migrate"), 34 * DAY)
    forth.on("order_completed", 35 * DAY, who="ann", event_id="more")
    back = {"customer": "buyer", "loyal": "buyer", "lost": "gone"}
    again = Story(program=changed("migrate", back, old=NEW, new=OLD))
    for key, blob in told(forth):
        again.partition.load(key, blob)
    switch = Switch(again.partition, BEGIN + 36 * DAY, BEGIN)
    switch.step(9)
    again._drain()

    assert [("ann", "loyal", "buyer", 1, 5), ("eve", "lost", "gone", 1, 6)] == sorted(
        (t.person, t.from_, t.to, t.version, t.sequence) for t in again.transitions
    )


def test_a_customer_in_a_version_that_is_kept_is_explained_by_it() -> None:
    before, present = journey(OLD), journey(NEW)
    conditions = Conditions()
    change = Change("buyers", 1, "keep", before)
    program = compile_program([present], BUILT_IN, None, [change], watch=conditions)
    new = after(three(), program)
    ann = new.partition.customer("ann")
    both = side_by_side([present], [change])
    found = explain(both, program, conditions, "ann", ann, [], BEGIN + 34 * DAY)

    assert [("buyers", 1, "buyer")] == [(now.journey, now.version, now.stage) for now in found.journeys]
    assert "silent -> gone" in tell(found, both)
