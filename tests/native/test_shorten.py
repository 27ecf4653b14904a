"""What the core takes out of a state before it compresses it comes back byte for byte."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

native = pytest.importorskip("journey_stream_native")

pack = msgspec.msgpack.Encoder().encode
SECOND = 1_000_000
AT = 1_767_225_600 * SECOND

moments = st.one_of(
    st.integers(AT, AT + 100 * SECOND),
    st.integers(0, 400).map(lambda days: AT + days * 86_400 * SECOND),
    st.integers(0, 2_000).map(lambda millis: AT + millis * 1_000),
    st.integers(-(2**63), 2**63 - 1),
)
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        moments,
        moments.map(lambda time: time / SECOND),
        st.floats(),
        st.text(max_size=300),
        st.binary(max_size=300),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=20),
        st.dictionaries(st.one_of(st.text(max_size=40), st.integers(0, 40)), inner, max_size=20),
    ),
    max_leaves=60,
)


@given(values)
@example(list(range(AT, AT + 300)) * 2)  # more times than have a place
@example([2**60 - 1, 2**60, 2**63 - 1, 0, -1, -(2**63)])
@example([0.0, -0.0, 67_108_864.0, 8_589_934_592.0, AT / SECOND + 1e-6, AT / SECOND + 1e-7])
@example(["x" * 70_000, b"x" * 70_000, [None] * 70_000])
def test_whatever_is_msgpack_comes_back(value: Any):
    written = pack(value)
    short = native.probe_shorten(written)
    assert short is not None
    assert native.probe_expand(short) == written


@given(st.binary(max_size=200))
def test_other_bytes_come_back_or_are_left_as_they_are(written: bytes):
    short = native.probe_shorten(written)
    assert short is None or native.probe_expand(short) == written


@given(st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(lambda rest: b"\xc7\x04\xc1\x00" + rest)))
def test_damaged_bytes_are_refused_and_never_a_panic(short: bytes):
    try:
        native.probe_expand(short)
    except ValueError as error:
        assert "a packed state" in str(error)  # noqa: PT017


def test_extensions_which_we_never_write_are_left_as_they_are():
    assert native.probe_shorten(pack(msgspec.msgpack.Ext(1, b"12345678"))) is None
    assert native.probe_shorten(b"\x91\xc1") is None


def test_a_moment_told_again_takes_two_bytes_in_microseconds_or_seconds():
    once = native.probe_shorten(pack([AT]))
    again = native.probe_shorten(pack([AT, AT, AT / SECOND]))
    assert len(again) == len(once) + 4


def test_a_moment_near_the_last_takes_its_distance_in_the_largest_unit():
    def more(distance: int) -> int:
        return len(native.probe_shorten(pack([AT, AT + distance]))) - len(native.probe_shorten(pack([AT])))

    assert more(5 * SECOND) == 2
    assert more(-5 * SECOND) == 2
    assert more(86_400 * SECOND) == 4
    assert more(5_000) == 2
    assert more(86_400 * SECOND + 5_000) == 6
    assert more(5) == 2
