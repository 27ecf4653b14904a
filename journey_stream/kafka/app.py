"""The Faust app of a worker, and the process around it.

Enters: settings and the compiled journeys. Leaves: a running worker, or the exit code of one that has
ended. Strategy: Faust is the host: group membership, agents (one per source topic and one for the keyed
topic), web server, start and stop. The agents only hand batches to lanes; tables, commit, `take()` and
exactly-once of Faust are not used (ADR 0004).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import faust
import msgspec
from yarl import URL

import journey_stream
from journey_stream.encode import Encoder
from journey_stream.errors import SettingsError
from journey_stream.events.decode import Decoder
from journey_stream.kafka.assignor import Plan, sticky_assignor
from journey_stream.kafka.garbage import leave_alone
from journey_stream.kafka.group import GroupOptions
from journey_stream.kafka.hop import Partitioner
from journey_stream.kafka.intake import Intake
from journey_stream.kafka.keyed_start import check_keyed_input
from journey_stream.kafka.keyed_values import Options
from journey_stream.kafka.lane import LaneOptions
from journey_stream.kafka.loops import use_fast_loop
from journey_stream.kafka.metrics import Metrics
from journey_stream.kafka.pace import Limits
from journey_stream.kafka.security import client_options
from journey_stream.kafka.sender import check_codecs
from journey_stream.kafka.topics import ensure_topics
from journey_stream.kafka.transport import BatchTransport, hand_over
from journey_stream.kafka.versions import Versions
from journey_stream.kafka.watch import Watched
from journey_stream.kafka.web import add_pages
from journey_stream.kafka.worker import JourneyWorker, WorkerOptions
from journey_stream.release import BEGINNING
from journey_stream.settings import Settings, TopicNames
from journey_stream.values import NEVER, SECOND

log = logging.getLogger(__name__)

LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
LOG_FORMAT_OF_ONE: Final = "%(asctime)s %(levelname)s %(processName)s %(name)s: %(message)s"
"""Of several processes: which of them speaks."""
_LAST_PORT: Final = 65_535
FETCHES_PER_POLL: Final = 4
"""Records taken per poll over all partitions, in fetches of `fetch.records`."""


class Parts(msgspec.Struct, frozen=True):
    """What a worker runs, made from settings and definitions: the same for every partition."""

    make_engine: Callable[[], Any]
    """Makes an empty `engine.Partition` of the compiled program."""
    decoder: Decoder
    encoder: Encoder
    versions: Versions
    extra_topics: tuple[str, ...] = ()
    compiled: bool = False
    """The compiled core does the work."""
    make_intake: Callable[[Decoder, str, int, Partitioner], Intake] = Intake
    """Makes what judges the records of a source partition."""


class JourneyApp(faust.App):
    """Faust's app, with the lanes stopped while the group still knows us, and nothing written to disk."""

    mundane_level = "debug"
    journeys: JourneyWorker

    async def on_stop(self) -> None:
        """Drain, commit, then let Faust stop."""
        await self.journeys.shutdown()
        await super().on_stop()

    def _create_directories(self) -> None:
        """State is in the changelog: no directories."""


def worker_options(settings: Settings, parts: Parts, *, broker_times: bool = False) -> WorkerOptions:
    """Translate the settings for the lanes."""
    names = TopicNames.of(settings)
    client = client_options(settings)
    on_disk = settings.state_store == "rocksdb"
    # Standbys live in memory: where that does not hold the customers, a disk is what saves reading.
    standbys = 0 if on_disk else settings.standby_replicas
    return WorkerOptions(
        client=client,
        watched=Watched(
            sources=names.sources,
            events=names.events,
            changelog=names.changelog,
            outs=(names.transitions, names.signals, names.stages, names.dead_letters, *parts.extra_topics),
            partitions=settings.partitions,
            keyed_input=settings.keyed_input,
        ),
        assignor=sticky_assignor(
            Plan(names.events, standbys=standbys, host=socket.gethostname()),
            settings.keyed_input,
        ),
        events=names.events,
        control=names.control,
        partitions=settings.partitions,
        keyed=Options(
            mode=settings.clock,
            until=NEVER if settings.until is None else settings.until,
            allowed_lateness=settings.allowed_lateness,
            dedup_window=settings.dedup_window,
            catch_up=settings.catch_up,
            application=journey_stream.__version__,
            versions=parts.versions,
            fence=BEGINNING if settings.backfill.until is None else settings.backfill.until,
            withhold=settings.backfill.records == "withheld",
            broker_times=broker_times,
            keyed_input=settings.keyed_input,
        ),
        lane=LaneOptions(
            client=client,
            application_id=settings.application_id,
            changelog=names.changelog,
            partitions=settings.partitions,
            public_compression=settings.compression.public,
            internal_compression=settings.compression.internal,
            keyed_input=settings.keyed_input,
            direct=() if settings.keyed_input == "none" else names.sources,
            limits=Limits(
                shortest=settings.checkpoint.interval / SECOND,
                longest=settings.checkpoint.longest / SECOND,
                records=settings.checkpoint.records,
                size=settings.checkpoint.size,
            ),
            state_dir=Path(settings.state_dir) / settings.application_id if on_disk else None,
        ),
        max_record_bytes=settings.max_record_bytes,
        max_buffered=settings.max_buffered,
        marker_seconds=settings.marker_interval / SECOND,
        idle_seconds=settings.idle_after / SECOND,
    )


def build_app(
    settings: Settings, parts: Parts, process: int = 0, *, broker_times: bool = False
) -> JourneyApp:
    """Make the Faust app of a worker; `app.journeys` are its lanes."""
    names = TopicNames.of(settings)
    options = worker_options(settings, parts, broker_times=broker_times)
    metrics = Metrics()
    worker = JourneyWorker(
        options, parts.make_engine, parts.decoder, parts.encoder, metrics, parts.make_intake
    )
    servers = [server.strip() for server in settings.bootstrap_servers.split(",")]
    app = JourneyApp(
        settings.application_id,
        broker=[URL(f"aiokafka://{server}") for server in servers],
        store="memory://",
        datadir=tempfile.gettempdir(),
        autodiscover=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        topic_partitions=settings.partitions,
        table_standby_replicas=0,
        stream_wait_empty=False,
        broker_session_timeout=10,
        # How long Faust waits for an assignment to be taken up; the worker gives up earlier by itself.
        broker_request_timeout=3600,
        web_enabled=settings.web.port != 0,
        web_bind=settings.web.host,
        web_port=settings.web.port or 6066,
        web_router_enabled=False,
        web_tables_enabled=False,
        web_graph_enabled=False,
        web_stats_enabled=False,
        web_metrics_enabled=False,
        worker_redirect_stdouts=False,
    )
    app.journeys = worker
    transport = BatchTransport(app.conf.broker_consumer, app, app.loop)
    transport.options = GroupOptions(
        client={**options.client, "client_id": client_id(settings, process)},
        group=settings.application_id,
        assignor=options.assignor,
        max_records=settings.fetch.records * FETCHES_PER_POLL,
        startup_seconds=settings.startup_timeout / SECOND,
        compiled=parts.compiled,
    )
    transport.host = worker
    app.transport = transport
    app.producer_transport = transport
    for name in (*names.sources, names.events):
        topic = app.topic(
            name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
        )
        app.agent(topic, name=f"journeys of {name}" if name == names.events else f"intake of {name}")(
            cast(Any, hand_over(worker.deliver))
        )
    add_pages(app, worker)
    return app


def client_id(settings: Settings, process: int = 0) -> str:
    """Name this worker for whoever looks at the group (`kafka-consumer-groups --describe`)."""
    return f"{settings.application_id}-{socket.gethostname()}-{process or os.getpid()}"


def set_up_logging(level: str, process: int = 0) -> None:
    """Log to standard error; libraries only when debugging, since lanes report what fails themselves."""
    logging.basicConfig(level=level.upper(), format=LOG_FORMAT_OF_ONE if process else LOG_FORMAT)
    if level != "debug":
        for name, least in (
            ("aiokafka", logging.CRITICAL),
            ("faust", logging.ERROR),
            ("mode", logging.ERROR),
        ):
            logging.getLogger(name).setLevel(least)


def run_parts(settings: Settings, parts: Parts, process: int = 0, *, exit_when_done: bool = False) -> int:
    """Run a worker until it is told to stop; gives the exit code.

    Args:
        settings: the operator's choices.
        parts: what to run.
        process: its number among several of one parent, 0 for a worker by itself.
        exit_when_done: end once everything up to `until` is done (`clock: event`).

    Raises:
        SettingsError: the port of the pages is taken, or producers use another partitioner.
        BrokerError: no broker within `startup_timeout`.
        TopicError: a topic does not fit.
        StateError: the state was made under another `keyed_input`.
    """
    # Until Faust listens for it: a container's first process would otherwise not hear SIGTERM at all.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    set_up_logging(settings.log_level, process)
    check_ports(settings)
    check_codecs(settings.compression)
    use_fast_loop()
    ensured = asyncio.run(ensure_topics(settings, extra=parts.extra_topics))
    asyncio.run(check_keyed_input(settings))
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    app = build_app(settings, parts, process, broker_times=ensured.broker_times)
    host = JourneyHost(
        app,
        loop=loop,
        quiet=True,
        override_logging=False,
        redirect_stdouts=False,
        loglevel=settings.log_level,
    )
    if exit_when_done:
        app.task(_stop_when_done(app, host))
    leave_alone()
    try:
        host.execute_from_commandline()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1


class JourneyHost(faust.Worker):
    """Faust's worker, without its spinner."""

    mundane_level = "debug"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.spinner = None

    def leave(self) -> None:
        """Stop as if told so by the system."""
        self._schedule_shutdown(signal.SIGTERM)


def _stop_when_done(app: JourneyApp, host: JourneyHost) -> Callable[[], Any]:
    async def stop_when_done() -> None:
        await app.journeys.finished.wait()
        log.info("everything up to `until` is done")
        host.leave()

    return stop_when_done


def check_ports(settings: Settings, more: int = 0) -> None:
    """Refuse a taken port here, with the way out: Faust would only fail with a trace.

    Args:
        settings: the operator's choices.
        more: so many ports after it are wanted, too.

    Raises:
        SettingsError: a port is taken, or there is none such.
    """
    host, first = settings.web.host, settings.web.port
    if not first:
        return
    if first + more > _LAST_PORT:
        msg = (
            f"`web.port`: {more} processes need the ports {first} to {first + more}, the last there is is "
            f"{_LAST_PORT}. Choose a lower one, or 0 for no pages"
        )
        raise SettingsError(msg)
    for port in range(first, first + more + 1):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                msg = (
                    f"`web.port`: cannot serve the worker's pages on {host}:{port}: {error.strerror}. "
                    "Another worker on this machine? Choose another port, or 0 for no pages"
                )
                raise SettingsError(msg) from None
