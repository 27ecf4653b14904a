"""The stage now: what the compacted topic says of a person in a journey, and that a person is forgotten.

In: the records of a batch, or a customer about to be forgotten. Out: `StageNow`s.
"""

from __future__ import annotations

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


def with_stages(records: list[Record]) -> list[Record]:
    """Put the last stage per person and journey behind the records that led to it."""
    last: dict[tuple[str, str], Transition | StageNow] = {}
    kept: list[Record] = []
    for record in records:
        if type(record) is StageNow:
            last[record.person, record.journey] = record
            continue
        kept.append(record)
        if type(record) is Transition:
            last[record.person, record.journey] = record
    kept += [_entered(record) if type(record) is Transition else record for record in last.values()]
    return kept


def _entered(record: Transition) -> StageNow:
    return StageNow(
        person=record.person,
        journey=record.journey,
        version=record.version,
        customer_id=record.customer_id,
        anonymous_id=record.anonymous_id,
        account_id=record.account_id,
        stage=record.to,
        kind=record.to_kind,
        owner=record.owner,
        entered_at=record.occurred_at,
        sequence=record.sequence,
        transition_id=record.transition_id,
        attributes=record.attributes,
        test=record.test,
        replay=record.replay,
    )
