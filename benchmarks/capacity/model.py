"""The cost model: from a load and measured costs to workers, partitions, traffic, disk, restore, and limits.

Enters: `Costs` (fitted by `measure` on one machine), a `Load`, `Choices` of the operator. Leaves: a `Sizing`.
Strategy: pure arithmetic. What a second of the load does is counted (events, batches, transactions, markers),
multiplied with what each costs, and divided among workers and brokers. Two regimes are told apart: *steady*
(caught up: small batches, frequent checkpoints, so readers hear soon) and *pressed* (behind: batches and
checkpoints as large as they may be). What a worker can do at most is what it does pressed; deployments are
sized so that the peak takes `Choices.busy` of that. CPU is in microseconds a second unless it says cores.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from benchmarks.capacity.terms import Choices, Costs, Flow, Limit, Load, Plan, Sizing
from journey_stream.kafka.pace import Limits, Pace
from journey_stream.kafka.progress import gap
from journey_stream.kafka.spacing import SPACE_SECONDS
from journey_stream.settings import Checkpoint

SECOND: Final = 1e6
HOUR: Final = 3600.0
DAY: Final = 86_400.0
SESSION_SECONDS: Final = 10.0
"""After so long without a heartbeat a worker counts as dead (`kafka/group.py`)."""
PRESSED_CYCLE: Final = 0.1
"""Seconds of events in a batch of intake that is behind; also how long a fetch may wait."""
CHECKPOINT_RECORDS: Final = Checkpoint().records
"""Of one transaction at most."""
ENTRIES_MOST: Final = 192
"""Events of one customer that are kept for their order when there are very many (`recent.LIMIT`)."""


def distinct(among: float, drawn: float) -> float:
    """How many different ones there are on average among `drawn` out of `among`, all alike."""
    if among <= 1.0 or drawn <= 1.0:
        return min(1.0, drawn)
    return among * -math.expm1(drawn * math.log1p(-1.0 / among))


def pace(costs: Costs, choices: Choices) -> Pace:
    """How a lane commits, with commits as long as they were measured."""
    limits = Limits(choices.interval, choices.longest, CHECKPOINT_RECORDS, 0)
    return Pace(limits, commit_seconds=costs.commit_seconds["commits"])


def remembered(load: Load) -> float:
    """Events kept with a state that changes: half a session, or the hour's average where that is more."""
    if load.kept is not None:
        return load.kept
    return min(max(load.session / 2, load.events * HOUR / load.customers), ENTRIES_MOST)


def flow(costs: Costs, load: Load, choices: Choices, plan: Plan, *, pressed: bool) -> Flow:
    """Count what a second does.

    A lane commits `wait` after its last commit: pressed `checkpoint.longest`, else so many times as long as a
    commit takes, between `checkpoint.interval` and a few times that (`kafka/pace.py`); without events not at
    all. A batch of intake holds what came while the one before was handed on, and goes to as many keyed
    partitions as its events have (`kafka/intake.py`). A worker with source partitions sends a marker to every
    keyed partition each `gap` (`kafka/progress.py`); it names those source partitions. The clock looks at all
    source partitions once for each batch that holds a marker (`release.py`).
    """
    took = costs.commit_seconds["commits"]
    wait = pace(costs, choices).wait(behind=pressed)
    each = load.events / plan.partitions
    period = wait + took
    filled = -math.expm1(-each * (1 + load.timers) * period)
    """Share of the periods in which something happens."""
    commits = plan.partitions * filled / period
    active = min(load.customers, max(1.0, load.events * HOUR / load.session)) / plan.partitions
    seen = distinct(active, each * period)
    changed = plan.partitions * seen / period + load.events * load.timers
    entries = plan.partitions * seen / period * remembered(load)
    cycle = PRESSED_CYCLE if pressed else max(SPACE_SECONDS, took)
    tellers = min(plan.workers, plan.sources)
    markers = tellers * plan.partitions / gap(plan.partitions, choices.marker_interval)
    if choices.input == "hop":
        coming = load.events / plan.sources
        turns = plan.sources * -math.expm1(-coming * cycle) / cycle
        hop_sends, hop_batches = turns, turns * distinct(plan.partitions, max(1.0, coming * cycle))
        fetches = turns + min(hop_batches + markers, plan.partitions / cycle)
    else:
        hop_sends = hop_batches = 0.0
        fetches = min(load.events, plan.sources / cycle) + min(markers, plan.partitions / cycle)
    return Flow(
        period=period,
        commits=commits,
        changed=changed,
        entries=entries,
        rows_out=load.events * load.rows_out,
        hop_sends=hop_sends,
        hop_batches=hop_batches,
        fetch_batches=fetches,
        markers=markers,
        marker_entries=markers * plan.sources / tellers,
        sources_looked_at=min(markers, plan.partitions / cycle) * plan.sources,
    )


def core_cpu(costs: Costs, load: Load, done: Flow) -> float:
    """Microseconds a second of the journeys' logic: what `core` was fitted for, so many times each."""
    core, models = costs.core, load.journeys / 5.0
    looks, acts = load.events * (1 - load.acts), load.events * load.acts
    return (
        looks * (core["looks"] + models * core["shipped looks"])
        + acts * (core["acts"] + models * core["shipped acts"])
        + done.rows_out * core["rows out"]
        + done.changed * (core["changed"] + models * core["shipped changed"])
        + done.entries * core["entries"]
        + load.events * load.timers * core["timers"]
        + done.commits * core["checkpoints"]
    )


def state_bytes(costs: Costs, load: Load, done: Flow) -> float:
    """Bytes a second of states for the changelog: a state and what its customer did within the hour."""
    state, models = costs.state, load.journeys / 5.0
    per = state["changed"] + models * state["shipped changed"]
    return done.changed * per + done.entries * state["entries"]


def committed(costs: Costs, load: Load, done: Flow) -> dict[str, float]:
    """What a second of transactions holds, as `commit` counts it; a record goes to two topics at least."""
    payload = state_bytes(costs, load, done) + done.rows_out * costs.out_bytes
    topics = done.commits * (1 + min(2.0, done.rows_out / max(done.commits, 1e-9)))
    rows = done.commits + done.changed + done.rows_out
    return {"commits": done.commits, "topics": topics, "rows": rows, "KB": payload / 1e3}


def cpu_parts(costs: Costs, load: Load, choices: Choices, plan: Plan, *, pressed: bool) -> dict[str, float]:
    """Cores of all workers, by part. Sum of counts times costs; `whole` on top of each."""
    done = flow(costs, load, choices, plan, pressed=pressed)
    through = 2.0 if choices.input == "hop" else 1.0
    judged = costs.intake["look"] * (1 - load.acts) + costs.intake["act"] * load.acts
    own = {"sends": done.hop_sends, "batches": done.hop_batches, "rows": load.events}
    hears = {
        "markers": done.markers,
        "entries": done.marker_entries,
        "sources looked at": done.sources_looked_at,
    }
    told = done.markers * (costs.hop["batches"] + costs.hop["rows"] + costs.fetch["rows"])
    reading = {"batches": done.fetch_batches, "rows": load.events * through}
    parts = {
        "journeys": core_cpu(costs, load, done),
        "reading": total(costs.fetch, reading),
        "intake and hop": load.events * judged + total(costs.hop, own) if choices.input == "hop" else 0.0,
        "markers": told + total(costs.marker, hears),
        "transactions": total(costs.commit, committed(costs, load, done)),
    }
    busy = {name: spent * costs.whole / SECOND for name, spent in parts.items()}
    return busy | {"at rest": costs.idle * plan.workers}


def total(costs: dict[str, float], counts: dict[str, float]) -> float:
    """So many of each thing."""
    return sum(cost * counts.get(thing, 0.0) for thing, cost in costs.items())


def lane_busy(costs: Costs, load: Load, choices: Choices, plan: Plan) -> float:
    """Share of its time that a lane works or waits for its commit, pressed.

    One after the other, as with states on disk. In memory a lane works on meanwhile (`kafka/commits.py`) and
    can do more; neither this nor the simulation counts on that.
    """
    done = flow(costs, load, choices, plan, pressed=True)
    works = core_cpu(costs, load, done) + load.events * costs.fetch["rows"]
    waits = total(costs.commit_seconds, committed(costs, load, done))
    return (works * costs.whole / SECOND + waits) / plan.partitions


def capacity(costs: Costs, load: Load, choices: Choices, plan: Plan) -> float:
    """Events a second that the workers can do at most, pressed, with the same mix; found by halving."""
    low, high = 0.0, SECOND * plan.workers
    for _ in range(50):
        middle = (low + high) / 2
        at = msgspec.structs.replace(load, events=middle)
        if can(costs, at, choices, plan):
            low = middle
        else:
            high = middle
    return low


def can(costs: Costs, load: Load, choices: Choices, plan: Plan) -> bool:
    """Neither the workers' CPU nor the time of their lanes is all used up, pressed."""
    cores = cores_of(costs, load, choices, plan, pressed=True)
    return cores <= plan.workers and lane_busy(costs, load, choices, plan) <= 1.0


def broker_cpu(costs: Costs, load: Load, choices: Choices, plan: Plan) -> float:
    """Cores of all brokers. A copy costs at most what the first write did: fetched here, appended there."""
    done = flow(costs, load, choices, plan, pressed=False)
    rows = load.events
    produced = total(costs.hop_broker, {"batches": rows / 20, "rows": rows})
    through = 1.0 if choices.input == "hop" else 0.0
    hop = {
        "sends": done.hop_sends,
        "batches": done.hop_batches + done.markers,
        "rows": rows * through + done.markers,
    }
    produced += total(costs.hop_broker, hop)
    transactions = total(costs.commit_broker, committed(costs, load, done))
    read = rows * (1.0 + through) + done.markers + done.rows_out * load.readers
    fetched = total(costs.fetch_broker, {"batches": done.fetch_batches, "rows": read})
    return ((produced + transactions) * choices.replication + fetched) / SECOND


def traffic(costs: Costs, load: Load, choices: Choices, plan: Plan) -> dict[str, float]:
    """Bytes a second: `fit`'s bytes per batch, row and transaction; a copy is sent once more per follower."""
    done = flow(costs, load, choices, plan, pressed=False)
    event = load.events * (costs.event_bytes + 20)
    told = done.markers * costs.hop_bytes["batches"] + done.marker_entries * 45
    hopped = told + (event + done.hop_batches * costs.hop_bytes["batches"] if choices.input == "hop" else 0.0)
    written = total(costs.commit_bytes, committed(costs, load, done))
    out = done.rows_out * costs.out_bytes
    fetched = done.fetch_batches * costs.fetch_bytes["batches"]
    copies = (event + hopped + written) * (choices.replication - 1)
    return {
        "worker in": (event + hopped + fetched) / plan.workers,
        "worker out": (hopped + written) / plan.workers,
        "brokers in": event + hopped + written + copies,
        "brokers out": event + hopped + fetched + out * load.readers + copies,
    }


def disks(costs: Costs, load: Load, choices: Choices, plan: Plan) -> dict[str, float]:
    """Bytes with all copies, of an average day.

    The changelog is compacted: one state a customer, a tenth more that is not yet cleaned
    (`min.cleanable.dirty.ratio`), what ten minutes write (`max.compaction.lag.ms`), and the segment of each
    partition that is being written (`kafka/topics.py`).
    """
    average = msgspec.structs.replace(load, events=load.events * load.mean)
    done, copies = flow(costs, average, choices, plan, pressed=False), float(choices.replication)
    told = done.markers * costs.hop_bytes["batches"] + done.marker_entries * 45
    source = average.events * costs.event_bytes
    hopped = told + (source + done.hop_batches * 70 if choices.input == "hop" else 0.0)
    out = done.rows_out * costs.out_bytes
    changes = state_bytes(costs, average, done) + done.commits * costs.commit_disk["commits"]
    kept = load.customers * costs.encoded * 1.1 + 600 * changes + plan.partitions * 16 * 2**20
    return {
        "sources a day": source * DAY * copies,
        "hop a day": hopped * DAY * copies,
        "records out a day": out * DAY * copies,
        "changelog written a day": changes * DAY * copies,
        "changelog": kept * copies,
        "kept": copies
        * ((source + hopped) * DAY * choices.retention_in + out * DAY * choices.retention_out + kept),
    }


def restore_records(costs: Costs, load: Load, choices: Choices, plan: Plan) -> float:
    """Records of one partition's changelog: one a customer, a tenth more, and ten minutes of changes."""
    average = msgspec.structs.replace(load, events=load.events * load.mean)
    done = flow(costs, average, choices, plan, pressed=False)
    return load.customers / plan.partitions * 1.1 + 600 * (done.changed + done.commits) / plan.partitions


def recovery(costs: Costs, load: Load, choices: Choices, plan: Plan) -> float:
    """Seconds from a crash until nothing waits that came before.

    The dead worker's session ends, the group divides anew, then each of its partitions is restored by whoever
    got it, beside everything else the survivors do, with what is left of their CPU; last they work off what
    came meanwhile for the partitions that were dead, and for all while the group divided.
    """
    own = math.ceil(plan.partitions / plan.workers)
    more = math.ceil(own / max(1, plan.workers - 1))
    rate = load.events / plan.partitions
    most = capacity(costs, load, choices, plan) / plan.workers
    busy = rate * own / most
    work = restore_records(costs, load, choices, plan) * more * costs.restore / SECOND
    away = SESSION_SECONDS + costs.rebalance + work / max(0.05, 1 - busy)
    waits = rate * (more * away + own * costs.rebalance)
    return away + waits / max(most - rate * (own + more), 0.02 * most)


def cores_of(costs: Costs, load: Load, choices: Choices, plan: Plan, *, pressed: bool) -> float:
    """All of `cpu_parts`."""
    return sum(cpu_parts(costs, load, choices, plan, pressed=pressed).values())


def hottest(load: Load, plan: Plan) -> float:
    """Events a second of the partition that has the most active customer beside its share (Zipf, 0.7)."""
    return load.events / plan.partitions + load.events * hot_share(load.customers)


def hot_share(customers: float, exponent: float = 0.7) -> float:
    """Of all events, those of the most active customer: the sum of n^-s up to N is about N^(1-s) / (1-s)."""
    return float((1 - exponent) / customers ** (1 - exponent))


def limits(costs: Costs, load: Load, choices: Choices, plan: Plan, brokers: int) -> list[Limit]:
    """Everything that there is only so much of, the nearest first.

    Two appends a transaction go to the one partition of `__consumer_offsets` that holds the group: the
    offset, and the marker that commits it. One broker does them one after the other.
    """
    parts = cpu_parts(costs, load, choices, plan, pressed=True)
    busy = sum(parts.values())
    done = flow(costs, load, choices, plan, pressed=False)
    per_event = max(1e-9, busy - parts["at rest"] - parts["markers"]) / load.events
    replicas = (plan.sources + 7 * plan.partitions) * choices.replication
    found = [
        Limit("CPU of a worker", busy / plan.workers, choices.busy, "cores"),
        Limit("a lane, with its commits", lane_busy(costs, load, choices, plan), choices.busy, "of its time"),
        Limit("memory of a worker", worker_memory(costs, load, plan) / 1e9, choices.memory / 1e9, "GB"),
        Limit(
            "network of a worker",
            worker_network(costs, load, choices, plan) / 1e6,
            choices.worker_network / 1e6,
            "MB/s",
        ),
        Limit("markers, of the workers' CPU", parts["markers"] / busy, 0.25, "share"),
        Limit(
            "offsets of the group",
            2 * done.commits * costs.offset_broker / SECOND,
            choices.broker_cores,
            "cores of one broker",
        ),
        Limit("the hottest partition", hottest(load, plan) * per_event, choices.busy, "cores"),
        Limit("recovery after a crash", recovery(costs, load, choices, plan), choices.restore_within, "s"),
        Limit("copies of partitions a broker", replicas / brokers, choices.broker_replicas, "partitions"),
    ]
    return sorted(found, key=lambda limit: -limit.share)


def worker_network(costs: Costs, load: Load, choices: Choices, plan: Plan) -> float:
    """Bytes a second, the busier way."""
    net = traffic(costs, load, choices, plan)
    return max(net["worker in"], net["worker out"])


def worker_memory(costs: Costs, load: Load, plan: Plan) -> float:
    """Bytes: customers at rest, those of the last hour with their events, 200 MB for the program."""
    active = min(load.customers, load.events * HOUR / load.session)
    recent = active * min(max(load.session, load.events * HOUR / load.customers), ENTRIES_MOST)
    return 2e8 + (load.customers * costs.resident + recent * costs.state["entries"]) / plan.workers


def size(costs: Costs, load: Load, choices: Choices, most: int = 20_000) -> Sizing | None:
    """Find the fewest workers that do; None when more workers do not help (markers grow faster)."""
    workers = 1
    while workers <= most:
        plan = plan_of(workers, choices)
        fits = capacity_is_enough(costs, load, choices, plan)
        if (
            fits
            and worker_memory(costs, load, plan) <= choices.memory
            and worker_network(costs, load, choices, plan) <= choices.worker_network
            and recovery(costs, load, choices, plan) <= choices.restore_within
        ):
            return told(costs, load, choices, plan)
        workers = max(workers + 1, int(workers * 1.03))
    return None


def capacity_is_enough(costs: Costs, load: Load, choices: Choices, plan: Plan) -> bool:
    """The peak takes no more than `busy` of what the workers can do."""
    return can(costs, msgspec.structs.replace(load, events=load.events / choices.busy), choices, plan)


def plan_of(workers: int, choices: Choices) -> Plan:
    """Partitions for so many workers: some for each, source partitions of each topic alike."""
    per_topic = max(2, math.ceil(workers / choices.topics))
    partitions = max(8, workers * choices.per_worker)
    return Plan(workers, partitions, choices.topics * (partitions if choices.input == "keyed" else per_topic))


def told(costs: Costs, load: Load, choices: Choices, plan: Plan) -> Sizing:
    """Everything about a plan."""
    net, used = traffic(costs, load, choices, plan), broker_cpu(costs, load, choices, plan)
    replicas = (plan.sources + 7 * plan.partitions) * choices.replication
    brokers = max(
        choices.replication,
        math.ceil(used / choices.broker_cores),
        math.ceil(max(net["brokers in"], net["brokers out"]) / choices.broker_network),
        math.ceil(replicas / choices.broker_replicas),
    )
    steady = flow(costs, load, choices, plan, pressed=False)
    parts = cpu_parts(costs, load, choices, plan, pressed=False)
    alone = restore_records(costs, load, choices, plan) * math.ceil(plan.partitions / plan.workers)
    return Sizing(
        load=load,
        choices=choices,
        plan=plan,
        steady=steady,
        capacity=capacity(costs, load, choices, plan),
        # More than all there is would be small batches that grow until they fit.
        cores=min(sum(parts.values()), float(plan.workers)),
        cpu=parts,
        brokers=brokers,
        broker_cores=used,
        network=net,
        disk=disks(costs, load, choices, plan),
        memory=worker_memory(costs, load, plan),
        restore=alone * costs.restore / SECOND,
        recovery=recovery(costs, load, choices, plan),
        limits=limits(costs, load, choices, plan, brokers),
    )


def reaches(costs: Costs, load: Load, choices: Choices, most: float = 1e7) -> float:
    """Events a second up to which more workers help, customers in proportion; `most` if there is no end."""
    low, high = load.events / 100, most

    def does(events: float) -> bool:
        at = msgspec.structs.replace(load, events=events, customers=load.customers * events / load.events)
        return size(costs, at, choices, most=4_000) is not None

    if does(high):
        return high
    while high / low > 1.05:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if does(middle) else (low, middle)
    return low
