"""`versions` of the settings against the definitions: every problem at once, or the changes to carry out.

Enters: the entries of `versions`, the present definitions, the previous ones by file. Leaves: `Change`s and
problems, a sentence each. No file is opened here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from journey_stream.journeys import Journey
from journey_stream.journeys.changes import Change, complete
from journey_stream.journeys.findings import did_you_mean
from journey_stream.settings import VersionChange


def changes_of(
    entries: Sequence[VersionChange], journeys: Iterable[Journey], previous: Mapping[str, Journey]
) -> tuple[tuple[Change, ...], list[str]]:
    """Check what the settings say about customers in other versions.

    Args:
        entries: `versions` of the settings.
        journeys: the present definitions.
        previous: the definitions that the entries name, by file.

    Returns:
        The changes, complete, and what is wrong with the entries.
    """
    present = {journey.id: journey for journey in journeys}
    changes: dict[str, Change] = {}
    problems: list[str] = []
    for place, entry in enumerate(entries):
        where = f"`versions[{place}]`"
        journey = present.get(entry.journey)
        if journey is None:
            hint = did_you_mean(entry.journey, present, "The journeys") or ""
            problems.append(f"{where}: there is no journey `{entry.journey}`. {hint}".rstrip())
            continue
        other = previous.get(entry.previous or "")
        stages, wrong = _stages(entry, journey, other)
        other = None if entry.policy == "replay" else other
        change = Change(entry.journey, entry.from_version, entry.policy, other, stages)
        if change.name in changes:
            wrong.append(f"a second entry for version {entry.from_version} of `{entry.journey}`: keep one")
        changes[change.name] = change
        problems += [f"{where}: {each}" for each in wrong]
    return tuple(changes.values()), problems


def _stages(
    entry: VersionChange, journey: Journey, other: Journey | None
) -> tuple[dict[str, str], list[str]]:
    """Where each stage goes, and what is wrong with the entry."""
    wrong = []
    if entry.from_version == journey.version:
        wrong.append(
            f"{journey.file} is version {journey.version} itself: `from_version` is another one that "
            "customers may be in. Raise `version` in the definition, or take the entry out"
        )
    if entry.stages and entry.policy != "migrate":
        wrong.append(f"`stages` is for `migrate`, and the policy is `{entry.policy}`: leave it out")
    if entry.history and entry.policy != "replay":
        wrong.append(f"`history` is for `replay`, and the policy is `{entry.policy}`: leave it out")
    if entry.policy == "replay":
        return {}, wrong
    if other is None:
        wrong.append(
            f"`{entry.policy}` needs `previous`, the file with version {entry.from_version} as it was "
            "(in git: `git show <commit>:<file>`)"
        )
    elif (other.id, other.version) != (entry.journey, entry.from_version):
        wrong.append(
            f"expected version {entry.from_version} of `{entry.journey}` in {entry.previous}, and it holds "
            f"version {other.version} of `{other.id}`"
        )
    elif entry.policy == "migrate":
        stages, more = complete(other, journey, entry.stages)
        return stages, wrong + more
    return {}, wrong
