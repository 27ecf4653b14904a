"""Cold start: customers whose past is known only in sums begin where it leads, silently."""

import itertools
import json
import re
from copy import copy
from pathlib import Path
from typing import Any

import msgspec

from journey_stream.engine.partition import Partition
from journey_stream.engine.program import compile_program
from journey_stream.engine.view import CustomerView, view
from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import load, shipped, shipped_names
from journey_stream.net import net
from journey_stream.replay import replay
from journey_stream.values import DAY, HOUR, Event, Signal, Transition, rfc3339

PROGRAM = compile_program(load([(n, shipped(n)) for n in shipped_names()], BUILT_IN).usable(), BUILT_IN)
DECODER = Decoder(BUILT_IN)
T = 19_000 * DAY


def decoded(id_: str, type: str, at: int, person: str = "ann", **properties: Any) -> Event:
    value = {
        "event_id": id_,
        "type": type,
        "occurred_at": rfc3339(at),
        "customer_id": person,
        "properties": properties,
    }
    found = DECODER.decode(json.dumps(value).encode(), at)
    assert isinstance(found, Event), found
    return found


def imported(at: int = T, orders: int = 4, last: int = T - 30 * DAY, id_: str = "i", **more: Any) -> Event:
    first = more.pop("first", T - 120 * DAY)
    sums = {"orders": orders, "revenue": 400.0, "categories": ["tea", "beans"]}
    times = {"first_order_at": rfc3339(first), "last_order_at": rfc3339(last)}
    return decoded(id_, "history_imported", at, **{**sums, **times, **more})


def order(id_: str, at: int) -> Event:
    return decoded(id_, "order_completed", at, order_id=id_, total=50.0)


def run(*events: Event, until: int | None = None) -> tuple[Partition, list[Any]]:
    partition = Partition(PROGRAM)
    for event in events:
        partition.apply(event, event.at)
    if until is not None:
        partition.fire(until, until)
    return partition, partition.drain().records


def told(records: list[Any], journey: str) -> list[tuple[str, str | None, str]]:
    return [(r.rule, r.from_, r.to) for r in records if isinstance(r, Transition) and r.journey == journey]


def seen(partition: Partition, at: int = T) -> CustomerView:
    c = partition.customer("ann")
    assert c is not None
    return view(PROGRAM, c, at)


def test_an_old_customer_is_not_a_first_time_buyer_on_day_one():
    partition, records = run(imported(), order("o1", T + DAY))
    assert [("history_imported", None, "core_customer")] == told(records, "buyer-value")
    (start,) = [r for r in records if isinstance(r, Transition) and r.journey == "buyer-value"]
    assert (1, True, T, "history_imported") == (
        start.sequence,
        start.replay,
        start.occurred_at,
        start.cause.type,
    )
    assert {"orders": 4, "revenue": 400.0} == {k: start.attributes[k] for k in ("orders", "revenue")}
    after = next(j for j in seen(partition, T + DAY).journeys if j.journey == "buyer-value")
    assert (5, 450.0) == (after.attributes["orders"], after.attributes["revenue"])


def test_the_import_itself_raises_no_signal_and_publishes_one_record_a_journey():
    _, records = run(imported())
    assert [] == [r for r in records if isinstance(r, Signal)]
    moves = [r for r in records if isinstance(r, Transition)]
    assert sorted(shipped_names()) == sorted(r.journey for r in moves)
    assert all(r.replay and r.from_ is None for r in moves)


def test_attributes_are_those_of_as_many_orders_spread_evenly():
    partition, _ = run(imported())
    now = next(j for j in seen(partition).journeys if j.journey == "buyer-value")
    assert 4 == now.attributes["orders"]
    assert (T - 120 * DAY) / 1e6 == now.attributes["first_order_at"]
    assert (T - 30 * DAY) / 1e6 == now.attributes["last_order_at"]
    assert 30 * DAY / 1e6 == now.attributes["rhythm"]
    assert ["beans", "tea"] == sorted(now.attributes["categories"])


def test_deadlines_run_from_the_last_order_of_the_past():
    partition, _ = run(imported(orders=1))
    lapsed = next(t for t in seen(partition).timers if (t.journey, t.rule) == ("buyer-value", "lapsed"))
    assert T - 30 * DAY + 180 * DAY == lapsed.due
    _, records = run(imported(orders=1), until=T + 200 * DAY)
    lapses = [r for r in records if isinstance(r, Transition) and r.rule == "lapsed"]
    assert [(T + 150 * DAY, False)] == [(r.occurred_at, r.replay) for r in lapses]


def test_what_lies_so_far_back_that_it_was_over_is_over_silently():
    _, records = run(imported(orders=2, first=T - 500 * DAY, last=T - 400 * DAY))
    assert [("history_imported", None, "lapsed_buyer")] == told(records, "buyer-value")
    assert [] == [r for r in records if isinstance(r, Signal)]


def test_a_visitor_who_is_known_already_keeps_what_they_did():
    visit = decoded("v", "product_viewed", T - HOUR, product_id="p", category="cups")
    partition, records = run(visit, imported())
    assert [("start", None, "prospect"), ("history_imported", "prospect", "core_customer")] == told(
        records, "buyer-value"
    )
    now = next(j for j in seen(partition).journeys if j.journey == "buyer-value")
    assert ["cups"] == now.attributes["explored"], "what is known from here is not overwritten"
    assert 4 == now.attributes["orders"]


def test_a_buyer_of_ours_and_a_second_import_change_nothing():
    partition, records = run(order("o1", T - DAY), imported())
    assert [("start", None, "prospect"), ("first-order", "prospect", "first_time_buyer")] == told(
        records, "buyer-value"
    )
    _, twice = run(imported(), imported(at=T + 1, id_="j", orders=9))
    _, once = run(imported())
    assert told(once, "buyer-value") == told(twice, "buyer-value")
    assert 1 == next(j for j in seen(partition).journeys if j.journey == "buyer-value").attributes["orders"]


def test_an_import_without_orders_makes_a_prospect():
    _, records = run(imported(orders=0))
    assert [("start", None, "prospect")] == told(records, "buyer-value")


def test_times_that_are_missing_or_to_come_are_taken_for_the_time_of_the_import():
    bare = decoded("i", "history_imported", T, orders=1, revenue=10.0)
    partition, _ = run(bare)
    now = next(j for j in seen(partition).journeys if j.journey == "buyer-value")
    assert (T / 1e6, T / 1e6) == (now.attributes["first_order_at"], now.attributes["last_order_at"])
    later, _ = run(imported(orders=2, last=T + 5 * DAY))
    now = next(j for j in seen(later).journeys if j.journey == "buyer-value")
    assert T / 1e6 == now.attributes["last_order_at"]


def test_more_orders_than_are_told_apart_count_as_so_many():
    partition, _ = run(imported(orders=5_000))
    now = next(j for j in seen(partition).journeys if j.journey == "buyer-value")
    assert 1_000 == now.attributes["orders"]


def test_any_order_of_arrival_within_the_lateness_gives_the_sorted_outcome():
    events = [
        decoded("v", "product_viewed", T - 30 * 60_000_000, product_id="p", category="cups"),
        imported(at=T),
        order("o1", T + 10 * 60_000_000),
        decoded(
            "s",
            "survey_responded",
            T + 20 * 60_000_000,
            survey_id="s",
            response_id="r",
            survey_type="nps",
            score=0,
        ),
    ]
    _, sorted_ = run(*events)
    expected = contents(sorted_)
    assert any(r["rule"] == "history_imported" for r in expected)
    for arrival in itertools.permutations(events):
        partition = Partition(PROGRAM)
        partition.horizon = T - HOUR
        for event in arrival:
            partition.apply(decoded_again(event), event.at)
        found = partition.drain().records
        assert expected == contents(found), [e.event_id for e in arrival]


def decoded_again(event: Event) -> Event:
    """A copy: an event is used up by the partition that it is given to."""
    return copy(event)


def contents(records: list[Any]) -> list[dict[str, Any]]:
    mine = [r for r in records if isinstance(r, Transition | Signal)]
    left_out = {"decided_at", "sequence"}
    plain = [{k: v for k, v in msgspec.structs.asdict(r).items() if k not in left_out} for r in net(mine)]
    return sorted(plain, key=lambda r: json.dumps(r, default=str, sort_keys=True))


def test_the_import_that_the_docs_show_makes_a_core_customer_by_replay():
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
    (shown,) = [
        block for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL) if "history_imported" in block
    ]
    found = replay(PROGRAM, [[shown.replace("\n", " ").encode()]], DECODER, HOUR)
    assert [("history_imported", None, "core_customer")] == told(list(found.records), "buyer-value")
