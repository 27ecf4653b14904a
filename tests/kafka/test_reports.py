"""What the log says of lanes that fail."""

from __future__ import annotations

import time

import pytest

from journey_stream.kafka import reports
from journey_stream.kafka.metrics import Metrics
from journey_stream.kafka.reports import Reports


def test_what_fails_all_lanes_alike_is_traced_once_and_told_for_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = Reports(Metrics())
    for partition in range(8):
        made.failed("intake", f"visits[{partition}]@5", RuntimeError("out of order"))
    assert 8 == len(caplog.records)
    assert [True] + [False] * 7 == [bool(record.exc_info) for record in caplog.records]


def test_another_kind_of_error_and_another_kind_of_lane_have_traces_of_their_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = Reports(Metrics())
    made.failed("intake", "visits[0]@5", RuntimeError("a"))
    made.failed("intake", "visits[1]@5", ValueError("b"))
    made.failed("journeys", "events[0]@5", RuntimeError("a"))
    assert [True] * 3 == [bool(record.exc_info) for record in caplog.records]


def test_what_comes_back_after_a_while_is_traced_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Reports(Metrics())
    made.failed("intake", "visits[0]@5", RuntimeError("a"))
    later = time.monotonic() + 2 * reports.TELL_SECONDS
    monkeypatch.setattr(reports.time, "monotonic", lambda: later)
    made.failed("intake", "visits[1]@5", RuntimeError("a"))
    assert [True] * 2 == [bool(record.exc_info) for record in caplog.records]


def test_the_same_failure_of_a_lane_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    made = Reports(Metrics())
    for offset in range(5):
        made.failed("intake", f"visits[0]@{offset}", RuntimeError("a"))
    assert 1 == len(caplog.records)
