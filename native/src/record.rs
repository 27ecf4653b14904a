//! Records out, before they are bytes: `values.Transition`, `values.Signal`, `values.StageNow`.
//!
//! What all records of an event say alike is shared (`About`), and so is what travels with a journey's records.

use crate::expr_ops::V;
use crate::json;
use crate::value::{self, Res, Val};
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

/// The name of an attribute, as it is written.
pub struct Member {
    packed: Vec<u8>,
    /// `"name":`
    json: Vec<u8>,
}

impl Member {
    pub fn of(name: &str) -> Member {
        let mut packed = Vec::new();
        value::put_str(&mut packed, name);
        Member { packed, json: json::member(name) }
    }
}

/// What travels with a journey's records, in the order of the definition: written down at once, for ids and as JSON.
///
/// Attributes as a map of msgpack; those that are approximate, as an array; `"attributes":{..},` of JSON, and
/// `"approximate":[..],"partial":[],`.
pub struct Said {
    bytes: Box<[u8]>,
    /// Where the second, third, and fourth part begin.
    ends: [usize; 3],
}

impl Said {
    /// Write values by name; `approximate` are places among them.
    pub fn of<'a>(
        members: &[Member],
        values: impl Iterator<Item = V<'a>>,
        approximate: impl Iterator<Item = usize> + Clone,
        (packed, text): &mut (Vec<u8>, Vec<u8>),
    ) -> Res<Said> {
        packed.clear();
        text.clear();
        value::put_map(packed, members.len());
        json::put(text, "\"attributes\":{");
        for (place, (member, value)) in members.iter().zip(values).enumerate() {
            if place > 0 {
                text.push(b',');
            }
            packed.extend_from_slice(&member.packed);
            text.extend_from_slice(&member.json);
            match &value {
                V::Own(value) => put_both(packed, text, value)?,
                V::Ref(value) => put_both(packed, text, value)?,
                V::Str(value) => {
                    value::put_str(packed, value);
                    json::text(text, value);
                }
            }
        }
        json::put(text, "},");
        let (attributes, said) = (packed.len(), text.len());
        value::put_array(packed, approximate.clone().count());
        json::put(text, "\"approximate\":[");
        for (count, place) in approximate.enumerate() {
            if count > 0 {
                text.push(b',');
            }
            let Member { packed: name, json: quoted } = &members[place];
            packed.extend_from_slice(name);
            text.extend_from_slice(&quoted[..quoted.len() - 1]); // without its colon
        }
        json::put(text, "],\"partial\":[],");
        let mut bytes = Vec::with_capacity(packed.len() + text.len());
        bytes.extend_from_slice(packed);
        bytes.extend_from_slice(text);
        let ends = [attributes, packed.len(), packed.len() + said];
        Ok(Said { bytes: bytes.into_boxed_slice(), ends })
    }

    /// Msgpack: attributes, and which are approximate.
    pub fn packed(&self) -> (&[u8], &[u8]) {
        (&self.bytes[..self.ends[0]], &self.bytes[self.ends[0]..self.ends[1]])
    }

    /// JSON of both.
    pub fn json(&self) -> &[u8] {
        &self.bytes[self.ends[1]..]
    }

    /// JSON of the attributes alone.
    pub fn json_attributes(&self) -> &[u8] {
        &self.bytes[self.ends[1]..self.ends[2]]
    }
}

fn put_both(packed: &mut Vec<u8>, text: &mut Vec<u8>, value: &Val) -> Res<()> {
    value::put_val(packed, value);
    json::val(text, value)
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
