//! Time between events: what is open, how long it took, the personal rhythm (`engine/spans.py`).
//!
//! Slots: open [{id: since, Nil once closed}, merged], elapsed [{id: since}, last seconds], rhythm [first, last,
//! times, {id: 1} or Nil]. Without `by` everything has the id "".

use crate::folds::{number, parts, place, seconds, shape, SECOND};
use crate::parse::{flag, index, text};
use crate::value::{damaged, Res, Val};
use compact_str::CompactString;

#[derive(Debug)]
pub enum Act {
    Open { limit: usize },
    Close { reopens: bool },
    Reopen,
    Start { limit: usize },
    End,
    Beat { limit: usize, ids: bool },
}

impl Act {
    /// None: it is no operation of this room.
    pub fn parse(json: &serde_json::Value) -> Result<Option<Act>, String> {
        Ok(Some(match text(json, "op")? {
            "open" => Act::Open { limit: index(json, "limit")? },
            "close" => Act::Close { reopens: flag(json, "reopens")? },
            "reopen" => Act::Reopen,
            "start" => Act::Start { limit: index(json, "limit")? },
            "end" => Act::End,
            "beat" => Act::Beat { limit: index(json, "limit")?, ids: flag(json, "ids")? },
            _ => return Ok(None),
        }))
    }

    /// What an event with this id does to the slot at this time.
    pub fn run(&self, held: &mut Val, id: Option<CompactString>, t: i64) -> Res<()> {
        if let Act::Beat { limit, ids } = self {
            return beat(held, id, t, *limit, *ids);
        }
        let Some(id) = id.map(Val::Str) else {
            return Ok(()); // an event without the id opens and closes nothing
        };
        if held.is_nil() {
            let nothing = match self {
                Act::Open { .. } => Val::Int(0),
                Act::Start { .. } => Val::Nil,
                _ => return Ok(()),
            };
            *held = Val::List(vec![Val::Map(Vec::new()), nothing]);
        }
        let Some([Val::Map(ids), other]) = parts(held)? else {
            return shape();
        };
        let at = place(ids, &id);
        match self {
            Act::Open { limit } => {
                match at {
                    Some(at) if !ids[at].1.is_nil() => return Ok(()),
                    Some(at) => drop(ids.remove(at)),
                    None => {}
                }
                ids.push((id, Val::Int(t)));
                if ids.len() > *limit {
                    ids.remove(0);
                    match other {
                        Val::Int(merged) if *merged < i64::MAX => *merged += 1,
                        _ => return shape(),
                    }
                }
            }
            Act::Close { reopens } => {
                let Some(at) = at else {
                    return Ok(());
                };
                if *reopens {
                    ids[at].1 = Val::Nil;
                    return Ok(());
                }
                ids.remove(at);
                if ids.is_empty() && matches!(other, Val::Int(0)) {
                    *held = Val::Nil;
                }
            }
            Act::Reopen => {
                if let Some(at) = at.filter(|at| ids[*at].1.is_nil()) {
                    ids[at].1 = Val::Int(t);
                }
            }
            Act::Start { limit } => {
                if at.is_none() {
                    ids.push((id, Val::Int(t)));
                    if ids.len() > *limit {
                        ids.remove(0);
                    }
                }
            }
            _ => {
                if let Some(at) = at {
                    let Val::Int(since) = ids.remove(at).1 else {
                        return shape();
                    };
                    *other = Val::Num(between(since, t)?);
                }
            }
        }
        Ok(())
    }
}

fn between(since: i64, t: i64) -> Res<f64> {
    match t.checked_sub(since) {
        Some(micros) => seconds(micros),
        None => damaged("a span beyond 64 bits"),
    }
}

fn beat(held: &mut Val, id: Option<CompactString>, t: i64, limit: usize, by: bool) -> Res<()> {
    if held.is_nil() {
        let ids = if by { Val::Map(Vec::new()) } else { Val::Nil };
        *held = Val::List(vec![Val::Int(t), Val::Int(t), Val::Int(0), ids]);
    }
    let Some([_, last, Val::Int(times), ids]) = parts(held)? else {
        return shape();
    };
    match (ids, id) {
        (Val::Nil, _) | (Val::Map(_), None) => {}
        (Val::Map(ids), Some(id)) => {
            let id = Val::Str(id);
            if place(ids, &id).is_some() {
                return Ok(());
            }
            ids.push((id, Val::Int(1)));
            if ids.len() > limit {
                ids.remove(0);
            }
        }
        _ => return shape(),
    }
    *last = Val::Int(t);
    match times.checked_add(1) {
        Some(more) => *times = more,
        None => return damaged("an integer beyond 64 bits"),
    }
    Ok(())
}

fn ids(held: &Val) -> Option<&[(Val, Val)]> {
    match held {
        Val::List(all) => match all.first() {
            Some(Val::Map(ids)) => Some(ids),
            _ => None,
        },
        _ => None,
    }
}

/// How many are open.
pub fn count(held: &Val) -> Val {
    Val::Int(ids(held).map_or(0, |ids| ids.iter().filter(|(_, since)| !since.is_nil()).count() as i64))
}

/// Seconds since the oldest was opened; Nil if none is.
pub fn age(held: &Val, t: i64) -> Val {
    let oldest = ids(held).unwrap_or_default().iter().filter_map(|(_, since)| match since {
        Val::Int(since) => Some(*since),
        _ => None,
    });
    oldest.min().and_then(|first| between(first, t).ok()).map_or(Val::Nil, Val::Num)
}

/// Whether the limit dropped some that were open.
pub fn merged(held: &Val) -> bool {
    matches!(held, Val::List(all) if matches!(all.get(1), Some(Val::Int(n)) if *n > 0))
}

/// The last span measured.
pub fn last(held: &Val) -> Val {
    match held {
        Val::List(all) => all.get(1).cloned().unwrap_or(Val::Nil),
        _ => Val::Nil,
    }
}

/// Mean seconds between beats, once there are more than `gaps`.
pub fn mean(held: &Val, gaps: i64) -> Val {
    let Val::List(all) = held else {
        return Val::Nil;
    };
    let [Val::Int(first), Val::Int(last), Val::Int(times), _] = all.as_slice() else {
        return Val::Nil;
    };
    match last.checked_sub(*first).map(Val::Int).as_ref().and_then(number) {
        Some(span) if *times > gaps && *times > 1 => Val::Num(span / (times - 1) as f64 / SECOND),
        _ => Val::Nil,
    }
}
