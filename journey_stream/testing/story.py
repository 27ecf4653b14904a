"""The short form of a customer's story: one event a line.

    day 3 10:30: order_completed order_id=o1 total=20 products=[{category: a, price: 5}]
    +2h: ticket_created ticket_id=t1 kind=complaint customer_id=bob context.channel=phone

In: a line. Out: a `Given`, ready for the wire. `day 3` is three days after the story's start, `+2h` two hours
after the line before; a full RFC 3339 time does too. Values are YAML: numbers, true, null, [lists] and
{mappings}; anything else is text, and quotes keep blanks together.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from journey_stream.journeys.durations import duration
from journey_stream.journeys.findings import Report
from journey_stream.journeys.read import Items, Node, Scalar, Table, read
from journey_stream.values import DAY, SECOND, micros, rfc3339

ENVELOPE = ("event_id", "customer_id", "anonymous_id", "account_id")
SOMEBODY = "anna"
"""Whose story it is, when a line does not say."""
DEFAULT_START = "2026-01-01T00:00:00Z"
FIRST, LAST = 0, 32_503_680_000 * SECOND
"""Stories happen between 1970 and 3000: a clock that runs on for ever is a slip of the pen."""

_DAY = re.compile(r"day (\d{1,6})(?: (\d{1,2}):(\d\d)(?::(\d\d(?:\.\d{1,6})?))?)?")
_WHEN = (
    r"day \d{1,6}(?: \d{1,2}:\d\d(?::\d\d(?:\.\d{1,6})?)?)?"
    r"|\+\w+"
    r"|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[-+]\d\d:\d\d)"
)
_LINE = re.compile(rf"(?P<when>{_WHEN})\s*:?\s+(?P<type>[A-Za-z]\w*)(?P<rest>(?:\s.*)?)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][\w.]*")
_PAIRS = {"[": "]", "{": "}"}


class StoryError(ValueError):
    """A line that cannot be read: says what was expected."""


@dataclass(frozen=True, slots=True)
class Given:
    """One event of the story."""

    line: int
    at: int
    type: str
    ids: Mapping[str, str]
    """Those of `ENVELOPE` that the line gives, and a customer_id where it names nobody."""
    properties: Mapping[str, object] = field(default_factory=dict)
    context: Mapping[str, object] = field(default_factory=dict)

    @property
    def person(self) -> str:
        """The name the engine has for this person."""
        return self.ids.get("customer_id") or "anon:" + self.ids["anonymous_id"]

    def wire(self, number: int) -> dict[str, object]:
        """Write the event as it would come; its place in the story is its id, unless the line gives one."""
        event: dict[str, object] = {
            "event_id": f"{number:06d}",
            "type": self.type,
            "occurred_at": rfc3339(self.at),
            **self.ids,
            "properties": dict(self.properties),
        }
        if self.context:
            event["context"] = dict(self.context)
        return event


@dataclass(frozen=True, slots=True)
class Times:
    """How a story tells the time."""

    start: int = 1_767_225_600 * SECOND
    """`day 0`, 00:00 UTC."""

    def read(self, text: str, previous: int) -> int:
        """Read `day 3`, `day 3 10:30`, `+2h` (after `previous`) or an RFC 3339 time.

        Raises:
            StoryError: it is none of these, or outside the years that events can have.
        """
        at = self._read(text, previous)
        if at is None:
            msg = (
                f"a time such as 'day 3', 'day 3 10:30', '+2h' or '{DEFAULT_START}' was expected, "
                f"not {text!r}"
            )
            raise StoryError(msg)
        if not FIRST <= at < LAST:
            msg = f"the time {text!r} is outside the years 1970 to 2999"
            raise StoryError(msg)
        return at

    def _read(self, text: str, previous: int) -> int | None:
        if found := _DAY.fullmatch(text):
            days, hours, minutes, seconds = found.groups(default="0")
            clock = (int(hours) * 60 + int(minutes)) * 60 * SECOND + round(float(seconds) * SECOND)
            return self.start + int(days) * DAY + clock if clock < DAY else None
        if text.startswith("+"):
            step = duration(text[1:])
            return None if step is None else previous + step
        try:
            moment = dt.datetime.fromisoformat(text)
        except ValueError:
            return None
        return None if moment.tzinfo is None else micros(moment)

    def show(self, at: int) -> str:
        """Write a time as the story would: `day 3 10:30`.

        >>> Times().show(1_767_225_600_000_000 + 3 * DAY + 90 * 60 * SECOND)
        'day 3 01:30'
        """
        days, rest = divmod(at - self.start, DAY)
        if days < 0:
            return rfc3339(at)
        minutes, micro = divmod(rest, 60 * SECOND)
        text = f"day {days}"
        if micro:
            seconds = f"{micro / SECOND:09.6f}".rstrip("0").rstrip(".")
            return f"{text} {minutes // 60:02d}:{minutes % 60:02d}:{seconds}"
        return f"{text} {minutes // 60:02d}:{minutes % 60:02d}" if minutes else text


def given_line(text: str, line: int, times: Times, previous: int) -> Given:
    """Read one line of the story.

    Raises:
        StoryError: the line is no event.
    """
    found = _LINE.fullmatch(text.strip())
    if found is None:
        msg = f"an event such as 'day 3 10:30: order_completed total=20' was expected, not {text.strip()!r}"
        raise StoryError(msg)
    values = dict(_words(found["rest"]))
    return given(found["type"], times.read(found["when"], previous), line, values)


def given(type_: str, at: int, line: int, values: Mapping[str, object]) -> Given:
    """Sort flat values into ids, context and properties.

    Raises:
        StoryError: an id is no text.
    """
    ids: dict[str, str] = {}
    properties: dict[str, object] = {}
    context: dict[str, object] = {}
    for name, value in values.items():
        if name in ENVELOPE:
            if isinstance(value, bool) or not isinstance(value, str | int):
                msg = f"{name} is text; {value!r} is not"
                raise StoryError(msg)
            ids[name] = str(value)
        elif name == "context" and isinstance(value, Mapping):
            context.update(value)
        elif name.startswith("context."):
            _place(context, name.split(".")[1:], value)
        else:
            properties[name] = value
    if "customer_id" not in ids and "anonymous_id" not in ids:
        ids["customer_id"] = SOMEBODY
    return Given(line, at, type_, ids, properties, context)


def plain(node: Node) -> object:
    """Turn nodes into plain values."""
    match node:
        case Scalar():
            return node.value
        case Items():
            return [plain(item) for item in node.items]
        case Table():
            return {name: plain(entry.value) for name, entry in node.entries.items()}


def _place(into: dict[str, object], path: list[str], value: object) -> None:
    for name in path[:-1]:
        inner = into.setdefault(name, {})
        if not isinstance(inner, dict):
            msg = f"context.{'.'.join(path)}: {name} has a value already"
            raise StoryError(msg)
        into = inner
    into[path[-1]] = value


def _words(text: str) -> Iterator[tuple[str, object]]:
    """Take `name=value` after `name=value`; a value ends at a blank outside quotes and brackets."""
    at = 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if at == len(text):
            return
        name = _NAME.match(text, at)
        if name is None or text[name.end() : name.end() + 1] != "=":
            msg = f"name=value was expected, not {text[at:].strip()!r}"
            raise StoryError(msg)
        start = at = name.end() + 1
        at = _end(text, start)
        yield name[0], _value(name[0], text[start:at])


def _end(text: str, at: int) -> int:
    closing: list[str] = []
    quote = ""
    while at < len(text):
        char = text[at]
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in _PAIRS:
            closing.append(_PAIRS[char])
        elif closing and char == closing[-1]:
            closing.pop()
        elif char.isspace() and not closing:
            break
        at += 1
    if quote or closing:
        msg = f"the value {text!r} does not end: {quote or closing[-1]} is missing"
        raise StoryError(msg)
    return at


def _value(name: str, text: str) -> object:
    if text[:1] not in ("[", "{", "'", '"') and (":" in text or "#" in text):
        return text
    report = Report("")
    node = read(text, report) if text else None
    if node is None or report.findings:
        msg = f"{name}={text!r}: a value was expected: text, a number, [a, b] or {{a: 1}}"
        raise StoryError(msg)
    return plain(node)
