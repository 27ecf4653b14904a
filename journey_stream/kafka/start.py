"""From settings to a running worker.

Enters: `Settings`. Leaves: the exit code of a worker that has ended. The definitions are checked before
anything is started.
"""

from __future__ import annotations

from journey_stream.deployment import Deployment, assemble, extra_topics
from journey_stream.encode import Encoder
from journey_stream.engine.partition import Partition
from journey_stream.engine.program import side_by_side
from journey_stream.kafka.app import Parts, run_parts
from journey_stream.kafka.meta import JourneyVersion
from journey_stream.kafka.versions import Versions
from journey_stream.settings import Settings


def parts_of(deployment: Deployment) -> Parts:
    """Give what every partition of a worker runs."""
    by = deployment.settings.record_topics
    return Parts(
        make_engine=lambda: Partition(deployment.program),
        decoder=deployment.decoder,
        encoder=Encoder(deployment.topics, transitions_by=by.transitions, signals_by=by.signals),
        versions=Versions(
            tuple(
                JourneyVersion(each.id, each.version, each.content_sha)
                for each in side_by_side(deployment.journeys, deployment.changes)
            ),
            {change.name: change.policy for change in deployment.changes},
            tuple(dict.fromkeys(file for each in deployment.settings.versions for file in each.history)),
        ),
        extra_topics=tuple(extra_topics(deployment.settings)),
    )


def run_worker(settings: Settings, *, exit_when_done: bool = False) -> int:
    """Run a worker until it is told to stop, or until all is done; return its exit code.

    Raises:
        JourneyStreamError: it cannot start; the message says who can mend what.
    """
    return run_parts(settings, parts_of(assemble(settings)), exit_when_done=exit_when_done)
