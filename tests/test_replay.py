"""Replay: files in, net records out; the same whatever the order within the lateness and the cut into files."""

from __future__ import annotations

from typing import Any

import msgspec
from engine.histories import PROGRAM, Drawn, drawn_histories, lines_of
from engine.stories import BEGIN, compiled, journey, wire
from hypothesis import given, settings
from hypothesis import strategies as st

from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.replay import Replayed, replay
from journey_stream.values import DAY, HOUR, MINUTE

DECODER = Decoder(BUILT_IN)
FEW = settings(max_examples=60, deadline=None)
UNTIL = BEGIN + 200 * DAY


def replayed(*sources: list[bytes], until: int | None = UNTIL, lateness: int = HOUR) -> Replayed:
    return replay(PROGRAM, sources, DECODER, lateness, until)


def content(result: Replayed) -> list[dict[str, Any]]:
    return [{**msgspec.to_builtins(record), "decided_at": 0} for record in result.records]


@FEW
@given(drawn_histories(), st.data())
def test_any_order_within_the_lateness_has_the_outcome_of_the_sorted_one(
    history: list[Drawn], data: st.DataObject
) -> None:
    delays = [data.draw(st.integers(0, HOUR)) for _ in history]
    arrived = [
        one for _, one in sorted(zip(delays, history, strict=True), key=lambda pair: pair[0] + pair[1][1])
    ]

    assert content(replayed(lines_of(history))) == content(replayed(lines_of(arrived)))


@FEW
@given(drawn_histories(), st.data())
def test_how_events_are_spread_over_files_changes_nothing(history: list[Drawn], data: st.DataObject) -> None:
    files: list[list[Drawn]] = [[], [], []]
    for one in history:
        files[data.draw(st.integers(0, 2))].append(one)

    assert content(replayed(lines_of(history))) == content(replayed(*map(lines_of, files)))


def test_records_come_by_time_customer_journey_and_sequence_and_the_same_each_time() -> None:
    lines = [
        wire("order_completed", at, f"{who}{at}", who=who, order_id="x", total=1.0)
        for who in ("bob", "ann")
        for at in (0, MINUTE)
    ]
    first, second = replayed(lines), replayed(lines)
    keys = [(r.occurred_at, r.person, r.journey, r.sequence) for r in first.records]

    assert sorted(keys) == keys
    assert msgspec.json.encode(first.records) == msgspec.json.encode(second.records)


TIMED = compiled(journey("transitions: [{id: silent, from: one, to: two, after: 2d, since: page_viewed}]\n"))


def test_the_clock_stops_at_the_last_event_unless_told_otherwise() -> None:
    lines = [wire("page_viewed", 0, "a"), wire("page_viewed", 2 * DAY, "b", who="bob")]
    rules = [
        [r.rule for r in replay(TIMED, [lines], DECODER, HOUR, until).records]  # type: ignore[union-attr]
        for until in (None, BEGIN + 2 * DAY - 1, BEGIN + 4 * DAY)
    ]

    assert [
        ["start", "silent", "start"],
        ["start"],
        ["start", "silent", "start", "silent"],
    ] == rules


def test_what_cannot_be_used_is_told_by_source_and_line() -> None:
    good = wire("page_viewed", 20 * DAY, "a")
    late, too_late = wire("page_viewed", 19 * DAY, "b"), wire("page_viewed", 0, "c")
    result = replay(TIMED, [[b"{", good, late, too_late], [b"[]"]], DECODER, HOUR)

    assert [(0, 1, "not_json"), (0, 4, "too_late"), (1, 1, "wrong_type")] == [
        (each.source, each.line, each.reason) for each in result.rejections
    ]
    assert (5, 2, 1) == (result.counts["lines"], result.counts["applied"], result.counts["late"])


def test_a_short_file_is_not_made_late_by_a_long_one() -> None:
    long = [wire("page_viewed", day * DAY, f"l{day}") for day in range(30)]
    short = [wire("order_completed", day * DAY, f"s{day}", who="bob") for day in (0, 15)]
    result = replay(TIMED, [long, short], DECODER, HOUR)

    assert ([], 0, 32) == (result.rejections, result.counts["late"], result.counts["applied"])


def test_a_referral_rewards_the_referrer() -> None:
    program = compiled(journey("transitions: [{id: r, from: one, to: two, event: referral_rewarded}]\n"))
    lines = [
        wire("page_viewed", 0, "a"),
        wire("referral_converted", DAY, "b", who="bob", referrer_id="ann"),
    ]
    result = replay(program, [lines], DECODER, HOUR)

    assert [("ann", "r")] == [(r.person, r.rule) for r in result.records if r.rule != "start"]


def test_nothing_in_is_nothing_out() -> None:
    assert [] == replay(TIMED, [], DECODER, HOUR).records
    assert [] == replay(TIMED, [[]], DECODER, HOUR).records


def test_an_event_ahead_of_its_receipt_is_refused_and_moves_no_clock() -> None:
    received = BEGIN + 30 * DAY
    lines = [wire("page_viewed", at, f"e{at}") for at in (DAY, 3_000 * DAY, 2 * DAY)]
    result = replay(PROGRAM, [lines], DECODER, HOUR, received, received)

    assert [("bad_time", 2)] == [(refused.reason, refused.line) for refused in result.rejections]
    assert 2 == result.counts["applied"]
