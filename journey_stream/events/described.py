"""The vocabulary as plain data, for the compiled decoder (`native/src/vocab.rs`).

In: what a `Decoder` is made of. Out: a dict fit for JSON, or None where a type's struct is not written as the
others are (then everything stays in Python). Fields come in the order of their struct, which is that of the
history's bytes; a type with `plain` false, or an event that carries a field of the shape `other`, is left to
the Python decoder.

    {"types": [{"name", "spellings", "actor", "activity", "money", "plain", "fields": [Field]}],
     "context": [Field], "max_bytes", "max_future", "currency", "ces_high_is_easy", "filtered"}
    Field: {"name", "attribute", **Shape}
    Shape: {"shape": "str" (+ "longest") | "num" (+ "least", "most") | "bool" | "time" | "other"}
         | {"shape": "one_of", "texts"} | {"shape": "list", "of": Shape} | {"shape": "obj", "fields": [Field]}
"""

from __future__ import annotations

from collections.abc import Sequence
from types import UnionType
from typing import Annotated, Any, Final, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

import msgspec

from journey_stream.events.decode import DecodeLimits, Filter, Money
from journey_stream.events.envelope import Context
from journey_stream.events.fields import Seconds
from journey_stream.events.visits import CheckoutStep
from journey_stream.events.vocabulary import EventType, Vocabulary

Data: TypeAlias = dict[str, Any]

_OTHER: Final[Data] = {"shape": "other"}
_SIMPLE: Final[dict[Any, str]] = {str: "str", float: "num", bool: "bool", Seconds: "time"}
_STEP: Final = str | int | float
"""A checkout's step: text once read; as a number it is left to the Python decoder."""
_LIMITS: Final[dict[str, dict[str, str]]] = {
    "str": {"max_length": "longest"},
    "num": {"ge": "least", "le": "most"},
}
_FURTHER: Final = frozenset({"referral_converted"})
"""Types whose events make further ones (`derive.derived_events`): those are made in Python."""


class _NotAsTheOthersError(Exception):
    """A struct that is not read or written as `Properties` are."""


def describe(
    vocabulary: Vocabulary,
    limits: DecodeLimits = DecodeLimits(),  # noqa: B008 (frozen)
    money: Money | None = None,
    filters: Sequence[Filter] = (),
    *,
    ces_high_is_easy: bool = True,
) -> Data | None:
    """Describe a decoder of these (the arguments are those of `Decoder`)."""
    try:
        return {
            "types": [_type(kind, vocabulary) for kind in vocabulary],
            "context": _fields(Context),
            "max_bytes": limits.max_bytes,
            "max_future": limits.max_future,
            "currency": None if money is None else money.currency,
            "ces_high_is_easy": ces_high_is_easy,
            "filtered": bool(filters),
        }
    except _NotAsTheOthersError:
        return None


def _type(kind: EventType, vocabulary: Vocabulary) -> Data:
    return {
        "name": kind.name,
        "spellings": [name for name, found in vocabulary.by_spelling.items() if found.name == kind.name],
        "actor": kind.actor,
        "activity": kind.activity,
        "money": bool(kind.money),
        "plain": kind.validate is None and kind.name not in _FURTHER,
        "fields": _fields(kind.properties),
    }


def _fields(struct: type[msgspec.Struct]) -> list[Data]:
    config = struct.__struct_config__
    changed = getattr(struct, "__post_init__", None)
    if (
        not config.omit_defaults
        or config.array_like
        or config.forbid_unknown_fields
        or config.tag is not None
        or (changed is not None and changed is not CheckoutStep.__post_init__)
    ):
        raise _NotAsTheOthersError
    hints = get_type_hints(struct, include_extras=True)
    found = []
    for field in msgspec.structs.fields(struct):
        if field.default is not None:
            raise _NotAsTheOthersError
        found.append({"name": field.encode_name, "attribute": field.name, **_optional(hints[field.name])})
    return found


def _optional(hint: Any) -> Data:
    """The shape of a field, which may be None; what may be None and does not say so is not understood."""
    if get_origin(hint) not in (Union, UnionType):
        return _OTHER
    rest = tuple(arg for arg in get_args(hint) if arg is not type(None))
    if set(rest) == set(get_args(_STEP)):
        return {"shape": "str"}
    return _shape(rest[0]) if len(rest) == 1 and len(get_args(hint)) == 2 else _OTHER


def _shape(hint: Any) -> Data:
    origin = get_origin(hint)
    if origin is Annotated:
        return _limited(*get_args(hint))
    if origin is Literal:
        texts = get_args(hint)
        return (
            {"shape": "one_of", "texts": list(texts)} if all(type(text) is str for text in texts) else _OTHER
        )
    if origin is list:
        item = _shape(get_args(hint)[0])
        # Limits are kept per field; a list's items have none of their own.
        limited = item.keys() & {"least", "most", "longest"}
        return _OTHER if item == _OTHER or limited else {"shape": "list", "of": item}
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return {"shape": "obj", "fields": _fields(hint)}
    simple = _SIMPLE.get(hint)
    return _OTHER if simple is None else {"shape": simple}


def _limited(hint: Any, *metas: Any) -> Data:
    shape = dict(_shape(hint))
    known = _LIMITS.get(shape["shape"], {})
    for meta in metas:
        for name in dir(meta):
            limit = None if name.startswith("_") else getattr(meta, name)
            if limit is not None:
                if name not in known or known[name] in shape:
                    return _OTHER
                shape[known[name]] = limit
    return shape
