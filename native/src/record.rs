//! Records out, before they are bytes: `values.Transition`, `values.Signal`, `values.StageNow`.
//!
//! What all records of an event say alike is shared (`About`), and so is what travels with a journey's records (`Said`).

use crate::said::Said;
use crate::value::Val;
use compact_str::CompactString;
use std::sync::Arc;

pub struct Cause {
    /// None for a timer.
    pub event_id: Option<CompactString>,
    /// The event's type, or `timer`.
    pub kind: CompactString,
    pub at: i64,
}

pub struct About {
    pub person: Arc<str>,
    /// Has a customer_id (which is the person).
    pub known: bool,
    pub anonymous_id: Option<CompactString>,
    /// Two bits per channel, as `Customer.consent`.
    pub consent: i64,
    pub over_contacted: bool,
    pub cause: Cause,
    pub account_id: Option<CompactString>,
    pub locale: Option<CompactString>,
    pub country: Option<CompactString>,
    pub timezone: Option<CompactString>,
    pub test: bool,
    pub replay: bool,
}

pub struct Transition {
    pub about: Arc<About>,
    pub said: Arc<Said>,
    pub id: [u8; 16],
    pub journey: usize,
    /// Stage, or NOWHERE.
    pub from: i64,
    pub to: i64,
    /// -1 backward, 0 lateral, 1 forward.
    pub direction: i8,
    /// Place in `Program.rulings`; None: the rule `start`.
    pub ruling: Option<usize>,
    pub reason: Option<CompactString>,
    pub by_timer: bool,
    pub occurred_at: i64,
    pub decided_at: i64,
    pub entered_from_at: Option<i64>,
    pub dwell_s: Option<f64>,
    pub sequence: i64,
    pub entry_number: i64,
    pub loops: i64,
    pub late: bool,
}

pub struct Signal {
    pub about: Arc<About>,
    pub said: Arc<Said>,
    pub id: [u8; 16],
    pub journey: usize,
    /// Place in `Program.calls`.
    pub call: usize,
    pub cancelled: bool,
    pub stage: i64,
    pub reason: Option<CompactString>,
    pub occurred_at: i64,
    pub decided_at: i64,
    pub valid_until: Option<i64>,
    pub sequence: i64,
    /// By `Call.payload`; empty for a cancellation.
    pub payload: Vec<Val>,
    pub late: bool,
}

/// The tombstone of a forgotten person in one journey.
pub struct Gone {
    pub person: Arc<str>,
    pub known: bool,
    pub anonymous_id: Option<CompactString>,
    pub account_id: Option<CompactString>,
    pub journey: usize,
    pub entered_at: i64,
    pub sequence: i64,
    pub test: bool,
    /// The stage they were in.
    pub left: i64,
}

pub enum Record {
    Transition(Transition),
    Signal(Signal),
    Gone(Gone),
}
