"""Findings that an author accepts: `# lint: allow rule-name reason`, beside the line or above it.

In: the text of a definition, its findings. Out: the findings that are left, with what is wrong with the
allowances themselves: one that takes back nothing is stale, and one without a reason tells the next reader
nothing.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from journey_stream.journeys.findings import RULES, Report, Spot, did_you_mean

_COMMENT = re.compile(r"(?:^|(?<=\s))#\s*lint:\s*(.*?)\s*$")
_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
"""Where YAML begins a new line."""
_USAGE = "Write # lint: allow rule-name and why"


@dataclass(frozen=True, slots=True)
class Allowance:
    """One comment."""

    spot: Spot
    line: int
    """The line whose findings it is about."""
    text: str


def accepted(text: str, report: Report) -> None:
    """Take back the findings that comments allow, and note comments that allow nothing.

    Args:
        text: A definition that can be read.
        report: Its findings; errors stay.
    """
    for allowance in allowances(text):
        rules = _rules(allowance, report)
        left = [
            each
            for each in report.findings
            if each.line != allowance.line or each.rule not in rules or each.severity == "error"
        ]
        used = {each.rule for each in report.findings if each not in left}
        report.findings[:] = left
        for rule in rules:
            if rule not in used:
                msg = f"there is no finding {rule} in line {allowance.line} to allow"
                report.add("unused-allowance", allowance.spot, msg, "Leave the comment out")


def _rules(allowance: Allowance, report: Report) -> list[str]:
    """The rules that a comment names, those that can be allowed."""
    words = allowance.text.replace(",", " , ").split()
    if not words or words[0] != "allow":
        report.add(
            "bad-allowance", allowance.spot, f"'{allowance.text[:60]}' is no word to the linter", _USAGE
        )
        return []
    names, reason = _split(words[1:])
    if not names or not reason:
        report.add("bad-allowance", allowance.spot, "an allowance names a rule and gives a reason", _USAGE)
        return []
    found: list[str] = []
    for name in names:
        if name not in RULES:
            hint = did_you_mean(name, RULES)
            report.add("bad-allowance", allowance.spot, f"there is no rule '{name[:60]}'", hint or _USAGE)
        elif RULES[name][0] == "error":
            msg = f"'{name}' is an error: no comment makes such a definition usable"
            report.add("bad-allowance", allowance.spot, msg, "Mend what it tells of")
        else:
            found.append(name)
    return found


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Names with commas between, then the reason."""
    names = words[:1]
    rest = words[1:]
    while len(rest) > 1 and rest[0] == ",":
        names.append(rest[1])
        rest = rest[2:]
    return names, rest


def allowances(text: str) -> Iterator[Allowance]:
    """Find the comments; what only looks like one, inside of a text, is none."""
    if "lint:" not in text:
        return
    lines, starts = _lines(text)
    inside = _Scalars(text)
    for number, line in enumerate(lines):
        found = _COMMENT.search(line)
        if found is None or inside.covers(starts[number] + found.start(), number):
            continue
        about = number
        if not line[: found.start()].strip():
            about = next((n for n in range(number + 1, len(lines)) if _has_content(lines[n])), number)
        yield Allowance(Spot(number + 1, found.start() + 1), about + 1, found.group(1))


def _has_content(line: str) -> bool:
    stripped = line.strip()
    return bool(stripped) and not stripped.startswith("#")


def _lines(text: str) -> tuple[list[str], list[int]]:
    lines: list[str] = []
    starts = [0]
    for found in _BREAK.finditer(text):
        lines.append(text[starts[-1] : found.start()])
        starts.append(found.end())
    lines.append(text[starts[-1] :])
    return lines, starts


class _Scalars:
    """The stretches of a text that are values."""

    def __init__(self, text: str) -> None:
        self._starts: list[int] = []
        self._ends: list[tuple[int, int | None]] = []
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.ScalarToken):
                self._starts.append(token.start_mark.index)
                # the header of a block, `>-  # so`, may carry a comment
                header = token.start_mark.line if token.style in ("|", ">") else None
                self._ends.append((token.end_mark.index, header))

    def covers(self, index: int, line: int) -> bool:
        """Whether a place is inside a value."""
        place = bisect.bisect_right(self._starts, index) - 1
        if place < 0:
            return False
        end, header = self._ends[place]
        return index < end and line != header
