//! Consumed records to waiting events: what `kafka/keyed.py _receive` and `kafka/direct.py take` do with the plain
//! ones. The first record that is anything else ends the run: Python sees to it, and comes back for the rest.

use crate::decode::decode;
use crate::event::Event;
use crate::fetched::{Fetched, Rows};
use crate::program::Program;
use crate::waiting::{Buffer, Tag, What};
use ahash::{AHashMap, AHashSet};
use std::sync::Arc;

/// How late an event may be (`release.classify`), microseconds.
#[derive(Clone, Copy)]
pub struct Lateness {
    pub clock: i64,
    pub allowed: i64,
    pub window: i64,
}

/// What came of a run of records.
#[derive(Default)]
pub struct Taken {
    pub next: usize,
    pub on_time: u64,
    pub late: u64,
    /// Least and greatest time of the events.
    pub first: i64,
    pub highest: i64,
    /// Least broker time.
    pub oldest: i64,
}

impl Taken {
    fn new(next: usize) -> Taken {
        Taken { next, first: i64::MAX, highest: i64::MIN, oldest: i64::MAX, ..Taken::default() }
    }

    fn note(&mut self, e: &Event, broker_at: i64) {
        if e.late {
            self.late += 1;
        } else {
            self.on_time += 1;
        }
        self.first = self.first.min(e.at);
        self.highest = self.highest.max(e.at);
        self.oldest = self.oldest.min(broker_at);
    }
}

/// An event on time, or late; None: not an event for us (or too late for all).
fn judged(e: Option<Event>, lateness: Lateness) -> Option<Event> {
    let mut e = e?;
    let behind = lateness.clock.saturating_sub(e.at);
    if behind > lateness.allowed {
        if behind > lateness.window.max(lateness.allowed) {
            return None;
        }
        e.late = true;
    }
    Some(e)
}

/// Records of a source partition, read without the hop, from `start` on.
pub fn direct(
    p: &Program,
    buffer: &mut Buffer,
    records: &Fetched,
    start: usize,
    topic: &str,
    lateness: Lateness,
    as_of: &str,
    ours: impl Fn(&str) -> bool,
    special: &[usize],
) -> Taken {
    let mut taken = Taken::new(start);
    let (topic, rows) = (buffer.topic(topic), &records.rows);
    for place in records.begin + start..records.end {
        let Some(value) = rows.value(place) else { break };
        if is_as_of(rows, place, as_of) {
            break;
        }
        let Some(broker_at) = rows.timestamp(place).checked_mul(1000) else { break };
        let Some(event) = judged(decode(value, broker_at, &p.vocab), lateness) else { break };
        if special.contains(&event.kind) || !ours(&event.person) {
            break;
        }
        taken.note(&event, broker_at);
        push(buffer, event, rows, place, topic);
        taken.next += 1;
    }
    taken
}

fn push(buffer: &mut Buffer, event: Event, rows: &Arc<Rows>, place: usize, topic: u32) {
    let at = event.at;
    let tag = Tag::Fetched(rows.clone(), place);
    buffer.push(at, What::Ours(Box::new(event)), tag, topic, rows.offset(place));
}

/// What has been received per source partition: highest sub-offset and its broker time.
pub type Received = AHashMap<Vec<u8>, (i64, i64, u64, u64)>;

/// Kind, format, sub-offset, broker time; the source comes behind (`kafka/hop.py`).
pub const HEAD: usize = 18;
pub const FORMAT: u8 = 1;
pub const EVENT: u8 = 1;

/// Records of the keyed topic, from `start` on. `received` has the sources it may take from, as they stand, and two
/// counts (on time, late) that are added to.
pub fn hop(
    p: &Program,
    buffer: &mut Buffer,
    records: &Fetched,
    start: usize,
    topic: &str,
    lateness: Lateness,
    (header_name, as_of): (&str, &str),
    received: &mut Received,
) -> Taken {
    let mut taken = Taken::new(start);
    let (topic, rows) = (buffer.topic(topic), &records.rows);
    for place in records.begin + start..records.end {
        let Some(value) = rows.value(place) else { break };
        let Some((name, Some(head))) = rows.headers(place).next() else { break };
        if name != header_name || is_as_of(rows, place, as_of) {
            break;
        }
        if !is_event(head) {
            break;
        }
        let sub_offset = i64::from_be_bytes(head[2..10].try_into().expect("8 bytes"));
        let broker_at = i64::from_be_bytes(head[10..18].try_into().expect("8 bytes"));
        let Some(source) = received.get_mut(&head[HEAD..]) else { break };
        if sub_offset <= source.0 {
            break; // had before; Python looks whether it is the same record
        }
        let Some(event) = judged(decode(value, broker_at, &p.vocab), lateness) else { break };
        (source.0, source.1) = (sub_offset, broker_at);
        if event.late {
            source.3 += 1;
        } else {
            source.2 += 1;
        }
        taken.note(&event, broker_at);
        push(buffer, event, rows, place, topic);
        taken.next += 1;
    }
    taken
}

/// The source partitions whose events `hop` may take from `start` on, each once.
pub fn sources<'a>(records: &'a Fetched, start: usize, header_name: &str) -> AHashSet<&'a [u8]> {
    let mut found = AHashSet::new();
    let mut last: &[u8] = &[];
    for place in records.begin + start..records.end {
        match records.rows.headers(place).next() {
            Some((name, Some(head))) if name == header_name && is_event(head) => {
                if head[HEAD..] != *last {
                    last = &head[HEAD..];
                    found.insert(last);
                }
            }
            _ => break,
        }
    }
    found
}

fn is_event(head: &[u8]) -> bool {
    head.len() > HEAD + 4 && head[0] == EVENT && head[1] == FORMAT
}

/// Whether the last header says that it was sent back as of another time.
fn is_as_of(rows: &Rows, place: usize, as_of: &str) -> bool {
    rows.headers(place).last().is_some_and(|(name, _)| name == as_of)
}
