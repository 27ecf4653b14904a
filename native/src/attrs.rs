//! The attributes of a customer, slot by slot: bytes as they were written, until somebody asks for one.
//!
//! In: an array of msgpack. Out: values, and the same array again with what has changed. Strategy: an event touches
//! few of a customer's attributes, and most are unknown. So waking somebody up only looks where each begins; a value is
//! made when it is asked for, and what nobody has changed since it was last written is copied as it was. Bytes are
//! checked while they are looked through, as strictly as if all were made: what is given later cannot be damaged.

use crate::value::{put_array, put_val, Reader, Res, Val};
use std::sync::OnceLock;

static NIL: Val = Val::Nil;
const NIL_BYTE: u8 = 0xc0;

/// An array of values as it is written.
pub fn written(values: &[Val]) -> Vec<u8> {
    let mut out = Vec::new();
    put_array(&mut out, values.len());
    values.iter().for_each(|value| put_val(&mut out, value));
    out
}

#[derive(Clone, Debug, Default)]
pub struct Attrs {
    /// All values, one behind the other.
    raw: Vec<u8>,
    /// One more for the end of `raw`.
    slots: Vec<Slot>,
}

#[derive(Clone, Debug)]
struct Slot {
    made: OnceLock<Box<Val>>,
    /// Where it begins in `raw`.
    begin: u32,
    /// What was made is no longer what stands in `raw`.
    changed: bool,
}

impl Slot {
    fn at(begin: usize) -> Slot {
        Slot { made: OnceLock::new(), begin: begin as u32, changed: false }
    }
}

impl Attrs {
    /// Take an array in; what was here before is gone.
    pub fn read(&mut self, r: &mut Reader) -> Res<()> {
        let count = r.array()?;
        let start = r.at;
        self.slots.clear();
        self.slots.reserve(count.min(4096) + 1);
        for _ in 0..count {
            self.slots.push(Slot::at(r.at - start));
            if !r.nil() {
                r.pass()?;
            }
        }
        self.slots.push(Slot::at(r.at - start));
        self.raw.clear();
        self.raw.extend_from_slice(&r.bytes[start..r.at]);
        Ok(())
    }

    /// Of what `written` gave.
    pub fn of(written: &[u8]) -> Attrs {
        let mut attrs = Attrs::default();
        attrs.read(&mut Reader::new(written)).expect("it was written here");
        attrs
    }

    /// Append the array as it is now.
    pub fn put(&mut self, out: &mut Vec<u8>) {
        put_array(out, self.slots.len().saturating_sub(1));
        let start = out.len();
        let mut from = 0;
        let mut moved = 0;
        for place in 0..self.slots.len() {
            let begin = self.slots[place].begin;
            self.slots[place].begin = (begin as i64 + moved) as u32;
            if !self.slots[place].changed {
                continue;
            }
            let slot = &mut self.slots[place];
            slot.changed = false;
            out.extend_from_slice(&self.raw[from..begin as usize]);
            put_val(out, slot.made.get().expect("it was changed"));
            from = self.slots[place + 1].begin as usize;
            moved = (out.len() - start) as i64 - from as i64;
        }
        out.extend_from_slice(&self.raw[from..]);
        if from > 0 {
            self.raw.clear();
            self.raw.extend_from_slice(&out[start..]);
        }
    }

    pub fn get(&self, slot: usize) -> Option<&Val> {
        let slot = self.slot(slot)?;
        if let Some(value) = slot.made.get() {
            return Some(value);
        }
        if self.raw[slot.begin as usize] == NIL_BYTE {
            return Some(&NIL);
        }
        Some(slot.made.get_or_init(|| self.make(slot.begin)))
    }

    pub fn get_mut(&mut self, slot: usize) -> Option<&mut Val> {
        let found = self.slot(slot)?;
        if found.made.get().is_none() {
            let value = self.make(found.begin);
            let _ = found.made.set(value);
        }
        let found = &mut self.slots[slot];
        found.changed = true;
        found.made.get_mut().map(|value| &mut **value)
    }

    fn slot(&self, slot: usize) -> Option<&Slot> {
        self.slots.split_last()?.1.get(slot)
    }

    /// A slot that is there.
    pub fn set(&mut self, slot: usize, value: Val) {
        let slot = &mut self.slots[slot];
        slot.changed = true;
        slot.made = OnceLock::from(Box::new(value));
    }

    fn make(&self, begin: u32) -> Box<Val> {
        let mut r = Reader { bytes: &self.raw, at: begin as usize };
        Box::new(r.val().expect("it was passed once"))
    }
}
