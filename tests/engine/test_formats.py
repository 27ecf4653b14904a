"""States of former formats: what their code wrote is read, and goes on as it would have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.live import states_of
from journey_stream.engine.partition import LAYOUT_KEY, Partition
from journey_stream.engine.program import compile_program
from journey_stream.engine.state import VERSION, Core
from journey_stream.events.decode import Decoder
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import load
from journey_stream.values import Event, Signal, Transition

FROZEN: dict[str, Any] = json.loads((Path(__file__).parent / "states_of_format_1.json").read_text("utf-8"))
"""Written by the code of format 1, with the definitions and events it had: states after the first half of
the events, and what it said of the second."""
PROGRAM = compile_program(load([tuple(d) for d in FROZEN["definitions"]], BUILT_IN).usable(), BUILT_IN)
_decode = Decoder(BUILT_IN).decode


def events(half: str) -> list[Event]:
    return [event for line in FROZEN[half] if isinstance(event := _decode(line.encode()), Event)]


def restored() -> Partition:
    partition = Partition(PROGRAM)
    for person, blob in FROZEN["states"].items():
        partition.load(person, bytes.fromhex(blob))
    return partition


def goes_on(partition: Partition) -> list[list[Any]]:
    for event in events("rest"):
        partition.apply(event, event.at)
    partition.fire(FROZEN["until"], FROZEN["until"])
    return [
        [r.person, r.journey, r.from_, r.to, r.rule, r.occurred_at, r.sequence]
        if isinstance(r, Transition)
        else [r.person, r.journey, r.signal, r.status, r.rule, r.occurred_at, r.sequence]
        for r in partition.drain().records
        if isinstance(r, Transition | Signal)
    ]


def test_states_of_format_1_go_on_as_their_code_went_on() -> None:
    partition = restored()
    people = {person for person in FROZEN["states"] if not person.startswith(LAYOUT_KEY)}

    assert people == set(partition.people())
    assert FROZEN["then"] == goes_on(partition)


def test_states_of_format_1_say_what_the_present_code_would_have_kept() -> None:
    partition, present = restored(), Partition(PROGRAM)
    for event in events("first"):
        present.apply(event, event.at)
    present.fire(FROZEN["cut"], FROZEN["cut"])
    for person in present.people():
        old, new = partition.customer(person), present.customer(person)
        assert old is not None
        assert new is not None
        # Ids are made in another way since, and `due` is a hint.
        assert [
            (name, getattr(old, name)) for name in Core.__struct_fields__ if name not in ("raised", "due")
        ] == [(name, getattr(new, name)) for name in Core.__struct_fields__ if name not in ("raised", "due")]


def test_states_of_format_1_become_states_of_the_present_one_when_they_are_touched() -> None:
    partition = restored()
    for event in events("rest"):
        partition.apply(event, event.at)
    changes = dict(partition.drain().changes)
    again = Partition(PROGRAM)
    for person, blob in (FROZEN["states"] | changes).items():
        again.load(person, bytes.fromhex(blob) if isinstance(blob, str) else blob)

    assert {VERSION} == {
        blob[0] for person, blob in changes.items() if blob and not person.startswith(LAYOUT_KEY)
    }
    assert states_of(partition) == states_of(again)
