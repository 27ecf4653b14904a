"""The shop's shelves and words: products, campaigns, pages, comments. Data only.

Enters: nothing. Leaves: tables. A coffee and kitchen shop: categories that are used up (beans), used daily
(machines, grinders) and given as presents, in three ranges each, so that up-selling, cross-selling,
replenishment and boredom have something to show.
"""

from __future__ import annotations

from typing import Any

Product = dict[str, Any]

RANGES = ("essential", "comfort", "premium")
_SHELVES: tuple[tuple[str, str, str, tuple[float, float, float]], ...] = (
    ("machines", "Espresso machine", "Volta", (189.0, 349.0, 790.0)),
    ("machines", "Filter machine", "Brema", (59.0, 119.0, 239.0)),
    ("machines", "Capsule machine", "Volta", (79.0, 129.0, 219.0)),
    ("grinders", "Hand grinder", "Kern", (29.0, 69.0, 149.0)),
    ("grinders", "Electric grinder", "Kern", (89.0, 199.0, 449.0)),
    ("beans", "House blend 1 kg", "Altos", (14.9, 19.9, 32.0)),
    ("beans", "Single origin 500 g", "Altos", (9.9, 14.5, 24.0)),
    ("beans", "Decaf 1 kg", "Lenta", (15.9, 21.9, 29.0)),
    ("tea", "Green tea 200 g", "Lenta", (7.9, 13.5, 26.0)),
    ("tea", "Black tea 200 g", "Lenta", (6.9, 11.5, 22.0)),
    ("accessories", "Milk jug", "Brema", (12.0, 24.0, 45.0)),
    ("accessories", "Scale", "Kern", (19.0, 49.0, 129.0)),
    ("accessories", "Cleaning kit", "Brema", (9.0, 16.0, 28.0)),
    ("kitchen", "Kettle", "Volta", (29.0, 69.0, 159.0)),
    ("kitchen", "Toaster", "Volta", (25.0, 59.0, 139.0)),
    ("gifts", "Gift box", "Altos", (25.0, 45.0, 90.0)),
    ("gifts", "Tasting course", "Altos", (39.0, 69.0, 120.0)),
)


def _products() -> tuple[Product, ...]:
    rows = []
    for shelf, (category, name, brand, prices) in enumerate(_SHELVES):
        for level, price in enumerate(prices):
            rows.append(
                {
                    "product_id": f"p-{shelf:02d}{level}",
                    "sku": f"SKU-{shelf:02d}{level}",
                    "name": f"{name} {RANGES[level]}",
                    "category": category,
                    "brand": brand,
                    "variant": ("black", "steel", "red")[(shelf + level) % 3],
                    "range": RANGES[level],
                    "price": price,
                }
            )
    return tuple(rows)


PRODUCTS = _products()
CATEGORIES = tuple(dict.fromkeys(shelf[0] for shelf in _SHELVES))
BY_CATEGORY: dict[str, tuple[Product, ...]] = {
    category: tuple(p for p in PRODUCTS if p["category"] == category) for category in CATEGORIES
}
PRODUCT = {p["product_id"]: p for p in PRODUCTS}

CHANNELS: tuple[tuple[float, dict[str, str] | None, str | None], ...] = (
    (22, {"source": "google", "medium": "organic"}, "https://www.google.com/"),
    (16, {"source": "google", "medium": "cpc", "name": "brand-search", "term": "espresso machine"},
     "https://www.google.com/"),
    (10, {"source": "news-network", "medium": "display", "name": "morning-ritual"}, "https://news.example/"),
    (12, {"source": "instagram", "medium": "social", "name": "latte-art"}, "https://www.instagram.com/"),
    (4, {"source": "barista-stories", "medium": "testimonial", "name": "my-morning"},
     "https://stories.example/"),
    (6, {"source": "trustpilot", "medium": "review"}, "https://www.trustpilot.com/"),
    (6, {"source": "friend", "medium": "referral"}, None),
    (3, {"source": "flyer", "medium": "promo_item", "name": "cup-sleeve"}, None),
    (21, None, None),
)  # fmt: skip
"""Share, campaign and referrer of first touches; the rest of the world walks in by itself (direct)."""

MAIL_CAMPAIGNS = ("spring-roast", "summer-ice", "back-to-work", "black-friday", "winter-gifts", "new-harvest")
WELCOME = ("welcome-1", "welcome-2", "welcome-3", "welcome-4")

CONTENT: tuple[tuple[str, str, str], ...] = (
    ("https://shop.example/journal/best-grind", "The best grind", "article"),
    ("https://shop.example/journal/water", "Water, the other half of coffee", "article"),
    ("https://shop.example/journal/milk", "Milk foam in five steps", "article"),
    ("https://shop.example/papers/office-coffee", "Coffee at work: what it costs", "white_paper"),
    ("https://shop.example/papers/machine-guide", "How to choose a machine", "white_paper"),
    ("https://shop.example/infographics/beans", "From cherry to cup", "infographic"),
    ("https://shop.example/courses/latte-art", "Latte art for beginners", "course"),
    ("https://social.example/shop/reels", "Reels", "social"),
)
HELP: tuple[tuple[str, str, str], ...] = (
    ("https://shop.example/help/delivery", "When will it arrive?", "faq"),
    ("https://shop.example/help/returns", "How do I return it?", "faq"),
    ("https://shop.example/help/payment", "Ways to pay", "faq"),
    ("https://shop.example/kb/descale", "Descaling", "kb"),
    ("https://shop.example/kb/pressure", "The pressure is low", "kb"),
    ("https://shop.example/kb/grinder-jam", "The grinder is stuck", "kb"),
)
QUERIES = (
    "espresso machine",
    "grinder for espresso",
    "decaf beans",
    "gift for coffee lover",
    "green tea",
    "descaler",
    "milk frother",
    "quiet grinder",
)

GOOD_WORDS = (
    "Lovely taste",
    "Fast and friendly",
    "Just as described",
    "My mornings are saved",
    "Great value",
)
PLAIN_WORDS = ("It is fine", "As expected", "Does its job")
BAD_WORDS = (
    "Arrived late",
    "Nobody answers",
    "Broke after a week",
    "Too expensive for what it is",
    "Found it cheaper elsewhere",
)

STEPS = ("account", "shipping", "payment", "review")
LEAVE_REASONS: tuple[tuple[float, str, str, str], ...] = (
    (39, "unexpected_cost", "shipping", "stated"),
    (19, "forced_account", "account", "stated"),
    (18, "needless_form", "shipping", "inferred"),
    (7, "security_doubt", "payment", "stated"),
    (5, "technical_error", "review", "observed"),
    (4, "payment_declined", "payment", "observed"),
    (3, "payment_option_missing", "payment", "stated"),
    (3, "shipping_option_missing", "shipping", "stated"),
    (2, "unknown", "review", "inferred"),
)
"""Why checkouts are left: share in percent, reason, the step where it happens, who tells."""

PLANS = ("beans-small", "beans-medium", "beans-large")
CANCEL_REASONS = ("better_competitor", "too_expensive", "not_needed", "service_not_performed", "moved_away")

PLACES: tuple[tuple[str, str, str, float], ...] = (
    ("fr-FR", "FR", "Europe/Paris", 45),
    ("en-GB", "GB", "Europe/London", 20),
    ("de-DE", "DE", "Europe/Berlin", 15),
    ("fr-BE", "BE", "Europe/Brussels", 10),
    ("en-US", "US", "America/New_York", 10),
)
STORES = ("store-lyon", "store-paris", "store-lille", "store-brussels")
