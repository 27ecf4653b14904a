"""Small stories for the engine: a definition in a few lines, events as they come on the wire, what came of it."""

from __future__ import annotations

import json
from typing import Any

from journey_stream.engine.partition import Drained, Partition
from journey_stream.engine.program import EngineOptions, Program, compile_program
from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN, Vocabulary
from journey_stream.journeys import load
from journey_stream.values import Event, Signal, StageNow, Transition, rfc3339

BEGIN = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z"""

TWO_STAGES = """\
stages:
  one: {kind: prospect, owner: marketing}
  two: {kind: retention, owner: sales}
"""

_decode = Decoder(BUILT_IN).decode


def compiled(*texts: str, options: EngineOptions | None = None, vocabulary: Vocabulary = BUILT_IN) -> Program:
    """Compile definitions, which must be without findings of severity error."""
    documents = [(f"{number}.yaml", text) for number, text in enumerate(texts)]
    return compile_program(load(documents, vocabulary).usable(), vocabulary, options)


def journey(rest: str, name: str = "test", stages: str = TWO_STAGES, start: str = "one") -> str:
    """A definition: id, version, start and stages are given, the rest is what the test is about."""
    return f"journey: {name}\nversion: 1\nstart: {start}\n{stages}{rest}"


def wire(type_: str, at: int, event_id: str, /, who: str = "ann", **properties: Any) -> bytes:
    """An event as bytes. `context`, `anonymous_id`, `customer_id`, `account_id` go to the envelope."""
    envelope: dict[str, Any] = {"event_id": event_id, "type": type_, "occurred_at": rfc3339(BEGIN + at)}
    if "anonymous_id" not in properties:
        envelope["customer_id"] = who
    for name in ("context", "anonymous_id", "customer_id", "account_id"):
        if name in properties:
            envelope[name] = properties.pop(name)
    envelope["properties"] = properties
    return json.dumps(envelope).encode()


def event(type_: str, at: int, event_id: str, /, who: str = "ann", **properties: Any) -> Event:
    """An event, decoded."""
    decoded = _decode(wire(type_, at, event_id, who, **properties))
    assert isinstance(decoded, Event), decoded
    return decoded


class Story:
    """Events and time go in, in order; `moves`, `calls` and the rest tell what came. Times count from BEGIN."""

    def __init__(
        self, *texts: str, options: EngineOptions | None = None, program: Program | None = None
    ) -> None:
        self.program = program or compiled(*texts, options=options)
        self.partition = Partition(self.program)
        self.transitions: list[Transition] = []
        self.signals: list[Signal] = []
        self.stages: list[StageNow] = []
        self.drained: list[Drained] = []
        self._number = 0

    def on(self, type_: str, at: int = 0, /, *, late: bool = False, **properties: Any) -> Story:
        """Apply an event `at` microseconds after BEGIN."""
        self._number += 1
        event_id = properties.pop("event_id", f"e{self._number}")
        self.partition.apply(event(type_, at, event_id, **properties), BEGIN + at, late=late)
        return self._drain()

    def until(self, at: int) -> Story:
        """Let the clock run to `at`."""
        self.partition.fire(BEGIN + at, BEGIN + at)
        return self._drain()

    def _drain(self) -> Story:
        drained = self.partition.drain()
        self.drained.append(drained)
        for record in drained.records:
            match record:
                case Transition():
                    self.transitions.append(record)
                case Signal():
                    self.signals.append(record)
                case StageNow():
                    self.stages.append(record)
        assert not drained.rejected, drained.rejected
        return self

    @property
    def moves(self) -> list[tuple[str | None, str, int]]:
        """(from, to, when) of every transition but the entries into the start."""
        return [
            (move.from_, move.to, move.occurred_at - BEGIN)
            for move in self.transitions
            if move.from_ is not None
        ]

    @property
    def calls(self) -> list[tuple[str, str, int]]:
        """(signal, status, when) of every signal."""
        return [(call.signal, call.status, call.occurred_at - BEGIN) for call in self.signals]

    def count(self, name: str) -> int:
        """How often the engine counted something."""
        return sum(drained.counts[name] for drained in self.drained)


def recorded(attributes: str, events: list[tuple[str, int, dict[str, Any]]], until: int | None = None) -> Any:
    """The value of the attribute `x` after these events (and at `until`)."""
    text = journey(
        f"attributes:\n{attributes}\n"
        "  told: {value: 'known'}\n"
        "records: [x]\n"
        "transitions: [{id: never, from: two, to: one, event: quote_expired}]\n"
    )
    story = Story(text)
    for kind, at, properties in events:
        story.on(kind, at, **properties)
    customer = story.partition.customer("ann")
    assert customer is not None
    last = max((at for _, at, _ in events), default=0)
    return story.program.journeys[0].attributes(customer, BEGIN + (last if until is None else until))["x"]
