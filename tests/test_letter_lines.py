"""Dead letters as JSON Lines: what a filter leaves as it was goes back byte for byte, what it changes is told."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from journey_stream.errors import FilterError
from journey_stream.letter_lines import amended, as_line, letter_of
from journey_stream.letters import identity, sent_back
from journey_stream.values import DeadLetter
from tests.test_letters import AT, LETTER, letters

json_texts = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
).map(lambda found: json.dumps(found, indent=1).encode())
EVENT = b'{ "event_id": "e1", "properties": {"total": "20", "n": 1, "n": 1.50} }'


def letter(**fields: Any) -> DeadLetter:
    return msgspec.structs.replace(LETTER, **{"value": EVENT, **fields})


def changed(of: DeadLetter, **fields: Any) -> DeadLetter:
    """What comes of a line in which these fields were set."""
    line = json.loads(as_line(of, AT))
    return amended(of, {**line, **fields})[0]


@given(letters, json_texts | st.none(), st.booleans())
def test_what_is_left_as_it_was_goes_back_byte_for_byte(
    of: DeadLetter, value: bytes | None, again: bool
) -> None:
    if value is not None:
        of = msgspec.structs.replace(of, value=value)
    if again:
        of = msgspec.structs.replace(of, headers=sent_back(of))
    line = as_line(of, AT)
    assert b"\n" not in line
    named, said = letter_of(line)
    assert identity(of) == named
    assert (of, False) == amended(of, said)


def test_a_line_shows_the_event_as_json_and_says_what_became_of_it() -> None:
    line = json.loads(as_line(letter(headers=sent_back(letter())), AT))
    assert {
        "letter": "journey.visits/3/42",
        "reason": "wrong_type",
        "detail": "why",
        "written_at": "2026-01-01T00:00:00Z",
        "source": "journey.visits",
        "partition": 3,
        "offset": 42,
        "source_time": "2026-01-01T00:00:00Z",
        "redrives": 1,
        "key": "k",
        "headers": [["trace", "1"]],
        "value": {"event_id": "e1", "properties": {"total": "20", "n": 1.5}},
    } == line


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b'{"a": ', {"value_text": '{"a": '}),
        (b"\xff", {"value_base64": "/w=="}),
        (None, {"value_text": None}),
        (b"null", {"value": None}),
    ],
)
def test_a_value_that_is_no_json_is_shown_as_text_or_base64(
    value: bytes | None, shown: dict[str, Any]
) -> None:
    line = json.loads(as_line(letter(value=value), AT))
    assert shown == {name: line[name] for name in line if name.startswith("value")}


def test_a_filter_can_change_value_key_and_headers() -> None:
    assert b'{"total":20}' == changed(letter(), value={"total": 20}).value
    assert b"true" == changed(letter(value=b"1"), value=True).value
    assert (b"c1", None) == (changed(letter(), key="c1").key, changed(letter(), key=None).key)
    assert (("a", b"\xff"),) == changed(letter(), headers=[["a", {"base64": "/w=="}]]).headers
    text = letter(value=b'{"a": 1')
    assert b'{"a": 1}' == changed(text, value_text='{"a": 1}').value
    assert b'{"a":1}' == changed(text, value={"a": 1}).value
    assert b"\x00" == changed(text, value_base64="AA==").value


def test_headers_of_a_former_redrive_stay_when_a_filter_changes_the_others() -> None:
    again = letter(headers=sent_back(letter()))
    assert (("b", b"2"), *again.headers[1:]) == changed(again, headers=[["b", "2"]]).headers


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"properties": {}}, "unknown field `properties`. The event is in `value`: say .value.properties"),
        ({"value": 1, "value_text": "x"}, "expected one of value, value_text, value_base64 to be changed"),
        ({"value_base64": "?"}, "value_base64: expected base64"),
        ({"key": 7}, "key: expected text, null or"),
        ({"headers": {"a": "b"}}, "headers: expected a list of"),
        ({"headers": [["a", 1]]}, "headers.a: expected text"),
    ],
)
def test_what_cannot_be_understood_is_named(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(FilterError, match="^" + told.replace(".", r"\.").replace("?", r"\?")):
        changed(letter(), **fields)


def test_a_line_without_any_value_is_no_way_to_drop_a_letter() -> None:
    line = json.loads(as_line(letter(), AT))
    del line["value"]
    with pytest.raises(FilterError, match="To leave a letter out, write no line for it"):
        amended(letter(), line)


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'{"letter": 1}', b"\xff", b"{\n"])
def test_lines_that_are_no_letters_are_refused(line: bytes) -> None:
    with pytest.raises(FilterError, match="expected"):
        letter_of(line)
