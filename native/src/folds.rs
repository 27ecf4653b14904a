//! Folds: what an attribute keeps over all time in one slot (`engine/folds.py`).
//!
//! In: a slot's value, an event's value and id. Out: the slot changed in place, or what it reads as. A slot of
//! another shape than the fold's is `Damaged`.

use crate::expr_ops::V;
use crate::parse::{flag, index, text};
use crate::value::{damaged, Res, Val};
use compact_str::CompactString;

const LONG: usize = 128;
pub const SECOND: f64 = 1_000_000.0;
/// Whole numbers up to here are floats without rounding.
const EXACT: u64 = 1 << 53;

/// `folds.short` of a text: itself, or a hash where it would take too much room.
pub fn short(text: &str) -> CompactString {
    if text.len() <= LONG || text.chars().nth(LONG).is_none() {
        return CompactString::new(text);
    }
    let hash = blake2b_simd::Params::new().hash_length(8).hash(text.as_bytes());
    CompactString::from(hash.to_hex().as_str())
}

/// Microseconds as seconds, divided as Python divides integers.
pub fn seconds(micros: i64) -> Res<f64> {
    if micros.unsigned_abs() > EXACT {
        return damaged("a time beyond what a float tells");
    }
    Ok(micros as f64 / SECOND)
}

pub fn shape<T>() -> Res<T> {
    damaged("a slot of another shape")
}

fn big<T>() -> Res<T> {
    damaged("an integer beyond 64 bits")
}

/// The number a value is in arithmetic; True is 1.
pub fn number(value: &Val) -> Option<f64> {
    match value {
        Val::Num(n) => Some(*n),
        Val::Int(i) => Some(*i as f64),
        Val::Bool(b) => Some(*b as i64 as f64),
        _ => None,
    }
}

pub fn plus(a: &Val, b: &Val) -> Res<Val> {
    match (a, b) {
        (Val::Num(a), Val::Num(b)) => Ok(Val::Num(a + b)),
        (Val::Int(a), Val::Int(b)) => a.checked_add(*b).map(Val::Int).map_or_else(big, Ok),
        _ => match (number(a), number(b)) {
            (Some(x), Some(y)) if matches!(a, Val::Num(_)) || matches!(b, Val::Num(_)) => Ok(Val::Num(x + y)),
            _ => damaged("something that is no number, added"),
        },
    }
}

fn minus(a: &Val, b: &Val) -> Res<Val> {
    match b {
        Val::Num(n) => plus(a, &Val::Num(-n)),
        Val::Int(i) => i.checked_neg().map_or_else(big, |i| plus(a, &Val::Int(i))),
        _ => damaged("something that is no number, taken away"),
    }
}

/// `a < b`.
pub fn less(a: &Val, b: &Val) -> Res<bool> {
    match (a, b) {
        (Val::Int(a), Val::Int(b)) => Ok(a < b),
        (Val::Str(a), Val::Str(b)) => Ok(a < b),
        _ => match (number(a), number(b)) {
            (Some(a), Some(b)) => Ok(a < b),
            _ => damaged("values that do not compare"),
        },
    }
}

/// `held or 0.0`.
fn or_zero(held: &Val) -> Val {
    match held {
        Val::Nil => Val::Num(0.0),
        Val::Num(n) if *n == 0.0 => Val::Num(0.0),
        Val::Int(0) | Val::Bool(false) => Val::Num(0.0),
        other => other.clone(),
    }
}

fn one_more(held: &mut Val) -> Res<()> {
    match held {
        Val::Int(n) => match n.checked_add(1) {
            Some(more) => *n = more,
            None => return big(),
        },
        _ => return shape(),
    }
    Ok(())
}

/// What an event gives to a fold; a map takes pairs.
pub enum Given {
    One(Val),
    Pair(Val, Val),
}

impl Given {
    fn one(self) -> Res<Val> {
        match self {
            Given::One(value) => Ok(value),
            Given::Pair(..) => damaged("a pair for a fold of single values"),
        }
    }
    pub fn whole(self) -> Val {
        match self {
            Given::One(value) => value,
            Given::Pair(key, value) => Val::List(vec![key, value]),
        }
    }
}

pub fn key(id: Option<CompactString>) -> Val {
    id.map_or(Val::Nil, Val::Str)
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keeps {
    Last,
    Sum,
    Count,
}

impl Keeps {
    pub fn parse(json: &serde_json::Value) -> Result<Keeps, String> {
        match text(json, "keeps")? {
            "last" => Ok(Keeps::Last),
            "sum" => Ok(Keeps::Sum),
            "count" => Ok(Keeps::Count),
            other => Err(format!("keeps {other:?}: expected last, sum or count")),
        }
    }

    /// `table[key] = ...`: a key that is there keeps its place.
    pub fn put(self, table: &mut Vec<(Val, Val)>, at: Option<usize>, key: Val, amount: Val) -> Res<()> {
        let amount = match (self, at) {
            (Keeps::Last, _) => amount,
            (Keeps::Count, None) => Val::Int(1),
            (Keeps::Count, Some(at)) => plus(&table[at].1, &Val::Int(1))?,
            (Keeps::Sum, None) => plus(&Val::Num(0.0), &amount)?,
            (Keeps::Sum, Some(at)) => plus(&table[at].1, &amount)?,
        };
        match at {
            Some(at) => table[at].1 = amount,
            None => table.push((key, amount)),
        }
        Ok(())
    }
}

#[derive(Debug)]
pub enum Fold {
    Count,
    Sum,
    Identified { limit: usize, sum: bool },
    Min,
    Max,
    Mean,
    First,
    Last,
    Distinct { limit: usize },
    Map { limit: usize, keeps: Keeps },
}

impl Fold {
    pub fn parse(json: &serde_json::Value) -> Result<Fold, String> {
        Ok(match text(json, "f")? {
            "count" => Fold::Count,
            "sum" => Fold::Sum,
            "identified" => Fold::Identified { limit: index(json, "limit")?, sum: flag(json, "sum")? },
            "min" => Fold::Min,
            "max" => Fold::Max,
            "mean" => Fold::Mean,
            "first" => Fold::First,
            "last" => Fold::Last,
            "distinct" => Fold::Distinct { limit: index(json, "limit")? },
            "map" => Fold::Map { limit: index(json, "limit")?, keeps: Keeps::parse(json)? },
            other => return Err(format!("a fold {other:?} that is not known")),
        })
    }

    /// What an empty slot holds.
    pub fn empty(&self) -> Val {
        match self {
            Fold::Count => Val::Int(0),
            _ => Val::Nil,
        }
    }

    /// Put a value in; an id that is in already changes nothing.
    pub fn add(&self, held: &mut Val, given: Given, id: Option<CompactString>) -> Res<()> {
        match self {
            Fold::Count => return one_more(held),
            Fold::Sum => *held = plus(&or_zero(held), &given.one()?)?,
            Fold::Identified { limit, .. } => return identified(held, given.one()?, key(id), *limit),
            Fold::Min => {
                let value = given.one()?;
                if held.is_nil() || less(&value, held)? {
                    *held = value;
                }
            }
            Fold::Max => {
                let value = given.one()?;
                if held.is_nil() || less(held, &value)? {
                    *held = value;
                }
            }
            Fold::Mean => {
                let value = given.one()?;
                match parts(held)? {
                    None => *held = Val::List(vec![value, Val::Int(1)]),
                    Some([sum, n]) => {
                        *sum = plus(sum, &value)?;
                        one_more(n)?;
                    }
                    Some(_) => return shape(),
                }
            }
            Fold::First => {
                if held.is_nil() {
                    *held = given.one()?;
                }
            }
            Fold::Last => *held = given.one()?,
            Fold::Distinct { limit } => {
                let value = given.one()?;
                match parts(held)? {
                    None => *held = Val::List(vec![Val::List(vec![value]), Val::Int(0)]),
                    Some([Val::List(found), merged]) => {
                        if !found.iter().any(|each| each.same(&value)) {
                            found.push(value);
                            if found.len() > *limit {
                                found.remove(0);
                                one_more(merged)?;
                            }
                        }
                    }
                    Some(_) => return shape(),
                }
            }
            Fold::Map { limit, keeps } => {
                let Given::Pair(key, amount) = given else {
                    return damaged("a single value for a map");
                };
                if held.is_nil() {
                    *held = Val::List(vec![Val::Map(Vec::new()), Val::Int(0)]);
                }
                let Some([Val::Map(table), merged]) = parts(held)? else {
                    return shape();
                };
                let at = place(table, &key);
                keeps.put(table, at, key, amount)?;
                if table.len() > *limit {
                    table.remove(0);
                    one_more(merged)?;
                }
            }
        }
        Ok(())
    }

    /// Take back what was added (for this id); most forms cannot.
    pub fn take(&self, held: &mut Val, value: &Val, id: Option<CompactString>) -> Res<()> {
        match self {
            Fold::Count => match held {
                Val::Int(n) => *n = (*n).max(1) - 1,
                _ => return shape(),
            },
            Fold::Sum if !value.is_nil() => {
                *held = minus(&or_zero(held), value)?;
            }
            Fold::Identified { .. } => match parts(held)? {
                None => {}
                Some([total, Val::Map(amounts), merged]) => {
                    if let Some(at) = place(amounts, &key(id)) {
                        let (_, amount) = amounts.remove(at);
                        if amounts.is_empty() && matches!(merged, Val::Int(0)) {
                            *held = Val::Nil;
                        } else {
                            *total = minus(total, &amount)?;
                        }
                    }
                }
                Some(_) => return shape(),
            },
            _ => {}
        }
        Ok(())
    }

    /// The value of what the slot holds.
    pub fn read<'a>(&self, held: &'a Val) -> V<'a> {
        let first_or = |nothing: Val| match held {
            Val::List(parts) if !parts.is_empty() => V::Ref(&parts[0]),
            _ => V::Own(nothing),
        };
        match self {
            Fold::Sum => V::Own(or_zero(held)),
            Fold::Identified { sum, .. } => first_or(if *sum { Val::Num(0.0) } else { Val::Int(0) }),
            Fold::Mean => V::Own(match held {
                Val::List(parts) => match (parts.first().and_then(number), parts.get(1).and_then(number)) {
                    (Some(sum), Some(n)) if n != 0.0 => Val::Num(sum / n),
                    _ => Val::Nil,
                },
                _ => Val::Nil,
            }),
            Fold::Distinct { .. } => first_or(Val::List(Vec::new())),
            Fold::Map { .. } => first_or(Val::Map(Vec::new())),
            _ => V::Ref(held),
        }
    }

    /// Whether the limit made this approximate.
    pub fn merged(&self, held: &Val) -> bool {
        let at = match self {
            Fold::Identified { .. } => 2,
            Fold::Distinct { .. } | Fold::Map { .. } => 1,
            _ => return false,
        };
        matches!(held, Val::List(parts) if matches!(parts.get(at), Some(Val::Int(n)) if *n > 0))
    }
}

/// Each id counts once, and can be taken back.
fn identified(held: &mut Val, value: Val, id: Val, limit: usize) -> Res<()> {
    match parts(held)? {
        None => *held = Val::List(vec![value.clone(), Val::Map(vec![(id, value)]), Val::Int(0)]),
        Some([total, Val::Map(amounts), merged]) => {
            if place(amounts, &id).is_none() {
                *total = plus(total, &value)?;
                amounts.push((id, value));
                if amounts.len() > limit {
                    amounts.remove(0);
                    one_more(merged)?;
                }
            }
        }
        Some(_) => return shape(),
    }
    Ok(())
}

/// The parts of a slot, None of an empty one.
pub fn parts(held: &mut Val) -> Res<Option<&mut [Val]>> {
    match held {
        Val::Nil => Ok(None),
        Val::List(parts) => Ok(Some(parts)),
        _ => shape(),
    }
}

pub fn place(table: &[(Val, Val)], key: &Val) -> Option<usize> {
    table.iter().position(|(each, _)| each.same(key))
}
