"""The one description of the language: which keys there are, what each takes, what it is for.

In: nothing. Out: `SHAPES`. The checker refuses what does not stand here, the JSON Schema for editors
(`jsonschema`) and the reference table of docs/journeys.md (`reference`) are made from it: one vocabulary,
three mirrors, and a test that compares them. What names mean is not its job.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from journey_stream.values import Kind

SLUG = r"[a-z][a-z0-9_-]*"
JOURNEY_ID = r"[a-z][a-z0-9-]*"
NAME = r"[a-z][a-z0-9_]*"
DURATION = r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|[wdhms]))+"
LANGUAGE = r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*"

MAX_INTEGER = 10_000_000

KINDS: tuple[str, ...] = get_args(Kind)
FORMS = (
    "count", "sum", "min", "max", "mean", "first", "last", "distinct", "map", "open", "elapsed", "rhythm",
    "value",
)  # fmt: skip
KEPT = tuple(form for form in FORMS if form != "value")

Takes = Literal[
    "journey id",
    "id",
    "text",
    "title",
    "integer",
    "boolean",
    "kind",
    "duration",
    "delay",
    "window",
    "keeps",
    "parameters",
    "types",
    "since",
    "sequence",
    "property",
    "properties",
    "path",
    "names",
    "stage",
    "stages",
    "target",
    "guard",
    "guards",
    "guard map",
    "table",
    "tables by name",
    "list of tables",
]
"""What a key can take; the last three mean the shape named by `Key.shape`."""

EXAMPLES: dict[Takes, tuple[object, ...]] = {
    "journey id": ("buyer-value",),
    "title": ({"en": "Prospect", "fr": "Prospect"}, "Prospect"),
    "delay": ("14d", "silence", "max(silence, 4 * rhythm)"),
    "window": ("90d", "stage", "session"),
    "parameters": ({"core_orders": 4, "silence": "270d"},),
    "types": ("order_completed", ["order_cancelled", "order_refunded"], "activity"),
    "since": ("stage", "order_completed"),
    "sequence": (["checkout_started", ["checkout_failed", "page_left"]],),
    "property": ("order_completed.products[].category",),
    "properties": ("order_completed.total", ["survey_responded.sentiment", "product_reviewed.sentiment"]),
    "path": ("order_id", "context.channel"),
    "stages": ("any", "buyer", ["buyer", "loyal"], "seduction/*", "*/search"),
    "target": ("buyer", "./search", "weakness/.", {"back": "development"}),
    "guard": ("orders >= 4", "!has(satisfied) || satisfied >= 0.7", 'kind == "complaint"'),
    "guard map": ({"orders": "orders", "value": "cart_value"},),
}
"""Values for editors to show; every one is accepted by its schema."""

TAKES: dict[str, str] = {
    "journey id": "small letters, digits and `-`, a letter first",
    "id": "small letters, digits, `_` and `-`, a letter first",
    "text": "text",
    "title": "text, or a text per language: `{en: Prospect, fr: Prospect}`",
    "integer": "a whole number",
    "boolean": "`true` or `false`",
    "kind": "one of " + ", ".join(f"`{kind}`" for kind in KINDS),
    "duration": "`30s`, `15m`, `4h`, `120d`, `2w`, `250ms`, sums such as `1d12h`, or a parameter that is one",
    "delay": "a duration, or an expression in seconds: `max(silence, 4 * rhythm)`",
    "window": "a duration (sliding window), `stage` (since the stage was entered) or `session`",
    "keeps": "`last`, `sum` or `count`",
    "parameters": "names with a number, duration, `true`/`false`, text, or a list of one of these",
    "types": "an event type, a list of them, or `activity` (any act of the customer)",
    "since": "event types, or `stage`: the entry into the stage",
    "sequence": "a list of at least two steps, each an event type or a list of them",
    "property": "`type.path`, such as `order_completed.products[].category`",
    "properties": "`type.path`, or a list of them",
    "path": "a property of the event: `order_id`, `context.channel`",
    "names": "a list of names of attributes",
    "stage": "a stage, or a parent (then its `initial`)",
    "stages": "a stage, a parent (all inside), a pattern (`*/search`, `seduction/*`), a list, or `any`",
    "target": "a stage, a parent, `./leaf` (same parent), `parent/.` (same leaf), or `{back: fallback}`",
    "guard": "a CEL expression",
    "guards": "a CEL expression; for a sequence a list, one per step, `null` for none",
    "guard map": "names with a CEL expression each",
    "table": "a mapping",
    "tables by name": "a mapping of names to mappings",
    "list of tables": "a list of mappings",
}


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a shape."""

    name: str
    takes: Takes
    doc: str
    required: bool = False
    needs: tuple[str, ...] = ()
    """Stands only beside one of these keys."""
    shape: str | None = None
    least: int = 1
    """For whole numbers."""
    or_list: bool = False
    """`property` only: a list is allowed too."""
    default: str | int | bool | None = None
    """What it is if left out, where that is one value."""
    excludes: tuple[str, ...] = ()
    """Does not stand beside any of these keys."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of mapping."""

    name: str
    doc: str
    keys: tuple[Key, ...]
    one_of: tuple[str, ...] = ()
    """Exactly one of these keys stands there."""

    def key(self, name: str) -> Key | None:
        """Find a key by its name."""
        return next((key for key in self.keys if key.name == name), None)

    @property
    def names(self) -> tuple[str, ...]:
        """All keys, in the order of the reference."""
        return tuple(key.name for key in self.keys)


_TIMED = ("after", "sequence")
_TRIGGER = (
    Key("event", "types", "The event types that trigger it (with `after`: what starts the waiting)."),
    Key("after", "delay", "Triggers when this long has passed since `since` and no `unless` came."),
    Key("since", "since", "What starts the waiting; `stage` if left out.", needs=("after",), default="stage"),
    Key("unless", "types", "What ends the waiting.", needs=("after",)),
    Key("unless_where", "guard", "Over the `unless` event: only a match ends it.", needs=("unless",)),
    Key("sequence", "sequence", "Triggers when these come in this order within `within`."),
    Key("within", "duration", "How long the whole sequence may take.", needs=("sequence",)),
)
_GUARDS = (
    Key("where", "guards", "Over the properties of the triggering (or `since`) event."),
    Key("when", "guard", "Over attributes, parameters, `event.x`, `before.x` and the built-in names."),
)
_REASONS = (
    Key("owner", "text", "Who answers for it."),
    Key("reason", "id", "The reason that the record carries."),
    Key("reason_from", "guard", "The reason as an expression that yields text.", excludes=("reason",)),
)

JOURNEY = Shape(
    "journey",
    "One file is one journey.",
    (
        Key("journey", "journey id", "The id of the journey.", required=True),
        Key("version", "integer", "Counts up with each change that is deployed.", required=True),
        Key("title", "title", "The name for people."),
        Key("description", "text", "What it is for."),
        Key("parameters", "parameters", "Values to tune, named once and used in expressions and durations."),
        Key("attributes", "tables by name", "What is kept of each customer.", shape="attribute"),
        Key("records", "names", "The attributes that travel with every record of this journey."),
        Key("start", "stage", "The stage that a person's first event enters.", required=True),
        Key("stages", "tables by name", "The stages, in the order of the way.", required=True, shape="stage"),
        Key("transitions", "list of tables", "The moves; the first that holds wins.", shape="transition"),
        Key("signals", "list of tables", "The calls to act.", shape="signal"),
    ),
)
ATTRIBUTE = Shape(
    "attribute",
    "What is kept (or derived) per customer: one of the forms, and what narrows it.",
    (
        Key("count", "types", "How many of these came; 0 if none."),
        Key("sum", "properties", "The sum of a number; 0 if none."),
        Key("min", "properties", "The least value seen."),
        Key("max", "properties", "The greatest value seen."),
        Key("mean", "properties", "The mean of the values seen."),
        Key("first", "properties", "The first value seen."),
        Key("last", "properties", "The last value seen."),
        Key("distinct", "properties", "The list of different values, in order of first sight."),
        Key("map", "table", "A value per key.", shape="map"),
        Key("open", "table", "What was opened and not closed yet: `x` counts, `oldest(x)` is the age.",
            shape="open"),
        Key("elapsed", "table", "The seconds from one event to another, last measured.", shape="elapsed"),
        Key("rhythm", "types", "The mean interval between these, in seconds, once `gaps` are known."),
        Key("value", "guard", "Derived on read from other attributes and parameters."),
        Key("where", "guard", "Only events of which this holds.", needs=KEPT),
        Key("over", "window", "Only the last while; all time if left out.", needs=KEPT),
        Key("less", "types", "What takes back (with `by`: what was counted for that id).",
            needs=("count", "sum")),
        Key("by", "path", "Each id counts once.", needs=("count", "sum", "rhythm")),
        Key("gap", "duration", "A burst with gaps below this counts once.", needs=("count",)),
        Key("gaps", "integer", "How many intervals `rhythm` needs; 3 if left out.", needs=("rhythm",),
            default=3),
        Key("limit", "integer", "The most entries kept; the oldest are merged. 1,000 if left out.",
            needs=KEPT, default=1_000),
    ),
    one_of=FORMS,
)  # fmt: skip
MAP = Shape(
    "map",
    "A value per key.",
    (
        Key("key", "property", "Where the key comes from.", required=True, or_list=True),
        Key("value", "keeps", "What is kept per key.", required=True),
        Key("of", "path", "The value that `last` keeps or `sum` adds, in the same event or array element."),
    ),
)
OPEN = Shape(
    "open",
    "What was opened and not closed.",
    (
        Key("opened", "types", "What opens.", required=True),
        Key("closed", "types", "What closes.", required=True),
        Key("reopened", "types", "What opens again something that `where` let in before."),
        Key("by", "path", "The id that ties them together.", required=True),
    ),
)
ELAPSED = Shape(
    "elapsed",
    "The time from one event to another.",
    (
        Key("from", "types", "What starts the measure.", required=True),
        Key("to", "types", "What ends it.", required=True),
        Key("by", "path", "Measured per value of this property."),
    ),
)
STAGE = Shape(
    "stage",
    "A stage, or a parent with `stages` inside.",
    (
        Key("kind", "kind", "The tag that is common to all models; a nested stage has its parent's if none."),
        Key("title", "title", "The name for people."),
        Key("owner", "text", "Who answers for the stage; a nested stage has its parent's if none."),
        Key("remember", "boolean", "On entry from outside, remember the stage that was left (for `back`).",
            default=False),
        Key("rank", "integer", "Overrides the position in the file that makes moves forward or backward.",
            least=0),
        Key("stages", "tables by name", "The stages inside.", shape="stage"),
        Key("initial", "id", "The inner stage that is entered by the parent's name; the first if left out.",
            needs=("stages",)),
    ),
)  # fmt: skip
TRANSITION = Shape(
    "transition",
    "A move from stages to a stage, by one trigger.",
    (
        Key("id", "id", "Unique in the journey; the `rule` of its records.", required=True),
        Key("from", "stages", "Where it holds.", required=True),
        Key("to", "target", "Where it leads.", required=True),
        *_TRIGGER,
        Key(
            "by",
            "path",
            "One timer (or sequence) per value of this property, which expressions call `id`.",
            needs=_TIMED,
        ),
        Key(
            "limit",
            "integer",
            "The most values of `by` at a time; 100 if left out.",
            needs=("by",),
            default=100,
        ),
        *_GUARDS,
        *_REASONS,
        Key("min_dwell", "duration", "Holds only this long after the stage was entered."),
        Key("reenter", "boolean", "May move from a stage to itself.", default=False),
    ),
    one_of=("event", "after", "sequence"),
)
SIGNAL = Shape(
    "signal",
    "A call to act, by one trigger.",
    (
        Key("id", "id", "Unique in the journey; the `rule` of its records.", required=True),
        Key("signal", "id", "The `signal` of its records, where several rules raise one; else the `id`."),
        Key("title", "title", "The name for people."),
        Key("in", "stages", "Where it holds; `any` if left out.", default="any"),
        Key("kind", "kind", "The kind on its records; the stage's if left out."),
        *_TRIGGER,
        Key("enter", "stages", "Triggers when a transition of this journey enters one of these.",
            excludes=("where",)),
        Key("by", "path", "One timer per value, which expressions call `id`; ties `cancel` to its signal.",
            needs=("after", "sequence", "cancel")),
        *_GUARDS,
        Key("expires", "duration", "How long it is worth acting on."),
        Key("cancel", "types", "What takes it back before it expires."),
        Key("limit", "table", "How often at most per customer.", shape="rate"),
        *_REASONS,
        Key("payload", "guard map", "What the record tells the one who acts."),
    ),
    one_of=("event", "after", "sequence", "enter"),
)  # fmt: skip
RATE = Shape(
    "rate",
    "How often at most.",
    (
        Key("every", "duration", "In any window of this length", required=True),
        Key("count", "integer", "at most so many; 1 if left out.", default=1),
    ),
)
BACK = Shape(
    "back",
    "Back to the remembered stage.",
    (Key("back", "target", "Where to when nothing is remembered.", required=True),),
)

SHAPES: dict[str, Shape] = {
    shape.name: shape
    for shape in (JOURNEY, ATTRIBUTE, MAP, OPEN, ELAPSED, STAGE, TRANSITION, SIGNAL, RATE, BACK)
}


def reference() -> str:
    """Write the reference tables of the language as Markdown."""
    parts: list[str] = []
    for shape in SHAPES.values():
        parts.append(f"### `{shape.name}`\n\n{shape.doc}\n")
        if shape.one_of:
            parts.append("Exactly one of " + ", ".join(f"`{name}`" for name in shape.one_of) + ".\n")
        rows = ["| key | takes | what for |", "|---|---|---|"]
        for key in shape.keys:
            takes = f"[`{key.shape}`](#{key.shape})" if key.shape else TAKES[key.takes].replace("|", "\\|")
            if key.shape and key.takes != "table":
                takes += ": " + TAKES[key.takes]
            notes = [key.doc]
            if key.required:
                notes.append("**Required.**")
            if key.needs and set(key.needs) != set(KEPT):
                notes.append("Only with " + ", ".join(f"`{name}`" for name in key.needs) + ".")
            elif key.needs:
                notes.append("Not with `value`.")
            if key.excludes:
                notes.append("Not with " + ", ".join(f"`{name}`" for name in key.excludes) + ".")
            rows.append(f"| `{key.name}` | {takes} | {' '.join(notes)} |")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)
