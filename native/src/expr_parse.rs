//! Expressions from their description (`guards/described.py`): names are resolved, common cases made short.

use crate::event::Vocab;
use crate::expr::{Expr, Kind, Macro, Texts};
use crate::expr_ops::{Function, Math, Order};
use crate::paths::Get;
use crate::reads::Read;
use crate::value::Val;
use compact_str::CompactString;
use serde_json::Value as Json;

/// Doubles hold every int below.
const EXACT: i64 = 1 << 53;

type Parsed = Result<Expr, String>;

fn text<'j>(json: &'j Json, name: &str) -> Result<&'j str, String> {
    json[name].as_str().ok_or_else(|| format!("no `{name}` in {json}"))
}

fn index(json: &Json, name: &str) -> Result<usize, String> {
    json[name].as_u64().map(|n| n as usize).ok_or_else(|| format!("no `{name}` in {json}"))
}

fn flag(json: &Json, name: &str) -> Result<bool, String> {
    json[name].as_bool().ok_or_else(|| format!("no `{name}` in {json}"))
}

/// A constant; a double stands as its digits in `{"f": "0.1"}`.
fn constant(json: &Json) -> Result<Val, String> {
    Ok(match json {
        Json::Null => Val::Nil,
        Json::Bool(b) => Val::Bool(*b),
        Json::Number(n) => Val::Int(n.as_i64().ok_or_else(|| format!("{n} is no int of 64 bits"))?),
        Json::String(s) => Val::str(s),
        Json::Array(items) => Val::List(items.iter().map(constant).collect::<Result<_, _>>()?),
        Json::Object(_) => Val::Num(text(json, "f")?.parse().map_err(|_| format!("{json} is no double"))?),
    })
}

fn all(json: &Json, name: &str, vocab: &Vocab) -> Result<Vec<Expr>, String> {
    let parts = json[name].as_array().ok_or_else(|| format!("no `{name}` in {json}"))?;
    parts.iter().map(|part| Expr::parse(part, vocab)).collect()
}

fn some<const N: usize>(json: &Json, vocab: &Vocab) -> Result<[Expr; N], String> {
    all(json, "of", vocab)?.try_into().map_err(|_| format!("expected {N} parts in {json}"))
}

fn one(json: &Json, vocab: &Vocab) -> Result<Box<Expr>, String> {
    Expr::parse(&json["of"], vocab).map(Box::new)
}

impl Expr {
    pub fn parse(json: &Json, vocab: &Vocab) -> Parsed {
        let kind = text(json, "x")?;
        Ok(match kind {
            "lit" => Expr::Lit(constant(&json["v"])?),
            "var" => Expr::Var(index(json, "up")?),
            "event" => Expr::Event(Get::parse(&json["get"], vocab)?),
            "read" => Expr::Read(Read::parse(&json["of"], vocab)?),
            "before" => Expr::Before(index(json, "place")?),
            "dwell" => Expr::Dwell(index(json, "journey")?),
            "now" => Expr::Now,
            "loops" => Expr::Loops(index(json, "journey")?),
            "known" => Expr::Known,
            "id" if flag(json, "number")? => Expr::IdNumber,
            "id" => Expr::Id,
            "stage" => Expr::Stage(indices(json, "journeys")?),
            "entries" => {
                Expr::Entries { journey: index(json, "journey")?, stage: index(json, "stage")? as i64 }
            }
            "and" => Expr::And(all(json, "of", vocab)?),
            "or" => Expr::Or(all(json, "of", vocab)?),
            "not" => Expr::Not(one(json, vocab)?),
            "neg" => Expr::Neg(one(json, vocab)?),
            "if" => Expr::If(Box::new(some(json, vocab)?)),
            "as_double" => Expr::AsDouble(one(json, vocab)?),
            "<" => compared(Order::Less, some(json, vocab)?),
            "<=" => compared(Order::LessEqual, some(json, vocab)?),
            ">" => compared(Order::Greater, some(json, vocab)?),
            ">=" => compared(Order::GreaterEqual, some(json, vocab)?),
            "==" => equal(false, some(json, vocab)?),
            "!=" => equal(true, some(json, vocab)?),
            "in" => contained(some(json, vocab)?),
            "+" => Expr::Math(Math::Add, Box::new(some(json, vocab)?)),
            "-" => Expr::Math(Math::Sub, Box::new(some(json, vocab)?)),
            "*" => Expr::Math(Math::Mul, Box::new(some(json, vocab)?)),
            "/" => Expr::Math(Math::Div, Box::new(some(json, vocab)?)),
            "%" => Expr::Math(Math::Rem, Box::new(some(json, vocab)?)),
            "select" => Expr::Select(one(json, vocab)?, text(json, "name")?.to_string()),
            "index" => Expr::Index(Box::new(some(json, vocab)?)),
            "list" => list(all(json, "of", vocab)?),
            // A literal map carries its keys, the macro what it makes of each item.
            "map" => map(json, vocab)?,
            "has" => Expr::Has(one(json, vocab)?),
            "present" => Expr::Present(one(json, vocab)?, text(json, "name")?.to_string()),
            "max" | "min" => Expr::Extreme { larger: kind == "max", of: all(json, "of", vocab)? },
            "call" => call(json, vocab)?,
            "all" => macro_of(Kind::All, json, vocab)?,
            "exists" => macro_of(Kind::Exists, json, vocab)?,
            "exists_one" => macro_of(Kind::ExistsOne, json, vocab)?,
            "filter" => macro_of(Kind::Filter, json, vocab)?,
            _ => return Err(format!("no expression `{kind}`")),
        })
    }
}

fn indices(json: &Json, name: &str) -> Result<Vec<usize>, String> {
    let found = json[name].as_array().ok_or_else(|| format!("no `{name}` in {json}"))?;
    found.iter().map(|n| n.as_u64().map(|n| n as usize).ok_or_else(|| format!("{n} is no place"))).collect()
}

fn exact(value: &Val) -> Option<f64> {
    match value {
        Val::Num(n) => Some(*n),
        Val::Int(i) if (-EXACT..=EXACT).contains(i) => Some(*i as f64),
        _ => None,
    }
}

fn compared(op: Order, sides: [Expr; 2]) -> Expr {
    if let Expr::Lit(value) = &sides[1] {
        if let Some(number) = exact(value) {
            let [left, _] = sides;
            return Expr::CmpNumber(op, Box::new(left), number);
        }
    }
    Expr::Cmp(op, Box::new(sides))
}

fn equal(negated: bool, sides: [Expr; 2]) -> Expr {
    match sides {
        [of, Expr::Lit(Val::Str(text))] | [Expr::Lit(Val::Str(text)), of] => {
            Expr::EqualText { negated, of: Box::new(of), text }
        }
        sides => Expr::Equal { negated, sides: Box::new(sides) },
    }
}

fn contained(sides: [Expr; 2]) -> Expr {
    if let Expr::Lit(Val::List(items)) = &sides[1] {
        let texts: Option<Vec<CompactString>> = items
            .iter()
            .map(|item| if let Val::Str(text) = item { Some(text.clone()) } else { None })
            .collect();
        if let Some(texts) = texts {
            let [of, _] = sides;
            return Expr::InTexts(Box::new(of), texts);
        }
    }
    Expr::In(Box::new(sides))
}

/// A list of constants is one, unless one of them is unknown.
fn list(items: Vec<Expr>) -> Expr {
    let constants: Option<Vec<Val>> = items
        .iter()
        .map(|item| match item {
            Expr::Lit(Val::Nil) => None,
            Expr::Lit(value) => Some(value.clone()),
            _ => None,
        })
        .collect();
    match constants {
        Some(values) => Expr::Lit(Val::List(values)),
        None => Expr::List(items),
    }
}

fn map(json: &Json, vocab: &Vocab) -> Parsed {
    if !json["each"].is_null() {
        return macro_of(Kind::Map, json, vocab);
    }
    let (keys, values) = (all(json, "keys", vocab)?, all(json, "values", vocab)?);
    Ok(Expr::Map { keys, values, constant: flag(json, "constant")? })
}

fn macro_of(kind: Kind, json: &Json, vocab: &Vocab) -> Parsed {
    let filter = match &json["where"] {
        Json::Null => None,
        filter => Some(Expr::parse(filter, vocab)?),
    };
    let (of, each) = (*one(json, vocab)?, Expr::parse(&json["each"], vocab)?);
    Ok(Expr::Macro(Box::new(Macro { kind, of, filter, each })))
}

fn call(json: &Json, vocab: &Vocab) -> Parsed {
    let name = text(json, "name")?;
    let texts = match name {
        "startsWith" => Some(Texts::StartsWith),
        "endsWith" => Some(Texts::EndsWith),
        "contains" => Some(Texts::Contains),
        _ => None,
    };
    if let Some(how) = texts {
        return Ok(Expr::Text(how, Box::new(some(json, vocab)?)));
    }
    let function = match name {
        "size" => Function::Size,
        "int" => Function::Int,
        "double" => Function::Double,
        "string" => Function::String,
        "abs" => Function::Abs,
        "ceil" => Function::Ceil,
        "floor" => Function::Floor,
        "round" => Function::Round,
        _ => return Err(format!("no function `{name}`")),
    };
    let [of] = some(json, vocab)?;
    Ok(Expr::Apply(function, Box::new(of)))
}
