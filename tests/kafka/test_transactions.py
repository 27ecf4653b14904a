"""Transactions on a real Kafka: all in few requests; what may be asked again is, what may not is raised.

Each with the transactions of Kafka 4, which this one has agreed on, and with those of older clusters.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiokafka.client import CoordinationType
from aiokafka.errors import NodeNotReadyError, ProducerFenced, RequestTimedOutError

from journey_stream.kafka import transaction_requests, transactions
from journey_stream.kafka.sender import in_batches
from journey_stream.kafka.transactions import Transactions
from journey_stream.settings import Settings
from tests.kafka.cluster import client, read_all, topics
from tests.kafka.test_checkpoint import committed

Requests = Counter[str]
JOINS = ("AddPartitionsToTxnRequest", "AddOffsetsToTxnRequest")
OLDER = (*JOINS, "ProduceRequest", "TxnOffsetCommitRequest", "EndTxnRequest")
NEWER = ("Produce", "Offsets", "End")


@pytest.fixture(params=[NEWER, OLDER], ids=["Kafka 4", "older"])
def kinds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """The requests that a transaction takes."""
    kinds: tuple[str, ...] = request.param
    if kinds is OLDER:
        age(monkeypatch)
    return kinds


def age(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the cluster know older transactions only."""

    async def never(client: object, node: int) -> bool:
        return False

    monkeypatch.setattr(transaction_requests, "joins_implicitly", never)


@pytest.fixture(params=[*NEWER, *OLDER])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One of all requests there are."""
    if request.param in OLDER:
        age(monkeypatch)
    return str(request.param)


@contextlib.asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[Transactions]:
    one = Transactions(client(settings), f"{settings.application_id}-0")
    await one.start()
    try:
        yield one
    finally:
        await one.stop()


def counted(one: Transactions) -> Requests:
    """Count requests from now on."""
    send, found = one.client.send, Requests()

    async def counting(node: int, request: Any, **chosen: Any) -> Any:
        found[type(request).__name__] += 1
        return await send(node, request, **chosen)

    one.client.send = counting
    return found


def failing(one: Transactions, kind: str, error: Exception, *, arrives: bool) -> list[Any]:
    """Let the first request of a kind fail, having arrived or not."""
    send, failed = one.client.send, []

    async def fail_once(node: int, request: Any, **chosen: Any) -> Any:
        if type(request).__name__ == kind and not failed:
            failed.append(request)
            if arrives:
                await send(node, request, **chosen)
            raise error
        return await send(node, request, **chosen)

    one.client.send = fail_once
    return failed


async def commit(
    one: Transactions, settings: Settings, values: list[bytes], offset: int = 1, told: Any = None
) -> None:
    names = await topics(settings)
    batches = {
        (topic, 1): in_batches([(b"c", value, []) for value in values], "none", transactional=True)
        for topic in (names.transitions, names.signals)
    }
    await one.commit(
        batches, {(names.events, 1): offset}, settings.application_id, told or (lambda place, at: None)
    )


async def found(settings: Settings) -> list[list[bytes | None]]:
    names = await topics(settings)
    return [
        [r.value for r in await read_all(settings, topic)] for topic in (names.transitions, names.signals)
    ]


async def test_a_transaction_takes_three_requests_and_five_in_an_older_cluster(
    kinds: tuple[str, ...], deployment: Callable[..., Settings]
) -> None:
    settings = deployment()
    async with started(settings) as one:
        await commit(one, settings, [b"first"])  # (asks for metadata and for coordinators)
        requests = counted(one)
        await commit(one, settings, [b"second"], offset=2)
    assert dict.fromkeys(kinds, 1) == requests
    assert [[b"first", b"second"]] * 2 == await found(settings)
    assert [2] == list((await committed(settings)).values())


async def test_many_batches_of_a_partition_keep_their_order(
    kinds: tuple[str, ...], deployment: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = deployment()
    values = [b"%d" % number * 40_000 for number in range(60)]
    seen: list[tuple[tuple[str, int], int]] = []
    monkeypatch.setattr(transactions, "REQUEST_BYTES", 1_400_000)  # one batch, not two
    async with started(settings) as one:
        await commit(one, settings, [b"first"])
        requests = counted(one)
        await commit(one, settings, values, told=lambda place, at: seen.append((place, at)))
    assert [[b"first", *values]] * 2 == await found(settings)
    batches = len(seen)
    assert batches > 4
    # The last of each partition is small: those two go together.
    assert batches - 1 == requests["ProduceRequest"] + requests["Produce"]
    assert sorted(seen) == sorted(set(seen))


@pytest.mark.parametrize("kind", [*JOINS, "ProduceRequest", "Produce"], indirect=True)
async def test_what_changes_nothing_when_it_comes_twice_is_asked_again(
    kind: str, deployment: Callable[..., Settings]
) -> None:
    settings = deployment()
    async with started(settings) as one:
        failed = failing(one, kind, RequestTimedOutError(), arrives=True)
        await commit(one, settings, [b"a"])
        await commit(one, settings, [b"b"])
    assert failed
    assert [[b"a", b"b"]] * 2 == await found(settings)


@pytest.mark.parametrize("kind", [*OLDER[-2:], *NEWER[-2:]], indirect=True)
async def test_offsets_and_an_end_without_an_answer_are_not_asked_again(
    kind: str, deployment: Callable[..., Settings]
) -> None:
    settings = deployment()
    async with started(settings) as one:
        await commit(one, settings, [b"first"])  # (new topics and groups are asked for more than once)
        requests = counted(one)
        failed = failing(one, kind, RequestTimedOutError(), arrives=True)
        with pytest.raises(RequestTimedOutError):
            await commit(one, settings, [b"a"])
        assert failed
        assert "the coordinator of transactions does not answer" == one.waits_for
        assert 1 == requests["TxnOffsetCommitRequest"] + requests["Offsets"]
    async with started(settings) as other:
        await commit(other, settings, [b"b"])
    # Whether it is there the next owner finds out, by reading.
    ended = kind in {"EndTxnRequest", "End"}
    assert [[b"first", *([b"a"] if ended else []), b"b"]] * 2 == await found(settings)


async def test_what_was_never_sent_is_sent_again(kind: str, deployment: Callable[..., Settings]) -> None:
    settings = deployment()
    async with started(settings) as one:
        failed = failing(one, kind, NodeNotReadyError(), arrives=False)
        await commit(one, settings, [b"a"])
    assert failed
    assert [[b"a"]] * 2 == await found(settings)


async def test_a_request_of_one_transaction_that_comes_in_the_next_is_refused(
    deployment: Callable[..., Settings],
) -> None:
    """What the transactions of Kafka 4 are there for."""
    settings = deployment()
    async with started(settings) as one:
        ends: list[Any] = []
        send = one.client.send

        async def kept(node: int, request: Any, **chosen: Any) -> Any:
            if type(request).__name__ == "End":
                ends.append(request)
            return await send(node, request, **chosen)

        one.client.send = kept
        await commit(one, settings, [b"a"])
        names = await topics(settings)
        place = (names.transitions, 1)
        batches = in_batches([(b"c", b"never", [])], "none", transactional=True)
        await one._produce({place: batches}, lambda *_: None)
        answer = await one._ask(CoordinationType.TRANSACTION, one._id, ends[0], lambda answer: ())
        assert answer.error_code
        await one._end(committed=False)
        await commit(one, settings, [b"b"])
    assert [[b"a", b"b"]] * 2 == await found(settings)


async def test_whoever_looks_at_the_acknowledgements_can_call_it_off(
    kinds: tuple[str, ...], deployment: Callable[..., Settings]
) -> None:
    settings = deployment()

    def refuse(place: tuple[str, int], offset: int) -> None:
        raise ValueError(place)

    async with started(settings) as one:
        with pytest.raises(ValueError, match=settings.topic_prefix):
            await commit(one, settings, [b"a"], told=refuse)
    assert [[], []] == await found(settings)
    assert {} == await committed(settings)


async def test_one_that_is_fenced_hears_of_it_at_whichever_step(
    kind: str, deployment: Callable[..., Settings]
) -> None:
    settings = deployment()
    async with started(settings) as old, contextlib.AsyncExitStack() as stack:
        send, newer = old.client.send, []

        async def overtaken(node: int, request: Any, **chosen: Any) -> Any:
            if type(request).__name__ == kind and not newer:
                newer.append(await stack.enter_async_context(started(settings)))
            return await send(node, request, **chosen)

        old.client.send = overtaken
        with pytest.raises(ProducerFenced):
            await commit(old, settings, [b"old"])
        await commit(newer[0], settings, [b"new"])
    assert [[b"new"]] * 2 == await found(settings)


async def test_a_topic_that_takes_nothing_is_named(
    kinds: tuple[str, ...], deployment: Callable[..., Settings]
) -> None:
    settings = deployment()
    names = await topics(settings)
    async with started(settings) as one:
        failing(one, next(k for k in kinds if "Produce" in k), ValueError("broken"), arrives=False)
        with pytest.raises(ValueError, match="broken"):
            await commit(one, settings, [b"a"])
        expected = f"the brokers do not take records for {names.signals}[1], {names.transitions}[1]"
        assert expected == one.waits_for
