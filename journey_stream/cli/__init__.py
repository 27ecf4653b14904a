"""The command line: `journey-stream VERB`, one module a verb.

Enters: arguments. Leaves: an exit code: 0 fine, 1 findings or failures, 2 wrong usage. Strategy: the group
knows the verbs by name and line only, and imports a verb's module when it is called, so that `--help` is
quick; an error on purpose becomes one clear message on standard error; anything else keeps its traceback,
since it is ours to mend.
"""

from __future__ import annotations

import importlib
import sys

import click

from journey_stream import __version__, errors

VERBS = {
    "demo": "Show it all on this machine: a real Kafka, a simulated shop, journeys as they happen.",
    "worker": "Run a worker: events in, transitions and signals out.",
    "replay": "Run events from files through journeys and print what would be published.",
    "backfill": "Feed in what happened before, so that customers do not begin anew.",
    "new": "Start a journey: write its definition, its tests and events to try it on.",
    "lint": "Check journey definitions and print every finding.",
    "test": "Test journeys: given these events, when the clock says, then these records.",
    "explain": "Explain where one customer is, why, and what may come next.",
    "backtest": "Run two definitions over history and show who moves.",
    "diagram": "Draw journeys: Mermaid, SVG, or tables of stages and triggers.",
    "schema": "Write or check the JSON Schemas and the AsyncAPI document.",
    "topics": "Show, create or check the topics of a deployment.",
    "broker": "Run a real Kafka on this machine until Ctrl-C.",
    "redrive": "Send dead letters back to their source topics, mended or as they are, once each.",
    "inspect": "Look at a running deployment from the side: nothing is joined, nothing is disturbed.",
    "pause": "Let partitions rest until `resume`, whichever worker has them, now and later.",
    "resume": "Let paused partitions go on where they stood.",
    "reset": "Delete what a deployment has written, so that it can start over.",
}
"""Every verb and what its own help opens with, in the order a newcomer meets them."""

_WRONG_USAGE = (errors.UsageError, errors.SettingsError)
_STOPPED = 130


def example(*lines: str) -> str:
    """Write examples for the end of a help text, each on a line of its own."""
    first, *more = lines
    return "\b\n" + "\n".join([f"Example:  {first}", *(f"          {line}" for line in more)])


class Verbs(click.Group):
    """A group that imports a verb's module only when the verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the verbs."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one verb."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"journey_stream.cli.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, or say which one may have been meant."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from journey_stream.cli.common import did_you_mean  # only now: it is rarely needed

            msg = f"no command `{args[0]}`.{did_you_mean(args[0], VERBS)}"
            raise click.UsageError(msg, ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.command(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=example(
        "journey-stream demo", "journey-stream worker --bootstrap-servers HOST:PORT --journeys DIR"
    ),
)
@click.version_option(__version__, prog_name="journey-stream")
def cli() -> None:
    """Customer journeys as a stream: events in, changes of stage and signals out, on Kafka."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 fine, 1 findings or failures, 2 wrong usage."""
    try:
        code = cli.main(arguments, prog_name="journey-stream", standalone_mode=False)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return _STOPPED
    except errors.JourneyStreamError as error:
        click.echo(f"error: {error}", err=True)
        return 2 if isinstance(error, _WRONG_USAGE) else 1
    except BrokenPipeError:  # `| head` has seen enough
        sys.stderr.close()
        return 0
    return code if isinstance(code, int) else 0
