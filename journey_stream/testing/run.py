"""Play cases through the engine and compare. In: a `TestFile` and texts of definitions. Out: `Outcome`s.

Strategy: each case has a partition of its own. Its events are written as they would come on the wire, decoded
(so that everything derived is there), applied in the order of (time, id), and the clock runs to the case's
`when`. What came is compared field by field with what was expected, in order, and nothing else may come.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec
import yaml

from journey_stream.engine.partition import Partition
from journey_stream.engine.program import EngineOptions, Program, compile_program
from journey_stream.engine.records import attributes_of
from journey_stream.errors import JourneyDefinitionError
from journey_stream.events.decode import Decoder, derived_events
from journey_stream.events.vocabulary import Vocabulary
from journey_stream.journeys import Journey, load
from journey_stream.journeys.findings import Report
from journey_stream.journeys.read import read
from journey_stream.testing.cases import Case, Expected, Side, TestFile
from journey_stream.testing.story import Times, plain
from journey_stream.values import Event, Signal, Transition

_Record = TypeVar("_Record", Transition, Signal)


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that came otherwise, and where it was expected."""

    file: str
    line: int
    expected: str
    actual: str

    def __str__(self) -> str:
        """Write `file:line`, what was expected and what came."""
        return f"{self.file}:{self.line}\n    expected: {self.expected}\n    actual:   {self.actual}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one case."""

    case: Case
    journey: str
    failures: tuple[Failure, ...]
    transitions: tuple[Transition, ...] = ()
    signals: tuple[Signal, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all came as expected."""
        return not self.failures

    def __str__(self) -> str:
        """One line when it passed; else each failure, and the trace that led there."""
        where = f"{self.case.file}:{self.case.line}"
        if self.passed:
            return f"passed {where} {self.case.name}"
        lines = [f"FAILED {where} {self.case.name}", *(f"  {failure}" for failure in self.failures)]
        if self.transitions or self.signals:
            times = self.case.times
            both: list[Transition | Signal] = [*self.transitions, *self.signals]
            records = sorted(both, key=lambda each: each.occurred_at)
            lines += ["  what came:", *(f"    {_tell(record, times)}" for record in records)]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which parts of a journey no case reached."""

    journey: str
    transitions: tuple[str, ...]
    signals: tuple[str, ...]
    stages: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every rule fired and every stage was entered."""
        return not (self.transitions or self.signals or self.stages)

    def __str__(self) -> str:
        """Name what was not reached."""
        if self.complete:
            return f"{self.journey}: every stage, transition and signal is covered"
        parts = (("transitions", self.transitions), ("signals", self.signals), ("stages", self.stages))
        missing = "; ".join(f"{what} {', '.join(names)}" for what, names in parts if names)
        return f"{self.journey}: not covered: {missing}"


def run_tests(
    tests: TestFile,
    definitions: Sequence[tuple[str, str]],
    vocabulary: Vocabulary,
    journey: str | None = None,
) -> list[Outcome]:
    """Run every case.

    Args:
        tests: The cases.
        definitions: (name, text) of the definition, and of others it needs beside it.
        vocabulary: The event types there are.
        journey: Id of the journey under test; the first definition's if left out.

    Raises:
        JourneyDefinitionError: the test file or a definition has errors.
    """
    if tests.findings:
        raise JourneyDefinitionError("\n".join(map(str, tests.findings)))
    programs: dict[str, tuple[Journey, Program]] = {}
    outcomes = []
    for case in tests.cases:
        key = repr(sorted(case.parameters.items()))
        if key not in programs:
            texts = [(name, text) for name, text in definitions]
            if case.parameters:
                texts[0] = (texts[0][0], _with_parameters(texts[0][1], case))
            journeys = load(texts, vocabulary).usable()
            subject = next((each for each in journeys if each.id == journey), journeys[0])
            programs[key] = subject, _compiled(journeys, vocabulary)
        subject, program = programs[key]
        outcomes.append(_run(case, subject, program, vocabulary))
    return outcomes


def cover(journey: Journey, outcomes: Iterable[Outcome]) -> Coverage:
    """Tell what of a journey these outcomes did not reach."""
    moved: set[str] = set()
    raised: set[str] = set()
    entered: set[str] = set()
    for outcome in outcomes:
        moved.update(record.rule for record in outcome.transitions)
        entered.update(record.to for record in outcome.transitions)
        raised.update(record.rule for record in outcome.signals if record.status == "raised")
    return Coverage(
        journey.id,
        tuple(rule.id for rule in journey.transitions if rule.id not in moved),
        tuple(rule.id for rule in journey.signals if rule.id not in raised),
        tuple(stage for stage in journey.stages if stage not in entered),
    )


def _compiled(journeys: Sequence[Journey], vocabulary: Vocabulary) -> Program:
    """Compile so that every attribute can be read at the end, not only those that travel with records."""
    open_ = tuple(replace(journey, records=tuple(journey.attributes)) for journey in journeys)
    return compile_program(open_, vocabulary, EngineOptions())


def _with_parameters(text: str, case: Case) -> str:
    """The definition with some parameters set otherwise."""
    root = read(text, Report(case.file))
    document = plain(root) if root is not None else None
    parameters = document.get("parameters") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(parameters, dict):
        return text
    for name in case.parameters:
        if name not in parameters:
            msg = f"{case.file}:{case.line}: 'parameters': the definition has no parameter '{name}'"
            raise JourneyDefinitionError(msg)
    document["parameters"] = {**parameters, **case.parameters}
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=1_000_000)


def _run(case: Case, journey: Journey, program: Program, vocabulary: Vocabulary) -> Outcome:
    failures: list[Failure] = []
    events = _events(case, vocabulary, failures)
    if failures:
        return Outcome(case, journey.id, tuple(failures))
    partition = Partition(program)
    for event in events:
        partition.fire(event.at - 1, event.at - 1)
        partition.apply(event, event.at)
    partition.fire(case.until, case.until)
    drained = partition.drain()
    for event, detail in drained.rejected:
        failures.append(Failure(case.file, case.line, f"{event.type} to be applied", detail))
    mine = [record for record in drained.records if record.journey == journey.id]
    transitions = tuple(_as_published(record, journey) for record in mine if isinstance(record, Transition))
    signals = tuple(_as_published(record, journey) for record in mine if isinstance(record, Signal))
    compare = _Comparison(case, failures)
    for person, side in case.sides.items():
        moves = [record for record in transitions if record.person == person]
        calls = [record for record in signals if record.person == person]
        compare.side(side, moves, calls)
        if side.attributes:
            compare.attributes(side, _values(partition, person, journey.id, case.until))
    return Outcome(case, journey.id, tuple(failures), transitions, signals)


def _as_published(record: _Record, journey: Journey) -> _Record:
    kept = {name: record.attributes[name] for name in journey.records}
    return msgspec.structs.replace(record, attributes=kept)


def _values(partition: Partition, person: str, journey: str, at: int) -> dict[str, object]:
    table = next(each for each in partition.program.journeys if each.id == journey)
    customer = partition.customer(person)
    return {} if customer is None else attributes_of(customer, table, at)


def _events(case: Case, vocabulary: Vocabulary, failures: list[Failure]) -> list[Event]:
    decoder = Decoder(vocabulary)
    events: list[Event] = []
    for number, each in enumerate(case.given, start=1):
        wires = [msgspec.json.encode(each.wire(number))]
        while wires:
            event = decoder.decode(wires.pop())
            if isinstance(event, Event):
                events.append(event)
                wires.extend(derived.value for derived in derived_events(event))
            else:
                came = getattr(event, "detail", "the event was filtered")
                failures.append(Failure(case.file, each.line, "an event that can be used", str(came)))
    return sorted(events, key=lambda event: (event.at, event.event_id))


@dataclass(slots=True)
class _Comparison:
    """Collects what came otherwise."""

    case: Case
    failures: list[Failure] = field(default_factory=list)

    def side(self, side: Side, moves: Sequence[Transition], calls: Sequence[Signal]) -> None:
        if side.transitions is not None:
            self.records(side.transitions, moves, side.then_line, "transition")
        if side.signals is not None:
            named = {each.fields["signal"] for each in side.signals}
            quiet = self.case.quiet - named
            heard = [record for record in calls if record.signal not in quiet]
            self.records(side.signals, heard, side.signals_line, "signal")
        if side.stage is not None:
            wanted, came = side.stage.fields["stage"], moves[-1].to if moves else None
            if wanted != came:
                self.add(side.stage.line, f"stage {wanted}", f"stage {came}")

    def records(
        self,
        wanted: Sequence[Expected],
        came: Sequence[Transition] | Sequence[Signal],
        line: int,
        what: str,
    ) -> None:
        for number, expected in enumerate(wanted):
            if number >= len(came):
                self.add(expected.line, f"{what} {number + 1}: {self.show(expected)}", "nothing more came")
                return
            wrong = self.differences(expected, came[number])
            if wrong:
                shown = f"{what} {number + 1}: {self.show(expected)}"
                self.add(expected.line, shown, f"{_tell(came[number], self.case.times)} ({wrong})")
                return
        for extra in came[len(wanted) :]:
            self.add(line, f"no more {what}s", _tell(extra, self.case.times))
            return

    def attributes(self, side: Side, values: Mapping[str, object]) -> None:
        for line, name, wanted in side.attributes:
            if name not in values:
                self.add(line, f"{name}: {wanted!r}", f"the journey has no attribute '{name}'")
            elif not _same(wanted, values[name]):
                self.add(line, f"{name}: {wanted!r}", f"{name}: {values[name]!r}")

    def differences(self, expected: Expected, record: Transition | Signal) -> str:
        wrong = []
        for name, wanted in expected.fields.items():
            actual = _field(record, name)
            if (
                name in ("payload", "attributes")
                and isinstance(wanted, Mapping)
                and isinstance(actual, Mapping)
            ):
                for key, value in wanted.items():
                    if not _same(value, actual.get(key)):
                        wrong.append(f"{name}.{key} is {actual.get(key)!r}")
            elif name in ("at", "until") and isinstance(actual, int):
                if actual != wanted:
                    wrong.append(f"{name} {self.case.times.show(actual)}")
            elif not _same(wanted, actual):
                wrong.append(f"{name} is {actual!r}")
        return ", ".join(wrong)

    def show(self, expected: Expected) -> str:
        times = self.case.times
        parts = []
        for name, value in expected.fields.items():
            shown = times.show(value) if name in ("at", "until") and isinstance(value, int) else value
            parts.append(str(shown) if name in ("to", "signal") else f"{name} {shown}")
        return ", ".join(parts)

    def add(self, line: int, expected: str, actual: str) -> None:
        self.failures.append(Failure(self.case.file, line, expected, actual))


_NAMES = {"from": "from_", "kind": "to_kind", "at": "occurred_at", "until": "valid_until"}


def _field(record: Transition | Signal, name: str) -> object:
    if name == "cause":
        return record.cause.type
    if name == "kind" and isinstance(record, Signal):
        return record.kind
    return getattr(record, _NAMES.get(name, name))


def _same(wanted: object, actual: object) -> bool:
    if isinstance(wanted, bool) or isinstance(actual, bool):
        return wanted is actual
    if isinstance(wanted, int | float) and isinstance(actual, int | float):
        return math.isclose(wanted, actual, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(wanted, Mapping) and isinstance(actual, Mapping):
        return wanted.keys() == actual.keys() and all(
            _same(value, actual[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, list | tuple) and isinstance(actual, list | tuple):
        return len(wanted) == len(actual) and all(map(_same, wanted, actual))
    return wanted == actual


def _tell(record: Transition | Signal, times: Times) -> str:
    why = f"rule {record.rule}" + (f", reason {record.reason}" if record.reason else "")
    at = times.show(record.occurred_at)
    if isinstance(record, Transition):
        return f"{at}: {record.from_ or '(start)'} -> {record.to} ({why})"
    payload = f" {record.payload}" if record.payload else ""
    return f"{at}: signal {record.signal} {record.status} in {record.stage} ({why}){payload}"
