"""Properties of the events of the fourth source: surveys."""

from __future__ import annotations

from typing import Literal

from journey_stream.events.fields import Properties

SurveyType = Literal["nps", "csat", "ces"]


class SurveySent(Properties):
    """A survey was sent."""

    survey_id: str | None = None
    survey_type: SurveyType | None = None
    channel: str | None = None
    order_id: str | None = None
    ticket_id: str | None = None


class SurveyResponded(Properties):
    """An answer to a survey."""

    survey_id: str | None = None
    response_id: str | None = None
    survey_type: SurveyType | None = None
    score: float | None = None
    scale_min: float | None = None
    """The scale's ends; unless given, NPS 0 to 10, CSAT and CES 1 to 5."""
    scale_max: float | None = None
    comment: str | None = None
    order_id: str | None = None
    ticket_id: str | None = None
