//! The attributes of a customer, slot by slot: bytes as they were written, until somebody asks for one.
//!
//! In: an array of msgpack. Out: values, and the same array again with what has changed. Strategy: an event touches
//! few of a customer's attributes, and most are unknown. So waking somebody up only looks where each begins; a value is
//! made when it is asked for, and what nobody asked for is copied as it is. Bytes are checked while they are looked
//! through, as strictly as if all were made: what is given later cannot be damaged.

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
}

impl Slot {
    fn at(begin: usize) -> Slot {
        Slot { made: OnceLock::new(), begin: begin as u32 }
    }
}

impl Attrs {
    /// Take an array in.
    pub fn read(r: &mut Reader) -> Res<Attrs> {
        let count = r.array()?;
        let start = r.at;
        let mut slots = Vec::with_capacity(count.min(4096) + 1);
        for _ in 0..count {
            slots.push(Slot::at(r.at - start));
            if !r.nil() {
                r.pass()?;
            }
        }
        slots.push(Slot::at(r.at - start));
        Ok(Attrs { raw: r.bytes[start..r.at].to_vec(), slots })
    }

    /// Of what `written` gave.
    pub fn of(written: &[u8]) -> Attrs {
        Attrs::read(&mut Reader::new(written)).expect("it was written here")
    }

    pub fn put(&self, out: &mut Vec<u8>) {
        put_array(out, self.slots.len().saturating_sub(1));
        let mut from = 0;
        for (place, slot) in self.slots.iter().enumerate() {
            if let Some(value) = slot.made.get() {
                out.extend_from_slice(&self.raw[from..slot.begin as usize]);
                put_val(out, value);
                from = self.slots[place + 1].begin as usize;
            }
        }
        out.extend_from_slice(&self.raw[from..]);
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
        self.slots[slot].made.get_mut().map(|value| &mut **value)
    }

    fn slot(&self, slot: usize) -> Option<&Slot> {
        self.slots.split_last()?.1.get(slot)
    }

    /// A slot that is there.
    pub fn set(&mut self, slot: usize, value: Val) {
        self.slots[slot].made = OnceLock::from(Box::new(value));
    }

    fn make(&self, begin: u32) -> Box<Val> {
        let mut r = Reader { bytes: &self.raw, at: begin as usize };
        Box::new(r.val().expect("it was passed once"))
    }
}
