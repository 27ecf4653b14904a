"""Dead letters: any record survives the way there and back; a redrive shows, and never touches a byte."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.letters import (
    AS_OF,
    COUNT,
    OF,
    as_of_then,
    dead_letter,
    identity,
    read_letter,
    redrive_of,
    sent_back,
)
from journey_stream.values import DAY, SECOND, DeadLetter, Event, Rejection, rfc3339

AT = 1_767_225_600 * SECOND
OURS = [
    name for name, _ in dead_letter(DeadLetter("not_json", "", "t", 0, 0, AT, None, None, ()), "d").headers
]

names = st.text(max_size=8) | st.sampled_from([*OURS, OF, COUNT, AS_OF])
headers = st.lists(st.tuples(names, st.binary(max_size=8) | st.none()), max_size=12).map(tuple)
letters = st.builds(
    DeadLetter,
    reason=st.sampled_from(["not_json", "too_late", "processing_error"]),
    detail=st.text(max_size=20),
    topic=st.from_regex(r"[a-z._-]{1,10}", fullmatch=True),
    partition=st.integers(0, 2**31 - 1),
    offset=st.integers(0, 2**62),
    timestamp=st.integers(-(2**55), 2**57),
    key=st.none() | st.binary(max_size=8),
    value=st.none() | st.binary(max_size=20),
    headers=headers,
    derived=st.booleans(),
)
LETTER = DeadLetter("wrong_type", "why", "journey.visits", 3, 42, AT, b"k", b"v", (("trace", b"1"),))


@given(letters)
def test_any_letter_is_read_back_as_it_was_written(letter: DeadLetter) -> None:
    out = dead_letter(letter, "dead")
    assert letter == read_letter(out.key, out.value, out.headers)


@given(letters, st.none() | st.integers(0, 2**57))
def test_what_is_sent_back_and_dies_again_has_its_first_headers_and_counts_on(
    letter: DeadLetter, as_of: int | None
) -> None:
    before, first = redrive_of(letter.headers)
    again = sent_back(letter, as_of)
    assert again[: len(first)] == first
    told, kept = redrive_of(again)
    assert first == kept
    assert told is not None
    assert (identity(letter), as_of) == (told.of, told.as_of)
    assert (1 if before is None else before.count + 1) == told.count
    died = msgspec.structs.replace(letter, headers=again, offset=7)
    third, kept = redrive_of(sent_back(died))
    assert first == kept
    assert third is not None
    assert (identity(died), told.count + 1, None) == (third.of, third.count, third.as_of)


@given(headers)
def test_other_records_are_no_letters_and_no_redrives(pairs: tuple[tuple[str, bytes], ...]) -> None:
    read_letter(b"k", b"v", pairs)
    read_letter(b"k", b"v", tuple((name, b"x") for name in OURS))
    _, first = redrive_of(pairs)
    assert first == pairs[: len(first)]


def test_a_letter_is_named_by_where_its_record_stood() -> None:
    assert "journey.visits/3/42" == identity(LETTER)
    assert "journey.visits/3/42/derived" == identity(msgspec.structs.replace(LETTER, derived=True))


def event() -> Event:
    value = f'{{"event_id": "e", "type": "page_viewed", "customer_id": "c", "occurred_at": "{rfc3339(AT)}"}}'
    found = Decoder(BUILT_IN).decode(value.encode())
    assert isinstance(found, Event)
    return found


@pytest.mark.parametrize(
    ("asked", "latest", "counts_at"),
    [
        (AT + 30 * DAY, AT + 31 * DAY, AT + 30 * DAY),
        (AT + 30 * DAY, AT + 29 * DAY, AT + 29 * DAY),
        (AT - DAY, AT + DAY, AT),
    ],
    ids=["as asked", "not after it came", "not before it was"],
)
def test_an_event_counts_as_of_the_time_asked_for(asked: int, latest: int, counts_at: int) -> None:
    found = as_of_then(event(), sent_back(LETTER, asked), latest)
    assert isinstance(found, Event)
    assert (counts_at, True) == (found.at, found.late)


def test_an_event_of_which_nothing_is_asked_stays_as_it_is() -> None:
    for pairs in ((("a", b"b"),), sent_back(LETTER)):
        found = as_of_then(event(), pairs, AT + DAY)
        assert event() == found


@pytest.mark.parametrize("text", [b"soon", b"\xff", b"2026-01-01T00:00:00", None])
def test_a_time_that_is_none_is_a_bad_time(text: bytes) -> None:
    found = as_of_then(event(), ((AS_OF, text),), AT)
    assert isinstance(found, Rejection)
    assert ("bad_time", True) == (found.reason, AS_OF in found.detail)
