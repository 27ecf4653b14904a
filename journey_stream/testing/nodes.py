"""Nodes of a test file to values. In: a node, a report for findings. Out: a value to go on with."""

from __future__ import annotations

from collections.abc import Sequence

from journey_stream.journeys.findings import Report, Spot, did_you_mean
from journey_stream.journeys.read import Items, Node, Scalar, Table
from journey_stream.testing.story import StoryError, Times, plain


def spot(lines: Sequence[str], line: int, word: str) -> Spot:
    """Point at a word in a line of the file; at the line's first word where it is not found."""
    text = lines[line - 1] if line <= len(lines) else ""
    column = text.find(word)
    return Spot(line, (column if column >= 0 else len(text) - len(text.lstrip())) + 1)


def time_of(node: Node, times: Times, previous: int, report: Report) -> int:
    """Read a time; what is none is told, and counts as the one before."""
    try:
        return times.read(text_of(node), previous)
    except StoryError as error:
        report.add("bad-value", node, str(error))
        return previous


def table_of(node: Node, keys: tuple[str, ...], what: str, report: Report) -> dict[str, Node]:
    """Read a mapping with these keys; others are told."""
    if not isinstance(node, Table):
        report.add("wrong-type", node, f"{what} is a mapping with the keys {', '.join(keys)}")
        return {}
    for name, entry in node.entries.items():
        if name not in keys:
            hint = did_you_mean(name, keys, "The keys here")
            report.add("unknown-key", entry.key, f"'{name}' is no key of {what}", hint)
    return {name: entry.value for name, entry in node.entries.items() if name in keys}


def names_of(node: Node | None, key: str, report: Report) -> dict[str, int]:
    """Read a list of names, each with its line."""
    if node is None:
        return {}
    if isinstance(node, Items) and all(isinstance(item, Scalar) for item in node.items):
        return {text_of(item): item.line for item in node.items}
    report.add("wrong-type", node, f"'{key}' is a list of names")
    return {}


def text_of(node: Node) -> str:
    """What an author wrote, as text."""
    return node.text if isinstance(node, Scalar) else str(plain(node))
