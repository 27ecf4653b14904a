"""The shipped definitions keep what models.md and their own tests say of them."""

from functools import cache
from importlib import resources

import pytest

from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.journeys import lint, load, shipped, shipped_names
from journey_stream.journeys.model import Journey
from journey_stream.testing import Outcome, TestFile, companion, cover, read_tests, run_tests

FOLDER = resources.files("journey_stream.journeys") / "shipped"
FIVE = ["brand", "buyer-value", "four-cycles", "lifecycle", "relationship"]


@cache
def file_of(name: str) -> TestFile:
    file = companion(f"{name}.yaml")
    return read_tests(file, (FOLDER / file).read_text("utf-8"))


def journey_of(name: str) -> Journey:
    return load([(f"{name}.yaml", shipped(name))], BUILT_IN).usable()[0]


CASES = [(name, number) for name in FIVE for number in range(len(file_of(name).cases))]


@cache
def outcomes_of(name: str) -> list[Outcome]:
    return run_tests(file_of(name), [(f"{name}.yaml", shipped(name))], BUILT_IN)


def title_of(name: str, number: int) -> str:
    case = file_of(name).cases[number]
    return f"{name}:{case.line} {case.name.partition(' [')[0]}"


def test_the_five_models_are_shipped():
    assert shipped_names() == FIVE


def test_together_they_are_lint_clean():
    assert lint([(f"{name}.yaml", shipped(name)) for name in FIVE], BUILT_IN).findings == ()
    assert [lint([(f"{name}.yaml", shipped(name))], BUILT_IN).findings for name in FIVE] == [()] * 5


@pytest.mark.parametrize("name", FIVE)
def test_the_test_file_can_be_read(name: str):
    assert file_of(name).findings == ()


@pytest.mark.parametrize(("name", "number"), CASES, ids=[title_of(*case) for case in CASES])
def test_the_case_holds(name: str, number: int):
    outcome = outcomes_of(name)[number]

    assert outcome.passed, f"\n{outcome}"


@pytest.mark.parametrize("name", FIVE)
def test_every_stage_transition_signal_and_guard_is_reached_by_its_own_tests(name: str):
    coverage = cover(journey_of(name), outcomes_of(name))

    assert coverage.complete, coverage


@pytest.mark.parametrize("name", FIVE)
def test_stages_and_signals_have_titles_in_both_languages_and_an_owner(name: str):
    journey = journey_of(name)
    titled = [*journey.stages.values(), *journey.signals]

    assert [each.id for each in titled if not {"en", "fr"} <= each.title.keys()] == []
    assert [each.id for each in titled if not each.owner] == []


SHARED = (
    "orders",
    "revenue",
    "first_order_at",
    "last_order_at",
    "rhythm",
    "sentiment",
    "opinion",
    "complaints",
)


def test_what_all_models_keep_is_kept_once():
    journeys = [journey_of(name) for name in FIVE]
    keys = [{journey.attributes[name].sharing_key for journey in journeys} for name in SHARED]

    assert [len(each) for each in keys] == [1] * len(SHARED)


@pytest.mark.parametrize("name", FIVE)
def test_what_the_measures_need_travels_with_each_record(name: str):
    journey = journey_of(name)

    assert {*SHARED} <= {*journey.records}
    assert {"purchase_counted", "opinion_given"} <= {rule.signal for rule in journey.signals}


REASONS = {
    "buyer-value": {
        "order_undone",
        "service_not_performed",
        "defect_not_fixed_in_time",
        "boredom",
        "silence",
    },
    "relationship": {"never_bought", "subscription_cancelled", "not_target", "rhythm", "detractor_score"},
}
SIGNALS = {
    "relationship": {"message_due", "offer_due"},
    "lifecycle": {
        "abandoned_cart", "question_unanswered", "quiet_after_contact", "assist_due", "effort_high",
        "checkout_abandoned", "thank_you_due", "survey_due", "offer_due", "review_request_due",
        "referral_invite_due", "reward_due", "dormant",
    },
    "brand": {"welcome_due", "welcome_stalled", "dormant"},
    "buyer-value": {"explore_due", "special_treatment_due", "win_back_due", "defection_risk"},
    "four-cycles": {
        "recovery_due", "up_sell", "cross_sell", "complaint_recovered", "expectation_gap", "need_lost",
        "listen_due", "loop_open",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", FIVE)
def test_every_signal_of_the_model_is_there(name: str):
    assert SIGNALS[name] <= {rule.signal for rule in journey_of(name).signals}


@pytest.mark.parametrize("name", sorted(REASONS))
def test_the_reasons_of_the_model_come_about(name: str):
    outcomes = outcomes_of(name)

    assert REASONS[name] <= {record.reason for outcome in outcomes for record in outcome.transitions}


CHECKOUT_REASONS = {
    "needless_form", "unexpected_cost", "forced_account", "security_doubt", "technical_error",
    "payment_option_missing", "shipping_option_missing", "payment_declined", "unknown",
}  # fmt: skip


def test_every_reason_for_leaving_a_checkout_comes_about():
    outcomes = outcomes_of("lifecycle")
    left = [
        record
        for outcome in outcomes
        for record in outcome.signals
        if record.signal == "checkout_abandoned" and record.status == "raised"
    ]

    assert {record.reason for record in left} == CHECKOUT_REASONS
    assert {record.payload["source"] for record in left} == {"observed", "stated", "inferred"}


FIRST_TOUCHES = {
    "search_ad", "search_organic", "media_ad", "social", "testimonial", "review", "referral", "promo_item",
    "store", "direct", "unknown",
}  # fmt: skip


def test_every_first_touch_comes_about():
    outcomes = outcomes_of("brand")

    touches = {record.attributes["first_touch"] for outcome in outcomes for record in outcome.transitions}
    assert FIRST_TOUCHES <= touches


def test_the_tag_of_each_stage_is_the_models():
    kinds = {stage.id: stage.kind for stage in journey_of("relationship").stages.values()}

    expected = {
        "acquisition": "acquisition",
        "development": "development",
        "loyalty": "retention",
        "at_risk": "at_risk",
        "attrition": "attrition",
    }
    assert kinds == expected
