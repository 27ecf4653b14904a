"""The page docs/journeys.md: its examples, and the parts of it that are made.

`python -m journeys.docs_page` (in tests/) writes those parts anew.
"""

from __future__ import annotations

import re
from pathlib import Path

from journey_stream.journeys.findings import findings_table
from journey_stream.journeys.grammar import reference

PAGE = Path(__file__).parents[2] / "docs" / "journeys.md"
MADE = {"findings": findings_table, "reference": reference}

_BASE = {
    "journey": "journey: example\n",
    "version": "version: 1\n",
    "start": "start: prospect\n",
    "stages": "stages: {prospect: {kind: prospect}, buyer: {kind: conversion}, loyal: {kind: retention}, "
    "lost: {kind: attrition}}\n",
    "attributes": "attributes: {orders: {count: order_completed}}\n",
}


def examples() -> dict[str, str]:
    """The YAML blocks by the line they begin in, parts completed to whole definitions."""
    text = PAGE.read_text("utf-8")
    found: dict[str, str] = {}
    for block in re.finditer(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        example = block.group(1)
        written = set(re.findall(r"^(\w+):", example, re.MULTILINE))
        rest = "".join(line for key, line in _BASE.items() if key not in written)
        found[f"line-{text[: block.start(1)].count(chr(10)) + 1}"] = rest + example
    return found


def made() -> str:
    """The page with its made parts made anew."""
    text = PAGE.read_text("utf-8")
    for name, make in MADE.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        before, _, rest = text.partition(begin)
        text = before + begin + make() + end + rest.partition(end)[2]
    return text


if __name__ == "__main__":
    PAGE.write_text(made(), "utf-8")
