"""A definition and its tests, from texts to a result: read, checked against each other, run, covered.

In: texts of a definition, of its test file, of other definitions it names, and what the deployment decodes
and compiles with. Out: a `Result`, whatever the texts are like. Writing it for people and machines is
`report`'s and `junit`'s job.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from journey_stream.engine.program import EngineOptions
from journey_stream.errors import JourneyDefinitionError
from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import Vocabulary
from journey_stream.journeys import Journey, load
from journey_stream.journeys.findings import Finding
from journey_stream.testing.cases import Case, read_tests
from journey_stream.testing.check import check_tests
from journey_stream.testing.compare import Failure
from journey_stream.testing.cover import Coverage, cover
from journey_stream.testing.run import Outcome, Runner

Choice = Callable[[str, Case], bool]
"""Whether a case is to run, by the id of its journey and the case."""


@dataclass(frozen=True, slots=True)
class Suite:
    """What belongs together."""

    file: str
    """Name of the definition, for messages."""
    text: str
    tests_file: str
    tests: str | None
    """None: there is no test file."""
    others: tuple[tuple[str, str], ...] = ()
    """(name, text) of definitions that this one names."""


@dataclass(frozen=True, slots=True)
class World:
    """What the cases run on: the deployment's, so that tests and worker cannot disagree."""

    vocabulary: Vocabulary
    decoder: Decoder
    options: EngineOptions = field(default_factory=EngineOptions)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a suite."""

    suite: Suite
    journey: str
    """Its id; the definition's name where it could not be read."""
    outcomes: tuple[Outcome, ...] = ()
    findings: tuple[Finding, ...] = ()
    """Of the definition and of the test file; with errors nothing was run."""
    coverage: Coverage | None = None
    """None where not all cases ran."""

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The cases that did not pass."""
        return tuple(outcome for outcome in self.outcomes if not outcome.passed)

    @property
    def broken(self) -> bool:
        """Whether a text has errors."""
        return any(finding.severity == "error" for finding in self.findings)

    @property
    def passed(self) -> bool:
        """Whether nothing has to be mended."""
        return not (self.failed or self.broken)


def run_suite(
    suite: Suite, world: World, chosen: Choice | None = None, *, first_only: bool = False
) -> Result:
    """Run a suite.

    Args:
        suite: The texts.
        world: What to run on.
        chosen: Which cases to run; all if left out.
        first_only: Stop at the first case that fails.
    """
    loaded = load([(suite.file, suite.text), *suite.others], world.vocabulary)
    if loaded.errors:
        return Result(suite, suite.file, findings=loaded.errors)
    journey = loaded.journeys[0]
    if suite.tests is None:
        return Result(suite, journey.id, coverage=cover(journey, ()))
    tests = read_tests(suite.tests_file, suite.tests)
    findings = tuple(sorted((*tests.findings, *check_tests(tests, journey, world.vocabulary))))
    if any(finding.severity == "error" for finding in findings):
        return Result(suite, journey.id, findings=findings)
    runner = Runner([(suite.file, suite.text), *suite.others], world.vocabulary, world.decoder, world.options)
    outcomes: list[Outcome] = []
    for case in tests.cases:
        if chosen is None or chosen(journey.id, case):
            outcomes.append(_outcome(runner, case, journey))
            if first_only and not outcomes[-1].passed:
                break
    whole = len(outcomes) == len(tests.cases)
    return Result(suite, journey.id, tuple(outcomes), findings, cover(journey, outcomes) if whole else None)


def _outcome(runner: Runner, case: Case, journey: Journey) -> Outcome:
    """Run a case; parameters that make no whole definition fail it, and no other."""
    try:
        return runner.run(case)
    except JourneyDefinitionError as error:
        failure = Failure(case.file, case.line, "parameters that the definition can take", str(error))
        return Outcome(case, journey.id, (failure,))
