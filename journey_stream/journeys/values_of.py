"""What a key takes, judged by itself: one small function per `grammar.Takes`, in the table `VALUES`.

In: a node, its key of the grammar, the context, a label for messages. Out: the value as the checks work on
it, or None after noting what is wrong. Event types and properties are looked up in the vocabulary here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from journey_stream.events.vocabulary import COMMON_FIELDS
from journey_stream.journeys import guards
from journey_stream.journeys.durations import LONGEST, duration
from journey_stream.journeys.findings import Place, Spot, did_you_mean
from journey_stream.journeys.grammar import (
    JOURNEY_ID,
    KINDS,
    LANGUAGE,
    MAX_INTEGER,
    NAME,
    SLUG,
    TAKES,
    Key,
    Takes,
)
from journey_stream.journeys.model import ACTIVITY, UNTITLED, Source
from journey_stream.journeys.read import Items, Node, Scalar, Table

if TYPE_CHECKING:
    from journey_stream.journeys.check import Context

Parsed = Callable[[Node, Key, "Context", str], Any]


@dataclass(frozen=True, slots=True)
class Guard:
    """A parsed expression and where it stands."""

    expression: guards.Expression
    node: Scalar

    def spot(self, column: int | None, line: int = 1) -> Place:
        """Turn a column inside the expression into a place in the file."""
        return spot_inside(self.node, column, line)


def spot_inside(node: Scalar, column: int | None, line: int = 1) -> Place:
    """The place of a column (from 1) inside a text; its start where that cannot be told."""
    if column is None or line != 1 or not node.inline:
        return Spot(node.line, node.column)
    return Spot(node.line, node.column + column - 1 + (1 if node.quoted else 0))


def describe(node: Node) -> str:
    """Say what came instead."""
    if isinstance(node, Table):
        return "a mapping"
    if isinstance(node, Items):
        return "a list"
    if isinstance(node.value, bool):
        return f"the truth value {node.text}"
    if isinstance(node.value, int | float):
        return f"the number {node.text[:40]}"
    return "nothing" if node.value is None else f"the text '{node.text[:60]}'"


def _wrong(node: Node, key: Key, context: Context, label: str, hint: str | None = None) -> None:
    came = describe(node)
    context.report.add("wrong-type", node, f"{label} takes {TAKES[key.takes]}; came {came}", hint)


def _word(node: Node, key: Key, context: Context, label: str) -> Scalar | None:
    """A scalar that is text."""
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return node
    hint = "Put it in quotes if it is meant as text" if isinstance(node, Scalar) else None
    _wrong(node, key, context, label, hint)
    return None


def _text(node: Node, key: Key, context: Context, label: str) -> str | None:
    word = _word(node, key, context, label)
    if word is not None and not word.text.strip():
        context.report.add("empty", node, f"{label} is empty", "Write something, or leave the key out")
        return None
    return word.text if word else None


def _named(pattern: str) -> Parsed:
    def parse(node: Node, key: Key, context: Context, label: str) -> str | None:
        word = _word(node, key, context, label)
        if word is None:
            return None
        if not re.fullmatch(pattern, word.text) or len(word.text) > 100:
            msg = f"{label}: '{word.text[:60]}' is not an id"
            proposal = re.sub(r"[^a-z0-9_]+", "-", word.text.lower()).strip("-_0123456789")
            if pattern == JOURNEY_ID:
                proposal = proposal.replace("_", "-")
            hint = f"Use {TAKES[key.takes]}" + (f": {proposal}" if re.fullmatch(pattern, proposal) else "")
            context.report.add("bad-name", node, msg, hint)
            return None
        return word.text

    return parse


def _title(node: Node, key: Key, context: Context, label: str) -> dict[str, str] | None:
    if not isinstance(node, Table):
        text = _text(node, key, context, label)
        return None if text is None else {UNTITLED: text}
    titles: dict[str, str] = {}
    for language, entry in node.entries.items():
        if not re.fullmatch(LANGUAGE, language):
            msg = f"{label}: '{language[:40]}' is no language"
            context.report.add("bad-name", entry.key, msg, "Use codes such as en, fr or pt-BR")
            continue
        if isinstance(entry.value, Scalar) and entry.value.value is not None:
            titles[language] = entry.value.text
        else:
            _wrong(entry.value, key, context, f"{label} in '{language}'")
    return titles


def _integer(node: Node, key: Key, context: Context, label: str) -> int | None:
    if not isinstance(node, Scalar) or isinstance(node.value, bool) or not isinstance(node.value, int):
        _wrong(node, key, context, label)
        return None
    if not key.least <= node.value <= MAX_INTEGER:
        msg = f"{label} is {node.value}; expected {key.least} to {MAX_INTEGER:,}"
        context.report.add("bad-value", node, msg)
        return None
    return node.value


def _boolean(node: Node, key: Key, context: Context, label: str) -> bool | None:
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return node.value
    meant = {"yes": "true", "on": "true", "no": "false", "off": "false"}
    word = node.text.lower() if isinstance(node, Scalar) else ""
    _wrong(node, key, context, label, f"Write {meant[word]}" if word in meant else None)
    return None


def _one_of(allowed: tuple[str, ...]) -> Parsed:
    def parse(node: Node, key: Key, context: Context, label: str) -> str | None:
        word = _word(node, key, context, label)
        if word is None or word.text in allowed:
            return word.text if word else None
        hint = did_you_mean(word.text, allowed, "Allowed")
        context.report.add("bad-value", node, f"{label}: '{word.text[:60]}' is not one of them", hint)
        return None

    return parse


def _duration(node: Node, key: Key, context: Context, label: str) -> int | None:
    if not isinstance(node, Scalar) or isinstance(node.value, bool | None):
        _wrong(node, key, context, label)
        return None
    text = node.text.strip()
    length = context.durations.get(text) if text in context.parameters else duration(text)
    if length is not None and length <= LONGEST:
        return length
    rule, hint = "bad-duration", "Write a number with ms, s, m, h, d or w: 90d, 1d12h"
    if length is not None:
        hint = "At most a hundred years"
    elif text in context.parameters:
        hint = f"Give the parameter a unit, such as {text}: 30d"
    elif isinstance(node.value, int | float):
        hint = f"Add a unit: {text}s, {text}h or {text}d?"
    elif re.fullmatch(NAME, text):
        rule = "unknown-parameter"
        hint = did_you_mean(text, context.parameters) or hint
    context.report.add(rule, node, f"{label}: '{text[:60]}' is no duration", hint)
    return None


def _delay(node: Node, key: Key, context: Context, label: str) -> int | Guard | None:
    if isinstance(node, Scalar) and isinstance(node.value, str | int | float):
        text = node.text.strip()
        simple = duration(text) is not None or text in context.parameters
        if simple or isinstance(node.value, int | float) or re.fullmatch(r"\d[\da-z]*", text):
            return _duration(node, key, context, label)
    return _guard(node, key, context, label)


def _window(node: Node, key: Key, context: Context, label: str) -> int | str | None:
    if isinstance(node, Scalar) and node.text in ("stage", "session"):
        return node.text
    return _duration(node, key, context, label)


def _each(node: Node, key: Key, context: Context, label: str) -> Iterator[Scalar]:
    """The words of a word or a list of words."""
    items = node.items if isinstance(node, Items) else (node,)
    if not items:
        context.report.add("empty", node, f"{label} is an empty list", f"Expected {TAKES[key.takes]}")
    for item in items:
        if isinstance(item, Scalar) and item.broken:
            continue  # the reader has said why
        word = _word(item, key, context, label)
        if word is not None:
            yield word


def event_type(word: Scalar, context: Context, label: str) -> str | None:
    """Look up the name of an event type."""
    if word.text == ACTIVITY:
        return ACTIVITY
    found = context.vocabulary.get(word.text)
    if found is not None:
        return found.name
    if "." in word.text and context.vocabulary.get(word.text.split(".")[0]):
        hint = f"Here the event type alone is meant: {word.text.split('.')[0]}"
    else:
        known = (*context.vocabulary.names(), ACTIVITY)
        hint = (
            did_you_mean(word.text, known)
            or "The events' schemas list all types; a deployment can declare more"
        )
    context.report.add("unknown-event", word, f"{label}: there is no event type '{word.text[:60]}'", hint)
    return None


def _types(node: Node, key: Key, context: Context, label: str) -> tuple[str, ...] | None:
    found = [event_type(word, context, label) for word in _each(node, key, context, label)]
    return tuple(dict.fromkeys(name for name in found if name)) or None


def _since(node: Node, key: Key, context: Context, label: str) -> tuple[str, ...] | str | None:
    if isinstance(node, Scalar) and node.text in ("stage", "enter"):
        return "stage"
    return _types(node, key, context, label)


def _sequence(node: Node, key: Key, context: Context, label: str) -> tuple[tuple[str, ...], ...] | None:
    if not isinstance(node, Items):
        _wrong(node, key, context, label)
        return None
    if len(node.items) < 2:
        msg = f"{label} has {len(node.items)} step"
        context.report.add("bad-value", node, msg, "A sequence has at least two; for one event use event:")
        return None
    steps = [_types(item, key, context, label) for item in node.items]
    known = tuple(step for step in steps if step)
    return known if len(known) == len(steps) else None


def _property(word: Scalar, context: Context, label: str) -> Source | None:
    name, dot, path = word.text.partition(".")
    if not dot or not path:
        hint = f"Write type.path, such as {name if name in context.vocabulary else 'order_completed'}.total"
        context.report.add("bad-value", word, f"{label}: '{word.text[:60]}' names no property", hint)
        return None
    kind = event_type(Scalar(name, name, word.line, word.column), context, label)
    if kind is None:
        return None
    place = spot_inside(word, len(name) + 2)
    return Source(kind, path) if check_path(kind, path, place, context, label) else None


def check_path(kind: str, path: str, place: Place, context: Context, label: str) -> bool:
    """Look up a property path of an event type, which must lead to a value."""
    found = context.vocabulary.field(kind, path)
    if found in ("map", "list<map>"):
        inside = path + ("[]." if found == "list<map>" else ".")
        leads = [each for each in known_paths(kind, context) if each.startswith(inside)]
        hint = f"Go on to a value inside it: {', '.join(leads[:8])}" if leads else None
        msg = f"{label}: '{kind}.{path}' is not a single value"
        context.report.add("bad-value", place, msg, hint)
        return False
    if found is None:
        hint = did_you_mean(path, known_paths(kind, context), f"The properties of {kind}")
        msg = f"{label}: events of type '{kind}' have no property '{path[:60]}'"
        context.report.add("unknown-property", place, msg, hint)
    return found is not None


def known_paths(kind: str, context: Context) -> list[str]:
    """All paths of an event type, its own first."""
    return [*context.vocabulary.fields(kind), *COMMON_FIELDS]


def _properties(node: Node, key: Key, context: Context, label: str) -> tuple[Source, ...] | None:
    found = [_property(word, context, label) for word in _each(node, key, context, label)]
    return tuple(dict.fromkeys(source for source in found if source)) or None


def _one_property(node: Node, key: Key, context: Context, label: str) -> tuple[Source, ...] | None:
    if isinstance(node, Items) and not key.or_list:
        _wrong(node, key, context, label)
        return None
    return _properties(node, key, context, label)


def _words(node: Node, key: Key, context: Context, label: str) -> tuple[Scalar, ...] | None:
    return tuple(_each(node, key, context, label)) or None


def _names(node: Node, key: Key, context: Context, label: str) -> tuple[Scalar, ...] | None:
    if not isinstance(node, Items):
        _wrong(node, key, context, label, "Write [a, b]")
        return None
    return tuple(_each(node, key, context, label)) if node.items else ()


def _target(node: Node, key: Key, context: Context, label: str) -> Node | None:
    return node if isinstance(node, Table) else _word(node, key, context, label)


def _guard(node: Node, key: Key, context: Context, label: str) -> Guard | None:
    if not isinstance(node, Scalar) or node.value is None:
        hint = "Put the expression in quotes: { } and [ ] outside them are YAML's own"
        _wrong(node, key, context, label, hint)
        return None
    try:
        return Guard(guards.parse(node.text), node)
    except guards.GuardSyntaxError as error:
        place = spot_inside(node, error.column, error.line or 1)
        hint = error.help[:1].upper() + error.help[1:]
        context.report.add("guard-syntax", place, f"{label}: {error.message}", hint)
        return None


def _guards(node: Node, key: Key, context: Context, label: str) -> Guard | tuple[Guard | None, ...] | None:
    if not isinstance(node, Items):
        return _guard(node, key, context, label)
    return tuple(
        None if isinstance(item, Scalar) and item.value is None else _guard(item, key, context, label)
        for item in node.items
    )


def _guard_map(node: Node, key: Key, context: Context, label: str) -> dict[str, Guard] | None:
    if not isinstance(node, Table):
        _wrong(node, key, context, label, "Write {name: expression}")
        return None
    found: dict[str, Guard] = {}
    for name, entry in node.entries.items():
        if not re.fullmatch(NAME, name):
            msg = f"{label}: '{name[:60]}' is not a name"
            context.report.add(
                "bad-name", entry.key, msg, "Use small letters, digits and '_', a letter first"
            )
            continue
        guard = _guard(entry.value, key, context, f"{label}: '{name}'")
        if guard is not None:
            found[name] = guard
    return found


def _table(node: Node, key: Key, context: Context, label: str) -> Table | None:
    if isinstance(node, Table):
        return node
    _wrong(node, key, context, label)
    return None


def _list_of_tables(node: Node, key: Key, context: Context, label: str) -> tuple[Node, ...] | None:
    if isinstance(node, Items):
        return node.items
    hint = "Begin each one with '- '" if isinstance(node, Table) else None
    _wrong(node, key, context, label, hint)
    return None


VALUES: dict[Takes, Parsed] = {
    "journey id": _named(JOURNEY_ID),
    "id": _named(SLUG),
    "text": _text,
    "title": _title,
    "integer": _integer,
    "boolean": _boolean,
    "kind": _one_of(KINDS),
    "duration": _duration,
    "delay": _delay,
    "window": _window,
    "keeps": _one_of(("last", "sum", "count")),
    "parameters": _table,
    "types": _types,
    "since": _since,
    "sequence": _sequence,
    "property": _one_property,
    "properties": _properties,
    "path": _word,
    "names": _names,
    "stage": _word,
    "stages": _words,
    "target": _target,
    "guard": _guard,
    "guards": _guards,
    "guard map": _guard_map,
    "table": _table,
    "tables by name": _table,
    "list of tables": _list_of_tables,
}
"""How each kind of value is read."""
