"""The stage now: what the compacted topic says of a person in a journey, and that a person is forgotten.

In: the records of a batch, or a customer about to be forgotten. Out: `StageNow`s, and how many more are in
which stage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from journey_stream.engine.program import Program
from journey_stream.engine.records import anonymous_id, customer_id
from journey_stream.engine.state import NOWHERE, Customer
from journey_stream.values import Signal, StageNow, Transition

Record: TypeAlias = Transition | Signal | StageNow


def tombstones(program: Program, c: Customer) -> list[Record]:
    """One per journey that the person was in."""
    return [
        StageNow(
            person=c.person,
            journey=journey.id,
            version=journey.version,
            customer_id=customer_id(c),
            anonymous_id=anonymous_id(c),
            account_id=c.account_id,
            stage=None,
            kind=None,
            owner=None,
            entered_at=c.entered[journey.index],
            sequence=c.sequences[journey.index],
            transition_id=None,
            attributes={},
            test=c.test,
            replay=False,
            left=journey.stages[c.stages[journey.index]],
        )
        for journey in program.journeys
        if c.stages[journey.index] != NOWHERE
    ]


def standing(program: Program, c: Customer, j: int) -> StageNow:
    """Of a customer whose last change of stage is not at hand."""
    journey, stage = program.journeys[j], c.stages[j]
    return StageNow(
        person=c.person,
        journey=journey.id,
        version=journey.version,
        customer_id=customer_id(c),
        anonymous_id=anonymous_id(c),
        account_id=c.account_id,
        stage=journey.stages[stage],
        kind=journey.kinds[stage],
        owner=journey.owners[stage],
        entered_at=c.entered[j],
        sequence=c.sequences[j],
        transition_id=None,
        attributes=journey.attributes(c, c.latest),
        test=c.test,
        replay=False,
    )


def run_on(program: Program, numbers: Sequence[int]) -> list[int]:
    """Publication numbers that run on in whatever version of a journey somebody is next."""
    return [max(numbers[place] for place in (j.index, *j.others)) for j in program.journeys]


def growth(records: list[Record]) -> Counter[tuple[str, str]]:
    """How many more are in (journey, stage) after these records; a correction counts the other way round."""
    found: Counter[tuple[str, str]] = Counter()
    for record in records:
        if type(record) is Transition:
            one = 1 if record.corrects is None else -1
            found[record.journey, record.to] += one
            if record.from_ is not None:
                found[record.journey, record.from_] -= one
        elif type(record) is StageNow and record.left is not None:
            found[record.journey, record.left] -= 1
    return found


def with_stages(records: list[Record]) -> list[Record]:
    """Put the last stage per person and journey behind the records that led to it."""
    last: dict[tuple[str, str], Transition | StageNow] = {}
    kept: list[Record] = []
    for record in records:
        if type(record) is StageNow:
            last[record.person, record.journey] = record
            continue
        kept.append(record)
        if type(record) is Transition and record.corrects is None:
            last[record.person, record.journey] = record
    kept += [entered(record) if type(record) is Transition else record for record in last.values()]
    return kept


def entered(record: Transition) -> StageNow:
    """Of a change of stage."""
    return StageNow(
        record.person,
        record.journey,
        record.version,
        record.customer_id,
        record.anonymous_id,
        record.account_id,
        record.to,
        record.to_kind,
        record.owner,
        record.occurred_at,
        record.sequence,
        record.transition_id,
        record.attributes,
        record.test,
        record.replay,
    )
