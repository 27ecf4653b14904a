"""Attributes, timers and sequences: the compiled core folds events into the bytes that Python makes of them."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from engine.stories import BEGIN, compiled, event, journey

from journey_stream.engine.described import describe
from journey_stream.engine.profile import update_profile
from journey_stream.engine.program import Program
from journey_stream.engine.state import Customer, encode_core
from journey_stream.events.described import describe as describe_events
from journey_stream.events.vocabulary import BUILT_IN
from journey_stream.values import DAY, HOUR, MINUTE, NEVER, SECOND, Event

native = pytest.importorskip("journey_stream_native")

FOLDS = (
    "count: order_completed",
    "sum: order_completed.total",
    "min: order_completed.total",
    "max: order_completed.total",
    "mean: order_completed.total",
    "first: order_completed.total",
    "last: order_completed.total",
    "first: activity.type",
    "last: order_completed.occurred_at",
    "distinct: order_completed.coupon",
    "distinct: order_completed.total",
    "count: activity",
    'sum: "order_completed.products[].price"',
    'mean: "order_completed.products[].price"',
    'max: "order_completed.products[].price"',
    'last: "order_completed.products[].category"',
    'distinct: "order_completed.products[].category"',
    'map: {key: "order_completed.products[].category", value: count}',
    'map: {key: "order_completed.products[].category", value: sum, of: "products[].price"}',
    'map: {key: "order_completed.products[].category", value: last, of: "products[].price"}',
    'map: {key: "order_completed.products[].category", value: last, of: order_id}',
    "map: {key: order_completed.coupon, value: sum, of: total}",
)
LESS = (
    "count: order_completed, less: [order_cancelled, order_refunded]",
    "sum: order_completed.total, less: order_refunded",
    'sum: "order_completed.products[].price", less: order_refunded',
    "count: order_completed, by: order_id",
    "count: order_completed, by: order_id, less: [order_cancelled, order_refunded]",
    "sum: order_completed.total, by: order_id, less: [order_cancelled, order_refunded]",
    'sum: "order_completed.products[].price", by: order_id, less: order_cancelled',
)
SPANS = (
    "open: {opened: ticket_created, closed: ticket_solved, by: ticket_id}",
    "open: {opened: ticket_created, closed: ticket_solved, reopened: ticket_reopened, by: ticket_id}",
    "elapsed: {from: ticket_created, to: ticket_solved, by: ticket_id}",
    "elapsed: {from: ticket_created, to: ticket_solved}",
    "elapsed: {from: ticket_created, to: [ticket_solved, ticket_created]}",
    "rhythm: order_completed, gaps: 2",
    "rhythm: order_completed, gaps: 1, by: order_id",
)
OVERS = ("", ", over: stage", ", over: session", ", over: 2h", ", over: 3d")
LIMITED = ("distinct", "map", "by:")


def attributes(more: tuple[str, ...] = ("", ", gap: 30m")) -> list[str]:
    """Every form, over all that there is, with small limits where they can bite."""
    found = []
    for fold in FOLDS + LESS:
        for over in OVERS:
            window = over.endswith(("h", "d"))
            limits = ("", ", limit: 2", ", limit: 3") if window or any(w in fold for w in LIMITED) else ("",)
            found += [fold + over + limit for limit in limits]
    for span in SPANS:
        for over in ("", ", over: stage"):
            limits = ("", ", limit: 2") if "by:" in span else ("",)
            found += [span + over + limit for limit in limits]
    gapped = [each + gap for each in found if "less" not in each and each in _GAPPED for gap in more[1:]]
    return found + gapped


_GAPPED = {
    fold + over for fold in ("count: activity", "count: order_completed, by: order_id") for over in OVERS
}

RULES = """\
transitions:
  - {id: silent, from: one, to: two, after: 1d, since: activity, unless: order_completed}
  - {id: both, from: two, to: one, after: 1h, since: page_viewed, unless: [page_viewed, order_completed]}
  - {id: done, from: one, to: two, within: 1h, sequence: [page_viewed, product_added, order_completed]}
  - {id: again, from: two, to: one, within: 90d, sequence: [product_added, product_added, product_added]}
  - {id: carts, from: two, to: one, within: 90d, by: cart_id, limit: 2,
     sequence: [product_added, product_removed, product_added]}
signals:
  - {id: cart, title: C, after: 1h, since: product_added, unless: [order_completed, product_removed],
     by: cart_id, owner: m}
"""
GUARDED_RULES = """\
transitions:
  - {id: silent, from: one, to: two, after: 1d, since: order_completed, where: total > 2,
     unless: order_completed, unless_where: total > 1}
  - {id: asked, from: two, to: one, after: spent * 60, since: order_completed, unless: page_viewed}
  - {id: steps, from: one, to: two, within: 90d, by: order_id,
     sequence: [order_completed, order_completed], where: ['total > 1', 'total > 2']}
signals:
  - {id: cart, title: C, after: spent * 3600 - 7200, since: order_completed, by: order_id, owner: m}
"""


def text(folds: list[str], rules: str) -> str:
    """A definition whose records say all that is kept."""
    lines = "".join(f"  a{number}: {{{fold}}}\n" for number, fold in enumerate(folds))
    names = ", ".join(f"a{number}" for number in range(len(folds)))
    return journey(
        f"attributes:\n{lines}  spent: {{sum: order_completed.total}}\nrecords: [{names}]\n{rules}"
    )


WORDS = (None, "a", "b", "c", "d", "é" * 130, "x" * 1_001, "ü" * 1_100)
NUMBERS = (None, 0.0, 0.1, 0.2, 0.3, 1.5, 1e15, -0.0)


def happening(chance: random.Random, t: int, number: int) -> Event:
    """Any of the events that the definitions know."""

    def one(of: tuple[Any, ...], name: str) -> dict[str, Any]:
        found = chance.choice(of)
        return {} if found is None else {name: found}

    kind = chance.choice(
        "order_completed order_completed order_completed order_cancelled order_refunded ticket_created "
        "ticket_solved ticket_reopened page_viewed product_added product_removed".split()
    )
    said: dict[str, Any] = {}
    if kind.startswith("order"):
        said = one(WORDS, "order_id") | one(NUMBERS, "total") | one(WORDS, "coupon")
        if chance.random() < 0.7:
            lines = range(chance.randrange(4))
            said["products"] = [one(WORDS, "category") | one(NUMBERS, "price") for _ in lines]
    elif kind.startswith("ticket"):
        said = one(WORDS, "ticket_id")
    elif kind.startswith("product"):
        said = one(WORDS[:4], "cart_id")
    return event(kind, t - BEGIN, chance.choice((f"e{number}", "long" * 40 + str(number))), **said)


def probe(program: Program) -> Any:
    vocabulary = describe_events(BUILT_IN)
    assert vocabulary is not None
    return native.OpsProbe(describe(program, vocabulary))


def python(program: Program, c: Customer, e: Event, t: int) -> list[tuple[int, str]]:
    plan = (program.active if e.activity else program.passive)[e.type]
    if plan.fold is not None:
        plan.fold(c, e, t)
    steps = [(k, advance(c, e, t)) for k, advance in plan.sequences]
    return [(k, done) for k, done in steps if done is not None]


def compare(program: Program, seed: int, events: int = 120) -> None:
    """Let both do the same to somebody, event by event."""
    chance, core = random.Random(seed), probe(program)
    table = program.journeys[0]
    limited = [name for name, _, approximate, _ in table.described if approximate]
    t = BEGIN
    c = program.newcomer("ann", True, t)
    for number in range(events):
        t += chance.choice((0, 1, SECOND, MINUTE, 10 * MINUTE, 31 * MINUTE, HOUR, 2 * HOUR, DAY))
        e = happening(chance, t, number)
        if chance.random() < 0.2:
            c.stages[0] = chance.choice((-1, 0, 1))
            c.due = chance.choice((NEVER, t, t + HOUR))
        update_profile(c, e, t, program.silences)
        before, due = encode_core(c), c.due
        done = python(program, c, e, t)
        after, due, told = core.apply(before, due, e, t)
        assert encode_core(c) == after, (number, e)
        assert c.due == due
        assert done == [tuple(each) for each in msgspec.msgpack.decode(told)]
        for later in (t, t + 31 * MINUTE, t + 2 * HOUR):
            said = table.attributes(c, later)
            merged = table.approximate(c, later)
            expected = [list(said.values()), [name in merged for name in limited]]
            assert msgspec.msgpack.encode(expected) == core.read(after, later), (number, e)


@pytest.mark.parametrize("seed", range(6))
def test_every_form_of_attribute_folds_to_the_same_bytes(seed: int) -> None:
    compare(compiled(text(attributes(), RULES)), seed)


@pytest.mark.parametrize("seed", range(6))
def test_guards_choose_the_same_events(seed: int) -> None:
    folds = [f"{fold}, where: total > 1" for fold in FOLDS[:7] if "activity" not in fold]
    folds += ["count: order_completed, where: has(order_id), gap: 30m"]
    folds += [f'{span}, where: ticket_id != "a"' for span in SPANS[:3]]
    compare(compiled(text(folds, GUARDED_RULES)), seed)


def test_what_would_overflow_is_given_back() -> None:
    program = compiled(text(["count: order_completed"], RULES))
    c = program.newcomer("ann", True, BEGIN)
    core = probe(program)
    e = event("product_added", 0, "e1", cart_id="a")
    with pytest.raises(ValueError, match="64 bits"):
        core.apply(encode_core(c), NEVER, e, NEVER)
    c.attrs = ["no count" for _ in c.attrs]
    with pytest.raises(ValueError, match="another shape"):
        core.apply(encode_core(c), NEVER, event("order_completed", 0, "e2"), BEGIN)
