"""What a changelog may hold beside good states: the last record of a key counts, and what cannot be read is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from random import Random
from typing import Any

import msgspec
import pytest

from journey_stream.errors import StateError
from journey_stream.kafka.changelog import META_KEY, Run, read_changelog
from journey_stream.kafka.meta import META_FORMAT, read_meta, write_meta
from journey_stream.settings import Settings
from tests.kafka.cluster import client, send, topics
from tests.kafka.log import Shell, history, options


def load(key: bytes, state: bytes | None) -> None:
    key.decode()
    if state == b"poison":
        raise StateError("cannot be read")


def load_run(records: Sequence[Any], place: int) -> int:
    """As the compiled core: up to the first that is no state, or cannot be read."""
    for at in range(place, len(records)):
        key, state = records[at].key, records[at].value
        try:
            if key == META_KEY or state is None:
                return at
            load(key, state)
        except (StateError, UnicodeDecodeError):
            return at
    return len(records)


core = pytest.mark.skipif(find_spec("journey_stream_native") is None, reason="there is no compiled core")
RUNS: dict[str, Run | None] = {"record by record": None, "in runs": load_run}


@pytest.fixture(params=["record by record", pytest.param("in runs", marks=core)])
def run(request: pytest.FixtureRequest) -> Run | None:
    return RUNS[request.param]


async def read(
    settings: Settings, run: Run | None, inspect: Callable[[bytes], None] | None = None
) -> bytes | None:
    name = (await topics(settings)).changelog
    return await read_changelog(client(settings), name, 0, load, lambda at, end: None, inspect, run=run)


async def fill(settings: Settings, *records: tuple[bytes, bytes | None]) -> str:
    name = (await topics(settings)).changelog
    await send(settings, [(name, 0, key, value, []) for key, value in records])
    return name


async def test_a_record_that_cannot_be_read_is_named_by_its_place_and_not_by_its_customer(
    deployment: Callable[..., Settings], run: Run | None
) -> None:
    settings = deployment()
    name = await fill(settings, (b"a", b"1"), (b"ada", b"poison"), (b"b", b"poison"))
    with pytest.raises(StateError) as raised:
        await read(settings, run)
    for part in (f"{name}[0]@1 and 1 more", "cannot be read", "newer record under the same key"):
        assert part in str(raised.value)
    assert "ada" not in str(raised.value)


async def test_a_key_that_is_no_text_is_named_too(
    deployment: Callable[..., Settings], run: Run | None
) -> None:
    settings = deployment()
    name = await fill(settings, (b"\xff\xfe", b"1"))
    with pytest.raises(StateError, match=rf"{name}\[0\]@0: .*utf-8"):
        await read(settings, run)


@pytest.mark.parametrize("newer", [b"good", None])
async def test_a_newer_record_under_the_same_key_is_the_way_out(
    deployment: Callable[..., Settings], newer: bytes | None, run: Run | None
) -> None:
    settings = deployment()
    await fill(settings, (b"ada", b"poison"), (META_KEY, b"meta"), (b"ada", newer))
    assert b"meta" == await read(settings, run)


async def test_a_second_look_finds_what_the_first_did_not_decode(
    deployment: Callable[..., Settings], run: Run | None
) -> None:
    settings = deployment()
    name = await fill(settings, (b"a", b"1"), (b"b", b"2"))

    def look(key: bytes) -> None:
        if key == b"b":
            raise StateError("damaged inside")

    with pytest.raises(StateError, match=rf"{name}\[0\]@1: damaged inside"):
        await read(settings, run, look)


async def test_who_kept_what_came_before_an_offset_reads_the_tail_alone(
    deployment: Callable[..., Settings], run: Run | None
) -> None:
    settings = deployment()
    name = await fill(settings, (b"a", b"1"), (META_KEY, b"old"), (b"b", b"2"), (META_KEY, b"new"))
    loaded: list[bytes] = []

    def take(key: bytes, state: bytes | None) -> None:
        loaded.append(key)

    def take_one(records: Sequence[Any], place: int) -> int:
        if records[place].key == META_KEY:
            return place
        take(records[place].key, records[place].value)
        return place + 1

    async def tail(offset: int) -> bytes | None:
        loaded.clear()
        more: dict[str, Any] = {"from_offset": offset, "run": run and take_one}
        return await read_changelog(client(settings), name, 0, take, lambda at, end: None, **more)

    assert (b"new", [b"b"]) == (await tail(2), loaded)
    assert (None, []) == (await tail(4), loaded)
    with pytest.raises(StateError, match=r"to reach offset 5.* ends at 4: it was made anew"):
        await tail(5)


def checkpointed() -> bytes:
    log, _ = history(Random(5), 10)
    shell = Shell(log, options())
    shell.step(100, 0)
    shell.checkpoint()
    assert shell.meta is not None
    return shell.meta


def test_a_checkpoint_of_a_newer_version_asks_for_an_upgrade_whatever_else_it_holds() -> None:
    newer = msgspec.msgpack.encode([META_FORMAT + 1, "all", "is", "different"])
    with pytest.raises(StateError, match=rf"came {META_FORMAT + 1}; .* upgrade this worker"):
        read_meta(newer)


def test_a_checkpoint_without_the_newest_fields_is_read() -> None:
    fields = msgspec.msgpack.decode(checkpointed())
    older = read_meta(msgspec.msgpack.encode(fields[:9]))
    assert ({}, {}, "") == (older.population, older.received_at, older.generation)
    assert older.received == read_meta(checkpointed()).received


def test_a_checkpoint_with_fields_of_the_future_is_read_as_far_as_we_know_it() -> None:
    present = checkpointed()
    fields = msgspec.msgpack.decode(present)
    assert present == write_meta(read_meta(msgspec.msgpack.encode([*fields, "more"])))


def test_a_damaged_checkpoint_says_so() -> None:
    with pytest.raises(StateError, match=r"damaged .* begin anew"):
        read_meta(b"\xc1 no msgpack")
