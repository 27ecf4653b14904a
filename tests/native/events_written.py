"""The vocabulary and an event, as the windows of the compiled core for tests take them."""

from __future__ import annotations

import json
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from journey_stream.events.fields import Seconds, _bare
from journey_stream.events.vocabulary import BUILT_IN, Context
from journey_stream.values import Event

pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.decode


def _shape(hint: Any) -> Any:
    bare = _bare(hint)
    if isinstance(bare, type) and issubclass(bare, msgspec.Struct):
        return {"of": _fields(bare)}
    if get_origin(bare) is list:
        return [_shape(get_args(bare)[0])]
    plain = {str: "str", float: "num", bool: "bool", Seconds: "time"}.get(bare)
    return plain or ("other" if get_origin(bare) is dict else "str")


def _fields(struct: type[msgspec.Struct]) -> list[Any]:
    hints = get_type_hints(struct, include_extras=True)
    return [[each.encode_name, _shape(hints[each.name])] for each in msgspec.structs.fields(struct)]


VOCABULARY = json.dumps(
    {
        "types": {kind.name: {"of": _fields(kind.properties)} for kind in BUILT_IN},
        "context": {"of": _fields(Context)},
    }
)


def written(event: Event) -> bytes:
    return pack({name: getattr(event, name) for name in event.__struct_fields__ if name != "person"})
