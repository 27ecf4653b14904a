"""Paths into an event: the values that attributes fold, ids tie together and guards name.

In: an event type of the vocabulary and a path ("total", "context.channel", "products[].category"). Out: a
closure over (event, applied time), or Python source (ours, never the author's) for the guard compiler.
Which paths a type has, the vocabulary says; what an event does not carry is None, in an array left out.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeAlias, TypeVar

from journey_stream.events.vocabulary import ACTIVITY, Vocabulary, attribute_name
from journey_stream.values import Event

Getter: TypeAlias = Callable[[Event, int], Any]
_F = TypeVar("_F", bound=Callable[..., Any])

LONGEST = 1_000
"""Characters kept of a text: one event must not swell a state."""

_PLAIN = ("event_id", "type", "customer_id", "anonymous_id", "account_id", "sentiment", "score_norm")


def says(function: _F, described: Any) -> _F:
    """Note at a function what it does, as data for the compiled core; None: only in Python."""
    function.__dict__["described"] = described
    return function


def _told(function: Callable[..., Any]) -> Any:
    return getattr(function, "described", None)


def known(vocabulary: Vocabulary, kind: str, path: str) -> bool:
    """Tell whether events of this type can carry that path."""
    return vocabulary.field(kind, path) is not None


def own(vocabulary: Vocabulary, kind: str, path: str) -> bool:
    """Tell whether the path is among the type's own properties (they win over the common fields)."""
    return kind != ACTIVITY and path in vocabulary.fields(kind)


def code(vocabulary: Vocabulary, kind: str, path: str) -> str:
    """Python source over `e` that yields the value or None; for a path the type lacks, `None`."""
    if own(vocabulary, kind, path):
        if "[]" in path:
            return "None"
        first, *rest = path.split(".")
        return _select(f"e.properties.{attribute_name(first)}", rest)
    if not known(vocabulary, kind, path):
        return "None"
    if path == "occurred_at":
        return "(e.at / 1000000.0)"
    if path in _PLAIN:
        return f"e.{path}"
    return _select("e.context", path.split(".")[1:])


def described_code(vocabulary: Vocabulary, kind: str, path: str) -> dict[str, Any]:
    """What `code` reads, as an expression of the compiled core; `record`: it may be a struct, or several."""
    described: dict[str, Any] = {"x": "event", "get": _described_code(vocabulary, kind, path)}
    if vocabulary.field(kind, path) in ("map", "list<map>"):
        described["record"] = True
    return described


def _described_code(vocabulary: Vocabulary, kind: str, path: str) -> dict[str, Any]:
    if own(vocabulary, kind, path):
        return {"g": "none"} if "[]" in path else _property(kind, path)
    if not known(vocabulary, kind, path):
        return {"g": "none"}
    if path == "occurred_at":
        return {"g": "at"}
    if path in _PLAIN:
        return {"g": "field", "name": path}
    return {"g": "context", "path": path.split(".")[1:]}


def _property(kind: str, path: str) -> dict[str, Any]:
    return {"g": "prop", "kind": kind, "path": path.split(".")}


def described_identity(vocabulary: Vocabulary, kind: str, path: str, *, common: bool) -> Any:
    """What `getter` reads as an id, as data; None where Python would write a list or a map as text."""
    described = _told(getter(vocabulary, kind, path, common=common))
    kept = vocabulary.field(ACTIVITY if common else kind, path) in ("string", "double", "bool", "time", None)
    return described if kept or described == {"g": "none"} else None


def _select(base: str, rest: list[str]) -> str:
    source = base
    for depth, name in enumerate(rest):
        held = f"_s{depth}"
        source = f"(None if ({held} := {source}) is None else {held}.{attribute_name(name)})"
    return source


def getter(vocabulary: Vocabulary, kind: str, path: str, *, common: bool = False) -> Getter:
    """One value of an event; None where the event (or its type) does not carry it.

    `common` reads the fields that all events have, also where the type has a property of the same name.
    """
    if not common and own(vocabulary, kind, path):
        parts = path.split(".")
        if len(parts) == 1:
            read = attrgetter(f"properties.{attribute_name(path)}")
            return says(lambda e, t: read(e), _property(kind, path))
        return says(_chain([attribute_name(part) for part in parts], "properties"), _property(kind, path))
    if path == "occurred_at":
        return says(lambda e, t: t / 1_000_000, {"g": "t"})
    if path in _PLAIN:
        plain = attrgetter(path)
        return says(lambda e, t: plain(e), {"g": "field", "name": path})
    if path.startswith("context."):
        names = path.split(".")[1:]
        chain = _chain([attribute_name(part) for part in names], "context")
        return says(chain, {"g": "context", "path": names})
    return says(lambda e, t: None, {"g": "none"})


def _chain(names: list[str], root: str) -> Getter:
    start = attrgetter(root)

    def read(e: Event, t: int) -> Any:
        value = start(e)
        for name in names:
            if value is None:
                return None
            value = getattr(value, name)
        return value

    return read


def values(vocabulary: Vocabulary, kind: str, path: str, *, common: bool = False) -> Getter:
    """All values of a path in an event, as a list without the missing ones; texts are cut."""
    found = _values(vocabulary, kind, path, common=common)
    if vocabulary.field(ACTIVITY if common else kind, path) != "string":
        return found
    many = _told(found)
    cut = many if many is None or many["m"] == "none" else many | {"cut": True}
    return says(lambda e, t: [value[:LONGEST] for value in found(e, t)], cut)


def _values(vocabulary: Vocabulary, kind: str, path: str, *, common: bool) -> Getter:
    if "[]" not in path:
        one = getter(vocabulary, kind, path, common=common)

        def single(e: Event, t: int) -> list[Any]:
            value = one(e, t)
            return [] if value is None else [value]

        return says(single, {"m": "one", "get": _told(one), "cut": False})
    if common or not own(vocabulary, kind, path):
        return says(lambda e, t: [], {"m": "none"})
    array, _, rest = path.partition("[]")
    many = getter_of_array(array)
    described = {"kind": kind, "field": array, "cut": False} if _simple(array, rest) else None
    if not rest:
        items = None if described is None else {"m": "items", **described}
        return says(lambda e, t: [item for item in many(e) if item is not None], items)
    pick = attrgetter(attribute_name(rest[1:]))
    return says(
        lambda e, t: [value for item in many(e) if (value := pick(item)) is not None],
        None if described is None else {"m": "each", "sub": rest[1:], **described},
    )


def _simple(array: str, *inside: str) -> bool:
    """Whether an array of the properties themselves is meant, and plain fields of its elements."""
    return "." not in array and not any("." in rest[1:] or "[]" in rest for rest in inside)


def pairs(vocabulary: Vocabulary, kind: str, path: str, of: str, *, common: bool = False) -> Getter:
    """Keys with their values, of the same event and, where both are of one array, of the same element."""
    array, _, rest = path.partition("[]")
    of_array, _, of_rest = of.partition("[]")
    if "[]" in path and "[]" in of and array == of_array and own(vocabulary, kind, path) and rest:
        many = getter_of_array(array)
        key, value = attrgetter(attribute_name(rest[1:])), attrgetter(attribute_name(of_rest[1:]))
        each = {"p": "each", "kind": kind, "field": array, "key": rest[1:], "value": of_rest[1:]}
        return says(
            lambda e, t: [
                (_cut(k), _cut(v))
                for item in many(e)
                if (k := key(item)) is not None and (v := value(item)) is not None
            ],
            each if _simple(array, rest, of_rest) else None,
        )
    keys = values(vocabulary, kind, path, common=common)
    amount = getter(vocabulary, kind, of, common=common)

    def crossed(e: Event, t: int) -> list[tuple[Any, Any]]:
        value = amount(e, t)
        return [] if value is None else [(key, _cut(value)) for key in keys(e, t)]

    told = _told(keys)
    return says(crossed, None if told is None else {"p": "crossed", "keys": told, "value": _told(amount)})


def _cut(value: Any) -> Any:
    return value[:LONGEST] if type(value) is str else value


def getter_of_array(array: str) -> Callable[[Event], list[Any]]:
    """The elements of an array property, none when the event has no such array."""
    read = attrgetter(f"properties.{attribute_name(array)}")
    return lambda e: read(e) or []
