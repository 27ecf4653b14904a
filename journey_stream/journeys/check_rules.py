"""Transitions and signals: checked fields -> the model's rules.

In: the list of rules, stages, attributes. Out: `TransitionRule`s and `SignalRule`s in file order; a rule that
has an error is left out, its findings stay.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from journey_stream.journeys.attribute_types import id_type
from journey_stream.journeys.check import Context, Fields, check_table
from journey_stream.journeys.check_attributes import check_by
from journey_stream.journeys.check_stages import Stages
from journey_stream.journeys.expressions import type_of
from journey_stream.journeys.findings import Place
from journey_stream.journeys.grammar import SHAPES
from journey_stream.journeys.guards import Expression
from journey_stream.journeys.guards.types import BOOL, DOUBLE, STRING, Type
from journey_stream.journeys.model import (
    DEFAULT_TIMER_LIMIT,
    Absence,
    Fixed,
    OnEnter,
    OnEvent,
    Rate,
    Sequence,
    SignalRule,
    Step,
    Target,
    TransitionRule,
    Trigger,
)
from journey_stream.journeys.read import Node, Scalar
from journey_stream.journeys.scopes import Scopes
from journey_stream.journeys.values_of import Guard

Since = tuple[str, ...] | Literal["stage"]
RESERVED_IDS = {"start": "it is the rule of the record that enters the start stage"}


@dataclass(frozen=True, slots=True)
class Known:
    """What the expressions of a rule know beside the customer."""

    event: tuple[str, ...] = ()
    """The types that `event.x` speaks of: of what triggers, of the last step of a sequence."""
    id: Type | None = None
    """The type of `id`, where the trigger has `by`."""


@dataclass(slots=True)
class Rules:
    """Reads the rules of one journey."""

    stages: Stages
    scopes: Scopes
    context: Context
    broken: Collection[str]
    """Names of attributes that were written but did not fit."""

    def transitions(self, nodes: tuple[Node, ...]) -> tuple[TransitionRule, ...]:
        """Read all transitions."""
        read = [self._transition(fields) for fields in self._each(nodes, "transition")]
        return tuple(rule for rule in read if rule is not None)

    def signals(self, nodes: tuple[Node, ...]) -> tuple[SignalRule, ...]:
        """Read all signals."""
        read = [self._signal(fields) for fields in self._each(nodes, "signal")]
        return tuple(rule for rule in read if rule is not None)

    def _each(self, nodes: tuple[Node, ...], shape: str) -> list[Fields]:
        found: list[Fields] = []
        first: dict[str, Place] = {}
        for number, node in enumerate(nodes, 1):
            fields = check_table(node, SHAPES[shape], self.context, _label(node, shape, number))
            if fields is None:
                continue
            name = fields.get("id")
            if name in RESERVED_IDS and shape == "transition":
                msg = f"{fields.label}: the id is taken: {RESERVED_IDS[name]}"
                self.context.report.add("bad-name", fields.at("id"), msg, "Choose another")
            if name is not None and name in first:
                msg = f"the {shape} id '{name}' was given before, in line {first[name].line}"
                self.context.report.add("duplicate-id", fields.at("id"), msg, "Give each its own id")
            elif name is not None:
                first[name] = fields.at("id")
            found.append(fields)
        return found

    def _transition(self, fields: Fields) -> TransitionRule | None:
        before = self._errors()
        origins = self.stages.expand(fields.get("from", ()), self.context, f"{fields.label}: 'from'")
        node = fields.get("to")
        target = None
        if node is not None:
            target = self.stages.target(node, origins, self.context, f"{fields.label}: 'to'")
        trigger = self._trigger(fields)
        known = self._known(trigger)
        when = self._guard(fields, "when", known, BOOL)
        reason_from = self._reason_from(fields, known)
        if target is not None and not fields.get("reenter"):
            self._moves(fields, target, origins)
        if self._errors() > before or target is None or trigger is None or isinstance(trigger, OnEnter):
            return None
        return TransitionRule(
            id=fields.get("id"),
            from_=origins,
            to=target,
            trigger=trigger,
            when=when,
            reason=fields.get("reason"),
            reason_from=reason_from,
            owner=fields.get("owner"),
            min_dwell=fields.get("min_dwell", 0),
            reenter=fields.get("reenter", False),
            line=fields.node.line,
        )

    def _moves(self, fields: Fields, target: Target, origins: tuple[str, ...]) -> None:
        """Warn when the target is where everybody already is."""
        if isinstance(target, Fixed) and origins and set(origins) == {target.stage}:
            msg = f"{fields.label} leads from '{origins[0]}' to itself, so it never moves anybody"
            hint = "Add reenter: true if entering it anew is meant"
            self.context.report.add("nothing-moves", fields.at("to"), msg, hint)

    def _signal(self, fields: Fields) -> SignalRule | None:
        before = self._errors()
        where = fields.get("in")
        inside = tuple(self.stages.leaves)
        if where is not None:
            inside = self.stages.expand(where, self.context, f"{fields.label}: 'in'")
        trigger = self._trigger(fields)
        known = self._known(trigger)
        by = fields.get("by")
        if isinstance(trigger, OnEvent) and isinstance(by, Scalar):
            check_by(by, trigger.types, self.context, fields.label)
        if isinstance(trigger, OnEnter) and isinstance(by, Scalar) and fields.has("cancel"):
            msg = f"{fields.label}: 'by' ties events together, and 'enter' is triggered by none"
            self.context.report.add("conflicting-keys", by, msg, "Leave it out")
        payload = {
            name: guard.expression
            for name, guard in fields.get("payload", {}).items()
            if self._type(guard, known, f"{fields.label}: payload '{name}'") is not None
        }
        when = self._guard(fields, "when", known, BOOL)
        reason_from = self._reason_from(fields, known)
        rate = self._rate(fields)
        if self._errors() > before or trigger is None:
            return None
        return SignalRule(
            id=fields.get("id"),
            title=fields.get("title", {}),
            in_=inside,
            trigger=trigger,
            when=when,
            kind=fields.get("kind"),
            expires=fields.get("expires"),
            cancel=fields.get("cancel", ()),
            by=by.text if isinstance(by, Scalar) else None,
            rate=rate,
            owner=fields.get("owner"),
            reason=fields.get("reason"),
            reason_from=reason_from,
            payload=payload,
            signal=fields.get("signal") or fields.get("id"),
            line=fields.node.line,
        )

    def _known(self, trigger: Trigger | None) -> Known:
        vocabulary = self.context.vocabulary
        match trigger:
            case OnEvent(types):
                return Known(types)
            case Sequence(steps, _, by):
                return Known(steps[-1].types, id_type(vocabulary, steps[0].types, by) if by else None)
            case Absence(_, since, _, by) if by and since != "stage":
                return Known((), id_type(vocabulary, since, by))
        return Known()

    def _errors(self) -> int:
        return sum(finding.severity == "error" for finding in self.context.report.findings)

    def _rate(self, fields: Fields) -> Rate | None:
        node = fields.get("limit")
        if node is None:
            return None
        inner = check_table(node, SHAPES["rate"], self.context, f"{fields.label}: 'limit'")
        if inner is None or inner.get("every") is None:
            return None
        if inner.get("every") == 0:
            msg = f"{fields.label}: 'every' is no time at all"
            self.context.report.add("bad-duration", inner.at("every"), msg, "Write a duration such as 7d")
        return Rate(inner.get("every"), inner.get("count", 1))

    def _reason_from(self, fields: Fields, known: Known) -> Expression | None:
        if fields.has("reason") and fields.has("reason_from"):
            msg = f"{fields.label}: 'reason' and 'reason_from' exclude each other"
            self.context.report.add("conflicting-keys", fields.at("reason_from"), msg, "Keep one")
        return self._guard(fields, "reason_from", known, STRING)

    def _guard(self, fields: Fields, key: str, known: Known, expected: Type) -> Expression | None:
        guard = fields.get(key)
        if not isinstance(guard, Guard):
            return None
        self._type(guard, known, f"{fields.label}: '{key}'", expected)
        return guard.expression

    def _type(self, guard: Guard, known: Known, label: str, expected: Type | None = None) -> Type | None:
        return type_of(
            guard, self.scopes.when(known.event, known.id), self.context, label, self.broken, expected
        )

    def _where(self, guard: Guard | None, kinds: tuple[str, ...], label: str) -> Expression | None:
        if guard is None:
            return None
        scope = self.scopes.where(kinds)
        type_of(guard, scope, self.context, label, self.scopes.attributes, BOOL, over_event=True)
        return guard.expression

    def _trigger(self, fields: Fields) -> Trigger | None:
        if fields.has("after"):
            return self._absence(fields)
        if fields.has("sequence"):
            return self._sequence(fields)
        if fields.has("enter"):
            if fields.has("where"):
                msg = f"{fields.label}: 'where' is over an event, and 'enter' is triggered by none"
                hint = "Use when: with attributes"
                self.context.report.add("conflicting-keys", fields.at("where"), msg, hint)
            words = fields.get("enter")
            if words is None:
                return None
            return OnEnter(self.stages.expand(words, self.context, f"{fields.label}: 'enter'"))
        types = fields.get("event")
        if types is None:
            return None
        return OnEvent(types, self._where(self._one_where(fields), types, f"{fields.label}: 'where'"))

    def _one_where(self, fields: Fields) -> Guard | None:
        where = fields.get("where")
        if isinstance(where, tuple):
            msg = f"{fields.label}: a list of 'where' is for the steps of a sequence"
            self.context.report.add("wrong-type", fields.at("where"), msg, "Join them with &&")
            return None
        return where if isinstance(where, Guard) else None

    def _absence(self, fields: Fields) -> Absence | None:
        after = fields.get("after")
        since: Since = fields.get("since") or fields.get("event") or "stage"
        by = fields.get("by")
        label = f"{fields.label}: 'where'"
        where = self._one_where(fields)
        if since == "stage":
            if where is not None or isinstance(by, Scalar):
                key = "where" if where is not None else "by"
                msg = f"{fields.label}: '{key}' is over the 'since' event, and 'since: stage' has none"
                self.context.report.add("conflicting-keys", fields.at(key), msg, "Name event types in since")
            guard = None
        else:
            guard = self._where(where, since, label)
            if isinstance(by, Scalar):
                check_by(by, since, self.context, fields.label)
        if after is None:
            return None
        unless_where: Guard | None = fields.get("unless_where")
        unless = fields.get("unless", ())
        absence = Absence(
            after=after.expression if isinstance(after, Guard) else after,
            since=since,
            unless=unless,
            by=by.text if isinstance(by, Scalar) else None,
            where=guard,
            unless_where=self._where(unless_where, unless, f"{fields.label}: 'unless_where'")
            if unless
            else None,
            limit=self._limit(fields),
        )
        if isinstance(after, Guard):
            self._type(after, self._known(absence), f"{fields.label}: 'after'", DOUBLE)
        return absence

    def _limit(self, fields: Fields) -> int:
        limit = fields.get("limit", DEFAULT_TIMER_LIMIT)
        return limit if isinstance(limit, int) else DEFAULT_TIMER_LIMIT

    def _sequence(self, fields: Fields) -> Sequence | None:
        steps: tuple[tuple[str, ...], ...] | None = fields.get("sequence")
        within = fields.get("within")
        if not fields.has("within"):
            msg = f"{fields.label}: a sequence needs 'within', how long the whole of it may take"
            self.context.report.add("missing-key", fields.node, msg, "Add within: 1d")
        if steps is None:
            return None
        where = fields.get("where")
        guards: tuple[Guard | None, ...] = (None,) * len(steps)
        if isinstance(where, tuple):
            if len(where) != len(steps):
                msg = f"{fields.label}: {len(steps)} steps and {len(where)} 'where'"
                hint = "One per step, null for none"
                self.context.report.add("bad-value", fields.at("where"), msg, hint)
            else:
                guards = where
        elif isinstance(where, Guard):
            guards = (where,) * len(steps)
        by = fields.get("by")
        if isinstance(by, Scalar):
            check_by(by, tuple(kind for step in steps for kind in step), self.context, fields.label)
        made = tuple(
            Step(kinds, self._where(guard, kinds, f"{fields.label}: 'where' of step {number}"))
            for number, (kinds, guard) in enumerate(zip(steps, guards, strict=True), 1)
        )
        if within is None:
            return None
        return Sequence(made, within, by.text if isinstance(by, Scalar) else None, self._limit(fields))


def _label(node: Node, shape: str, number: int) -> str:
    entry = getattr(node, "entries", {}).get("id")
    if entry is not None and isinstance(entry.value, Scalar) and entry.value.text:
        return f"{shape} '{entry.value.text[:60]}'"
    return f"{shape} {number}"
