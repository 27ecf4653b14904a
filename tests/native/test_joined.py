"""Batches that are joined hold the records that the small ones held, in their order, at their times."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

native = pytest.importorskip("journey_stream_native")

NOW = 1_767_225_600_123

fields = st.none() | st.binary(max_size=300)
rows = st.lists(
    st.tuples(fields, fields, st.lists(st.tuples(st.sampled_from(["h", "é"]), fields), max_size=2)),
    max_size=12,
)
several = st.lists(st.tuples(rows, st.integers(0, 2**41)), max_size=5)


def read(batches: list[Any]) -> list[tuple[int, Any, Any, Any]]:
    """Read batches as a consumer does: time, key, value, headers."""
    found = []
    for batch in batches:
        batch._set_producer_state(1, 0, 0)
        records = MemoryRecords(bytes(batch._build()))
        while records.has_next():
            one = records.next_batch()
            assert one is not None
            assert one.validate_crc()
            for place, each in enumerate(one):
                assert each.offset == place
                found.append((each.timestamp, each.key, each.value, list(each.headers)))
    return found


@given(
    several,
    rows,
    st.sampled_from([200, 1_000, 1 << 19]),
    st.booleans(),
    st.sampled_from(["none", "gzip", "lz4", "zstd"]),
)
def test_nothing_is_lost_and_nothing_changes_its_place(
    several: list[Any], last: list[Any], limit: int, transactional: bool, compression: str
) -> None:
    def made() -> list[Any]:
        return [
            batch
            for rows, at in several
            for batch in native.ready_batches(rows, [at + n for n in range(len(rows))], transactional, limit)
        ]

    expected = read(made()) + [(NOW, *row) for row in last]
    joined = native.join_batches(made(), last, NOW, transactional, limit, compression)
    records = [batch.record_count() for batch in joined]
    assert all(batch.size() <= limit for batch in joined if batch.record_count() > 1)
    assert read(joined) == expected
    assert sum(records) == len(expected)


def test_small_batches_become_one_and_a_large_one_stays() -> None:
    def batch(size: int) -> Any:
        return native.ready_batches([(b"k", b"v" * size, [])], [NOW], False)

    [joined] = native.join_batches([*batch(10), *batch(20), *batch(30)], [(None, b"x", [])], NOW, False)
    assert 4 == joined.record_count()
    sizes = [1, 1, 2, 1]
    large = native.join_batches(
        [*batch(1), *batch(600_000), *batch(1), *batch(2), *batch(700_000)], [], NOW, False
    )
    assert sizes == [each.record_count() for each in large]


def test_a_batch_that_was_sent_is_refused() -> None:
    [sent] = native.ready_batches([(b"k", b"v", [])], [NOW], False)
    sent._build()
    with pytest.raises(ValueError, match="that were not sent"):
        native.join_batches([sent, *native.ready_batches([(b"k", b"v", [])], [NOW], False)], [], NOW, False)
