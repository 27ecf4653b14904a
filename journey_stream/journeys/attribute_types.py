"""The static types that expressions see: of event properties, and of the attributes of a journey.

In: vocabulary, event types, attributes of the model. Out: `guards` types. The one rule for both who checks an
expression (here) and who compiles it (the engine), so that they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from journey_stream.events.vocabulary import COMMON_FIELDS, Vocabulary
from journey_stream.journeys.guards.types import (
    DOUBLE,
    DYN,
    INT,
    STRING,
    Type,
    from_field_type,
    list_of,
    map_of,
    record_of,
)
from journey_stream.journeys.model import ACTIVITY, Attribute

ALWAYS_KNOWN = frozenset({"count", "sum", "open", "distinct", "map"})
"""Forms that are never unknown: 0 or empty before their first event."""


def property_type(vocabulary: Vocabulary, kind: str, path: str) -> Type | None:
    """The type of a property path in events of one type; lines of an order are records."""
    found = vocabulary.field(kind, path)
    if found is None:
        return None
    if found == "list<map>":
        inside = path + "[]."
        fields = {
            name.removeprefix(inside): from_field_type(of)
            for name, of in vocabulary.fields(kind).items()
            if name.startswith(inside) and "." not in name.removeprefix(inside)
        }
        return list_of(record_of(fields)) if fields else list_of(map_of(STRING, DYN))
    return from_field_type(found)


def property_types(vocabulary: Vocabulary, kinds: Iterable[str]) -> dict[str, Type]:
    """All dotted paths that an event of one of `kinds` may have, with one type each.

    A path that only some of them have is there too (unknown on the others); where two types of events
    disagree about it, it is dynamic. Paths into lists (`[]`) are for attributes and not among them.
    """
    found: dict[str, Type] = {}
    for kind in kinds:
        paths = (*(vocabulary.fields(kind) if kind != ACTIVITY else ()), *COMMON_FIELDS)
        for path in paths:
            if "[]" in path:
                continue
            of = property_type(vocabulary, kind, path)
            if of is not None:
                found[path] = of if found.get(path, of) == of else DYN
    return found


def id_type(vocabulary: Vocabulary, kinds: Iterable[str], by: str) -> Type:
    """The type of `id`, the value of `by` that a timer or sequence is for."""
    types = [property_type(vocabulary, kind, by) for kind in kinds]
    return unified(of for of in types if of is not None) or DYN


def unified(types: Iterable[Type]) -> Type | None:
    """One type for all, or None when they differ."""
    distinct = set(types)
    return distinct.pop() if len(distinct) == 1 else None


def attribute_type(attribute: Attribute, vocabulary: Vocabulary, derived: Mapping[str, Type]) -> Type:
    """The type of an attribute in expressions; `derived` holds the types of the `value` ones by name."""
    match attribute.form:
        case "count" | "open":
            return INT
        case "sum" | "min" | "max" | "mean" | "elapsed" | "rhythm":
            return DOUBLE
        case "first" | "last":
            return source_type(attribute, vocabulary)
        case "distinct":
            return list_of(source_type(attribute, vocabulary))
        case "map":
            return map_of(source_type(attribute, vocabulary), _kept_type(attribute, vocabulary))
        case "value":
            return derived.get(attribute.name, DYN)


def source_type(attribute: Attribute, vocabulary: Vocabulary) -> Type:
    """The type of what the attribute reads."""
    types = [property_type(vocabulary, source.type, source.path or "") for source in attribute.sources]
    return unified(of for of in types if of is not None) or DYN


def _kept_type(attribute: Attribute, vocabulary: Vocabulary) -> Type:
    if attribute.keeps == "count":
        return INT
    if attribute.keeps == "sum" or attribute.of is None:
        return DOUBLE
    types = [property_type(vocabulary, source.type, attribute.of) for source in attribute.sources]
    return unified(of for of in types if of is not None) or DYN


def value_path(key: str, of: str) -> str:
    """Where the `of` of a map would be inside the key's array element.

    >>> value_path("products[].category", "price")
    'products[].price'
    """
    prefix, array, _ = key.rpartition("[].")
    return f"{prefix}{array}{of}" if array and "[]" not in of else of
