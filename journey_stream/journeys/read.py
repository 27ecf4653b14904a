"""YAML text -> nodes that know their line and column. Not its job: what the keys mean.

Strategy: PyYAML's event stream (never its constructors, so no object of anybody's choosing is ever made),
folded into three kinds of nodes by a stack of our own, so depth and size are bounded and nothing recurses.
Plain scalars follow the YAML 1.2 core schema: on, off, yes and no stay strings. Whatever is not a plain tree
of text is a finding: aliases (a bomb needs them), tags, second documents, duplicate keys. Never an exception.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, TypeAlias

import yaml

from journey_stream.journeys.findings import Report, Spot

MAX_CHARACTERS = 400_000
MAX_DEPTH = 24
MAX_NODES = 20_000
MAX_SCALAR = 10_000


@dataclass(frozen=True, slots=True)
class Scalar:
    """A leaf: its value by the YAML 1.2 core schema, and its text as written."""

    value: str | int | float | bool | None
    text: str
    line: int
    column: int
    quoted: bool = False
    inline: bool = True
    """On one line as written, so that a column inside the text can be told."""
    broken: bool = False
    """Not part of the language; a finding says why."""


@dataclass(frozen=True, slots=True)
class Items:
    """A YAML sequence."""

    items: tuple[Node, ...]
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping with its value."""

    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True)
class Table:
    """A YAML mapping, keys as text, in file order."""

    entries: dict[str, Entry]
    line: int
    column: int
    flow: bool = False
    """Written as `{...}`."""


Node: TypeAlias = Scalar | Items | Table


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet."""

    is_table: bool
    line: int
    column: int
    flow: bool
    items: list[Node] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    key: Scalar | None = None
    bad_key: bool = False


_INT = re.compile(r"[-+]?[0-9]{1,18}|0o[0-7]{1,20}|0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | float | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".nan": float("nan"), ".NaN": float("nan"), ".NAN": float("nan"),
    ".inf": float("inf"), ".Inf": float("inf"), ".INF": float("inf"),
    "+.inf": float("inf"), "-.inf": float("-inf"),
}  # fmt: skip
_STRING_TAGS = {"!", "tag:yaml.org,2002:str"}
_QUOTE_IT = (
    "Put the whole expression in quotes: YAML gives : # , [ ] { } ! & * | > % @ and quotes a meaning of "
    'their own, as in when: "!has(score) || score > 0.5" or from: "*/search"'
)
_EXPRESSION_KEY = re.compile(r"\b(when|where|after|from|to|value|reason_from|payload|sequence)\s*:")
_EMPTY = (
    "the document is empty; a journey was expected",
    "Start with journey: my-journey, version: 1, start: and stages:",
)


def read(text: str, report: Report, *, empty: tuple[str, str] = _EMPTY) -> Node | None:
    """Turn a YAML text into nodes, noting whatever is not a plain tree.

    Args:
        text: the file.
        report: where findings go.
        empty: what is said of a file without content, and the way out.

    Returns:
        The root node, or None when nothing usable could be read (then there is at least one finding).
    """
    if len(text) > MAX_CHARACTERS:
        msg = f"the definition has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read"
        report.add("too-large", Spot(), msg, "Split it into several journeys")
        return None
    try:
        return _fold(yaml.parse(text, Loader=yaml.SafeLoader), report, empty)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        spot = Spot(mark.line + 1, mark.column + 1) if mark else Spot()
        report.add("yaml-syntax", spot, _sentence(error), _hint(error, text, spot.line))
    except yaml.reader.ReaderError as error:
        before = text[: error.position] if isinstance(error.position, int) else ""
        spot = Spot(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
        report.add("yaml-syntax", spot, f"a character that YAML does not allow: {error.character!r}")
    except (yaml.YAMLError, ValueError, OverflowError):
        # PyYAML lets some ValueErrors through: an escape beyond Unicode, a version number without end
        msg = "the text cannot be read as YAML: an escape or a version number is out of range"
        report.add("yaml-syntax", Spot(), msg)
    return None


def _sentence(error: yaml.MarkedYAMLError) -> str:
    parts = [part for part in (error.context, error.problem) if part]
    return "not YAML: " + ", ".join(parts)[:300]


def _hint(error: yaml.MarkedYAMLError, text: str, line: int) -> str | None:
    if "\\t" in (error.problem or "") or "'\t'" in (error.problem or ""):
        return "Indent with spaces; YAML does not allow tabs there"
    lines = text.split("\n")
    near = lines[max(0, line - 2) : line]
    if any(_EXPRESSION_KEY.search(each) for each in near):
        return _QUOTE_IT
    return None


def _fold(events: Iterator[yaml.Event], report: Report, empty: tuple[str, str]) -> Node | None:
    stack: list[_Open] = []
    root: Node | None = None
    documents = nodes = 0
    for event in events:
        spot = _spot(event.start_mark)
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                msg = "a file holds one journey, and here a second document begins"
                report.add("yaml-documents", spot, msg, "Put it in a file of its own")
                return root
        done = _node(event, spot, stack, report)
        if len(stack) > MAX_DEPTH:
            report.add("too-large", spot, f"nested more than {MAX_DEPTH} levels deep")
            return None
        if done is None:
            continue
        nodes += 1
        if nodes > MAX_NODES:
            report.add("too-large", spot, f"more than {MAX_NODES:,} values")
            return None
        if stack:
            _place(stack[-1], done, report)
        else:
            root = done
    if root is None or (isinstance(root, Scalar) and root.value is None):
        report.add("empty", Spot(), *empty)
        return None
    return root


def _spot(mark: Any) -> Spot:
    return Spot() if mark is None else Spot(mark.line + 1, mark.column + 1)


def _node(event: yaml.Event, spot: Spot, stack: list[_Open], report: Report) -> Node | None:
    """The node that this event completes, if it completes one; begun collections wait on the stack."""
    if isinstance(event, yaml.AliasEvent):
        hint = f'Write it out, or make it a parameter; a pattern has to stand in quotes: "*{event.anchor}"'
        report.add("yaml-alias", spot, f"the alias *{event.anchor} is not part of the language", hint)
        return Scalar(None, "", spot.line, spot.column, broken=True)
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event, spot, report)
    if isinstance(event, yaml.CollectionStartEvent):
        _no_decoration(event, spot, report)
        is_table = isinstance(event, yaml.MappingStartEvent)
        stack.append(_Open(is_table, spot.line, spot.column, bool(event.flow_style)))
    elif isinstance(event, yaml.CollectionEndEvent):
        opened = stack.pop()
        if opened.is_table:
            return Table(opened.entries, opened.line, opened.column, opened.flow)
        return Items(tuple(opened.items), opened.line, opened.column)
    return None


def _no_decoration(event: yaml.NodeEvent, spot: Spot, report: Report) -> None:
    if event.anchor is not None:
        hint = "Write the value out where it is needed, or make it a parameter"
        report.add("yaml-alias", spot, f"the anchor &{event.anchor} is not part of the language", hint)
    tag: str | None = getattr(event, "tag", None)
    if tag is not None and tag not in _STRING_TAGS:
        report.add("yaml-tag", spot, f"the tag {tag[:80]} is not part of the language", _QUOTE_IT)


def _scalar(event: yaml.ScalarEvent, spot: Spot, report: Report) -> Scalar:
    before = len(report.findings)
    _no_decoration(event, spot, report)
    text: str = event.value
    if len(text) > MAX_SCALAR:
        report.add("too-large", spot, f"a text of {len(text):,} characters; at most {MAX_SCALAR:,} are read")
    try:
        text.encode()
    except UnicodeEncodeError:
        report.add("yaml-syntax", spot, "a text with half a character (a lone surrogate)")
    broken = len(report.findings) > before and event.anchor is None
    quoted = event.style in ("'", '"')
    plain = event.style in (None, "") and event.tag is None
    begin, end = _spot(event.start_mark), _spot(event.end_mark)
    # a quoted text with escapes is longer than its value: columns inside it cannot be told
    inline = begin.line == end.line and end.column - begin.column == len(event.value) + (2 if quoted else 0)
    value = _core(text) if plain else text
    return Scalar(value, text, spot.line, spot.column, quoted, inline, broken)


def _core(text: str) -> str | int | float | bool | None:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text) and len(text) <= 400:
        return float(text)
    return text


def _place(into: _Open, node: Node, report: Report) -> None:
    if not into.is_table:
        into.items.append(node)
    elif into.key is None and not into.bad_key:
        if isinstance(node, Scalar):
            into.key = node
        else:
            report.add("wrong-type", node, "a key must be a name, and here is a list or a mapping")
            into.bad_key = True
    else:
        key, into.key, into.bad_key = into.key, None, False
        if key is None:
            return
        first = into.entries.get(key.text)
        if first is not None:
            msg = (
                f"the key '{key.text}' stands here for the second time; the first is in line {first.key.line}"
            )
            report.add("duplicate-key", key, msg, "Keep one of the two")
        else:
            into.entries[key.text] = Entry(key, node)


def shipped_names() -> list[str]:
    """Name the definitions that come with the package."""
    folder = resources.files("journey_stream.journeys") / "shipped"
    names = (item.name for item in folder.iterdir())
    return sorted(
        name.removesuffix(".yaml")
        for name in names
        if name.endswith(".yaml") and not name.endswith("_test.yaml")
    )


def shipped(name: str) -> str:
    """Give the text of a definition that comes with the package.

    Raises:
        KeyError: no such definition; `shipped_names` lists them.
    """
    return _shipped(name, f"{name}.yaml")


def shipped_tests(name: str) -> str:
    """Give the text of the tests of a definition that comes with the package.

    Raises:
        KeyError: no such definition; `shipped_names` lists them.
    """
    return _shipped(name, f"{name}_test.yaml")


def _shipped(name: str, file: str) -> str:
    if name not in shipped_names():
        raise KeyError(name)
    return (resources.files("journey_stream.journeys") / "shipped" / file).read_text("utf-8")
