"""Traces and verdicts: why each rule held or did not, told by what the engine did and not by a second engine."""

from collections.abc import Iterator
from importlib import resources

from hypothesis import given, settings

from engine.histories import LIVES, MIRROR, PROGRAM, end_of, histories
from engine.stories import BEGIN, event, journey
from journey_stream.engine.partition import Partition
from journey_stream.engine.program import EngineOptions, Program, compile_program
from journey_stream.engine.told import sentence
from journey_stream.engine.trace import Step, Tracer
from journey_stream.engine.watch import Watch
from journey_stream.engine.why import Verdict, deadlines, stage_of, verdicts
from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import Journey, load, shipped, shipped_names
from journey_stream.journeys.places import guards_of
from journey_stream.testing import companion, read_tests
from journey_stream.testing.run import _events
from journey_stream.values import DAY, HOUR, Event, Signal, Transition

Moment = tuple[str, int, dict[str, object]]


def watched(text: str, options: EngineOptions | None = None) -> tuple[Journey, Program, Watch]:
    watch = Watch(detailed=True)
    journeys = load([("test.yaml", text)], BUILT_IN).usable()
    return journeys[0], compile_program(journeys, BUILT_IN, options, watch=watch), watch


def steps_of(tracer: Tracer, moments: list[Moment], until: int) -> Iterator[Step]:
    for number, (kind, at, properties) in enumerate(moments):
        properties = dict(properties)
        yield from tracer.apply(event(kind, at, properties.pop("event_id", f"e{number}"), **properties))
    yield from tracer.run_until(BEGIN + until)


def trace(
    text: str, *moments: Moment, until: int = 0, options: EngineOptions | None = None
) -> tuple[Journey, Program, list[Step]]:
    definition, program, watch = watched(text, options)
    return definition, program, list(steps_of(Tracer(program, watch), list(moments), until))


def clock(at: int) -> str:
    return f"day {(at - BEGIN) // DAY}"


def last(text: str, *moments: Moment, until: int = 0) -> dict[str, str]:
    """What is said of each rule at the last step."""
    definition, program, steps = trace(text, *moments, until=until)
    return {
        each.rule.id: sentence(each, definition, clock) for each in verdicts(definition, program, steps[-1])
    }


def order(at: int, **properties: object) -> Moment:
    return ("order_completed", at, properties)


def test_a_rule_that_held_tells_the_values_it_saw():
    text = journey(
        "attributes: {orders: {count: order_completed}}\n"
        "transitions: [{id: go, from: one, to: two, event: order_completed, when: orders >= 2}]\n"
    )
    assert last(text, order(0), order(DAY)) == {"go": "held (orders 2)"}


def test_a_guard_that_is_false_tells_which_part_and_of_which_values():
    text = journey(
        "parameters: {many: 3, silence: 90d}\n"
        "attributes: {orders: {count: order_completed}, at: {last: order_completed.occurred_at}}\n"
        "transitions: [{id: go, from: one, to: two, event: order_completed, when: at > 0 && orders >= many && dwell > silence}]\n"
    )
    said = last(text, order(0), order(DAY))
    assert said == {
        "go": "when: orders >= many is false (orders 2, many 3); dwell > silence is false (dwell 1d, silence 90d)"
    }


def test_an_unknown_operand_is_told_apart_from_a_false_one():
    text = journey(
        "attributes: {score: {last: survey_responded.score_norm}}\n"
        "transitions: [{id: go, from: one, to: two, event: order_completed, when: score > 0.5}]\n"
    )
    assert last(text, order(0)) == {"go": "when: score > 0.5 is unknown (score unknown)"}


def test_a_derived_attribute_that_is_false_tells_why():
    text = journey(
        "attributes:\n"
        "  orders: {count: order_completed}\n"
        "  complaints: {open: {opened: ticket_created, closed: ticket_solved, by: ticket_id}}\n"
        '  happy: {value: "complaints == 0 && orders > 0"}\n'
        "transitions: [{id: go, from: one, to: two, event: order_completed, when: happy}]\n"
    )
    said = last(text, ("ticket_created", 0, {"ticket_id": "t"}), order(DAY))
    assert said == {"go": "when: happy is false, because complaints == 0 is false (complaints 1)"}


def test_a_where_is_told_with_the_properties_of_the_event():
    text = journey(
        "transitions: [{id: go, from: one, to: two, event: order_completed, where: total >= 100}]\n"
    )
    assert last(text, order(0, total=20)) == {"go": "where: total >= 100 is false (total 20)"}


def test_a_rule_that_another_event_triggers_says_what_it_waits_for():
    text = journey("transitions: [{id: go, from: one, to: two, event: [order_completed, signed_up]}]\n")
    assert last(text, ("page_viewed", 0, {})) == {"go": "waits for order_completed or signed_up"}


def test_min_dwell_that_is_not_over_is_told():
    text = journey("transitions: [{id: go, from: one, to: two, event: order_completed, min_dwell: 7d}]\n")
    assert last(text, order(0), order(DAY)) == {"go": "min_dwell 7d is not over"}


def test_the_rules_after_the_one_that_held_were_not_looked_at():
    text = journey(
        "transitions:\n"
        "  - {id: first, from: one, to: two, event: order_completed}\n"
        "  - {id: second, from: one, to: two, event: order_completed}\n"
    )
    assert last(text, order(0)) == {
        "first": "held",
        "second": "not looked at: a rule before it in the file held",
    }


def test_a_wait_begins_goes_on_ends_and_speaks():
    text = journey(
        "transitions: [{id: silent, from: one, to: two, after: 10d, since: order_completed, unless: ticket_created}]\n"
    )
    ticket: Moment = ("ticket_created", 3 * DAY, {"ticket_id": "t"})
    look: Moment = ("page_viewed", 2 * DAY, {})
    assert last(text, order(0)) == {"silent": "begins to wait until day 10"}
    assert last(text, order(0), look) == {"silent": "waits until day 10"}
    assert last(text, order(0), ticket) == {"silent": "waits no longer"}
    assert last(text, ticket) == {
        "silent": "waits for 10d after the last order_completed, unless ticket_created"
    }
    assert last(text, order(0), until=10 * DAY) == {"silent": "held"}


def test_waits_per_id_tell_which():
    text = journey("signals: [{id: late, after: 2d, since: order_completed, by: order_id}]\n")
    said = last(text, order(0, order_id="a"), order(DAY, order_id="b"))
    assert said == {"late": "begins to wait until day 2 for a, day 3 for b"}


def test_a_timer_whose_guard_does_not_hold_says_so():
    text = journey(
        "attributes: {orders: {count: order_completed}}\n"
        "transitions: [{id: silent, from: one, to: two, after: 10d, since: order_completed, when: orders > 1}]\n"
    )
    assert last(text, order(0), until=DAY * 10) == {"silent": "when: orders > 1 is false (orders 1)"}


def test_a_sequence_that_is_not_complete_says_so():
    text = journey(
        "transitions: [{id: go, from: one, to: two, sequence: [checkout_started, [checkout_failed, page_left]], within: 30m}]\n"
    )
    begun: Moment = ("checkout_started", 0, {})
    ended: Moment = ("checkout_failed", HOUR // 4, {})
    assert last(text, begun) == {"go": "its sequence is not complete"}
    assert last(text, ended) == {"go": "its sequence is not complete"}
    assert last(text, begun, ended) == {"go": "held"}


def test_a_step_of_a_sequence_that_does_not_fit_tells_its_guard():
    text = journey(
        "transitions: [{id: go, from: one, to: two, sequence: [page_viewed, page_viewed], within: 1d, where: ['content_type == \"faq\"', null]}]\n"
    )
    said = last(text, ("page_viewed", 0, {"content_type": "kb"}))
    assert said == {
        "go": 'its sequence is not complete: where 1: content_type == "faq" is false (content_type kb)'
    }


def test_a_signal_is_held_back_by_its_limit_and_taken_back_by_an_event():
    text = journey(
        "signals: [{id: thanks, event: order_completed, expires: 9d, cancel: ticket_created, limit: {every: 30d}}]\n"
    )
    assert last(text, order(0)) == {"thanks": "held"}
    assert last(text, order(0), order(DAY)) == {"thanks": "its limit says enough"}
    assert last(text, order(0), ("ticket_created", DAY, {"ticket_id": "t"})) == {"thanks": "taken back"}


def test_a_signal_on_entry_waits_for_the_entry():
    text = journey(
        "transitions: [{id: go, from: one, to: two, event: order_completed}]\n"
        "signals: [{id: welcome, enter: two}]\n"
    )
    assert last(text, ("page_viewed", 0, {}))["welcome"] == "waits for an entry into two"
    assert last(text, order(0)) == {"go": "held", "welcome": "held"}


def test_a_rule_that_leads_where_the_customer_is_says_so():
    text = journey(
        "transitions:\n"
        "  - {id: trouble, from: one, to: two, event: ticket_created}\n"
        "  - {id: back, from: any, to: one, event: order_completed}\n"
    )
    assert last(text, order(0))["back"] == "leads to the stage where the customer is"


def test_a_trace_says_what_became_of_events_that_changed_nothing():
    text = journey("transitions: [{id: go, from: one, to: two, event: order_completed}]\n")
    _, _, steps = trace(
        text,
        ("ticket_solved", 0, {"ticket_id": "t"}),
        order(DAY, event_id="same"),
        order(DAY, event_id="same"),
    )
    assert [step.fate for step in steps] == ["unknown_person", "applied", "duplicate"]


def test_forgetting_somebody_is_a_step():
    text = journey("transitions: [{id: go, from: one, to: two, event: order_completed}]\n")
    _, _, steps = trace(text, ("page_viewed", 0, {"anonymous_id": "x"}), until=91 * DAY)
    assert [(step.fate, step.at - BEGIN, step.after) for step in steps[1:]] == [("forgotten", 90 * DAY, None)]


def test_timers_of_several_customers_fire_in_due_order():
    text = journey("transitions: [{id: silent, from: one, to: two, after: 10d, since: order_completed}]\n")
    moments = [order(2 * HOUR, who="a"), order(3 * HOUR, who="b"), order(4 * HOUR, who="a")]
    _, _, steps = trace(text, *moments, until=20 * DAY)
    fired = [(step.person, step.at - BEGIN - 10 * DAY) for step in steps if step.event is None]
    assert fired == [("b", 3 * HOUR), ("a", 4 * HOUR)]


def test_deadlines_are_those_of_the_present_stage_and_not_before_min_dwell():
    text = journey(
        "transitions:\n"
        "  - {id: go, from: one, to: two, event: order_completed}\n"
        "  - {id: soon, from: two, to: one, after: 1d, since: order_completed, min_dwell: 5d}\n"
        "  - {id: elsewhere, from: one, to: two, after: 2d, since: order_completed}\n"
        "signals: [{id: remind, in: two, after: 3d, since: order_completed}]\n"
    )
    definition, program, steps = trace(text, order(0))
    assert steps[-1].after is not None
    ahead = [(due.rule.id, due.at - BEGIN) for due in deadlines(definition, program, steps[-1].after)]
    assert ahead == [("remind", 3 * DAY), ("soon", 5 * DAY)]


# The shipped models: what is told agrees with what happened.


def shipped_traces() -> Iterator[tuple[Journey, Program, list[Step]]]:
    for name in shipped_names():
        definition, program, watch = watched(shipped(name))
        file = companion(f"{name}.yaml")
        folder = resources.files("journey_stream.journeys") / "shipped"
        for case in read_tests(file, (folder / file).read_text("utf-8")).cases[::3]:
            tracer = Tracer(program, watch)
            steps = [
                step for each in _events(case, Decoder(BUILT_IN), []) for step in tracer.apply(each)
            ] + list(tracer.run_until(case.until))
            yield definition, program, steps


def test_rules_that_are_told_to_have_held_are_those_that_made_records():
    seen = 0
    for definition, program, steps in shipped_traces():
        for step in steps:
            told = [each.rule.id for each in verdicts(definition, program, step) if each.outcome == "held"]
            moves = [each.rule for each in step.records if isinstance(each, Transition) and each.from_]
            calls = [
                each.rule for each in step.records if isinstance(each, Signal) and each.status == "raised"
            ]
            assert sorted(told) == sorted({*moves, *calls})
            seen += len(told)
    assert seen > 300


def test_what_is_told_last_of_all_is_true():
    """`same_stage` and `rate_limited` are what is left when nothing else was found: they must really be so."""
    outcomes = set()
    for definition, program, steps in shipped_traces():
        for step in steps:
            for verdict in verdicts(definition, program, step):
                outcomes.add(verdict.outcome)
                if verdict.outcome == "same_stage":
                    assert leads_nowhere(definition, program, step, verdict)
                assert verdict.outcome != "rate_limited" or verdict.rule.rate  # type: ignore[union-attr]
    assert {
        "held",
        "false",
        "unknown",
        "armed",
        "disarmed",
        "waiting",
        "not_triggered",
        "after_another",
    } <= outcomes


def leads_nowhere(definition: Journey, program: Program, step: Step, verdict: Verdict) -> bool:
    stage = stage_of(definition, program, step.before) or definition.start
    return definition.destination(verdict.rule.to, stage) == stage  # type: ignore[union-attr]


WATCH = Watch(detailed=True)
LOADED = load([("lives.yaml", LIVES), ("mirror.yaml", MIRROR)], BUILT_IN).usable()
WATCHED = compile_program(LOADED, BUILT_IN, watch=WATCH)


@settings(max_examples=100, deadline=None)
@given(histories())
def test_a_watched_program_publishes_what_an_unwatched_one_does(history: list[Event]):
    tracer, plain = Tracer(WATCHED, WATCH), Partition(PROGRAM)
    traced = [record for each in history for step in tracer.apply(each) for record in step.records]
    traced += [record for step in tracer.run_until(end_of(history)) for record in step.records]
    for each in history:
        plain.fire(each.at - 1, 0)
        plain.apply(each, each.at)
    plain.fire(end_of(history), 0)
    records = [each for each in plain.drain().records if isinstance(each, Transition | Signal)]

    assert [contents(each) for each in traced] == [contents(each) for each in records]


def contents(record: Transition | Signal) -> tuple[object, ...]:
    return (
        type(record),
        *(getattr(record, name) for name in record.__struct_fields__ if name != "decided_at"),
    )


def test_every_guard_of_a_journey_has_a_place_and_is_watched_there():
    text = journey(
        "attributes: {big: {count: order_completed, where: total > 5}}\n"
        "transitions:\n"
        "  - {id: go, from: one, to: two, event: order_completed, where: total > 1, when: big > 0}\n"
        "signals:\n"
        "  - {id: slow, after: 1d, since: ticket_created, where: 'kind == \"task\"', unless: ticket_solved, unless_where: 'kind == \"task\"', by: ticket_id}\n"
        "  - {id: steps, sequence: [page_viewed, signed_up], within: 1d, where: ['url == \"a\"', null]}\n"
    )
    ticket = {"ticket_id": "t", "kind": "task"}
    definition, _, steps = trace(
        text,
        order(0, total=9),
        ("ticket_created", 1, ticket),
        ("ticket_solved", 2, ticket),
        ("page_viewed", 3, {"url": "a"}),
    )
    looked = {look.at for step in steps for look in step.looks}
    assert set(guards_of(definition)) == looked
    assert sorted(map(str, looked)) == [
        "attribute big where", "go when", "go where", "slow unless_where", "slow where", "steps where 1",
    ]  # fmt: skip
