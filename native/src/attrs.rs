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
    /// Where each begins in `raw`; one more for the end.
    begins: Vec<u32>,
    made: Vec<OnceLock<Box<Val>>>,
}

impl Attrs {
    /// Take an array in.
    pub fn read(r: &mut Reader) -> Res<Attrs> {
        let count = r.array()?;
        let start = r.at;
        let mut begins = Vec::with_capacity(count.min(4096) + 1);
        for _ in 0..count {
            begins.push((r.at - start) as u32);
            if !r.nil() {
                r.pass()?;
            }
        }
        begins.push((r.at - start) as u32);
        let made = (0..count).map(|_| OnceLock::new()).collect();
        Ok(Attrs { raw: r.bytes[start..r.at].to_vec(), begins, made })
    }

    /// Of what `written` gave.
    pub fn of(written: &[u8]) -> Attrs {
        Attrs::read(&mut Reader::new(written)).expect("it was written here")
    }

    pub fn put(&self, out: &mut Vec<u8>) {
        put_array(out, self.made.len());
        let mut from = 0;
        for (slot, made) in self.made.iter().enumerate() {
            if let Some(value) = made.get() {
                out.extend_from_slice(&self.raw[from..self.begins[slot] as usize]);
                put_val(out, value);
                from = self.begins[slot + 1] as usize;
            }
        }
        out.extend_from_slice(&self.raw[from..]);
    }

    pub fn get(&self, slot: usize) -> Option<&Val> {
        let made = self.made.get(slot)?;
        if let Some(value) = made.get() {
            return Some(value);
        }
        let begin = self.begins[slot] as usize;
        if self.raw[begin] == NIL_BYTE {
            return Some(&NIL);
        }
        Some(made.get_or_init(|| self.make(begin)))
    }

    pub fn get_mut(&mut self, slot: usize) -> Option<&mut Val> {
        if self.made.get(slot)?.get().is_none() {
            let value = self.make(self.begins[slot] as usize);
            let _ = self.made[slot].set(value);
        }
        self.made[slot].get_mut().map(|value| &mut **value)
    }

    /// A slot that is there.
    pub fn set(&mut self, slot: usize, value: Val) {
        self.made[slot] = OnceLock::from(Box::new(value));
    }

    fn make(&self, begin: usize) -> Box<Val> {
        let mut r = Reader { bytes: &self.raw, at: begin };
        Box::new(r.val().expect("it was passed once"))
    }
}
