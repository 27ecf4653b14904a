"""From settings to a running worker.

Enters: `Settings`. Leaves: the exit code of a worker that has ended. The definitions are checked before
anything is started.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from journey_stream.deployment import Deployment, assemble, extra_topics
from journey_stream.encode import Encoder
from journey_stream.engine.program import side_by_side
from journey_stream.kafka.app import Parts, check_ports, run_parts
from journey_stream.kafka.engines import Engines
from journey_stream.kafka.keyed_start import check_keyed_input
from journey_stream.kafka.meta import JourneyVersion
from journey_stream.kafka.processes import Family
from journey_stream.kafka.sender import check_codecs
from journey_stream.kafka.topics import ensure_topics
from journey_stream.kafka.versions import Versions
from journey_stream.settings import Settings

log = logging.getLogger(__name__)


def parts_of(deployment: Deployment) -> Parts:
    """Give what every partition of a worker runs."""
    by = deployment.settings.record_topics
    engines = Engines(deployment)
    return Parts(
        make_engine=engines,
        compiled=engines.compiled,
        make_intake=engines.intake,
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


def run_worker(settings: Settings, process: int = 0, *, exit_when_done: bool = False) -> int:
    """Run a worker until it is told to stop, or until all is done; return its exit code.

    Args:
        settings: the operator's choices.
        process: its number among several that one parent started, 0 for a worker by itself.
        exit_when_done: end once everything up to `until` is done (`clock: event`).

    Raises:
        JourneyStreamError: it cannot start; the message says who can mend what.
    """
    return run_parts(settings, parts_of(assemble(settings)), process, exit_when_done=exit_when_done)


def run_workers(settings: Settings, *, exit_when_done: bool = False) -> int:
    """Run `settings.processes` workers until they are told to stop or all is done; return the exit code.

    What does not fit is found before any of them is started.

    Raises:
        JourneyStreamError: they cannot start; the message says who can mend what.
    """
    deployment = assemble(settings)
    check_ports(settings, settings.processes)
    check_codecs(settings.compression)
    asyncio.run(ensure_topics(settings, extra=extra_topics(settings)))
    asyncio.run(check_keyed_input(settings))
    if settings.processes > deployment.settings.partitions:
        log.warning(
            "%d processes share %d keyed partitions: %d of them will have no customers (`partitions`)",
            settings.processes,
            settings.partitions,
            settings.processes - settings.partitions,
        )
    del deployment  # the parent keeps none of it
    return Family(
        settings, partial(run_worker, exit_when_done=exit_when_done), until_done=exit_when_done
    ).run()
