"""Journeys: YAML definitions are read, checked and modelled; nothing here runs per event.

    loaded = load([("buyer-value.yaml", text)], BUILT_IN)
    loaded.journeys      what is fit to run: `model.Journey`s, in the order given
    loaded.findings      everything to mend, in all documents at once

    lint([("buyer-value.yaml", text)], BUILT_IN).findings      these, and what is in vain or likely not meant

The way of a text: `read` (YAML -> nodes with positions), `check*` (nodes + `grammar` -> findings and model),
`guards` (CEL). `grammar` is the one description of the language.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from journey_stream.errors import JourneyDefinitionError
from journey_stream.events.vocabulary import Vocabulary
from journey_stream.journeys.analysis import World, analyse
from journey_stream.journeys.analysis.allowances import accepted
from journey_stream.journeys.analysis.written import Source
from journey_stream.journeys.check_journey import Draft, check_journey, journey_id, stage_names
from journey_stream.journeys.findings import Finding, Report, TooManyFindings
from journey_stream.journeys.model import Journey
from journey_stream.journeys.read import Node, Table, read, shipped, shipped_names, shipped_tests

__all__ = ["Finding", "Journey", "Loaded", "lint", "load", "shipped", "shipped_names", "shipped_tests"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of some definitions."""

    journeys: tuple[Journey, ...]
    """Those without errors, in the order given."""
    findings: tuple[Finding, ...]
    """All, by file in the order given, then by position."""
    previous: tuple[Journey, ...] = ()
    """Those without errors among the other versions given."""

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


def load(
    documents: Sequence[tuple[str, str]],
    vocabulary: Vocabulary,
    previous: Sequence[tuple[str, str]] = (),
) -> Loaded:
    """Read, check and model definitions, together: they may name each other's stages.

    Args:
        documents: (name for messages, text) of each.
        vocabulary: The event types there are.
        previous: Other versions of them that some customers are in; their stages may be named, too.
    """
    return _loaded(documents, vocabulary, lambda draft, text, report: None, previous)


def lint(documents: Sequence[tuple[str, str]], vocabulary: Vocabulary) -> Loaded:
    """Do the same as `load`, and look for what an author would regret; comments may allow such findings.

    A definition that has errors is not looked at further until they are mended.

    Args:
        documents: (name for messages, text) of each.
        vocabulary: The event types there are.
    """
    roots = [_read(text, Report(name)) for name, text in documents]
    stages_of = {found: stage_names(root) for root in roots if (found := journey_id(root))}

    def further(draft: Draft, text: str, report: Report) -> None:
        world = World(draft.journey, vocabulary, draft.scopes, stages_of)
        analyse(Source(draft.root), world, draft.reached, report)
        accepted(text, report)

    return _loaded(documents, vocabulary, further)


def _loaded(
    documents: Sequence[tuple[str, str]],
    vocabulary: Vocabulary,
    further: Callable[[Draft, str, Report], None],
    previous: Sequence[tuple[str, str]] = (),
) -> Loaded:
    texts = [*documents, *previous]
    reports = [Report(name) for name, _ in texts]
    roots = [_read(text, report) for (_, text), report in zip(texts, reports, strict=True)]
    known: dict[str, set[str]] = {}
    for root in roots:
        if found := journey_id(root):
            known[found] = known.get(found, set()) | stage_names(root)
    _same_ids(roots[: len(documents)], reports)
    journeys: list[Journey | None] = []
    findings: list[Finding] = []
    for (_, text), root, report in zip(texts, roots, reports, strict=True):
        draft = None
        if root is not None:
            together = known if len(documents) > 1 else None
            draft = _checked(root, vocabulary, together, report)
            if draft is not None and not report.broken:
                _guarded(further, draft, text, report)
        journeys.append(None if draft is None or report.broken else draft.journey)
        findings.extend(sorted(report.findings))
    present, others = journeys[: len(documents)], journeys[len(documents) :]
    return Loaded(
        tuple(each for each in present if each is not None),
        tuple(findings),
        tuple(each for each in others if each is not None),
    )


def _guarded(further: Callable[[Draft, str, Report], None], draft: Draft, text: str, report: Report) -> None:
    try:
        further(draft, text, report)
    except TooManyFindings:
        return


def _read(text: str, report: Report) -> Node | None:
    try:
        return read(text, report)
    except TooManyFindings:
        return None


def _checked(
    root: Node,
    vocabulary: Vocabulary,
    journeys: Mapping[str, Collection[str]] | None,
    report: Report,
) -> Draft | None:
    try:
        return check_journey(root, vocabulary, journeys, report)
    except TooManyFindings:
        return None


def _same_ids(roots: Sequence[Node | None], reports: Sequence[Report]) -> None:
    first: dict[str, str] = {}
    for root, report in zip(roots, reports, strict=False):
        name = journey_id(root)
        if name is None or not isinstance(root, Table):
            continue
        if name in first:
            msg = f"the journey '{name}' is defined in {first[name]} too"
            report.add("duplicate-id", root.entries["journey"].value, msg, "Give each journey its own id")
        first.setdefault(name, report.file)
