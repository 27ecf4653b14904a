"""Findings as others read them: people, scripts, and the hosts of code that show them beside the line.

In: findings. Out: one text per format of `FORMATS`. GitHub: workflow commands. SARIF 2.1.0: what code hosts
and editors read. GitLab: Code Quality.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Any

import msgspec

from journey_stream import __version__
from journey_stream.journeys import Finding
from journey_stream.journeys.findings import RULES, Severity

HELP = "https://journey-stream.dev/docs/lint"

_GITHUB: dict[Severity, str] = {"error": "error", "warning": "warning", "hint": "notice"}
_SARIF: dict[Severity, str] = {"error": "error", "warning": "warning", "hint": "note"}
_GITLAB: dict[Severity, str] = {"error": "major", "warning": "minor", "hint": "info"}


def as_text(findings: Sequence[Finding]) -> str:
    """One line each, as compilers write."""
    return "".join(f"{finding}\n" for finding in findings)


def as_json(findings: Sequence[Finding]) -> str:
    """One array of objects."""
    return _dumped([msgspec.to_builtins(finding) for finding in findings])


def as_github(findings: Sequence[Finding]) -> str:
    """Workflow commands, which GitHub Actions turns into annotations of the lines."""
    lines = []
    for each in findings:
        where = f"file={_property(_path(each))},line={each.line},col={each.column}"
        command = f"{_GITHUB[each.severity]} {where},title={_property(each.rule)}"
        lines.append(f"::{command}::{_data(_sentence(each))}\n")
    return "".join(lines)


def as_gitlab(findings: Sequence[Finding]) -> str:
    """A Code Quality report; a fingerprint, of file, rule and message, survives a moved line."""
    seen: Counter[tuple[str, str, str]] = Counter()
    issues: list[dict[str, Any]] = []
    for each in findings:
        same = (_path(each), each.rule, each.message)
        text = "\0".join((*same, str(seen[same])))
        seen[same] += 1
        issues.append(
            {
                "description": _sentence(each),
                "check_name": each.rule,
                "fingerprint": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
                "severity": _GITLAB[each.severity],
                "location": {"path": _path(each), "lines": {"begin": each.line}},
            }
        )
    return _dumped(issues)


def as_sarif(findings: Sequence[Finding]) -> str:
    """A SARIF 2.1.0 log with one run."""
    places = {rule: number for number, rule in enumerate(RULES)}
    driver = {
        "name": "journey-stream lint",
        "version": __version__,
        "informationUri": HELP,
        "rules": [
            {
                "id": rule,
                "shortDescription": {"text": what},
                "helpUri": f"{HELP}#{rule}",
                "defaultConfiguration": {"level": _SARIF[severity]},
            }
            for rule, (severity, what) in RULES.items()
        ],
    }
    results = [
        {
            "ruleId": each.rule,
            "ruleIndex": places[each.rule],
            "level": _SARIF[each.severity],
            "message": {"text": _sentence(each)},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": _uri(each)},
                        "region": {"startLine": each.line, "startColumn": each.column},
                    }
                }
            ],
        }
        for each in findings
    ]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    schema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
    return _dumped({"$schema": schema, "version": "2.1.0", "runs": [run]})


FORMATS: dict[str, Callable[[Sequence[Finding]], str]] = {
    "text": as_text,
    "json": as_json,
    "github": as_github,
    "gitlab": as_gitlab,
    "sarif": as_sarif,
}
"""How `--format` writes findings."""


def _sentence(finding: Finding) -> str:
    return finding.message if finding.suggestion is None else f"{finding.message}. {finding.suggestion}"


def _path(finding: Finding) -> str:
    return PurePath(finding.file).as_posix()


def _uri(finding: Finding) -> str:
    """The path as a URI: relative where the path is, so that a host finds it from the root of the code."""
    from urllib.parse import quote

    path = quote(_path(finding), safe="/")
    return f"file://{path}" if path.startswith("/") else path


def _data(text: str) -> str:
    """Text of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """A value among its properties."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _dumped(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
