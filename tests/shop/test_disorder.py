"""Duplicates, disorder and bad records: as many as asked for, reproducible, and nothing lost."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest

from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.shop import ShopOptions, ShopRecord, simulate
from journey_stream.shop.poison import KINDS
from journey_stream.values import DAY, HOUR, MINUTE, Event, Rejection

BASE: dict[str, Any] = {"seed": 11, "customers": 80, "days": 90}
PLAIN = list(simulate(ShopOptions(**BASE)))


def run(**options: Any) -> list[ShopRecord]:
    return list(simulate(ShopOptions(**BASE, **options)))


def event_time(record: ShopRecord) -> int:
    event = Decoder(BUILT_IN).decode(record.value)
    assert isinstance(event, Event)
    return event.at


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_bad_record_gets_its_reason_from_the_decoder(kind: str) -> None:
    reason, make = KINDS[kind]
    at = ShopOptions().start

    outcome = Decoder(BUILT_IN).decode(make(3, at), at)

    assert isinstance(outcome, Rejection)
    assert reason == outcome.reason


def test_bad_records_come_on_top_of_the_good_ones_and_tell_their_reason() -> None:
    records = run(poison=0.02, poison_kinds=("cut", "unknown_type", "nobody"))

    good = [r for r in records if r.poison is None]
    bad = [r for r in records if r.poison is not None]
    assert good == PLAIN
    assert len(PLAIN) * 0.02 == pytest.approx(len(bad), rel=0.3)
    assert {"not_json", "unknown_type", "no_identity"} == {r.poison for r in bad}
    assert all(r.headers for r in bad)


def test_every_kind_of_bad_record_comes_in_turn() -> None:
    records = run(poison=0.02)

    assert set(KINDS) == {r.flaw for r in records} - {None}


def test_a_duplicate_has_the_same_bytes_and_comes_later() -> None:
    records = run(duplicates=0.05)

    times = Counter(r.event_id for r in records)
    first = {r.event_id: r for r in reversed(records)}
    again = [r for r in records if r.disorder == "duplicate"]
    assert {r.event_id for r in PLAIN} == set(times)
    assert len(PLAIN) * 0.05 == pytest.approx(len(again), rel=0.3)
    assert all(times[r.event_id] == 2 for r in again)
    assert all(first[r.event_id].value == r.value and first[r.event_id].at <= r.at for r in again)


def test_out_of_order_records_stay_within_the_lateness() -> None:
    records = run(out_of_order=0.1, lateness=30 * MINUTE)

    moved = [r for r in records if r.disorder == "out_of_order"]
    assert len(PLAIN) * 0.1 == pytest.approx(len(moved), rel=0.2)
    assert all(0 < r.at - event_time(r) < 30 * MINUTE for r in moved)
    assert any(earlier.at > event_time(later) for earlier, later in itertools.pairwise(records))


def test_late_records_are_beyond_the_lateness_and_within_the_window() -> None:
    records = run(late=0.05)

    moved = [r for r in records if r.disorder == "late"]
    assert len(PLAIN) * 0.05 == pytest.approx(len(moved), rel=0.3)
    assert all(HOUR < r.at - event_time(r) < 7 * DAY for r in moved)


def test_too_late_records_are_beyond_the_window() -> None:
    records = run(too_late=0.02)

    assert all(r.at - event_time(r) > 7 * DAY for r in records if r.disorder == "too_late")
    assert any(r.disorder == "too_late" for r in records)


def test_disorder_changes_only_the_delivery_and_is_reproducible() -> None:
    mess = {"duplicates": 0.05, "out_of_order": 0.1, "late": 0.02, "too_late": 0.01, "poison": 0.003}

    records = run(**mess)

    assert records == run(**mess)
    assert {r.value for r in PLAIN} == {r.value for r in records if r.poison is None}
    assert sorted(r.at for r in records) == [r.at for r in records]


def test_an_unknown_kind_of_bad_record_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"pigeon.*expected some of"):
        run(poison=0.01, poison_kinds=("pigeon",))
