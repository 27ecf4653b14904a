"""The cast alone shows all five models whole: each stage is entered, each signal raised, each rule used."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from journey_stream.deployment import Deployment, assemble
from journey_stream.engine.partition import Partition
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.settings import Settings
from journey_stream.shop import ShopOptions, simulate
from journey_stream.shop.cast import CAST
from journey_stream.values import DAY, Event, Signal, Transition

ONLY_THE_CAST = ShopOptions(customers=0, visitors=0.0)
MADE_BY_INTAKE = {"referral_rewarded"}


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    return assemble(Settings())


@pytest.fixture(scope="module")
def events(deployment: Deployment) -> list[Event]:
    decoded = [deployment.decoder.decode(record.value) for record in simulate(ONLY_THE_CAST)]
    return [event for event in decoded if isinstance(event, Event)]


@pytest.fixture(scope="module")
def records(deployment: Deployment, events: list[Event]) -> list[Transition | Signal]:
    """What the five models make of the cast's 400 days."""
    partition = Partition(deployment.program)
    for event in events:
        partition.fire(event.at - 1, event.at)
        partition.apply(event, event.at)
    end = ONLY_THE_CAST.start + ONLY_THE_CAST.days * DAY
    partition.fire(end, end)
    return [r for r in partition.drain().records if isinstance(r, Transition | Signal)]


def missing(expected: Iterable[tuple[str, str]], found: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    return set(expected) - set(found)


def test_every_member_of_the_cast_plays(events: list[Event]) -> None:
    assert {(e.anonymous_id or "").removeprefix("cast-a-") for e in events} == set(CAST)


def test_the_cast_plays_every_type_that_a_shop_can_produce(events: list[Event]) -> None:
    assert set(BUILT_IN.names()) - {event.type for event in events} == MADE_BY_INTAKE


def test_each_stage_of_all_five_models_is_entered(
    deployment: Deployment, records: list[Transition | Signal]
) -> None:
    stages = [(journey.id, stage) for journey in deployment.journeys for stage in journey.stages]
    entered = [(r.journey, r.to) for r in records if isinstance(r, Transition)]

    assert missing(stages, entered) == set()


def test_each_signal_of_all_five_models_is_raised(
    deployment: Deployment, records: list[Transition | Signal]
) -> None:
    signals = [(journey.id, rule.id) for journey in deployment.journeys for rule in journey.signals]
    raised = [(r.journey, r.rule) for r in records if isinstance(r, Signal) and r.status == "raised"]

    assert missing(signals, raised) == set()


def test_each_transition_rule_of_all_five_models_is_used(
    deployment: Deployment, records: list[Transition | Signal]
) -> None:
    rules = [(journey.id, rule.id) for journey in deployment.journeys for rule in journey.transitions]
    used = [(r.journey, r.rule) for r in records if isinstance(r, Transition)]

    assert missing(rules, used) == set()


def test_each_reason_that_the_models_name_is_shown(records: list[Transition | Signal]) -> None:
    reasons = {(r.journey, r.reason) for r in records}
    defectors = {
        r.reason
        for r in records
        if isinstance(r, Transition) and (r.journey, r.to) == ("buyer-value", "core_defector")
    }
    left = {r.reason for r in records if isinstance(r, Signal) and r.signal == "checkout_abandoned"}

    assert defectors == {
        "better_competitor", "service_not_performed", "defect_not_fixed_in_time", "boredom", "silence"
    }  # fmt: skip
    assert left >= {
        "needless_form", "unexpected_cost", "forced_account", "security_doubt", "technical_error",
        "payment_option_missing", "shipping_option_missing", "payment_declined",
    }  # fmt: skip
    assert {("relationship", "never_bought"), ("relationship", "subscription_paused")} <= reasons
    assert {("relationship", "order_undone"), ("buyer-value", "order_undone")} <= reasons


def test_each_first_touch_of_the_brand_model_is_shown(records: list[Transition | Signal]) -> None:
    touches = {r.attributes.get("first_touch") for r in records if r.journey == "brand"}

    assert touches >= {
        "search_ad", "search_organic", "media_ad", "social", "testimonial", "review", "referral",
        "promo_item", "store", "direct",
    }  # fmt: skip


def test_somebody_is_written_to_too_often(records: list[Transition | Signal]) -> None:
    assert any(r.over_contacted for r in records)
    assert {r.contactable.email for r in records} == {"yes", "no", "unknown"}
