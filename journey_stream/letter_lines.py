"""Dead letters as JSON Lines, for people, scripts and filters; and what a filter made of them, read back.

    as_line(letter, written_at) -> bytes              # one JSON object, without the line end
    amended(letter, line)       -> DeadLetter         # with the key, headers and value that the line says

In a line `value` is the record's value where that is JSON, so that `jq '.value.customer_id = "c1"'` says what
it means; else `value_text` (UTF-8) or `value_base64`. Keys and headers are text where they are UTF-8, else
`{"base64": ...}`. What a filter leaves as it was goes back byte for byte, however the filter spells it.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any, Final

import msgspec

from journey_stream.errors import FilterError
from journey_stream.letters import Header, Headers, identity, redrive_of
from journey_stream.values import DeadLetter, rfc3339

VALUES: Final = ("value", "value_text", "value_base64")
CHANGEABLE: Final = ("key", "headers", *VALUES)

_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.decode


def as_line(letter: DeadLetter, written_at: int) -> bytes:
    """Write a letter as one JSON object in a line; `written_at` is when it became one (microseconds)."""
    again, first = redrive_of(letter.headers)
    line = {
        "letter": identity(letter),
        "reason": letter.reason,
        "detail": letter.detail,
        "written_at": rfc3339(written_at),
        "source": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "source_time": rfc3339(letter.timestamp),
        "redrives": 0 if again is None else again.count,
        **_shown(letter, first),
    }
    return msgspec.json.encode(line)


def letter_of(line: bytes) -> tuple[str, dict[str, Any]]:
    """Read what a filter has written: which letter, and all that the line says.

    Raises:
        FilterError: it is no such line.
    """
    try:
        said = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"expected one JSON object a line, came {line[:60]!r} ({error}). With jq, say `jq -c`"
        raise FilterError(msg) from None
    if not isinstance(said, dict) or not isinstance(said.get("letter"), str):
        msg = f"expected an object with `letter`, as the filter got it, came {line[:60]!r}"
        raise FilterError(msg)
    return said["letter"], said


def amended(letter: DeadLetter, said: dict[str, Any]) -> tuple[DeadLetter, bool]:
    """Apply what a filter wrote to the letter that it was given; also tell whether it changed anything.

    Raises:
        FilterError: it says what cannot be understood.
    """
    _, first = redrive_of(letter.headers)
    shown = _shown(letter, first)
    unknown = [name for name in said if name not in shown and name not in _KNOWN]
    if unknown:
        msg = f"unknown field `{unknown[0]}`. The event is in `value`: say .value.{unknown[0]}"
        raise FilterError(msg)
    changes: dict[str, Any] = {}
    if "key" in said and _differs(said["key"], shown["key"]):
        changes["key"] = _bytes(said["key"], "key")
    if "headers" in said and _differs(said["headers"], shown["headers"]):
        # What a former redrive has added is ours, and stays behind the filter's.
        changes["headers"] = (*_headers(said["headers"]), *letter.headers[len(first) :])
    _amend_value(said, shown, changes)
    return msgspec.structs.replace(letter, **changes), bool(changes)


_KNOWN: Final = frozenset(
    ["letter", "reason", "detail", "written_at", "source", "partition", "offset", "source_time", "redrives"]
) | set(CHANGEABLE)


def _amend_value(said: dict[str, Any], shown: dict[str, Any], changes: dict[str, Any]) -> None:
    present = {name: said[name] for name in VALUES if name in said}
    new = [name for name in present if name not in shown or _differs(present[name], shown[name])]
    if len(new) > 1:
        msg = f"expected one of {', '.join(VALUES)} to be changed, came {' and '.join(new)}"
        raise FilterError(msg)
    if not present:
        msg = f"expected one of {', '.join(VALUES)}, came none. To leave a letter out, write no line for it"
        raise FilterError(msg)
    if new:
        value, name = present[new[0]], new[0]
        if name == "value":
            changes["value"] = msgspec.json.encode(value)
        else:
            changes["value"] = _bytes(value if name == "value_text" else {"base64": value}, name)


def _shown(letter: DeadLetter, headers: Headers) -> dict[str, Any]:
    return {
        "key": _text(letter.key),
        "headers": [[name, _text(value)] for name, value in headers],
        **_value(letter.value),
    }


def _value(value: bytes | None) -> dict[str, Any]:
    if value is None:
        return {"value_text": None}
    try:
        found = _decode(value)
        _encode(found)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        text = _text(value)
        return {"value_text": text} if isinstance(text, str) else {"value_base64": text["base64"]}
    return {"value": found}


def _text(value: bytes | None) -> Any:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(value).decode()}


def _differs(one: object, other: object) -> bool:
    """By what is written: to Python 1, 1.0 and true are equal."""
    return _encode(one) != _encode(other)


def _headers(said: object) -> list[Header]:
    if isinstance(said, list):
        pairs = [each for each in said if isinstance(each, list) and len(each) == 2]
        if len(pairs) == len(said) and all(isinstance(name, str) for name, _ in pairs):
            return [(name, _bytes(value, f"headers.{name}")) for name, value in pairs]
    raise FilterError("headers: expected a list of [name, value] pairs")


def _bytes(said: object, where: str) -> bytes | None:
    if said is None:
        return None
    if isinstance(said, str):
        return said.encode()
    if isinstance(said, dict) and list(said) == ["base64"] and isinstance(said["base64"], str):
        try:
            return b64decode(said["base64"], validate=True)
        except ValueError as error:
            msg = f"{where}: expected base64, came what is none ({error})"
            raise FilterError(msg) from None
    msg = f'{where}: expected text, null or {{"base64": ...}}, came {_encode(said)[:60].decode()}'
    raise FilterError(msg)
