"""Journeys: YAML definitions are read, checked and modelled; nothing here runs per event.

    loaded = load([("buyer-value.yaml", text)], BUILT_IN)
    loaded.journeys      what is fit to run: `model.Journey`s, in the order given
    loaded.findings      everything to mend, in all documents at once

The way of a text: `read` (YAML -> nodes with positions), `check*` (nodes + `grammar` -> findings and model),
`guards` (CEL). `grammar` is the one description of the language.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from journey_stream.errors import JourneyDefinitionError
from journey_stream.events.vocabulary import Vocabulary
from journey_stream.journeys.check_journey import check_journey, journey_id, stage_names
from journey_stream.journeys.findings import Finding, Report, TooManyFindings
from journey_stream.journeys.model import Journey
from journey_stream.journeys.read import Node, Table, read, shipped, shipped_names

__all__ = ["Finding", "Journey", "Loaded", "load", "shipped", "shipped_names"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of some definitions."""

    journeys: tuple[Journey, ...]
    """Those without errors, in the order given."""
    findings: tuple[Finding, ...]
    """All, by file in the order given, then by position."""

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that keep a definition from being used."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def usable(self) -> tuple[Journey, ...]:
        """The journeys, if all definitions are fit to run.

        Raises:
            JourneyDefinitionError: with every error, one a line.
        """
        if self.errors:
            raise JourneyDefinitionError("\n".join(map(str, self.errors)))
        return self.journeys


def load(documents: Sequence[tuple[str, str]], vocabulary: Vocabulary) -> Loaded:
    """Read, check and model definitions, together: they may name each other's stages.

    Args:
        documents: (name for messages, text) of each.
        vocabulary: The event types there are.
    """
    reports = [Report(name) for name, _ in documents]
    roots = [_read(text, report) for (_, text), report in zip(documents, reports, strict=True)]
    known = {found: stage_names(root) for root in roots if (found := journey_id(root))}
    _same_ids(roots, reports)
    journeys: list[Journey] = []
    findings: list[Finding] = []
    for (_, text), root, report in zip(documents, roots, reports, strict=True):
        if root is not None:
            together = known if len(documents) > 1 else None
            journey = _checked(root, text, vocabulary, together, report)
            if journey is not None and not report.broken:
                journeys.append(journey)
        findings.extend(sorted(report.findings))
    return Loaded(tuple(journeys), tuple(findings))


def _read(text: str, report: Report) -> Node | None:
    try:
        return read(text, report)
    except TooManyFindings:
        return None


def _checked(
    root: Node,
    text: str,
    vocabulary: Vocabulary,
    journeys: Mapping[str, Collection[str]] | None,
    report: Report,
) -> Journey | None:
    try:
        return check_journey(root, text, vocabulary, journeys, report)
    except TooManyFindings:
        return None


def _same_ids(roots: Sequence[Node | None], reports: Sequence[Report]) -> None:
    first: dict[str, str] = {}
    for root, report in zip(roots, reports, strict=True):
        name = journey_id(root)
        if name is None or not isinstance(root, Table):
            continue
        if name in first:
            msg = f"the journey '{name}' is defined in {first[name]} too"
            report.add("duplicate-id", root.entries["journey"].value, msg, "Give each journey its own id")
        first.setdefault(name, report.file)
