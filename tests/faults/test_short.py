"""The short forms of the cases: the same code as `make faults`, fewer of everything."""

from __future__ import annotations

from pathlib import Path

import pytest

import tests.faults.every  # noqa: F401
from journey_stream.broker import EmbeddedKafka
from tests.faults.case import CASES, Case

NAMES = ["kill-9", "bounce", "storm", "pause", "rolling", "live-kill-9", "broker-restarts", "backpressure"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
async def test_nothing_is_lost_nothing_wrong_nothing_twice(
    name: str, kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    case = CASES[name]
    assert isinstance(case, Case)
    outcome = await case.run(case.short, tmp_path, kafka)
    assert "ok" == outcome.result, f"{outcome.line()}\n{outcome.trouble}"
