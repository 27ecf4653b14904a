"""Ways to break the worker on purpose: each undoes one thing that exactly-once rests on.

A driver that cannot fail proves nothing: for each of these some plan must show what goes wrong.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

from aiokafka.errors import KafkaError

from journey_stream.kafka.checkpoint import Writer
from journey_stream.kafka.intake import IntakeLane
from journey_stream.kafka.keyed import KeyedPartition
from journey_stream.kafka.lane import JourneyLane
from journey_stream.kafka.sender import Sender
from journey_stream.kafka.transactions import Transactions
from tests.kafka.crash.clients import Reader

Mutant = Callable[[], contextlib.AbstractContextManager[None]]


def _replacing(owner: type, name: str, make: Callable[[Any], Any]) -> Mutant:
    """A mutant with one method instead of another; `make` is given the original."""

    @contextlib.contextmanager
    def mutant() -> Iterator[None]:
        with patch.object(owner, name, make(getattr(owner, name))):
            yield

    return mutant


def _offsets_alone(_: Any) -> Any:
    async def commit(self: Any, offsets: Any, group: str) -> None:
        wire = self.client._wire
        await wire.request("offsets alone", lambda: wire.broker.committed.update(offsets))

    return commit


@contextlib.contextmanager
def _fence_after_reading() -> Iterator[None]:
    take_over, start = JourneyLane._take_over, Writer.start

    async def not_yet(self: Any) -> None:
        return None

    async def backwards(self: Any) -> None:
        await take_over(self)
        await start(self._commits._writer)

    with patch.object(Writer, "start", not_yet), patch.object(JourneyLane, "_take_over", backwards):
        yield


def _two_transactions(commit: Any) -> Any:
    async def torn(self: Any, outs: Any, changelog: str, changes: Any, offsets: Any) -> None:
        await commit(self, outs, changelog, [], {})
        await commit(self, [], changelog, changes, offsets)

    return torn


def _uncommitted(init: Any) -> Any:
    def read(self: Any, **more: Any) -> None:
        init(self, **{**more, "isolation_level": "read_uncommitted"})

    return read


def _deaf(deliver: Any) -> Any:
    async def overlook(self: Any, *of: Any) -> int:
        with contextlib.suppress(KafkaError):
            return int(await deliver(self, *of))
        return -1

    return overlook


def _deaf_to_brokers(send: Any) -> Any:
    async def overlook(self: Any, node: int, batches: Any) -> Any:
        with contextlib.suppress(KafkaError):
            return await send(self, node, batches)
        return dict.fromkeys(batches, -1)

    return overlook


def _hopeful(commit: Any) -> Any:
    async def assume(self: Any, *of: Any) -> None:
        with contextlib.suppress(KafkaError):
            await commit(self, *of)

    return assume


def _stubborn(commit: Any) -> Any:
    async def again(self: Any, *of: Any) -> None:
        try:
            await commit(self, *of)
        except KafkaError:
            await commit(self, *of)

    return again


def _own_id(init: Any) -> Any:
    numbers = itertools.count()

    def unfenced(self: Any, *of: Any, application_id: str, **more: Any) -> None:
        init(self, *of, application_id=f"{application_id}-{next(numbers)}", **more)
        self._group = application_id

    return unfenced


def _hasty(hand_on: Any) -> Any:
    async def commit_first(self: Any, batches: Any) -> None:
        self.done = batches[-1][-1].offset + 1
        await self._commit()
        await hand_on(self, batches)

    return commit_first


def _boastful(hand_on: Any) -> Any:
    async def tell_first(self: Any, batches: Any) -> None:
        for records in batches:
            self._highest = self.intake.take(records, {}, self._highest)
        await hand_on(self, batches)

    return tell_first


def _forgetful(take: Any) -> Any:
    def twice(self: Any, records: Any, now: int) -> None:
        self._received.highest.clear()
        take(self, records, now)

    return twice


def _from_the_position(restore: Any) -> Any:
    def skip(self: Any, meta: Any, start: int) -> int:
        restore(self, meta, start)
        self.rereading = False
        return int(self.position)

    return skip


def _all_again(restore: Any) -> Any:
    def forget(self: Any, meta: Any, start: int) -> int:
        first = restore(self, meta, start)
        self.restored_below = 0
        return int(first)

    return forget


MUTANTS: dict[str, tuple[str, Mutant]] = {
    "offsets are committed beside the transaction": (
        "dies",
        _replacing(Transactions, "_commit_offsets", _offsets_alone),
    ),
    "the former owner is fenced after the state is read": (
        "sleeps, and wakes up when another is at work",
        _fence_after_reading,
    ),
    "records and state go in two transactions": ("dies", _replacing(Writer, "commit", _two_transactions)),
    "the takeover reads what is not committed": ("dies", _replacing(Reader, "__init__", _uncommitted)),
    "a send that failed is overlooked": ("is refused", _replacing(Sender, "_deliver", _deaf)),
    "records that were refused are overlooked": (
        "is refused",
        _replacing(Transactions, "_send", _deaf_to_brokers),
    ),
    "an unknown outcome is taken for a good one": ("is refused", _replacing(Writer, "commit", _hopeful)),
    "an unknown outcome is tried again without a takeover": (
        "hears no answer",
        _replacing(Writer, "commit", _stubborn),
    ),
    "each owner has a transactional id of its own": (
        "sleeps, and wakes up when another is at work",
        _replacing(Writer, "__init__", _own_id),
    ),
    "intake commits before it has handed on": ("dies", _replacing(IntakeLane, "_hand_on", _hasty)),
    "intake tells progress before it has handed on": (
        "is heard late",
        _replacing(IntakeLane, "_hand_on", _boastful),
    ),
    "what the hop brings twice is taken twice": ("dies", _replacing(KeyedPartition, "take", _forgetful)),
    "a restart forgets what waited": ("dies", _replacing(KeyedPartition, "restore", _from_the_position)),
    "a restart takes what is done for new": ("dies", _replacing(KeyedPartition, "restore", _all_again)),
}
"""What is broken: the family of plans that shows it, and how it is broken."""
