"""What the simulated shop sends and what comes of it fit the schemas that we publish."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource

from journey_stream.deployment import assemble
from journey_stream.encode import Encoder, structured
from journey_stream.replay import Replayed, replay
from journey_stream.schemas import build
from journey_stream.settings import Settings
from journey_stream.shop import ShopOptions, simulate
from journey_stream.values import HOUR

SCHEMAS: dict[str, dict[str, Any]] = {
    path.removesuffix(".schema.json"): json.loads(text)
    for path, text in build().items()
    if path.endswith(".json")
}
REGISTRY: Registry[Any] = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values()
)
DEPLOYMENT = assemble(Settings())
LINES = [record.value for record in simulate(ShopOptions(customers=20, days=60)) if record.value is not None]


def checker(name: str) -> jsonschema.Draft202012Validator:
    """One of our schemas."""
    return jsonschema.Draft202012Validator(
        SCHEMAS[name],
        registry=REGISTRY,
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )


@pytest.fixture(scope="module")
def replayed() -> Replayed:
    """The shop's events, run through all five models."""
    return replay(DEPLOYMENT.program, [LINES], DEPLOYMENT.decoder, HOUR)


def test_what_the_shop_sends_fits_the_schemas_of_events() -> None:
    checkers = {name: checker(f"events/{name}") for name in DEPLOYMENT.vocabulary.names()}
    types: Counter[str] = Counter()

    for line in LINES:
        event = json.loads(line)
        checkers[event["type"]].validate(event)
        types[event["type"]] += 1
    assert len(types) > 20, "a shop that shows something"


def test_what_comes_of_it_fits_the_schemas_of_records(replayed: Replayed) -> None:
    encoder = Encoder(DEPLOYMENT.topics)
    values = {name: checker(f"records/{name}") for name in ("transition", "signal")}
    headers, line = checker("records/headers"), checker("records/cloud_event")
    sorts: Counter[str] = Counter()

    for record in replayed.records[:500]:
        out = encoder.encode(record)
        value = json.loads(out.value or b"")
        values[value["record_type"]].validate(value)
        headers.validate({name: text.decode() for name, text in out.headers})
        line.validate(json.loads(structured(record)))
        sorts[value["record_type"]] += 1
    assert {"transition", "signal"} == set(sorts)


def test_no_two_records_share_an_id(replayed: Replayed) -> None:
    ids = Counter(json.loads(structured(record))["id"] for record in replayed.records)

    assert [] == [id_ for id_, times in ids.items() if times > 1]
