"""Words for mistakes: how a type is called in a sentence, what could be meant, what would help."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from journey_stream.journeys.guards.types import BOOL, DOUBLE, INT, STRING, Type


def a(found: Type) -> str:
    """Name a type in a sentence."""
    return {"int": "an int", "null": "null", "dyn": "something unknown"}.get(found.name, f"a {found}")


def conversion(left: Type, right: Type) -> str:
    """Say how two types could be brought together."""
    pair = {left, right}
    if STRING in pair and (INT in pair or DOUBLE in pair):
        return "put the number into quotes, or convert the text: double(...)"
    if BOOL in pair and len(pair) > 1:
        return "a bool stands alone: write `known` or `!known`"
    if any(each.name == "list" for each in pair):
        return "use `in`, size(), or exists() for what is in a list"
    return "convert one side: double(...), int(...) or string(...)"


def example(known: Iterable[str]) -> str:
    """Return one name to show how it is written."""
    return min(known, default="name")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the nearest of the known names, or list some of them."""
    names = sorted(set(known))
    near: list[str] = get_close_matches(name, names, 1, 0.6)
    near = near or [each for each in names if each.lower() == name.lower()]
    if near:
        return f"did you mean `{near[0]}`?"
    if not names:
        return "nothing is known here"
    return "known are " + ", ".join(names[:12]) + (" ..." if len(names) > 12 else "")
