"""Dead letters sent back to their source topics, each once, and the memory that makes it once.

Enters: the topic of dead letters, and what to send back of it. Leaves: records in the source topics, and for
each a note in the topic `redriven`, in the same transaction. Strategy: like a lane, fence first and read
then: starting the producer ends whatever a former redrive had open, and makes all it may still try fail;
only then is read what has been sent back. So one that was killed in the middle can be run again, and two at
the same time cannot both send a letter. Transactions are short, and short-lived: workers that read the
sources wait for an open one, also one whose sender has died.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final

import msgspec
from aiokafka.errors import KafkaError, ProducerFenced

from journey_stream.errors import BrokerError
from journey_stream.kafka.hop import Partitioner, partitioner_of
from journey_stream.kafka.reading import Reader, Where
from journey_stream.kafka.sender import Row, Sender
from journey_stream.letters import Headers, identity, read_letter, redrive_of, sent_back
from journey_stream.settings import Settings, TopicNames
from journey_stream.values import DeadLetter, rfc3339

TRANSACTION_MS: Final = 15_000
"""How long workers wait at most for the transaction of a redrive that has died."""
COMMIT_SECONDS: Final = 60.0
CLOSE_SECONDS: Final = 3.0
OVERHEAD: Final = 256
"""Bytes of a batch and a record around its key, value and headers, generously."""


class Place(msgspec.Struct, frozen=True):
    """A source topic, or a partition of it, or offsets in that."""

    topic: str
    partition: int | None = None
    first: int = 0
    last: int | None = None

    def holds(self, letter: DeadLetter) -> bool:
        """Tell whether the letter's record stood here."""
        return (
            self.topic == letter.topic
            and self.partition in (None, letter.partition)
            and letter.offset >= self.first
            and (self.last is None or letter.offset <= self.last)
        )


class Choice(msgspec.Struct, frozen=True):
    """Which letters are meant; nothing named means all."""

    reasons: frozenset[str] = frozenset()
    places: tuple[Place, ...] = ()
    since: int | None = None
    """Written at or after (microseconds)."""
    until: int | None = None
    """Written before."""

    def holds(self, letter: DeadLetter, written_at: int) -> bool:
        """Tell whether a letter is meant."""
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (self.since is None or written_at >= self.since)
            and (self.until is None or written_at < self.until)
            and (not self.places or any(place.holds(letter) for place in self.places))
        )


class Letter(msgspec.Struct, frozen=True):
    """A dead letter, and when it was written (microseconds)."""

    letter: DeadLetter
    written_at: int


async def chosen(reader: Reader, settings: Settings, choice: Choice) -> AsyncIterator[Letter]:
    """Read the dead letters that are meant, each once, in no order; other records are left."""
    topic, seen = TopicNames.of(settings).dead_letters, set[str]()
    async for records in reader.read(topic, where=Where(since=choice.since)):
        for record in records:
            letter = read_letter(record.key, record.value, record.headers)
            if letter is None or not choice.holds(letter, record.timestamp * 1000):
                continue
            name = identity(letter)
            if name not in seen:  # after a reset the same record may have become a letter again
                seen.add(name)
                yield Letter(letter, record.timestamp * 1000)


async def sent_before(reader: Reader, settings: Settings) -> set[str]:
    """Read which letters have been sent back."""
    topic = TopicNames.of(settings).redriven
    return {
        record.key.decode()
        async for records in reader.read(topic)
        for record in records
        if record.key is not None and record.value is not None
    }


class Resend(msgspec.Struct, frozen=True):
    """A letter to be sent back."""

    letter: DeadLetter
    """Perhaps with another key, value or headers than it came with."""
    rekeyed: bool = False
    """Its key is another: it goes to the partition that the new key belongs to."""


class Resender(Sender):
    """Sends letters back: what one call sends and remembers becomes true together."""

    def __init__(self, client: Mapping[str, Any], settings: Settings) -> None:
        super().__init__(
            client,
            settings.max_record_bytes,
            transactional_id=f"{settings.application_id}-redrive",
            transaction_timeout_ms=TRANSACTION_MS,
        )
        self._redriven = TopicNames.of(settings).redriven
        self._partitioner = partitioner_of(settings.keyed_input)

    async def send_back(self, letters: Iterable[Resend], as_of: int | None, now: int) -> None:
        """Send letters back to where they came from, and remember it, in one transaction.

        Args:
            letters: few enough for one transaction.
            as_of: when they are to count as having happened; None for their own time.
            now: the wall clock, for the memory. Times are microseconds.

        Raises:
            BrokerError: it failed: whatever was in this call was not sent, or at the next start of a
                `Resender` shows as sent.
        """
        rows: dict[tuple[str, int], list[Row]] = {}
        for each in letters:
            letter = each.letter
            headers = sent_back(letter, as_of)
            count = await self.counts.of(letter.topic)
            if each.rekeyed and letter.key is not None:
                partition = Partitioner(count, self._partitioner)(letter.key)
            else:
                partition = letter.partition % count  # the topic may have been made anew with fewer
            row: Row = (letter.key, letter.value, list(headers))
            rows.setdefault((letter.topic, partition), []).append(row)
            rows.setdefault((self._redriven, 0), []).append(_note(letter, headers, now))
        try:
            await asyncio.wait_for(self._together(rows), COMMIT_SECONDS)
        except ProducerFenced as error:
            raise BrokerError("another redrive of this deployment has begun: it goes on instead") from error
        except (KafkaError, TimeoutError) as error:
            msg = f"sending back failed: {type(error).__name__}: {error}. Run it again: each is sent once"
            raise BrokerError(msg) from error

    async def _together(self, rows: Mapping[tuple[str, int], list[Row]]) -> None:
        await self._producer.begin_transaction()
        try:
            sends = [self.send(topic, partition, batch) for (topic, partition), batch in rows.items()]
            for outcome in await asyncio.gather(*sends, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome
            await self._producer.commit_transaction()
        except BaseException:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._producer.abort_transaction(), CLOSE_SECONDS)
            raise


def _note(letter: DeadLetter, headers: Headers, now: int) -> Row:
    told, _ = redrive_of(headers)
    assert told is not None
    note: dict[str, Any] = {"redriven_at": rfc3339(now), "reason": letter.reason, "count": told.count}
    if told.as_of is not None:
        note["as_of"] = rfc3339(told.as_of)
    return identity(letter).encode(), msgspec.json.encode(note), []


def size(letter: DeadLetter, as_of: int | None = None) -> int:
    """Say how many bytes a record needs that is sent back, at most."""
    headers = sum(len(name.encode()) + len(text or b"") + 16 for name, text in sent_back(letter, as_of))
    return len(letter.key or b"") + len(letter.value or b"") + headers + OVERHEAD
