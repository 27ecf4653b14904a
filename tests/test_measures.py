"""Measures of small histories, with numbers that a hand can check."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from journey_stream import measures
from journey_stream.measures import Attrition, Dwell, Flow, Value
from journey_stream.values import DAY, micros

KINDS = {
    "prospect": "prospect",
    "buyer": "conversion",
    "core": "retention",
    "lost": "attrition",
}
JANUARY, FEBRUARY, MARCH, APRIL = measures.months(
    micros(datetime(2026, 1, 1, tzinfo=UTC)), micros(datetime(2026, 4, 30, tzinfo=UTC))
)


class Story:
    """Writes records as a worker would publish them."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.stages: dict[str, str] = {}
        self.owners = {"prospect": "marketing", "buyer": "sales", "core": "sales", "lost": "marketing"}

    def moves(self, who: str, when: str, to: str, reason: str | None = None, **attributes: Any) -> str:
        number = len(self.records) + 1
        record = {
            "transition_id": f"t{number}", "journey": "shop", "customer_id": who, "to": to,
            "from": self.stages.get(who), "to_kind": KINDS[to], "direction": "forward", "reason": reason,
            "owner": self.owners[to], "trigger": "event", "occurred_at": moment(when), "sequence": number,
            "attributes": attributes, "test": False, "corrects": None,
        }  # fmt: skip
        self.stages[who] = to
        self.records.append(record)
        return f"t{number}"

    def signals(self, who: str, when: str, signal: str, owner: str = "sales", **more: Any) -> str:
        number = len(self.records) + 1
        record = {
            "signal_id": f"s{number}", "signal": signal, "status": "raised", "journey": "shop",
            "customer_id": who, "stage": self.stages[who], "kind": KINDS[self.stages[who]], "owner": owner,
            "reason": None, "occurred_at": moment(when), "sequence": number, "payload": {}, "attributes": {},
            "test": False, "corrects": None, **more,
        }  # fmt: skip
        self.records.append(record)
        return f"s{number}"

    def history(self) -> measures.History:
        return measures.read(self.records)["shop"]


def moment(when: str) -> str:
    return when if "T" in when else f"{when}T00:00:00Z"


@pytest.fixture
def story() -> Story:
    """Ann buys twice, is lost and won back; Bob buys once and is lost; Cid never buys; Dan came in March."""
    told = Story()
    told.moves("ann", "2026-01-02", "prospect")
    told.moves("bob", "2026-01-03", "prospect")
    told.moves("cid", "2026-01-04", "prospect")
    told.moves("ann", "2026-01-10", "buyer", orders=1, revenue=40.0)
    told.moves("bob", "2026-01-20", "buyer", orders=1, revenue=10.0)
    told.moves("ann", "2026-01-30", "core", orders=2, revenue=100.0)
    told.moves("bob", "2026-02-10", "lost", "silence", orders=1, revenue=10.0)
    told.moves("cid", "2026-02-11", "lost", "never_bought", orders=0, revenue=0.0)
    told.moves("ann", "2026-03-01", "lost", "boredom", orders=2, revenue=100.0)
    told.moves("dan", "2026-03-02", "prospect", orders=0, revenue=0.0)
    told.moves("ann", "2026-04-05", "buyer", "won_back", orders=3, revenue=130.0)
    return told


def test_months_are_calendar_months_that_touch_the_time() -> None:
    assert [p.name for p in (JANUARY, FEBRUARY, MARCH, APRIL)] == ["2026-01", "2026-02", "2026-03", "2026-04"]
    assert JANUARY.end == FEBRUARY.start
    assert FEBRUARY.end - FEBRUARY.start == 28 * DAY


def test_periods_of_one_length_cover_the_time() -> None:
    periods = measures.every(10 * DAY, JANUARY.start, JANUARY.start + 25 * DAY)

    assert [(p.start - JANUARY.start) // DAY for p in periods] == [0, 10, 20]


def test_the_population_counts_where_everybody_is(story: Story) -> None:
    history = story.history()

    assert measures.population(history, JANUARY.start) == {}
    assert measures.population(history, FEBRUARY.start) == {"core": 1, "buyer": 1, "prospect": 1}
    assert measures.population(history, MARCH.start) == {"core": 1, "lost": 2}
    assert measures.population(history, APRIL.end) == {"buyer": 1, "lost": 2, "prospect": 1}


def test_what_happens_at_the_first_moment_of_a_period_belongs_to_it(story: Story) -> None:
    flow = measures.flows(story.history(), MARCH)

    assert flow["lost"] == Flow(start=2, end=3, entries=1, exits=0)
    assert flow["core"] == Flow(start=1, end=0, entries=0, exits=1)


def test_flows_balance(story: Story) -> None:
    history = story.history()

    for period in (JANUARY, FEBRUARY, MARCH, APRIL):
        for flow in measures.flows(history, period).values():
            assert flow.end == flow.start + flow.entries - flow.exits


def test_dwell_time_is_that_of_finished_stays(story: Story) -> None:
    dwell = measures.dwell(story.history())

    day = 86_400.0
    assert dwell["buyer"] == Dwell(stays=2, mean_s=20.5 * day, median_s=20.5 * day)
    assert dwell["prospect"] == Dwell(stays=3, mean_s=(8 + 17 + 38) / 3 * day, median_s=17 * day)


def test_retention_is_the_share_of_a_stage_that_attrition_did_not_get(story: Story) -> None:
    history = story.history()

    assert measures.retention(history, "buyer", FEBRUARY) == 0.0
    assert measures.retention(history, "core", FEBRUARY) == 1.0
    assert measures.retention(history, "core", MARCH) == 0.0
    assert measures.retention(history, "buyer", MARCH) is None
    assert measures.retentions(history, FEBRUARY) == {"core": 1.0, "buyer": 0.0, "prospect": 0.0}


def test_attrition_is_measured_against_those_who_had_bought(story: Story) -> None:
    history = story.history()

    assert measures.attrition(history, JANUARY) == Attrition(0, 0, None, 0, 0, arrived=2)
    assert measures.attrition(history, FEBRUARY) == Attrition(
        lost=1, had_bought=2, rate=0.5, won_back=0, never_buyers=1, arrived=0
    )
    assert measures.attrition(history, MARCH).rate == 0.5


def test_win_backs_are_shown_apart(story: Story) -> None:
    assert measures.attrition(story.history(), APRIL).won_back == 1


def test_the_alarm_needs_two_bad_periods_in_a_row(story: Story) -> None:
    history = story.history()

    assert measures.alarms(history, (JANUARY, FEBRUARY)) == ()
    assert measures.alarms(history, (JANUARY, FEBRUARY, MARCH, APRIL)) == ("2026-03",)


def test_revenue_is_credited_to_the_stage_that_the_order_leads_to(story: Story) -> None:
    january = measures.value(story.history(), JANUARY)

    assert january["buyer"] == Value(revenue=50.0, orders=2, mean_basket=25.0, median_interval_s=None)
    assert january["core"] == Value(revenue=60.0, orders=1, mean_basket=60.0, median_interval_s=20 * 86_400.0)


def test_an_undone_order_takes_its_revenue_back() -> None:
    story = Story()
    story.moves("ann", "2026-01-02", "buyer", orders=1, revenue=40.0)
    story.moves("ann", "2026-01-03", "prospect", "order_undone", orders=0, revenue=0.0)
    history = story.history()

    assert measures.value(history, JANUARY) == {"buyer": Value(0.0, 0, None, None)}
    assert measures.attrition(history, FEBRUARY).had_bought == 0


def test_sentiment_is_the_mean_of_opinions_given_in_the_stage(story: Story) -> None:
    for who, when, sentiment in (
        ("ann", "2026-04-06", 1.0),
        ("ann", "2026-04-07", -0.5),
        ("dan", "2026-04-08", 0.0),
    ):
        story.signals(who, when, "opinion_given", payload={"sentiment": sentiment, "cause": "complaint"})

    assert measures.sentiment(story.history(), APRIL) == {"buyer": 0.25, "prospect": 0.0}
    assert measures.sentiment(story.history(), MARCH) == {}


def test_causes_rank_by_customers_touched_then_by_their_revenue(story: Story) -> None:
    for who, cause in (
        ("ann", "complaint"),
        ("ann", "complaint"),
        ("bob", "reopened"),
        ("ann", "late"),
        ("bob", "late"),
    ):
        story.signals(who, "2026-04-20", "opinion_given", payload={"sentiment": -0.5, "cause": cause})
    story.signals("dan", "2026-04-20", "opinion_given", payload={"sentiment": 0.0, "cause": "fine"})

    ranks = [(r.cause, r.customers, r.revenue, r.opinions) for r in measures.causes(story.history())]
    assert ranks == [("late", 2, 140.0, 2), ("complaint", 1, 130.0, 2), ("reopened", 1, 10.0, 1)]


def test_owners_are_measured_by_what_they_handled_and_handed_on(story: Story) -> None:
    first = story.signals("ann", "2026-04-06", "call", owner="service")
    story.signals("bob", "2026-04-06", "call", owner="service")
    story.signals(
        "ann", "2026-04-06T02:00:00Z", "loop_closed", owner="analytics", payload={"signal_id": first}
    )

    owners = measures.owners(story.history())
    assert (owners["service"].raised, owners["service"].handled, owners["service"].median_s) == (
        2,
        1,
        7_200.0,
    )
    assert owners["marketing"].hand_offs == {"sales": 3}


def test_corrected_records_and_their_corrections_do_not_count(story: Story) -> None:
    wrong = story.moves("dan", "2026-04-10", "buyer", orders=1, revenue=99.0)
    story.records.append(
        story.records[-1]
        | {"transition_id": "t99", "trigger": "correction", "corrects": wrong, "to": "prospect"}
    )

    assert measures.population(story.history(), APRIL.end)["buyer"] == 1
    assert measures.attrition(story.history(), APRIL).arrived == 0


def test_test_customers_are_left_out_unless_asked_for(story: Story) -> None:
    story.moves("eve", "2026-01-05", "prospect")
    story.records[-1]["test"] = True

    assert "eve" not in measures.read(story.records)["shop"].stays
    assert "eve" in measures.read(story.records, tests=True)["shop"].stays


def test_records_may_come_in_any_order_and_inside_cloud_events(story: Story) -> None:
    wrapped = [{"specversion": "1.0", "data": record} for record in reversed(story.records)]

    assert measures.read(wrapped)["shop"] == story.history()


def test_a_history_knows_its_stages_and_its_time(story: Story) -> None:
    history = story.history()

    assert history.stages == ("prospect", "buyer", "core", "lost")
    assert history.span == (JANUARY.start + DAY, APRIL.start + 4 * DAY)


def test_cancelled_signals_are_told_from_others(story: Story) -> None:
    kept = story.signals("ann", "2026-04-06", "call")
    story.signals("ann", "2026-04-06", "call")
    story.records.append(story.records[-1] | {"status": "cancelled", "sequence": 99})

    assert [(s.signal_id, s.cancelled) for s in story.history().signals] == [(kept, False), ("s13", True)]
