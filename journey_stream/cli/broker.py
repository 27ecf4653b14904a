"""`journey-stream broker`: a real Kafka on this machine until Ctrl-C."""

from __future__ import annotations

import json
import signal
import tempfile
import threading
from pathlib import Path

import click

from journey_stream.broker import EmbeddedKafka, ScramUser
from journey_stream.cli import example
from journey_stream.cli.common import note
from journey_stream.errors import UsageError


@click.command("broker", epilog=example("journey-stream broker --port 9092 --folder ./kafka-data"))
@click.option(
    "--port", type=click.IntRange(0, 65535), default=9092, show_default=True, help="0 = any free port."
)
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Keep data here; without it they go at the end."
)
@click.option(
    "--user", "users", metavar="NAME:PASSWORD", multiple=True, help="Add a listener with TLS and SCRAM."
)
@click.option("--heap", default="512m", show_default=True, help="Memory for Kafka.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the address as one JSON line once Kafka answers."
)
def command(port: int, folder: Path | None, users: tuple[str, ...], heap: str, as_json: bool) -> None:
    """Run a real Kafka on this machine until Ctrl-C.

    Apache Kafka (KRaft, one node), with no Docker and no Java of yours: the first run fetches it.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with tempfile.TemporaryDirectory(prefix="journey-stream-kafka-") as temporary:
        place = folder or Path(temporary)
        kafka = EmbeddedKafka(place, port, heap=heap, users=[_user(text) for text in users], tell=note)
        with kafka:
            if as_json:
                click.echo(json.dumps(_facts(kafka)))
            else:
                for name, value in _facts(kafka).items():
                    click.echo(f"{name.replace('_', ' ')}: {value}")
                note("Ctrl-C stops it.")
            while not stop.wait(0.5):
                if not kafka.running:
                    note(f"error: Kafka ended by itself; what it said is in {kafka.log}")
                    raise click.exceptions.Exit(1)
            note("stopping Kafka")


def _facts(kafka: EmbeddedKafka) -> dict[str, str]:
    facts = {"bootstrap_servers": kafka.bootstrap, "log": str(kafka.log)}
    if kafka.users:
        facts |= {"secure_bootstrap_servers": kafka.secure_bootstrap, "ssl_cafile": str(kafka.cafile)}
    return facts


def _user(text: str) -> ScramUser:
    name, sign, password = text.partition(":")
    if not (sign and name and password):
        msg = f"--user {name or '...'}: expected NAME:PASSWORD"
        raise UsageError(msg)
    return ScramUser(name, password)
