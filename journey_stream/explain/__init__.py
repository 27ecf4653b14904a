"""Explain: where one customer is in each journey, how they came there, and what each way out still asks.

    conditions = Conditions()                                  a watch that can be asked again later
    program = compile_program(journeys, vocabulary, options, watch=conditions)
    found = explain(journeys, program, conditions, customer, records, at)
    tell(found, journeys)  -> text        msgspec.to_builtins(found)  -> JSON

Pure: a customer's state and records in, values out. Where the state comes from (events of a file, or the
changelog of a running deployment) is the verb's business.
"""

from journey_stream.explain.conditions import Condition, Conditions
from journey_stream.explain.explanation import Explanation, JourneyNow, Moment, WayOut, explain
from journey_stream.explain.history import last_state
from journey_stream.explain.tell import tell

__all__ = [
    "Condition",
    "Conditions",
    "Explanation",
    "JourneyNow",
    "Moment",
    "WayOut",
    "explain",
    "last_state",
    "tell",
]
