"""The pages docs/journeys.md, docs/lint.md and docs/events.md: their examples, and the parts of them that are made.

`python -m journeys.docs_page` (in tests/) writes those parts anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from journey_stream.events.reference import context_table, events_table, product_table
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys.findings import findings_table
from journey_stream.journeys.grammar import reference

DOCS = Path(__file__).parents[2] / "docs"
PAGE, LINT, EVENTS = DOCS / "journeys.md", DOCS / "lint.md", DOCS / "events.md"
MADE = {
    PAGE: {"reference": reference},
    LINT: {"findings": findings_table},
    EVENTS: {"events": lambda: events_table(BUILT_IN), "product": product_table, "context": context_table},
}

_BASE = {
    "journey": "journey: example\n",
    "version": "version: 1\n",
    "start": "start: prospect\n",
    "stages": "stages: {prospect: {kind: prospect}, buyer: {kind: conversion}, loyal: {kind: retention}, "
    "lost: {kind: attrition}}\n",
    "attributes": "attributes: {orders: {count: order_completed}}\n",
}
_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def completed(example: str) -> str:
    """A part of a definition as a whole one."""
    written = set(re.findall(r"^(\w+):", example, re.MULTILINE))
    return "".join(line for key, line in _BASE.items() if key not in written) + example


def blocks() -> Iterator[tuple[str, str]]:
    """The YAML blocks of the page of journeys, each with the line it begins in."""
    text = PAGE.read_text("utf-8")
    for block in _BLOCK.finditer(text):
        yield f"line-{text[: block.start(1)].count(chr(10)) + 1}", block.group(1)


def examples() -> dict[str, str]:
    """The definitions on the page of journeys by the line they begin in, completed."""
    return {line: completed(block) for line, block in blocks() if not block.startswith("tests:")}


def stories() -> dict[str, tuple[str, str]]:
    """The tests on the page by their line: the definition above, completed, and the text of the tests."""
    found: dict[str, tuple[str, str]] = {}
    definition = ""
    for line, block in blocks():
        if block.startswith("tests:"):
            found[line] = definition, block
        else:
            definition = completed(block)
    return found


def rule_examples() -> dict[str, list[str]]:
    """The YAML blocks of the page of rules under the rule they stand for, completed: the bad one, the mended one."""
    _, *sections = re.split(r"^### `([\w-]+)`$", LINT.read_text("utf-8"), flags=re.MULTILINE)
    return {
        rule: [completed(block.group(1)) for block in _BLOCK.finditer(text)]
        for rule, text in zip(sections[::2], sections[1::2], strict=True)
    }


def made(page: Path) -> str:
    """A page with its made parts made anew."""
    text = page.read_text("utf-8")
    for name, make in MADE[page].items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        before, _, rest = text.partition(begin)
        text = before + begin + make() + end + rest.partition(end)[2]
    return text


if __name__ == "__main__":
    for each in MADE:
        each.write_text(made(each), "utf-8")
