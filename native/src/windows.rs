//! Sliding windows: what an attribute keeps of the last so much time (`engine/windows.py`).
//!
//! A slot holds Nil or [times, values, ids, merged at]: parallel lists, oldest first; `values` of a plain count
//! is Nil until merging gives its entries weights; `ids` only with `by`.

use crate::folds::{key, less, number, plus, shape, Given, Keeps};
use crate::parse::{flag, index, text, whole};
use crate::value::{damaged, Res, Val};
use ahash::AHashMap;
use compact_str::CompactString;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    Count,
    Sum,
    Min,
    Max,
    Mean,
    First,
    Last,
    Distinct,
    Map,
}

#[derive(Debug)]
pub struct Window {
    form: Form,
    length: i64,
    limit: usize,
    by: bool,
    keeps: Keeps,
}

struct Parts<'a> {
    times: &'a mut Vec<Val>,
    values: &'a mut Val,
    ids: &'a mut Val,
    merged: &'a mut Val,
}

fn parts(held: &mut Val) -> Res<Parts<'_>> {
    match held {
        Val::List(all) => match all.as_mut_slice() {
            [Val::List(times), values, ids, merged] => Ok(Parts { times, values, ids, merged }),
            _ => shape(),
        },
        _ => shape(),
    }
}

fn list(held: &mut Val) -> Res<Option<&mut Vec<Val>>> {
    match held {
        Val::Nil => Ok(None),
        Val::List(items) => Ok(Some(items)),
        _ => shape(),
    }
}

/// `bisect_right(times, limit)`: how many have slid out.
fn gone(times: &[Val], limit: i64) -> usize {
    let out = |at: &Val| matches!(at, Val::Int(at) if *at <= limit);
    if !times.first().is_some_and(out) {
        return 0;
    }
    times.partition_point(out)
}

impl Window {
    pub fn parse(json: &serde_json::Value) -> Result<Window, String> {
        let form = match text(json, "form")? {
            "count" => Form::Count,
            "sum" => Form::Sum,
            "min" => Form::Min,
            "max" => Form::Max,
            "mean" => Form::Mean,
            "first" => Form::First,
            "last" => Form::Last,
            "distinct" => Form::Distinct,
            "map" => Form::Map,
            other => return Err(format!("a window of {other:?}, which is not known")),
        };
        let (length, limit) = (whole(json, "length")?, index(json, "limit")?);
        Ok(Window { form, length, limit, by: flag(json, "by")?, keeps: Keeps::parse(json)? })
    }

    /// Put a value in; with `by`, an id that is in the window already changes nothing.
    pub fn add(&self, held: &mut Val, given: Given, id: Option<CompactString>, t: i64) -> Res<()> {
        if held.is_nil() {
            let values = if self.form == Form::Count { Val::Nil } else { Val::List(Vec::new()) };
            let ids = if self.by { Val::List(Vec::new()) } else { Val::Nil };
            *held = Val::List(vec![Val::List(Vec::new()), values, ids, Val::Nil]);
        }
        let Some(limit) = t.checked_sub(self.length) else {
            return damaged("a time beyond 64 bits");
        };
        let window = parts(held)?;
        let out = gone(window.times, limit);
        if out > 0 {
            window.times.drain(..out);
            drop_first(window.values, out)?;
            drop_first(window.ids, out)?;
        }
        if let Some(ids) = list(window.ids)? {
            let id = key(id);
            if ids.iter().any(|each| each.same(&id)) {
                return Ok(());
            }
            ids.push(id);
        }
        window.times.push(Val::Int(t));
        if let Some(values) = list(window.values)? {
            values.push(if self.form == Form::Count { Val::Int(1) } else { given.whole() });
        }
        if window.times.len() > self.limit {
            return self.merge(window);
        }
        Ok(())
    }

    /// Take back the entry of this id; without ids, the newest.
    pub fn take(&self, held: &mut Val, id: Option<CompactString>) -> Res<()> {
        if held.is_nil() {
            return Ok(());
        }
        let window = parts(held)?;
        if window.times.is_empty() {
            return Ok(());
        }
        let at = match list(window.ids)? {
            None => window.times.len() - 1,
            Some(ids) => {
                let id = key(id);
                let Some(at) = ids.iter().position(|each| each.same(&id)) else {
                    return Ok(());
                };
                ids.remove(at);
                at
            }
        };
        if at >= window.times.len() {
            return shape();
        }
        window.times.remove(at);
        if let Some(values) = list(window.values)? {
            if at >= values.len() {
                return shape();
            }
            values.remove(at);
        }
        if window.times.is_empty() {
            *held = Val::Nil;
        }
        Ok(())
    }

    /// The value of the window that ends at `t`.
    pub fn read(&self, held: &Val, t: i64) -> Val {
        let Val::List(all) = held else {
            return self.value(0, None);
        };
        let [Val::List(times), values, _, _] = all.as_slice() else {
            return Val::Nil;
        };
        let start = gone(times, t.saturating_sub(self.length));
        let values = match values {
            Val::List(values) => Some(values.get(start..).unwrap_or_default()),
            _ => None,
        };
        self.value(times.len() - start, values)
    }

    /// Whether what the limit merged is still in the window.
    pub fn merged(&self, held: &Val, t: i64) -> bool {
        matches!(held, Val::List(all) if matches!(
            all.get(3), Some(Val::Int(at)) if *at > t.saturating_sub(self.length)))
    }

    fn merge(&self, window: Parts) -> Res<()> {
        let Some(second) = window.times.get(1).cloned() else {
            return damaged("a window without room");
        };
        *window.merged = second;
        if self.form == Form::Count && window.values.is_nil() {
            *window.values = Val::List(vec![Val::Int(1); window.times.len()]);
        }
        match list(window.values)?.map(Vec::as_mut_slice) {
            Some([first, second, ..]) => match self.form {
                Form::Count | Form::Sum => *second = plus(second, first)?,
                Form::Min if !less(second, first)? => *second = first.clone(),
                Form::Max if !less(first, second)? => *second = first.clone(),
                _ => {}
            },
            _ => return shape(),
        }
        window.times.remove(0);
        drop_first(window.values, 1)?;
        drop_first(window.ids, 1)
    }

    fn value(&self, n: usize, values: Option<&[Val]>) -> Val {
        let Some(values) = values.filter(|values| !values.is_empty()) else {
            return match self.form {
                Form::Count => Val::Int(if values.is_some() { 0 } else { n as i64 }),
                Form::Sum => Val::Num(0.0),
                Form::Distinct => Val::List(Vec::new()),
                Form::Map => Val::Map(Vec::new()),
                _ => Val::Nil,
            };
        };
        match self.form {
            Form::Count => values
                .iter()
                .try_fold(0i64, |sum, each| match each {
                    Val::Int(n) => sum.checked_add(*n),
                    _ => None,
                })
                .map_or(Val::Nil, Val::Int),
            Form::Sum => total(values).map_or(Val::Nil, Val::Num),
            Form::Mean => total(values).map_or(Val::Nil, |sum| Val::Num(sum / values.len() as f64)),
            Form::Min => choose(values, |best, each| less(each, best)),
            Form::Max => choose(values, less),
            Form::First => values[0].clone(),
            Form::Last => values[values.len() - 1].clone(),
            Form::Distinct => {
                let mut places = Places::default();
                let mut found: Vec<Val> = Vec::new();
                for each in values {
                    if places.of(each, found.len(), |at| &found[at]).is_none() {
                        found.push(each.clone());
                    }
                }
                Val::List(found)
            }
            Form::Map => self.table(values).unwrap_or(Val::Nil),
        }
    }

    fn table(&self, values: &[Val]) -> Option<Val> {
        let mut places = Places::default();
        let mut table: Vec<(Val, Val)> = Vec::new();
        for each in values {
            let Val::List(pair) = each else {
                return None;
            };
            let [key, amount] = pair.as_slice() else {
                return None;
            };
            let at = places.of(key, table.len(), |at| &table[at].0);
            self.keeps.put(&mut table, at, key.clone(), amount.clone()).ok()?;
        }
        Some(Val::Map(table))
    }
}

fn drop_first(held: &mut Val, n: usize) -> Res<()> {
    if let Some(items) = list(held)? {
        if n > items.len() {
            return shape();
        }
        items.drain(..n);
    }
    Ok(())
}

/// From left to right, as `folds.total`.
pub fn total(values: &[Val]) -> Option<f64> {
    values.iter().try_fold(0.0, |sum, each| Some(sum + number(each)?))
}

/// The first of the best.
fn choose(values: &[Val], better: impl Fn(&Val, &Val) -> Res<bool>) -> Val {
    let mut best = &values[0];
    for each in &values[1..] {
        match better(best, each) {
            Ok(true) => best = each,
            Ok(false) => {}
            Err(_) => return Val::Nil,
        }
    }
    best.clone()
}

/// Where values stand that were seen before: texts by hash, anything else one by one.
#[derive(Default)]
struct Places<'a> {
    texts: AHashMap<&'a str, usize>,
    others: Vec<usize>,
}

impl<'a> Places<'a> {
    /// The place of a value; one that is new is remembered at `next`.
    fn of<'b>(&mut self, value: &'a Val, next: usize, at: impl Fn(usize) -> &'b Val) -> Option<usize> {
        if let Val::Str(text) = value {
            if let Some(found) = self.texts.get(text.as_str()) {
                return Some(*found);
            }
            self.texts.insert(text, next);
            return None;
        }
        let found = self.others.iter().copied().find(|place| at(*place).same(value));
        if found.is_none() {
            self.others.push(next);
        }
        found
    }
}
