"""Findings: what is wrong with a definition, as values, all of them, in a stable order.

In: calls of `Report` from the reader and the checks. Out: `Finding`s sorted by file and position. Every rule
has a name of the closed list `RULES`; a name tells an author what to look up, so names never change meaning.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol

Severity = Literal["error", "warning", "hint"]

RULES: dict[str, tuple[Severity, str]] = {
    "yaml-syntax": ("error", "the text is not YAML"),
    "yaml-alias": ("error", "anchors and aliases are not part of the language"),
    "yaml-tag": ("error", "tags are not part of the language"),
    "yaml-documents": ("error", "a file holds more than one document"),
    "too-large": ("error", "the file, its nesting or a value is larger than the limits"),
    "empty": ("error", "the document or a value that must not be empty is empty"),
    "duplicate-key": ("error", "a key stands twice in one place"),
    "duplicate-id": ("error", "two rules, two stages or two journeys have the same id"),
    "unknown-key": ("error", "a key that the language does not have here"),
    "missing-key": ("error", "a key that is required here is not there"),
    "conflicting-keys": ("error", "keys that exclude each other, or need one that is not there"),
    "wrong-type": ("error", "a value of another type than the key takes"),
    "bad-value": ("error", "a value of the right type outside what is allowed"),
    "bad-name": ("error", "an id or name that breaks the rule for names, or is reserved"),
    "bad-duration": ("error", "not a duration such as 30s, 15m, 4h, 120d, 2w or 1d12h"),
    "unknown-event": ("error", "an event type that the vocabulary does not have"),
    "unknown-property": ("error", "a property that the event type does not have"),
    "unknown-stage": ("error", "a stage, parent or pattern that names nothing"),
    "unknown-attribute": ("error", "an attribute that the journey does not have"),
    "unknown-parameter": ("error", "a parameter that the journey does not have"),
    "unknown-journey": ("error", "another journey that is not loaded"),
    "bad-target": ("error", "a `to` that cannot be reached from one of the `from` stages"),
    "guard-syntax": ("error", "an expression that is not CEL, or uses what is not offered"),
    "unknown-name": ("error", "a name in an expression that means nothing there"),
    "unknown-function": ("error", "a function that expressions do not have"),
    "bad-call": ("error", "a function called in a way that it does not take"),
    "guard-type": ("error", "types that do not fit"),
    "ambiguous-name": ("error", "a name that is both an event property and a parameter"),
    "cycle": ("error", "derived attributes that need each other"),
    "unreachable-stage": ("warning", "a stage that nobody can ever enter"),
    "nothing-moves": ("warning", "a rule that can never move anybody"),
    "impossible-value": ("warning", "a comparison with a word that the value never is"),
    "out-of-range": ("warning", "a comparison that the range of the value decides"),
    "never-known": ("warning", "a value that the events it comes from never have"),
    "never-true": ("warning", "a condition, or a part of one, that cannot hold"),
    "always-true": ("warning", "a condition, or a part of one, that cannot fail and so changes nothing"),
    "idle-trigger": ("warning", "an event type of which the rule's condition can never hold"),
    "shadowed-rule": ("warning", "a rule that never fires, because another one always comes first"),
    "never-fires": ("warning", "a rule that can never fire, whatever comes"),
    "timer-never-starts": ("warning", "a waiting time that is never known, so that nothing waits"),
    "dead-end": ("warning", "a stage that nothing leaves, and that is not the end of the relation"),
    "idle-key": ("warning", "a key that changes nothing where it stands"),
    "unused-attribute": ("warning", "an attribute that nothing asks for"),
    "unused-parameter": ("warning", "a parameter that nothing uses"),
    "bad-allowance": ("warning", "a comment for the linter that allows nothing"),
    "unused-allowance": ("warning", "a comment that allows a finding which is not there"),
    "bare-seconds": ("hint", "a time compared with a small number that has no unit"),
    "overlapping-rules": ("hint", "two rules that can hold at once, so that their order decides"),
}
"""Every rule a finding can name: its severity and, in half a sentence, what it says."""


MAX_FINDINGS = 500
"""Of one file."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing to mend, where it stands, and the way out. Lines and columns count from 1."""

    file: str
    line: int
    column: int
    severity: Severity
    rule: str
    message: str
    suggestion: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        """Write `file:line:column severity rule: message; suggestion`, as compilers do."""
        text = f"{self.file}:{self.line}:{self.column} {self.severity} {self.rule}: {self.message}"
        return text if self.suggestion is None else f"{text}. {self.suggestion}"


class Place(Protocol):
    """Anything with a position: nodes have one."""

    @property
    def line(self) -> int:
        """From 1."""

    @property
    def column(self) -> int:
        """From 1."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A bare position."""

    line: int = 1
    column: int = 1


class TooManyFindings(Exception):
    """Ends the check of one file; never leaves this room."""


class Report:
    """Collects the findings of one file."""

    def __init__(self, file: str) -> None:
        """Start without findings."""
        self.file = file
        self.findings: list[Finding] = []

    def add(
        self,
        rule: str,
        place: Place,
        message: str,
        suggestion: str | None = None,
        severity: Severity | None = None,
    ) -> None:
        """Note one finding; its severity is the rule's own unless given.

        Raises:
            TooManyFindings: there are so many that more would help nobody.
        """
        found = Finding(
            self.file, place.line, place.column, severity or RULES[rule][0], rule, message, suggestion
        )
        if found in self.findings:
            return
        if len(self.findings) == MAX_FINDINGS:
            msg = f"more than {MAX_FINDINGS} findings; the rest of the file was not looked at"
            self.findings.append(Finding(self.file, place.line, place.column, "error", "too-large", msg))
            raise TooManyFindings
        self.findings.append(found)

    @property
    def broken(self) -> bool:
        """Whether any finding is an error."""
        return any(finding.severity == "error" for finding in self.findings)


def did_you_mean(name: str, known: Iterable[str], what: str | None = None) -> str | None:
    """Suggest the nearest known name, else list them when they are few."""
    names = list(dict.fromkeys(known))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not near:
        lowered = {each.lower().replace("-", "_"): each for each in names}
        near = [lowered[key]] if (key := name.lower().replace("-", "_").replace(" ", "_")) in lowered else []
    if near:
        return f"Did you mean '{near[0]}'?"
    if what is None or not names:
        return None
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"{what}: {shown}"


def findings_table() -> str:
    """Write the table of all rules as Markdown."""
    rows = ["| rule | severity | what |", "|---|---|---|"]
    rows += [f"| `{rule}` | {severity} | {what} |" for rule, (severity, what) in RULES.items()]
    return "\n".join(rows) + "\n"
