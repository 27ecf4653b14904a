//! A compiled program: `engine/program.py` and `engine/tables.py`, from the description that Python writes.
//!
//! In: JSON (`engine/described.py`). Out: a `Program`, never changed. Guards stand in one table and are named by
//! their place in it (`usize`); event types by their place in the vocabulary; journeys, stages, slots, timers by
//! the places they have in Python.

use crate::event::Vocab;
use crate::expr::Expr;
use crate::ops::{Op, Sequence};
use crate::paths::Get;
use crate::profile::{ContextPlaces, Update};
use crate::reads::Read;
use crate::said::Sayings;
use crate::value::Val;

pub type Guard = usize;

pub struct Ruling {
    pub id: String,
    pub reason: Option<String>,
    pub reason_from: Option<Guard>,
    pub owner: Option<String>,
}

pub struct Move {
    pub sequence: i64,
    pub min_dwell: i64,
    pub where_: Option<Guard>,
    pub when: Option<Guard>,
    pub target: i64,
    pub memory: i64,
    pub reenter: bool,
    pub ruling: usize,
}

pub struct Call {
    pub id: String,
    pub signal: String,
    pub slot: i64,
    pub kind: Option<String>,
    pub owner: Option<String>,
    pub expires: Option<i64>,
    pub cancellable: bool,
    pub by: Option<Get>,
    pub every: i64,
    pub at_most: i64,
    pub reason: Option<String>,
    pub reason_from: Option<Guard>,
    pub payload: Vec<(String, Guard)>,
}

pub struct Chance {
    pub sequence: i64,
    pub where_: Option<Guard>,
    pub when: Option<Guard>,
    pub call: usize,
}

pub struct Cancel {
    pub slot: i64,
    pub by: Option<Get>,
    pub call: usize,
}

pub enum After {
    Fixed(i64),
    Guard(Guard),
}

pub struct Timer {
    pub journey: usize,
    /// Per stage and, last, nowhere.
    pub live: Vec<bool>,
    pub after: After,
    pub limit: usize,
    pub min_dwell: i64,
    pub when: Option<Guard>,
    pub before: Vec<usize>,
    /// Per stage; empty for one that raises a signal.
    pub moves: Vec<Option<Move>>,
    pub call: Option<usize>,
}

pub struct Entry {
    pub arms: Vec<usize>,
    pub disarms: Vec<i64>,
    pub wakes: Vec<usize>,
    pub remembers: Vec<(i64, Vec<i64>)>,
    pub signals: Vec<Chance>,
}

pub struct Journey {
    pub id: String,
    pub version: i64,
    pub stages: Vec<String>,
    pub kinds: Vec<String>,
    pub owners: Vec<Option<String>>,
    pub ranks: Vec<i64>,
    pub start: i64,
    /// What travels with its records: its place in `Program.sayings`.
    pub saying: usize,
    pub others: Vec<usize>,
    pub entered_by_newcomers: bool,
    pub entries: Vec<Entry>,
    pub stage_slots: Vec<(usize, Val)>,
}

/// Per stage and, last, nowhere.
pub type ByStage<T> = Vec<Vec<T>>;

pub struct AfterMoves {
    pub journey: usize,
    pub staying: ByStage<Chance>,
    pub entering: ByStage<Chance>,
    pub cancels: Vec<Cancel>,
}

#[derive(Default)]
pub struct Plan {
    pub before: Vec<usize>,
    /// What the type does beside what every event does, where it changes consent or counts as contact.
    pub profile: Option<Update>,
    pub fold: Vec<Op>,
    pub sequences: Vec<(i64, Sequence)>,
    pub moves: Vec<(usize, ByStage<Move>)>,
    pub signals: Vec<(usize, ByStage<Chance>)>,
    pub cancels: Vec<(usize, Vec<Cancel>)>,
    pub touched: bool,
    pub after_moves: Vec<AfterMoves>,
}

pub struct Program {
    pub vocab: Vocab,
    pub context: ContextPlaces,
    pub guards: Vec<Expr>,
    /// Whether a guard's answer stays the same while an event is worked on.
    pub steady: Vec<bool>,
    pub sayings: Sayings,
    pub rulings: Vec<Ruling>,
    pub calls: Vec<Call>,
    pub journeys: Vec<Journey>,
    pub timers: Vec<Timer>,
    /// By event type: for an act of the customer, and for anything else.
    pub active: Vec<Plan>,
    pub passive: Vec<Plan>,
    pub silences: Vec<i64>,
    pub befores: Vec<Read>,
    /// The attributes of somebody new, as they are written.
    pub empties: Vec<u8>,
    pub forget_anonymous: Option<i64>,
    pub forget_known: Option<i64>,
    pub dedup_window: i64,
    pub dedup_limit: usize,
    pub fingerprint: [u8; 4],
}

impl Program {
    /// Event types that others follow from.
    pub fn special(&self) -> Vec<usize> {
        let found = self.vocab.types.iter().enumerate().filter(|(_, kind)| kind.name == "referral_converted");
        found.map(|(place, _)| place).collect()
    }
}
