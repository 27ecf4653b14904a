"""Two definitions over the same events."""

import json
import re
from typing import Any

import pytest

from journey_stream.backtest import Comparison, Report, compare, html, pairs, summary, to_json
from journey_stream.backtest.compare import ABSENT
from journey_stream.backtest.report import columns
from journey_stream.engine.program import EngineOptions, compile_program
from journey_stream.errors import UsageError
from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import Journey, load
from journey_stream.replay import replay, replay_each
from journey_stream.shop.simulate import ShopOptions, simulate
from journey_stream.values import DAY, rfc3339
from tests.backtest.test_calibrate import event

OLD = """
journey: x
version: {version}
start: new
stages:
  new: {{kind: prospect}}
  {buyer}: {{kind: retention}}
transitions:
  - {{id: {rule}, from: new, to: {buyer}, event: order_completed, when: "event.total > {least}"}}
signals:
  - {{id: hello, in: new, event: page_viewed, expires: 1d, cancel: order_completed}}
"""


def journey(version: int = 1, buyer: str = "buyer", rule: str = "buys", least: float = 0.0) -> Journey:
    text = OLD.format(version=version, buyer=buyer, rule=rule, least=least)
    return load([("x.yaml", text)], BUILT_IN).usable()[0]


EVENTS = [
    event(1, "ann", "page_viewed", 0),
    event(2, "ann", "order_completed", DAY // 2, order_id="1", total=5.0),
    event(3, "bob", "order_completed", DAY, order_id="2", total=50.0),
    event(4, "cy", "page_viewed", 2 * DAY),
]


def run(old: Journey, new: Journey, options: EngineOptions | None = None, events: Any = EVENTS) -> Comparison:
    programs = [compile_program([each], BUILT_IN, options or EngineOptions()) for each in (old, new)]
    before, after = replay_each(programs, [events], Decoder(BUILT_IN), 0)
    return compare(old, new, before.records, after.records, old_gone=before.gone, new_gone=after.gone)


def test_the_same_definition_moves_nobody():
    found = run(journey(), journey(2, rule="purchase"))
    assert (3, 0, []) == (found.customers, found.moved, found.movers)
    assert [("new", "new", 1), ("buyer", "buyer", 2)] == found.flows
    assert all(change.gained == change.lost == 0 for change in found.rules)


def test_who_moves_by_which_rule_and_what_is_published():
    found = run(journey(), journey(2, least=10.0))
    assert {"new": 1, "buyer": 2} == found.old
    assert {"new": 2, "buyer": 1} == found.new
    assert [("new", "new", 1), ("buyer", "new", 1), ("buyer", "buyer", 1)] == found.flows
    (ann,) = found.movers
    assert ("ann", "buyer", "new", "1970-01-01T12:00:00Z", "1970-01-01T00:00:00Z", "start") == (
        ann.person, ann.old, ann.new, ann.old_since, ann.new_since, ann.rule
    )  # fmt: skip
    told = {(c.sort, c.rule): (c.old, c.new, c.gained, c.lost) for c in found.rules}
    assert {
        ("transition", "start"): (3, 3, 0, 0),
        ("transition", "buys"): (2, 1, 0, 1),
        ("signal", "hello"): (2, 2, 0, 0),
        ("signal", "hello (cancelled)"): (1, 1, 0, 0),
    } == told
    assert ["1970-01-01", "1970-01-02", "1970-01-03"] == [day.day for day in found.days]
    assert (2, 1, 2, 2) == (
        found.days[0].old_transitions, found.days[0].new_transitions, found.days[0].old_signals,
        found.days[0].new_signals,
    )  # fmt: skip


def test_a_stage_that_only_one_definition_has_stands_behind_those_of_the_new_one():
    found = run(journey(), journey(2, buyer="client"))
    assert ["new", "client", "buyer"] == list(found.kinds)
    assert ("buyer", "client", 2) in found.flows


def test_forgotten_customers_are_not_counted_as_standing_anywhere():
    events = [
        json.dumps(
            {"event_id": "9", "type": "page_viewed", "occurred_at": rfc3339(0), "anonymous_id": "z"}
        ).encode()
    ]
    events += [event(1, "ann", "page_viewed", 200 * DAY)]
    found = run(journey(), journey(2), events=events)
    assert 1 == found.customers
    kept = run(journey(), journey(2), EngineOptions(forget_after_anonymous=None), events)
    assert 2 == kept.customers


def test_somebody_whom_only_one_side_knows_is_shown_as_absent():
    old = compile_program([journey()], BUILT_IN, EngineOptions())
    records = replay(old, [EVENTS], Decoder(BUILT_IN), 0).records
    found = compare(journey(), journey(2), records, [r for r in records if r.person != "bob"])
    assert ("buyer", ABSENT, 1) in found.flows
    assert ABSENT == list(found.kinds)[-1]
    assert (ABSENT, "buys") == (found.movers[0].new, found.movers[0].rule)


def test_customers_made_for_tests_are_left_out():
    one = json.loads(EVENTS[2]) | {"context": {"test": True}}
    assert 2 == run(journey(), journey(2), events=[EVENTS[0], json.dumps(one).encode(), EVENTS[3]]).customers


def test_journeys_are_matched_by_id_and_one_against_one_whatever_the_id():
    a, b = journey(), journey(2)
    other = load(
        [("y.yaml", OLD.format(version=1, buyer="b", rule="r", least=0).replace("journey: x", "journey: y"))],
        BUILT_IN,
    ).usable()[0]
    assert [(a, other)] == pairs([a], [other])
    assert [(a, b)] == pairs([other, a], [b])
    with pytest.raises(UsageError, match=r"found y, y in OLD and x in NEW"):
        pairs([other, other], [b])


def test_one_reading_gives_each_program_what_a_replay_of_its_own_gives():
    shop = simulate(ShopOptions(customers=30, days=60, seed=5))
    lines = [record.value for record in shop if record.value is not None]
    programs = [
        compile_program([each], BUILT_IN, EngineOptions()) for each in (journey(), journey(2, least=20.0))
    ]
    together = replay_each(programs, [lines], Decoder(BUILT_IN), DAY)
    for program, found in zip(programs, together, strict=True):
        assert replay(program, [lines], Decoder(BUILT_IN), DAY) == found


def report(comparison: Comparison) -> Report:
    return Report(4, 0, "1970-01-03T00:00:00Z", 0.5, [comparison], {})


def test_the_page_escapes_what_comes_from_outside_and_loads_nothing():
    evil = '<script>alert("x")</script>'
    events = [event(1, evil, "order_completed", 0, order_id="1", total=5.0)]
    page = html(report(run(journey(), journey(2, least=10.0), events=events)))
    assert evil not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)=|url\(|@import|<script", page)
    assert page.count("<table>") == page.count("</table>") == 4


def test_the_page_shows_only_stages_that_have_customers_and_days_at_their_distance():
    events = [
        event(1, "anna", "order_completed", 0, order_id="1", total=5.0),
        event(2, "bob", "order_completed", 10 * DAY, order_id="2", total=5.0),
    ]
    comparison = run(journey(), journey(2), events=events)
    page = html(report(comparison))
    empty = [stage for stage in comparison.kinds if not comparison.old[stage]]
    matrix = page[page.index("Customers by stage under") : page.index("What is published")]
    assert empty
    assert not any(stage in matrix for stage in empty)
    (line,) = re.findall(r'<polyline points="([^"]+)"', page)
    assert len(comparison.days) < len(line.split())
    assert ["60", "820"] == [line.split()[place].split(",")[0] for place in (0, -1)]


def test_text_and_json_tell_the_same_figures():
    found = report(run(journey(), journey(2, least=10.0)))
    told = json.loads(to_json(found))
    assert 8 == told["events_per_second"]
    assert [["new", "new", 1], ["buyer", "new", 1], ["buyer", "buyer", 1]] == told["comparisons"][0]["flows"]
    text = summary(found)
    assert "x: version 1 against 2, 1 of 3 customers stand elsewhere" in text
    assert re.search(r"buyer +new +1\n", text)
    assert re.search(r"transition +buys +2 +1 +0 +1\n", text)


def test_columns_put_words_left_and_numbers_right():
    assert ["  a     n", "  bb   10", "  c   200"] == list(columns(("a", "n"), [("bb", "10"), ("c", "200")]))
