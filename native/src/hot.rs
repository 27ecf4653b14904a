//! A customer at work between two drains: decoded, with what was applied since, and the history it adds to.
//!
//! In: a state at rest (`engine/state.py`). Out: the state with its history (`engine/recent.py appended`,
//! `engine/memory.py written`). Histories that are due to be folded are left to Python.

use crate::customer::{put_core, Customer, HEADER, NEVER, VERSION};
use crate::event::{Event, Vocab};
use crate::rows::put_row;
use crate::value::{damaged, Res};
use std::sync::Arc;

const NONE: i64 = i64::MIN;
const LOOK_AT: u32 = 32;
/// Bytes of a history at most.
const SIZE: usize = 512 * 1024;
/// newest, point, entries, look at, length of the base, length of the numbers.
const HEAD: usize = 32;

pub struct Hot {
    pub c: Customer,
    /// State at rest, not packed; only kept where histories are. Empty for somebody new.
    pub rest: Vec<u8>,
    pub touched: bool,
    /// A state of theirs is at rest.
    pub known: bool,
    /// To be kept beyond the next drain: new, or came before not long ago.
    pub stays: bool,
    /// Entries of the history added since the last drain.
    rows: Vec<u8>,
    count: u32,
    point: i64,
    /// When the last event or timer since was applied, NONE if nothing was.
    last: i64,
}

/// The history as it is to be written.
pub enum History {
    Bytes(Vec<u8>),
    /// The oldest entries are to be folded into the base: Python does it.
    Foldable(Vec<u8>),
}

impl Hot {
    pub fn new(c: Customer) -> Hot {
        Hot {
            c,
            rest: Vec::new(),
            touched: false,
            known: false,
            stays: true,
            rows: Vec::new(),
            count: 0,
            point: NONE,
            last: NONE,
        }
    }

    /// Wake somebody up, in the room of somebody who has left if there is one. None: of another format or layout,
    /// nobody, or with slots that are young.
    pub fn wake(
        room: Option<Box<Hot>>,
        person: Arc<str>,
        blob: &[u8],
        fingerprint: &[u8; 4],
        keep: bool,
    ) -> Res<Option<Box<Hot>>> {
        if blob.len() < HEADER || blob[0] != VERSION || blob[9..13] != fingerprint[..] {
            return Ok(None);
        }
        let end = core_end(blob);
        if end == HEADER {
            return Ok(None);
        }
        if end > blob.len() {
            return damaged("a state cut short");
        }
        let mut hot = room.unwrap_or_else(|| Box::new(Hot::new(Customer::default())));
        hot.c.read(person, &blob[HEADER..end])?;
        if hot.c.young.is_some() {
            return Ok(None);
        }
        hot.c.due = due_at(blob);
        hot.written(if keep { blob } else { &[] });
        Ok(Some(hot))
    }

    pub fn note_event(&mut self, e: &Event, vocab: &Vocab) {
        put_row(&mut self.rows, e, self.c.latest, None, vocab);
        self.count += 1;
        self.point = NONE;
        self.last = self.c.latest;
    }

    pub fn note_timer(&mut self, due: i64) {
        self.point = due;
        self.last = due;
    }

    /// The history with what was applied since.
    pub fn history(&self, horizon: i64) -> History {
        let end = if self.rest.is_empty() { 0 } else { core_end(&self.rest) };
        let mut held: &[u8] = &self.rest[end..];
        if !held.is_empty() && int(held, 0) <= horizon {
            held = &[];
        }
        if held.is_empty() && (self.last == NONE || self.last <= horizon) {
            return History::Bytes(Vec::new());
        }
        let (newest, mut point, count, look_at, base, entries) = if held.is_empty() {
            let base: &[u8] = if end == 0 { &[] } else { &self.rest[HEADER..end] };
            (NONE, NONE, 0, LOOK_AT, base, &[][..])
        } else {
            let length = word(held, 24) as usize;
            let (base, entries) = (&held[HEAD..HEAD + length], &held[HEAD + length..]);
            (int(held, 0), int(held, 8), word(held, 16), word(held, 20), base, entries)
        };
        if self.last != NONE {
            point = self.point;
        }
        let count = count + self.count;
        let mut out = Vec::with_capacity(HEAD + base.len() + entries.len() + self.rows.len());
        out.extend_from_slice(&newest.max(self.last).to_be_bytes());
        out.extend_from_slice(&point.to_be_bytes());
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(&look_at.to_be_bytes());
        out.extend_from_slice(&(base.len() as u32).to_be_bytes());
        out.extend_from_slice(&0u32.to_be_bytes());
        out.extend_from_slice(base);
        out.extend_from_slice(entries);
        out.extend_from_slice(&self.rows);
        if count <= look_at && out.len() <= SIZE {
            History::Bytes(out)
        } else {
            History::Foldable(out)
        }
    }

    /// Write the state at rest with this history behind it; what was in `out` is gone.
    pub fn encode(&mut self, out: &mut Vec<u8>, fingerprint: &[u8; 4], history: &[u8]) {
        out.clear();
        self.append(out, fingerprint, history);
    }

    /// The same behind what is in `out`.
    pub fn append(&mut self, out: &mut Vec<u8>, fingerprint: &[u8; 4], history: &[u8]) {
        let begin = out.len();
        out.push(VERSION);
        out.extend_from_slice(&(self.c.due as u64).to_be_bytes());
        out.extend_from_slice(fingerprint);
        out.extend_from_slice(&[0; 4]);
        put_core(out, &mut self.c);
        let length = (out.len() - begin - HEADER) as u32;
        out[begin + 13..begin + HEADER].copy_from_slice(&length.to_be_bytes());
        out.extend_from_slice(history);
    }

    /// It has been written as `rest`: what was noted is in there.
    pub fn written(&mut self, rest: &[u8]) {
        self.rest.clear();
        self.rest.extend_from_slice(rest);
        self.rows.clear();
        (self.count, self.point, self.last, self.touched) = (0, NONE, NONE, false);
    }
}

fn int(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

/// Where the core ends and the history begins, of the present format.
pub fn core_end(blob: &[u8]) -> usize {
    HEADER + word(blob, 13) as usize
}

/// The earliest due of a state at rest, packed or not.
pub fn due_at(blob: &[u8]) -> i64 {
    match blob.get(1..9) {
        Some(bytes) => u64::from_be_bytes(bytes.try_into().expect("8 bytes")).min(NEVER as u64) as i64,
        None => NEVER,
    }
}
