"""The CDNOW sample through `buyer-value`: real customers, counted independently."""

import json
import runpy
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from journey_stream.engine.program import compile_program
from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import load, shipped
from journey_stream.replay import Replayed, replay
from journey_stream.values import DAY, HOUR, SECOND, Transition

EXAMPLE = Path(__file__).parents[2] / "examples" / "cdnow"
CONVERT = runpy.run_path(str(EXAMPLE / "convert.py"))
ROWS = (EXAMPLE / "cdnow_sample.txt").read_text("ascii").splitlines()
UNTIL = 899_251_200 * SECOND
"""1998-07-01, the day after the sample ends."""


@pytest.fixture(scope="module")
def replayed() -> Replayed:
    journeys = load([("buyer-value.yaml", shipped("buyer-value"))], BUILT_IN).usable()
    events = sorted(CONVERT["events"](ROWS), key=CONVERT["by_time"])
    lines = [json.dumps(event).encode() for event in events]
    return replay(compile_program(journeys, BUILT_IN), [lines], Decoder(BUILT_IN), HOUR, UNTIL)


def ever(replayed: Replayed, stage: str) -> set[str]:
    return {r.person for r in replayed.records if isinstance(r, Transition) and r.to == stage}


def test_every_row_is_an_event_with_an_id_of_its_own():
    events = list(CONVERT["events"](ROWS))

    assert len(events) == 6919
    assert [event["event_id"] for event in events] == [str(number) for number in range(1, 6920)]
    assert len({(event["customer_id"], event["occurred_at"]) for event in events}) == 6919


def test_no_event_is_refused(replayed: Replayed):
    assert replayed.rejections == []
    assert replayed.counts["applied"] == 6919


def test_exactly_2357_customers_ever_are_first_time_buyers(replayed: Replayed):
    assert len(ever(replayed, "first_time_buyer")) == 2357


def test_exactly_1152_customers_ever_are_early_repeat_buyers(replayed: Replayed):
    assert len(ever(replayed, "early_repeat_buyer")) == 1152


def test_they_are_those_with_two_rows(replayed: Replayed):
    rows = Counter(row.split()[0] for row in ROWS)

    assert ever(replayed, "early_repeat_buyer") == {who for who, count in rows.items() if count >= 2}


def test_core_customers_are_those_whose_fourth_order_came_in_time(replayed: Replayed):
    """Recomputed from the rows: the fourth (or a later) order, while not lapsed for 180 days."""
    events = sorted(CONVERT["events"](ROWS), key=CONVERT["by_time"])
    days: dict[str, list[str]] = {}
    for event in events:
        days.setdefault(str(event["customer_id"]), []).append(str(event["occurred_at"]))

    assert ever(replayed, "core_customer") == {who for who, at in days.items() if is_core(at)}


def is_core(moments: list[str]) -> bool:
    at = [int(datetime.fromisoformat(moment).timestamp() * SECOND) for moment in moments]
    return any(at[number] - at[number - 1] <= 180 * DAY for number in range(3, len(at)))
