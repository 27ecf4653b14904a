"""Play cases through the engine. In: a `TestFile` and texts of definitions. Out: an `Outcome` per case.

Strategy: each case has a partition of its own. Its events are written as they would come on the wire, decoded
(so that everything derived is there), applied in the order of (time, id), and the clock runs to the case's
`when`. `compare` judges what came; a case that failed carries the trace that led there (`story_of`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec
import yaml

from journey_stream.engine.program import EngineOptions, Program, compile_program
from journey_stream.engine.records import attributes_of
from journey_stream.engine.trace import Step, Tracer
from journey_stream.engine.watch import Watch
from journey_stream.errors import JourneyDefinitionError
from journey_stream.events.decode import Decoder, derived_events
from journey_stream.events.vocabulary import Vocabulary
from journey_stream.journeys import Journey, load
from journey_stream.journeys.findings import Report
from journey_stream.journeys.places import GuardPlace
from journey_stream.journeys.read import read
from journey_stream.testing.cases import Case, TestFile
from journey_stream.testing.compare import Comparison, Failure
from journey_stream.testing.story import plain
from journey_stream.testing.story_of import story_of
from journey_stream.values import Event, Rejection, Signal, Transition

_Record = TypeVar("_Record", Transition, Signal)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one case."""

    case: Case
    journey: str
    failures: tuple[Failure, ...]
    transitions: tuple[Transition, ...] = ()
    signals: tuple[Signal, ...] = ()
    guards: frozenset[tuple[GuardPlace, bool]] = frozenset()
    """Guards that were asked, and whether they held."""
    trace: str = ""
    """Of a failed case: how each customer got where they are, rule by rule."""

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
        return "\n".join([*lines, *(f"  {line}" for line in self.trace.splitlines())])


@dataclass(slots=True)
class Runner:
    """Runs the cases of a test file; each set of parameters is compiled once."""

    definitions: Sequence[tuple[str, str]]
    """(name, text) of the definition, and of others it needs beside it."""
    vocabulary: Vocabulary
    decoder: Decoder
    options: EngineOptions = field(default_factory=EngineOptions)
    journey: str | None = None
    """Id of the journey under test; the first definition's if left out."""
    _programs: dict[str, _Compiled] = field(default_factory=dict)

    def run(self, case: Case) -> Outcome:
        """Run one case.

        Raises:
            JourneyDefinitionError: a definition has errors, or lacks a parameter that the case sets.
        """
        key = repr(sorted(case.parameters.items()))
        if key not in self._programs:
            self._programs[key] = self._compile(case)
        return _run(case, self._programs[key], self.decoder)

    def _compile(self, case: Case) -> _Compiled:
        texts = list(self.definitions)
        if case.parameters:
            texts[0] = (texts[0][0], _with_parameters(texts[0][1], case))
        loaded = load(texts, self.vocabulary)
        if case.parameters and loaded.errors:
            # The text was written anew: lines of it would lead nowhere.
            told = "; ".join(f"{finding.rule}: {finding.message}" for finding in loaded.errors)
            msg = f"{case.file}:{case.line}: with these 'parameters' the definition has errors: {told}"
            raise JourneyDefinitionError(msg)
        journeys = loaded.usable()
        subject = next((each for each in journeys if each.id == self.journey), journeys[0])
        # Every attribute can be read at the end, not only those that travel with records.
        open_ = [replace(journey, records=tuple(journey.attributes)) for journey in journeys]
        watch = Watch(detailed=True)
        program = compile_program(open_, self.vocabulary, self.options, watch=watch)
        return _Compiled(subject, program, watch)


@dataclass(frozen=True, slots=True)
class _Compiled:
    journey: Journey
    program: Program
    watch: Watch


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
    if errors := tests.errors:
        raise JourneyDefinitionError("\n".join(map(str, errors)))
    runner = Runner(definitions, vocabulary, Decoder(vocabulary), journey=journey)
    return [runner.run(case) for case in tests.cases]


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


def _run(case: Case, compiled: _Compiled, decoder: Decoder) -> Outcome:
    journey = compiled.journey
    failures: list[Failure] = []
    events = _events(case, decoder, failures)
    if failures:
        return Outcome(case, journey.id, tuple(failures))
    tracer = Tracer(compiled.program, compiled.watch)
    steps = list(_steps(tracer, events, case.until))
    for step in steps:
        if step.fate == "rejected" and step.event is not None:
            failures.append(Failure(case.file, case.line, f"{step.event.type} to be applied", step.detail))
    mine = [record for step in steps for record in step.records if record.journey == journey.id]
    transitions = tuple(_as_published(record, journey) for record in mine if isinstance(record, Transition))
    signals = tuple(_as_published(record, journey) for record in mine if isinstance(record, Signal))
    for person, side in case.sides.items():
        compare = Comparison(case, person, failures)
        compare.side(
            side,
            [record for record in transitions if record.person == person],
            [record for record in signals if record.person == person],
        )
        if side.attributes:
            compare.attributes(side, _values(tracer, person, journey.id, case.until))
    trace = ""
    if failures:
        wrong = {failure.person for failure in failures if failure.person} or set(case.sides)
        persons = [person for person in case.sides if person in wrong]
        trace = story_of(case, persons, journey, compiled.program, steps)
    guards = {
        (look.at, look.said is True)
        for step in steps
        for look in step.looks
        if look.at.journey == journey.name
    }
    return Outcome(case, journey.id, tuple(failures), transitions, signals, frozenset(guards), trace)


def _steps(tracer: Tracer, events: Sequence[Event], until: int) -> Iterator[Step]:
    for event in events:
        yield from tracer.apply(event)
    yield from tracer.run_until(until)


def _as_published(record: _Record, journey: Journey) -> _Record:
    kept = {name: record.attributes[name] for name in journey.records}
    return msgspec.structs.replace(record, attributes=kept)


def _values(tracer: Tracer, person: str, journey: str, at: int) -> dict[str, object]:
    table = next(each for each in tracer.partition.program.journeys if each.id == journey)
    customer = tracer.partition.customer(person)
    return {} if customer is None else attributes_of(customer, table, at)


def _events(case: Case, decoder: Decoder, failures: list[Failure]) -> list[Event]:
    events: list[Event] = []
    for number, each in enumerate(case.given, start=1):
        wires = [msgspec.json.encode(each.wire(number))]
        while wires:
            event = decoder.decode(wires.pop())
            if isinstance(event, Event):
                events.append(event)
                wires.extend(derived.value for derived in derived_events(event))
            else:
                came = event.detail if isinstance(event, Rejection) else "a filter of the deployment drops it"
                failures.append(Failure(case.file, each.line, "an event that can be used", came))
    return sorted(events, key=lambda event: (event.at, event.event_id))
