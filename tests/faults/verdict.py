"""The judgement: what a reader got against what had to come.

Enters: what must be published, where bad records were put, and what a `read_committed` reader got. Leaves:
how many records were lost, wrong (published though nothing asked for them, or with other contents, or out of
their order) and twice; with an example of each, for whoever has to find the cause. Net records are compared:
those published minus those corrected (`journey_stream.net`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from journey_stream.net import net
from journey_stream.settings import TopicNames
from tests.faults.workload import Expected, Sent, content

OURS = "journey_stream_"
SHOWN = 3


@dataclass
class Verdict:
    """Nothing lost, nothing wrong, nothing twice?"""

    lost: int = 0
    wrong: int = 0
    twice: int = 0
    found: int = 0
    """Net records of transitions and signals, and dead letters."""
    corrections: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def zero(self) -> bool:
        return not (self.lost or self.wrong or self.twice)

    def _note(self, sort: str, what: Iterable[Any]) -> int:
        every = list(what)
        self.examples += [f"{sort}: {each}" for each in every[:SHOWN]]
        return len(every)

    def is_lost(self, sort: str, what: Iterable[Any]) -> None:
        self.lost += self._note(f"lost {sort}", what)

    def is_wrong(self, sort: str, what: Iterable[Any]) -> None:
        self.wrong += self._note(f"wrong {sort}", what)

    def is_twice(self, sort: str, what: Iterable[Any]) -> None:
        self.twice += self._note(f"twice {sort}", what)


def judge(
    records: Mapping[str, Sequence[Any]],
    names: TopicNames,
    expected: Expected,
    dead: Mapping[tuple[str, int, int], Sent],
) -> Verdict:
    """Compare all that a reader got.

    Args:
        records: topic to its records, in the order of each partition: transitions, signals, stages, dead
            letters.
        expected: what had to come.
        dead: topic, partition and offset of each bad record that was sent.
    """
    verdict = Verdict()
    published = [
        (record.key, orjson.loads(record.value))
        for topic in (names.transitions, names.signals)
        for record in records[topic]
    ]
    _compare_net(verdict, [value for _, value in published], expected.records)
    _check_numbers(verdict, published)
    _check_order(verdict, [*records[names.transitions]])
    _check_order(verdict, [*records[names.signals]])
    _check_stages(verdict, records[names.stages], expected.stages)
    _check_letters(verdict, records[names.dead_letters], dead)
    return verdict


def _compare_net(verdict: Verdict, values: list[dict[str, Any]], expected: Mapping[str, bytes]) -> None:
    found: dict[str, list[bytes]] = {}
    kept = net(values)
    for value in kept:
        found.setdefault(value["id"], []).append(content(value))
    verdict.found += len(kept)
    verdict.corrections += sum(value.get("corrects") is not None for value in values)
    verdict.is_lost("record", (name for name in expected if name not in found))
    verdict.is_wrong(
        "record", (name for name, contents in found.items() if {*contents} != {expected.get(name)})
    )
    verdict.is_twice("record", (name for name, contents in found.items() for _ in contents[1:]))


def _check_numbers(verdict: Verdict, published: Iterable[tuple[bytes, dict[str, Any]]]) -> None:
    """Publication numbers run from one without gap or repeat, per customer and journey."""
    numbers: dict[tuple[bytes, str], list[int]] = {}
    for key, value in published:
        numbers.setdefault((key, value["journey"]), []).append(value["sequence"])
    for who, given in numbers.items():
        if sorted(given) != list(range(1, len(given) + 1)):
            repeated = [number for number, count in Counter(given).items() if count > 1]
            missing = sorted(set(range(1, max(given) + 1)) - set(given))
            if repeated:
                verdict.is_twice("number", [f"{who}: {repeated}"])
            if missing:
                verdict.is_lost("number", [f"{who}: {missing}"])


def _check_order(verdict: Verdict, records: list[Any]) -> None:
    """Within a topic a customer's records of a journey lie in one partition, in the order of their numbers."""
    last: dict[tuple[bytes, str], tuple[int, int]] = {}
    for record in sorted(records, key=lambda r: (r.partition, r.offset)):
        value = orjson.loads(record.value)
        who = (record.key, value["journey"])
        partition, number = last.get(who, (record.partition, 0))
        if partition != record.partition or number >= value["sequence"]:
            verdict.is_wrong("order", [f"{who}: {number} before {value['sequence']}"])
        last[who] = (record.partition, value["sequence"])


def _check_stages(verdict: Verdict, records: Iterable[Any], expected: Mapping[bytes, str]) -> None:
    """The last entry of the stage table is the last net stage."""
    found: dict[bytes, str] = {}
    for record in records:
        if record.value is None:
            found.pop(record.key, None)
        else:
            found[record.key] = orjson.loads(record.value)["stage"]
    verdict.is_lost("stage", (key for key in expected if key not in found))
    verdict.is_wrong("stage", (key for key, stage in found.items() if expected.get(key) != stage))


def _check_letters(
    verdict: Verdict, records: Sequence[Any], dead: Mapping[tuple[str, int, int], Sent]
) -> None:
    """Each bad record has one dead letter, as it came, with its reason."""
    found: Counter[tuple[str, int, int]] = Counter()
    for record in records:
        told = {name: value for name, value in record.headers if name.startswith(OURS)}
        theirs = tuple((name, value) for name, value in record.headers if not name.startswith(OURS))
        origin = (
            told[f"{OURS}source_topic"].decode(),
            int(told[f"{OURS}source_partition"]),
            int(told[f"{OURS}source_offset"]),
        )
        found[origin] += 1
        sent = dead.get(origin)
        as_it_came = None if sent is None else (sent.poison, sent.key, sent.value, sent.headers)
        if as_it_came != (told[f"{OURS}reason"].decode(), record.key, record.value, theirs):
            verdict.is_wrong("dead letter", [(origin, told)])
    verdict.found += len(found)
    verdict.is_lost("dead letter", (origin for origin in dead if origin not in found))
    verdict.is_twice("dead letter", (origin for origin, count in found.items() for _ in range(count - 1)))
