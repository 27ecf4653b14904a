"""Stages: nodes -> `Stage`s and `Group`s; and what names of stages mean (`from`, `in`, `to`, `start`).

In: the checked `stages` mapping. Out: `Stages`, which expands `any`, parents and patterns to leaf ids and
turns targets into the model's, noting every name that leads nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from journey_stream.journeys.check import Context, Fields, check_name, check_table
from journey_stream.journeys.findings import Place, did_you_mean
from journey_stream.journeys.grammar import SHAPES, SLUG
from journey_stream.journeys.model import Back, Fixed, Group, SameLeaf, Sibling, Stage, Target
from journey_stream.journeys.read import Node, Scalar, Table

MAX_STAGES = 500

RESERVED = {"any": "it stands for all stages", "back": "it stands for the remembered stage"}


@dataclass(slots=True)
class Stages:
    """All stages of a journey, and the meaning of their names."""

    leaves: dict[str, Stage] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    """Where each leaf is named."""

    @property
    def names(self) -> list[str]:
        """Every name that may be written: leaves and parents."""
        return [*self.groups, *self.leaves]

    def entry(self, name: str) -> str | None:
        """The leaf that is entered by a name."""
        if name in self.leaves:
            return name
        return self.groups[name].initial if name in self.groups else None

    def expand(self, words: Sequence[Scalar], context: Context, label: str) -> tuple[str, ...]:
        """The leaves that a `from`, `in` or `enter` means, in file order."""
        chosen: set[str] = set()
        for word in words:
            found = self._meant(word.text)
            if not found:
                self._unknown(word.text, word, context, label)
            chosen.update(found)
        return tuple(stage for stage in self.leaves if stage in chosen)

    def _meant(self, name: str) -> Iterable[str]:
        if name == "any":
            return tuple(self.leaves)
        if name in self.leaves:
            return (name,)
        if name in self.groups:
            return self.groups[name].leaves
        parent, slash, leaf = name.partition("/")
        if slash and leaf == "*" and parent in self.groups:
            return self.groups[parent].leaves
        if slash and parent == "*":
            return tuple(each for each, stage in self.leaves.items() if stage.parent and stage.leaf == leaf)
        return ()

    def _unknown(self, name: str, place: Place, context: Context, label: str) -> None:
        inner = [stage.id for stage in self.leaves.values() if stage.parent and stage.leaf == name]
        patterns = [f"*/{stage.leaf}" for stage in self.leaves.values() if stage.parent]
        known = [*self.names, *patterns, *(f"{group}/*" for group in self.groups)]
        hint = did_you_mean(name, known) or did_you_mean(name, self.names, "The stages") or "There is none"
        if inner:
            hint = f"Inside a parent its name is {' or '.join(inner[:4])}; all of them: '*/{name}'"
        context.report.add("unknown-stage", place, f"{label}: there is no stage '{name[:80]}'", hint)

    def target(
        self, node: Node, origins: Sequence[str], context: Context, label: str
    ) -> Fixed | Sibling | SameLeaf | Back | None:
        """What a `to` means for somebody in one of `origins`."""
        if isinstance(node, Table):
            back = check_table(node, SHAPES["back"], context, label)
            fallback = back.get("back") if back else None
            if not isinstance(fallback, Scalar):
                return None
            inner = self._simple(fallback, origins, context, label)
            if inner is not None and origins and not any(self.leaves[each].memory for each in origins):
                msg = f"{label}: nothing is remembered in {_list(origins)}"
                context.report.add(
                    "bad-target", node, msg, "Set remember: true on the stage to come back from"
                )
            return Back(inner) if inner is not None else None
        return self._simple(node, origins, context, label) if isinstance(node, Scalar) else None

    def _simple(
        self, word: Scalar, origins: Sequence[str], context: Context, label: str
    ) -> Fixed | Sibling | SameLeaf | None:
        name = word.text
        if name == "back":
            hint = "Write to: {back: stage}, with the stage for when nothing is remembered"
            context.report.add("bad-target", word, f"{label}: 'back' needs a fallback", hint)
            return None
        if name.startswith("./"):
            sibling = Sibling(name[2:])
            return sibling if self._lead(word, sibling, origins, context, label) else None
        if name.endswith("/."):
            same = SameLeaf(name[:-2])
            if same.parent not in self.groups:
                known = did_you_mean(same.parent, self.groups, "The parents")
                msg = f"{label}: there is no parent '{same.parent[:80]}'"
                context.report.add("unknown-stage", word, msg, known)
                return None
            return same if self._lead(word, same, origins, context, label) else None
        entry = self.entry(name)
        if entry is not None:
            return Fixed(entry)
        if "*" in name or name == "any":
            hint = "Name one stage; './leaf' and 'parent/.' lead to the stage that fits the current one"
            context.report.add("bad-target", word, f"{label}: '{name[:80]}' is more than one stage", hint)
        else:
            self._unknown(name, word, context, label)
        return None

    def _lead(
        self, word: Scalar, target: Sibling | SameLeaf, origins: Sequence[str], context: Context, label: str
    ) -> bool:
        """Whether a relative target leads somewhere from every origin."""
        lost = [each for each in origins if self.resolve(target, each) not in self.leaves]
        if lost:
            hint = f"From '{lost[0]}' it would be '{self.resolve(target, lost[0])}'; narrow `from`"
            msg = f"{label}: '{word.text}' leads nowhere from {_list(lost)}"
            context.report.add("bad-target", word, msg, hint)
        return not lost

    def resolve(self, target: Target, current: str) -> str:
        """The leaf that a target means in `current`; of `back`, its fallback."""
        match target:
            case Fixed(stage):
                return stage
            case Sibling(leaf):
                parent = self.leaves[current].parent
                return f"{parent}/{leaf}" if parent else f"./{leaf}"
            case SameLeaf(parent):
                return f"{parent}/{self.leaves[current].leaf}"
            case Back(fallback):
                return self.resolve(fallback, current)


def _list(stages: Sequence[str]) -> str:
    shown = ", ".join(f"'{stage}'" for stage in stages[:4])
    return shown + (f" and {len(stages) - 4} more" if len(stages) > 4 else "")


def read_stages(table: Table, context: Context) -> Stages:
    """Read the mapping of stages; a parent may hold leaves, and leaves nothing."""
    stages = Stages()
    if not table.entries:
        context.report.add("empty", table, "'stages' is empty", "A journey has at least one stage")
    for name, entry in table.entries.items():
        label = f"stage '{name[:80]}'"
        if not check_name(name, entry.key, SLUG, RESERVED, label, context):
            continue
        fields = check_table(entry.value, SHAPES["stage"], context, label)
        if fields is None:
            continue
        if fields.has("stages"):
            _read_group(name, fields, stages, context)
        else:
            _add_leaf(name, entry.key, fields, None, stages, context)
    return stages


def _read_group(name: str, fields: Fields, stages: Stages, context: Context) -> None:
    inner: Table | None = fields.get("stages")
    if inner is None:
        return
    if not inner.entries:
        msg = f"{fields.label}: 'stages' is empty"
        context.report.add("empty", inner, msg, "Leave it out, or put stages inside")
        return
    leaves: list[str] = []
    for leaf, entry in inner.entries.items():
        id_ = f"{name}/{leaf}"
        label = f"stage '{id_[:80]}'"
        if not check_name(leaf, entry.key, SLUG, RESERVED, label, context):
            continue
        child = check_table(entry.value, SHAPES["stage"], context, label)
        if child is None:
            continue
        if child.has("stages"):
            msg = f"{label}: stages nest one level deep, and this is the second"
            context.report.add("bad-value", child.at("stages"), msg, "Make it a stage beside its parent")
            continue
        _add_leaf(id_, entry.key, child, (name, fields), stages, context)
        if id_ in stages.leaves:
            leaves.append(id_)
    initial = fields.get("initial")
    if initial is not None and f"{name}/{initial}" not in leaves:
        hint = did_you_mean(initial, [each.partition("/")[2] for each in leaves], "The stages inside")
        msg = f"{fields.label}: there is no stage '{initial}' inside"
        context.report.add("unknown-stage", fields.at("initial"), msg, hint)
        initial = None
    if leaves:
        stages.groups[name] = Group(
            id=name,
            leaves=tuple(leaves),
            initial=f"{name}/{initial}" if initial else leaves[0],
            remember=fields.get("remember", False),
            title=fields.get("title", {}),
            line=fields.node.line,
        )


def _add_leaf(
    id_: str,
    place: Place,
    fields: Fields,
    parent: tuple[str, Fields] | None,
    stages: Stages,
    context: Context,
) -> None:
    above = parent[1] if parent else None
    kind = fields.get("kind") or (above.get("kind") if above else None)
    if kind is None and not fields.has("kind") and not (above and above.has("kind")):
        hint = "Add kind: one of prospect, acquisition, conversion, onboarding, development, retention, ..."
        context.report.add("missing-key", fields.node, f"{fields.label}: the key 'kind' is missing", hint)
    remember = fields.get("remember", False)
    memory = id_ if remember else parent[0] if parent and parent[1].get("remember") else None
    rank = fields.get("rank")
    if rank is None and above is not None:
        rank = above.get("rank")
    if len(stages.leaves) == MAX_STAGES:
        context.report.add("too-large", place, f"more than {MAX_STAGES} stages")
        return
    stages.places[id_] = place
    stages.leaves[id_] = Stage(
        id=id_,
        kind=kind or "prospect",  # a finding keeps the journey from being used
        title=fields.get("title", {}),
        owner=fields.get("owner") or (above.get("owner") if above else None),
        parent=parent[0] if parent else None,
        remember=remember,
        rank=len(stages.leaves) + 1 if rank is None else rank,
        memory=memory,
        line=place.line,
    )
