"""What the bench of the core works on: definitions, and hop records as a lane fetches them.

Enters: how many customers and events, a seed. Leaves: deployments (one journey of three stages, the five
models, twenty journeys) and records with the mix of a shop: four page views in five events, one order in
eight, then tickets and surveys; about 300 B each, customers drawn evenly. Nothing here knows a broker.
"""

from __future__ import annotations

import json
import random
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka.structs import ConsumerRecord

from journey_stream.deployment import Deployment, assemble
from journey_stream.journeys import shipped, shipped_names
from journey_stream.kafka import hop
from journey_stream.settings import Settings
from journey_stream.values import SECOND, rfc3339

ONE_JOURNEY = Path(__file__).parent / "core_journey.yaml"
START = 1_767_225_600 * SECOND
STEP = SECOND
"""Between two events of the partition."""
SOURCES = {
    "page_viewed": "core.visits",
    "order_completed": "core.purchases",
    "ticket_created": "core.tickets",
    "survey_responded": "core.surveys",
}
MARKER_EVERY = 500


@dataclass(frozen=True)
class Source:
    """One record of a source topic, as far as intake looks at it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


def deployments() -> dict[str, Deployment]:
    """What is compared: one journey, five, and twenty (the five and three copies of each)."""
    five = list(shipped_names())
    with tempfile.TemporaryDirectory(prefix="journey-stream-core-") as folder:
        copies = []
        for name in five:
            for number in range(2, 5):
                text = re.sub(rf"^journey: {name}$", f"journey: {name}-{number}", shipped(name), flags=re.M)
                path = Path(folder) / f"{name}-{number}.yaml"
                path.write_text(text.replace(f'stage("{name}")', f'stage("{name}-{number}")'))
                copies.append(str(path))
        return {
            "one journey": assemble(Settings(journeys=[str(ONE_JOURNEY)])),
            "five models": assemble(Settings(journeys=five)),
            "twenty journeys": assemble(Settings(journeys=[*five, *copies])),
        }


def events(count: int, customers: int, seed: int = 7) -> list[tuple[str, int, bytes]]:
    """Events in the order of time: type, time, value."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        at = START + number * STEP
        share = draw.random()
        kind = (
            "page_viewed"
            if share < 0.8
            else "order_completed"
            if share < 0.92
            else "ticket_created"
            if share < 0.97
            else "survey_responded"
        )
        event = {
            "event_id": f"{draw.getrandbits(64):016x}-{number}",
            "type": kind,
            "occurred_at": rfc3339(at),
            "customer_id": f"customer-{draw.randrange(customers)}",
            "properties": _properties(kind, number, draw),
            "context": {
                "channel": "web",
                "session_id": f"s-{number}",
                "locale": "fr-FR",
                "device": "desktop",
            },
        }
        made.append((kind, at, json.dumps(event).encode()))
    return made


def _properties(kind: str, number: int, draw: random.Random) -> dict[str, Any]:
    if kind == "page_viewed":
        return {"url": f"https://shop.example/range/{number % 997}", "title": "A page", "category": "lamps"}
    if kind == "order_completed":
        price = round(draw.uniform(5, 90), 2)
        line = {"product_id": f"p-{number % 499}", "category": "lamps", "price": price, "quantity": 1}
        return {"order_id": f"o-{number}", "total": price, "currency": "EUR", "products": [line]}
    if kind == "ticket_created":
        return {"ticket_id": f"t-{number}", "kind": "question", "priority": "normal", "channel": "email"}
    return {
        "survey_id": "s-1",
        "response_id": f"r-{number}",
        "survey_type": "nps",
        "score": draw.randrange(11),
    }


def sources(made: list[tuple[str, int, bytes]]) -> list[Source]:
    """The same events as records of a source topic."""
    return [Source(offset, at // 1000, None, value) for offset, (_, at, value) in enumerate(made)]


def keyed(made: list[tuple[str, int, bytes]]) -> list[ConsumerRecord]:
    """The same events as records of the keyed topic, with the markers that move its clock."""
    packed = {kind: hop.pack_source(topic, 0) for kind, topic in SOURCES.items()}
    offsets = dict.fromkeys(SOURCES, 0)
    records: list[ConsumerRecord] = []

    def add(at: int, value: bytes, head: bytes) -> None:
        sizes = (0, -1, len(value))
        records.append(
            ConsumerRecord(
                "core.events", 0, len(records), at // 1000, 0, None, value, *sizes, ((hop.HEADER, head),)
            )
        )

    for number, (kind, at, value) in enumerate(made, 1):
        add(at, value, hop.packer(packed[kind])(hop.EVENT, offsets[kind] * 2, at))
        offsets[kind] += 1
        if number % MARKER_EVERY == 0:
            progress = [hop.Progress(source, at, False, at, offsets[k]) for k, source in packed.items()]
            add(at, hop.pack_marker(progress), hop.MARKER_BYTES)
    return records
