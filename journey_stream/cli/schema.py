"""`journey-stream schema`: the JSON Schemas and the AsyncAPI document, written or checked."""

from __future__ import annotations

import json
from pathlib import Path

import click

from journey_stream import schemas
from journey_stream.cli import example
from journey_stream.cli.common import note, settings_options, write_text
from journey_stream.deployment import vocabulary_of
from journey_stream.errors import UsageError
from journey_stream.settings import Settings


@click.command("schema", epilog=example("journey-stream schema schemas/"))
@settings_options()
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 if the folder differs.")
@click.option("--json", "as_json", is_flag=True, help="Print all files as one JSON object, path to text.")
def command(settings: Settings, folder: Path | None, check: bool, as_json: bool) -> None:
    """Write or check the JSON Schemas and the AsyncAPI document.

    They are made from the types that the code runs on, event types of your configuration included. Without
    FOLDER the names of the files are printed.
    """
    made = schemas.build(vocabulary_of(settings))
    if as_json:
        click.echo(json.dumps(made, indent=2))
    elif folder is None:
        if check:
            msg = "schema --check: expected the FOLDER to compare with"
            raise UsageError(msg)
        for path in made:
            click.echo(path)
    elif check:
        _check(folder, made)
    else:
        _write(folder, made)


def _check(folder: Path, made: dict[str, str]) -> None:
    differing = [path for path, text in made.items() if _read(folder / path) != text]
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    lines = [f"{path}: {'differs' if path in there else 'is missing'}" for path in differing]
    lines += [f"{path}: is not made any more" for path in sorted(there - made.keys())]
    for line in lines:
        click.echo(line)
    if lines:
        note(f"run `journey-stream schema {folder}` and commit what changes")
        raise click.exceptions.Exit(1)


def _write(folder: Path, made: dict[str, str]) -> None:
    changed = 0
    for path, text in made.items():
        target = folder / path
        if _read(target) != text:
            write_text(target, text)
            changed += 1
    note(f"{len(made)} files in {folder}, {changed} of them changed")


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
