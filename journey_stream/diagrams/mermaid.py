"""Mermaid: the journey as a `stateDiagram-v2`, which code hosts and editors draw.

In: a journey. Out: text. Nested stages become composite states; an arrow is labelled with its rules' ids, or
with what triggers them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from journey_stream.diagrams.edges import Arrow, arrows
from journey_stream.journeys.model import Journey, Stage, called
from journey_stream.journeys.phrases import trigger

LONGEST_LABEL = 60


def mermaid(journey: Journey, *, language: str = "en", triggers: bool = False) -> str:
    """Write a Mermaid state diagram.

    Args:
        journey: a checked journey.
        language: of the titles.
        triggers: label arrows with what triggers them rather than with the ids of their rules.
    """
    return "\n".join(_lines(journey, language, triggers)) + "\n"


def _lines(journey: Journey, language: str, triggers: bool) -> Iterator[str]:
    yield "stateDiagram-v2"
    for stage in journey.stages.values():
        if stage.parent is None:
            yield "    " + _state(stage, language)
    for group in journey.groups.values():
        title = called(group.title, language, group.id)
        yield f'    state "{_clean(title)}" as {_name(group.id)} {{'
        for leaf in group.leaves:
            yield "        " + _state(journey.stages[leaf], language)
        yield f"        [*] --> {_name(group.initial)}"
        yield "    }"
    yield f"    [*] --> {_name(journey.start)}"
    for arrow in arrows(journey):
        yield f"    {_name(arrow.source)} --> {_name(arrow.target)} : {_label(arrow, triggers)}"


def _state(stage: Stage, language: str) -> str:
    return f'state "{_clean(called(stage.title, language, stage.leaf))}" as {_name(stage.id)}'


def _label(arrow: Arrow, triggers: bool) -> str:
    said = dict.fromkeys(trigger(rule.trigger) if triggers else rule.id for rule in arrow.rules)
    label = _clean(", ".join(said)) + (" (back)" if arrow.back else "")
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"


def _name(stage: str) -> str:
    """A name that Mermaid takes, also for a stage such as `a/b`."""
    return "s_" + re.sub(r"[^A-Za-z0-9_]", lambda sign: f"_{ord(sign.group()):x}_", stage)


def _clean(label: str) -> str:
    """Mermaid ends labels at some signs; entities say them."""
    return "".join(f"#{ord(sign)};" if sign in '"#;:{}<>' else sign for sign in " ".join(label.split()))
