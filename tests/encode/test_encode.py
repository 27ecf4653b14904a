"""Records out are CloudEvents whose headers and value tell the same, in the same bytes each time."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from referencing import Registry, Resource

from journey_stream.encode import Encoder, encode, structured
from journey_stream.letters import dead_letter
from journey_stream.schemas import record_schemas
from journey_stream.settings import Settings, TopicNames
from journey_stream.values import (
    Cause,
    Contactable,
    DeadLetter,
    Kind,
    Out,
    Signal,
    StageNow,
    Transition,
    rfc3339,
)

TOPICS = TopicNames.of(Settings())
AT = 1_767_607_872_345_000
UNHURRIED = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])

SCHEMAS = record_schemas()
REGISTRY: Registry[Any] = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values()
)

TRANSITION = Transition(
    transition_id="0f" * 16,
    journey="four-cycles",
    version=2,
    customer_id="c-1",
    anonymous_id="a-1",
    account_id=None,
    from_="seduction/need",
    to="seduction/search",
    from_kind="prospect",
    to_kind="acquisition",
    direction="forward",
    rule="searched",
    reason=None,
    owner="marketing",
    trigger="event",
    cause=Cause("e-1", "products_searched", AT),
    occurred_at=AT,
    decided_at=AT + 1_000_000,
    entered_from_at=AT - 90_500_000,
    dwell_s=90.5,
    sequence=7,
    first_entry=True,
    entry_number=1,
    loop=0,
    attributes={"orders": 0, "revenue": 12.5, "categories": ["bikes"], "last": None},
    contactable=Contactable(email="yes", sms="no"),
    over_contacted=False,
    locale="fr-FR",
    country=None,
    timezone=None,
    late=False,
    test=False,
    replay=True,
    person="c-1",
)
SIGNAL = Signal(
    signal_id="1e" * 16,
    signal="need_lost",
    status="raised",
    journey="four-cycles",
    version=2,
    customer_id=None,
    anonymous_id="a-1",
    account_id=None,
    stage="seduction/search",
    kind="acquisition",
    owner=None,
    rule="need_lost",
    reason="silence",
    cause=Cause(None, "timer", AT),
    occurred_at=AT,
    decided_at=AT,
    valid_until=AT + 60_000_000,
    sequence=8,
    payload={"last_step": "search"},
    attributes={},
    contactable=Contactable(),
    over_contacted=True,
    locale=None,
    country=None,
    timezone=None,
    late=False,
    test=True,
    replay=False,
    person="anon:a-1",
)
STAGE = StageNow(
    person="c|1",
    journey="four-cycles",
    version=2,
    customer_id="c|1",
    anonymous_id=None,
    account_id=None,
    stage="seduction/search",
    kind="acquisition",
    owner="marketing",
    entered_at=AT,
    sequence=7,
    transition_id="0f" * 16,
    attributes={},
    test=False,
    replay=False,
)
LETTER = DeadLetter(
    "wrong_type",
    "properties.total: expected `float | null`, got `str` €",
    "journey.purchases",
    3,
    42,
    AT,
    b"\xff key",
    b"\x00\xff not json",
    (("trace", b"\xfe"), ("trace", b"2")),
)


def texts(out: Out) -> dict[str, str]:
    """Headers as a consumer reads them."""
    return {name: value.decode() for name, value in out.headers}


def check(value: object, name: str) -> None:
    """Hold a value to one of our schemas."""
    jsonschema.Draft202012Validator(
        SCHEMAS[name],
        registry=REGISTRY,
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    ).validate(value)


CONTRACT_TRANSITION = (
    "transition_id, journey, version, customer_id, anonymous_id, account_id, from, to, from_kind, to_kind, "
    "direction, rule, reason, owner, trigger, cause, occurred_at, decided_at, entered_from_at, dwell_s, "
    "sequence, first_entry, entry_number, loop, attributes, contactable, over_contacted, locale, country, "
    "timezone, late, test, replay, corrects, replaced_by, stage_now, id, record_type, time, schema_version"
)
CONTRACT_SIGNAL = (
    "signal_id, signal, status, journey, version, customer_id, anonymous_id, account_id, stage, kind, owner, "
    "reason, cause, occurred_at, decided_at, valid_until, sequence, payload, attributes, contactable, late, "
    "test, replay, id, record_type, time, schema_version"
)


@pytest.mark.parametrize(
    ("record", "schema", "contract"),
    [(TRANSITION, "transition", CONTRACT_TRANSITION), (SIGNAL, "signal", CONTRACT_SIGNAL)],
)
def test_a_record_has_every_field_of_the_contract(
    record: Transition | Signal, schema: str, contract: str
) -> None:
    fields = set(contract.split(", "))
    value = json.loads(encode(record, TOPICS).value or b"")

    assert set() == fields - set(value)
    assert set() == fields - set(SCHEMAS[schema]["required"])
    assert {"event_id", "type", "occurred_at"} == set(value["cause"])
    assert {"email", "sms", "push", "call", "post"} == set(value["contactable"])


def test_a_transition_is_a_cloud_event_keyed_by_the_person() -> None:
    out = encode(TRANSITION, TOPICS)

    expected = {
        "ce_id": TRANSITION.transition_id,
        "ce_time": "2026-01-05T10:11:12.345000Z",
        "ce_subject": "c-1",
        "ce_specversion": "1.0",
        "ce_source": "/journey_stream/four-cycles",
        "ce_type": "journey_stream.transition.v1",
        "content-type": "application/json",
        "ce_journey": "four-cycles",
        "ce_stage": "seduction/search",
        "ce_stagekind": "acquisition",
        "ce_owner": "marketing",
    }
    assert expected == texts(out)
    assert ("journey.transitions", b"c-1", b"c-1") == (out.topic, out.key, out.partition_key)


def test_a_value_repeats_its_headers() -> None:
    value = json.loads(encode(TRANSITION, TOPICS).value or b"")

    expected = (TRANSITION.transition_id, "transition", "2026-01-05T10:11:12.345000Z", 1)
    assert expected == (value["id"], value["record_type"], value["time"], value["schema_version"])
    assert ("seduction/need", 90.5) == (value["from"], value["dwell_s"])
    assert "2026-01-05T10:09:41.845000Z" == value["entered_from_at"]
    assert TRANSITION.attributes == value["attributes"]


def test_a_cancelled_signal_is_another_record_of_the_same_signal() -> None:
    raised = encode(SIGNAL, TOPICS)
    cancelled = encode(msgspec.structs.replace(SIGNAL, status="cancelled"), TOPICS)

    assert ("raised", "cancelled") == (texts(raised)["ce_status"], texts(cancelled)["ce_status"])
    assert texts(raised)["ce_id"] != texts(cancelled)["ce_id"]
    signal_ids = {json.loads(out.value or b"")["signal_id"] for out in (raised, cancelled)}
    assert {SIGNAL.signal_id} == signal_ids
    assert ("need_lost", "/journey_stream/four-cycles") == (
        texts(raised)["ce_signal"],
        texts(raised)["ce_source"],
    )
    assert "ce_owner" not in texts(raised), "nobody owns it"


def test_a_stage_is_keyed_by_person_and_journey_and_stays_in_the_persons_partition() -> None:
    out = encode(STAGE, TOPICS)

    assert ("journey.stages", b"c|1|four-cycles", b"c|1") == (out.topic, out.key, out.partition_key)
    assert [b"c|1", b"four-cycles"] == (out.key or b"").rsplit(b"|", 1)


def test_a_forgotten_person_leaves_a_tombstone() -> None:
    out = encode(msgspec.structs.replace(STAGE, stage=None, kind=None), TOPICS)

    assert Out("journey.stages", b"c|1|four-cycles", None, (), b"c|1") == out


def test_a_dead_letter_is_the_record_as_it_came_with_its_reason() -> None:
    out = encode(LETTER, TOPICS)

    assert ("journey.dead_letters", LETTER.key, LETTER.value) == (out.topic, out.key, out.value)
    assert LETTER.headers == out.headers[:2]
    expected = {
        "journey_stream_reason": "wrong_type",
        "journey_stream_detail": "properties.total: expected `float | null`, got `str` €",
        "journey_stream_source_topic": "journey.purchases",
        "journey_stream_source_partition": "3",
        "journey_stream_source_offset": "42",
        "journey_stream_source_time": "2026-01-05T10:11:12.345000Z",
    }
    assert expected == {name: value.decode() for name, value in out.headers[2:]}
    check(expected, "dead_letter_headers")


def test_a_dead_letter_may_have_neither_key_nor_value() -> None:
    out = dead_letter(msgspec.structs.replace(LETTER, key=None, value=None, headers=()), "dead")

    assert ("dead", None, None, 6) == (out.topic, out.key, out.value, len(out.headers))


@pytest.mark.parametrize(
    ("timestamp", "written"),
    [
        (-1000, "1969-12-31T23:59:59.999000Z"),
        (-(2**63) * 1000, "0001-01-01T00:00:00Z"),
        (2**63 * 1000, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_a_record_may_be_stamped_with_any_number(timestamp: int, written: str) -> None:
    out = encode(msgspec.structs.replace(LETTER, timestamp=timestamp), TOPICS)

    assert ("journey_stream_source_time", written.encode()) == out.headers[-1]


@pytest.mark.parametrize(
    ("transitions_by", "record", "topics"),
    [
        ("none", TRANSITION, ["journey.transitions"]),
        ("stage", TRANSITION, ["journey.transitions", "journey.transitions.four-cycles.seduction.search"]),
        ("kind", TRANSITION, ["journey.transitions", "journey.transitions.acquisition"]),
        ("stage", SIGNAL, ["journey.signals"]),
        ("stage", STAGE, ["journey.stages"]),
        ("stage", LETTER, ["journey.dead_letters"]),
    ],
)
def test_transitions_can_have_topics_of_their_own(
    transitions_by: Any, record: Transition, topics: list[str]
) -> None:
    outs = Encoder(TOPICS, transitions_by=transitions_by).encode_all(record)

    assert topics == [out.topic for out in outs]
    assert 1 == len({(out.key, out.value, out.headers) for out in outs})


@pytest.mark.parametrize(
    ("signals_by", "extra"),
    [
        ("none", []),
        ("signal", ["journey.signals.four-cycles.need_lost"]),
        ("kind", ["journey.signals.acquisition"]),
    ],
)
def test_signals_can_have_topics_of_their_own(signals_by: Any, extra: list[str]) -> None:
    outs = Encoder(TOPICS, signals_by=signals_by).encode_all(SIGNAL)

    assert ["journey.signals", *extra] == [out.topic for out in outs]


def test_a_structured_record_is_one_line_that_says_the_same() -> None:
    line = structured(TRANSITION)
    event = json.loads(line)
    headers = texts(encode(TRANSITION, TOPICS))

    assert b"\n" not in line
    assert json.loads(encode(TRANSITION, TOPICS).value or b"") == event.pop("data")
    assert "application/json" == event.pop("datacontenttype")
    assert {
        name.removeprefix("ce_"): text for name, text in headers.items() if name != "content-type"
    } == event


NAMES = st.text(min_size=1, max_size=12)
KINDS = st.sampled_from(msgspec.inspect.type_info(Kind).values)  # type: ignore[attr-defined]
TIMES = st.integers(0, 253_402_300_799_999_999)
FREE = st.dictionaries(
    NAMES,
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | NAMES
    | st.lists(st.floats(allow_nan=False) | NAMES, max_size=3),
    max_size=3,
)


@st.composite
def records(draw: st.DrawFn) -> Transition | Signal | StageNow:
    """Records with any names, times and attributes."""
    record = draw(st.sampled_from([TRANSITION, SIGNAL, STAGE]))
    person, at = draw(NAMES), draw(TIMES)
    changes: dict[str, Any] = {
        "person": person,
        "customer_id": draw(st.sampled_from([person, None])),
        "owner": draw(NAMES | st.none()),
        "attributes": draw(FREE),
    }
    if isinstance(record, StageNow):
        return msgspec.structs.replace(
            record, **changes, entered_at=at, transition_id=draw(NAMES | st.none()), kind=draw(KINDS)
        )
    changes |= {"occurred_at": at, "decided_at": draw(TIMES), "cause": Cause(draw(NAMES), draw(NAMES), at)}
    changes |= {"reason": draw(NAMES | st.none()), "sequence": draw(st.integers(1, 2**40))}
    return msgspec.structs.replace(record, **changes)


@UNHURRIED
@given(records())
def test_every_record_fits_its_schemas(record: Transition | Signal | StageNow) -> None:
    out = encode(record, TOPICS)
    value = json.loads(out.value or b"")

    check(value, value["record_type"])
    check(texts(out), "headers")
    check(json.loads(structured(record)), "cloud_event")


@UNHURRIED
@given(records())
def test_the_same_record_has_the_same_bytes(record: Transition | Signal | StageNow) -> None:
    warm = Encoder(TOPICS)
    warm.encode(record)

    again = type(record)(**{name: getattr(record, name) for name in record.__struct_fields__})
    assert warm.encode(record) == Encoder(TOPICS).encode(again)
    assert structured(record) == structured(again)


@UNHURRIED
@given(TIMES)
def test_times_in_headers_and_values_are_written_alike(at: int) -> None:
    record = msgspec.structs.replace(TRANSITION, occurred_at=at)

    assert rfc3339(at) == json.loads(encode(record, TOPICS).value or b"")["occurred_at"]


def test_a_schema_notices_a_wrong_record() -> None:
    value = json.loads(encode(TRANSITION, TOPICS).value or b"")

    for wrong in ({"direction": "up"}, {"occurred_at": "noon"}, {"sequence": "7"}, {"cause": None}):
        with pytest.raises(jsonschema.ValidationError):
            check({**value, **wrong}, "transition")
    with pytest.raises(jsonschema.ValidationError):
        check({key: value[key] for key in value if key != "loop"}, "transition")
