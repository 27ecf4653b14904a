"""A test file -> cases. In: YAML text. Out: a `TestFile` with its cases, or findings that say what to mend.

Strategy: the reader of the definitions gives nodes with positions; a parametrised test is one tree of nodes
with `$name` replaced per row of its `cases`. Comparing what is expected with what came is `run`'s job.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from journey_stream.journeys.findings import Finding, Place, Report, TooManyFindings, did_you_mean
from journey_stream.journeys.read import Entry, Items, Node, Scalar, Table, read
from journey_stream.testing.nodes import names_of, spot, table_of, text_of, time_of
from journey_stream.testing.story import SOMEBODY, Given, StoryError, Times, given, given_line, plain

FILE_KEYS = ("start", "quiet", "tests")
CASE_KEYS = (
    "name",
    "given",
    "when",
    "then",
    "signals",
    "stage",
    "attributes",
    "parameters",
    "quiet",
    "cases",
)
TRANSITION_KEYS = (
    "to", "from", "rule", "reason", "at", "kind", "from_kind", "owner", "trigger", "direction", "cause",
    "loop", "entry_number", "first_entry", "dwell_s", "over_contacted", "attributes",
)  # fmt: skip
SIGNAL_KEYS = (
    "signal", "status", "rule", "reason", "at", "until", "stage", "kind", "owner", "cause", "payload",
    "attributes",
)  # fmt: skip
EVENT_KEYS = ("at", "type", "event_id", "customer_id", "anonymous_id", "account_id", "context", "properties")
TIMES = ("at", "until")

_EMPTY = (
    "the document is empty; tests were expected",
    "Start with tests: and below it a list, each item with name:, given: and then:",
)
_VARIABLE = re.compile(r"\$([a-z_][a-z0-9_]*)")


@dataclass(frozen=True, slots=True)
class Expected:
    """A record that is to come: only the fields given are compared. Times are microseconds."""

    line: int
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Side:
    """What is expected of one customer; None = not asked."""

    transitions: tuple[Expected, ...] | None = None
    signals: tuple[Expected, ...] | None = None
    stage: Expected | None = None
    attributes: tuple[tuple[int, str, object], ...] = ()
    """(line, name, value) at the end."""
    then_line: int = 0
    signals_line: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """One story and what is to come of it."""

    file: str
    line: int
    name: str
    given: tuple[Given, ...]
    until: int
    times: Times
    sides: Mapping[str, Side]
    """By person."""
    parameters: Mapping[str, object] = field(default_factory=dict)
    """Parameters of the definition that this case sets otherwise."""
    quiet: Mapping[str, int] = field(default_factory=dict)
    """Signals that are left out unless the case names them, each with the line that says so."""


@dataclass(frozen=True, slots=True)
class TestFile:
    """A test file, read."""

    __test__ = False

    file: str
    cases: tuple[Case, ...]
    findings: tuple[Finding, ...]
    lines: tuple[str, ...] = ()
    """The text, to point at words in it."""

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that keep the file from being used."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


def companion(name: str) -> str:
    """Name the test file that stands beside a definition: `x.yaml` -> `x_test.yaml`."""
    stem, dot, ending = name.rpartition(".")
    return f"{stem}_test.{ending}" if dot else f"{name}_test.yaml"


@dataclass(frozen=True, slots=True)
class _Frame:
    """What all tests of a file share while it is read."""

    file: str
    lines: tuple[str, ...]
    report: Report
    times: Times
    quiet: Mapping[str, int]


def read_tests(file: str, text: str) -> TestFile:
    """Read a test file; what is wrong with it is in its findings, and a case that is wrong is left out."""
    report, lines = Report(file), tuple(text.split("\n"))
    cases: list[Case] = []
    try:
        root = read(text, report, empty=_EMPTY)
        if root is not None:
            cases.extend(_tests(root, file, lines, report))
    except TooManyFindings:
        pass  # the last finding says so
    return TestFile(file, tuple(cases), tuple(sorted(report.findings)), lines)


def _tests(root: Node, file: str, lines: tuple[str, ...], report: Report) -> Iterator[Case]:
    top = table_of(root, FILE_KEYS, "a test file", report)
    quiet = names_of(top.get("quiet"), "quiet", report)
    frame = _Frame(file, lines, report, _start(top.get("start"), report), quiet)
    tests = top.get("tests")
    if not isinstance(tests, Items):
        report.add("missing-key", tests or root, "a test file needs 'tests', a list of tests")
        return
    for node in tests.items:
        yield from _test(node, frame)


def _start(node: Node | None, report: Report) -> Times:
    if node is None:
        return Times()
    try:
        return Times(Times().read(text_of(node), 0))
    except StoryError as error:
        report.add("bad-value", node, f"start: {error}")
        return Times()


def _test(node: Node, frame: _Frame) -> Iterator[Case]:
    report = frame.report
    before = len(report.findings)
    fields = table_of(node, CASE_KEYS, "a test", report)
    if len(report.findings) > before:
        return
    name = fields.get("name")
    if not isinstance(name, Scalar) or not name.text:
        report.add("missing-key", node, "a test needs a 'name'")
        return
    rows = fields.pop("cases", None)
    if rows is None:
        yield from _case(name.text, node, fields, frame)
        return
    if not isinstance(rows, Items) or not rows.items:
        report.add("wrong-type", rows, "'cases' is a list of mappings, one per case")
        return
    used = set(_variables(fields.values()))
    for row in rows.items:
        if not isinstance(row, Table):
            report.add("wrong-type", row, "a case is a mapping of names to values")
            continue
        values = {key: entry.value for key, entry in row.entries.items()}
        shown = ", ".join(f"{key}={text_of(value)}" for key, value in values.items())
        for key, entry in row.entries.items():
            if used and key not in used:
                hint = did_you_mean(key, used, "The test asks for")
                msg = f"nothing in the test asks for ${key}"
                report.add("unknown-name", entry.key, msg, hint, severity="warning")
        before = len(report.findings)
        filled = {key: _fill(value, values, report) for key, value in fields.items()}
        if len(report.findings) > before:
            continue
        yield from _case(f"{name.text} [{shown}]", row, filled, frame)


def _variables(nodes: Iterable[Node]) -> Iterator[str]:
    """Name what stands as `$name` in a test."""
    for node in nodes:
        match node:
            case Items():
                yield from _variables(node.items)
            case Table():
                yield from _variables(entry.value for entry in node.entries.values())
            case Scalar():
                yield from _VARIABLE.findall(node.text)


def _fill(node: Node, values: Mapping[str, Node], report: Report) -> Node:
    match node:
        case Items():
            return replace(node, items=tuple(_fill(item, values, report) for item in node.items))
        case Table():
            entries = {
                key: Entry(entry.key, _fill(entry.value, values, report))
                for key, entry in node.entries.items()
            }
            return replace(node, entries=entries)
        case Scalar():
            names = _VARIABLE.findall(node.text)
            for name in names:
                if name not in values:
                    hint = did_you_mean(name, values, "The names of the case")
                    report.add("unknown-name", node, f"the case gives no value for ${name}", hint)
                    return node
            if len(names) == 1 and node.text == f"${names[0]}":
                return values[names[0]]
            if not names:
                return node
            text = _VARIABLE.sub(lambda found: text_of(values[found[1]]), node.text)
            return replace(node, text=text, value=text)


def _case(name: str, place: Place, fields: Mapping[str, Node], frame: _Frame) -> Iterator[Case]:
    times, report = frame.times, frame.report
    before = len(report.findings)
    story = tuple(_story(fields.get("given"), frame))
    last = max((each.at for each in story), default=times.start)
    until = last
    if (when := fields.get("when")) is not None:
        until = time_of(when, times, last, report)
    persons = list(dict.fromkeys(each.person for each in story)) or [SOMEBODY]
    sides = {person: Side() for person in persons}
    for key, reader in _READERS.items():
        if (node := fields.get(key)) is None:
            continue
        for person, part in _per_person(node, persons, key, report):
            sides[person] = reader(sides[person], part, times, report)
    parameters = fields.get("parameters")
    if parameters is not None and not isinstance(parameters, Table):
        report.add("wrong-type", parameters, "'parameters' is a mapping of names to values")
        parameters = None
    if len(report.findings) == before:
        changed = {key: plain(entry.value) for key, entry in parameters.entries.items()} if parameters else {}
        own = fields.get("quiet")
        quiet = frame.quiet if own is None else names_of(own, "quiet", report)
        yield Case(frame.file, place.line, name, story, until, times, sides, changed, quiet)


def _per_person(node: Node, persons: list[str], key: str, report: Report) -> Iterator[tuple[str, Node]]:
    if isinstance(node, Table) and node.entries and all(name in persons for name in node.entries):
        for name, entry in node.entries.items():
            yield name, entry.value
    elif len(persons) > 1:
        known = ", ".join(persons)
        msg = f"'{key}' is a mapping from customer to what is expected; the customers here are {known}"
        report.add("wrong-type", node, msg)
    elif isinstance(node, Table) and node.entries and key != "attributes":
        name = next(iter(node.entries))
        msg = f"'{key}' speaks of the customer '{name}', and the story knows only {persons[0]}"
        report.add("unknown-name", node, msg, f"Write customer_id={name} in a line of the story")
    else:
        yield persons[0], node


def _story(node: Node | None, frame: _Frame) -> Iterator[Given]:
    times, report = frame.times, frame.report
    previous = times.start
    for place, part in _lines(node, frame):
        try:
            if isinstance(part, Table):
                event = _long_form(part, times, previous, report)
            else:
                event = given_line(part, place.line, times, previous)
        except StoryError as error:
            report.add("bad-value", place, str(error))
            continue
        previous = event.at
        yield event


def _lines(node: Node | None, frame: _Frame) -> Iterator[tuple[Place, str | Table]]:
    if isinstance(node, Scalar):
        # a literal block begins in the line after its `|`
        first = node.line if node.inline or node.quoted else node.line + 1
        for offset, line in enumerate(node.text.split("\n")):
            if line.strip() and not line.lstrip().startswith("#"):
                yield spot(frame.lines, first + offset, line.strip().split()[0]), line
    elif isinstance(node, Items):
        for item in node.items:
            if isinstance(item, Scalar):
                yield item, item.text
            elif isinstance(item, Table) and len(item.entries) == 1 and "type" not in item.entries:
                # `- day 3: order_completed` is a mapping of one key to YAML, and a line to people
                when, entry = next(iter(item.entries.items()))
                yield item, f"{when}: {text_of(entry.value)}"
            elif isinstance(item, Table):
                yield item, item
            else:
                frame.report.add("wrong-type", item, "an event is a line or a mapping")
    elif node is not None:
        frame.report.add("wrong-type", node, "'given' is a text with one event a line, or a list of events")


def _long_form(node: Table, times: Times, previous: int, report: Report) -> Given:
    fields = table_of(node, EVENT_KEYS, "an event", report)
    kind, at = fields.get("type"), fields.get("at")
    if kind is None or at is None:
        msg = "an event needs 'at' and 'type'"
        raise StoryError(msg)
    values: dict[str, object] = {}
    for key, value in fields.items():
        if key == "properties":
            inner = plain(value)
            if not isinstance(inner, dict):
                msg = "'properties' is a mapping"
                raise StoryError(msg)
            values.update(inner)
        elif key not in ("type", "at"):
            values[key] = plain(value)
    return given(text_of(kind), times.read(text_of(at), previous), node.line, values)


def _then(side: Side, node: Node, times: Times, report: Report) -> Side:
    records = tuple(_records(node, "to", TRANSITION_KEYS, "a transition", times, report))
    return replace(side, transitions=records, then_line=node.line)


def _signals(side: Side, node: Node, times: Times, report: Report) -> Side:
    records = tuple(_records(node, "signal", SIGNAL_KEYS, "a signal", times, report))
    return replace(side, signals=records, signals_line=node.line)


def _stage(side: Side, node: Node, _times: Times, _report: Report) -> Side:
    return replace(side, stage=Expected(node.line, {"stage": text_of(node)}))


def _attributes(side: Side, node: Node, _times: Times, report: Report) -> Side:
    if not isinstance(node, Table):
        report.add("wrong-type", node, "'attributes' is a mapping of names to values")
        return side
    entries = tuple((entry.key.line, name, plain(entry.value)) for name, entry in node.entries.items())
    return replace(side, attributes=entries)


_READERS: dict[str, Callable[[Side, Node, Times, Report], Side]] = {
    "then": _then,
    "signals": _signals,
    "stage": _stage,
    "attributes": _attributes,
}


def _records(
    node: Node, short: str, keys: tuple[str, ...], what: str, times: Times, report: Report
) -> Iterator[Expected]:
    if isinstance(node, Scalar) and node.value is None:
        return
    if not isinstance(node, Items):
        report.add("wrong-type", node, f"a list was expected, each item {what}")
        return
    for item in node.items:
        if isinstance(item, Scalar):
            yield Expected(item.line, {short: item.text})
            continue
        fields = table_of(item, keys, what, report)
        if short not in fields:
            report.add("missing-key", item, f"{what} needs '{short}'")
            continue
        values = {
            key: time_of(value, times, times.start, report) if key in TIMES else plain(value)
            for key, value in fields.items()
        }
        yield Expected(item.line, values)
