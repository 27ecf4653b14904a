"""What a property may be: the base of all property structs, and the static types of their paths.

In: a msgspec struct type. Out: its paths ("price", "products[].category", "context.campaign.source") with
the type that a guard sees. A name that Python keeps for itself carries an underscore as attribute (`from_`);
`attribute_name` tells it. Times are text on the wire and float seconds since the epoch in the struct.
"""

from __future__ import annotations

import datetime as dt
import keyword
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from journey_stream.values import FieldType

if TYPE_CHECKING:
    Seconds = float
else:

    class _AnyFloat(type):
        def __instancecheck__(cls, value: object) -> bool:
            return type(value) is float

    class Seconds(metaclass=_AnyFloat):
        """A time inside properties: RFC 3339 with offset on the wire, a plain float of seconds in the struct.

        A plain float, so that state and records encode it without help; the metaclass lets msgspec take it.
        """


MessageChannel = Literal["email", "sms", "push", "call", "post", "chat"]
ContextChannel = Literal["web", "app", "store", "phone", "email", "chat", "social", "marketplace", "field"]


class Properties(msgspec.Struct, gc=False, kw_only=True, omit_defaults=True):
    """Base of every property struct: all keys optional, unknown keys left out."""


class Product(Properties):
    """A product line."""

    product_id: str | None = None
    sku: str | None = None
    name: str | None = None
    category: str | None = None
    brand: str | None = None
    variant: str | None = None
    range: str | None = None
    """Of the same product, the higher or lower line: what up-selling climbs."""
    price: float | None = None
    quantity: float | None = None


_text = msgspec.json.Encoder().encode
_time = msgspec.json.Decoder(dt.datetime).decode
"""By way of JSON: five times as quick as `msgspec.convert`, which looks at the type each time."""


def dec_hook(kind: type, value: object) -> float:
    """Read a `Seconds` (msgspec calls this for types that are not its own)."""
    if kind is not Seconds:
        msg = f"no reader for the type {kind!r}"
        raise NotImplementedError(msg)
    if type(value) is not str:
        msg = f"Expected `str` (a time as RFC 3339 with offset), got `{type(value).__name__}`"
        raise ValueError(msg)
    moment = _time(_text(value))
    if moment.tzinfo is None:
        msg = "Expected a time with an offset"
        raise ValueError(msg)
    return moment.timestamp()


MAX_DEPTH = 16
"""How deeply a free-form map may be nested: it is kept in state, and has to be written again."""


def tame(free: dict[str, Any] | list[Any], depth: int = MAX_DEPTH) -> bool:
    """Turn the integers of a free-form map into floats, in place; False: too deep, or too large a number.

    All numbers of properties are doubles; an integer of a thousand digits could not be written to state.
    """
    if depth == 0:
        return False
    items: Any = free.items() if isinstance(free, dict) else enumerate(free)
    for key, value in items:
        if type(value) is int:
            try:
                free[key] = float(value)
            except OverflowError:
                return False
        elif isinstance(value, dict | list) and not tame(value, depth - 1):
            return False
    return True


def attribute_name(name: str) -> str:
    """The attribute that holds the property `name`: the same, but `from_` for `from`."""
    return name + "_" if keyword.iskeyword(name) else name


def field_types(struct: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, FieldType]]:
    """Walk the paths of a struct, nested structs and lists of structs included."""
    hints = get_type_hints(struct, include_extras=True)
    for field in msgspec.structs.fields(struct):
        path = prefix + field.encode_name
        inner = _bare(hints[field.name])
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            yield path, "map"
            yield from field_types(inner, path + ".")
            continue
        item = _bare(get_args(inner)[0]) if get_origin(inner) is list else None
        if isinstance(item, type) and issubclass(item, msgspec.Struct):
            yield path, "list<map>"
            yield from field_types(item, path + "[].")
            continue
        kind = _field_type(inner)
        if kind is not None:
            yield path, kind
            if item is not None:
                yield path + "[]", _SCALARS[item]


def _bare(hint: Any) -> Any:
    """Strip `| None` and `Annotated`; of several types left, text wins (`Step` is text once read)."""
    if get_origin(hint) is Annotated:
        return _bare(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        rest = [arg for arg in get_args(hint) if arg is not type(None)]
        return _bare(rest[0]) if len(rest) == 1 or rest[0] is str else hint
    return hint


_SCALARS: dict[Any, FieldType] = {str: "string", float: "double", bool: "bool", Seconds: "time"}


def _field_type(hint: Any) -> FieldType | None:
    if get_origin(hint) is Literal:
        return "string"
    if get_origin(hint) is list:
        item = _bare(get_args(hint)[0])
        return {str: "list<string>", float: "list<double>"}.get(item)  # type: ignore[return-value]
    if get_origin(hint) is dict:
        return "map"
    return _SCALARS.get(hint)
