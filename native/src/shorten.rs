//! The core of a state in fewer bytes, for what compresses it then: times are told by one another.
//!
//! In: msgpack as `customer` writes it. Out: the same with its times replaced, and back, byte for byte. Some forty times
//! are a third of a state, eight bytes each that no dictionary knows; but many are one and the same moment, in
//! microseconds or in seconds, and others are near it. A time that came before is told by its place among those that
//! came (one byte), another by its distance from the last new one, in the largest unit that is exact. The tags are
//! those that msgpack leaves unused (c1) or that we never write (c7, c8: extensions):
//!
//!     c1, 1 byte 2 * place + (1 if seconds); c7 (microseconds) or c8 (seconds), varint zigzag(4 * distance + unit)

use crate::batch::put_varint;
use crate::fetched::Reading;
use crate::value::{damaged, Res};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

const AGAIN: u8 = 0xc1;
const NEW_INT: u8 = 0xc7;
const NEW_NUM: u8 = 0xc8;
const INT: u8 = 0xcf;
const NUM: u8 = 0xcb;
/// Beyond it, a distance with its unit would not fit into 64 bits.
const MOST: u64 = 1 << 60;
/// Seconds that are likely to be a time (1972 to 2242), and whose microseconds a float tells exactly.
const SECONDS: std::ops::Range<f64> = 67_108_864.0..8_589_934_592.0;
const UNITS: [i64; 3] = [1_000_000, 1_000, 1];
const MANY: usize = 128;

/// The times that came.
struct Told {
    times: [i64; MANY],
    count: usize,
    last: i64,
}

impl Told {
    fn new() -> Told {
        Told { times: [0; MANY], count: 0, last: 0 }
    }

    fn place(&self, time: i64) -> Option<usize> {
        self.times[..self.count].iter().position(|each| *each == time)
    }

    fn note(&mut self, time: i64) {
        self.last = time;
        if self.count < MANY {
            self.times[self.count] = time;
            self.count += 1;
        }
    }
}

/// Shorten what is msgpack of ours; what was in `out` is gone. False: it is not.
pub fn shorten(core: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    let mut told = Told::new();
    let (mut from, mut at) = (0, 0);
    while let Some(&tag) = core.get(at) {
        let Some(end) = end_of(core, at).filter(|end| *end <= core.len()) else { return false };
        if let Some(time) = time_of(tag, &core[at + 1..end]) {
            out.extend_from_slice(&core[from..at]);
            let is_num = tag == NUM;
            match told.place(time) {
                Some(place) => out.extend_from_slice(&[AGAIN, (place << 1) as u8 | u8::from(is_num)]),
                None => {
                    out.push(if is_num { NEW_NUM } else { NEW_INT });
                    put_distance(out, time - told.last);
                    told.note(time);
                }
            }
            from = end;
        }
        at = end;
    }
    out.extend_from_slice(&core[from..]);
    true
}

/// Append what was shortened.
pub fn expand(short: &[u8], out: &mut Vec<u8>) -> Res<()> {
    let mut told = Told::new();
    let (mut from, mut at) = (0, 0);
    while let Some(&tag) = short.get(at) {
        if !matches!(tag, AGAIN | NEW_INT | NEW_NUM) {
            at = match end_of(short, at) {
                Some(end) if end <= short.len() => end,
                _ => return damaged("a packed state that ends too early"),
            };
            continue;
        }
        out.extend_from_slice(&short[from..at]);
        at += 1;
        let (time, is_num) = if tag == AGAIN {
            let place = short.get(at).copied().unwrap_or(u8::MAX);
            at += 1;
            match told.times[..told.count].get(usize::from(place >> 1)) {
                Some(time) => (*time, place & 1 == 1),
                None => return damaged("a packed state with a time that never came"),
            }
        } else {
            let Some(distance) = distance(short, &mut at) else {
                return damaged("a packed state with a time cut short");
            };
            told.note(told.last.wrapping_add(distance));
            (told.last, tag == NEW_NUM)
        };
        let (tag, bytes) = if is_num { (NUM, (time as f64 / 1e6).to_bits()) } else { (INT, time as u64) };
        out.push(tag);
        out.extend_from_slice(&bytes.to_be_bytes());
        from = at;
    }
    out.extend_from_slice(&short[from..]);
    Ok(())
}

/// The microseconds that a value is, if it may be a time and can be had back.
fn time_of(tag: u8, bytes: &[u8]) -> Option<i64> {
    if tag != INT && tag != NUM {
        return None;
    }
    let bits = u64::from_be_bytes(bytes.try_into().ok()?);
    if tag == INT {
        return (bits < MOST).then_some(bits as i64);
    }
    let seconds = f64::from_bits(bits);
    let micros = (seconds * 1e6).round();
    (SECONDS.contains(&seconds) && (micros / 1e6).to_bits() == bits).then_some(micros as i64)
}

/// How many bytes a value takes by its first one, its parts not counted; 0: what follows tells, or no kind of ours.
const SIZES: [u8; 256] = {
    let mut sizes = [0; 256];
    let mut tag = 0;
    while tag < 256 {
        sizes[tag] = match tag {
            0x00..=0x9f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => 1,
            0xa0..=0xbf => 1 + (tag as u8 & 31),
            0xcc | 0xd0 => 2,
            0xcd | 0xd1 | 0xdc | 0xde => 3,
            0xce | 0xd2 | 0xdd | 0xdf => 5,
            0xcb | 0xcf | 0xd3 => 9,
            _ => 0,
        };
        tag += 1;
    }
    sizes
};

/// Where the value at `at` ends, its parts not counted; None: of no kind that we write.
#[inline]
fn end_of(bytes: &[u8], at: usize) -> Option<usize> {
    match SIZES[usize::from(bytes[at])] {
        0 => long_end_of(bytes, at),
        size => Some(at + usize::from(size)),
    }
}

/// The same of what tells its length.
fn long_end_of(bytes: &[u8], at: usize) -> Option<usize> {
    let width = match bytes[at] {
        0xc4 | 0xd9 => 1,
        0xc5 | 0xda => 2,
        0xc6 | 0xdb => 4,
        _ => return None,
    };
    let told = bytes.get(at + 1..at + 1 + width)?;
    Some(at + 1 + width + told.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
}

fn put_distance(out: &mut Vec<u8>, distance: i64) {
    let unit = UNITS.iter().position(|unit| distance % unit == 0).expect("one divides all");
    put_varint(out, (distance / UNITS[unit]) << 2 | unit as i64);
}

fn distance(short: &[u8], at: &mut usize) -> Option<i64> {
    let mut reader = Reading { bytes: short, at: *at };
    let told = reader.varint()?;
    *at = reader.at;
    (told >> 2).checked_mul(*UNITS.get((told & 3) as usize)?)
}

/// For tests: what came of it, None for what is not of ours.
#[pyfunction]
fn probe_shorten<'py>(py: Python<'py>, core: &[u8]) -> Option<Bound<'py, PyBytes>> {
    let mut out = Vec::new();
    shorten(core, &mut out).then(|| PyBytes::new(py, &out))
}

/// For tests.
#[pyfunction]
fn probe_expand<'py>(py: Python<'py>, short: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let mut out = Vec::new();
    expand(short, &mut out).map_err(|damage| PyValueError::new_err(damage.0))?;
    Ok(PyBytes::new(py, &out))
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(probe_shorten, m)?)?;
    m.add_function(wrap_pyfunction!(probe_expand, m)?)
}
