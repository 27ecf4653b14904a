"""What `backtest` says of the CDNOW sample equals what SQL says of it, written from the model's words alone."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from journey_stream.journeys import shipped

ROOT = Path(__file__).parents[2]
UNTIL = "1998-07-01T00:00:00Z"
NEW_CORE = 6

# One row per order: which it is, the silence before it, and the rhythm it leaves behind.
ORDERS = """
create table orders as
with numbered as (
  select customer, moment, row_number() over own as k, moment - lag(moment) over own as gap,
         first_value(moment) over own as first_at
  from raw window own as (partition by customer order by moment, id)
)
select *, case when k >= 4 then (epoch(moment) - epoch(first_at)) / (k - 1) end as rhythm_s,
       greatest(270 * 86400, coalesce(4 * case when k >= 4 then (epoch(moment) - epoch(first_at)) / (k - 1) end, 0))
         as core_silence_s
from numbered
"""

# Core from the first order that is at least the n-th, follows an early repeat buyer's, and came in time.
STANDING = """
with core as (
  select customer, min(k) filter (k >= greatest($n, 3) and epoch(gap) <= 180 * 86400) as core_at
  from orders group by customer
), last_order as (
  select customer, max(k) as k, max_by(moment, k) as moment, max_by(core_silence_s, k) as core_silence_s
  from orders group by customer
)
select customer,
  case when core_at is not null and silent_s >= core_silence_s then 'core_defector'
       when core_at is not null then 'core_customer'
       when silent_s >= 180 * 86400 then 'lapsed_buyer'
       when k = 1 then 'first_time_buyer' else 'early_repeat_buyer' end as stage
from (select *, epoch($until::timestamp) - epoch(moment) as silent_s from last_order join core using (customer))
"""

# Moves by rule: what every silence and every order does, by what the customer was before it.
MOVES = """
with core as (
  select customer, min(k) filter (k >= greatest($n, 3) and epoch(gap) <= 180 * 86400) as core_at
  from orders group by customer
), steps as (
  select o.*, coalesce(core_at, 1e9) as core_at,
    epoch(coalesce(lead(moment) over own, $until::timestamp)) - epoch(moment) as silence_s,
    lead(moment) over own is null as is_last,
    lag(core_silence_s) over own as core_silence_before_s
  from orders o join core using (customer) window own as (partition by o.customer order by k)
), silences as (
  select *, k < core_at and (silence_s > 180 * 86400 or (is_last and silence_s >= 180 * 86400)) as lapses,
    k >= core_at and (silence_s > core_silence_s or (is_last and silence_s >= core_silence_s)) as defects
  from steps
)
select
  count(*) filter (k = 1) as "first-order",
  count(*) filter (k = 2 and epoch(gap) <= 180 * 86400) as "repeat",
  count(*) filter (k >= 2 and k <= core_at and epoch(gap) > 180 * 86400) as "repeat-after-lapse",
  count(*) filter (k = core_at) as "core",
  count(*) filter (lapses) as "lapsed",
  count(*) filter (defects) as "core-silent",
  count(*) filter (k > core_at and epoch(gap) > core_silence_before_s) as "won-back"
from silences
"""


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    """The sample, read by SQL of its own: a purchase is at noon, each further one of the day a second later."""
    connection = duckdb.connect()
    sample = ROOT / "examples" / "cdnow" / "cdnow_sample.txt"
    connection.execute(
        """create table raw as
           with lines as (
             select row_number() over () as id, regexp_split_to_array(trim(line), ' +') as cells
             from read_csv($file, columns = {'line': 'varchar'}, delim = '|', header = false)
           ), rows as (select id, cells[1] as customer, cells[3] as day, cells[5]::double as value from lines)
           select customer, id, value, strptime(day, '%Y%m%d') + interval 12 hour
             + to_seconds(row_number() over (partition by customer, day order by id) - 1) as moment from rows""",
        {"file": str(sample)},
    )
    connection.execute(ORDERS)
    return connection


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("cdnow")
    events, new = folder / "cdnow.jsonl", folder / "new.yaml"
    with events.open("wb") as file:
        subprocess.run([sys.executable, ROOT / "examples/cdnow/convert.py"], stdout=file, check=True)
    text = shipped("buyer-value")
    new.write_text(
        text.replace("core_orders: 4", f"core_orders: {NEW_CORE}").replace("version: 1", "version: 2")
    )
    ran = subprocess.run(
        [sys.executable, "-m", "journey_stream", "backtest", "buyer-value", new, "--until", UNTIL, "--json", events],
        capture_output=True,
        check=True,
        cwd=ROOT,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def standing(database: duckdb.DuckDBPyConnection, core_orders: int) -> dict[str, str]:
    rows = database.execute(STANDING, {"n": core_orders, "until": UNTIL[:-1]}).fetchall()
    return dict(rows)


def counted(values: Any) -> dict[Any, int]:
    counts: dict[Any, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return counts


def test_customers_per_stage_under_both_definitions(
    database: duckdb.DuckDBPyConnection, report: dict[str, Any]
):
    (comparison,) = report["comparisons"]
    for side, core_orders in (("old", 4), ("new", NEW_CORE)):
        expected = counted(standing(database, core_orders).values())
        assert expected == {stage: number for stage, number in comparison[side].items() if number}
    assert 2_357 == comparison["customers"]


def test_who_stands_elsewhere(database: duckdb.DuckDBPyConnection, report: dict[str, Any]):
    (comparison,) = report["comparisons"]
    old, new = standing(database, 4), standing(database, NEW_CORE)
    expected = counted((old[customer], new[customer]) for customer in old)
    assert expected == {(a, b): number for a, b, number in comparison["flows"]}
    assert sum(old[c] != new[c] for c in old) == comparison["moved"] > 0
    for mover in comparison["movers"]:
        assert (old[mover["person"]], new[mover["person"]]) == (mover["old"], mover["new"])
    spent = dict(database.execute("select customer, sum(value) from raw group by 1").fetchall())
    most = sorted((spent[c] for c in old if old[c] != new[c]), reverse=True)[:20]
    assert most == pytest.approx([mover["revenue"] for mover in comparison["movers"]])


def test_transitions_by_rule_under_both_definitions(
    database: duckdb.DuckDBPyConnection, report: dict[str, Any]
):
    (comparison,) = report["comparisons"]
    for side, core_orders in (("old", 4), ("new", NEW_CORE)):
        cursor = database.execute(MOVES, {"n": core_orders, "until": UNTIL[:-1]})
        names = [column[0] for column in cursor.description or ()]
        expected = dict(zip(names, cursor.fetchone() or (), strict=True)) | {"start": 2_357}
        found = {c["rule"]: c[side] for c in comparison["rules"] if c["sort"] == "transition" and c[side]}
        assert expected == found


def test_records_a_day_add_up(report: dict[str, Any]):
    (comparison,) = report["comparisons"]
    for sort in ("transition", "signal"):
        for side in ("old", "new"):
            by_rule = sum(change[side] for change in comparison["rules"] if change["sort"] == sort)
            assert by_rule == sum(day[f"{side}_{sort}s"] for day in comparison["days"])


def test_how_many_come_back_after_a_silence(database: duckdb.DuckDBPyConnection, report: dict[str, Any]):
    curve = next(each for each in report["curves"]["buyer-value"] if each["rule"] == "lapsed")
    # Silences that begin in a first-time or early repeat buyer's life, and the product-limit estimate, in SQL.
    database.execute(
        """create or replace temp table silences as
           with core as (select customer, min(k) filter (k >= $n and epoch(gap) <= 180 * 86400) as core_at
                         from orders group by customer)
           select epoch(coalesce(lead(moment) over own, $until::timestamp)) - epoch(moment) as length_s,
                  lead(moment) over own is not null as back, k < coalesce(core_at, 1e9) as counts
           from orders join core using (customer) window own as (partition by customer order by k)""",
        {"n": NEW_CORE, "until": UNTIL[:-1]},
    )
    rows = database.execute(
        """with steps as (
             select length_s, count(*) filter (back) as backs,
                    (select count(*) from silences o where o.counts and o.length_s >= s.length_s) as at_risk
             from silences s where counts group by length_s),
           lasting as (
             select length_s, at_risk - backs as most_left,
                    exp(sum(ln(1 - backs / at_risk)) over (order by length_s)) as share
             from steps where backs > 0 and at_risk > 40)
           select length_s, 1 - min(share) over () / share from lasting order by length_s"""
    ).fetchall()
    total, back = (
        database.execute("select count(*), count(*) filter (back) from silences where counts").fetchone()
        or ()
    )
    assert (total, back) == (curve["silences"], curve["returned"])
    expected = dict(rows)
    assert len(curve["points"]) > 50
    for point in curve["points"][1:-20]:
        assert expected[point["silence_s"]] == pytest.approx(point["returning"], abs=0.02)
    at_180 = [share for length, share in rows if length <= 180 * 86_400][-1]
    assert at_180 == pytest.approx(curve["now_returning"], abs=0.02)
    suggested = curve["suggested_s"]
    assert 0.17 < expected[suggested] <= 0.22
