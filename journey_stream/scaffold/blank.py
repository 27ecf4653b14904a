"""The blank template: some stages, and one of each main construct, with tests that reach all of it.

In: a name, stages (the first is where everybody begins, the last for who is lost, those between are climbed
by orders), a silence. Out: the texts of a definition and of its tests. What does not depend on the stages
stands in `blank.yaml.txt` and `blank_test.yaml.txt`, with `@` before what is filled in.
"""

from __future__ import annotations

from importlib import resources
from itertools import count, pairwise
from string import Template

_KINDS = ("conversion", "development", "retention")


class _Blank(Template):
    delimiter = "@"


def blank(name: str, stages: tuple[str, ...], silence: str) -> str:
    """Write the definition."""
    _, *climbed, _ = stages
    kinds = ["prospect", *(_KINDS[min(place, 2)] for place in range(len(climbed))), "attrition"]
    owners = ["marketing", *("sales" for _ in climbed), "marketing"]
    return _filled(
        "blank.yaml.txt",
        stages,
        name=name,
        title=title(name),
        silence=silence,
        all_stages=", ".join(stages),
        described="\n".join(
            f"  {stage}: {{kind: {kind}, title: {title(stage)}, owner: {owner}}}"
            for stage, kind, owner in zip(stages, kinds, owners, strict=True)
        ),
        climbing_parameters="".join(
            f"  # so many orders lead to {stage}\n  {stage}_orders: {orders}\n"
            for stage, _, orders in _climbing(climbed)
        ),
        climbing="".join(
            f"  - {{id: {_rule(stage)}, from: {before}, to: {stage}, event: order_completed, "
            f"when: orders >= {stage}_orders, reason: many_orders}}\n"
            for stage, before, _ in _climbing(climbed)
        ),
    )


def blank_tests(stages: tuple[str, ...], silence: str) -> str:
    """Write the tests."""
    first, *climbed, _ = stages
    return _filled(
        "blank_test.yaml.txt",
        stages,
        silence=silence,
        climbing="".join(
            f"  - name: the {orders} orders that lead to {stage}\n"
            "    given: |\n"
            + "".join(
                f"      day 0 {at:02}:00: order_completed order_id=o{at} total=20\n" for at in range(orders)
            )
            + f"    then: [{', '.join([first, *climbed[: climbed.index(stage)]])}, "
            f"{{to: {stage}, rule: {_rule(stage)}, reason: many_orders}}]\n\n"
            for stage, _, orders in _climbing(climbed)
        ),
    )


def title(name: str) -> str:
    """Write an id as a title: `my-shop` is `My shop`."""
    return name.replace("_", " ").replace("-", " ").strip().capitalize()


def _filled(file: str, stages: tuple[str, ...], **values: str) -> str:
    first, *climbed, last = stages
    between = climbed[0] if len(climbed) == 1 else f"[{', '.join(climbed)}]"
    text = (resources.files("journey_stream.scaffold") / file).read_text("utf-8")
    return _Blank(text).substitute(values, first=first, one=climbed[0], last=last, between=between)


def _climbing(climbed: list[str]) -> list[tuple[str, str, int]]:
    """List the stages that more orders lead to: (stage, the one before, how many orders: 3, 5, 7 ...)."""
    pairs = zip(count(3, 2), pairwise(climbed), strict=False)
    return [(stage, before, orders) for orders, (before, stage) in pairs]


def _rule(stage: str) -> str:
    return f"becomes-{stage.replace('_', '-')}"
