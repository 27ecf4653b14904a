//! Operations on known values: `journeys/guards/runtime.py`. None where CEL reports an error.

use crate::expr::{Arithmetic, Compare};
use crate::pytext;
use crate::value::Val;
use std::cmp::Ordering;

#[derive(Clone, Copy, Debug)]
pub enum Function {
    Size,
    Starts,
    Ends,
    Contains,
    Int,
    Double,
    Text,
    Abs,
    Ceil,
    Floor,
    Round,
}

impl Function {
    pub fn parse(name: &str) -> Result<Function, String> {
        Ok(match name {
            "size" => Function::Size,
            "startsWith" => Function::Starts,
            "endsWith" => Function::Ends,
            "contains" => Function::Contains,
            "int" => Function::Int,
            "double" => Function::Double,
            "string" => Function::Text,
            "abs" => Function::Abs,
            "ceil" => Function::Ceil,
            "floor" => Function::Floor,
            "round" => Function::Round,
            other => return Err(format!("a function {other:?} that is not known")),
        })
    }

    pub fn call(self, of: &[Val]) -> Option<Val> {
        Some(match (self, of) {
            (Function::Size, [Val::Str(text)]) => Val::Int(text.chars().count() as i64),
            (Function::Size, [Val::List(items)]) => Val::Int(items.len() as i64),
            (Function::Size, [Val::Map(entries)]) => Val::Int(entries.len() as i64),
            (Function::Starts, [Val::Str(text), Val::Str(start)]) => Val::Bool(text.starts_with(start.as_str())),
            (Function::Ends, [Val::Str(text), Val::Str(end)]) => Val::Bool(text.ends_with(end.as_str())),
            (Function::Contains, [Val::Str(text), Val::Str(inner)]) => Val::Bool(text.contains(inner.as_str())),
            (Function::Int, [of]) => Val::Int(to_int(of)?),
            (Function::Double, [of]) => Val::Num(to_double(of)?),
            (Function::Text, [of]) => to_text(of)?,
            (Function::Abs, [Val::Int(whole)]) => Val::Int(whole.checked_abs()?),
            (Function::Abs, [Val::Num(number)]) => Val::Num(number.abs()),
            (Function::Ceil, [of]) => Val::Num(number(of)?.ceil()),
            (Function::Floor, [of]) => Val::Num(number(of)?.floor()),
            (Function::Round, [of]) => Val::Num(round(number(of)?)),
            _ => return None,
        })
    }
}

/// An int or a double; a bool is neither.
fn number(value: &Val) -> Option<f64> {
    match value {
        Val::Int(whole) => Some(*whole as f64),
        Val::Num(number) => Some(*number),
        _ => None,
    }
}

/// Halves away from zero.
fn round(value: f64) -> f64 {
    if !value.is_finite() || value.abs() >= 4_503_599_627_370_496.0 {
        return value;
    }
    let whole = if value.abs() == 0.499_999_999_999_999_94 { 0.0 } else { (value.abs() + 0.5).floor() };
    whole.copysign(value)
}

fn is_digits(text: &str, most: usize) -> bool {
    text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['+', '-']).unwrap_or(text)
}

fn to_int(value: &Val) -> Option<i64> {
    match value {
        Val::Str(text) => {
            let digits = unsigned(text);
            if digits.is_empty() || !is_digits(digits, 40) {
                return None;
            }
            text.parse().ok()
        }
        // The first double beyond is 2^63 itself.
        Val::Num(number) if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(number) => {
            Some(*number as i64)
        }
        Val::Int(whole) => Some(*whole),
        _ => None,
    }
}

/// Whether a text is a decimal number as CEL has it: digits, perhaps a point, perhaps an exponent.
fn is_decimal(text: &str) -> bool {
    let body = unsigned(text);
    let (mantissa, exponent) = match body.find(['e', 'E']) {
        None => (body, None),
        Some(at) => (&body[..at], Some(&body[at + 1..])),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        None => (mantissa, None),
        Some((whole, fraction)) => (whole, Some(fraction)),
    };
    if !is_digits(whole, 400) || !fraction.is_none_or(|fraction| is_digits(fraction, 400)) {
        return false;
    }
    if whole.is_empty() && fraction.is_none_or(str::is_empty) {
        return false;
    }
    exponent.is_none_or(|exponent| {
        let digits = unsigned(exponent);
        !digits.is_empty() && is_digits(digits, 9)
    })
}

fn to_double(value: &Val) -> Option<f64> {
    match value {
        Val::Str(text) if is_decimal(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        Val::Str(_) => None,
        other => number(other),
    }
}

fn to_text(value: &Val) -> Option<Val> {
    Some(match value {
        Val::Str(text) => Val::Str(text.clone()),
        Val::Bool(true) => Val::str("true"),
        Val::Bool(false) => Val::str("false"),
        Val::Int(whole) => Val::str(&whole.to_string()),
        Val::Num(number) => Val::str(&pytext::cel(*number)),
        _ => return None,
    })
}

pub fn negative(value: Val) -> Option<Val> {
    match value {
        Val::Int(whole) => whole.checked_neg().map(Val::Int),
        Val::Num(number) => Some(Val::Num(-number)),
        _ => None,
    }
}

/// An int beside a double, by value, as Python compares them.
fn mixed(whole: i64, number: f64) -> Option<Ordering> {
    if number.is_nan() {
        return None;
    }
    if number >= 9_223_372_036_854_775_808.0 {
        return Some(Ordering::Less);
    }
    if number < -9_223_372_036_854_775_808.0 {
        return Some(Ordering::Greater);
    }
    let floor = number.floor();
    Some(whole.cmp(&(floor as i64)).then(if floor < number { Ordering::Less } else { Ordering::Equal }))
}

fn order(left: &Val, right: &Val) -> Option<Option<Ordering>> {
    Some(match (left, right) {
        (Val::Int(a), Val::Int(b)) => Some(a.cmp(b)),
        (Val::Num(a), Val::Num(b)) => a.partial_cmp(b),
        (Val::Int(a), Val::Num(b)) => mixed(*a, *b),
        (Val::Num(a), Val::Int(b)) => mixed(*b, *a).map(Ordering::reverse),
        (Val::Str(a), Val::Str(b)) => Some(a.as_str().cmp(b.as_str())),
        (Val::Bool(a), Val::Bool(b)) => Some(a.cmp(b)),
        _ => return None,
    })
}

/// CEL's equality: numbers by value, everything else by kind and value.
pub fn same(left: &Val, right: &Val) -> bool {
    match (left, right) {
        (Val::List(a), Val::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(x, y)| same(x, y)),
        (Val::Map(a), Val::Map(b)) => {
            a.len() == b.len()
                && a.iter().all(|(k, v)| b.iter().any(|(other, w)| k.same(other) && same(v, w)))
        }
        (Val::Nil, Val::Nil) => true,
        (Val::Bytes(a), Val::Bytes(b)) => a == b,
        _ => order(left, right).flatten() == Some(Ordering::Equal),
    }
}

/// None: values that have no order.
pub fn compared(op: Compare, left: &Val, right: &Val) -> Option<bool> {
    match op {
        Compare::Equal => return Some(same(left, right)),
        Compare::NotEqual => return Some(!same(left, right)),
        _ => {}
    }
    let found = order(left, right)?;
    Some(match op {
        Compare::Less => found == Some(Ordering::Less),
        Compare::LessOrEqual => matches!(found, Some(Ordering::Less | Ordering::Equal)),
        Compare::Greater => found == Some(Ordering::Greater),
        _ => matches!(found, Some(Ordering::Greater | Ordering::Equal)),
    })
}

pub fn computed(op: Arithmetic, left: Val, right: Val) -> Option<Val> {
    if let (Val::Int(a), Val::Int(b)) = (&left, &right) {
        let found = match op {
            Arithmetic::Add => a.checked_add(*b),
            Arithmetic::Subtract => a.checked_sub(*b),
            Arithmetic::Multiply => a.checked_mul(*b),
            Arithmetic::Divide => a.checked_div(*b),
            Arithmetic::Remainder => a.checked_rem(*b),
        };
        return found.map(Val::Int);
    }
    match (op, left, right) {
        (Arithmetic::Add, Val::Str(mut a), Val::Str(b)) => {
            a.push_str(&b);
            Some(Val::Str(a))
        }
        (Arithmetic::Add, Val::List(mut a), Val::List(b)) => {
            a.extend(b);
            Some(Val::List(a))
        }
        (op, a, b) => {
            let (a, b) = (number(&a)?, number(&b)?);
            Some(Val::Num(match op {
                Arithmetic::Add => a + b,
                Arithmetic::Subtract => a - b,
                Arithmetic::Multiply => a * b,
                Arithmetic::Divide if b == 0.0 => return None,
                Arithmetic::Divide => a / b,
                Arithmetic::Remainder => return None,
            }))
        }
    }
}

/// `value in items` of lists and maps.
pub fn contained(value: &Val, items: &Val) -> Option<bool> {
    match items {
        Val::List(items) => Some(items.iter().any(|item| same(value, item))),
        Val::Map(entries) => {
            let key = matches!(value, Val::Str(_) | Val::Int(_) | Val::Num(_) | Val::Bool(_));
            Some(key && entries.iter().any(|(held, _)| same(value, held)))
        }
        _ => None,
    }
}

/// A field by name; nothing but maps has any.
pub fn chosen(value: Val, name: &str) -> Val {
    match value {
        Val::Map(entries) => entries
            .into_iter()
            .find(|(key, _)| matches!(key, Val::Str(key) if key == name))
            .map_or(Val::Nil, |(_, found)| found),
        _ => Val::Nil,
    }
}

pub fn indexed(value: Val, key: &Val) -> Val {
    match (value, key) {
        (Val::List(mut items), Val::Int(place)) => match usize::try_from(*place) {
            Ok(place) if place < items.len() => items.swap_remove(place),
            _ => Val::Nil,
        },
        (Val::Map(entries), Val::Str(_) | Val::Int(_) | Val::Num(_) | Val::Bool(_)) => {
            entries.into_iter().find(|(held, _)| held.same(key)).map_or(Val::Nil, |(_, found)| found)
        }
        _ => Val::Nil,
    }
}

/// What macros go through: the items of a list, the keys of a map.
pub fn iterable(value: Val) -> Option<Vec<Val>> {
    match value {
        Val::List(items) => Some(items),
        Val::Map(entries) => Some(entries.into_iter().map(|(key, _)| key).collect()),
        _ => None,
    }
}
