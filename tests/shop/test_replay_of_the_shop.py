"""The shop through the five models by `replay`: its disorder changes nothing, its bad records are all found."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from journey_stream.deployment import Deployment, assemble
from journey_stream.replay import Replayed, replay
from journey_stream.settings import Settings
from journey_stream.shop import SOURCES, ShopOptions, ShopRecord, simulate
from journey_stream.values import DAY, Signal, Transition

TIDY = ShopOptions(seed=5, customers=40, days=100, cast=False)
UNTIL = TIDY.start + 103 * DAY
NEEDS_A_BROKER = ("null_value", "time_ahead")
"""Kinds of bad records that a file cannot show."""


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    return assemble(Settings())


def run(deployment: Deployment, records: list[ShopRecord]) -> Replayed:
    usable = [r for r in records if r.value is not None and r.flaw not in NEEDS_A_BROKER]
    sources = [[r.value or b"" for r in usable if r.source == source] for source in SOURCES]
    return replay(deployment.program, sources, deployment.decoder, TIDY.lateness, UNTIL)


def content(replayed: Replayed) -> list[Transition | Signal]:
    """The records but for when and in which order they were decided."""
    return [msgspec.structs.replace(r, decided_at=0, sequence=0) for r in replayed.records]


def test_duplicates_disorder_within_the_lateness_and_bad_records_change_nothing(
    deployment: Deployment,
) -> None:
    messy = msgspec.structs.replace(TIDY, duplicates=0.1, out_of_order=0.2, poison=0.02)

    tidy = run(deployment, list(simulate(TIDY)))

    assert len(tidy.records) > 1_000
    assert content(tidy) == content(run(deployment, list(simulate(messy))))


def test_each_bad_record_is_refused_once_for_its_reason(deployment: Deployment) -> None:
    records = list(simulate(msgspec.structs.replace(TIDY, poison=0.02)))

    expected = Counter(r.poison for r in records if r.poison and r.flaw not in NEEDS_A_BROKER)
    assert Counter(refused.reason for refused in run(deployment, records).rejections) == expected


def test_late_events_are_flagged_and_those_beyond_the_window_refused(deployment: Deployment) -> None:
    records = list(simulate(msgspec.structs.replace(TIDY, late=0.03, too_late=0.01)))

    replayed = run(deployment, records)

    assert any(record.late for record in replayed.records)
    assert {refused.reason for refused in replayed.rejections} == {"too_late"}
    assert len(replayed.rejections) <= sum(r.disorder == "too_late" for r in records)
