"""A `where` as a function of an event: for filters and for whoever looks at events without customers.

In: a checked expression and the event types it was written for. Out: a function that tells whether it holds;
it is compiled for each event type when its first event comes, since a type may lack a property.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from journey_stream.engine.scope import Names
from journey_stream.events.vocabulary import Vocabulary
from journey_stream.journeys.guards import Expression, Guard, compile_event_expr
from journey_stream.journeys.model import Value
from journey_stream.values import Event


def event_names(vocabulary: Vocabulary, parameters: Mapping[str, Value] | None = None) -> Names:
    """Return what an expression over events alone can name."""
    return Names(vocabulary, parameters or {}, 0, (), {}, lambda _: 0)


def event_test(expression: Expression, names: Names, words: Sequence[str]) -> Callable[[Event], bool]:
    """Make a function of a `where` over events of the types `words`; unknown is false."""
    guards: dict[str, Guard] = {}

    def holds(event: Event) -> bool:
        guard = guards.get(event.type)
        if guard is None:
            guard = guards[event.type] = compile_event_expr(expression, names.where(words, event.type))
        return guard(None, event, event.at) is True

    return holds
