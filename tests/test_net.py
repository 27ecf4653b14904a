"""Net records: what was corrected is gone, what came again is there, and nothing is hidden."""

from __future__ import annotations

from typing import Any

import pytest

from journey_stream.net import net


def moved(name: str, number: int, corrects: str | None = None) -> dict[str, Any]:
    return {"transition_id": name, "sequence": number, "corrects": corrects}


def called(name: str, number: int, status: str = "raised", corrects: str | None = None) -> dict[str, Any]:
    return {"signal_id": name, "status": status, "sequence": number, "corrects": corrects}


def test_without_corrections_all_is_net() -> None:
    records = [moved("a", 1), called("s", 2), called("s", 3, "cancelled"), moved("b", 4)]

    assert records == net(records, strict=True)


def test_what_was_corrected_and_the_correction_are_left_out() -> None:
    records = [moved("a", 1), moved("b", 2), moved("r", 3, corrects="b"), moved("c", 4)]

    assert [records[0], records[3]] == net(records, strict=True)


def test_what_was_taken_back_may_come_again() -> None:
    records = [moved("a", 1), moved("r", 2, corrects="a"), moved("a", 3)]

    assert records[2:] == net(records, strict=True)
    assert [] == net([*records, moved("s", 4, corrects="a")], strict=True)


def test_records_may_come_in_any_order() -> None:
    records = [moved("a", 3), moved("r", 2, corrects="a"), moved("a", 1)]

    assert records[:1] == net(records, strict=True)


def test_a_signal_and_its_cancellation_are_corrected_each_by_its_opposite() -> None:
    raised, cancelled = called("s", 1), called("s", 2, "cancelled")

    assert [cancelled] == net([raised, cancelled, called("s", 3, "cancelled", corrects="s")], strict=True)
    assert [raised] == net([raised, cancelled, called("s", 3, "raised", corrects="s")], strict=True)


def test_what_is_there_twice_stays_visible() -> None:
    records = [moved("a", 1), moved("a", 1), moved("b", 2), moved("b", 2), moved("r", 3, corrects="b")]

    assert ["a", "a", "b"] == [record["transition_id"] for record in net(records)]


def test_a_correction_of_nothing_is_an_error_only_where_all_is_known() -> None:
    records = [moved("r", 3, corrects="a")]

    assert [] == net(records)
    with pytest.raises(ValueError, match="corrects 'a', which does not hold"):
        net(records, strict=True)


def test_values_may_lie_inside_cloud_events() -> None:
    wrapped = [{"data": moved("a", 1)}, {"data": moved("r", 2, corrects="a")}, {"data": called("s", 3)}]

    assert wrapped[2:] == net(wrapped, strict=True)
