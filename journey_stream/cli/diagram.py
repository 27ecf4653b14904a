"""`journey-stream diagram`: journeys as pictures and tables, made from the checked definitions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from journey_stream import diagrams
from journey_stream.cli import example
from journey_stream.cli.common import note, settings_options, write_text
from journey_stream.deployment import journey_texts, vocabulary_of
from journey_stream.journeys import Journey, load
from journey_stream.settings import Settings

ENDINGS = {"mermaid": "mmd", "svg": "svg", "table": "md"}


@click.command(
    "diagram",
    epilog=example(
        "journey-stream diagram buyer-value",
        "journey-stream diagram --format svg --output pictures my-journeys/",
    ),
)
@settings_options()
@click.argument("journeys", nargs=-1, metavar="[JOURNEY]...")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(ENDINGS)),
    default="mermaid",
    show_default=True,
    help="What to draw.",
)
@click.option("--language", default="en", show_default=True, metavar="CODE", help="Language of the titles.")
@click.option("--triggers", is_flag=True, help="Mermaid: label moves with triggers, not with rules.")
@click.option("-o", "--output", metavar="DIR", help="Write one file per journey into this folder.")
def command(
    settings: Settings,
    journeys: tuple[str, ...],
    form: str,
    language: str,
    triggers: bool,
    output: str | None,
) -> None:
    """Draw journeys: Mermaid, SVG, or tables of stages and triggers.

    JOURNEY is a shipped name, a YAML file or a folder of them; without any, those of the configuration. The
    definitions are checked first: what is drawn is what runs.
    """
    texts = journey_texts(journeys or settings.journeys)
    draw: dict[str, Callable[[Journey], str]] = {
        "mermaid": lambda journey: diagrams.mermaid(journey, language=language, triggers=triggers),
        "svg": lambda journey: diagrams.svg(journey, language=language),
        "table": lambda journey: diagrams.table(journey, language=language),
    }
    drawn = {journey.id: draw[form](journey) for journey in load(texts, vocabulary_of(settings)).usable()}
    if output is None:
        click.echo("\n".join(drawn.values()), nl=False)
        return
    for name, text in drawn.items():
        path = Path(output) / f"{name}.{ENDINGS[form]}"
        write_text(path, text)
        note(f"wrote {path}")
