"""Which versions of which journeys a keyed partition is in, and what has to happen before it goes on.

Enters: the versions that the changelog says were used, those that this worker runs, and what the settings
say becomes of others. Leaves: what the next checkpoint says, and whether customers have to be taken over
first; or an error that names the way out. Nothing is used before the changelog says so: a restart, and any
other worker, finds there what it has to obey.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from journey_stream.errors import VersionError
from journey_stream.journeys.changes import Policy
from journey_stream.journeys.model import versioned
from journey_stream.kafka.meta import JourneyVersion


class Versions(msgspec.Struct, frozen=True):
    """What a worker runs, and what becomes of customers in other versions."""

    running: tuple[JourneyVersion, ...] = ()
    policies: Mapping[str, Policy] = {}
    """Name of another version (`buyer-value@1`) to its policy."""
    history: tuple[str, ...] = ()
    """Files of events that the keyed topic may have lost, for `replay`."""


class Settled(msgspec.Struct, frozen=True):
    """What was found at a takeover."""

    known: list[JourneyVersion]
    """What the next checkpoint says."""
    changes: bool
    """It has to be said before anything else."""
    moving: tuple[str, ...] = ()
    """Versions whose customers are to be taken over now."""
    replayed: tuple[str, ...] = ()
    """Those among them that history decides about."""
    unanswered: tuple[str, ...] = ()
    """Versions that nothing is said about: fine, if nobody is in them."""

    def done(self) -> Settled:
        """What is so once nobody is in the versions left behind."""
        left = {*self.moving, *self.unanswered}
        end = msgspec.structs.replace
        known = [end(v, ended=True) if versioned(v.id, v.version) in left else v for v in self.known]
        return Settled(known, changes=False)


def settle(before: Iterable[JourneyVersion], versions: Versions, offset: int) -> Settled:
    """Compare what the changelog says with what this worker runs.

    Args:
        before: of the last checkpoint.
        versions: what this worker runs.
        offset: where the keyed topic goes on: from there a version is used that was not used before.

    Raises:
        VersionError: a definition has another content under the same version.
    """
    found = {versioned(each.id, each.version): each for each in before}
    running = {versioned(each.id, each.version): each for each in versions.running}
    ids = {each.id for each in versions.running}
    known = dict(found)
    for name, each in running.items():
        was = found.get(name)
        if was is not None and was.told and was.sha != each.sha:
            raise VersionError(_changed(each))
        if was is None or was.ended or not was.told:
            known[name] = msgspec.structs.replace(each, offset=offset)
    for name, was in found.items():
        if was.id not in ids and not was.ended:
            known[name] = msgspec.structs.replace(was, ended=True)
    open_ = [name for name, was in found.items() if was.id in ids and not was.ended and name not in running]
    moving = tuple(name for name in open_ if versions.policies.get(name) in ("migrate", "replay"))
    return Settled(
        list(known.values()),
        known != found or bool(open_),
        moving,
        tuple(name for name in moving if versions.policies[name] == "replay"),
        tuple(name for name in open_ if name not in moving),
    )


def check_answered(settled: Settled, occupied: Iterable[str], where: str) -> None:
    """See that nobody is in a version that nothing is said about.

    Raises:
        VersionError: naming the version and what to say.
    """
    for name in sorted(set(settled.unanswered) & set(occupied)):
        id_, _, version = name.rpartition("@")
        present = ", ".join(
            str(each.version)
            for each in settled.known
            if each.id == id_ and not each.ended and versioned(id_, each.version) != name
        )
        msg = (
            f"{where}: customers are in version {version} of the journey `{id_}`, this worker runs version "
            f"{present}, and nothing says what becomes of them. Add to `versions`: "
            f"{{journey: {id_}, from_version: {version}, policy: keep | migrate | replay}}, or deploy "
            f"version {version} again (docs/versions.md)"
        )
        raise VersionError(msg)


def _changed(now: JourneyVersion) -> str:
    return (
        f"the journey `{now.id}` has changed, but is still called version {now.version}: ids of records hold "
        f"the version, so one version is one content. Raise `version` in the definition and say under "
        f"`versions` what becomes of those in version {now.version}, or put the definition back "
        f"(docs/versions.md)"
    )
