"""Values of records out: what is taken over instead of copied, and exact times."""

from __future__ import annotations

import json

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from encode.test_encode import TOPICS, UNHURRIED, records
from journey_stream.encode import encode
from journey_stream.values import Cause, Contactable, Signal, StageNow, Transition, micros, rfc3339
from journey_stream.wire import ContactableValue, moment

EXACT = 2**33 * 1_000_000
"""Where another way to make a datetime begins."""


def test_consent_is_written_as_its_schema_says() -> None:
    assert ContactableValue.__struct_encode_fields__ == Contactable.__struct_encode_fields__


@UNHURRIED
@given(
    st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)
    | st.integers(EXACT - 10**12, EXACT + 10**12)
)
@example(-1)
@example(EXACT - 1)
@example(EXACT)
def test_a_moment_is_exact_to_the_microsecond(at: int) -> None:
    assert at == micros(moment(at))


@UNHURRIED
@given(records())
def test_the_cause_and_the_decision_keep_their_own_times(record: Transition | Signal | StageNow) -> None:
    if not isinstance(record, StageNow):
        earlier = msgspec.structs.replace(record, cause=Cause("e", "t", 7), decided_at=8)
        value = json.loads(encode(earlier, TOPICS).value or b"")

        times = [value["cause"]["occurred_at"], value["decided_at"], value["occurred_at"], value["time"]]
        assert [rfc3339(7), rfc3339(8), *[rfc3339(record.occurred_at)] * 2] == times
