"""The JSON Schema (2020-12) of test files, for editors: made from the keys that the reader checks with."""

from __future__ import annotations

from journey_stream.testing.cases import CASE_KEYS, EVENT_KEYS, FILE_KEYS, SIGNAL_KEYS, TRANSITION_KEYS

_TIME: dict[str, object] = {
    "description": "day 3, day 3 10:30, +2h (after the event before), or a time as RFC 3339",
    "type": "string",
}
_VARIABLE: dict[str, object] = {
    "description": "The value that each of `cases` gives.",
    "type": "string",
    "pattern": r"^\$[a-z_][a-z0-9_]*$",
}
_FILE_DOCS = {
    "start": "The time that `day 0` begins; 2026-01-01T00:00:00Z if left out.",
    "quiet": "Signals that tests leave out unless they name them.",
    "tests": "The tests.",
}
_CASE_DOCS = {
    "name": "A sentence: what the journey does.",
    "given": "The story: one event a line, `day 3 10:30: order_completed total=20`, or mappings.",
    "when": "How far the clock runs; to the last event if left out.",
    "then": "The transitions, in this order and nothing else; the entry into the start stage comes first.",
    "signals": "The signals, in this order and nothing else.",
    "stage": "The stage at the end.",
    "attributes": "Values of attributes at the end.",
    "parameters": "Parameters of the definition that this test sets otherwise.",
    "quiet": "As at the top, for this test: [] hears every signal.",
    "cases": "One mapping per case; `$name` in the test stands for the case's value.",
}


def journey_test_schema() -> dict[str, object]:
    """Describe `x_test.yaml`: what `read_tests` takes."""
    names: dict[str, object] = {"type": "array", "items": {"type": "string"}}
    per_customer = {"type": "object", "description": "By customer, where the story has several."}
    file_types: dict[str, dict[str, object]] = {
        "start": _TIME,
        "quiet": names,
        "tests": {"type": "array", "items": {"$ref": "#/$defs/test"}},
    }
    case_types: dict[str, dict[str, object]] = {
        "name": {"type": "string", "minLength": 1},
        "given": {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/event"}]}},
                {"type": "null"},
            ]
        },
        "when": _TIME,
        "then": {"anyOf": [_records("transition"), per_customer, _VARIABLE]},
        "signals": {"anyOf": [_records("signal"), per_customer, _VARIABLE]},
        "stage": {"anyOf": [{"type": "string"}, per_customer]},
        "attributes": {"anyOf": [{"type": "object"}, _VARIABLE]},
        "parameters": {"type": "object"},
        "quiet": names,
        "cases": {"type": "array", "minItems": 1, "items": {"type": "object"}},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tests of a journey definition",
        "description": "Beside x.yaml: given these events, when the clock says, then these records.",
        **_object(FILE_KEYS, file_types, _FILE_DOCS, ("tests",)),
        "$defs": {
            "test": _object(CASE_KEYS, case_types, _CASE_DOCS, ("name",)),
            "event": {
                "type": "object",
                "description": "One key, `day 3: order_completed total=20`, or these.",
                "anyOf": [
                    {"maxProperties": 1, "patternProperties": {"^(day |\\+|\\d{4}-)": {"type": "string"}}},
                    _object(EVENT_KEYS, {"at": _TIME, "type": {"type": "string"}}, {}, ("at", "type")),
                ],
            },
            "transition": _object(TRANSITION_KEYS, {"at": _TIME, "to": {"type": "string"}}, {}, ("to",)),
            "signal": _object(
                SIGNAL_KEYS,
                {
                    "at": _TIME,
                    "until": _TIME,
                    "signal": {"type": "string"},
                    "status": {"enum": ["raised", "cancelled"]},
                },
                {},
                ("signal",),
            ),
        },
    }


def _records(name: str) -> dict[str, object]:
    items = {"anyOf": [{"type": "string"}, {"$ref": f"#/$defs/{name}"}]}
    return {"type": ["array", "null"], "items": items}


def _object(
    keys: tuple[str, ...],
    types: dict[str, dict[str, object]],
    docs: dict[str, str],
    required: tuple[str, ...],
) -> dict[str, object]:
    described: dict[str, object] = {
        key: types.get(key, {}) | ({"description": docs[key]} if key in docs else {}) for key in keys
    }
    return {
        "type": "object",
        "properties": described,
        "required": list(required),
        "additionalProperties": False,
    }
