//! What records say, in numbers: for metrics and for the population of stages (`engine/stages.growth`).

use crate::customer::NOWHERE;
use crate::program::Program;
use crate::record::Record;
use ahash::AHashMap;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::IntoPyObjectExt;

/// Counts of records, by places in the program.
#[derive(Default)]
pub struct Tally {
    moves: AHashMap<(usize, i64, i64, bool), u64>,
    calls: AHashMap<(usize, usize, bool), u64>,
    gone: AHashMap<(usize, i64), i64>,
}

impl Tally {
    pub fn count(&mut self, records: &[Record]) {
        for record in records {
            match record {
                Record::Transition(r) => {
                    *self.moves.entry((r.journey, r.from, r.to, r.by_timer)).or_insert(0) += 1;
                }
                Record::Signal(r) => *self.calls.entry((r.journey, r.call, r.cancelled)).or_insert(0) += 1,
                Record::Gone(r) => *self.gone.entry((r.journey, r.left)).or_insert(0) -= 1,
            }
        }
    }
}

/// Put into `told`: moves {(journey, from, to, trigger): n}, calls {(journey, signal, status): n}, population
/// {(journey, stage): how many more}.
pub fn tell(py: Python, p: &Program, tally: Tally, told: &Bound<PyDict>) -> PyResult<()> {
    let Tally { moves, calls, gone } = tally;
    let mut grown: AHashMap<(&str, &str), i64> = AHashMap::new();
    let name =
        |j: usize, stage: i64| (p.journeys[j].id.as_str(), p.journeys[j].stages[stage as usize].as_str());
    let told_moves = PyDict::new(py);
    for ((j, from, to, by_timer), n) in moves {
        let (journey, entered) = name(j, to);
        *grown.entry((journey, entered)).or_insert(0) += n as i64;
        let left = (from != NOWHERE).then(|| name(j, from).1);
        if let Some(left) = left {
            *grown.entry((journey, left)).or_insert(0) -= n as i64;
        }
        add(&told_moves, (journey, left, entered, if by_timer { "timer" } else { "event" }), n as i64)?;
    }
    for ((j, left), n) in gone {
        *grown.entry(name(j, left)).or_insert(0) += n;
    }
    let told_calls = PyDict::new(py);
    for ((j, call, cancelled), n) in calls {
        let status = if cancelled { "cancelled" } else { "raised" };
        add(&told_calls, (p.journeys[j].id.as_str(), p.calls[call].signal.as_str(), status), n as i64)?;
    }
    let population = PyDict::new(py);
    for (key, n) in grown {
        population.set_item(key, n)?;
    }
    told.set_item("moves", told_moves)?;
    told.set_item("calls", told_calls)?;
    told.set_item("population", population)
}

/// Several rules and versions may share a name.
fn add<'py, K: IntoPyObject<'py>>(told: &Bound<'py, PyDict>, key: K, n: i64) -> PyResult<()> {
    let key = key.into_bound_py_any(told.py())?;
    let held: i64 = match told.get_item(&key)? {
        Some(held) => held.extract()?,
        None => 0,
    };
    told.set_item(key, held + n)
}
