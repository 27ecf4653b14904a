"""How many customers come back after a silence: what counts as one, and the estimate."""

import json
from bisect import bisect_left
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journey_stream.backtest import Curve, Silences
from journey_stream.backtest.calibrate import LEAST, returning
from journey_stream.engine.program import EngineOptions, compile_program
from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import load
from journey_stream.replay import replay_each
from journey_stream.values import DAY, HOUR, rfc3339

JOURNEY = """
journey: x
version: 1
parameters: {long: 40d}
start: new
stages:
  new:  {kind: prospect}
  here: {kind: retention}
  away: {kind: attrition}
transitions:
  - {id: buys, from: [new, away], to: here, event: order_completed}
  - {id: gone, from: here, to: away, after: long, since: order_completed, unless: product_used}
  - {id: big-gone, from: here, to: away, after: "long * 2.0", since: order_completed, where: total > 100}
signals:
  - {id: cart, in: here, event: [], after: 1h, since: product_added, unless: product_removed, by: cart_id}
  - {id: sleepy, in: here, after: 5d, since: stage}
""".replace(" event: [],", "")


def event(number: int, person: str, type: str, at: int, **properties: Any) -> bytes:
    return json.dumps(
        {
            "event_id": str(number),
            "type": type,
            "occurred_at": rfc3339(at),
            "customer_id": person,
            "properties": properties,
        }
    ).encode()


def curves(
    events: list[tuple[str, str, int, dict[str, Any]]], until: int, at_most: float = 0.2
) -> dict[str, Curve]:
    journey = load([("x.yaml", JOURNEY)], BUILT_IN).usable()[0]
    program = compile_program([journey], BUILT_IN, EngineOptions())
    silences = Silences(journey, BUILT_IN)
    lines = [event(n, person, type, at, **more) for n, (person, type, at, more) in enumerate(events)]
    (found,) = replay_each([program], [lines], Decoder(BUILT_IN), 0, until, seen=silences.see)
    return {curve.rule: curve for curve in silences.curves(found.records, until, at_most)}


def order(person: str, at: int, total: float = 10.0) -> tuple[str, str, int, dict[str, Any]]:
    return (person, "order_completed", at, {"order_id": f"{person}{at}", "total": total})


def test_a_silence_ends_with_the_next_since_or_unless_event_and_else_at_the_end_of_history():
    events = sorted(
        [order("a", 0), order("a", 10 * DAY), ("a", "product_used", 13 * DAY, {}), order("b", 0)],
        key=lambda e: e[2],
    )
    found = curves(events, 20 * DAY)["gone"]
    # a: 10 days, then 3 days; b's silence is cut off at 20 days.
    assert (3, 2) == (found.silences, found.returned)
    assert [] == found.points
    assert "40" in found.says or "long" in found.says


def test_only_matching_events_and_only_the_rules_stages_begin_a_silence():
    events = [
        ("c", "page_viewed", 0, {}),
        order("c", 5, 500.0),
        order("c", 2 * DAY, 5.0),
        order("d", 3 * DAY, 5.0),
    ]
    found = curves(events, 20 * DAY)
    assert (1, 0) == (found["big-gone"].silences, found["big-gone"].returned)
    assert (3, 1) == (found["gone"].silences, found["gone"].returned)


def test_ids_have_silences_of_their_own():
    events = [
        order("a", 0),
        ("a", "product_added", 10, {"cart_id": "1"}),
        ("a", "product_added", 20, {"cart_id": "2"}),
        ("a", "product_removed", 30, {"cart_id": "1"}),
    ]
    found = curves(events, DAY)["cart"]
    assert (2, 1) == (found.silences, found.returned)
    assert HOUR / 1e6 == found.now_s


def test_since_the_stage_begins_at_the_entry_and_ends_with_any_act():
    events = [order("a", 0), ("a", "page_viewed", 2 * DAY, {}), order("b", DAY)]
    found = curves(events, 9 * DAY)["sleepy"]
    assert (2, 1) == (found.silences, found.returned)


def test_the_suggestion_is_the_shortest_silence_after_which_few_come_back():
    # 100 customers: 60 come back after 1 to 60 days, 40 never; watched for 300 days.
    events = [order(f"p{n:03}", 0) for n in range(100)]
    events += [order(f"p{n:03}", (n + 1) * DAY) for n in range(60)]
    events.sort(key=lambda e: e[2])
    found = curves(events, 300 * DAY)["gone"]
    first = next(point for point in found.points if point.silence_s == 0)
    assert first.returning > 0.3
    at = {point.silence_s: point.returning for point in found.points}
    assert at[40 * 86_400] == found.now_returning
    assert found.suggested_s is not None
    assert at[found.suggested_s] <= 0.2
    earlier = [length for length in at if length < found.suggested_s]
    assert all(at[length] > 0.2 for length in earlier)
    # Watched for 70 days only, nobody can be seen to come back much later: no word on what few do.
    assert None is curves(events, 70 * DAY)["gone"].suggested_s


@given(st.lists(st.integers(1, 50), min_size=LEAST, max_size=200))
def test_without_cuts_the_estimate_is_the_plain_share(lengths: list[int]):
    silences = [(length, True) for length in lengths] + [(1_000, False)] * LEAST
    for point in returning(silences)[:-1]:
        length = round(point.silence_s * 1e6)
        ordered = sorted(lengths)
        longer = len(lengths) - bisect_left(ordered, length + 1)
        assert (longer + LEAST) == point.silences
        assert point.returning == pytest.approx(longer / (longer + LEAST))


@given(st.lists(st.tuples(st.integers(0, 100), st.booleans()), max_size=150))
def test_shares_fall_with_the_length_and_stay_between_none_and_all(silences: list[tuple[int, bool]]):
    points = returning(silences)
    shares = [point.returning for point in points]
    assert sorted(shares, reverse=True) == pytest.approx(shares)
    assert all(0 <= share <= 1 for share in shares)
    assert all(point.silences >= LEAST for point in points[:-1])
    assert all(point.silences < LEAST for point in points[-1:])
    assert sorted({point.silence_s for point in points}) == [point.silence_s for point in points]


def test_where_nobody_ever_came_back_there_is_nothing_to_draw():
    assert [] == returning([(5, False)] * 100)
