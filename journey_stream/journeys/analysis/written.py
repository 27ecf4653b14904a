"""Where things stand in the text: the nodes of rules and attributes, and every expression with its place.

In: the root node and the world of a journey without errors. Out: nodes by id, and `Written` expressions in
the order of the file, each with what is possible where it stands and with what holds whenever it is asked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from journey_stream.journeys.analysis.place import Place, World
from journey_stream.journeys.attribute_types import id_type
from journey_stream.journeys.durations import duration
from journey_stream.journeys.findings import Place as Spot
from journey_stream.journeys.guards import Expression, nodes
from journey_stream.journeys.model import (
    Absence,
    Attribute,
    OnEnter,
    OnEvent,
    Sequence,
    SignalRule,
    TransitionRule,
)
from journey_stream.journeys.read import Items, Node, Scalar, Table
from journey_stream.journeys.values_of import Guard
from journey_stream.values import SECOND

Rule = TransitionRule | SignalRule
_NUMERAL = re.compile(r"[0-9.]+[0-9a-zA-Z.]*")


@dataclass(frozen=True)
class Written:
    """One expression, where it stands."""

    guard: Guard
    label: str
    place: Place
    of_rule: bool = True
    """A rule asks for what it names; an attribute only if something asks for the attribute."""
    is_condition: bool = True
    """It has to be true; else it is a value, and only the choices in it are conditions."""
    given: tuple[tuple[Expression, Place], ...] = ()
    """Whenever it is asked, these hold."""
    words: tuple[tuple[str, Spot], ...] = ()
    """The event types that come to it, where several do, and where they stand."""

    @property
    def expression(self) -> Expression:
        """The expression itself."""
        return self.guard.expression

    def spot(self, at: int) -> Spot:
        """The place in the file of an offset of its text."""
        line, column = self.expression.place(at)
        return self.guard.spot(column, line)

    def numeral(self, node: nodes.Literal) -> str:
        """A number as its author wrote it: `90d`, not the seconds that it stands for."""
        found = _NUMERAL.match(self.expression.text, node.at)
        return found.group() if found else str(node.value)

    def shown(self, node: nodes.Node) -> str:
        """A part of the expression, short enough for a message."""
        if node is self.expression.root:
            text = " ".join(self.expression.text.split())
        else:
            text = nodes.to_text(nodes.rebuilt(node, self._as_written))
            text = text[1:-1] if text.startswith("(") else text
        return text if len(text) <= 80 else text[:77] + "..."

    def _as_written(self, node: nodes.Node, _: frozenset[str]) -> nodes.Node | None:
        is_number = isinstance(node, nodes.Literal) and node.kind in ("int", "double")
        return nodes.Name(self.numeral(node)) if is_number and isinstance(node, nodes.Literal) else None


class Source:
    """The nodes of one definition."""

    def __init__(self, root: Table) -> None:
        self.root = root
        self._rules: dict[tuple[str, str], Table] = {}
        for section in ("transitions", "signals"):
            node = self.value(root, section)
            for item in node.items if isinstance(node, Items) else ():
                name = self.value(item, "id")
                if isinstance(item, Table) and isinstance(name, Scalar):
                    self._rules[section, name.text] = item

    def rule(self, rule: Rule) -> Table:
        """The mapping of a rule."""
        return self._rules["signals" if isinstance(rule, SignalRule) else "transitions", rule.id]

    def attribute(self, name: str) -> Table:
        """The mapping of an attribute."""
        node = self.value(self.value(self.root, "attributes"), name)
        assert isinstance(node, Table), name
        return node

    def stage_table(self, name: str) -> Node | None:
        """The mapping of a stage or a parent, by its full id."""
        parent, _, leaf = name.partition("/")
        table = self.value(self.value(self.root, "stages"), parent)
        return self.value(self.value(table, "stages"), leaf) if leaf else table

    def stage(self, name: str) -> Spot:
        """Where a stage is named."""
        parent, _, leaf = name.partition("/")
        table = self.value(self.root, "stages")
        return (
            self.key(self.value(self.value(table, parent), "stages"), leaf) if leaf else self.key(table, name)
        )

    def lengths(self) -> frozenset[str]:
        """The parameters that are durations."""
        table = self.value(self.root, "parameters")
        return frozenset(
            name
            for name, entry in (table.entries.items() if isinstance(table, Table) else ())
            if isinstance(entry.value, Scalar) and duration(entry.value.text) is not None
        )

    def value(self, node: Node | None, key: str) -> Node | None:
        """The value of a key, if the node has it."""
        entry = node.entries.get(key) if isinstance(node, Table) else None
        return None if entry is None else entry.value

    def key(self, table: Node | None, key: str) -> Spot:
        """Where a key stands; the mapping itself if it is not there."""
        assert isinstance(table, Table), key
        entry = table.entries.get(key)
        return table if entry is None else entry.key

    def words(self, node: Node | None) -> tuple[tuple[str, Spot], ...]:
        """The words of a word or a list of words."""
        items = node.items if isinstance(node, Items) else (node,)
        return tuple((item.text, item) for item in items if isinstance(item, Scalar))


def written(source: Source, world: World) -> Iterator[Written]:
    """Every expression of the journey."""
    for attribute in world.journey.attributes.values():
        yield from _of_attribute(source, world, attribute)
    for rule in world.rules():
        yield from _of_rule(source, world, rule)


def called(rule: Rule) -> str:
    """What messages call a rule."""
    return f"{'signal' if isinstance(rule, SignalRule) else 'transition'} '{rule.id}'"


def asked_when(world: World, rule: Rule) -> Place:
    """The place of the rule's `when`."""
    floor = rule.min_dwell if isinstance(rule, TransitionRule) else 0
    place = Place(world, dwell=(floor / SECOND, math.inf))
    match rule.trigger:
        case OnEvent(types):
            return replace(place, words=types, after_event=True)
        case Sequence(steps, _, by):
            id_ = id_type(world.vocabulary, steps[0].types, by) if by else None
            return replace(place, words=steps[-1].types, after_event=True, id_=id_)
        case Absence(after=int() as after, since="stage"):
            lasted = max(after, floor) / SECOND
            return replace(place, dwell=(lasted, lasted))
        case Absence(since=tuple() as since, by=str(by)):
            return replace(place, id_=id_type(world.vocabulary, since, by))
        case OnEnter():
            return replace(place, dwell=(0.0, 0.0))
        case _:
            return place


def held_where(world: World, rule: Rule) -> tuple[tuple[Expression, Place], ...]:
    """What is asked of the event that triggers the rule."""
    match rule.trigger:
        case OnEvent(types, where) if where is not None:
            return ((where, Place(world, over_event=True, words=types)),)
        case Sequence(steps) if steps[-1].where is not None:
            return ((steps[-1].where, Place(world, over_event=True, words=steps[-1].types)),)
        case _:
            return ()


def _of_attribute(source: Source, world: World, attribute: Attribute) -> Iterator[Written]:
    table = source.attribute(attribute.name)
    label = f"attribute '{attribute.name}'"
    value = _guard(attribute.value, source.value(table, "value"))
    if value is not None:
        yield Written(value, f"{label}: 'value'", Place(world), of_rule=False)
    where = _guard(attribute.where, source.value(table, "where"))
    if where is not None:
        kinds = tuple(dict.fromkeys(each.type for each in attribute.sources))
        node = source.value(table, attribute.form)
        inner = source.value(
            node, {"open": "opened", "elapsed": "from", "map": "key"}.get(attribute.form, "")
        )
        words = source.words(node if inner is None else inner)
        words = tuple((word.partition(".")[0], spot) for word, spot in words)
        place = Place(world, over_event=True, words=kinds)
        yield Written(where, f"{label}: 'where'", place, of_rule=False, words=words)


def _of_rule(source: Source, world: World, rule: Rule) -> Iterator[Written]:
    table, label = source.rule(rule), called(rule)
    yield from _of_trigger(source, world, rule, table)
    place, given = asked_when(world, rule), held_where(world, rule)
    when = _guard(rule.when, source.value(table, "when"))
    if when is not None:
        words = source.words(source.value(table, "event")) if isinstance(rule.trigger, OnEvent) else ()
        yield Written(when, f"{label}: 'when'", place, given=given, words=words)
        given = (*given, (when.expression, place))
    reason = _guard(rule.reason_from, source.value(table, "reason_from"))
    if reason is not None:
        yield Written(reason, f"{label}: 'reason_from'", place, is_condition=False, given=given)
    for name, expression in rule.payload.items() if isinstance(rule, SignalRule) else ():
        told = _guard(expression, source.value(source.value(table, "payload"), name))
        if told is not None:
            yield Written(told, f"{label}: payload '{name}'", place, is_condition=False, given=given)


def _of_trigger(source: Source, world: World, rule: Rule, table: Table) -> Iterator[Written]:
    label, node = called(rule), source.value(table, "where")
    match rule.trigger:
        case OnEvent(types, where):
            words = source.words(source.value(table, "event"))
            yield from _over_event(world, where, node, f"{label}: 'where'", types, words)
        case Sequence(steps):
            wheres = node.items if isinstance(node, Items) else (node,) * len(steps)
            listed = source.value(table, "sequence")
            for number, (step, each) in enumerate(zip(steps, wheres, strict=False), 1):
                words = source.words(listed.items[number - 1]) if isinstance(listed, Items) else ()
                told = f"{label}: 'where' of step {number}"
                yield from _over_event(world, step.where, each, told, step.types, words)
        case Absence() as trigger:
            since = () if isinstance(trigger.since, str) else trigger.since
            words = source.words(source.value(table, "since") or source.value(table, "event"))
            yield from _over_event(world, trigger.where, node, f"{label}: 'where'", since, words)
            unless, words = source.value(table, "unless_where"), source.words(source.value(table, "unless"))
            told = f"{label}: 'unless_where'"
            yield from _over_event(world, trigger.unless_where, unless, told, trigger.unless, words)
            after = trigger.after if isinstance(trigger.after, Expression) else None
            delay = _guard(after, source.value(table, "after"))
            if delay is not None:
                place = replace(asked_when(world, rule), dwell=(0.0, math.inf))
                yield Written(delay, f"{label}: 'after'", place, is_condition=False)
        case OnEnter():
            pass


def _over_event(
    world: World,
    where: Expression | None,
    node: Node | None,
    label: str,
    types: tuple[str, ...],
    words: tuple[tuple[str, Spot], ...],
) -> Iterator[Written]:
    guard = _guard(where, node)
    if guard is not None:
        yield Written(guard, label, Place(world, over_event=True, words=types), words=words)


def _guard(expression: Expression | None, node: Node | None) -> Guard | None:
    return Guard(expression, node) if expression is not None and isinstance(node, Scalar) else None
