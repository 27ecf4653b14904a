"""`journey-stream reset`: forget what a deployment has written."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import click
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupIdNotFound, KafkaError, NonEmptyGroup, for_code
from aiokafka.protocol.admin import DeleteGroupsRequest

from journey_stream.cli import example
from journey_stream.cli.common import note, run_async, settings_options
from journey_stream.errors import BrokerError
from journey_stream.kafka.coordinator import ask_coordinator
from journey_stream.kafka.topics import admin_client
from journey_stream.settings import Settings, TopicNames


@click.command("reset", epilog=example("journey-stream reset --application-id journey-stream --yes"))
@settings_options()
@click.option("--yes", is_flag=True, help="Really delete; without it the plan is printed.")
@click.option("--keep-output", is_flag=True, help="Keep transitions, signals, stages and dead letters.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(settings: Settings, yes: bool, keep_output: bool, as_json: bool) -> None:
    """Delete what a deployment has written, so that it can start over.

    Its keyed topic, changelog, pauses, topics out and group offsets go; source topics stay and are read again
    from the beginning. Stop every worker of the deployment first.
    """
    plan = run_async(_reset(settings, really=yes, keep_output=keep_output))
    if as_json:
        click.echo(json.dumps(plan, indent=2))
        return
    for line in plan["topics"]:
        click.echo(f"topic {line}: {'deleted' if yes else 'would be deleted'}")
    click.echo(f"group {plan['group']}: offsets {'deleted' if yes else 'would be deleted'}")
    if not yes:
        note("nothing was deleted: say --yes to do it")


async def _reset(settings: Settings, *, really: bool, keep_output: bool) -> dict[str, Any]:
    names = TopicNames.of(settings)
    async with admin_client(settings) as admin:
        try:
            there = await admin.list_topics()
            mine = [name for name in there if _is_ours(name, names, keep_output=keep_output)]
            mine.sort()
            if really:
                await _delete_group(admin, settings.application_id)
                await _delete(admin, mine)
        except KafkaError as error:
            msg = f"the cluster refused: {type(error).__name__}: {error}"
            raise BrokerError(msg) from error
    return {"topics": mine, "group": settings.application_id, "deleted": really}


def _is_ours(name: str, names: TopicNames, *, keep_output: bool) -> bool:
    # What has been sent back is in the sources, which stay: so does the note that it was (`names.redriven`).
    if name in {names.events, names.control, names.changelog}:
        return True
    if keep_output:
        return False
    common = {names.transitions, names.signals, names.stages, names.dead_letters}
    return name in common or name.startswith((names.transitions + ".", names.signals + "."))


async def _delete_group(admin: AIOKafkaAdminClient, group: str) -> None:
    """Delete the group with its offsets; a group that never was is fine."""

    async def ask(coordinator: int) -> None:
        # aiokafka offers no other way.
        response = await admin._send_request(DeleteGroupsRequest([group]), coordinator)  # noqa: SLF001
        for _, code in response.results:
            if code and for_code(code) is not GroupIdNotFound:
                raise for_code(code)

    try:
        await ask_coordinator(admin, group, ask)
    except NonEmptyGroup as error:
        msg = f"group {group} has members: stop every worker of the deployment first"
        raise BrokerError(msg) from error
    except KafkaError as error:
        msg = f"group {group} could not be deleted: {type(error).__name__}"
        raise BrokerError(msg) from error


async def _delete(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    if not names:
        return
    response = await admin.delete_topics(names)
    for name, code in response.topic_error_codes:
        if code:
            msg = f"topic {name} could not be deleted: {for_code(code).__name__}"
            raise BrokerError(msg)
    for _ in range(100):  # deletion is asynchronous: whoever starts over must not meet the old topic
        if not set(names) & set(await admin.list_topics()):
            return
        await asyncio.sleep(0.1)
    raise BrokerError("topics were deleted but still show after 10 s: look at the brokers' logs")
