"""Results of suites as JUnit XML, in the form that Jenkins, GitLab and GitHub's reporters read.

In: `Result`s, the seconds that each took. Out: XML text. Only elements and attributes of the common schema
are used: testsuites, testsuite, testcase, failure, error, skipped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from journey_stream.testing.report import failure_lines
from journey_stream.testing.run import Outcome
from journey_stream.testing.suite import Result

_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot say."""


def junit(results: Sequence[Result], seconds: Sequence[float]) -> str:
    """Write the results as XML; `seconds` has one figure per result."""
    root = ElementTree.Element("testsuites", name="journey-stream test")
    for result, took in zip(results, seconds, strict=True):
        root.append(_suite(result, took))
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    root.set("time", f"{sum(seconds):.3f}")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n"


def _suite(result: Result, took: float) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=_clean(result.suite.tests_file))
    each = took / len(result.outcomes) if result.outcomes else 0.0
    for outcome in result.outcomes:
        suite.append(_case(result, outcome, each))
    errors = [finding for finding in result.findings if finding.severity == "error"]
    if errors:
        case = _element(suite, result, "definition and tests can be read", 0.0)
        error = ElementTree.SubElement(case, "error", message=_clean(errors[0].message), type=errors[0].rule)
        error.text = _clean("\n".join(map(str, errors)))
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(result.failed)))
    suite.set("errors", str(int(bool(errors))))
    suite.set("skipped", "0")
    suite.set("time", f"{took:.3f}")
    return suite


def _case(result: Result, outcome: Outcome, took: float) -> ElementTree.Element:
    case = _element(None, result, outcome.case.name, took)
    if not outcome.passed:
        first = outcome.failures[0]
        message = f"{first.file}:{first.line}: expected {first.expected}, got {first.actual}"
        failure = ElementTree.SubElement(case, "failure", message=_clean(message), type="expectation")
        failure.text = _clean("\n".join(failure_lines(outcome)))
    return case


def _element(
    parent: ElementTree.Element | None, result: Result, name: str, took: float
) -> ElementTree.Element:
    attributes = {"classname": _clean(result.journey), "name": _clean(name), "time": f"{took:.3f}"}
    if parent is None:
        return ElementTree.Element("testcase", attributes)
    return ElementTree.SubElement(parent, "testcase", attributes)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
