"""`journey-stream demo`: the whole thing on this machine, from nothing to a summary, and nothing left.

Enters: the shop's size and mess. Leaves: a picture while it runs, a summary, no process and no file.
Strategy: everything that has to end is entered into one exit stack (Kafka, worker, folder), so that Ctrl-C,
an error and the good end are one way out. Events are fed before the worker starts: with `clock: event` a
source that pauses would count as read to its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from journey_stream.cli import example
from journey_stream.cli.common import note
from journey_stream.errors import BrokerError, UsageError, WorkerError
from journey_stream.settings import Settings, TopicNames
from journey_stream.values import DAY, rfc3339

if TYPE_CHECKING:
    from rich.console import Console

    from journey_stream.shop import ShopOptions
    from journey_stream.shop.live import LiveView

SHARE = click.FloatRange(0, 1)
REASON = "journey_stream_reason"
MODELS_DRAWN = 4
QUIET_SECONDS = 120
"""A worker that publishes nothing and does not end for so long is stuck."""


@click.command(
    "demo",
    epilog=example(
        "journey-stream demo",
        "journey-stream demo --days 400 --customers 2000 --duplicates 0.02 --poison 0.01",
        "journey-stream demo --files ./shop && journey-stream replay ./shop/*.jsonl",
    ),
)
@click.option("--days", type=click.IntRange(1), default=400, show_default=True, help="Simulated time.")
@click.option(
    "--customers", type=click.IntRange(0), default=2000, show_default=True, help="Size of the shop."
)
@click.option("--seed", type=int, default=7, show_default=True, help="Same seed, same shop.")
@click.option("--duplicates", type=SHARE, default=0.01, show_default=True, help="Share sent twice.")
@click.option(
    "--out-of-order", type=SHARE, default=0.02, show_default=True, help="Share sent after younger ones."
)
@click.option(
    "--late", type=SHARE, default=0.0, show_default=True, help="Share sent later than the lateness."
)
@click.option("--poison", type=SHARE, default=0.001, show_default=True, help="Share of bad records on top.")
@click.option("--person", metavar="ID", help="Whose story to tell; without it, one with much to tell.")
@click.option(
    "--files",
    type=click.Path(path_type=Path, file_okay=False),
    help="Only write the events here, for `replay`.",
)
@click.option("--json", "as_json", is_flag=True, help="Print numbers as JSON instead of the summary.")
@click.option(
    "--svg", type=click.Path(path_type=Path, dir_okay=False), help="Also keep four models as a picture."
)
def command(
    days: int,
    customers: int,
    seed: int,
    duplicates: float,
    out_of_order: float,
    late: float,
    poison: float,
    person: str | None,
    files: Path | None,
    as_json: bool,
    svg: Path | None,
) -> None:
    """Show it all on this machine: a real Kafka, a simulated shop, journeys as they happen.

    Nothing is needed and nothing is left. The first run fetches Apache Kafka (about 45 MB).
    """
    from journey_stream.shop import ShopOptions

    try:
        options = ShopOptions(
            seed=seed,
            customers=customers,
            days=days,
            duplicates=duplicates,
            out_of_order=out_of_order,
            late=late,
            poison=poison,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    if files is not None:
        _write(options, files)
    else:
        _Demo(options, person, as_json=as_json, svg=svg).run()


def _write(options: ShopOptions, folder: Path) -> None:
    from journey_stream.shop import simulate
    from journey_stream.shop.files import write_files

    try:
        written = write_files(simulate(options), folder)
    except OSError as error:
        msg = f"cannot write to {folder}: {error.strerror}. Choose a folder you may write"
        raise UsageError(msg) from None
    for path, lines in written.lines.items():
        click.echo(f"{path}: {lines:,} events")
    if written.left_out:
        note(f"{written.left_out} bad records are no lines of text and were left out")
    click.echo(f"the simulated time ends at {rfc3339(options.start + options.days * DAY)}")


class _Demo:
    """One run of the demo."""

    def __init__(self, options: ShopOptions, person: str | None, *, as_json: bool, svg: Path | None) -> None:
        try:
            from rich.console import Console
        except ImportError:
            msg = "the demo needs `rich`, which is not installed: pip install 'journey-stream[demo]'"
            raise BrokerError(msg) from None
        self.options, self.person, self.as_json, self.svg = options, person, as_json, svg
        stream = sys.stderr if as_json else sys.stdout
        # In a file or a pipe there is no width to keep to: wide enough that no name is cut.
        self.console: Console = Console(file=stream, width=None if stream.isatty() else 140)
        self.records: list[dict[str, Any]] = []
        self.dead: Counter[str] = Counter()
        self.sent: dict[str, int] = {}

    def run(self) -> None:
        """Run it; whatever happens, everything that was started ends."""
        from journey_stream.broker import EmbeddedKafka

        # A send that aiokafka tries again, successfully, is no news here; what fails is raised.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        began = time.monotonic()
        with ExitStack() as stack:
            stack.enter_context(_terminated_as_interrupted())
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="journey-stream-demo-")))
            self._say("starting Apache Kafka")
            kafka = EmbeddedKafka(folder / "kafka", tell=self._say)
            stack.callback(kafka.kill)
            kafka.start()
            self._say(f"Apache Kafka answers at {kafka.bootstrap} after {time.monotonic() - began:.1f} s")
            settings = self._settings(kafka.bootstrap)
            asyncio.run(self._play(settings, folder, stack))
        self._finish(settings, time.monotonic() - began)

    def _settings(self, bootstrap: str) -> Settings:
        from journey_stream.settings import Web

        return Settings(
            bootstrap_servers=bootstrap,
            application_id="demo",
            partitions=4,
            source_partitions=2,
            clock="event",
            until=self.options.start + self.options.days * DAY,
            currency="EUR",
            rates={"USD": 0.92, "GBP": 1.17, "CHF": 1.04},
            web=Web(port=0),
        )

    async def _play(self, settings: Settings, folder: Path, stack: ExitStack) -> None:
        from journey_stream.kafka.security import client_options
        from journey_stream.kafka.topics import ensure_topics
        from journey_stream.shop import simulate
        from journey_stream.shop.feed import feed
        from journey_stream.shop.live import LiveView

        made = await ensure_topics(settings)
        shop = f"{self.options.customers:,} customers live {self.options.days} days"
        self._say(f"{len(made.created)} topics made; {shop}")
        names = TopicNames.of(settings)
        topics = dict(zip(settings.sources, names.sources, strict=False))
        with LiveView(self.console) as view:
            records = simulate(self.options)
            self.sent = await feed(records, topics, client_options(settings), on_progress=view.progress)
            total = sum(self.sent.values())
            view.progress(total, total)
            worker = _start_worker(settings, folder, stack)
            await self._watch(settings, worker, view, folder)

    async def _watch(
        self, settings: Settings, worker: subprocess.Popen[bytes], view: LiveView, folder: Path
    ) -> None:
        """Show what comes out until the worker has ended and all of it is read."""
        async with _reader(settings) as consumer:
            quiet_since = time.monotonic()
            while True:
                ended = worker.poll() is not None
                found = await consumer.getmany(timeout_ms=100, max_records=2000)
                for records in found.values():
                    for record in records:
                        self._take(record, view)
                if found:
                    quiet_since = time.monotonic()
                elif ended and await _read_to_end(consumer):
                    break
                elif time.monotonic() - quiet_since > QUIET_SECONDS:
                    msg = f"the worker has been quiet for {QUIET_SECONDS} s:\n{_tail(folder)}"
                    raise WorkerError(msg)
        if worker.returncode:
            msg = f"the worker ended with exit code {worker.returncode}:\n{_tail(folder)}"
            raise WorkerError(msg)

    def _take(self, record: Any, view: LiveView) -> None:
        reason = dict(record.headers).get(REASON)
        if reason is not None:
            self.dead[reason.decode()] += 1
            return
        value = json.loads(record.value)
        self.records.append(value)
        view.record(value)

    def _finish(self, settings: Settings, seconds: float) -> None:
        transitions = sum("to" in value for value in self.records)
        if self.as_json:
            numbers = {
                "events": sum(self.sent.values()),
                "transitions": transitions,
                "signals": len(self.records) - transitions,
                "dead_letters": dict(sorted(self.dead.items())),
                "stages": _entered(self.records),
                "raised": sorted(
                    {f"{each['journey']}/{each['signal']}" for each in self.records if "signal" in each}
                ),
                "seconds": round(seconds, 1),
            }
            click.echo(json.dumps(numbers, indent=2))
            return
        from journey_stream.deployment import journey_texts, vocabulary_of
        from journey_stream.journeys import load
        from journey_stream.shop.summary import print_summary

        journeys = load(journey_texts(settings.journeys), vocabulary_of(settings)).journeys
        stages = {journey.id: tuple(journey.stages) for journey in journeys}
        if self.svg is not None:
            self._draw(self.svg, list(stages.items())[:MODELS_DRAWN])
        print_summary(
            self.console,
            self.records,
            self.dead,
            person=self.person,
            stages=stages,
            currency=settings.currency or "",
        )
        self.console.print(
            f"\n{sum(self.sent.values()):,} events, {transitions:,} transitions and "
            f"{len(self.records) - transitions:,} signals in {seconds:.0f} s. Kafka and worker have stopped.",
            highlight=False,
        )

    def _draw(self, path: Path, stages: list[tuple[str, tuple[str, ...]]]) -> None:
        """Keep the first models as a picture that needs nothing from elsewhere."""
        from rich._export_format import CONSOLE_SVG_FORMAT
        from rich.console import Console

        from journey_stream import measures
        from journey_stream.shop.summary import model_table, unwrap

        histories = measures.read(unwrap(self.records))
        console = Console(record=True, width=108, file=io.StringIO())
        for name, order in stages:
            console.print(model_table(histories[name], "EUR", order))
        own_font = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
        console.save_svg(str(path), title="journey-stream demo", code_format=own_font)

    def _say(self, text: str) -> None:
        self.console.print(text, style="dim", highlight=False)


def _entered(records: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Count the entries of each stage of each journey."""
    found: dict[str, Counter[str]] = {}
    for value in records:
        if "to" in value:
            found.setdefault(value["journey"], Counter())[value["to"]] += 1
    return {journey: dict(sorted(counts.items())) for journey, counts in sorted(found.items())}


def _start_worker(settings: Settings, folder: Path, stack: ExitStack) -> subprocess.Popen[bytes]:
    """Start the worker as its user would, told by a configuration file, its log in the folder."""
    file = folder / "demo.yaml"
    file.write_text(_as_yaml(settings), encoding="utf-8")
    log = stack.enter_context((folder / "worker.log").open("wb"))
    worker = subprocess.Popen(
        [sys.executable, "-m", "journey_stream", "worker", "--config", str(file), "--exit-when-done"],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # a Ctrl-C is ours: the worker is stopped in order, below
    )
    stack.callback(_stop, worker)
    return worker


def _as_yaml(settings: Settings) -> str:
    chosen = {
        "bootstrap_servers": settings.bootstrap_servers,
        "application_id": settings.application_id,
        "partitions": settings.partitions,
        "source_partitions": settings.source_partitions,
        "clock": settings.clock,
        "until": rfc3339(settings.until or 0),
        "currency": settings.currency,
        "rates": settings.rates,
        "web": {"port": settings.web.port},
    }
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in chosen.items())


def _stop(worker: subprocess.Popen[bytes]) -> None:
    if worker.poll() is None:
        worker.terminate()
        try:
            worker.wait(15)
        except subprocess.TimeoutExpired:
            worker.kill()
    worker.wait()


def _tail(folder: Path) -> str:
    lines = (folder / "worker.log").read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-15:])


@contextlib.asynccontextmanager
async def _reader(settings: Settings) -> AsyncIterator[Any]:
    """Read what the worker publishes, committed records only."""
    from aiokafka import AIOKafkaConsumer

    from journey_stream.kafka.security import client_options

    names = TopicNames.of(settings)
    consumer = AIOKafkaConsumer(
        names.transitions,
        names.signals,
        names.dead_letters,
        **client_options(settings),
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=settings.max_record_bytes * 2,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def _read_to_end(consumer: Any) -> bool:
    ends = await consumer.end_offsets(list(consumer.assignment()))
    return all([await consumer.position(tp) >= end for tp, end in ends.items()]) and bool(ends)


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the demo as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
