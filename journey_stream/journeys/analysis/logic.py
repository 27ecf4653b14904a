"""Whether conditions can hold together: formulas over terms, each term with the values it can have.

In: formulas (`Both`, `Either`, single `Test`s) and what is possible of each term. Out: can they hold at once?
"No" is certain; "yes" may be a lack of insight, for terms are looked at one by one (that `a < b` and `b < a`
exclude each other is seen, that `a < b` and `b < c` say something of `a` and `c` is not) and work is bounded.
So whoever reports what cannot be never raises a false alarm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

Order = Literal["<", "<=", ">", ">=", "==", "!="]
INVERSE: dict[Order, Order] = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}
MIRROR: dict[Order, Order] = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
STEPS = 4_000
"""How many alternatives one question may go through before the answer is "perhaps"."""
DEEP = 200
"""How many choices may hang on each other."""
FEW = 64
"""Up to so many whole numbers an interval is counted out."""


@dataclass(frozen=True, slots=True)
class Possible:
    """What a term can be. Numbers lie from `least` to `most`, the ends included unless `open_*`."""

    least: float = -math.inf
    most: float = math.inf
    whole: bool = False
    words: frozenset[str | bool] | None = None
    """A closed list of texts or truth values; None: any."""
    known: bool | None = None
    """True: never unknown; False: always unknown."""
    needs: frozenset[str] = frozenset()
    """Terms that are known whenever this one is."""
    open_least: bool = False
    open_most: bool = False
    holes: frozenset[float] = frozenset()
    barred: frozenset[str | bool] = frozenset()

    @property
    def empty(self) -> bool:
        """Nothing is left."""
        if self.words is not None and not self.words - self.barred:
            return True
        if self.least > self.most or (self.least == self.most and (self.open_least or self.open_most)):
            return True
        if self.least == self.most:
            return self.least in self.holes
        return self.whole and self._counted_out()

    def _counted_out(self) -> bool:
        """No whole number between the ends is left."""
        first = -math.inf if self.least == -math.inf else math.ceil(self.least)
        last = math.inf if self.most == math.inf else math.floor(self.most)
        if math.isinf(first) or math.isinf(last):
            return False
        first += self.open_least and first == self.least
        last -= self.open_most and last == self.most
        if last - first >= FEW:
            return False
        return all(number in self.holes for number in range(int(first), int(last) + 1))


ANYTHING = Possible()


@dataclass(frozen=True, slots=True)
class Known:
    """The term is known, or it is not."""

    term: str
    is_known: bool


@dataclass(frozen=True, slots=True)
class Number:
    """The term is known and compares so with a number."""

    term: str
    order: Order
    value: float


@dataclass(frozen=True, slots=True)
class Word:
    """The term is known and among these words or truth values, or known and not among them."""

    term: str
    words: frozenset[str | bool]
    among: bool = True


@dataclass(frozen=True, slots=True)
class Both:
    """All of these; none: true."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of these at least; none: false."""

    parts: tuple[Formula, ...]


Test: TypeAlias = Known | Number | Word
Formula: TypeAlias = Known | Number | Word | Both | Either
TRUE, FALSE = Both(()), Either(())


def opposite(formula: Formula) -> Formula:
    """What holds exactly when the formula does not."""
    match formula:
        case Known(term, is_known):
            return Known(term, not is_known)
        case Number(term, order, value):
            return Either((Known(term, False), Number(term, INVERSE[order], value)))
        case Word(term, words, among):
            return Either((Known(term, False), Word(term, words, not among)))
        case Both(parts):
            return Either(tuple(map(opposite, parts)))
        case Either(parts):
            return Both(tuple(map(opposite, parts)))


def can_hold(formulas: Sequence[Formula], possible: Callable[[str], Possible]) -> bool:
    """Tell whether all formulas can hold at once; True also when that would take too long to find out."""
    return _Search(possible).any_way(list(formulas), {})


class _Search:
    """Goes through the alternatives, narrow ones first, and drops each once a term has no value left."""

    def __init__(self, possible: Callable[[str], Possible]) -> None:
        self._possible = possible
        self._left = STEPS

    def any_way(self, waiting: list[Formula], state: Mapping[str, Possible]) -> bool:
        """Whether what waits can hold in a state."""
        terms = dict(state)
        choices: list[Either] = []
        while waiting:
            formula = waiting.pop()
            if isinstance(formula, Both):
                waiting.extend(formula.parts)
            elif isinstance(formula, Either):
                if len(formula.parts) == 1:
                    waiting.append(formula.parts[0])
                else:
                    choices.append(formula)
            elif not self._assume(formula, terms):
                return False
        if not choices or len(choices) > DEEP:
            return True
        choices.sort(key=lambda choice: len(choice.parts))
        first, *rest = choices
        for part in first.parts:
            self._left -= 1
            if self._left < 0 or self.any_way([*rest, part], terms):
                return True
        return False

    def _assume(self, test: Test, terms: dict[str, Possible]) -> bool:
        """Narrow what the test's term can be; False when nothing is left."""
        held = terms.get(test.term) or self._possible(test.term)
        if isinstance(test, Known) and not test.is_known:
            terms[test.term] = replace(held, known=False)
            return held.known is not True
        if held.known is False:
            return False
        for other in held.needs:
            needed = terms.get(other) or self._possible(other)
            if needed.known is False:
                return False
            terms[other] = replace(needed, known=True)
        narrowed = replace(held, known=True)
        if isinstance(test, Number):
            narrowed = _ordered(narrowed, test.order, test.value)
        elif isinstance(test, Word) and test.among:
            words = test.words if narrowed.words is None else narrowed.words & test.words
            narrowed = replace(narrowed, words=words)
        elif isinstance(test, Word):
            narrowed = replace(narrowed, barred=narrowed.barred | test.words)
        terms[test.term] = narrowed
        return not narrowed.empty


def _ordered(held: Possible, order: Order, value: float) -> Possible:
    if order == "!=":
        return replace(
            held,
            holes=held.holes | {value},
            open_least=held.open_least or held.least == value,
            open_most=held.open_most or held.most == value,
        )
    if order in ("<", "<=", "=="):
        is_open = order == "<"
        if value < held.most or (value == held.most and is_open):
            held = replace(held, most=value, open_most=is_open)
    if order in (">", ">=", "=="):
        is_open = order == ">"
        if value > held.least or (value == held.least and is_open):
            held = replace(held, least=value, open_least=is_open)
    return held
