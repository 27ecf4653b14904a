"""`redrive` on a real Kafka: looks without touching, sends each letter once and unchanged, or as a filter says."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from journey_stream.errors import BrokerError
from journey_stream.kafka.redrive import Resend, Resender
from journey_stream.kafka.topics import admin_client
from journey_stream.letters import COUNT, OF, dead_letter, identity, sent_back
from journey_stream.settings import Settings, TopicNames
from journey_stream.values import SECOND, DeadLetter
from tests.cli.conftest import Said
from tests.kafka.cluster import ROOT, Row, client, read_all, send, topics

Make = Callable[..., Settings]
Call = Callable[..., Said]
AT = 1_767_225_600 * SECOND
PYTHON = f"{sys.executable} -c"


def flags(settings: Settings) -> tuple[str, ...]:
    return (
        *("-b", settings.bootstrap_servers, "--application-id", settings.application_id),
        *("--topic-prefix", settings.topic_prefix),
    )


def letter(settings: Settings, number: int, source: int = 0, **fields: Any) -> DeadLetter:
    event = {"event_id": f"e{number}", "type": "page_viewed", "occurred_at": "2026-01-01T00:00:00Z"}
    made = DeadLetter(
        "no_identity",
        "neither id",
        TopicNames.of(settings).sources[source],
        number % 4,
        number,
        AT,
        b"k%d" % number,
        json.dumps(event).encode(),
        (("trace", b"%d" % number),),
    )
    return msgspec.structs.replace(made, **fields)


def bury(settings: Settings, letters: Iterable[DeadLetter]) -> None:
    """Write letters as a lane does."""

    async def write() -> None:
        names = await topics(settings)
        rows: list[Row] = []
        for number, each in enumerate(letters):
            out = dead_letter(each, names.dead_letters)
            rows.append((names.dead_letters, number % 4, out.key, out.value, out.headers))
        await send(settings, rows)

    asyncio.run(write())


def sources(settings: Settings) -> list[Any]:
    async def read() -> list[Any]:
        return [r for name in TopicNames.of(settings).sources for r in await read_all(settings, name)]

    return asyncio.run(read())


def content(letter: DeadLetter) -> tuple[Any, ...]:
    """What has to stand in the source topic."""
    return (letter.topic, letter.partition, letter.key, letter.value, sent_back(letter))


def found(record: Any) -> tuple[Any, ...]:
    return (record.topic, record.partition, record.key, record.value, tuple(record.headers))


ODD = [
    {"key": None, "value": None, "headers": ()},
    {
        "key": b"",
        "value": b"\xff\x00",
        "headers": (("a", b"\xff"), ("a", None), ("journey_stream_reason", b"x")),
    },
    {"value": b'{ "n": 1.50,\n "n": 2 }', "reason": "missing_field"},
    {"headers": ((OF, b"journey.visits/1/1"), (COUNT, b"2")), "reason": "too_large", "value": b"x" * 200_000},
    {"derived": True, "offset": 2},
]


def test_letters_go_back_to_where_they_came_from_byte_for_byte_and_once(deployment: Make, call: Call) -> None:
    settings = deployment()
    letters = [letter(settings, n, n % 4, **odd) for n, odd in enumerate(ODD)]
    letters += [letter(settings, n, n % 4) for n in range(5, 30)]
    bury(settings, letters)

    seen = call("redrive", *flags(settings))
    assert (0, []) == (seen.code, sources(settings))
    assert "nothing was sent: say --send to send 30" in seen.err
    assert "too_large" in seen.out

    done = call("redrive", "--send", "--json", *flags(settings))
    assert 0 == done.code, done.err
    assert [30, 30, 30] == [json.loads(done.out)[name] for name in ("letters", "to_send", "sent")]
    assert Counter(map(content, letters)) == Counter(map(found, sources(settings)))

    again = json.loads(call("redrive", "--send", "--json", *flags(settings)).out)
    assert [30, 0, 0] == [again[name] for name in ("letters", "to_send", "sent")]
    assert 30 == sum(row["sent_before"] for row in again["by"])
    assert 30 == len(sources(settings))

    anew = call("redrive", "--again", "--send", "--source", "visits/1/5", *flags(settings))
    assert (0, "") == (anew.code, anew.err.removesuffix("sent 0\n")), anew.err
    one = call("redrive", "--again", "--send", "--source", f"{letters[4].topic}/0/2", *flags(settings))
    assert one.err.endswith("sent 1\n")
    assert 31 == len(sources(settings))


def test_the_same_letter_twice_is_one_and_strangers_are_none(deployment: Make, call: Call) -> None:
    settings = deployment()
    keyed = TopicNames.of(settings).events
    bury(settings, [letter(settings, 1), letter(settings, 1), letter(settings, 2, topic=keyed)])
    asyncio.run(send(settings, [(TopicNames.of(settings).dead_letters, 0, b"k", b"v", [("a", b"b")])]))
    said = json.loads(call("redrive", "--send", "--json", *flags(settings)).out)
    assert [2, 1] == [said["letters"], said["sent"]]
    assert {keyed: 1} == {row["source"]: row["unsendable"] for row in said["by"] if row["unsendable"]}
    assert 1 == len(sources(settings))
    assert [] == asyncio.run(read_all(settings, keyed))


@pytest.mark.parametrize(
    ("chosen", "numbers"),
    [
        (("--reason", "too_late"), {2, 3}),
        (("--reason", "too_late", "--reason", "bad_time"), {2, 3, 4}),
        (("--source", "purchases"), {1}),
        (("--source", "visits/2", "--source", "purchases/1/1"), {1, 2}),
        (("--source", "visits/0-9"), None),
        (("--source", "visits/3/2-9"), {3}),
        (("--source", "orders"), None),
        (("--since", "1h"), {0, 1, 2, 3, 4}),
        (("--until", "1h"), set()),
        (("--until", "2020-01-01T00:00:00Z"), set()),
        (("--since", "yesterday"), None),
        (("--as-of", "2999-01-01T00:00:00Z"), None),
        (("--limit", "2"), {0, 1}),
    ],
)
def test_letters_are_chosen_by_reason_source_place_time_and_number(
    chosen: tuple[str, ...],
    numbers: set[int] | None,
    deployment: Make,
    call: Call,
    shared: dict[str, Settings],
) -> None:
    if "settings" not in shared:
        settings = shared["settings"] = deployment()
        letters = [letter(settings, n, int(n == 1)) for n in range(5)]
        for n, reason in ((2, "too_late"), (3, "too_late"), (4, "bad_time")):
            letters[n] = msgspec.structs.replace(letters[n], reason=reason)
        for each in letters:  # one after the other, so that which is oldest is known
            bury(settings, [each])
            time.sleep(0.01)
    said = call("redrive", "--list", "--json", *chosen, *flags(shared["settings"]))
    if numbers is None:
        assert (2, True) == (said.code, said.err.startswith("error: --"))
    else:
        assert numbers == {json.loads(line)["offset"] for line in said.out.splitlines()}


@pytest.fixture(scope="module")
def shared() -> dict[str, Settings]:
    """What tests of this module make once."""
    return {}


MEND = """
import json, sys
for line in sys.stdin:
    letter = json.loads(line)
    if letter["offset"] == 0:
        continue
    if letter["offset"] == 1:
        letter["value"]["customer_id"] = "c1"
    if letter["offset"] == 2:
        letter["key"] = "other"
    print(json.dumps(letter, indent=None, separators=(" , ", " : ")))
"""


def test_a_filter_mends_some_leaves_some_out_and_the_rest_goes_as_it_came(
    deployment: Make, call: Call, tmp_path: Path
) -> None:
    settings = deployment()
    letters = [letter(settings, n) for n in range(6)]
    bury(settings, letters)
    (tmp_path / "mend.py").write_text(MEND)
    mend = f"{sys.executable} {tmp_path / 'mend.py'}"

    tried = call("redrive", "--filter", mend, "--list", *flags(settings))
    assert 5 == len(tried.out.splitlines())
    assert "the filter changed 2 and left out 1" in tried.err
    assert "4 would be refused again at once, the first: " in tried.err
    assert [] == sources(settings)

    done = call("redrive", "--filter", mend, "--send", *flags(settings))
    assert (0, True) == (done.code, done.err.endswith("sent 5\n"))
    came = {record.offset_of: record for record in map(_Came, sources(settings))}
    assert {1, 2, 3, 4, 5} == set(came)
    assert "c1" == json.loads(came[1].value)["customer_id"]
    assert (b"other", letters[2].value) == (came[2].key, came[2].value)
    assert [content(each) for each in letters[3:]] == [found(came[n].record) for n in (3, 4, 5)]

    left = json.loads(call("redrive", "--json", *flags(settings)).out)
    assert 1 == left["to_send"]


class _Came:
    def __init__(self, record: Any) -> None:
        self.record, self.key, self.value = record, record.key, record.value
        self.offset_of = int(dict(record.headers)[OF].rpartition(b"/")[2])


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("head -c 9999 && exit 3", "the filter ended with exit code 3: nothing was sent"),
        ("kill -9 $$", "the filter was ended by signal 9"),
        ("no-such-program-here", "the filter ended with exit code 127"),
        ("cat; echo oops", "the filter's output, line 4: expected one JSON object a line"),
        ("sed p", "line 2: letter {0} comes a second time"),
        (
            "sed s/no_identity/x/ | sed 's#visits/0/0#visits/0/9#'",
            "is none of those that the filter was given",
        ),
        (f"{PYTHON} 'print(input()[:-2])'", "With jq, say `jq -c`"),
    ],
)
def test_a_filter_that_fails_sends_nothing(command: str, told: str, deployment: Make, call: Call) -> None:
    settings = deployment()
    letters = [letter(settings, n) for n in range(3)]
    bury(settings, letters)
    said = call("redrive", "--filter", command, "--send", *flags(settings))
    assert 1 == said.code
    # Letters of several partitions come in no order: which of them is the first differs.
    assert any(told.format(identity(each)) in said.err for each in letters), said.err
    assert [] == sources(settings)
    assert 3 == json.loads(call("redrive", "--json", *flags(settings)).out)["to_send"]


def test_records_that_keep_coming_back_are_given_up(deployment: Make, call: Call) -> None:
    settings = deployment()
    often = [((OF, b"x"), (COUNT, b"%d" % count)) for count in (2, 3)]
    bury(settings, [letter(settings, n, headers=headers) for n, headers in enumerate(often)])
    said = json.loads(call("redrive", "--json", *flags(settings)).out)
    assert [1, 1] == [said["to_send"], said["by"][0]["given_up"]]
    assert 2 == json.loads(call("redrive", "--json", "--attempts", "4", *flags(settings)).out)["to_send"]


def test_what_a_topic_cannot_take_is_told_and_stops_nothing(deployment: Make, call: Call) -> None:
    settings = deployment(max_record_bytes=50_000)
    bury(settings, [letter(settings, 0, value=b"x" * 49_950), letter(settings, 1)])
    said = json.loads(call("redrive", "--send", "--json", *flags(settings)).out)
    assert [1, 1] == [said["sent"], said["by"][0]["unsendable"]]
    grow = (
        f'{PYTHON} \'import json; x = json.loads(input()); x["value"] = "y" * 60000; print(json.dumps(x))\''
    )
    grown = call("redrive", "--again", "--send", "--source", "visits/1", "--filter", grow, *flags(settings))
    assert (1, True) == (grown.code, "the filter made it 6" in grown.err)
    assert 1 == len(sources(settings))


@pytest.mark.slow
def test_killed_in_the_middle_and_run_again_each_is_sent_once(deployment: Make, call: Call) -> None:
    settings = deployment()
    letters = [letter(settings, n, n % 4) for n in range(400)]
    bury(settings, letters)
    names = TopicNames.of(settings)
    command = [sys.executable, "-m", "journey_stream", "redrive", "--send", "--batch", "2", *flags(settings)]

    def remembered() -> int:
        return len(asyncio.run(read_all(settings, names.redriven)))

    kills = 0
    while remembered() < 300 and kills < 5:
        before = remembered()
        running = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            while remembered() < before + 40 and running.poll() is None:
                time.sleep(0.02)
        finally:
            running.send_signal(signal.SIGKILL)
            running.wait()
        kills += 1
    assert kills >= 2
    assert remembered() < 400, "it was killed in the middle"
    done = call("redrive", "--send", *flags(settings))
    assert 0 == done.code, done.err
    assert Counter(map(content, letters)) == Counter(map(found, sources(settings)))
    assert 400 == remembered()


def test_of_two_at_the_same_time_the_later_one_goes_on(deployment: Make, call: Call) -> None:
    settings = deployment()
    letters = [letter(settings, n) for n in range(10)]
    bury(settings, letters)

    async def overtaken() -> None:
        first = Resender(client(settings), settings)
        await first.start()
        try:
            await first.send_back([Resend(each) for each in letters[:5]], None, AT)
            said = await asyncio.to_thread(call, "redrive", "--send", *flags(settings))
            assert said.err.endswith("sent 5\n")
            with pytest.raises(BrokerError, match="another redrive of this deployment has begun"):
                await first.send_back([Resend(letters[5])], None, AT)
        finally:
            await first.stop()

    asyncio.run(overtaken())
    assert Counter(map(content, letters)) == Counter(map(found, sources(settings)))


def test_a_deployment_that_is_not_there_is_told_and_nothing_is_made(deployment: Make, call: Call) -> None:
    settings = deployment()
    said = call("redrive", "--send", *flags(settings))
    assert 1 == said.code
    assert "dead_letters: expected it to be there" in said.err

    async def there() -> list[str]:
        async with admin_client(settings) as admin:
            return [
                name for name in await admin.list_topics() if name.startswith(settings.topic_prefix + ".")
            ]

    assert [] == asyncio.run(there())
