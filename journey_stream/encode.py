"""Records out as bytes: CloudEvents 1.0, for Kafka in binary mode, for files in structured mode.

    encoder = Encoder(topics)                 # topics: `settings.TopicNames`, or anything with these names
    encoder.encode(record)     -> Out         # to the common topic of its sort
    encoder.encode_all(record) -> tuple[Out]  # also to topics by stage, kind or signal
    structured(record)         -> bytes       # one CloudEvent as a JSON line, without the line end

Entering: `Transition`, `Signal`, `StageNow`, `DeadLetter` of `values`. Leaving: `Out`, always the same bytes.

The value (`wire`) repeats headers (`id`, `record_type`, `time`, `schema_version`), because sinks drop them.
Keys: transitions and signals the person; stages `<person>|<journey>` (a journey's id has no `|`: split at the
last one), with the partition chosen by the person; a stage of None is the tombstone. How a dead letter is
written: `letters`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from journey_stream.letters import dead_letter
from journey_stream.values import DeadLetter, Out, Signal, StageNow, Transition
from journey_stream.wire import (
    Record,
    Value,
    moment,
    signal_value,
    stage_value,
    transition_value,
    value_of,
)

Headers: TypeAlias = tuple[tuple[str, bytes], ...]


class Topics(Protocol):
    """The names that records are sent to."""

    @property
    def transitions(self) -> str:
        """Stage changes."""

    @property
    def signals(self) -> str:
        """Signals."""

    @property
    def stages(self) -> str:
        """The stage now."""

    @property
    def dead_letters(self) -> str:
        """Records that could not be used."""

    def transition_topic(self, *parts: str) -> str:
        """The topic of one stage (`journey, stage`) or one kind."""

    def signal_topic(self, *parts: str) -> str:
        """The topic of one signal (`journey, signal`) or one kind."""


class CloudEvent(msgspec.Struct, gc=False, omit_defaults=True):
    """A record in structured mode."""

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    subject: str
    time: dt.datetime
    datacontenttype: Literal["application/json"]
    journey: str
    stage: str
    data: Any
    stagekind: str | None = None
    owner: str | None = None
    signal: str | None = None
    status: str | None = None


class Encoder:
    """Writes records for Kafka. What it keeps are headers that records of one stage share: nothing else."""

    def __init__(
        self,
        topics: Topics,
        *,
        transitions_by: Literal["none", "stage", "kind"] = "none",
        signals_by: Literal["none", "signal", "kind"] = "none",
    ) -> None:
        self._topics = topics
        self._transitions_by = transitions_by
        self._signals_by = signals_by
        self._one_topic = transitions_by == signals_by == "none"
        self._transitions, self._signals, self._stages = topics.transitions, topics.signals, topics.stages
        self._shared: dict[Labels, Headers] = {}
        self._writers: dict[type, Callable[[Any], Out]] = {
            Transition: self._transition,
            Signal: self._signal,
            StageNow: self._stage,
            DeadLetter: self._dead_letter,
        }

    @property
    def plain_topics(self) -> tuple[str, str, str] | None:
        """The topics of transitions, signals and stages; None if records go to other topics, too."""
        return (self._transitions, self._signals, self._stages) if self._one_topic else None

    def encode(self, record: Record | DeadLetter) -> Out:
        """Write one record for its common topic."""
        return self._writers[type(record)](record)

    def encode_all(self, record: Record | DeadLetter) -> tuple[Out, ...]:
        """Write one record for its common topic and for that of its stage, kind or signal, if any."""
        out = self._writers[type(record)](record)
        if self._one_topic:
            return (out,)
        topic: str | None = None
        if isinstance(record, Transition):
            if self._transitions_by == "stage":
                topic = self._topics.transition_topic(record.journey, record.to)
            elif self._transitions_by == "kind":
                topic = self._topics.transition_topic(record.to_kind)
        elif isinstance(record, Signal):
            if self._signals_by == "signal":
                topic = self._topics.signal_topic(record.journey, record.signal)
            elif self._signals_by == "kind":
                topic = self._topics.signal_topic(record.kind)
        return (out,) if topic is None else (out, msgspec.structs.replace(out, topic=topic))

    def _transition(self, record: Transition) -> Out:
        person = record.person.encode()
        value = transition_value(record)
        headers = self._headers(value, person, _labels(record))
        return Out(self._transitions, person, _json(value), headers, person)

    def _signal(self, record: Signal) -> Out:
        person = record.person.encode()
        value = signal_value(record)
        headers = self._headers(value, person, _labels(record))
        return Out(self._signals, person, _json(value), headers, person)

    def _stage(self, record: StageNow) -> Out:
        person = record.person.encode()
        key = person + b"|" + record.journey.encode()
        if record.stage is None:
            return Out(self._stages, key, None, (), person)
        value = stage_value(record)
        headers = self._headers(value, person, _labels(record))
        return Out(self._stages, key, _json(value), headers, person)

    def _dead_letter(self, record: DeadLetter) -> Out:
        return dead_letter(record, self._topics.dead_letters)

    def _headers(self, value: Value, person: bytes, labels: Labels) -> Headers:
        shared = self._shared.get(labels)
        if shared is None:
            shared = self._shared[labels] = _shared_headers(labels)
        time = _json(value.time)[1:-1]  # without its quotes
        return (("ce_id", value.id.encode()), ("ce_time", time), ("ce_subject", person), *shared)


def encode(record: Record | DeadLetter, topics: Topics) -> Out:
    """Write one record for its common topic; for many records keep an `Encoder`."""
    return Encoder(topics).encode(record)


def structured(record: Record) -> bytes:
    """Write one record as a structured CloudEvent, in one line."""
    sort, journey, stage, kind, owner, signal, status = _labels(record)
    value = value_of(record)
    return _json(
        CloudEvent(
            "1.0",
            value.id,
            _source(journey),
            _type(sort),
            record.person,
            moment(_time(record)),
            "application/json",
            journey,
            stage or "",
            value,
            kind,
            owner,
            signal,
            status,
        )
    )


_json = msgspec.json.Encoder(order=None).encode
Labels: TypeAlias = tuple[str, str, str | None, str | None, str | None, str | None, str | None]
"""Sort of record, journey, stage, kind of stage, owner, signal, status: what many records share."""


def _labels(record: Record) -> Labels:
    if isinstance(record, Transition):
        return "transition", record.journey, record.to, record.to_kind, record.owner, None, None
    if isinstance(record, Signal):
        return (
            "signal",
            record.journey,
            record.stage,
            record.kind,
            record.owner,
            record.signal,
            record.status,
        )
    return "stage", record.journey, record.stage, record.kind, record.owner, None, None


def _shared_headers(labels: Labels) -> Headers:
    sort, journey, stage, kind, owner, signal, status = labels
    optional = (
        ("ce_journey", journey),
        ("ce_stage", stage),
        ("ce_stagekind", kind),
        ("ce_owner", owner),
        ("ce_signal", signal),
        ("ce_status", status),
    )
    return (
        ("ce_specversion", b"1.0"),
        ("ce_source", _source(journey).encode()),
        ("ce_type", _type(sort).encode()),
        ("content-type", b"application/json"),
        *((name, text.encode()) for name, text in optional if text is not None),
    )


def _source(journey: str) -> str:
    return f"/journey_stream/{journey}"


def _type(sort: str) -> str:
    return f"journey_stream.{sort}.v1"


def _time(record: Record) -> int:
    return record.entered_at if isinstance(record, StageNow) else record.occurred_at
