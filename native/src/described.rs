//! A program from its description: the JSON that `engine/described.py` writes.
//!
//! In: JSON. Out: a `Program`, or a sentence: what in it this version does not know (Python runs it then).

use crate::attrs;
use crate::event::Vocab;
use crate::expr::Expr;
use crate::ops::{Op, Sequence};
use crate::paths::Get;
use crate::profile::{ContextPlaces, Update};
use crate::program::{self as made, After, AfterMoves, ByStage, Program};
use crate::reads::Read;
use crate::said::{Sayings, Steady};
use crate::value::from_json;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Ruling {
    id: String,
    reason: Option<String>,
    reason_from: Option<usize>,
    owner: Option<String>,
}

#[derive(Deserialize)]
struct Move {
    sequence: i64,
    min_dwell: i64,
    r#where: Option<usize>,
    when: Option<usize>,
    target: i64,
    memory: i64,
    reenter: bool,
    ruling: usize,
}

#[derive(Deserialize)]
struct Call {
    id: String,
    signal: String,
    slot: i64,
    kind: Option<String>,
    owner: Option<String>,
    expires: Option<i64>,
    cancellable: bool,
    by: Option<Value>,
    every: i64,
    at_most: i64,
    reason: Option<String>,
    reason_from: Option<usize>,
    payload: Vec<(String, usize)>,
}

#[derive(Deserialize)]
struct Chance {
    sequence: i64,
    r#where: Option<usize>,
    when: Option<usize>,
    call: usize,
}

#[derive(Deserialize)]
struct Cancel {
    slot: i64,
    by: Option<Value>,
    call: usize,
}

#[derive(Deserialize)]
struct Timer {
    key: String,
    journey: usize,
    live: Vec<bool>,
    after: Option<i64>,
    after_guard: Option<usize>,
    limit: usize,
    min_dwell: i64,
    when: Option<usize>,
    before: Vec<usize>,
    moves: Vec<Option<Move>>,
    call: Option<usize>,
}

#[derive(Deserialize)]
struct Entry {
    arms: Vec<usize>,
    disarms: Vec<i64>,
    wakes: Vec<usize>,
    remembers: Vec<(i64, Vec<i64>)>,
    signals: Vec<Chance>,
}

#[derive(Deserialize)]
struct Journey {
    id: String,
    version: i64,
    stages: Vec<String>,
    kinds: Vec<String>,
    owners: Vec<Option<String>>,
    ranks: Vec<i64>,
    start: i64,
    attributes: Vec<(String, Value)>,
    approximate: Vec<(String, Value)>,
    others: Vec<usize>,
    entered_by_newcomers: bool,
    entries: Vec<Entry>,
    stage_slots: Vec<(usize, Value)>,
    steady: bool,
}

#[derive(Deserialize)]
struct Plan {
    before: Vec<usize>,
    profile: bool,
    fold: Vec<Value>,
    sequences: Vec<(i64, Value)>,
    moves: Vec<(usize, Vec<Vec<Move>>)>,
    signals: Vec<(usize, Vec<Vec<Chance>>)>,
    cancels: Vec<(usize, Vec<Cancel>)>,
    touched: bool,
    /// Journey, signals per stage for who stayed and who has just entered, cancellations.
    after_moves: Vec<(usize, Vec<Vec<Chance>>, Vec<Vec<Chance>>, Vec<Cancel>)>,
}

#[derive(Deserialize)]
struct Description {
    vocabulary: Value,
    guards: Vec<Value>,
    rulings: Vec<Ruling>,
    calls: Vec<Call>,
    journeys: Vec<Journey>,
    timers: Vec<Timer>,
    active: Vec<Plan>,
    passive: Vec<Plan>,
    silences: Vec<i64>,
    befores: Vec<Value>,
    empties: Vec<Value>,
    forget_anonymous: Option<i64>,
    forget_known: Option<i64>,
    dedup_window: i64,
    dedup_limit: usize,
    fingerprint: [u8; 4],
}

type Made<T> = Result<T, String>;

impl Program {
    pub fn parse(json: &str) -> Made<Program> {
        let d: Description = serde_json::from_str(json).map_err(|e| format!("description: {e}"))?;
        let vocab = Vocab::parse(&d.vocabulary)?;
        if d.active.len() != vocab.types.len() || d.passive.len() != vocab.types.len() {
            return Err("description: not a plan for each event type".into());
        }
        let steady = steady(&d);
        let mut sayings = Sayings::default();
        let said = d.journeys.iter().map(|each| saying(each, &mut sayings, &steady, &vocab));
        let said = said.collect::<Made<Vec<usize>>>()?;
        Ok(Program {
            guards: all(&d.guards, |each| Expr::parse(each, &vocab))?,
            steady: steady.guards,
            sayings,
            rulings: d.rulings.into_iter().map(ruling).collect(),
            calls: d.calls.into_iter().map(|each| call(each, &vocab)).collect::<Made<_>>()?,
            journeys: d.journeys.into_iter().zip(said).map(|(each, saying)| journey(each, saying)).collect(),
            timers: d.timers.into_iter().map(timer).collect::<Made<_>>()?,
            active: plans(d.active, &vocab)?,
            passive: plans(d.passive, &vocab)?,
            silences: d.silences,
            befores: all(&d.befores, |each| Read::parse(each, &vocab))?,
            empties: attrs::written(&d.empties.iter().map(from_json).collect::<Vec<_>>()),
            forget_anonymous: d.forget_anonymous,
            forget_known: d.forget_known,
            dedup_window: d.dedup_window,
            dedup_limit: d.dedup_limit,
            fingerprint: d.fingerprint,
            context: ContextPlaces::of(&vocab)?,
            vocab,
        })
    }
}

fn all<T>(items: &[Value], make: impl Fn(&Value) -> Made<T>) -> Made<Vec<T>> {
    items.iter().map(make).collect()
}

fn ruling(d: Ruling) -> made::Ruling {
    made::Ruling { id: d.id, reason: d.reason, reason_from: d.reason_from, owner: d.owner }
}

fn moved(d: Move) -> made::Move {
    made::Move {
        sequence: d.sequence,
        min_dwell: d.min_dwell,
        where_: d.r#where,
        when: d.when,
        target: d.target,
        memory: d.memory,
        reenter: d.reenter,
        ruling: d.ruling,
    }
}

fn getter(d: &Option<Value>, vocab: &Vocab) -> Made<Option<Get>> {
    d.as_ref().map(|each| Get::parse_id(each, vocab)).transpose()
}

fn call(d: Call, vocab: &Vocab) -> Made<made::Call> {
    Ok(made::Call {
        by: getter(&d.by, vocab)?,
        id: d.id,
        signal: d.signal,
        slot: d.slot,
        kind: d.kind,
        owner: d.owner,
        expires: d.expires,
        cancellable: d.cancellable,
        every: d.every,
        at_most: d.at_most,
        reason: d.reason,
        reason_from: d.reason_from,
        payload: d.payload,
    })
}

fn chance(d: Chance) -> made::Chance {
    made::Chance { sequence: d.sequence, where_: d.r#where, when: d.when, call: d.call }
}

fn cancels(all: Vec<Cancel>, vocab: &Vocab) -> Made<Vec<made::Cancel>> {
    all.into_iter()
        .map(|d| Ok(made::Cancel { by: getter(&d.by, vocab)?, slot: d.slot, call: d.call }))
        .collect()
}

fn timer(d: Timer) -> Made<made::Timer> {
    let after = match (d.after, d.after_guard) {
        (Some(after), None) => After::Fixed(after),
        (None, Some(guard)) => After::Guard(guard),
        _ => return Err(format!("timer {}: one of after and after_guard", d.key)),
    };
    Ok(made::Timer {
        journey: d.journey,
        live: d.live,
        after,
        limit: d.limit,
        min_dwell: d.min_dwell,
        when: d.when,
        before: d.before,
        moves: d.moves.into_iter().map(|each| each.map(moved)).collect(),
        call: d.call,
    })
}

/// What is steady in a description. Guards that others read stand before those.
fn steady(d: &Description) -> Steady {
    let slots = d.journeys.iter().flat_map(|each| &each.stage_slots).map(|(slot, _)| *slot as u64).collect();
    let mut steady = Steady { slots, guards: Vec::new() };
    for guard in &d.guards {
        steady.guards.push(steady.holds(guard));
    }
    steady
}

fn saying(d: &Journey, sayings: &mut Sayings, steady: &Steady, vocab: &Vocab) -> Made<usize> {
    let parse = |json: &Value| Read::parse(json, vocab);
    let made = sayings.add(&d.attributes, &d.approximate, d.steady, |json| steady.holds(json), parse);
    made.map_err(|found| format!("journey {:?}: {found}", d.id))
}

fn journey(d: Journey, saying: usize) -> made::Journey {
    made::Journey {
        saying,
        entries: d.entries.into_iter().map(entry).collect(),
        stage_slots: d.stage_slots.iter().map(|(slot, empty)| (*slot, from_json(empty))).collect(),
        id: d.id,
        version: d.version,
        stages: d.stages,
        kinds: d.kinds,
        owners: d.owners,
        ranks: d.ranks,
        start: d.start,
        others: d.others,
        entered_by_newcomers: d.entered_by_newcomers,
    }
}

fn entry(d: Entry) -> made::Entry {
    made::Entry {
        arms: d.arms,
        disarms: d.disarms,
        wakes: d.wakes,
        remembers: d.remembers,
        signals: d.signals.into_iter().map(chance).collect(),
    }
}

fn by_stage<D, T>(stages: Vec<Vec<D>>, make: impl Fn(D) -> T + Copy) -> ByStage<T> {
    stages.into_iter().map(|each| each.into_iter().map(make).collect()).collect()
}

fn plans(all_plans: Vec<Plan>, vocab: &Vocab) -> Made<Vec<made::Plan>> {
    all_plans
        .into_iter()
        .zip(&vocab.types)
        .map(|(d, kind)| {
            Ok(made::Plan {
                before: d.before,
                profile: d.profile.then(|| Update::parse(kind)).transpose()?,
                fold: all(&d.fold, |each| Op::parse(each, vocab))?,
                sequences: d
                    .sequences
                    .into_iter()
                    .map(|(k, each)| Ok((k, Sequence::parse(&each, vocab)?)))
                    .collect::<Made<_>>()?,
                moves: d.moves.into_iter().map(|(j, stages)| (j, by_stage(stages, moved))).collect(),
                signals: d.signals.into_iter().map(|(j, stages)| (j, by_stage(stages, chance))).collect(),
                cancels: d
                    .cancels
                    .into_iter()
                    .map(|(j, each)| Ok((j, cancels(each, vocab)?)))
                    .collect::<Made<_>>()?,
                touched: d.touched,
                after_moves: d
                    .after_moves
                    .into_iter()
                    .map(|(journey, staying, entering, each)| {
                        Ok(AfterMoves {
                            journey,
                            staying: by_stage(staying, chance),
                            entering: by_stage(entering, chance),
                            cancels: cancels(each, vocab)?,
                        })
                    })
                    .collect::<Made<_>>()?,
            })
        })
        .collect()
}
