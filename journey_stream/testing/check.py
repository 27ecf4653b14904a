"""A test file against its definition: names that mean nothing there, before anything runs.

In: the cases as read, the journey under test, the vocabulary. Out: findings with line, column and suggestion.
What a test expects may well be wrong, and then it fails; what it *names* has to exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from journey_stream.events.vocabulary import COMMON_FIELDS, Vocabulary
from journey_stream.journeys.findings import Finding, Report, Severity, TooManyFindings, did_you_mean
from journey_stream.journeys.model import Journey
from journey_stream.testing.cases import Case, Expected, Side, TestFile
from journey_stream.testing.nodes import spot
from journey_stream.testing.story import Given

START_RULE = "start"
_CONTEXT = [path.split(".")[1] for path in COMMON_FIELDS if path.count(".") == 1 and path[:8] == "context."]
TEST_RULES: dict[str, Severity] = {
    "unknown-event": "error",
    "unknown-property": "warning",
    "unknown-stage": "error",
    "unknown-rule": "error",
    "unknown-signal": "error",
    "unknown-attribute": "error",
    "unknown-parameter": "error",
    "asks-nothing": "warning",
}
"""What findings here are called, and how grave each is.

A property that the type does not have is an error in a definition and none in an event: real ones may carry
more. In a story it is a slip of the pen.
"""


def check_tests(tests: TestFile, journey: Journey, vocabulary: Vocabulary) -> tuple[Finding, ...]:
    """Return what a test file names that its journey or the vocabulary does not have, by position."""
    checker = _Checker(tests, journey, vocabulary, Report(tests.file))
    try:
        for case in tests.cases:
            checker.case(case)
    except TooManyFindings:
        pass  # the last finding says so
    return tuple(sorted(checker.report.findings))


@dataclass(frozen=True, slots=True)
class _Checker:
    tests: TestFile
    journey: Journey
    vocabulary: Vocabulary
    report: Report

    def case(self, case: Case) -> None:
        signals = {rule.signal for rule in self.journey.signals}
        for given in case.given:
            self._event(given)
        for name, line in case.quiet.items():
            self._known("unknown-signal", name, signals, line, "signal")
        for name in case.parameters:
            self._known(
                "unknown-parameter", name, self.journey.parameters, self._first(name, case.line), "parameter"
            )
        for side in case.sides.values():
            self._side(side, signals)
        if all(side == Side() for side in case.sides.values()):
            msg = f"the test '{case.name}' expects nothing, so it cannot fail"
            hint = "Say what is to come: then, signals, stage or attributes; signals: [] is silence"
            self._add("asks-nothing", case.line, "name", msg, hint)

    def _side(self, side: Side, signals: set[str]) -> None:
        stages = self.journey.stages
        for each in side.transitions or ():
            self._field(each, "to", "unknown-stage", stages, "stage")
            self._field(each, "from", "unknown-stage", stages, "stage")
            rules = [START_RULE, *(rule.id for rule in self.journey.transitions)]
            self._field(each, "rule", "unknown-rule", rules, "transition")
            self._attributes(each, self.journey.records, "among its 'records'")
        for each in side.signals or ():
            self._field(each, "signal", "unknown-signal", signals, "signal")
            self._field(each, "stage", "unknown-stage", stages, "stage")
            rules = [rule.id for rule in self.journey.signals]
            self._field(each, "rule", "unknown-rule", rules, "signal rule")
            self._attributes(each, self.journey.records, "among its 'records'")
        if side.stage is not None:
            self._field(side.stage, "stage", "unknown-stage", stages, "stage")
        for line, name, _ in side.attributes:
            self._known("unknown-attribute", name, self.journey.attributes, line, "attribute")

    def _event(self, given: Given) -> None:
        kind = self.vocabulary.get(given.type)
        if kind is None:
            hint = did_you_mean(given.type, self.vocabulary.names())
            hint = hint or "The events' schemas list all types; a deployment can declare more"
            msg = f"there is no event type '{given.type[:60]}'"
            self._add("unknown-event", given.line, given.type, msg, hint)
            return
        known = dict.fromkeys(
            path.partition(".")[0].removesuffix("[]") for path in self.vocabulary.fields(kind.name)
        )
        for name in given.properties:
            if known and name not in known:
                msg = f"events of type '{kind.name}' have no property '{name[:60]}': it reaches no rule"
                hint = did_you_mean(name, known, f"The properties of {kind.name}")
                self._add("unknown-property", given.line, name, msg, hint)
        for name in given.context:
            if name not in _CONTEXT:
                msg = f"the context of events has no '{name[:60]}': it reaches no rule"
                hint = did_you_mean(name, _CONTEXT, "It has")
                self._add("unknown-property", given.line, name, msg, hint)

    def _attributes(self, expected: Expected, known: Iterable[str], where: str) -> None:
        named = expected.fields.get("attributes")
        for name in named if isinstance(named, Mapping) else ():
            self._known("unknown-attribute", name, known, expected.line, f"attribute {where}:")

    def _field(self, expected: Expected, key: str, rule: str, known: Iterable[str], what: str) -> None:
        name = expected.fields.get(key)
        if name is not None:
            self._known(rule, str(name), known, expected.line, what)

    def _known(self, rule: str, name: str, known: Iterable[str], line: int, what: str) -> None:
        names = list(known)
        if name not in names:
            msg = f"the journey '{self.journey.id}' has no {what} '{name[:60]}'"
            hint = did_you_mean(name, names, "It has")
            self._add(rule, line, name, msg, hint)

    def _add(self, rule: str, line: int, word: str, message: str, suggestion: str | None) -> None:
        place = spot(self.tests.lines, line, word)
        self.report.add(rule, place, message, suggestion, severity=TEST_RULES[rule])

    def _first(self, text: str, line: int = 1) -> int:
        """Find the first line from `line` on that has this text."""
        after = self.tests.lines[line - 1 :]
        return next((line + offset for offset, each in enumerate(after) if text in each), line)
