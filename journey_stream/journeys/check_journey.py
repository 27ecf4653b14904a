"""One document -> one journey: the checks in their order, and what only the whole can tell.

In: the root node of a text. Out: the `Draft` of its journey, or None when its report holds an error.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from journey_stream.events.vocabulary import Vocabulary
from journey_stream.journeys.check import Context, Fields, check_table
from journey_stream.journeys.check_attributes import Attributes, read_attributes, read_parameters
from journey_stream.journeys.check_rules import Rules
from journey_stream.journeys.check_stages import Stages, read_stages
from journey_stream.journeys.content import content_sha
from journey_stream.journeys.findings import Report, did_you_mean
from journey_stream.journeys.grammar import SHAPES
from journey_stream.journeys.model import DEFAULT_SESSION, Journey, TransitionRule
from journey_stream.journeys.read import Entry, Node, Scalar, Table
from journey_stream.journeys.scopes import Scopes


@dataclass(frozen=True, slots=True)
class Draft:
    """A journey without errors, and what further looks at it need."""

    journey: Journey
    root: Table
    scopes: Scopes
    reached: frozenset[str]
    """The stages that somebody can be in."""


def check_journey(
    root: Node,
    vocabulary: Vocabulary,
    journeys: Mapping[str, Collection[str]] | None,
    report: Report,
) -> Draft | None:
    """Check one document and model it.

    Args:
        root: The document as read.
        vocabulary: The event types there are.
        journeys: The stages of all journeys loaded together; None when one is looked at alone.
        report: Takes the findings.
    """
    context = Context(report, vocabulary, stages_of=journeys or {})
    fields = check_table(root, SHAPES["journey"], context, "the journey")
    if fields is None:
        return None
    if fields.has("parameters") and isinstance(fields.get("parameters"), Table):
        context.parameters, context.durations = read_parameters(fields.get("parameters"), context)
    id_ = fields.get("journey", "")
    stages = read_stages(fields.get("stages"), context) if fields.get("stages") else Stages()
    together = None if journeys is None else tuple(journeys)
    scopes = Scopes(vocabulary, context.parameters, stages=tuple(stages.leaves), journeys=together)
    attributes = _attributes(fields, id_, scopes, context)
    scopes = scopes.with_attributes(
        attributes.types, {name: attributes.by_name[name].form for name in attributes.types}
    )
    rules = Rules(stages, scopes, context, attributes.written - attributes.types.keys())
    start = _start(fields, stages, context)
    transitions = rules.transitions(fields.get("transitions", ()))
    signals = rules.signals(fields.get("signals", ()))
    records = _records(fields, attributes, context)
    session = _session(fields, context)
    if report.broken or start is None:
        return None
    reached = _reached(start, stages, transitions)
    _unreachable(start, stages, reached, report)
    journey = Journey(
        id=id_,
        version=fields.get("version"),
        title=fields.get("title", {}),
        description=fields.get("description"),
        parameters=context.parameters,
        attributes=attributes.by_name,
        records=records,
        start=start,
        stages=stages.leaves,
        groups=stages.groups,
        transitions=transitions,
        signals=signals,
        session=session,
        content_sha=content_sha(root),
        file=report.file,
    )
    return Draft(journey, fields.node, scopes, reached)


def journey_id(root: Node | None) -> str | None:
    """Peek at the id of a document, checked or not."""
    if not isinstance(root, Table) or "journey" not in root.entries:
        return None
    value = root.entries["journey"].value
    return value.text if isinstance(value, Scalar) and isinstance(value.value, str) else None


def stage_names(root: Node | None) -> set[str]:
    """Peek at the names of the stages of a document, checked or not."""
    names: set[str] = set()
    for name, entry in _entries(root, "stages"):
        inner = [leaf for leaf, _ in _entries(entry.value, "stages")]
        names.update([f"{name}/{leaf}" for leaf in inner] or [name])
    return names


def _entries(node: Node | None, key: str) -> Iterator[tuple[str, Entry]]:
    table = node.entries[key].value if isinstance(node, Table) and key in node.entries else None
    if isinstance(table, Table):
        yield from table.entries.items()


def _attributes(fields: Fields, journey: str, scopes: Scopes, context: Context) -> Attributes:
    table = fields.get("attributes")
    return read_attributes(table, journey, scopes, context) if table else Attributes()


def _start(fields: Fields, stages: Stages, context: Context) -> str | None:
    word = fields.get("start")
    if not isinstance(word, Scalar) or not stages.leaves:
        return None
    start = stages.entry(word.text)
    if start is None:
        hint = did_you_mean(word.text, stages.names, "The stages")
        msg = f"the journey: 'start': there is no stage '{word.text[:80]}'"
        context.report.add("unknown-stage", word, msg, hint)
    return start


def _records(fields: Fields, attributes: Attributes, context: Context) -> tuple[str, ...]:
    names: list[str] = []
    for word in fields.get("records", ()):
        if word.text not in attributes.written:
            hint = did_you_mean(word.text, attributes.written, "The attributes")
            msg = f"the journey: 'records': there is no attribute '{word.text[:80]}'"
            context.report.add("unknown-attribute", word, msg, hint)
        elif word.text in names:
            msg = f"the journey: 'records': '{word.text}' stands there twice"
            context.report.add("duplicate-id", word, msg, "Keep one")
        else:
            names.append(word.text)
    return tuple(names)


def _session(fields: Fields, context: Context) -> int:
    if "session" not in context.parameters:
        return DEFAULT_SESSION
    session = context.durations.get("session")
    if not session:
        table = fields.get("parameters")
        msg = "the parameter 'session' is the silence that ends a session, and has to be a duration above 0"
        context.report.add("bad-duration", table.entries["session"].value, msg, "Write session: 30m")
        return DEFAULT_SESSION
    return session


def _reached(start: str, stages: Stages, transitions: tuple[TransitionRule, ...]) -> frozenset[str]:
    """The stages that some chain of transitions from the start enters.

    `back` leads to stages that were left before, so only its fallback can be new.
    """
    leaving: dict[str, list[TransitionRule]] = {stage: [] for stage in stages.leaves}
    for rule in transitions:
        for origin in rule.from_:
            leaving[origin].append(rule)
    reached, frontier = {start}, [start]
    while frontier:
        current = frontier.pop()
        new = {stages.resolve(rule.to, current) for rule in leaving[current]} - reached
        reached |= new
        frontier.extend(new)
    return frozenset(reached)


def _unreachable(start: str, stages: Stages, reached: frozenset[str], report: Report) -> None:
    for stage in stages.leaves.values():
        if stage.id not in reached:
            msg = f"no chain of transitions from '{start}' leads to the stage '{stage.id}'"
            report.add(
                "unreachable-stage", stages.places[stage.id], msg, "Add a transition to it, or leave it out"
            )
