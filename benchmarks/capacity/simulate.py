"""A simulation of a worker among many, played with the measured costs: does what the model sized really work?

Enters: costs, a load, choices, a plan, a seed. Leaves: throughput, latency, backlog over time. Strategy: one
worker is played in full, event by event of its own doing: intake batches, lanes, checkpoints share one CPU,
first come first served; transactions and sends take time elsewhere, drawn around what was measured. All other
workers do as this one does, so what its intake hands on comes back to its lanes in their share of the whole,
with the delays of its own. Of equal workers the unluckiest is played: it has the most active customer.
Events come as a Poisson process whose rate may rise and fall like a day. Same seed, same run.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable

import msgspec

from benchmarks.capacity.model import CHECKPOINT_RECORDS, SECOND, distinct, hot_share, pace, remembered, total
from benchmarks.capacity.terms import Choices, Costs, Load, Plan
from journey_stream.kafka.progress import gap
from journey_stream.kafka.spacing import SPACE_SECONDS

SLICE = 500
"""Events a lane or an intake works on before others have a turn (`kafka/lane.py`)."""
POLL = 0.005
"""Seconds from the arrival at the broker until a waiting fetch has it here, at the median."""
TICK = 0.25


class Outcome(msgspec.Struct, frozen=True):
    """What came of a run."""

    offered: float
    """Events a second, on average."""
    done: float
    busy: float
    """Share of the time that the CPU was at work."""
    p50: float
    p99: float
    """Seconds from the send to the receipt by a reader."""
    most_behind: float
    """Seconds of events that waited at most."""
    behind: float
    """Likewise at the end."""
    commits: float
    """A second and keyed partition."""
    caught_up_after: float
    """Seconds after the crash until nothing older than `FRESH` waited: 0 without one, endless if never."""

    @property
    def keeps_up(self) -> bool:
        """Nothing of note waits at the end, and all that came was done."""
        return self.behind < FRESH and self.done > 0.97 * self.offered


FRESH = 1.0
"""Seconds: what is younger counts as just come."""


class Crash(msgspec.Struct, frozen=True):
    """Another worker dies; this one stands still while the group divides anew, and gets partitions of it."""

    at: float
    """When the group notices."""
    still: float
    """Seconds that this worker stands still, detection left out."""
    silent: float
    """Seconds before, in which the dead worker's partitions were read by nobody."""
    partitions: int
    records: float
    """To restore, each."""


class _Lane:
    """A keyed partition."""

    def __init__(self, share: float) -> None:
        self.share = share
        """Of all events."""
        self.waiting: deque[tuple[float, float]] = deque()
        """(when it was sent, how many)."""
        self.pending: list[tuple[float, float]] = []
        self.pending_count = 0.0
        self.committed_at = 0.0
        self.under_way = False
        """A commit: the lane goes on meanwhile, until the next is due."""
        self.busy = False
        self.open = True


class Simulation:
    """One worker. `play` it once."""

    def __init__(
        self,
        costs: Costs,
        load: Load,
        choices: Choices,
        plan: Plan,
        *,
        seed: int = 1,
        seconds: float = 30.0,
        day: bool = False,
        crash: Crash | None = None,
    ) -> None:
        self._costs, self._load, self._choices, self._plan = costs, load, choices, plan
        self._random = random.Random(seed)
        self._seconds, self._day, self._crash = seconds, day, crash
        self._now, self._free_at, self._worked = 0.0, 0.0, 0.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._latencies: list[tuple[float, float]] = []
        self._committed = self._commits = self._offered = 0.0
        self._worst = 0.0
        self._stood = False
        self._fresh_at = 0.0
        keyed = math.ceil(plan.partitions / plan.workers)
        usual = (1 - hot_share(load.customers)) / plan.partitions
        self._lanes = [_Lane(usual) for _ in range(keyed)]
        self._lanes[0].share += hot_share(load.customers)
        self._share = sum(lane.share for lane in self._lanes)
        self._sources = max(1, round(plan.sources / plan.workers)) if choices.input == "hop" else 0
        self._active = min(load.customers, max(1.0, load.events * 3600 / load.session)) / plan.partitions
        self._entries = remembered(load)
        self._each = self._cost_of_event()
        self._pace = pace(costs, choices)

    # -- costs -----------------------------------------------------------------------------------------------

    def _cost_of_event(self) -> float:
        """Seconds of CPU in a lane per event, those per changed customer left out."""
        core, load, models = self._costs.core, self._load, self._load.journeys / 5.0
        looks = core["looks"] + models * core["shipped looks"]
        acts = core["acts"] + models * core["shipped acts"]
        logic = looks * (1 - load.acts) + acts * load.acts
        logic += load.rows_out * core["rows out"] + load.timers * core["timers"]
        return self._seconds_of(logic + self._costs.fetch["rows"])

    def _seconds_of(self, micros: float) -> float:
        return micros * self._costs.whole / SECOND

    def _cost_of_commit(self, events: float) -> float:
        costs, load, models = self._costs, self._load, self._load.journeys / 5.0
        changed = distinct(self._active, events) + events * load.timers
        entries = distinct(self._active, events) * self._entries
        state = costs.state["changed"] + models * costs.state["shipped changed"]
        payload = (
            changed * state + entries * costs.state["entries"] + events * load.rows_out * costs.out_bytes
        )
        held = {
            "commits": 1.0,
            "topics": 1.0 + min(2.0, events * load.rows_out),
            "rows": 1.0 + changed + events * load.rows_out,
            "KB": payload / 1e3,
        }
        logic = changed * (costs.core["changed"] + models * costs.core["shipped changed"])
        logic += entries * costs.core["entries"] + costs.core["checkpoints"]
        self._held = held
        return self._seconds_of(logic + total(costs.commit, held))

    def _drawn(self, seconds: float) -> float:
        """A time around its median, with the spread that transactions had."""
        sigma = math.log(max(1.05, self._costs.commit_spread)) / 2.33
        return seconds * math.exp(sigma * self._random.gauss(0.0, 1.0))

    def _poisson(self, mean: float) -> float:
        if mean > 50:
            return float(max(0, round(self._random.gauss(mean, math.sqrt(mean)))))
        bound, count, product = math.exp(-mean), 0, self._random.random()
        while product > bound:
            count += 1
            product *= self._random.random()
        return float(count)

    # -- the loop --------------------------------------------------------------------------------------------

    def _at(self, when: float, what: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._heap, (when, self._order, what))

    def _work(self, seconds: float, then: Callable[[], None]) -> None:
        """Have the CPU when those before are done."""
        self._free_at = max(self._free_at, self._now) + seconds
        self._worked += seconds
        self._at(self._free_at, then)

    def play(self) -> Outcome:
        """Run it."""
        for _ in range(self._sources):
            self._at(self._random.random() * 0.02, self._intake(self._now))
        if not self._sources:
            for lane in self._lanes:
                self._at(self._random.random() * 0.02, self._arrive(lane, 0.0))
        self._at(TICK, self._tick)
        if self._crash is not None:
            self._at(self._crash.at, self._stand_still)
        while self._heap:
            when, _, what = heapq.heappop(self._heap)
            if when > self._seconds:
                break
            self._now = when
            what()
        self._now = self._seconds
        return self._outcome()

    def rate(self, at: float) -> float:
        """Events a second of the whole deployment: level, or a day pressed into the run, its peak inside."""
        if not self._day:
            return self._load.events
        mean = self._load.mean
        return self._load.events * (mean + (1 - mean) * math.sin(2 * math.pi * (at / self._seconds - 0.25)))

    def _tick(self) -> None:
        """What goes on whether events come or not: markers told and heard, the worker's own housekeeping."""
        costs, plan, choices = self._costs, self._plan, self._choices
        spent = costs.idle * SECOND
        tellers, lanes = min(plan.workers, plan.sources), len(self._lanes)
        seldom = gap(plan.partitions, choices.marker_interval)
        told, heard = plan.partitions / seldom, tellers * lanes / seldom
        often = lanes / max(SPACE_SECONDS, costs.commit_seconds["commits"])
        hears = {
            "markers": heard,
            "entries": heard * plan.sources / tellers,
            "sources looked at": min(heard, often) * plan.sources,
        }
        sent = told * (costs.hop["batches"] + costs.hop["rows"]) + heard * costs.fetch["rows"]
        spent += (sent + total(costs.marker, hears)) * costs.whole
        self._work(spent * TICK / SECOND, lambda: None)
        behind = self._behind()
        self._worst = max(self._worst, behind)
        crash = self._crash
        over = crash is not None and self._stood and self._now > crash.at + crash.still + TICK
        if over and not self._fresh_at and behind < FRESH and all(lane.open for lane in self._lanes):
            self._fresh_at = self._now
        self._at(self._now + TICK, self._tick)

    # -- intake ----------------------------------------------------------------------------------------------

    def _intake(self, since: float) -> Callable[[], None]:
        """A source partition takes what has come since."""

        def take() -> None:
            if self._halted():
                self._at(self._now + 0.05, take)
                return
            until = self._now
            mean = self.rate((since + until) / 2) / self._plan.sources * (until - since)
            count = self._poisson(mean)
            if not count:
                self._at(self._now + SPACE_SECONDS, self._intake(until))
                return
            costs, load = self._costs, self._load
            judged = costs.intake["look"] * (1 - load.acts) + costs.intake["act"] * load.acts
            batches = distinct(self._plan.partitions, count)
            spent = count * (judged + costs.fetch["rows"]) + costs.fetch["batches"]
            spent += total(costs.hop, {"sends": 1.0, "batches": batches, "rows": count})
            self._work(self._seconds_of(spent), lambda: handed(count, since, until))

        def handed(count: float, begun: float, until: float) -> None:
            away = self._drawn(self._costs.commit_seconds["commits"] / 3)
            self._at(self._now + away, lambda: self._spread(count, begun, until))
            self._at(self._now + away + self._drawn(POLL), self._intake(until))

        return take

    def _spread(self, count: float, begun: float, until: float) -> None:
        """What one intake handed on is what all hand on: each lane has its share of the whole."""
        whole = count * self._plan.sources / self._sources
        for lane in self._lanes:
            mine = self._poisson(whole * lane.share)
            if mine:
                self._offered += mine
                self._at(self._now + self._drawn(POLL), self._received(lane, mine, begun, until))

    def _received(self, lane: _Lane, count: float, begun: float, until: float) -> Callable[[], None]:
        def put() -> None:
            for n in range(3):
                lane.waiting.append((begun + (until - begun) * (n + 0.5) / 3, count / 3))
            self._go(lane)

        return put

    def _arrive(self, lane: _Lane, since: float) -> Callable[[], None]:
        """A keyed source partition is fetched by its lane itself."""

        def take() -> None:
            until = self._now
            count = self._poisson(self.rate((since + until) / 2) * lane.share * (until - since))
            if count and lane.open and not self._halted():
                self._offered += count
                self._received(lane, count, since, until)()
                since_next = until
            else:
                since_next = until if not count else since
            self._at(self._now + 2 * self._drawn(POLL), self._arrive(lane, since_next))

        return take

    # -- lanes -----------------------------------------------------------------------------------------------

    def _halted(self) -> bool:
        crash = self._crash
        return crash is not None and crash.at <= self._now < crash.at + crash.still

    def _go(self, lane: _Lane) -> None:
        if not lane.busy and lane.open and not self._halted():
            lane.busy = True
            self._turn(lane)

    def _turn(self, lane: _Lane) -> None:
        """Work on a slice, then see whether a commit is due."""
        count = 0.0
        while lane.waiting and count < SLICE:
            sent, many = lane.waiting.popleft()
            lane.pending.append((sent, many))
            count += many
        lane.pending_count += count
        spent = count * self._each + (self._seconds_of(self._costs.fetch["batches"]) if count else 0.0)
        self._work(spent, lambda: self._look(lane))

    def _look(self, lane: _Lane) -> None:
        due = lane.committed_at + self._pace.wait(behind=bool(lane.waiting))
        full = lane.pending_count >= CHECKPOINT_RECORDS
        if lane.pending and not lane.under_way and (self._now >= due or full):
            self._commit(lane)
        elif lane.waiting and not full:
            self._turn(lane)
        else:
            lane.busy = False
            if lane.pending and not lane.under_way:
                self._at(max(due, self._now + 1e-4), lambda: self._go(lane))

    def _commit(self, lane: _Lane) -> None:
        spent = self._cost_of_commit(lane.pending_count)
        # The spread is that of small transactions: of waiting, not of what larger ones send.
        waited = self._costs.commit_seconds["commits"]
        worked = total(self._costs.commit, self._held) / SECOND
        away = self._drawn(waited) + max(0.0, total(self._costs.commit_seconds, self._held) - waited - worked)
        pending, count = lane.pending, lane.pending_count
        lane.pending, lane.pending_count, lane.under_way = [], 0.0, True

        def done() -> None:
            heard = self._now + self._drawn(POLL)
            self._latencies += [(heard - sent, many) for sent, many in pending]
            self._committed += count
            self._commits += 1
            lane.under_way, lane.committed_at = False, self._now
            self._go(lane)

        def begun() -> None:
            self._at(self._now + away, done)
            self._look(lane)

        self._work(spent, begun)

    def _behind(self) -> float:
        """Age of the oldest event of the lanes that waits."""
        oldest = min((lane.waiting[0][0] for lane in self._lanes if lane.waiting), default=self._now)
        return max(self._now - oldest, self._free_at - self._now)

    # -- a crash elsewhere -----------------------------------------------------------------------------------

    def _stand_still(self) -> None:
        """The group divides anew: nobody works; then the dead worker's partitions are restored here."""
        crash = self._crash
        assert crash is not None
        share = (1 - hot_share(self._load.customers)) / self._plan.partitions
        more = [_Lane(share) for _ in range(crash.partitions)]
        for lane in more:
            lane.open = False
        self._lanes += more
        self._stood = True

        def restore() -> None:
            for lane in self._lanes:
                self._go(lane)
            for lane in more:
                silent = self.rate(self._now) * lane.share
                begun = self._now - crash.still - crash.silent
                for n in range(20):
                    at = begun + crash.silent * (n + 0.5) / 20
                    lane.waiting.append((at, silent * crash.silent / 20))
                    self._offered += silent * crash.silent / 20
                self._restore(lane, crash.records)

        self._at(crash.at + crash.still, restore)

    def _restore(self, lane: _Lane, records: float) -> None:
        """Read the changelog, in parts, so that others have their turns."""
        part = min(records, 2_000.0)

        def read() -> None:
            if records - part > 0:
                self._restore(lane, records - part)
            else:
                lane.open = True
                self._go(lane)

        self._work(part * self._costs.restore / SECOND, read)

    def _recovered(self) -> float:
        """Seconds from the crash, noticed or not; endless if it was not over at the end."""
        crash = self._crash
        if crash is None:
            return 0.0
        return crash.silent + self._fresh_at - crash.at if self._fresh_at else math.inf

    # -- what came of it -------------------------------------------------------------------------------------

    def _outcome(self) -> Outcome:
        self._latencies.sort()
        return Outcome(
            offered=self._offered / self._seconds / self._share,
            done=self._committed / self._seconds / self._share,
            busy=min(1.0, self._worked / self._seconds),
            p50=_quantile(self._latencies, 0.5),
            p99=_quantile(self._latencies, 0.99),
            most_behind=self._worst,
            behind=self._behind(),
            commits=self._commits / self._seconds / len(self._lanes),
            caught_up_after=self._recovered(),
        )


def _quantile(weighed: list[tuple[float, float]], share: float) -> float:
    """Of (value, weight) in order."""
    left = share * sum(weight for _, weight in weighed)
    for value, weight in weighed:
        left -= weight
        if left <= 0:
            return value
    return weighed[-1][0] if weighed else 0.0


def play(costs: Costs, load: Load, choices: Choices, plan: Plan, **options: object) -> Outcome:
    """Play one run."""
    return Simulation(costs, load, choices, plan, **options).play()  # type: ignore[arg-type]
