"""The tables of docs/events.md: every event type and its properties, made from the one vocabulary.

In: a vocabulary. Out: Markdown. Types that share their properties stand in one row, as they do in the code.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from journey_stream.events.envelope import Context
from journey_stream.events.fields import Product, field_types
from journey_stream.events.jsonschema import components
from journey_stream.events.vocabulary import EventType, Vocabulary
from journey_stream.values import FieldType

_WORDS: dict[FieldType, str] = {
    "string": "",
    "double": "number",
    "bool": "true or false",
    "time": "time",
    "map": "mapping",
    "list<string>": "list of texts",
    "list<double>": "list of numbers",
    "list<map>": "list",
}


def events_table(vocabulary: Vocabulary) -> str:
    """Write a table per source: types, whose act they are, what they are, their properties."""
    lines: list[str] = []
    for source, kinds in groupby(vocabulary, lambda kind: kind.source):
        lines += [
            f"### `journey.{source}`",
            "",
            "| event type | whose | what | properties |",
            "|---|---|---|---|",
        ]
        for (struct, actor), alike in groupby(kinds, lambda kind: (kind.properties, kind.actor)):
            types = list(alike)
            names = " ".join(f"`{kind.name}`" for kind in types)
            what = (struct.__doc__ or "").strip().split("\n")[0]
            lines.append(f"| {names} | {actor} | {what} | {', '.join(_properties(types[0], vocabulary))} |")
        lines.append("")
    return "\n".join(lines)


def context_table() -> str:
    """Write the table of what an event's context holds."""
    return _table(dict(field_types(Context)), Context)


def product_table() -> str:
    """Write the table of a product line."""
    return _table(dict(field_types(Product)), Product)


def _table(fields: dict[str, FieldType], struct: type) -> str:
    rows = [f"| `{name}` | {_takes(name, of, struct) or 'text'} |" for name, of in fields.items()]
    return "\n".join(["| property | takes |", "|---|---|", *rows]) + "\n"


def _properties(kind: EventType, vocabulary: Vocabulary) -> Iterator[str]:
    product = {name for name, _ in field_types(Product)}
    fields = {name: of for name, of in vocabulary.fields(kind.name).items() if name.isidentifier()}
    if issubclass(kind.properties, Product):
        yield "those of a [product line](#product-lines)"
        fields = {name: of for name, of in fields.items() if name not in product}
    for name, of in fields.items():
        takes = "amount" if name in kind.money else _takes(name, of, kind.properties)
        if name == "products":
            takes = "list of [product lines](#product-lines)"
        yield f"`{name}`" + (f" ({takes})" if takes else "")


def _takes(name: str, of: FieldType, struct: type) -> str:
    """Say what a property takes: its choices, or a word for its type; `` for text."""
    choices = _choices(struct, name)
    return " · ".join(f"`{choice}`" for choice in choices) or _WORDS[of]


def _choices(struct: type, name: str) -> list[str]:
    _, definitions = components(struct)
    for definition in definitions.values():
        found: Any = definition.get("properties", {}).get(name)
        if found is not None and definition.get("title") == struct.__name__:
            options = [found, *found.get("anyOf", ())]
            return [str(each) for option in options for each in option.get("enum", ()) if each is not None]
    return []
