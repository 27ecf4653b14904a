"""The one error tree, split by who has to act.

`JourneyStreamError` is never raised itself; each child says whose turn it is. Anything else that is raised
is a bug of ours: it stops the partition, loudly, and is never swallowed.
"""


def told(error: BaseException) -> str:
    """Return an error in one line, with the notes that were added on its way."""
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    return f"{type(error).__name__}: {error}{notes}"


class JourneyStreamError(Exception):
    """Base of every error that journey_stream raises on purpose."""


class JourneyDefinitionError(JourneyStreamError):
    """A journey definition cannot be used; its author can mend it (the findings are in the message)."""


class SettingsError(JourneyStreamError):
    """The configuration cannot be used; the operator can mend it."""


class UsageError(JourneyStreamError):
    """A command was called so that it cannot work (wrong name, unreadable file): its caller can mend it."""


class FilterError(JourneyStreamError):
    """A filter of the caller's failed, or wrote what cannot be used; whoever wrote it can mend it."""


class TopicError(JourneyStreamError):
    """A topic exists with a configuration that would break a promise; the platform team can mend it."""


class BrokerError(JourneyStreamError):
    """The broker cannot be reached or refuses us; the operator can mend it."""


class WorkerError(JourneyStreamError):
    """A worker that somebody waited for ended, or went quiet, before its work was done; its log says why."""


class EngineError(JourneyStreamError):
    """The engine failed twice on the same timer, or state cannot be encoded: the partition has to stop."""


class StateError(JourneyStreamError):
    """Stored state cannot be read: unknown format version or damaged bytes. The partition has to stop."""


class VersionError(JourneyStreamError):
    """Customers are in a version that the deployment says nothing about; whoever deploys can mend it."""
