"""Properties of the events of the third source: support tickets, in Zendesk's values."""

from __future__ import annotations

from typing import Literal

from journey_stream.events.fields import Properties

TicketKind = Literal["question", "problem", "incident", "complaint", "task"]
TicketPriority = Literal["low", "normal", "high", "urgent"]
TicketStatus = Literal["new", "open", "pending", "hold", "solved", "closed"]


class Ticket(Properties):
    """A support ticket, created, solved or reopened."""

    ticket_id: str | None = None
    kind: TicketKind | None = None
    priority: TicketPriority | None = None
    channel: str | None = None
    subject: str | None = None
    order_id: str | None = None


class TicketReplied(Properties):
    """Somebody wrote in a ticket."""

    ticket_id: str | None = None
    author: Literal["agent", "bot", "customer"] | None = None
    channel: str | None = None
    order_id: str | None = None


class TicketStatusChanged(Properties):
    """A ticket took another status."""

    ticket_id: str | None = None
    status: TicketStatus | None = None
    previous_status: TicketStatus | None = None
    order_id: str | None = None


class TicketPriorityChanged(Properties):
    """A ticket took another priority."""

    ticket_id: str | None = None
    priority: TicketPriority | None = None
    previous_priority: TicketPriority | None = None
    order_id: str | None = None


class TicketRated(Properties):
    """The customer rated how a ticket was handled."""

    ticket_id: str | None = None
    score: Literal["good", "bad"] | None = None
    comment: str | None = None
    order_id: str | None = None
