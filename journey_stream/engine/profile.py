"""The profile of a customer: where they are, whether we may write to them, how often we did.

In: customer and event. Out: the customer changed in place. Consent is two bits per channel in one integer
(0 unknown, 1 yes, 2 no). A grant counts when it is for marketing (or names no purpose); a refusal counts
whatever its purpose when it names a channel. An unsubscription without a channel means all of them; a bounce
or complaint without one means e-mail.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from journey_stream.engine.state import Customer
from journey_stream.values import DAY, Consent, Contactable, Event

CHANNELS: Final = ("email", "sms", "push", "call", "post")
_SHIFT: Final = {channel: 2 * place for place, channel in enumerate(CHANNELS)}
_WORDS: Final[tuple[Consent, ...]] = ("unknown", "yes", "no", "unknown")
_YES: Final = 1
_NO: Final = 2

WEEK_LIMIT: Final = 4
DAY_LIMIT: Final = 1
WEEK: Final = 7 * DAY
MESSAGES_KEPT: Final = WEEK_LIMIT + 1

ProfileUpdate = Callable[[Customer, Event, int], None]


@lru_cache(maxsize=1024)
def contactable(consent: int) -> Contactable:
    """Spell consent out per channel."""
    return Contactable(*(_WORDS[consent >> shift & 3] for shift in _SHIFT.values()))


def over_contacted(c: Customer, t: int) -> bool:
    """More than four marketing messages in the last seven days, or more than one in the last."""
    messages = c.messages  # in the order of time: only the one that would be too much needs a look
    sent = len(messages)
    return (sent > DAY_LIMIT and messages[-1 - DAY_LIMIT] > t - DAY) or (
        sent > WEEK_LIMIT and messages[-1 - WEEK_LIMIT] > t - WEEK
    )


def _set(c: Customer, channel: str | None, answer: int, otherwise: tuple[str, ...]) -> None:
    for name in otherwise if channel is None else (channel,):
        shift = _SHIFT.get(name)
        if shift is not None:
            c.consent = c.consent & ~(3 << shift) | answer << shift


def _message_sent(c: Customer, e: Event, t: int) -> None:
    c.messages.append(t)
    del c.messages[:-MESSAGES_KEPT]


def _consent_changed(c: Customer, e: Event, t: int) -> None:
    p = e.properties
    marketing = p.purpose is None or p.purpose == "marketing"
    if p.status == "granted":
        if marketing:
            _set(c, p.channel, _YES, CHANNELS)
    elif p.status is not None and (marketing or p.channel is not None):
        _set(c, p.channel, _NO, CHANNELS)


def _unsubscribed(c: Customer, e: Event, t: int) -> None:
    _set(c, e.properties.channel, _NO, CHANNELS)


def _refused(c: Customer, e: Event, t: int) -> None:
    _set(c, e.properties.channel, _NO, ("email",))


UPDATES: Final[dict[str, ProfileUpdate]] = {
    "message_sent": _message_sent,
    "consent_changed": _consent_changed,
    "unsubscribed": _unsubscribed,
    "message_bounced": _refused,
    "message_complained": _refused,
}
"""Event types that change consent or count as contact."""


def update_profile(c: Customer, e: Event, t: int, silences: tuple[int, ...]) -> None:
    """Take in who and where the customer is, and when they last acted; a silence starts a new session."""
    if e.activity:
        quiet = t - c.active
        for place, silence in enumerate(silences):
            if quiet > silence:
                c.sessions[place] = t
        c.active = t
    if (anonymous := e.anonymous_id) is not None and c.known:
        c.anonymous_id = anonymous
    if (account := e.account_id) is not None:
        c.account_id = account
    if (context := e.context) is not None:
        if (locale := context.locale) is not None:
            c.locale = locale
        if (country := context.country) is not None:
            c.country = country
        if (timezone := context.timezone) is not None:
            c.timezone = timezone
        if (test := context.test) is not None:
            c.test = test
