"""A start for authors: a definition, its tests and a sample of events that pass at once. Pure: texts out.

    made = scaffold("my-shop", "blank", stages=("prospect", "customer", "lost"), silence="90d")
    made.definition, made.tests, made.events

In: a name, a template, and for the blank one its stages and its silence. Out: texts; writing them down is the
command line's job. A template is the blank one (`blank`) or one of the shipped models, renamed. The sample of
events is made of the stories of the tests, each lived by a customer of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from journey_stream.errors import UsageError
from journey_stream.journeys import shipped, shipped_names, shipped_tests
from journey_stream.journeys.durations import duration
from journey_stream.journeys.grammar import JOURNEY_ID, NAME
from journey_stream.scaffold.blank import blank, blank_tests, title
from journey_stream.scaffold.sample import sample

BLANK = "blank"
STAGES = ("prospect", "customer", "lost")
SILENCE = "90d"
MOST_STAGES = 12
NO_TEXT = ("null", "true", "false")
"""What YAML does not take for text."""


@dataclass(frozen=True, slots=True)
class Made:
    """The texts of three files."""

    definition: str
    tests: str
    events: str
    """JSON Lines."""


def templates() -> list[str]:
    """Name what there is to start from."""
    return [BLANK, *shipped_names()]


def scaffold(
    name: str, template: str = BLANK, stages: tuple[str, ...] = STAGES, silence: str = SILENCE
) -> Made:
    """Make a definition, its tests and events.

    Args:
        name: Id of the new journey.
        template: One of `templates`.
        stages: Of the blank template: the first is where everybody begins, the last is for who is lost.
        silence: Of the blank template: who orders nothing for so long is lost.

    Raises:
        UsageError: the name, the stages or the silence cannot be used.
    """
    _check_name(name)
    if template == BLANK:
        _check_stages(stages)
        if not duration(silence):
            msg = f"silence {silence!r}: expected a duration such as 90d, 2w or 36h"
            raise UsageError(msg)
        definition, tests = blank(name, stages, silence), blank_tests(stages, silence)
    else:
        definition, tests = renamed(shipped(template), template, name), shipped_tests(template)
    lines = [msgspec.json.encode(event).decode() for event in sample(tests)]
    return Made(definition, tests, "".join(f"{line}\n" for line in lines))


def renamed(text: str, old: str, new: str) -> str:
    """Give a definition another id and title; everything else, comments too, stays."""
    text = re.sub(rf"\A# {old}:", f"# {new}, made from the model {old}:", text)
    text = re.sub(rf"^journey: {old}$", f"journey: {new}", text, count=1, flags=re.MULTILINE)
    text = re.sub(r"^title: .*$", f"title: {title(new)}", text, count=1, flags=re.MULTILINE)
    return text.replace(f'stage("{old}")', f'stage("{new}")')


def _check_name(name: str) -> None:
    if not re.fullmatch(JOURNEY_ID, name) or name in NO_TEXT:
        msg = (
            f"name {name!r}: expected the id of a journey: small letters, digits and `-`, a letter first, "
            f"such as my-shop"
        )
        raise UsageError(msg)
    if name in shipped_names():
        msg = f"name {name!r}: a shipped model is called so, and its name would win; choose another"
        raise UsageError(msg)


def _check_stages(stages: tuple[str, ...]) -> None:
    told = ", ".join(stages)
    if not 3 <= len(stages) <= MOST_STAGES:
        msg = (
            f"stages {told!r}: expected 3 to {MOST_STAGES}, such as prospect,customer,lost: the first is "
            f"where everybody begins, the last is for who is lost"
        )
        raise UsageError(msg)
    if len(set(stages)) < len(stages):
        msg = f"stages {told!r}: expected each name once"
        raise UsageError(msg)
    for stage in stages:
        if not re.fullmatch(NAME, stage) or stage in ("any", *NO_TEXT):
            msg = f"stage {stage!r}: expected small letters, digits and `_`, a letter first: first_order"
            raise UsageError(msg)
