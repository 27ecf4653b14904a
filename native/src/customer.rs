//! The state of one customer, and its bytes: `engine/state.py` field by field, byte by byte.
//!
//! In: a core (msgpack of a compact array). Out: a `Customer`, or the same bytes again.

use crate::attrs::Attrs;
use crate::value::{self, damaged, IntMap, Ints, Reader, Res, Val};
use compact_str::CompactString;
use smallvec::SmallVec;
use std::ops::DerefMut;
use std::sync::Arc;

pub const NOWHERE: i64 = -1;
pub const NEVER: i64 = i64::MAX;
pub const VERSION: u8 = 2;
pub const HEADER: usize = 17;

#[derive(Clone, Debug, PartialEq)]
pub enum Armed {
    At(i64),
    Ids(Vec<(CompactString, i64)>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Partial {
    Starts(Vec<Option<i64>>),
    Ids(Vec<(CompactString, Vec<Option<i64>>)>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Raised {
    pub until: Option<i64>,
    pub id: SmallVec<[u8; 16]>,
    pub by: Option<CompactString>,
}

/// Mostly one at a time.
pub type Calls = SmallVec<[Raised; 1]>;

#[derive(Clone, Debug, Default)]
pub struct Customer {
    pub stages: Ints,
    pub entered: Ints,
    pub sequences: Ints,
    pub loops: Ints,
    pub entries: Vec<Option<IntMap>>,
    pub memories: Option<IntMap>,
    pub attrs: Attrs,
    pub armed: Vec<(i64, Armed)>,
    pub partial: Option<Vec<(i64, Partial)>>,
    pub raised: Option<Vec<(i64, Calls)>>,
    pub rates: Option<Vec<(i64, Ints)>>,
    pub seen: Vec<u8>,
    pub days: Ints,
    pub latest: i64,
    pub active: i64,
    pub sessions: Ints,
    pub messages: Ints,
    pub consent: i64,
    pub known: bool,
    pub test: bool,
    pub anonymous_id: Option<CompactString>,
    pub account_id: Option<CompactString>,
    pub locale: Option<CompactString>,
    pub country: Option<CompactString>,
    pub timezone: Option<CompactString>,
    pub young: Option<IntMap>,
    // The scratch of a batch: never part of the bytes.
    pub person: PersonId,
    pub due: i64,
    pub before: Option<Vec<Val>>,
    pub earlier: Option<Ints>,
    pub first: Option<(i64, i64, Option<CompactString>)>,
    pub id: Option<CompactString>,
}

/// Shared text of a person; `Default` is the empty one.
#[derive(Clone, Debug)]
pub struct PersonId(pub Arc<str>);

impl Default for PersonId {
    fn default() -> Self {
        PersonId(Arc::from(""))
    }
}

impl std::ops::Deref for PersonId {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Customer {
    /// Become who a state is of. Whoever was here before leaves nothing but room; after an error this is nobody.
    pub fn read(&mut self, person: Arc<str>, core: &[u8]) -> Res<()> {
        let r = &mut Reader::new(core);
        let n = r.array()?;
        if !(20..=26).contains(&n) {
            return damaged("a state of another shape");
        }
        r.read_ints(&mut self.stages)?;
        r.read_ints(&mut self.entered)?;
        r.read_ints(&mut self.sequences)?;
        r.read_ints(&mut self.loops)?;
        let count = r.array()?;
        self.entries.clear();
        for _ in 0..count {
            self.entries.push(opt(r, |r| r.pairs())?);
        }
        self.memories = opt(r, |r| r.pairs())?;
        self.attrs.read(r)?;
        read_armed(r, &mut self.armed)?;
        self.partial = opt(r, read_partial)?;
        self.raised = opt(r, read_raised)?;
        self.rates = opt(r, read_rates)?;
        self.seen.clear();
        self.seen.extend_from_slice(r.bin()?);
        r.read_ints(&mut self.days)?;
        self.latest = r.int()?;
        self.active = r.int()?;
        r.read_ints(&mut self.sessions)?;
        r.read_ints(&mut self.messages)?;
        self.consent = r.int()?;
        self.known = r.bool()?;
        self.test = r.bool()?;
        let mut text = |place| if place < n { r.opt_text() } else { Ok(None) };
        self.anonymous_id = text(20)?;
        self.account_id = text(21)?;
        self.locale = text(22)?;
        self.country = text(23)?;
        self.timezone = text(24)?;
        self.young = if n > 25 { opt(r, |r| r.pairs())? } else { None };
        if r.at != core.len() {
            return damaged("bytes behind the state");
        }
        self.person = PersonId(person);
        self.due = NEVER;
        (self.before, self.earlier, self.first, self.id) = (None, None, None, None);
        Ok(())
    }
}

fn opt<T>(r: &mut Reader, read: impl FnOnce(&mut Reader) -> Res<T>) -> Res<Option<T>> {
    if r.nil() {
        return Ok(None);
    }
    read(r).map(Some)
}

fn starts(r: &mut Reader) -> Res<Vec<Option<i64>>> {
    let n = r.array()?;
    (0..n).map(|_| opt(r, |r| r.int())).collect()
}

fn is_map(r: &Reader) -> bool {
    matches!(r.bytes.get(r.at), Some(0x80..=0x8f | 0xde | 0xdf))
}

fn read_armed(r: &mut Reader, armed: &mut Vec<(i64, Armed)>) -> Res<()> {
    let count = r.map()?;
    armed.clear();
    armed.reserve(count.min(4096));
    for _ in 0..count {
        let k = r.int()?;
        let held = if is_map(r) {
            let n = r.map()?;
            let mut ids = Vec::with_capacity(n.min(4096));
            for _ in 0..n {
                ids.push((CompactString::new(r.text()?), r.int()?));
            }
            Armed::Ids(ids)
        } else {
            Armed::At(r.int()?)
        };
        armed.push((k, held));
    }
    Ok(())
}

fn read_partial(r: &mut Reader) -> Res<Vec<(i64, Partial)>> {
    let n = r.map()?;
    (0..n)
        .map(|_| {
            let k = r.int()?;
            if !is_map(r) {
                return Ok((k, Partial::Starts(starts(r)?)));
            }
            let n = r.map()?;
            let ids: Res<Vec<_>> = (0..n).map(|_| Ok((CompactString::new(r.text()?), starts(r)?))).collect();
            Ok((k, Partial::Ids(ids?)))
        })
        .collect()
}

fn read_raised(r: &mut Reader) -> Res<Vec<(i64, Calls)>> {
    let n = r.map()?;
    (0..n)
        .map(|_| {
            let k = r.int()?;
            let n = r.array()?;
            let all: Res<Calls> = (0..n)
                .map(|_| {
                    if r.array()? != 3 {
                        return damaged("a raised signal of another shape");
                    }
                    Ok(Raised { until: opt(r, |r| r.int())?, id: r.bin()?.into(), by: r.opt_text()? })
                })
                .collect();
            Ok((k, all?))
        })
        .collect()
}

fn read_rates(r: &mut Reader) -> Res<Vec<(i64, Ints)>> {
    let n = r.map()?;
    (0..n).map(|_| Ok((r.int()?, r.ints()?))).collect()
}

fn put_starts(out: &mut Vec<u8>, starts: &[Option<i64>]) {
    value::put_array(out, starts.len());
    for start in starts {
        put_opt_int(out, *start);
    }
}

pub fn put_opt_int(out: &mut Vec<u8>, value: Option<i64>) {
    match value {
        None => value::put_nil(out),
        Some(value) => value::put_int(out, value),
    }
}

fn put_opt_text(out: &mut Vec<u8>, text: &Option<CompactString>) {
    value::put_opt_str(out, text.as_deref());
}

pub fn put_core(out: &mut Vec<u8>, c: &mut Customer) {
    value::put_array(out, 26);
    value::put_ints(out, &c.stages);
    value::put_ints(out, &c.entered);
    value::put_ints(out, &c.sequences);
    value::put_ints(out, &c.loops);
    value::put_array(out, c.entries.len());
    for each in &c.entries {
        match each {
            None => value::put_nil(out),
            Some(pairs) => value::put_pairs(out, pairs),
        }
    }
    put_opt_pairs(out, &c.memories);
    c.attrs.put(out);
    value::put_map(out, c.armed.len());
    for (k, held) in &c.armed {
        value::put_int(out, *k);
        match held {
            Armed::At(at) => value::put_int(out, *at),
            Armed::Ids(ids) => {
                value::put_map(out, ids.len());
                for (name, at) in ids {
                    value::put_str(out, name);
                    value::put_int(out, *at);
                }
            }
        }
    }
    match &c.partial {
        Some(partial) if !partial.is_empty() => {
            value::put_map(out, partial.len());
            for (k, held) in partial {
                value::put_int(out, *k);
                match held {
                    Partial::Starts(starts) => put_starts(out, starts),
                    Partial::Ids(ids) => {
                        value::put_map(out, ids.len());
                        for (name, starts) in ids {
                            value::put_str(out, name);
                            put_starts(out, starts);
                        }
                    }
                }
            }
        }
        _ => value::put_nil(out),
    }
    match &c.raised {
        Some(raised) if !raised.is_empty() => {
            value::put_map(out, raised.len());
            for (k, all) in raised {
                value::put_int(out, *k);
                value::put_array(out, all.len());
                for each in all {
                    value::put_array(out, 3);
                    put_opt_int(out, each.until);
                    value::put_bytes(out, &each.id);
                    put_opt_text(out, &each.by);
                }
            }
        }
        _ => value::put_nil(out),
    }
    match &c.rates {
        Some(rates) if !rates.is_empty() => {
            value::put_map(out, rates.len());
            for (k, times) in rates {
                value::put_int(out, *k);
                value::put_ints(out, times);
            }
        }
        _ => value::put_nil(out),
    }
    value::put_bytes(out, &c.seen);
    value::put_ints(out, &c.days);
    value::put_int(out, c.latest);
    value::put_int(out, c.active);
    value::put_ints(out, &c.sessions);
    value::put_ints(out, &c.messages);
    value::put_int(out, c.consent);
    value::put_bool(out, c.known);
    value::put_bool(out, c.test);
    put_opt_text(out, &c.anonymous_id);
    put_opt_text(out, &c.account_id);
    put_opt_text(out, &c.locale);
    put_opt_text(out, &c.country);
    put_opt_text(out, &c.timezone);
    // As it is: an empty `young` is written as an empty map.
    match &c.young {
        None => value::put_nil(out),
        Some(pairs) => value::put_pairs(out, pairs),
    }
}

/// None where there is nothing in it, as Python's `held or None`.
fn put_opt_pairs(out: &mut Vec<u8>, pairs: &Option<IntMap>) {
    match pairs {
        Some(pairs) if !pairs.is_empty() => value::put_pairs(out, pairs),
        _ => value::put_nil(out),
    }
}

// Small maps in the order of insertion, as dicts of Python.

pub fn find<V>(map: &[(i64, V)], key: i64) -> Option<&V> {
    map.iter().find(|(k, _)| *k == key).map(|(_, v)| v)
}

pub fn find_mut<V>(map: &mut [(i64, V)], key: i64) -> Option<&mut V> {
    map.iter_mut().find(|(k, _)| *k == key).map(|(_, v)| v)
}

/// `map[key] = value`: a key that is there keeps its place.
pub fn set<V>(map: &mut (impl DerefMut<Target = [(i64, V)]> + Extend<(i64, V)>), key: i64, value: V) {
    match find_mut(map, key) {
        Some(held) => *held = value,
        None => map.extend([(key, value)]),
    }
}

/// `map.pop(key, None)`.
pub fn pop<V>(map: &mut Vec<(i64, V)>, key: i64) -> Option<V> {
    let at = map.iter().position(|(k, _)| *k == key)?;
    Some(map.remove(at).1)
}
