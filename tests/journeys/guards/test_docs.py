"""docs/guards.md is true: every line of its examples gives what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from journey_stream.journeys.guards import (
    BOOL,
    DOUBLE,
    INT,
    STRING,
    Binding,
    GuardSyntaxError,
    PlainScope,
    check,
    compile_expr,
    list_of,
    map_of,
    parse,
)

PAGE = (Path(__file__).parents[3] / "docs" / "guards.md").read_text(encoding="utf-8")
STATE = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0])
UNSET = {"rhythm": DOUBLE, "satisfied": DOUBLE, "channel": STRING}
TYPES = {
    "orders": INT,
    "revenue": DOUBLE,
    "last_channel": STRING,
    "categories": list_of(STRING),
    "per_brand": map_of(STRING, DOUBLE),
    "known": BOOL,
    "silence": DOUBLE,
} | UNSET
SCOPE = PlainScope({name: Binding(found, f"c.{name}") for name, found in TYPES.items()})
LINES = [
    re.split(r"\s+// (?==>|!)", line)
    for block in re.findall(r"```cel\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]


def refusal(text: str) -> str:
    try:
        _, problems = check(parse(text), SCOPE)
    except GuardSyntaxError as error:
        return str(error)
    return "; ".join(f"{problem.message}: {problem.suggestion}" for problem in problems)


@pytest.mark.parametrize(("text", "promise"), LINES, ids=[text for text, _ in LINES])
def test_an_example_of_the_page_gives_what_it_says(text: str, promise: str) -> None:
    if promise.startswith("! "):
        assert promise[2:] in refusal(text)
        return

    state = SimpleNamespace(**dict.fromkeys(UNSET), **STATE)
    expected = promise.removeprefix("=> ")
    result = compile_expr(parse(text), SCOPE)(state, None, 0)

    assert (None if expected == "unknown" else json.loads(expected)) == result
    assert expected == "unknown" or type(json.loads(expected)) is type(result)


def test_every_name_of_the_page_is_described_there() -> None:
    assert set(STATE) | set(UNSET) == set(TYPES)
    assert len(LINES) > 40
