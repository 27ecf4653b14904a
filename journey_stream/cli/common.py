"""What verbs share: the options that become settings, and reading files with errors for people."""

from __future__ import annotations

import asyncio
import difflib
import os
import sys
from collections.abc import Callable, Coroutine, Iterable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from journey_stream.errors import UsageError
from journey_stream.settings import Settings, TopicNames
from journey_stream.settings_read import load_settings, parse_moment

Verb = TypeVar("Verb", bound=Callable[..., Any])
Result = TypeVar("Result")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` Did you mean ...?`, or the choices when nothing is close."""
    choices = list(known)
    close = difflib.get_close_matches(word, choices, 1, 0.5)
    return f" Did you mean `{close[0]}`?" if close else f" There is: {', '.join(choices)}."


def read_text(path: str | Path, what: str) -> str:
    """Read a text file of the caller's.

    Raises:
        UsageError: it is not there, is a folder, may not be read, or is no UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        found = f"byte 0x{error.object[error.start]:02x} at {error.start}"
        msg = f"{what} {path}: expected UTF-8 text, found {found}"
        raise UsageError(msg) from None
    except OSError as error:
        msg_0 = f"cannot read {what} {path}: {error.strerror}. Check the path"
        raise UsageError(msg_0) from None


def write_text(path: Path, text: str) -> None:
    """Write a text file, and the folders it stands in.

    Raises:
        UsageError: it may not be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}. Choose a place you may write to"
        raise UsageError(msg) from None


def settings_options(*own: str) -> Callable[[Verb], Verb]:
    """Give a verb `--config`, the flags most needed and `--set` for all others; it gets `settings`.

    `own` names more settings that are flags of this verb: any of `MORE`.
    """

    def decorate(verb: Verb) -> Verb:
        @wraps(verb)
        def with_settings(
            config: str | None, assignments: tuple[str, ...], *arguments: Any, **named: Any
        ) -> Any:
            flags = {key: named.pop(key) for key in (*_COMMON, *own) if key in named}
            named["settings"] = settings_of(config, assignments, flags)
            return verb(*arguments, **named)

        made: Any = with_settings
        for option in reversed((_CONFIG, *_COMMON.values(), *(MORE[key] for key in own), _SET)):
            made = option(made)
        return made  # type: ignore[no-any-return]

    return decorate


_CONFIG = click.option(
    "-c", "--config", metavar="FILE", envvar="JOURNEY_STREAM_CONFIG", help="Configuration file (YAML)."
)
_SET = click.option(
    "--set", "assignments", metavar="KEY=VALUE", multiple=True, help="Any other setting; may be repeated."
)
_COMMON = {
    "bootstrap_servers": click.option(
        "-b", "--bootstrap-servers", metavar="HOST:PORT", help="Brokers, comma between."
    ),
    "application_id": click.option("--application-id", metavar="NAME", help="Name of this deployment."),
    "topic_prefix": click.option("--topic-prefix", metavar="NAME", help="First word of its topics' names."),
}
MORE = {
    "journeys": click.option(
        "-j",
        "--journeys",
        metavar="NAME|FILE|DIR",
        multiple=True,
        help="Shipped name, YAML file or folder; may be repeated.",
    ),
    "processes": click.option(
        "-n", "--processes", metavar="N", help="Worker processes to start, one processor core each."
    ),
    "clock": click.option("--clock", metavar="wall|event", help="What moves the clock."),
    "until": click.option("--until", metavar="TIME", help="Let the clock run up to here and no further."),
}
"""Settings that some verbs have a flag of their own for."""


def settings_of(
    config: str | None, assignments: Iterable[str] = (), flags: dict[str, Any] | None = None
) -> Settings:
    """Read the settings from the file, the environment and the flags that were given."""
    overrides: dict[str, Any] = {}
    for assignment in assignments:
        key, sign, value = assignment.partition("=")
        if not sign:
            msg = f"--set {assignment}: expected KEY=VALUE, for example --set allowed_lateness=2h"
            raise UsageError(msg)
        overrides[key.strip()] = value
    overrides |= {key: value for key, value in (flags or {}).items() if value not in (None, ())}
    text = read_text(config, "configuration file") if config else None
    return load_settings(text, dict(os.environ), overrides, file=str(config or "configuration"))


def source_topic(settings: Settings, name: str) -> str | None:
    """Give the source topic that a name means, with or without the prefix; None for none."""
    names = TopicNames.of(settings).sources
    short = {each.removeprefix(settings.topic_prefix + "."): each for each in names}
    return name if name in names else short.get(name)


def run_async(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine from a verb."""
    return asyncio.run(work)


def watched() -> bool:
    """Tell whether a person is watching standard error: then progress is shown."""
    return sys.stderr.isatty()


def note(text: str) -> None:
    """Tell the caller something that is not the result."""
    click.echo(text, err=True)


def moment_of(flag: str, text: str) -> int:
    """Read the time that a flag gives, as microseconds since the epoch.

    Raises:
        UsageError: it is no time with an offset.
    """
    try:
        return parse_moment(text)
    except ValueError:
        msg = f"{flag} {text}: expected a time with an offset, for example 2026-01-01T00:00:00Z"
        raise UsageError(msg) from None
