"""The words of a guard: durations folded to seconds, strings decoded and taken out, every place remembered.

In: the author's text. Out: a text for the grammar that holds no quoted character of the author's, the decoded
strings, and a map from each word back to where it stood. Every pattern here is linear in the text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from journey_stream.errors import JourneyDefinitionError

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
UNITS = {
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
"""Microseconds of each unit of a duration."""
_MAX_DURATION = 10_000 * 366 * UNITS["d"]


class GuardSyntaxError(JourneyDefinitionError):
    """An expression cannot be read; `line` and `column` (from 1) are places of the author's text."""

    def __init__(self, message: str, line: int = 1, column: int = 1, *, help: str) -> None:
        super().__init__(f"{message}: {help}")
        self.message = message
        self.line = line
        self.column = column
        self.help = help


@dataclass(frozen=True, slots=True)
class Scanned:
    """A text that was cut into words; places of the grammar's text lead back to the author's."""

    text: str
    folded: str
    constants: tuple[str | bool, ...]
    """Strings and bools; in `folded` stands their number, in quotes."""
    folded_starts: tuple[int, ...]
    origins: tuple[tuple[int, int], ...]
    """Start and end in `text` of each word, in step with `folded_starts`."""

    def origin(self, start: int) -> int:
        """Return where in the author's text the word stands that begins at `start` of the folded text."""
        index = bisect_right(self.folded_starts, start) - 1
        return self.origins[index][0] + start - self.folded_starts[index] if index >= 0 else 0

    def word(self, start: int) -> str:
        """Return the word as its author wrote it."""
        index = bisect_right(self.folded_starts, start) - 1
        first, last = self.origins[index]
        return self.text[first:last]


def place(text: str, at: int) -> tuple[int, int]:
    """Return line and column of an offset, both from 1."""
    before = text[:at]
    return before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1


def refusal(text: str, at: int, message: str, way_out: str) -> GuardSyntaxError:
    """Make the error for an offset of the text."""
    return GuardSyntaxError(message, *place(text, at), help=way_out)


def too_deep(text: str, at: int, most: int) -> GuardSyntaxError:
    """Make the error for brackets in brackets in brackets."""
    message = f"the expression is nested more than {most} levels deep"
    return refusal(text, at, message, "move parts of it into attributes with `value:`")


_WORD = re.compile(
    r"""
    (?P<space>[ \t\r\n\f]+|//[^\n]*)
  | (?P<quote>[rRbB]{0,2}(?:\"\"\"|'''|"|'))
  | (?P<hex>0[xX][0-9a-fA-F]+(?![\w.]))
  | (?P<duration>(?:[0-9]+(?:\.[0-9]+)?(?:ms|[wdhms]))+(?![\w.]))
  | (?P<number>(?:[0-9]+\.[0-9]+|\.[0-9]+|[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.]))
  | (?P<odd>\.?[0-9][\w.]*)
  | (?P<name>[_a-zA-Z][_a-zA-Z0-9]*)
  | (?P<sign>&&|\|\||[<>=!]=|[()\[\]{}.,?:!<>+\-*/%])
    """,
    re.VERBOSE | re.ASCII,
)
_PART = re.compile(r"([0-9]+)(?:\.([0-9]+))?(ms|[wdhms])", re.ASCII)
_SMART_QUOTES = "\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb`"


def scan(text: str, max_depth: int) -> Scanned:
    """Cut the text into words.

    Raises:
        GuardSyntaxError: for a character, a number, a duration or a string that is none.
    """
    pieces: list[str] = []
    folded_starts: list[int] = []
    origins: list[tuple[int, int]] = []
    constants: list[str | bool] = []
    length = at = open_brackets = 0
    while at < len(text):
        found = _WORD.match(text, at)
        if found is None:
            raise _odd_character(text, at)
        kind, word, end = found.lastgroup, found.group(), found.end()
        match kind:
            case "space":
                piece = " "
            case "quote":
                value, end = _string(text, at, word)
                piece = f'"{len(constants)}"'
                constants.append(value)
            case "name" if word in ("true", "false"):
                # The grammar gives these words no place: they travel like strings.
                piece = f'"{len(constants)}"'
                constants.append(word == "true")
            case "duration":
                piece = _seconds(text, at, word)
            case "odd":
                raise _odd_number(text, at, word)
            case _:
                piece = word
        if kind == "sign":
            open_brackets += (word in "([{") - (word in ")]}")
            if open_brackets > max_depth:
                raise too_deep(text, at, max_depth)
        pieces.append(piece)
        folded_starts.append(length)
        origins.append((at, end))
        length += len(piece)
        at = end
    return Scanned(text, "".join(pieces), tuple(constants), tuple(folded_starts), tuple(origins))


def _odd_character(text: str, at: int) -> GuardSyntaxError:
    character = text[at]
    if character in _SMART_QUOTES:
        way_out = "strings stand in straight quotes, \"so\" or 'so'"
    elif character == "=":
        way_out = "write == to compare"
    elif character in "&|":
        way_out = f"write {character}{character}"
    elif character.isalpha():
        way_out = "names are written with a-z, A-Z, 0-9 and _; other letters go into quotes"
    else:
        way_out = "remove it, or put it into quotes"
    shown = character if character.isprintable() else f"U+{ord(character):04X}"
    return refusal(text, at, f"the character {shown} means nothing here", way_out)


def _odd_number(text: str, at: int, word: str) -> GuardSyntaxError:
    shown = word if len(word) <= 40 else word[:40] + "..."
    if re.fullmatch(r"[0-9]+[uU]", word):
        way_out = "numbers without sign are not offered: leave the u out"
    else:
        way_out = "a number is 12 or 1.5 or 1e6; a duration 250ms, 30s, 15m, 4h, 120d, 2w or a sum as 1d12h"
    return refusal(text, at, f"{shown} is neither a number nor a duration", way_out)


def _seconds(text: str, at: int, word: str) -> str:
    total = 0
    for whole, part, unit in _PART.findall(word):
        if len(whole) > 18:
            total = _MAX_DURATION + 1
            break
        micros = UNITS[unit]
        total += int(whole) * micros + (int(part[:18]) * micros // 10 ** len(part[:18]) if part else 0)
    if total > _MAX_DURATION:
        raise refusal(text, at, "the duration is too long", "at most 10,000 years are kept")
    return repr(total / 1_000_000)


_SIMPLE = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "?": "?",
    '"': '"',
    "'": "'",
    "`": "`",
}
_CODED = re.compile(r"[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})", re.ASCII)


def _string(text: str, start: int, opening: str) -> tuple[str, int]:
    """Decode the string that begins at `start`; return it and where it ends."""
    prefix = opening.rstrip("\"'").lower()
    quote = opening[len(prefix) :]
    if "b" in prefix:
        raise refusal(text, start, "bytes are not offered", "leave the b before the quote out")
    if prefix == "rr":
        raise refusal(text, start, "one r is enough", "a raw string is r'...'")
    parts: list[str] = []
    at = start + len(opening)
    while not text.startswith(quote, at):
        if at >= len(text) or (len(quote) == 1 and text[at] in "\r\n"):
            raise refusal(text, start, "the string is not closed", f"end it with {quote} on the same line")
        if text[at] == "\\" and not prefix:
            part, at = _escape(text, at)
        else:
            part, at = text[at], at + 1
        if "\ud800" <= part <= "\udfff":
            raise refusal(
                text, at - 1, "half a character (a surrogate) stands in the string", "write it whole"
            )
        parts.append(part)
    return "".join(parts), at + len(quote)


def _escape(text: str, at: int) -> tuple[str, int]:
    following = text[at + 1 : at + 2]
    if following in _SIMPLE:
        return _SIMPLE[following], at + 2
    coded = _CODED.match(text, at + 1)
    if coded is not None:
        octal = coded.group(4)
        number = int(octal, 8) if octal else int(coded.group(1) or coded.group(2) or coded.group(3), 16)
        if number <= 0x10FFFF:
            return chr(number), coded.end()
    way_out = "write \\\\ for a backslash, \\n for a new line"
    raise refusal(text, at, f"\\{following} is no escape of CEL", way_out)
