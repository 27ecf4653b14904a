"""A scripted stand-in for the brokers: logs, transactions with epochs, what `read_committed` shows, a group.

Made for the crash tests only; the suites against a real Kafka are the authority. It keeps what the worker
relies on: InitProducerId ends what an older producer of the same id had open, and makes everything it tries
afterwards fail; a transaction's outcome is decided at one moment, but its markers reach each partition a
little later, and until then a `read_committed` reader sees nothing behind the first open record; a group
takes offsets of its present members only. Everything here happens at once; requests that travel, get lost or
come late are the business of `clients`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from aiokafka.errors import (
    CommitFailedError,
    ConcurrentTransactions,
    InvalidTxnState,
    ProducerFenced,
)

TopicPartition = tuple[str, int]
MARKER_SECONDS = 0.03
"""How long after its decision a transaction's marker reaches a partition; each partition a little later."""
TIMEOUT_SECONDS = 60.0

Row = tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]


@dataclass(slots=True)
class Entry:
    """A record in a log, with what a consumer is told of it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    state: Literal["open", "committed", "aborted", "control"]


@dataclass
class Log:
    """One partition."""

    entries: list[Entry] = field(default_factory=list)
    open: dict[str, int] = field(default_factory=dict)
    """Transactional id to the first offset of its open transaction."""

    @property
    def stable(self) -> int:
        """The last stable offset: as far as `read_committed` readers see."""
        return min(self.open.values(), default=len(self.entries))


@dataclass
class Transaction:
    """What the coordinator knows of one transactional id."""

    epoch: int = -1
    state: Literal["empty", "ongoing", "ending"] = "empty"
    partitions: list[TopicPartition] = field(default_factory=list)
    offsets: dict[TopicPartition, int] = field(default_factory=dict)
    has_group: bool = False
    outcome: Literal["committed", "aborted"] | None = None
    """Of the last one."""
    sequences: dict[TopicPartition, dict[int, int]] = field(default_factory=dict)
    """Of this epoch: sequence number of each batch to its offset."""
    timer: asyncio.TimerHandle | None = None


class Broker:
    """All brokers of a cluster."""

    def __init__(self, now: Any) -> None:
        self.logs: defaultdict[TopicPartition, Log] = defaultdict(Log)
        self.counts: dict[str, int] = {}
        """Topics and how many partitions they have."""
        self.committed: dict[TopicPartition, int] = {}
        """The group's offsets."""
        self.member: Any = None
        """Who owns all partitions."""
        self.transactions: defaultdict[str, Transaction] = defaultdict(Transaction)
        self._now = now

    # Records

    def append(self, tp: TopicPartition, rows: Iterable[Row], state: Any = "committed") -> int:
        """Write records; gives the offset of the first."""
        log = self.logs[tp]
        first = len(log.entries)
        for key, value, headers in rows:
            log.entries.append(Entry(*tp, len(log.entries), self._now() // 1000, key, value, headers, state))
        return first

    def read(self, tp: TopicPartition, offset: int, most: int, isolation: str) -> tuple[list[Entry], int]:
        """Read up to `most` entries; gives those a consumer is told of, and where to read on."""
        log = self.logs[tp]
        end = self.end(tp, isolation)
        part = log.entries[offset : min(end, offset + most)]
        hidden = {"control"} if isolation == "read_uncommitted" else {"control", "aborted", "open"}
        return [entry for entry in part if entry.state not in hidden], offset + len(part)

    def end(self, tp: TopicPartition, isolation: str) -> int:
        """The end of a partition as a reader sees it."""
        log = self.logs[tp]
        return log.stable if isolation == "read_committed" else len(log.entries)

    def seen(self, topic: str) -> list[Entry]:
        """All that a `read_committed` reader sees of a topic."""
        found = []
        for partition in range(self.counts[topic]):
            found += self.read((topic, partition), 0, 1 << 40, "read_committed")[0]
        return found

    # The group

    def commit(self, member: Any, offsets: dict[TopicPartition, int]) -> None:
        """Commit offsets as a member of the group."""
        if member is not self.member:
            raise CommitFailedError("the group has moved on")
        self.committed.update(offsets)

    # Transactions

    def begin_epoch(self, name: str) -> int:
        """InitProducerId: fence whoever used this id."""
        transaction = self.transactions[name]
        if transaction.state == "ending":
            raise ConcurrentTransactions()
        transaction.epoch += 1
        transaction.sequences, transaction.outcome = {}, None
        if transaction.state == "ongoing":
            self._end(name, "aborted")
            raise ConcurrentTransactions()
        return transaction.epoch

    def add_partition(self, name: str, epoch: int, tp: TopicPartition) -> None:
        """AddPartitionsToTxn."""
        transaction = self._of(name, epoch)
        if transaction.state == "ending":
            raise ConcurrentTransactions()
        self._ongoing(name, transaction)
        if tp not in transaction.partitions:
            transaction.partitions.append(tp)

    def produce(
        self,
        name: str,
        epoch: int,
        tp: TopicPartition,
        rows: list[Row],
        sequence: int,
        *,
        joins: bool = False,
    ) -> int:
        """Write records of a transaction, a batch that is there already only once; gives their first offset.

        With `joins`, as in Kafka 4, the partition takes part from now on.
        """
        transaction = self._of(name, epoch)
        written = transaction.sequences.setdefault(tp, {})
        if sequence in written:
            return written[sequence]
        if joins:
            self.add_partition(name, epoch, tp)
        if transaction.state != "ongoing" or tp not in transaction.partitions:
            raise InvalidTxnState()
        log = self.logs[tp]
        log.open.setdefault(name, len(log.entries))
        written[sequence] = self.append(tp, rows, "open")
        return written[sequence]

    def add_offsets(self, name: str, epoch: int) -> None:
        """AddOffsetsToTxn."""
        transaction = self._of(name, epoch)
        if transaction.state == "ending":
            raise ConcurrentTransactions()
        self._ongoing(name, transaction)
        transaction.has_group = True

    def commit_offsets(
        self, name: str, epoch: int, offsets: dict[TopicPartition, int], *, joins: bool = False
    ) -> None:
        """TxnOffsetCommit."""
        if joins:
            self.add_offsets(name, epoch)
        transaction = self._of(name, epoch)
        if transaction.state != "ongoing" or not transaction.has_group:
            raise InvalidTxnState()
        transaction.offsets.update(offsets)

    def end_transaction(
        self, name: str, epoch: int, outcome: Literal["committed", "aborted"], *, moves_on: bool = False
    ) -> int:
        """EndTxn: decide the outcome; asked again for the one that it has, do nothing. Gives the epoch.

        With `moves_on`, as in Kafka 4, it is a new one.
        """
        transaction = self._of(name, epoch)
        if transaction.state == "ongoing":
            self._end(name, outcome)
            if moves_on:
                transaction.epoch, transaction.sequences = epoch + 1, {}
        elif transaction.outcome != outcome:
            raise InvalidTxnState()
        elif transaction.state == "ending":
            raise ConcurrentTransactions()
        return transaction.epoch

    def _of(self, name: str, epoch: int) -> Transaction:
        transaction = self.transactions[name]
        if epoch != transaction.epoch:
            raise ProducerFenced()
        return transaction

    def _ongoing(self, name: str, transaction: Transaction) -> None:
        if transaction.state == "empty":
            transaction.state = "ongoing"
            transaction.timer = asyncio.get_running_loop().call_later(TIMEOUT_SECONDS, self._time_out, name)

    def _time_out(self, name: str) -> None:
        transaction = self.transactions[name]
        if transaction.state == "ongoing":
            transaction.epoch += 1
            self._end(name, "aborted")

    def _end(self, name: str, outcome: Literal["committed", "aborted"]) -> None:
        transaction, loop = self.transactions[name], asyncio.get_running_loop()
        transaction.state, transaction.outcome = "ending", outcome
        if transaction.timer is not None:
            transaction.timer.cancel()
        for number, tp in enumerate(transaction.partitions, 1):
            loop.call_later(number * MARKER_SECONDS, self._mark, name, tp, outcome)
        loop.call_later((len(transaction.partitions) + 1) * MARKER_SECONDS, self._ended, name, outcome)

    def _mark(self, name: str, tp: TopicPartition, outcome: Literal["committed", "aborted"]) -> None:
        log = self.logs[tp]
        first = log.open.pop(name, None)
        if first is not None:
            for entry in log.entries[first:]:
                # Only one transactional id writes to a partition: the open ones are its own.
                if entry.state == "open":
                    entry.state = outcome
        self.append(tp, [(None, None, ())], "control")

    def _ended(self, name: str, outcome: str) -> None:
        transaction = self.transactions[name]
        if outcome == "committed":
            self.committed.update(transaction.offsets)
        transaction.state, transaction.partitions, transaction.offsets = "empty", [], {}
        transaction.has_group = False

    @property
    def at_rest(self) -> bool:
        """No outcome is decided and not yet visible."""
        return all(each.state != "ending" for each in self.transactions.values())
