"""`journey-stream topics`: what topics a deployment has or needs."""

from __future__ import annotations

import json

import click

from journey_stream.cli import example
from journey_stream.cli.common import run_async, settings_options
from journey_stream.kafka import topics
from journey_stream.settings import Settings


@click.command("topics", epilog=example("journey-stream topics --create --bootstrap-servers localhost:9092"))
@settings_options()
@click.option("--create", "action", flag_value="create", help="Create what is missing and check the rest.")
@click.option("--check", "action", flag_value="check", help="Check only; missing topics are an error.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(settings: Settings, action: str | None, as_json: bool) -> None:
    """Show, create or check the topics of a deployment.

    Without --create or --check it prints the plan and asks no cluster.
    """
    from journey_stream.deployment import extra_topics  # slow to import, and needless for --help

    plans = topics.plan(settings, extra_topics(settings))
    done: dict[str, str] = {}
    if action:
        extra = [each.name for each in plans[len(topics.plan(settings)) :]]
        found = run_async(topics.ensure_topics(settings, extra=extra, create=action == "create"))
        done = dict.fromkeys(found.created, "created") | dict.fromkeys(found.present, "fits")
    if as_json:
        described = {
            name: {**values, **({"result": done[name]} if done else {})}
            for name, values in topics.configs_of(plans).items()
        }
        click.echo(json.dumps(described, indent=2))
        return
    for each in plans:
        config = " ".join(f"{key}={value}" for key, value in sorted(each.config.items()))
        result = done.get(each.name, "")
        click.echo(
            f"{each.name:<40} {each.partitions:>3} partitions  {result:<8}{'' if done else config}".rstrip()
        )
