"""The journey as Markdown tables: stages with the ways out of each, and signals.

In: a journey. Out: text. Within a stage the rules stand in file order, which is their priority.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from journey_stream.journeys.durations import written
from journey_stream.journeys.model import Journey, SignalRule, called
from journey_stream.journeys.phrases import guard, target, trigger


def table(journey: Journey, *, language: str = "en") -> str:
    """Write the stage and signal tables of a journey."""
    return "\n".join(_lines(journey, language)) + "\n"


def _lines(journey: Journey, language: str) -> Iterator[str]:
    yield f"### {called(journey.title, language, journey.id)} (`{journey.id}`, version {journey.version})"
    yield ""
    yield from rows(
        ("stage", "kind", "owner", "rule", "trigger", "only if", "to", "reason"), _stages(journey, language)
    )
    if journey.signals:
        yield ""
        yield from rows(
            ("signal", "in", "trigger", "only if", "owner", "valid", "cancelled by"), _signals(journey)
        )


def _stages(journey: Journey, language: str) -> Iterator[Sequence[str]]:
    for stage in journey.stages.values():
        head: tuple[str, str, str] = (
            f"{called(stage.title, language, stage.leaf)} `{stage.id}`",
            stage.kind,
            stage.owner or "",
        )
        rules = [rule for rule in journey.transitions if stage.id in rule.from_]
        if not rules:
            yield (*head, "", "nothing leaves it", "", "", "")
        for rule in rules:
            reason = rule.reason or (f"by {_code(rule.reason_from.text)}" if rule.reason_from else "")
            to = target(journey, rule.to, stage.id)
            yield (*head, f"`{rule.id}`", trigger(rule.trigger), _code(guard(rule)), to, reason)
            head = ("", "", "")


def _signals(journey: Journey) -> Iterator[Sequence[str]]:
    for rule in journey.signals:
        yield (
            f"`{rule.signal or rule.id}`",
            _where(journey, rule),
            trigger(rule.trigger),
            _code(guard(rule)),
            rule.owner or "",
            "" if rule.expires is None else written(rule.expires),
            ", ".join(rule.cancel),
        )


def _where(journey: Journey, rule: SignalRule) -> str:
    return "any stage" if len(rule.in_) == len(journey.stages) else ", ".join(rule.in_)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def rows(head: Sequence[str], body: Iterable[Sequence[str]]) -> Iterator[str]:
    """Write a Markdown table."""
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in body:
        yield "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in row) + " |"
