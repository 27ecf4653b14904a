"""Durations as authors write them: `30s`, `15m`, `4h`, `120d`, `2w`, `250ms`, sums such as `1d12h`.

In: text, or microseconds. Out: microseconds (None when the text is no duration), or text. The units are those
of expressions.
"""

from __future__ import annotations

import re

from journey_stream.journeys.guards.scan import UNITS
from journey_stream.values import DAY

LONGEST = 36_600 * DAY
"""A hundred years: more is a slip of the pen."""

_PART = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,6}))?(ms|[wdhms])", re.ASCII)
_WHOLE = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)


def duration(text: str) -> int | None:
    """Read a duration.

    >>> duration("1d12h") == duration("1.5d") == duration("36h") == 129_600_000_000
    True
    >>> duration("90") is None
    True
    """
    if not _WHOLE.fullmatch(text):
        return None
    total = 0
    for whole, fraction, unit in _PART.findall(text):
        total += int(whole) * UNITS[unit]
        if fraction:
            total += int(fraction) * UNITS[unit] // 10 ** len(fraction)
    return total


def written(micros: int) -> str:
    """Write a duration as an author would, in whole days, hours and so on down to milliseconds.

    >>> written(129_600_000_000), written(0)
    ('1d12h', '0s')
    """
    parts, left = [], micros
    for unit in ("d", "h", "m", "s", "ms"):
        number, left = divmod(left, UNITS[unit])
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"
