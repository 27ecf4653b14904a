"""The topics of a deployment: created where they are missing, checked where they exist.

Enters: `Settings` (and names of extra topics). Leaves: topics that keep the promises, or a `TopicError`.
Strategy: `plan` says what each topic must be, `misfits` compares that with what is there (both pure);
`ensure_topics` asks the cluster, creates, compares. Only what would break a promise is compared: number of
partitions, cleanup policy, record size. Retention and the like stay the platform team's own choice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Literal

import msgspec
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    RequestTimedOutError,
    TopicAlreadyExistsError,
    for_code,
)

from journey_stream.errors import BrokerError, TopicError
from journey_stream.kafka.security import client_options
from journey_stream.settings import Settings, TopicNames
from journey_stream.values import NEVER, SECOND

HEADROOM = 64 * 1024
"""Bytes a record may grow on our way: headers of the hop and of a dead letter, batch overhead."""

Role = Literal["source", "events", "out", "stages", "notes", "changelog"]
"""`notes` are kept for ever, by key: what has been sent back, what is paused."""


class TopicPlan(msgspec.Struct, frozen=True):
    """What one topic is to be."""

    name: str
    role: Role
    partitions: int
    config: dict[str, str]
    keyed: bool = False
    """A source that is read without the hop: it needs just so many partitions."""


class TopicState(msgspec.Struct, frozen=True):
    """What one topic is."""

    partitions: int
    config: dict[str, str]


class Ensured(msgspec.Struct, frozen=True):
    """What `ensure_topics` found and did."""

    created: tuple[str, ...]
    present: tuple[str, ...]
    broker_times: bool
    """Brokers stamp the records of every source topic."""


def plan(settings: Settings, extra: Iterable[str] = ()) -> tuple[TopicPlan, ...]:
    """Say what each topic is to be, in the order of an event's way; `extra` are more topics out."""
    names, keep = TopicNames.of(settings), settings.retention
    largest = {"max.message.bytes": str(settings.max_record_bytes + HEADROOM)}
    # Retention goes by the record's timestamp: a backfill of last year must not vanish on arrival.
    arrival = {"message.timestamp.type": "LogAppendTime"}
    source = {"max.message.bytes": str(settings.max_record_bytes), **_retention(keep.sources)}
    if settings.source_timestamps == "broker":
        source |= arrival
    else:
        source |= {"message.timestamp.type": "CreateTime", "message.timestamp.after.max.ms": str(NEVER)}
    out = {**largest, **arrival}
    transitions, signals = _retention(keep.transitions), _retention(keep.signals)
    keyed = settings.keyed_input != "none"
    count = settings.partitions if keyed else settings.source_partitions
    plans = [TopicPlan(name, "source", count, source, keyed) for name in names.sources]
    plans += [
        TopicPlan(names.events, "events", settings.partitions, {**out, **_retention(keep.events)}),
        TopicPlan(names.transitions, "out", settings.partitions, {**out, **transitions}),
        TopicPlan(names.signals, "out", settings.partitions, {**out, **signals}),
        TopicPlan(names.stages, "stages", settings.partitions, {**largest, **_COMPACTED}),
        TopicPlan(names.dead_letters, "out", settings.partitions, {**out, **_retention(keep.dead_letters)}),
        TopicPlan(names.redriven, "notes", 1, {**_COMPACTED}),
        TopicPlan(names.control, "notes", 1, {**_COMPACTED}),
        TopicPlan(names.changelog, "changelog", settings.partitions, {**largest, **_COMPACTED, **_QUICK}),
    ]
    for name in dict.fromkeys(extra):
        kept = signals if name.startswith(names.signals) else transitions
        plans.append(TopicPlan(name, "out", settings.partitions, {**out, **kept}))
    return tuple(plans)


_AWAY = (KafkaConnectionError, NodeNotReadyError, RequestTimedOutError, KafkaTimeoutError)
_COMPACTED = {"cleanup.policy": "compact"}
_QUICK = {
    # The active segment is never compacted: small ones keep a restore close to one record a customer.
    "segment.bytes": str(16 * 2**20),
    "min.cleanable.dirty.ratio": "0.1",
    "max.compaction.lag.ms": str(10 * 60 * 1000),
}


def _retention(kept: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": "-1" if kept == NEVER else str(kept // 1000)}


def misfits(wanted: TopicPlan, found: TopicState, source_bytes: int = 0) -> list[str]:
    """Say what about an existing topic would break a promise; each with expected, found and the way out.

    `source_bytes` is the largest record that a source topic may hold: what carries the original must hold it.
    """
    problems: list[str] = []
    if wanted.role in {"events", "changelog"} and found.partitions != wanted.partitions:
        problems.append(
            f"topic {wanted.name}: expected {wanted.partitions} partitions, found {found.partitions}. "
            f"Customers are bound to partitions: set `partitions: {found.partitions}`, or choose another "
            "`topic_prefix` and `application_id`"
        )
    if wanted.keyed and found.partitions != wanted.partitions:
        problems.append(
            f"topic {wanted.name}: expected {wanted.partitions} partitions, as many as `partitions`, found "
            f"{found.partitions}: with `keyed_input` partition n of each source holds the customers of keyed "
            f"partition n. Set `keyed_input: none`; or, where every source has {found.partitions}, begin "
            f"with `partitions: {found.partitions}` in a deployment of its own (docs/keyed-input.md)"
        )
    policy = set(found.config.get("cleanup.policy", "delete").replace(" ", "").split(","))
    expected = wanted.config["cleanup.policy"]
    if wanted.role == "changelog" and policy != {"compact"}:
        problems.append(_policy(wanted.name, expected, policy, "or customers are forgotten"))
    elif wanted.role == "stages" and policy != {"compact"}:
        problems.append(_policy(wanted.name, expected, policy, "or stages of quiet customers are lost"))
    elif wanted.role == "notes" and policy != {"compact"}:
        problems.append(_policy(wanted.name, expected, policy, "or what was told once is forgotten"))
    elif wanted.role in {"source", "events", "out"} and "compact" in policy:
        problems.append(_policy(wanted.name, expected, policy, "or events of one key overwrite each other"))
    size = int(found.config.get("max.message.bytes", "1048588"))
    needed = _least_bytes(wanted, source_bytes)
    if size < needed:
        problems.append(
            f"topic {wanted.name}: expected max.message.bytes of at least {needed}, found {size}. It has to "
            f"carry whatever a source topic holds: kafka-configs --alter --entity-type topics --entity-name "
            f"{wanted.name} --add-config max.message.bytes={needed}"
        )
    return problems


def _least_bytes(wanted: TopicPlan, source_bytes: int) -> int:
    """Return the record size that a topic must at least take."""
    if wanted.role in {"events", "out"} and source_bytes:
        return source_bytes + HEADROOM
    return 0


def _policy(name: str, expected: str, policy: set[str], why: str) -> str:
    found = ",".join(sorted(policy))
    return (
        f"topic {name}: expected cleanup.policy={expected}, found {found}, {why}: kafka-configs --alter "
        f"--entity-type topics --entity-name {name} --add-config cleanup.policy={expected}"
    )


async def ensure_topics(
    settings: Settings,
    admin: AIOKafkaAdminClient | None = None,
    *,
    extra: Iterable[str] = (),
    create: bool = True,
    only: Role | None = None,
) -> Ensured:
    """Create the topics that are missing and check those that exist; with `create=False` only check.

    `only` leaves all topics but those of one role alone.

    Raises:
        TopicError: topics that would break a promise, all of them at once.
        BrokerError: the cluster cannot be reached or refuses.
    """
    if admin is None:
        deadline = time.monotonic() + settings.startup_timeout / SECOND
        while True:
            try:
                async with admin_client(settings) as own:
                    return await ensure_topics(settings, own, extra=extra, create=create, only=only)
            except BrokerError as error:
                # They may also go away between two questions.
                if not isinstance(error.__cause__, _AWAY) or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(1.0)
    plans = [each for each in plan(settings, extra) if only in (None, each.role)]
    try:
        found = await describe(admin, [each.name for each in plans])
        missing = [each for each in plans if each.name not in found]
        if missing and not create:
            names = ", ".join(each.name for each in missing)
            msg = f"missing topics: {names}. Make them with `journey-stream topics --create`"
            raise TopicError(msg)
        if missing:
            copies = settings.replication if settings.replication > 0 else await _default_copies(admin)
            await _create(admin, missing, copies)
            found |= await _appeared(admin, [each.name for each in missing])
    except KafkaError as error:
        raise BrokerError(_refused("topics", error)) from error
    source_bytes = max(
        (int(found[each.name].config.get("max.message.bytes", 0)) for each in plans if each.role == "source"),
        default=0,
    )
    problems = [line for each in plans for line in misfits(each, found[each.name], source_bytes)]
    if problems:
        raise TopicError("\n".join(problems))
    created = tuple(each.name for each in missing)
    stamps = [
        found[each.name].config.get("message.timestamp.type") for each in plans if each.role == "source"
    ]
    return Ensured(
        created,
        tuple(each.name for each in plans if each.name not in created),
        all(stamp == "LogAppendTime" for stamp in stamps),
    )


async def describe(admin: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, TopicState]:
    """Ask the cluster about topics; those that do not exist are left out."""
    known = set(await admin.list_topics())
    wanted = [name for name in names if name in known]
    if not wanted:
        return {}
    counts = {row["topic"]: len(row["partitions"]) for row in await admin.describe_topics(wanted)}
    responses = await admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name) for name in wanted]
    )
    configs: dict[str, dict[str, str]] = {}
    for response in responses:
        for code, message, _kind, name, entries in response.resources:
            if code:
                raise for_code(code)(message)
            configs[name] = {entry[0]: entry[1] for entry in entries if entry[1] is not None}
    return {name: TopicState(counts[name], configs[name]) for name in wanted if counts.get(name)}


async def _default_copies(admin: AIOKafkaAdminClient) -> int:
    """Ask the cluster for its `default.replication.factor`: aiokafka's requests cannot say "the default"."""
    brokers = (await admin.describe_cluster())["brokers"]
    resource = ConfigResource(ConfigResourceType.BROKER, str(brokers[0]["node_id"]))
    for response in await admin.describe_configs([resource]):
        for *_, entries in response.resources:
            for entry in entries:
                if entry[0] == "default.replication.factor":
                    return int(entry[1])
    return 1


async def _create(admin: AIOKafkaAdminClient, plans: list[TopicPlan], replication: int) -> None:
    topics = [NewTopic(each.name, each.partitions, replication, topic_configs=each.config) for each in plans]
    response = await admin.create_topics(topics)
    problems = []
    for name, code, *message in response.topic_errors:
        if (
            code and for_code(code) is not TopicAlreadyExistsError
        ):  # another worker was quicker: checked below
            problems.append(
                f"topic {name}: the cluster refused to create it: {message[0] or for_code(code).__name__}"
            )
    if problems:
        raise TopicError("\n".join(problems))


async def _appeared(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, TopicState]:
    """Wait until every broker that may answer knows the new topics, with leaders for all partitions."""
    for attempt in range(60):
        with contextlib.suppress(KafkaError):
            found = await describe(admin, names)
            if len(found) == len(names):
                return found
        await asyncio.sleep(min(0.05 * 2**attempt, 0.5))
    msg = f"topics were created but do not show after 30 s: {', '.join(names)}. Look at the brokers' logs"
    raise BrokerError(msg)


@contextlib.asynccontextmanager
async def admin_client(settings: Settings, timeout: int | None = None) -> AsyncIterator[AIOKafkaAdminClient]:
    """Open an admin client; while the brokers are away, try again with backoff for `startup_timeout`.

    Raises:
        BrokerError: they stayed away.
    """
    admin = await reach(settings, settings.startup_timeout if timeout is None else timeout)
    try:
        yield admin
    finally:
        await admin.close()


async def reach(settings: Settings, timeout: int) -> AIOKafkaAdminClient:
    """Return a connected admin client, or raise BrokerError once `timeout` (microseconds) has passed."""
    options = client_options(settings)
    log = logging.getLogger("journey_stream.kafka.topics")
    # aiokafka tells each failed connection as an error of its own; ours says it once, below.
    quiet = logging.getLogger("aiokafka")
    level = quiet.level
    deadline = time.monotonic() + timeout / SECOND
    pause, told = 0.25, False
    while True:
        admin = AIOKafkaAdminClient(client_id=settings.application_id, **options)
        quiet.setLevel(logging.CRITICAL)
        try:
            await asyncio.wait_for(admin.start(), max(1.0, deadline - time.monotonic()))
        except (KafkaError, OSError, TimeoutError) as error:
            with contextlib.suppress(Exception):
                await admin.close()
            left = deadline - time.monotonic()
            if left <= 0:
                raise BrokerError(_unreachable(settings, timeout, error)) from error
            if not told:
                log.warning("no Kafka at %s yet, trying for %.0f s", settings.bootstrap_servers, left)
                told = True
        else:
            return admin
        finally:
            quiet.setLevel(level)
        await asyncio.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(pause * 2, 5.0)


def _unreachable(settings: Settings, timeout: int, error: Exception) -> str:
    way = "`security` settings" if settings.security.protocol != "PLAINTEXT" else "address"
    return (
        f"no Kafka at {settings.bootstrap_servers} (tried for {timeout / SECOND:g} s; "
        f"{_refused(settings.security.protocol, error)}). Check that it runs and the {way}, "
        "or start one with `journey-stream broker`"
    )


def _refused(what: str, error: Exception) -> str:
    return f"{what}: {type(error).__name__}: {error}"


def configs_of(plans: Iterable[TopicPlan]) -> Mapping[str, Any]:
    """Return the plan as plain values, for `--json`."""
    return {
        each.name: {"role": each.role, "partitions": each.partitions, "config": each.config} for each in plans
    }
