"""`inspect` on a real Kafka: a deployment, a partition, a customer, as they are; and nobody notices."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from journey_stream.kafka.look import partition_of
from journey_stream.settings import Settings
from journey_stream.values import DAY, MINUTE, SECOND, rfc3339
from tests.cli.conftest import Said
from tests.kafka.cluster import WorkerProcess, ended, eventually, read_values, send, topics

Make = Callable[..., Settings]
Call = Callable[..., Said]
JOURNEY = """\
journey: shop
version: 3
start: prospect
attributes:
  orders: {count: order_completed}
  paid: {sum: order_completed.total}
  recent: {count: page_viewed, over: 1h}
stages:
  prospect: {kind: prospect, owner: marketing}
  buyer: {kind: retention, owner: sales}
  lost: {kind: attrition}
records: [orders]
transitions:
  - {id: bought, from: prospect, to: buyer, event: order_completed}
  - {id: silent, from: buyer, to: lost, after: 30d, since: order_completed}
signals:
  - {id: cart, title: Cart, event: product_added, by: cart_id, cancel: order_completed, expires: 3d, owner: x}
"""


def flags(settings: Settings, *more: str) -> tuple[str, ...]:
    return (
        *("-b", settings.bootstrap_servers, "--application-id", settings.application_id),
        *("--topic-prefix", settings.topic_prefix, *more),
    )


def event(event_id: str, type: str, at: int, **more: Any) -> bytes:
    who = {} if "anonymous_id" in more else {"customer_id": "ann"}
    return json.dumps(
        {"event_id": event_id, "type": type, "occurred_at": rfc3339(at), **who, **more}
    ).encode()


@pytest.mark.slow
async def test_a_deployment_a_partition_and_a_customer_are_seen_as_they_are(
    deployment: Make, call: Call, tmp_path: Path
) -> None:
    (tmp_path / "shop.yaml").write_text(JOURNEY)
    journeys = ("--journeys", str(tmp_path / "shop.yaml"))
    settings = deployment(journeys=[journeys[1]], idle_after=SECOND // 2)
    names = await topics(settings)
    at = time.time_ns() // 1_000_000 * 1000 - 10 * MINUTE
    ann, bob = partition_of(settings, "ann"), partition_of(settings, "anon:bob")

    async def inspect(*arguments: str) -> Said:
        return await asyncio.to_thread(call, "inspect", *arguments, *flags(settings))

    async def inspected(*arguments: str) -> Any:
        said = await inspect("--json", *arguments)
        assert not said.err
        return json.loads(said.out)

    empty = await inspected()
    assert [None] * 4 == [each["checkpoint_at"] for each in empty["partitions"]]
    assert "nobody has worked on it yet" in (await inspect("--partition", "0")).out

    rows = [
        event("o1", "order_completed", at, properties={"order_id": "x", "total": 20.5}, account_id="acme"),
        event("p1", "product_added", at + SECOND, properties={"cart_id": "c7"}, context={"country": "FR"}),
        event("v1", "page_viewed", at + 2 * SECOND),
        event("b1", "page_viewed", at + 3 * SECOND, anonymous_id="bob"),
    ]
    await send(settings, [(names.sources[n % 2], n, None, value, []) for n, value in enumerate(rows)])
    worker = WorkerProcess(settings, tmp_path, module="journey_stream")
    with ended([worker]):

        async def there() -> bool:
            moves = await read_values(settings, names.transitions)
            return len(moves) == 3 and len(await read_values(settings, names.signals)) == 1

        await eventually(there)

        async def caught_up() -> Any:
            seen = await inspected()
            clocks = [each["clock"] and each["clock_lag"] < 10 for each in seen["partitions"]]
            return all(clocks) and seen

        seen = await eventually(caught_up)
        assert [[], [], [], []] == [each["holding"] for each in seen["partitions"]]
        assert {(ann, "buyer"), (bob, "prospect")} == {
            (each["partition"], stage)
            for each in seen["partitions"]
            for stage, count in each["population"].get("shop", {}).items()
            if count
        }
        assert 16 == len(seen["sources"])
        assert {0} == {each["end"] - each["committed"] for each in seen["sources"] if each["end"]}
        told = {f"{each['topic']}/{each['partition']}": each["highest"] for each in seen["sources"]}
        assert rfc3339(at + 2 * SECOND) == told[f"{names.sources[0]}/2"]
        assert {None} == {told[f"{names.sources[2]}/{n}"] for n in range(4)}

        (one,) = (await inspected("--partition", str(ann)))["partitions"]
        assert [1, 1, rfc3339(at + 30 * DAY)] == [
            one["counted"][name] for name in ("customers", "timers_pending", "next_due")
        ]
        assert [("shop", 3)] == [(each["journey"], each["version"]) for each in one["journeys"]]
        assert one["position"] > one["oldest"] - 1 > 0

        found = await inspected("--customer", "ann", *journeys)
        (place,) = found["state"]["journeys"]
        assert ("buyer", rfc3339(at), {"prospect": 1, "buyer": 1}) == (
            place["stage"],
            place["since"],
            place["entries"],
        )
        assert {"orders": 1, "paid": 20.5, "recent": 1} == place["attributes"]
        assert ("acme", "FR", ann) == (
            found["state"]["account_id"],
            found["state"]["country"],
            found["partition"],
        )
        assert [("silent", rfc3339(at + 30 * DAY))] == [
            (t["rule"], t["due"]) for t in found["state"]["timers"]
        ]
        assert [("cart", "c7", rfc3339(at + 3 * DAY + SECOND))] == [
            (s["rule"], s["by"], s["until"]) for s in found["state"]["signals"]
        ]
        records = await read_values(settings, names.transitions) + await read_values(settings, names.signals)
        own = [record for record in records if record["customer_id"] == "ann"]
        assert sorted(own, key=lambda r: r["sequence"]) == found["records"]
        assert 1 == len((await inspected("--customer", "ann", "--last", "1", *journeys))["records"])

        await asyncio.to_thread(call, "pause", "--partition", str(ann), "--reason", "look", *flags(settings))
        await asyncio.to_thread(call, "pause", "--source", "visits/1", *flags(settings))
        text = (await inspect("--customer", "ann", *journeys)).out
        for line in (
            f"shop version 3: buyer since {rfc3339(at)} (retention, owner sales)",
            "  orders = 1",
            f"  {rfc3339(at + 30 * DAY)}  shop: transition silent",
            f"  shop: cart for c7, until {rfc3339(at + 3 * DAY + SECOND)}",
            "  account_id: acme",
            ": prospect -> buyer, by bought (2)",
            ": look",
        ):
            assert line in text, text
        overview = (await inspect()).out
        assert f"{names.events}/{ann} is paused since" in overview
        assert 2 == overview.count("  PAUSED")
        assert "PAUSED" in (await inspect("--partition", str(ann))).out
        assert ("anon:bob", "prospect") == (
            (other := await inspected("--anonymous", "bob", *journeys))["person"],
            other["state"]["journeys"][0]["stage"],
        )
        nobody = await inspect("--customer", "nobody", *journeys)
        assert (1, True) == (nobody.code, "nobody by that id is known here" in nobody.out)
        assert 0 == worker.terminate()
    assert 1 == worker.text().count("assigned: "), "nobody noticed: no rebalance"
    assert "fenced" not in worker.text()


@pytest.mark.slow
def test_a_source_that_stands_shows_as_holding_the_clock(
    deployment: Make, call: Call, tmp_path: Path
) -> None:
    settings = deployment(idle_after=SECOND // 2)

    async def watch() -> None:
        names = await topics(settings)
        now = time.time_ns() // 1000
        worker = WorkerProcess(settings, tmp_path)

        async def held(*expected: str) -> bool:
            said = await asyncio.to_thread(call, "inspect", "--json", *flags(settings))
            holding = [set(each["holding"]) for each in json.loads(said.out)["partitions"]]
            return holding == [set(expected)] * 4

        with ended([worker]):
            await send(settings, [(names.sources[1], 0, None, event("o", "order_completed", now), [])])
            await eventually(lambda: held())
            await asyncio.to_thread(call, "pause", "--source", "visits/2", *flags(settings))
            await asyncio.sleep(2)
            await send(settings, [(names.sources[0], 2, None, event("v", "page_viewed", now), [])])
            await eventually(lambda: held(f"{names.sources[0]}/2"))
            assert 0 == worker.terminate()

    asyncio.run(watch())


def test_what_is_not_there_is_told(deployment: Make, call: Call) -> None:
    settings = deployment()
    said = call("inspect", *flags(settings))
    assert (1, True) == (said.code, "expected it to be there" in said.err)
    asyncio.run(topics(settings))
    assert 2 == call("inspect", "--partition", "9", *flags(settings)).code
    assert 2 == call("inspect", "--partition", "1", "--customer", "c", *flags(settings)).code
