"""Given, when, then: test a journey definition, without Kafka. Pure: texts in, outcomes out.

    tests = read_tests("buyer-value_test.yaml", text)
    for outcome in run_tests(tests, [("buyer-value.yaml", definition)], BUILT_IN):
        print(outcome)                       # one line when it passed, else file:line, expected, actual

A test file stands beside its definition: `x_test.yaml` beside `x.yaml` (`companion` names it). The rooms:
`story` reads the short form of events, `cases` the file, `check` holds it against its journey, `run` plays a
case through the engine, `compare` judges, `story_of` tells the trace, `cover` what was reached; `suite` does
it all for one file, `report` and `junit` write it down, `schema` describes the file for editors. The clock
is the story's own: nothing here reads the time.
"""

from journey_stream.testing.cases import Case, Expected, TestFile, companion, read_tests
from journey_stream.testing.compare import Failure
from journey_stream.testing.cover import Coverage, cover
from journey_stream.testing.run import Outcome, Runner, run_tests
from journey_stream.testing.schema import journey_test_schema
from journey_stream.testing.story import Given, StoryError, Times, given_line
from journey_stream.testing.suite import Choice, Result, Suite, World, run_suite

__all__ = [
    "Case",
    "Choice",
    "Coverage",
    "Expected",
    "Failure",
    "Given",
    "Outcome",
    "Result",
    "Runner",
    "StoryError",
    "Suite",
    "TestFile",
    "Times",
    "World",
    "companion",
    "cover",
    "given_line",
    "journey_test_schema",
    "read_tests",
    "run_suite",
    "run_tests",
]
