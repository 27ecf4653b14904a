//! What events do to timers and sequences (`engine/arming.py`).
//!
//! Armed: timer to due, or with `by` to {id: due}; an event without the id has the id "". A re-armed timer is the
//! youngest; beyond the limit the oldest is dropped. `Customer.due` only ever gets lower here.

use crate::customer::{find_mut, pop, set, Armed, Customer, Partial};
use crate::event::{Event, Vocab};
use crate::expr::{eval, Scope};
use crate::parse::{index, list, opt, whole};
use crate::paths::{identity, Get};
use crate::program::{After, Guard, Program, Timer};
use crate::value::{damaged, Res, Val};
use compact_str::CompactString;

const ONLY: CompactString = CompactString::const_new("");
const SECOND: i64 = 1_000_000;

/// Whether a guard is true of a customer and an event.
#[inline]
pub fn holds(guard: Guard, p: &Program, c: &Customer, e: &Event, t: i64) -> bool {
    p.guards.get(guard).is_some_and(|x| matches!(eval(x, &Scope { p, c, e: Some(e), t }), Val::Bool(true)))
}

/// `records.after_of`: seconds as microseconds; unknown, or out of reach, is None.
pub fn after_of(seconds: &Val) -> Option<i64> {
    const REACH: f64 = 1e12;
    let micros = match seconds {
        Val::Num(n) if -REACH < *n && *n < REACH => n * SECOND as f64,
        Val::Int(n) if n.unsigned_abs() < REACH as u64 => (n * SECOND) as f64,
        Val::Bool(b) => (*b as i64 * SECOND) as f64,
        _ => return None,
    };
    Some(((micros + 0.5) as i64).max(0))
}

#[inline]
fn timer(p: &Program, k: usize) -> Res<&Timer> {
    match p.timers.get(k) {
        Some(timer) => Ok(timer),
        None => damaged("a timer that is not in the program"),
    }
}

fn later(t: i64, after: i64) -> Res<i64> {
    match t.checked_add(after) {
        Some(due) => Ok(due),
        None => damaged("a due time beyond 64 bits"),
    }
}

/// Let `Customer.due` know of a timer that counts in the present stage.
#[inline]
fn hint(c: &mut Customer, timer: &Timer, due: i64) -> Res<()> {
    if due < c.due {
        let live = match c.stages.get(timer.journey) {
            Some(&stage) if stage < 0 => timer.live.last(),
            Some(&stage) => timer.live.get(stage as usize),
            None => None,
        };
        match live {
            Some(true) => c.due = due,
            Some(false) => {}
            None => return damaged("a stage that the timer does not know"),
        }
    }
    Ok(())
}

pub fn arm(k: usize, by: &Option<Get>, p: &Program, c: &mut Customer, e: &Event, t: i64) -> Res<()> {
    let timer = timer(p, k)?;
    let after = match (&timer.after, by) {
        (After::Fixed(after), None) => {
            let due = later(t, *after)?;
            set(&mut c.armed, k as i64, Armed::At(due));
            return hint(c, timer, due);
        }
        (After::Fixed(after), Some(by)) => {
            let name = identity(by, e, t, &p.vocab).unwrap_or(ONLY);
            return put(c, k, timer, name, later(t, *after)?);
        }
        (After::Guard(guard), by) => {
            if let Some(by) = by {
                c.id = Some(identity(by, e, t, &p.vocab).unwrap_or(ONLY));
            }
            let Some(x) = p.guards.get(*guard) else {
                return damaged("a guard that is not in the program");
            };
            after_of(&eval(x, &Scope { p, c, e: Some(e), t }))
        }
    };
    match (after, by) {
        (Some(after), None) => {
            let due = later(t, after)?;
            set(&mut c.armed, k as i64, Armed::At(due));
            hint(c, timer, due)
        }
        (None, None) => {
            pop(&mut c.armed, k as i64);
            Ok(())
        }
        (Some(after), Some(_)) => {
            let name = c.id.clone().unwrap_or(ONLY);
            put(c, k, timer, name, later(t, after)?)
        }
        (None, Some(_)) => {
            let name = c.id.clone().unwrap_or(ONLY);
            drop_id(c, k, &name)
        }
    }
}

fn put(c: &mut Customer, k: usize, timer: &Timer, name: CompactString, due: i64) -> Res<()> {
    match find_mut(&mut c.armed, k as i64) {
        None => c.armed.push((k as i64, Armed::Ids(vec![(name, due)]))),
        Some(Armed::Ids(held)) => {
            held.retain(|(each, _)| *each != name);
            held.push((name, due));
            if held.len() > timer.limit {
                held.remove(0);
            }
        }
        Some(Armed::At(_)) => return damaged("a timer with ids armed without one"),
    }
    hint(c, timer, due)
}

fn drop_id(c: &mut Customer, k: usize, name: &str) -> Res<()> {
    match find_mut(&mut c.armed, k as i64) {
        None => {}
        Some(Armed::Ids(held)) => {
            held.retain(|(each, _)| each != name);
            if held.is_empty() {
                pop(&mut c.armed, k as i64);
            }
        }
        Some(Armed::At(_)) => return damaged("a timer with ids armed without one"),
    }
    Ok(())
}

/// Disarm: with `by` that id, or all when the event names none.
pub fn disarm(k: usize, by: &Option<Get>, p: &Program, c: &mut Customer, e: &Event, t: i64) -> Res<()> {
    let Some(by) = by else {
        pop(&mut c.armed, k as i64);
        return Ok(());
    };
    if find_mut(&mut c.armed, k as i64).is_none() {
        return Ok(());
    }
    match identity(by, e, t, &p.vocab) {
        Some(name) => drop_id(c, k, &name),
        None => {
            pop(&mut c.armed, k as i64);
            Ok(())
        }
    }
}

/// What an event type does to one sequence: the steps it can be, the later ones first, with their guards.
#[derive(Debug)]
pub struct Sequence {
    last: usize,
    within: i64,
    by: Option<Get>,
    limit: usize,
    steps: Vec<(usize, Option<Guard>)>,
}

impl Sequence {
    pub fn parse(json: &serde_json::Value, vocab: &Vocab) -> Result<Sequence, String> {
        let steps = list(json, "steps")?.iter().map(|step| {
            let place = step.get(0).and_then(|place| place.as_u64());
            let place = place.ok_or_else(|| format!("a step without its place in {json}"))?;
            let guard = match step.get(1) {
                None | Some(serde_json::Value::Null) => None,
                Some(guard) => {
                    Some(guard.as_u64().ok_or_else(|| format!("a guard without its place in {json}"))?
                        as usize)
                }
            };
            Ok((place as usize, guard))
        });
        let sequence = Sequence {
            last: index(json, "last")?,
            within: whole(json, "within")?,
            by: opt(json, "by", |by| Get::parse_id(by, vocab))?,
            limit: index(json, "limit")?,
            steps: steps.collect::<Result<_, String>>()?,
        };
        if sequence.steps.iter().any(|(place, _)| *place > sequence.last) {
            return Err(format!("a step beyond the last in {json}"));
        }
        Ok(sequence)
    }
}

/// The id a sequence was completed for ("" without `by`), None if it was not.
///
/// The later steps come first, so that one event moves a start by one step only.
pub fn advance(
    k: i64,
    s: &Sequence,
    p: &Program,
    c: &mut Customer,
    e: &Event,
    t: i64,
) -> Option<CompactString> {
    let name = s.by.as_ref().map(|by| identity(by, e, t, &p.vocab).unwrap_or(ONLY));
    for (place, where_) in &s.steps {
        if where_.is_some_and(|guard| !holds(guard, p, c, e, t)) {
            continue;
        }
        let start = match place {
            0 => Some(t),
            _ => starts(c, k, &name).and_then(|starts| starts.get(place - 1).copied().flatten()),
        };
        let Some(start) = start.filter(|start| t.saturating_sub(*start) <= s.within) else {
            continue;
        };
        if *place == s.last {
            clear(c, k, &name);
            return Some(name.unwrap_or(ONLY));
        }
        if starts(c, k, &name).is_none() {
            keep(c, k, &name, s);
        }
        if let Some(at) = starts(c, k, &name).and_then(|starts| starts.get_mut(*place)) {
            *at = Some(start);
        }
    }
    None
}

fn starts<'a>(c: &'a mut Customer, k: i64, name: &Option<CompactString>) -> Option<&'a mut Vec<Option<i64>>> {
    match (find_mut(c.partial.as_mut()?, k)?, name) {
        (Partial::Starts(starts), None) => Some(starts),
        (Partial::Ids(held), Some(name)) => held.iter_mut().find(|(each, _)| each == name).map(|(_, s)| s),
        _ => None,
    }
}

/// Begin for this id; it is not there yet.
fn keep(c: &mut Customer, k: i64, name: &Option<CompactString>, s: &Sequence) {
    let partial = c.partial.get_or_insert_default();
    let starts = vec![None; s.last];
    match (find_mut(partial, k), name) {
        (_, None) => set(partial, k, Partial::Starts(starts)),
        (Some(Partial::Ids(held)), Some(name)) => {
            held.push((name.clone(), starts));
            if held.len() > s.limit {
                held.remove(0);
            }
        }
        (_, Some(name)) => set(partial, k, Partial::Ids(vec![(name.clone(), starts)])),
    }
}

fn clear(c: &mut Customer, k: i64, name: &Option<CompactString>) {
    let Some(partial) = &mut c.partial else {
        return;
    };
    if let (Some(Partial::Ids(held)), Some(name)) = (find_mut(partial, k), name) {
        held.retain(|(each, _)| each != name);
        if !held.is_empty() {
            return;
        }
    }
    pop(partial, k);
}
