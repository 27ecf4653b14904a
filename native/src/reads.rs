//! How attributes are read: `kept.Kept.code`, and whether a limit made one approximate.

use crate::customer::Customer;
use crate::event::Vocab;
use crate::expr::{eval, Scope};
use crate::expr_ops::V;
use crate::kept::Place;
use crate::parse::{index, part, text, whole};
use crate::program::{Guard, Program};
use crate::spans;
use crate::value::Val;

#[derive(Debug)]
pub enum Read {
    Kept(Place),
    Open(usize),
    Oldest(usize),
    Elapsed(usize),
    Rhythm(usize, i64),
    /// `value`: derived from others.
    Guard(Guard),
}

/// Whether a limit made an attribute approximate.
#[derive(Debug)]
pub enum Merged {
    Kept(Place),
    Open(usize),
}

impl Read {
    pub fn parse(json: &serde_json::Value, _vocab: &Vocab) -> Result<Read, String> {
        Ok(match text(json, "r")? {
            "kept" => Read::Kept(Place::parse(part(json, "in")?)?),
            "open" => Read::Open(index(json, "slot")?),
            "oldest" => Read::Oldest(index(json, "slot")?),
            "elapsed" => Read::Elapsed(index(json, "slot")?),
            "rhythm" => Read::Rhythm(index(json, "slot")?, whole(json, "gaps")?),
            "guard" => Read::Guard(index(json, "guard")?),
            other => return Err(format!("a read {other:?} that is not known")),
        })
    }
}

impl Merged {
    pub fn parse(json: &serde_json::Value) -> Result<Merged, String> {
        Ok(match text(json, "h")? {
            "kept" => Merged::Kept(Place::parse(part(json, "in")?)?),
            "open" => Merged::Open(index(json, "slot")?),
            other => return Err(format!("an approximation {other:?} that is not known")),
        })
    }
}

/// The value of an attribute: where the state holds it as it is, it is not copied.
pub fn read<'a>(r: &Read, p: &'a Program, c: &'a Customer, t: i64) -> V<'a> {
    let held = |slot: &usize| c.attrs.get(*slot).unwrap_or(&Val::Nil);
    V::Own(match r {
        Read::Kept(place) => return place.read(c, t),
        Read::Open(slot) => spans::count(held(slot)),
        Read::Oldest(slot) => spans::age(held(slot), t),
        Read::Elapsed(slot) => spans::last(held(slot)),
        Read::Rhythm(slot, gaps) => spans::mean(held(slot), *gaps),
        Read::Guard(guard) => match p.guards.get(*guard) {
            Some(guard) => eval(guard, &Scope { p, c, e: None, t }),
            None => Val::Nil,
        },
    })
}

pub fn merged(m: &Merged, c: &Customer, t: i64) -> bool {
    match m {
        Merged::Kept(place) => place.merged(c, t),
        Merged::Open(slot) => c.attrs.get(*slot).is_some_and(spans::merged),
    }
}
