"""Scripts for the model `four-cycles`: every step of every cycle, and its signals.

Enters: nothing. Leaves: `CYCLES`, a table of name and script.
"""

from __future__ import annotations

from journey_stream.shop.cast_lives import core
from journey_stream.shop.scripts import (
    Scene,
    buys,
    cart,
    csat,
    handled,
    landing,
    looks,
    mails,
    nps,
    review,
    scene,
    step,
    ticket,
    uses,
)


def tour(
    day: float, order: str, product: str = "p-050", *, needs: str = "product_added_to_wishlist"
) -> Scene:
    """The eight steps of one need, from the wish to the referral."""
    return scene(
        step(day, needs, product_id=product),
        step(day + 1, "products_searched", query="something"),
        looks(day + 1.01, 2, product),
        cart(day + 2, f"k-{order}", product),
        buys(day + 2.05, order, product, delivered=2.0),
        uses(day + 5, day + 7),
        nps(day + 9, 10),
        review(day + 9.5, 5, product),
        step(day + 10, "referral_sent"),
    )


def weak(day: float, name: str) -> Scene:
    """A moment of weakness: a complaint that takes its time."""
    return ticket(day, name, "complaint", "high", replied=1.0, solved=None)


CYCLES: dict[str, Scene] = {
    "tour": scene(
        landing(0, "cpc", "google"),
        *(tour(1 + 30 * n, f"o{n}", ("p-050", "p-051", "p-000", "p-100", "p-080")[n]) for n in range(5)),
        weak(160, "t1"),
        tour(163, "o6"),
        step(190, "ticket_solved", ticket_id="t1"),
        step(190.2, "ticket_rated", ticket_id="t1", score="good"),
        tour(200, "o7"),
    ),
    "mailed": scene(landing(0), buys(1, "o1"), mails(30, clicked=True), looks(31, 1), cart(32, "k1"),
                    mails(100, clicked=True), looks(101, 1)),
    "weak-seduction": scene(landing(0), buys(1, "o1"), weak(6, "t1"), tour(8, "o2"),
                            step(40, "ticket_solved", ticket_id="t1")),
    "weak-need": scene(core(), weak(60, "t1"), step(61, "product_added_to_wishlist", product_id="p-050"),
                       step(62, "products_searched", query="x"), cart(63, "k1")),
    "weak-recommends": scene(core(), weak(60, "t1"), uses(62, 63), review(65, 5), step(66, "referral_sent")),
    "recovered": scene(
        core(), ticket(60, "t1", "complaint", "high", replied=0.1, solved=1.0, rated="good"), handled(61.5),
        nps(75, 10), step(80, "referral_sent"), buys(90, "o5"),
    ),
    "bought-in-anger": scene(
        landing(0), buys(1, "o1"), buys(10, "o2"), buys(20, "o3"), nps(25, 1), buys(30, "o4"), nps(40, 9),
    ),
    "chooses-at-once": scene(landing(0), buys(1, "o1"), uses(5, 7), cart(20, "k1"), buys(20.1, "o2")),
    "not-handled": scene(core(), nps(60, 1, "Nobody answers")),
    "disappointed": scene(landing(0), buys(1, "o1"), uses(5), csat(6, 1, order_id="o1"), review(7, 1)),
    "need-lost": scene(
        landing(0), buys(1, "o1"), nps(6, 9), step(60, "product_added_to_wishlist", product_id="p-000"),
        looks(61, 2, "p-000"), cart(62, "k1", "p-000"),
    ),
    "need-lost-first": scene(landing(0), step(0.01, "products_searched", query="kettle"), looks(0.02, 2)),
    "up-seller": scene(landing(0), buys(1, "o1", "p-000"), uses(5, 8, 12), nps(14, 9), landing(80)),
    "slow-use": scene(landing(0), buys(1, "o1", "p-010"), buys(30, "o2", "p-010"), landing(70)),
}  # fmt: skip
