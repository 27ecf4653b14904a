"""`journey-stream new`: a definition, its tests and a sample of events, to start from."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from journey_stream.cli import example
from journey_stream.cli.common import did_you_mean, write_text
from journey_stream.errors import UsageError
from journey_stream.scaffold import BLANK, SILENCE, STAGES, scaffold, templates


@click.command(
    "new",
    epilog=example(
        "journey-stream new my-shop",
        "journey-stream new my-shop --stages prospect,customer,regular,lost --silence 120d",
        "journey-stream new my-shop --template buyer-value --dir my-journeys",
    ),
)
@click.argument("name")
@click.option("-t", "--template", metavar="NAME", help="`blank`, or a shipped model to copy and change.")
@click.option("--stages", metavar="A,B,C", help="Stages of the blank template, from first visit to lost.")
@click.option(
    "--silence", metavar="DURATION", help="Of the blank template: who orders nothing for so long is lost."
)
@click.option("-d", "--dir", "folder", metavar="DIR", default=".", help="Where to write; here if left out.")
def command(name: str, template: str | None, stages: str | None, silence: str | None, folder: str) -> None:
    """Start a journey: write its definition, its tests and events to try it on.

    NAME is the id of the new journey: small letters, digits and `-`. Asks what the options do not say when a
    person is there to answer. What it writes passes lint, test and replay at once; nothing is ever
    overwritten.
    """
    asking = template is None and sys.stdin.isatty() and sys.stdout.isatty()
    if asking and stages is None and silence is None:
        template = _ask("Template", BLANK, f"one of {', '.join(templates())}")
    template = template or BLANK
    if template not in templates():
        msg = f"no template `{template}`.{did_you_mean(template, templates())}"
        raise UsageError(msg)
    if template != BLANK and (stages or silence):
        msg = f"--stages and --silence are of the template `{BLANK}`; `{template}` has its own: edit its file"
        raise UsageError(msg)
    if asking and template == BLANK:
        stages = stages or _ask("Stages", ",".join(STAGES), "from the first visit to lost, comma between")
        silence = silence or _ask("Silence", SILENCE, "who orders nothing for so long is lost")
    chosen = tuple(each.strip() for each in stages.split(",")) if stages else STAGES
    made = scaffold(name, template, chosen, silence or SILENCE)
    _write(
        {
            Path(folder) / f"{name}.yaml": made.definition,
            Path(folder) / f"{name}_test.yaml": made.tests,
            Path(folder) / f"{name}_events.jsonl": made.events,
        }
    )


def _ask(question: str, answer: str, hint: str) -> str:
    return str(click.prompt(f"{question} ({hint})", default=answer))


def _write(files: dict[Path, str]) -> None:
    for path in files:
        if path.exists():
            msg = f"{path} is there already, and nothing is overwritten: choose another name or --dir"
            raise UsageError(msg)
    what = ("the definition: stages, rules, signals", "its tests", "events to try it on")
    width = max(len(str(path)) for path in files)
    for (path, text), said in zip(files.items(), what, strict=True):
        write_text(path, text)
        click.echo(f"wrote {path!s:<{width}}  {said}")
    definition, _, events = files
    click.echo(
        "\nnext:\n"
        f"  journey-stream lint {definition}\n"
        f"  journey-stream test {definition}\n"
        f"  journey-stream replay --journeys {definition} {events}"
    )
