//! What an event does to attributes, timers and sequences: the fused steps of `engine/fusing.py`, as data.
//!
//! In: the operations of an event type, in their order, a customer and an event. Out: the customer changed.

pub use crate::arming::{advance, Sequence};
use crate::arming::{arm, disarm, holds};
use crate::customer::Customer;
use crate::event::{Event, Vocab};
use crate::folds::{seconds, shape, short, Given};
use crate::kept::{slot_of, Place};
use crate::parse::{flag, index, list, opt, part, text, whole};
use crate::paths::{get, identity, many, pairs, Get, Many, Pairs};
use crate::program::{Guard, Program};
use crate::spans::Act;
use crate::value::{damaged, Res, Val};
use crate::windows::total;
use compact_str::CompactString;

/// `paths.LONGEST`.
const LONGEST: usize = 1_000;

#[derive(Debug)]
pub enum Cond {
    Guard(Guard),
    /// The slot is empty.
    Empty(usize),
}

#[derive(Debug)]
pub enum Op {
    /// `a[slot] += 1`.
    One(usize),
    /// The applied time, whatever the event says.
    At(usize),
    Count {
        place: Place,
        by: Option<Get>,
    },
    Value {
        place: Place,
        of: Get,
        cut: bool,
        by: Option<Get>,
    },
    Values {
        place: Place,
        of: Many,
    },
    Entries {
        place: Place,
        of: Pairs,
    },
    Total {
        place: Place,
        of: Many,
        by: Option<Get>,
    },
    Take {
        place: Place,
        of: Option<Many>,
        by: Option<Get>,
    },
    /// `gap`: what follows soon after the last match belongs to it.
    Gap {
        slot: usize,
        gap: i64,
        then: Vec<Op>,
    },
    If {
        cond: Cond,
        then: Vec<Op>,
        otherwise: Vec<Op>,
    },
    Span {
        slot: usize,
        act: Act,
        by: Option<Get>,
    },
    Arm {
        timer: usize,
        by: Option<Get>,
    },
    Disarm {
        timer: usize,
        by: Option<Get>,
    },
}

fn all(json: &serde_json::Value, name: &str, vocab: &Vocab) -> Result<Vec<Op>, String> {
    list(json, name)?.iter().map(|op| Op::parse(op, vocab)).collect()
}

impl Op {
    pub fn parse(json: &serde_json::Value, vocab: &Vocab) -> Result<Op, String> {
        let by = || opt(json, "by", |by| Get::parse_id(by, vocab));
        let place = || Place::parse(part(json, "in")?);
        Ok(match text(json, "op")? {
            "one" => Op::One(index(json, "slot")?),
            "at" => Op::At(index(json, "slot")?),
            "count" => Op::Count { place: place()?, by: by()? },
            "value" => Op::Value {
                place: place()?,
                of: Get::parse(part(json, "of")?, vocab)?,
                cut: flag(json, "cut")?,
                by: by()?,
            },
            "values" => Op::Values { place: place()?, of: Many::parse(part(json, "of")?, vocab)? },
            "entries" => Op::Entries { place: place()?, of: Pairs::parse(part(json, "of")?, vocab)? },
            "total" => Op::Total { place: place()?, of: Many::parse(part(json, "of")?, vocab)?, by: by()? },
            "take" => {
                Op::Take { place: place()?, of: opt(json, "of", |of| Many::parse(of, vocab))?, by: by()? }
            }
            "gap" => Op::Gap {
                slot: index(json, "slot")?,
                gap: whole(json, "gap")?,
                then: all(json, "then", vocab)?,
            },
            "if" => {
                let cond = part(json, "if")?;
                let cond = match text(cond, "c")? {
                    "guard" => Cond::Guard(index(cond, "guard")?),
                    "empty" => Cond::Empty(index(cond, "slot")?),
                    other => return Err(format!("a condition {other:?} that is not known")),
                };
                Op::If { cond, then: all(json, "then", vocab)?, otherwise: all(json, "else", vocab)? }
            }
            "arm" => Op::Arm { timer: index(json, "timer")?, by: by()? },
            "disarm" => Op::Disarm { timer: index(json, "timer")?, by: by()? },
            other => match Act::parse(json)? {
                Some(act) => Op::Span { slot: index(json, "slot")?, act, by: by()? },
                None => return Err(format!("an operation {other:?} that is not known")),
            },
        })
    }
}

/// Fails where Python would compute beyond 64 bits: the caller gives up on the fast way.
pub fn run(op: &Op, p: &Program, c: &mut Customer, e: &Event, t: i64) -> Res<()> {
    let vocab = &p.vocab;
    match op {
        Op::One(slot) => match slot_of(c, *slot)? {
            Val::Int(n) if *n < i64::MAX => *n += 1,
            _ => return shape(),
        },
        Op::At(slot) => *slot_of(c, *slot)? = Val::Num(seconds(t)?),
        Op::Count { place, by } => {
            place.add(c, Given::One(Val::Int(1)), counted(by, e, t, vocab), t)?;
        }
        Op::Value { place, of, cut, by } => {
            let mut value = get(of, e, t, vocab);
            if value.is_nil() {
                return Ok(());
            }
            if *cut {
                shorten(&mut value);
            }
            place.add(c, Given::One(value), counted(by, e, t, vocab), t)?;
        }
        Op::Values { place, of } => {
            for value in many(of, e, t, vocab) {
                place.add(c, Given::One(value), None, t)?;
            }
        }
        Op::Entries { place, of } => {
            for (key, value) in pairs(of, e, t, vocab) {
                place.add(c, Given::Pair(key, value), None, t)?;
            }
        }
        Op::Total { place, of, by } => {
            let values = many(of, e, t, vocab);
            if !values.is_empty() {
                let sum = sum(&values)?;
                place.add(c, Given::One(sum), counted(by, e, t, vocab), t)?;
            }
        }
        Op::Take { place, by: Some(by), .. } => {
            if let Some(id) = identity(by, e, t, vocab) {
                place.take(c, &Val::Nil, Some(id))?;
            }
        }
        Op::Take { place, of, by: None } => {
            let value = match of {
                Some(of) => sum(&many(of, e, t, vocab))?,
                None => Val::Nil,
            };
            place.take(c, &value, None)?;
        }
        Op::Gap { slot, gap, then } => {
            let held = std::mem::replace(slot_of(c, *slot)?, Val::Int(t));
            let counts = match held {
                Val::Nil => true,
                Val::Int(last) => t.saturating_sub(last) > *gap,
                _ => return shape(),
            };
            if counts {
                each(then, p, c, e, t)?;
            }
        }
        Op::If { cond, then, otherwise } => {
            let so = match cond {
                Cond::Guard(guard) => holds(*guard, p, c, e, t),
                Cond::Empty(slot) => slot_of(c, *slot)?.is_nil(),
            };
            each(if so { then } else { otherwise }, p, c, e, t)?;
        }
        Op::Span { slot, act, by } => {
            let id = match by {
                None => Some(CompactString::const_new("")),
                Some(by) => identity(by, e, t, vocab),
            };
            act.run(slot_of(c, *slot)?, id, t)?;
        }
        Op::Arm { timer, by } => arm(*timer, by, p, c, e, t)?,
        Op::Disarm { timer, by } => disarm(*timer, by, p, c, e, t)?,
    }
    Ok(())
}

fn each(ops: &[Op], p: &Program, c: &mut Customer, e: &Event, t: i64) -> Res<()> {
    ops.iter().try_for_each(|op| run(op, p, c, e, t))
}

fn sum(values: &[Val]) -> Res<Val> {
    match total(values) {
        Some(sum) => Ok(Val::Num(sum)),
        None => damaged("something that is no number, added up"),
    }
}

/// The id that `by` names; an event without it counts for itself. None without `by`.
fn counted(by: &Option<Get>, e: &Event, t: i64, vocab: &Vocab) -> Option<CompactString> {
    let by = by.as_ref()?;
    Some(identity(by, e, t, vocab).unwrap_or_else(|| short(&format!("e:{}", e.id()))))
}

/// Keep so many characters of a text.
fn shorten(value: &mut Val) {
    if let Val::Str(text) = value {
        if text.len() > LONGEST {
            if let Some((end, _)) = text.char_indices().nth(LONGEST) {
                text.truncate(end);
            }
        }
    }
}
