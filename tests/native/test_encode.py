"""The compiled encoder writes the bytes that Python's writes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journey_stream.encode import Encoder
from journey_stream.engine.stages import with_stages
from journey_stream.settings import Settings, TopicNames
from journey_stream.values import rfc3339
from tests.native.records import TIMES, VALUES, Made, cases, pack

native = pytest.importorskip("journey_stream_native")
TOPICS = TopicNames.of(Settings())
UNHURRIED = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
NOW = 1_767_225_600_123

Row = tuple[bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]


def rows_of(batches: list[Any]) -> list[Row]:
    """Read rows back as a consumer does."""
    rows = []
    for ready in batches:
        records = MemoryRecords(bytes(ready._build()))
        while records.has_next():
            batch = records.next_batch()
            assert batch.validate_crc()
            for record in batch:
                assert NOW == record.timestamp
                rows.append((record.key, record.value, tuple(record.headers)))
    return rows


@UNHURRIED
@given(cases())
def test_records_are_the_bytes_that_python_writes(made: Made) -> None:
    transitions, signals, stages, _ = native.probe_encode(made.program, made.native, NOW)
    expected: dict[str, list[Row]] = {TOPICS.transitions: [], TOPICS.signals: [], TOPICS.stages: []}
    encoder = Encoder(TOPICS)
    for record in with_stages(made.python):
        out = encoder.encode(record)
        expected[out.topic].append((out.key, out.value, out.headers))
    assert expected[TOPICS.transitions] == rows_of(transitions)
    assert expected[TOPICS.signals] == rows_of(signals)
    assert expected[TOPICS.stages] == rows_of(stages)


@UNHURRIED
@given(VALUES)
def test_values_are_the_json_that_msgspec_writes(value: Any) -> None:
    assert msgspec.json.encode(value) == bytes(native.probe_json(pack(value)))


@UNHURRIED
@given(st.floats())
def test_floats_are_the_shortest_text(value: float) -> None:
    assert msgspec.json.encode(value) == bytes(native.probe_json(pack(value)))


@UNHURRIED
@given(TIMES)
def test_times_are_rfc_3339(at: int) -> None:
    assert rfc3339(at) == native.probe_moment(at)


@pytest.mark.parametrize("at", [-62_135_596_800_000_001, 253_402_300_800_000_000, 2**63 - 1])
def test_a_time_that_python_cannot_have_is_refused(at: int) -> None:
    with pytest.raises(ValueError, match="beyond the years"):
        native.probe_moment(at)


@pytest.mark.parametrize("value", [{None: 1}, {True: 1}])
def test_a_key_that_json_cannot_have_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="a key that JSON cannot have"):
        native.probe_json(pack(value))
