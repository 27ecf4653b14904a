"""What has been fetched for a lane and not yet worked on; notices what is early, late or missing.

Enters: batches as Faust delivers them. Leaves: their records, in offset order, without a gap. Strategy: a
batch from another epoch than the lane's position is dropped; of its own epoch each must start where the
last one ended. If one is missing (lost on its way through Faust, or come before the lane knew its epoch),
the inbox says so and takes nothing more: the lane sets its position anew. What is lost between the brokers
and here is therefore never lost for good.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

MAX_QUEUED: Final = 20_000
"""Records waiting in a lane before fetching pauses."""
LOST_SECONDS: Final = 5.0
"""What was fetched and has not arrived by then is fetched again."""


class Batch(msgspec.Struct, gc=False):
    """Records of one partition, in offset order."""

    records: Sequence[Any]
    epoch: int
    """Counts the seeks of the partition: of which position this is a continuation."""
    start: int
    """Where the batch before it ended, or the position that was set; -1: the brokers have nothing there."""


class Position(msgspec.Struct, frozen=True):
    """Where a partition is read from since the last seek."""

    epoch: int
    offset: int


class Inbox:
    """The batches of one lane."""

    def __init__(
        self, hold: Callable[[], None], release: Callable[[], None], wake: asyncio.Event | None = None
    ) -> None:
        self.gap = False
        """A batch is missing: the position has to be set anew, to `expected`."""
        self.expected: int | None = None
        """Where the next batch has to start."""
        self.queued = 0
        """Records not yet worked on, those given out by `take` left out."""
        self.wake = wake or asyncio.Event()
        """Something came; whoever reads several inboxes shares it among them."""
        self._epoch: int | None = None
        self._hold, self._release = hold, release
        self._batches: deque[Batch] = deque()
        self._begun = 0
        """So many records of the first are given out."""
        self._missing: tuple[int | None, float] | None = None
        """Where the next batch is missing, and since when."""

    @property
    def is_open(self) -> bool:
        """Batches are taken."""
        return self._epoch is not None

    @property
    def is_closed(self) -> bool:
        """Nothing is taken until somebody opens it, and nothing is missing that would tell so."""
        return self._epoch is None and not self.gap

    def open(self, position: Position) -> None:
        """Take batches that continue this position."""
        self._drop()
        self._epoch, self.expected, self.gap = position.epoch, position.offset, False

    def close(self) -> None:
        """Take none, and forget those that wait."""
        self._epoch, self.gap = None, False
        self._drop()

    def put(self, batch: Batch) -> None:
        """Take over a batch, if it is the next."""
        if batch.epoch != self._epoch:
            return
        if batch.start != self.expected:
            self._epoch, self.gap = None, True
        else:
            self.expected = batch.records[-1].offset + 1
            self._batches.append(batch)
            self.queued += len(batch.records)
            if self.queued >= MAX_QUEUED:
                self._hold()
        self.wake.set()

    def take(self, most: int) -> Sequence[Any]:
        """Give the next records, at most so many, of one batch; none if nothing waits."""
        if not self._batches:
            return []
        whole = self._batches[0].records
        records = whole[self._begun : self._begun + most]
        self._begun += len(records)
        if self._begun == len(whole):
            self._batches.popleft()
            self._begun = 0
        self.queued -= len(records)
        if self.queued < MAX_QUEUED // 2:
            self._release()
        return records

    def take_several(self, most: int, piece: int) -> list[Sequence[Any]]:
        """Give the next records, `most` or a few more, in pieces of at most `piece`."""
        found: list[Sequence[Any]] = []
        while most > 0 and (records := self.take(piece)):
            found.append(records)
            most -= len(records)
        return found

    def has_received(self, handed: int, *, at_rest: bool) -> bool:
        """Tell whether all that the consumer has handed out has come; if not for long, fetch it again.

        Args:
            handed: up to where it has.
            at_rest: nothing that came is still worked on.
        """
        expected, now = self.expected, time.monotonic()
        if handed == expected or self._missing is None or self._missing[0] != expected:
            self._missing = (expected, now)
        elif now - self._missing[1] > LOST_SECONDS and at_rest:
            self._missing = None
            self.gap = True
            self.wake.set()
        return handed == expected

    def _drop(self) -> None:
        self._batches.clear()
        self._begun = 0
        self.queued = 0
        self._release()
