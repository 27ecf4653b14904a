//! Guards: the trees that `journeys/guards/described.py` writes, and their values.
//!
//! In: a description; a customer, perhaps an event, now. Out: a value, `Val::Nil` where it is unknown, exactly where
//! the Python of `emit.py` gives None: an operand that is unknown makes the whole unknown, but for `&&`, `||`, `has`,
//! `max` and `min`.

use crate::calls::{self, Function};
use crate::customer::{find, Customer};
use crate::event::{Event, Vocab};
use crate::parse::{index, list, part, text};
use crate::paths::{get, Get};
use crate::program::Program;
use crate::reads::{read, Read};
use crate::value::{from_json, Val};
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Macro {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

#[derive(Debug)]
pub enum Expr {
    Constant(Val),
    /// A macro's variable, so many macros up.
    Variable(usize),
    Read(Read),
    Dwell(usize),
    Now,
    Loops(usize),
    Known,
    Id { number: bool },
    Before(usize),
    Stage(Vec<usize>),
    Entries(usize, i64),
    Event(Get),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Compare(Compare, Box<[Expr; 2]>),
    Compute(Arithmetic, Box<[Expr; 2]>),
    In(Box<[Expr; 2]>),
    If(Box<[Expr; 3]>),
    Select(Box<Expr>, String),
    Index(Box<[Expr; 2]>),
    List(Vec<Expr>),
    Map { keys: Vec<Expr>, values: Vec<Expr>, constant: bool },
    Macro { kind: Macro, of: Box<Expr>, chosen: Option<Box<Expr>>, each: Box<Expr> },
    Has(Box<Expr>),
    Present(Box<Expr>, String),
    Largest(Vec<Expr>),
    Smallest(Vec<Expr>),
    Call(Function, Vec<Expr>),
    Double(Box<Expr>),
}

/// What an expression is read over.
pub struct Scope<'a> {
    pub p: &'a Program,
    pub c: &'a Customer,
    pub e: Option<&'a Event>,
    pub t: i64,
}

fn constant(json: &Value) -> Result<Val, String> {
    match json {
        Value::Object(map) => {
            let digits = map.get("f").and_then(Value::as_str).ok_or("a constant of another shape")?;
            let digits = digits.replace("inf", "infinity");
            digits.parse().map(Val::Num).map_err(|_| format!("a number {digits:?}"))
        }
        Value::Array(items) => Ok(Val::List(items.iter().map(constant).collect::<Result<_, _>>()?)),
        other => Ok(from_json(other)),
    }
}

impl Expr {
    pub fn parse(json: &Value, vocab: &Vocab) -> Result<Expr, String> {
        let one = || Ok::<_, String>(Box::new(Expr::parse(part(json, "of")?, vocab)?));
        let all = |name: &str| {
            list(json, name)?.iter().map(|each| Expr::parse(each, vocab)).collect::<Result<Vec<_>, String>>()
        };
        let two = || {
            let found: [Expr; 2] = all("of")?.try_into().map_err(|_| "two operands".to_string())?;
            Ok::<_, String>(Box::new(found))
        };
        Ok(match text(json, "x")? {
            "lit" => Expr::Constant(constant(part(json, "v")?)?),
            "var" => Expr::Variable(index(json, "up")?),
            "read" => Expr::Read(Read::parse(part(json, "of")?, vocab)?),
            "dwell" => Expr::Dwell(index(json, "journey")?),
            "now" => Expr::Now,
            "loops" => Expr::Loops(index(json, "journey")?),
            "known" => Expr::Known,
            "id" => Expr::Id { number: crate::parse::flag(json, "number")? },
            "before" => Expr::Before(index(json, "place")?),
            "stage" => {
                let journeys = list(json, "journeys")?.iter();
                Expr::Stage(journeys.filter_map(|j| j.as_u64().map(|j| j as usize)).collect())
            }
            "entries" => Expr::Entries(index(json, "journey")?, index(json, "stage")? as i64),
            "event" => Expr::Event(Get::parse(part(json, "get")?, vocab)?),
            "and" => Expr::And(all("of")?),
            "or" => Expr::Or(all("of")?),
            "not" => Expr::Not(one()?),
            "neg" => Expr::Negative(one()?),
            "in" => Expr::In(two()?),
            "if" => {
                let found: [Expr; 3] = all("of")?.try_into().map_err(|_| "three operands".to_string())?;
                Expr::If(Box::new(found))
            }
            "select" => Expr::Select(one()?, text(json, "name")?.to_string()),
            "index" => Expr::Index(two()?),
            "list" => Expr::List(all("of")?),
            "map" => Expr::Map {
                keys: all("keys")?,
                values: all("values")?,
                constant: crate::parse::flag(json, "constant")?,
            },
            "has" => Expr::Has(one()?),
            "present" => Expr::Present(one()?, text(json, "name")?.to_string()),
            "max" => Expr::Largest(all("of")?),
            "min" => Expr::Smallest(all("of")?),
            "call" => Expr::Call(Function::parse(text(json, "name")?)?, all("of")?),
            "as_double" => Expr::Double(one()?),
            other => return operator(other, two).or_else(|error| a_macro(other, json, vocab).map_err(|_| error)),
        })
    }
}

fn operator(name: &str, two: impl Fn() -> Result<Box<[Expr; 2]>, String>) -> Result<Expr, String> {
    Ok(match name {
        "==" => Expr::Compare(Compare::Equal, two()?),
        "!=" => Expr::Compare(Compare::NotEqual, two()?),
        "<" => Expr::Compare(Compare::Less, two()?),
        "<=" => Expr::Compare(Compare::LessOrEqual, two()?),
        ">" => Expr::Compare(Compare::Greater, two()?),
        ">=" => Expr::Compare(Compare::GreaterOrEqual, two()?),
        "+" => Expr::Compute(Arithmetic::Add, two()?),
        "-" => Expr::Compute(Arithmetic::Subtract, two()?),
        "*" => Expr::Compute(Arithmetic::Multiply, two()?),
        "/" => Expr::Compute(Arithmetic::Divide, two()?),
        "%" => Expr::Compute(Arithmetic::Remainder, two()?),
        other => return Err(format!("an expression {other:?} that is not known")),
    })
}

fn a_macro(name: &str, json: &Value, vocab: &Vocab) -> Result<Expr, String> {
    let kind = match name {
        "all" => Macro::All,
        "exists" => Macro::Exists,
        "exists_one" => Macro::ExistsOne,
        "filter" => Macro::Filter,
        "map" => Macro::Map,
        other => return Err(format!("a macro {other:?} that is not known")),
    };
    let inner = |name: &str| Ok::<_, String>(Box::new(Expr::parse(part(json, name)?, vocab)?));
    Ok(Expr::Macro {
        kind,
        of: inner("of")?,
        chosen: if json.get("where").is_some() { Some(inner("where")?) } else { None },
        each: inner("each")?,
    })
}

/// The value, `Val::Nil` when it is unknown.
pub fn eval(x: &Expr, s: &Scope) -> Val {
    value(x, s, &mut Vec::new())
}

/// A value that has to be a bool; anything else is unknown.
fn truth(x: &Expr, s: &Scope, vars: &mut Vec<Val>) -> Option<bool> {
    match value(x, s, vars) {
        Val::Bool(truth) => Some(truth),
        _ => None,
    }
}

fn known(x: &Expr, s: &Scope, vars: &mut Vec<Val>) -> Option<Val> {
    match value(x, s, vars) {
        Val::Nil => None,
        found => Some(found),
    }
}

fn value(x: &Expr, s: &Scope, vars: &mut Vec<Val>) -> Val {
    strict(x, s, vars).unwrap_or(Val::Nil)
}

/// The value of an expression; None where it is unknown.
fn strict(x: &Expr, s: &Scope, vars: &mut Vec<Val>) -> Option<Val> {
    let c = s.c;
    Some(match x {
        Expr::Constant(value) => value.clone(),
        Expr::Variable(up) => vars.get(vars.len().checked_sub(1 + up)?)?.clone(),
        Expr::Read(of) => read(of, s.p, c, s.t),
        Expr::Dwell(j) => Val::Num((s.t - c.entered.get(*j)?) as f64 / 1e6),
        Expr::Now => Val::Num(s.t as f64 / 1e6),
        Expr::Loops(j) => Val::Int(*c.loops.get(*j)?),
        Expr::Known => Val::Bool(c.known),
        Expr::Id { number } => {
            let id = c.id.as_ref()?;
            if *number {
                Val::Num(id.trim().parse().ok()?)
            } else {
                Val::Str(id.clone())
            }
        }
        Expr::Before(place) => c.before.as_ref()?.get(*place)?.clone(),
        Expr::Stage(journeys) => stage(journeys, s),
        Expr::Entries(j, stage) => {
            let entries = c.entries.get(*j)?.as_ref();
            Val::Int(entries.and_then(|entries| find(entries, *stage)).copied().unwrap_or(0))
        }
        Expr::Event(path) => get(path, s.e?, s.t, &s.p.vocab),
        Expr::And(operands) => return logic(operands, true, s, vars),
        Expr::Or(operands) => return logic(operands, false, s, vars),
        Expr::Not(of) => Val::Bool(!truth(of, s, vars)?),
        Expr::Negative(of) => calls::negative(known(of, s, vars)?)?,
        Expr::Compare(op, of) => {
            let left = known(&of[0], s, vars)?;
            Val::Bool(calls::compared(*op, &left, &known(&of[1], s, vars)?)?)
        }
        Expr::Compute(op, of) => {
            let left = known(&of[0], s, vars)?;
            calls::computed(*op, left, known(&of[1], s, vars)?)?
        }
        Expr::In(of) => {
            let left = known(&of[0], s, vars)?;
            match &of[1] {
                Expr::Constant(items) => Val::Bool(calls::contained(&left, items)?),
                items => Val::Bool(calls::contained(&left, &known(items, s, vars)?)?),
            }
        }
        Expr::If(of) => value(if truth(&of[0], s, vars)? { &of[1] } else { &of[2] }, s, vars),
        Expr::Select(of, name) => calls::chosen(known(of, s, vars)?, name),
        Expr::Index(of) => {
            let target = known(&of[0], s, vars)?;
            calls::indexed(target, &known(&of[1], s, vars)?)
        }
        Expr::List(items) => {
            Val::List(items.iter().map(|item| known(item, s, vars)).collect::<Option<Vec<_>>>()?)
        }
        Expr::Map { keys, values, constant } => return mapping(keys, values, *constant, s, vars),
        Expr::Macro { kind, of, chosen, each } => {
            let items = calls::iterable(known(of, s, vars)?)?;
            let items = match chosen {
                None => items,
                Some(holds) => kept(items, holds, s, vars)?,
            };
            return over(*kind, items, each, s, vars);
        }
        Expr::Has(of) => Val::Bool(known(of, s, vars).is_some()),
        Expr::Present(of, name) => match known(of, s, vars)? {
            map @ Val::Map(_) => Val::Bool(!calls::chosen(map, name).is_nil()),
            _ => return None,
        },
        Expr::Largest(of) => return extreme(of, true, s, vars),
        Expr::Smallest(of) => return extreme(of, false, s, vars),
        Expr::Call(function, of) => {
            let of = of.iter().map(|each| known(each, s, vars)).collect::<Option<Vec<_>>>()?;
            function.call(&of)?
        }
        Expr::Double(of) => match known(of, s, vars)? {
            Val::Int(whole) => Val::Num(whole as f64),
            other => other,
        },
    })
}

/// The stage in the first of several versions that the customer is in; "" in none.
fn stage(journeys: &[usize], s: &Scope) -> Val {
    let stages = s.c.earlier.as_ref().filter(|earlier| !earlier.is_empty()).unwrap_or(&s.c.stages);
    for j in journeys {
        let place = stages.get(*j).and_then(|stage| usize::try_from(*stage).ok());
        if let Some(name) = place.and_then(|place| s.p.journeys[*j].stages.get(place)) {
            return Val::str(name);
        }
    }
    Val::str("")
}

/// `&&` (`both`) or `||`: one operand may decide, whatever is unknown beside it.
fn logic(operands: &[Expr], both: bool, s: &Scope, vars: &mut Vec<Val>) -> Option<Val> {
    let mut unknown = false;
    for operand in operands {
        match truth(operand, s, vars) {
            Some(truth) if truth != both => return Some(Val::Bool(truth)),
            Some(_) => {}
            None => unknown = true,
        }
    }
    (!unknown).then_some(Val::Bool(both))
}

fn extreme(operands: &[Expr], largest: bool, s: &Scope, vars: &mut Vec<Val>) -> Option<Val> {
    let mut found: Option<Val> = None;
    for operand in operands {
        let Some(next) = known(operand, s, vars).filter(|next| matches!(next, Val::Int(_) | Val::Num(_))) else {
            continue;
        };
        let op = if largest { Compare::Greater } else { Compare::Less };
        let replaces = match &found {
            None => true,
            Some(held) => calls::compared(op, &next, held) == Some(true),
        };
        if replaces {
            found = Some(next);
        }
    }
    found
}

fn mapping(keys: &[Expr], values: &[Expr], constant: bool, s: &Scope, vars: &mut Vec<Val>) -> Option<Val> {
    let mut built: Vec<(Val, Val)> = Vec::with_capacity(keys.len());
    let mut whole = true;
    for (key, each) in keys.iter().zip(values) {
        let (key, each) = (known(key, s, vars)?, known(each, s, vars)?);
        match built.iter_mut().find(|(held, _)| held.same(&key)) {
            None => built.push((key, each)),
            Some((_, held)) => {
                whole = false;
                *held = each;
            }
        }
    }
    (constant || whole).then_some(Val::Map(built))
}

fn with<T>(item: Val, vars: &mut Vec<Val>, then: impl FnOnce(&mut Vec<Val>) -> T) -> T {
    vars.push(item);
    let found = then(vars);
    vars.pop();
    found
}

fn kept(items: Vec<Val>, holds: &Expr, s: &Scope, vars: &mut Vec<Val>) -> Option<Vec<Val>> {
    let mut chosen = Vec::new();
    for item in items {
        if with(item.clone(), vars, |vars| truth(holds, s, vars))? {
            chosen.push(item);
        }
    }
    Some(chosen)
}

fn over(kind: Macro, items: Vec<Val>, each: &Expr, s: &Scope, vars: &mut Vec<Val>) -> Option<Val> {
    match kind {
        Macro::Filter => return kept(items, each, s, vars).map(Val::List),
        Macro::Map => {
            let made = items.into_iter().map(|item| with(item, vars, |vars| known(each, s, vars)));
            return made.collect::<Option<Vec<_>>>().map(Val::List);
        }
        Macro::All | Macro::Exists | Macro::ExistsOne => {}
    }
    let (mut unknown, mut count) = (false, 0);
    for item in items {
        match with(item, vars, |vars| truth(each, s, vars)) {
            None => unknown = true,
            Some(true) if kind == Macro::Exists => return Some(Val::Bool(true)),
            Some(true) => count += 1,
            Some(false) if kind == Macro::All => return Some(Val::Bool(false)),
            Some(false) => {}
        }
    }
    if unknown {
        return None;
    }
    Some(Val::Bool(match kind {
        Macro::All => true,
        Macro::Exists => false,
        _ => count == 1,
    }))
}
