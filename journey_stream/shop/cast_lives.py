"""Scripts for the models `relationship`, `lifecycle`, `brand` and `buyer-value`.

Enters: nothing. Leaves: `LIVES`, a table of name and script. Days count from the first day of the run.
"""

from __future__ import annotations

from journey_stream.shop.scripts import (
    HOURS,
    MINUTES,
    Scene,
    buys,
    cart,
    checkout,
    csat,
    failed,
    handled,
    landing,
    looks,
    mails,
    nps,
    reads,
    review,
    scene,
    step,
    ticket,
    uses,
)

_REASONS: tuple[tuple[str, str], ...] = (
    ("needless_form", "stated"),
    ("unexpected_cost", "stated"),
    ("forced_account", "inferred"),
    ("security_doubt", "stated"),
    ("technical_error", "observed"),
    ("payment_option_missing", "stated"),
    ("shipping_option_missing", "inferred"),
    ("payment_declined", "observed"),
)
_CHANNELS: tuple[tuple[str, str, str], ...] = (
    ("cpc", "google", "https://www.google.com/"),
    ("organic", "google", "https://www.google.com/"),
    ("display", "news-network", "https://news.example/"),
    ("social", "instagram", "https://www.instagram.com/"),
    ("testimonial", "barista-stories", "https://stories.example/"),
    ("review", "trustpilot", "https://www.trustpilot.com/"),
    ("referral", "friend", ""),
    ("promo_item", "flyer", ""),
)


def core(day: float = 0.0, gap: float = 12.0) -> Scene:
    """Four orders in four categories, content: a core customer by the last."""
    return scene(
        landing(day),
        buys(day + 1, "o1", "p-050"),
        buys(day + 1 + gap, "o2", "p-000"),
        nps(day + 1.5 + gap, 10),
        buys(day + 1 + 2 * gap, "o3", "p-100"),
        buys(day + 1 + 3 * gap, "o4", "p-080"),
    )


LIVES: dict[str, Scene] = {
    # acquisition: leads who fall silent, questions, readers
    "silent-lead": scene(
        landing(0, "cpc", "google"), reads(0.01),
        ticket(1, "t1", "question", replied=None, solved=None, channel="chat"),
    ),
    "answered-lead": scene(
        landing(0), ticket(0.1, "t1", "question", replied=0.02, solved=0.03, channel="chat"),
        step(0.2, "contact_made", means="form", subject="offer"), buys(9, "o1"),
    ),
    "quiet-contact": scene(landing(0), step(0.05, "contact_made", means="form", subject="offer")),
    "caller": scene(
        step(0, "call_made", "phone", direction="inbound", outcome="advised", duration_s=200),
        step(2, "store_visited", "store", location_id="store-lyon"),
    ),
    "anon-reader": scene(
        landing(0, "organic", "google"), reads(0.01), reads(0.02, "white_paper"), reads(3, "social"),
        step(3.01, "link_clicked", url="https://shop.example/article/1",
             target_url="https://shop.example/article/2", related=True),
    ),
    "downloader": scene(
        landing(0), step(0.01, "content_downloaded", url="https://shop.example/papers/1", gated=True),
    ),
    "helped": scene(
        landing(0), reads(0.001, "faq"), reads(0.003, "kb"), reads(0.005, "faq"), reads(0.007, "kb"),
        buys(5, "o1"), reads(40, "faq"), reads(40.002, "kb"), reads(40.004, "faq"),
    ),
    "stuck": scene(
        landing(0), cart(0.01, "k1"), checkout(0.02, "c1"),
        failed(0.025, "c1", "technical_error", "observed"),
        failed(0.03, "c1", "payment_declined", "observed"),
        checkout(6, "c2"), failed(6.005, "c2", "payment_declined", "observed"),
        failed(6.008, "c2", "payment_declined", "observed"),
    ),
    "hesitates-over-cost": scene(
        landing(0), looks(0.01, 1), cart(0.02, "k1"), checkout(0.021, "c1"),
        failed(0.024, "c1", "unexpected_cost", "stated"), failed(0.026, "c1", "unexpected_cost", "stated"),
    ),
    "hesitates-over-account": scene(
        landing(0), cart(0.01, "k1"), checkout(0.012, "c1"),
        failed(0.014, "c1", "forced_account", "stated"), failed(0.016, "c1", "needless_form", "stated"),
    ),
    "looks-for-help": scene(
        landing(0), looks(0.002, 2, "p-040"), reads(0.006, "faq"), reads(0.008, "kb"), reads(0.01, "faq"),
    ),
    "cart-leaver": scene(landing(0), looks(0.01, 2), cart(0.02, "k1"), landing(9), cart(9.01, "k2"),
                         step(9.02, "product_removed", cart_id="k2", product_id="p-050")),
    **{
        f"leaves-{reason.replace('_', '-')}": scene(
            landing(n), cart(n + 0.01, "k1"), checkout(n + 0.02, "c1"),
            failed(n + 0.03, "c1", reason, source), buys(n + 20, "o1"),
        )
        for n, (reason, source) in enumerate(_REASONS)
    },
    "leaves-unknown": scene(landing(0), cart(0.01, "k1"), checkout(0.02, "c1")),
    "much-effort": scene(
        landing(0), buys(1, "o1"), ticket(5, "t1", order="o1", solved=1.0),
        ticket(7, "t2", order="o1", solved=1.0), ticket(9, "t3", order="o1", solved=0.2),
    ),
    **{
        f"from-{medium.replace('_', '-')}": scene(
            landing(n, medium, source, referrer), looks(n + 0.01), buys(n + 4, "o1")
        )
        for n, (medium, source, referrer) in enumerate(_CHANNELS)
    },
    "from-store": scene(
        step(0, "store_visited", "store", location_id="store-paris"),
        step(0.02, "order_completed", "store", order_id="o1", total=29.0, currency="EUR",
             location_id="store-paris", affiliation="store"),
    ),
    "service-seeker": scene(landing(0), step(0.01, "service_requested", service="repair")),
    # lifecycle: the circle, again and again
    "circle": scene(
        landing(0), reads(0.01), step(1, "signed_up", method="form"), looks(2, 2), cart(2.01, "k1"),
        checkout(2.02, "c1"), buys(2.03, "o1", cart_id="k1", checkout_id="c1"),
        csat(8, 5, order_id="o1"), review(10, 5), step(12, "referral_sent"),
        looks(40, 3, "p-000"), cart(40.01, "k2", "p-000"), checkout(40.02, "c2", 189.0),
        buys(40.03, "o2", "p-000", cart_id="k2", checkout_id="c2"), nps(60, 10),
        looks(90, 4, "p-040"), cart(120, "k3"), checkout(120.01, "c3"), buys(120.02, "o3"),
        csat(130, 5), step(150, "quote_requested", quote_id="q1", value=900.0, currency="EUR"),
        buys(160, "o4"),
    ),
    "careful-circle": scene(
        landing(0), buys(1, "o1"), looks(30, 3), step(30.02, "contact_made", means="form", subject="size"),
        checkout(32, "c1"), buys(50, "o2"), review(60, 4), cart(90, "k2"),
    ),
    "content-critic": scene(landing(0), buys(1, "o1"), review(12, 2, comment="Too expensive for what it is")),
    # brand: welcome, engagement, recommendation
    "welcomed": scene(
        landing(0, "social", "instagram"), buys(1, "o1"),
        mails(1.1, 2, 4, 8, campaign="welcome", clicked=True),
        step(10, "loyalty_joined", program="Bean Club"), uses(12, 14, 16, 18),
        step(30, "referral_sent"), nps(31, 10),
    ),
    "same-day": scene(landing(0), buys(1, "o1", delivered=0.4)),
    "welcome-ignored": scene(landing(0), buys(1, "o1"), mails(1.1, 2, 4, 8, campaign="welcome")),
    "dormant-user": scene(
        landing(0), buys(1, "o1"), mails(1.1, campaign="welcome", clicked=True), uses(5, 8, 11, 15, 19),
        uses(200, 205, 210, 215), step(230, "loyalty_joined", program="Bean Club"), uses(380),
    ),
    "card-holder": scene(
        landing(0), buys(1, "o1"), uses(3), step(4, "loyalty_joined", program="Bean Club"), uses(5, 9, 12),
        step(300, "loyalty_left", program="Bean Club"),
    ),
    "plan-holder": scene(
        landing(0), step(1, "trial_started", plan="beans-small"),
        step(15, "subscription_started", plan="beans-small"), uses(18, 20, 22),
        step(45, "subscription_renewed", plan="beans-small"),
        step(75, "subscription_changed", from_plan="beans-small", to_plan="beans-large", plan="beans-large"),
        step(105, "subscription_paused", plan="beans-large"),
        step(140, "subscription_renewed", plan="beans-large"),
        step(170, "subscription_payment_failed", plan="beans-large"),
        step(173, "subscription_recovered", plan="beans-large"),
        step(210, "subscription_cancelled", plan="beans-large", reason="not_needed", voluntary=True,
             effective_at_day=230),
        buys(330, "o9"),
    ),
    "payment-lost": scene(
        landing(0), step(1, "subscription_started", plan="beans-medium"),
        step(31, "subscription_payment_failed", plan="beans-medium"),
        step(40, "subscription_cancelled", plan="beans-medium", reason="payment_failed", voluntary=False,
             effective_at_day=40),
    ),
    "recommender": scene(
        landing(0), buys(1, "o1"), mails(1.1, 2, campaign="welcome", clicked=True), uses(3, 5, 8, 9),
        review(12, 5), step(14, "referral_sent"), looks(60, 3), buys(61, "o2"),
        step(62, "referral_sent"), nps(70, 10),
    ),
    "referred": scene(
        landing(20, "referral", "friend"),
        step(20.01, "referral_converted", referrer_id="cast-recommender"), buys(22, "o1"),
    ),
    # relationship: doubt, the way back, and the ways out
    "detractor-regained": scene(
        core(), nps(60, 2, "Nobody answers"), ticket(62, "t1", "complaint", solved=1.0, rated="good"),
        nps(70, 10), buys(75, "o5"),
    ),
    "unsolved-complaint": scene(
        core(), ticket(60, "t1", "complaint", "high", replied=None, solved=None),
    ),
    "solved-at-last": scene(core(), ticket(60, "t1", "complaint", replied=4.0, solved=5.0)),
    "development-doubt": scene(landing(0), buys(1, "o1"), nps(10, 1), nps(40, 9), buys(45, "o2")),
    "fading": scene(core(0, 10), looks(50, 1), landing(60), landing(75)),
    "returns-late": scene(core(0, 7), buys(140, "o5"), buys(150, "o6")),
    "out-of-target": scene(
        landing(0), buys(1, "o1"), buys(20, "o2"),
        step(60, "profile_changed", attribute="country", **{"from": "FR"}, to="BR", in_target=False),
    ),
    "won-back": scene(
        landing(0), buys(1, "o1"), mails(300, campaign="we-miss-you", clicked=True), buys(330, "o2"),
    ),
    "long-gone": scene(landing(0), buys(1, "o1"), uses(10)),
    "message-due": scene(landing(0), buys(1, "o1"), buys(34, "o2")),
    "quote-signed": scene(
        landing(0, "cpc", "google"), step(1, "quote_requested", quote_id="q1", value=2400.0, currency="EUR"),
        step(2, "quote_sent", "email", quote_id="q1", value=2400.0, currency="EUR", valid_until_day=32),
        step(8, "quote_signed", quote_id="q1", value=2400.0, currency="EUR"),
    ),
    "quote-declined": scene(
        landing(0), step(1, "quote_requested", quote_id="q1", value=900.0, currency="EUR"),
        step(2, "quote_sent", "email", quote_id="q1", value=900.0, currency="EUR", valid_until_day=32),
        step(8, "quote_declined", quote_id="q1", value=900.0, currency="EUR"),
    ),
    "quote-expired": scene(
        landing(0), step(1, "quote_requested", quote_id="q1", value=700.0, currency="EUR"),
        step(2, "quote_sent", "email", quote_id="q1", value=700.0, currency="EUR", valid_until_day=32),
        step(32, "quote_expired", "email", quote_id="q1", value=700.0, currency="EUR"),
    ),
    "order-undone": scene(
        landing(0), buys(1, "o1", delivered=None),
        step(1.5, "order_cancelled", order_id="o1", total=14.9, currency="EUR"),
    ),
    "over-contacted": scene(
        landing(0), buys(1, "o1"),
        step(1.1, "consent_changed", purpose="marketing", channel="email", status="granted"),
        mails(10, 10.2, 11, 11.5, 12, 12.5, 13), ticket(13.2, "t1"),
        step(14, "message_complained", "email", message_id="m-13", channel="email", campaign="cast"),
        step(14.01, "unsubscribed", channel="email"),
        step(14.02, "consent_changed", purpose="marketing", channel="email", status="withdrawn"),
    ),
    # buyer-value: why core customers leave, and what the others do not forgive
    "to-competitor": scene(
        core(), step(50, "subscription_started", plan="beans-small"),
        step(80, "subscription_cancelled", plan="beans-small", reason="better_competitor", voluntary=True,
             effective_at_day=90),
    ),
    "not-performed": scene(
        core(), step(50, "subscription_started", plan="beans-small"),
        step(80, "subscription_cancelled", plan="beans-small", reason="service_not_performed", voluntary=True,
             effective_at_day=81),
    ),
    "service-undelivered": scene(
        core(), buys(52, "o5", delivered=None, promised=4),
        ticket(58, "t1", "complaint", "high", solved=None, order="o5"),
    ),
    "defect-unfixed": scene(
        core(), ticket(45, "t1", "problem", "urgent", solved=None, order="o4"),
    ),
    "bored": scene(
        landing(0), buys(1, "o1"), nps(2, 9), buys(8, "o2"), buys(20, "o3"), buys(40, "o4"), buys(75, "o5"),
    ),
    "core-silent": core(0, 8),
    "back-to-judge": scene(
        core(), step(50, "subscription_started", plan="beans-small"),
        step(80, "subscription_cancelled", plan="beans-small", reason="better_competitor", voluntary=True,
             effective_at_day=90),
        nps(85, 2, "Found it cheaper elsewhere"), buys(120, "o5"),
    ),
    "core-then-back": scene(core(0, 5), buys(380, "o9")),
    "one-time": scene(landing(0), buys(1, "o1", delivered=9, promised=3)),
    "first-problem": scene(landing(0), buys(1, "o1"), ticket(5, "t1", "problem", order="o1", solved=0.5)),
    "first-refund": scene(
        landing(0), buys(1, "o1"), step(9, "order_refunded", order_id="o1", total=14.9, currency="EUR"),
    ),
    "first-passive": scene(landing(0), buys(1, "o1"), nps(6, 7)),
    "early-detractor": scene(landing(0), buys(1, "o1"), buys(15, "o2"), nps(20, 3)),
    "early-unsolved": scene(
        landing(0), buys(1, "o1"), buys(15, "o2"), ticket(20, "t1", "problem", solved=6.0), landing(30),
    ),
    "early-lapsed": scene(landing(0), buys(1, "o1"), buys(15, "o2")),
    "sent-back": scene(
        landing(0), buys(1, "o1"), step(6, "order_cancelled", order_id="o1", total=14.9, currency="EUR"),
        buys(250, "o2"),
    ),
    "second-undone": scene(
        landing(0), buys(1, "o1"), buys(15, "o2", delivered=None),
        step(15.5, "order_cancelled", order_id="o2", total=14.9, currency="EUR"),
    ),
    "lapsed-returns": scene(landing(0), buys(1, "o1"), buys(240, "o2")),
    "core-major": scene(
        core(), ticket(50, "t1", "incident", "urgent", solved=0.5, order="o4"),
        ticket(65, "t2", "problem", "normal", solved=0.4, reopened=2.0, rated="bad"), handled(70),
        buys(75, "o5"),
    ),
    "core-small-error": scene(
        core(), ticket(50, "t1", "problem", "low", solved=0.2, rated="good"), buys(70, "o5"),
    ),
    "special": scene(core(0, 6), *(buys(40 + 15 * n, f"x{n}", "p-002") for n in range(8)), nps(100, 10)),
    "explorer": scene(
        landing(0), step(0.01, "products_searched", query="grinder"),
        step(0.02, "product_list_viewed", category="grinders"), looks(0.03, 2, "p-040"),
        step(0.05, "product_added_to_wishlist", **{"product_id": "p-040", "category": "grinders"}),
        buys(3, "o1", "p-040"), step(3 + 12 * HOURS, "product_shared", product_id="p-040"),
        step(4, "page_left", url="https://shop.example/", duration_s=12),
        step(4 + MINUTES, "history_imported", "store", orders=2, revenue=80.0, categories=["tea"],
             first_order_at_day=-300, last_order_at_day=-200),
    ),
    "all-sorts": scene(
        landing(0), step(0.001, "identified", traits={"plan": "none"}),
        step(0.002, "promotion_viewed", promotion_id="banner-1", name="Season's offer"),
        step(0.003, "promotion_clicked", promotion_id="banner-1", name="Season's offer"),
        step(0.004, "product_list_viewed", category="tea"),
        step(0.005, "product_list_filtered", category="tea"),
        step(0.006, "product_clicked", product_id="p-080"),
        step(0.007, "product_added_to_wishlist", wishlist_id="w-1", product_id="p-080"),
        step(0.008, "product_removed_from_wishlist", wishlist_id="w-1", product_id="p-080"),
        step(0.009, "wishlist_product_added_to_cart", wishlist_id="w-1", product_id="p-081"),
        step(0.010, "cart_viewed", cart_id="k1"), step(0.011, "cart_shared", cart_id="k1", share_via="email"),
        step(0.012, "coupon_entered", cart_id="k1", coupon_id="OLD"),
        step(0.013, "coupon_denied", cart_id="k1", coupon_id="OLD", reason="expired"),
        step(0.014, "coupon_applied", cart_id="k1", coupon_id="FRIENDS15"),
        step(0.015, "coupon_removed", cart_id="k1", coupon_id="FRIENDS15"),
        checkout(0.02, "c1"), step(0.022, "checkout_step_completed", checkout_id="c1", step="shipping"),
        step(0.023, "payment_info_entered", checkout_id="c1", payment_method="card"),
        buys(0.03, "o1", checkout_id="c1"), step(0.1, "order_updated", order_id="o1"),
        step(6, "survey_sent", "email", survey_id="sv-nps", survey_type="nps", order_id="o1"),
        ticket(7, "t1", order="o1"),
        step(7.1, "ticket_priority_changed", ticket_id="t1", priority="high", previous_priority="normal"),
        step(7.2, "ticket_status_changed", ticket_id="t1", status="open", previous_status="new"),
        step(20, "message_sent", "email", message_id="m1", channel="email", campaign="spring-roast"),
        step(20.001, "message_bounced", "email", message_id="m1", channel="email", campaign="spring-roast"),
    ),
}  # fmt: skip
