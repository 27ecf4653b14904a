"""What values a property can have beyond its type: closed lists of words, least and greatest numbers.

In: an event type and a path. Out: `Limits`. They are those of the structs that the decoder reads into, of a
declared type's JSON Schema, and of the scores that intake derives: an event outside of them never gets here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from journey_stream.events.derive import score_limits
from journey_stream.events.envelope import Context
from journey_stream.events.vocabulary import ACTIVITY, EventType, Vocabulary


@dataclass(frozen=True, slots=True)
class Limits:
    """What a property can be."""

    words: frozenset[str] | None = None
    """None: any text."""
    least: float | None = None
    most: float | None = None
    never: bool = False
    """Events of this type do not have it at all."""


FREE = Limits()
NEVER = Limits(never=True)


def limits(vocabulary: Vocabulary, name: str, path: str) -> Limits:
    """Tell what the property at `path` can be in events of the type `name` (or `activity`)."""
    kind = vocabulary.types.get(name)
    if path in vocabulary.fields(name):
        return FREE if kind is None else _own(kind, path)
    if path.startswith("context."):
        return _of_struct(Context).get(path.removeprefix("context."), FREE)
    if path == "type" and name != ACTIVITY:
        return Limits(frozenset([name]))
    if path in ("sentiment", "score_norm"):
        return _score(name, path)
    return FREE if vocabulary.field(name, path) else NEVER


def _score(name: str, path: str) -> Limits:
    if name == ACTIVITY:
        return Limits(least=-1.0 if path == "sentiment" else 0.0, most=1.0)
    found = score_limits(name)[0 if path == "sentiment" else 1]
    return NEVER if found is None else Limits(least=found[0], most=found[1])


def _own(kind: EventType, path: str) -> Limits:
    if kind.schema is not None:
        properties = kind.schema.get("properties")
        spec = properties.get(path) if isinstance(properties, dict) else None
        return _of_schema(spec) if isinstance(spec, dict) else FREE
    return _of_struct(kind.properties).get(path, FREE)


def _of_schema(spec: dict[str, Any]) -> Limits:
    """The plain keywords of a declared property; what else its schema says is left out, which only widens."""
    words = spec.get("enum")
    closed = isinstance(words, list) and words and all(isinstance(word, str) for word in words)
    least, most = (
        float(value)
        if isinstance(value := spec.get(key), int | float) and not isinstance(value, bool)
        else None
        for key in ("minimum", "maximum")
    )
    return Limits(frozenset(words) if closed and words else None, least, most)


@cache
def _of_struct(struct: type[msgspec.Struct]) -> dict[str, Limits]:
    """The limits of a struct's own fields, by path."""
    hints = get_type_hints(struct, include_extras=True)
    found: dict[str, Limits] = {}
    for field in msgspec.structs.fields(struct):
        limit = _of_hint(hints[field.name])
        if limit != FREE:
            found[field.encode_name] = limit
    return found


def _of_hint(hint: Any) -> Limits:
    if get_origin(hint) in (Union, UnionType):
        rest = [arg for arg in get_args(hint) if arg is not type(None)]
        return _of_hint(rest[0]) if len(rest) == 1 else FREE
    if get_origin(hint) is Literal:
        return Limits(frozenset(get_args(hint)))
    if get_origin(hint) is Annotated:
        for meta in get_args(hint)[1:]:
            if isinstance(meta, msgspec.Meta) and (meta.ge is not None or meta.le is not None):
                return Limits(least=meta.ge, most=meta.le)
        return _of_hint(get_args(hint)[0])
    return FREE
