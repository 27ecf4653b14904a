"""The trace of a case in words: each event and timer, and why each rule that was looked at held or did not.

In: a case, its customers, the steps of its trace. Out: text, to be read below a failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from journey_stream.engine.program import Program
from journey_stream.engine.state import Customer
from journey_stream.engine.told import sentence
from journey_stream.engine.trace import Step
from journey_stream.engine.why import Verdict, deadlines, stage_of, verdicts
from journey_stream.journeys.model import Journey, SignalRule, TransitionRule
from journey_stream.testing.cases import Case
from journey_stream.testing.story import Given
from journey_stream.values import Transition

_FATES = {
    "duplicate": "came before: changes nothing",
    "unknown_person": "nobody knows this customer, and only their own act makes them known",
    "rejected": "the engine failed on it",
}


def story_of(
    case: Case, persons: Iterable[str], journey: Journey, program: Program, steps: Sequence[Step]
) -> str:
    """Write what happened to these customers of a case."""
    lines: list[str] = []
    by_id = {f"{number:06d}": each for number, each in enumerate(case.given, start=1)}
    by_id |= {each.ids["event_id"]: each for each in case.given if "event_id" in each.ids}
    for person in persons:
        own = [step for step in steps if step.person == person]
        lines.append(f"how {person} got there:" if own else f"of {person} nothing is known")
        for step in own:
            lines += _step(case, journey, program, step, by_id)
        if own and own[-1].after is not None:
            lines += _end(case, journey, program, own[-1].after)
    return "\n".join(lines)


def _step(
    case: Case, journey: Journey, program: Program, step: Step, given: Mapping[str, Given]
) -> Iterator[str]:
    clock = case.times.show
    yield f"  {clock(step.at)}  {_what(step, journey, given)}"
    if step.fate in _FATES:
        yield f"    {_FATES[step.fate]}{': ' if step.detail else ''}{step.detail}"
    for record in step.records:
        if isinstance(record, Transition) and record.journey == journey.id and record.from_ is None:
            yield f"    enters {record.to}"
    for verdict in verdicts(journey, program, step):
        if _called(verdict.rule) in case.quiet or verdict.outcome in ("not_triggered", "waiting"):
            continue
        yield f"    {verdict.rule.id}: {_led_to(verdict, journey, step)}{sentence(verdict, journey, clock)}"


def _called(rule: TransitionRule | SignalRule) -> str:
    return rule.signal or rule.id if isinstance(rule, SignalRule) else rule.id


def _what(step: Step, journey: Journey, given: Mapping[str, Given]) -> str:
    if step.event is not None:
        line = given.get(step.event.event_id)
        if line is None:
            return f"{step.event.type} (derived)"
        return " ".join([line.type, *(f"{name}={value}" for name, value in line.properties.items())])
    if step.timer is None:
        return "forgotten: nothing came for so long"
    owner, _, rule = step.timer.split("/", 2)
    other = "" if owner == journey.name else f" of {owner}"
    return f"timer of {rule}{f' for {step.id}' if step.id else ''}{other}"


def _led_to(verdict: Verdict, journey: Journey, step: Step) -> str:
    if verdict.outcome == "held":
        for record in step.records:
            if isinstance(record, Transition) and (record.journey, record.rule) == (
                journey.id,
                verdict.rule.id,
            ):
                return f"{record.from_} -> {record.to}, "
    return ""


def _end(case: Case, journey: Journey, program: Program, c: Customer) -> Iterator[str]:
    clock = case.times.show
    entered = next(c.entered[table.index] for table in program.journeys if table.name == journey.name)
    yield f"  at the end  in {stage_of(journey, program, c)} since {clock(entered)}"
    for due in deadlines(journey, program, c):
        yield f"    {due.rule.id}: waits until {clock(due.at)}{f' for {due.id}' if due.id else ''}"
