"""What is said to be possible of a property is what the decoder lets through and derives."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from journey_stream.events.declared import DeclaredType
from journey_stream.events.derive import score_limits, scorer
from journey_stream.events.limits import FREE, NEVER, Limits, limits
from journey_stream.events.tickets import Ticket
from journey_stream.events.vocabulary import BUILT_IN


@pytest.mark.parametrize("kind", BUILT_IN.names())
def test_only_types_that_are_scored_have_scores(kind: str) -> None:
    assert (scorer(kind) is None) == (score_limits(kind) == (None, None))


@given(
    st.sampled_from([name for name in BUILT_IN.names() if scorer(name)]),
    st.sampled_from(["nps", "csat", "ces"]),
    st.floats(0, 10),
    st.sampled_from(["complaint", "question"]),
    st.booleans(),
)
def test_every_score_lies_within_its_limits(
    name: str, survey: str, score: float, kind: str, good: bool
) -> None:
    properties = msgspec.convert(
        {
            "survey_type": survey,
            "score": ("good" if good else "bad") if name == "ticket_rated" else score,
            "rating": 1 + score * 0.4,
            "kind": kind,
        },
        BUILT_IN.types[name].properties,
    )
    found = scorer(name)(properties)  # type: ignore[misc]
    if isinstance(found, str):
        return
    for value, allowed in zip(found, score_limits(name), strict=True):
        assert value is None or (allowed is not None and allowed[0] <= value <= allowed[1])


def test_closed_lists_and_ranges_are_those_of_the_structs() -> None:
    kinds = limits(BUILT_IN, "ticket_created", "kind").words
    assert kinds == {"question", "problem", "incident", "complaint", "task"}
    for kind in kinds:
        assert msgspec.convert({"kind": kind}, Ticket).kind == kind
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"kind": "complant"}, Ticket)

    assert Limits(least=1, most=5) == limits(BUILT_IN, "product_reviewed", "rating")
    assert "web" in (limits(BUILT_IN, "activity", "context.channel").words or ())
    assert Limits(frozenset(["page_viewed"])) == limits(BUILT_IN, "page_viewed", "type")


def test_what_a_type_lacks_it_never_has_and_what_is_not_limited_is_free() -> None:
    assert (
        NEVER == limits(BUILT_IN, "order_completed", "sentiment") == limits(BUILT_IN, "page_viewed", "total")
    )
    assert NEVER == limits(BUILT_IN, "ticket_reopened", "score_norm")
    assert FREE == limits(BUILT_IN, "order_completed", "total") == limits(BUILT_IN, "activity", "type")
    assert Limits(least=-1.0, most=1.0) == limits(BUILT_IN, "activity", "sentiment")
    assert math.isclose(-0.3, limits(BUILT_IN, "checkout_failed", "sentiment").most or 0)


def test_a_declared_type_is_limited_as_its_schema_says() -> None:
    schema = {
        "type": "object",
        "properties": {
            "mood": {"type": "string", "enum": ["up", "down"]},
            "level": {"type": "integer", "minimum": 2, "maximum": 9},
            "note": {"type": "string"},
        },
    }
    own = BUILT_IN.with_declared([DeclaredType("visit_rated", schema)])

    assert Limits(frozenset(["up", "down"])) == limits(own, "visit_rated", "mood")
    assert Limits(least=2, most=9) == limits(own, "visit_rated", "level")
    assert FREE == limits(own, "visit_rated", "note")
    assert NEVER == limits(own, "visit_rated", "sentiment")
