//! Single operations on values that are known: `guards/runtime.py`.
//!
//! In: views of values. Out: values, None (or `Val::Nil`) where CEL reports an error: overflow, division by zero,
//! a missing key, values of the wrong kind. Ints and doubles compare by value, exactly, as in Python.

use crate::expr_text::{to_double, to_int, to_string};
use crate::value::Val;
use compact_str::CompactString;
use std::cmp::Ordering;

/// A value on its way through an expression: borrowed wherever it can be.
pub enum V<'a> {
    Own(Val),
    Ref(&'a Val),
    Str(&'a str),
}

#[derive(Clone, Copy, Debug)]
pub enum View<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    Num(f64),
    Str(&'a str),
    Bytes(&'a [u8]),
    List(&'a [Val]),
    Map(&'a [(Val, Val)]),
}

impl<'a> V<'a> {
    pub const NIL: V<'static> = V::Own(Val::Nil);

    #[inline]
    pub fn view(&self) -> View<'_> {
        match self {
            V::Own(value) => view(value),
            V::Ref(value) => view(value),
            V::Str(text) => View::Str(text),
        }
    }
    #[inline]
    pub fn is_nil(&self) -> bool {
        matches!(self, V::Own(Val::Nil) | V::Ref(Val::Nil))
    }
    pub fn own(self) -> Val {
        match self {
            V::Own(value) => value,
            V::Ref(value) => value.clone(),
            V::Str(text) => Val::str(text),
        }
    }
}

#[inline]
pub fn view(value: &Val) -> View<'_> {
    match value {
        Val::Nil => View::Nil,
        Val::Bool(b) => View::Bool(*b),
        Val::Int(i) => View::Int(*i),
        Val::Num(n) => View::Num(*n),
        Val::Str(s) => View::Str(s),
        Val::Bytes(b) => View::Bytes(b),
        Val::List(items) => View::List(items),
        Val::Map(entries) => View::Map(entries),
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Order {
    #[inline]
    pub fn holds(self, found: Option<Ordering>) -> bool {
        match self {
            Order::Less => found == Some(Ordering::Less),
            Order::LessEqual => matches!(found, Some(Ordering::Less | Ordering::Equal)),
            Order::Greater => found == Some(Ordering::Greater),
            Order::GreaterEqual => matches!(found, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

pub const BEYOND: f64 = 9_223_372_036_854_775_808.0;

/// An int beside a double, exactly.
fn int_beside(i: i64, n: f64) -> Option<Ordering> {
    if n.is_nan() {
        return None;
    }
    if n >= BEYOND {
        return Some(Ordering::Less);
    }
    if n < -BEYOND {
        return Some(Ordering::Greater);
    }
    let whole = n.trunc();
    Some(i.cmp(&(whole as i64)).then_with(|| whole.partial_cmp(&n).unwrap_or(Ordering::Equal)))
}

/// Two numbers; None where one is not a number, or none at all.
#[inline]
pub fn numbers(left: View, right: View) -> Option<Option<Ordering>> {
    Some(match (left, right) {
        (View::Num(a), View::Num(b)) => a.partial_cmp(&b),
        (View::Int(a), View::Int(b)) => Some(a.cmp(&b)),
        (View::Int(a), View::Num(b)) => int_beside(a, b),
        (View::Num(a), View::Int(b)) => int_beside(b, a).map(Ordering::reverse),
        _ => return None,
    })
}

/// Two numbers, two texts or two bools; None for anything else.
pub fn ordered(op: Order, left: View, right: View) -> Option<bool> {
    if let Some(found) = numbers(left, right) {
        return Some(op.holds(found));
    }
    match (left, right) {
        (View::Str(a), View::Str(b)) => Some(op.holds(Some(a.cmp(b)))),
        (View::Bool(a), View::Bool(b)) => Some(op.holds(Some(a.cmp(&b)))),
        _ => None,
    }
}

/// CEL's equality: numbers by value, everything else by kind and value.
pub fn same(left: View, right: View) -> bool {
    match (left, right) {
        (View::Str(a), View::Str(b)) => a == b,
        (View::Bool(a), View::Bool(b)) => a == b,
        (View::Nil, View::Nil) => true,
        (View::Bytes(a), View::Bytes(b)) => a == b,
        (View::List(a), View::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(x, y)| same(view(x), view(y)))
        }
        (View::Map(a), View::Map(b)) => {
            a.len() == b.len()
                && a.iter().all(|(k, x)| looked_up(b, view(k)).is_some_and(|y| same(view(x), view(y))))
        }
        _ => numbers(left, right) == Some(Some(Ordering::Equal)),
    }
}

/// A key of a dict: there True is 1.
fn same_key(left: View, right: View) -> bool {
    let plain = |key| if let View::Bool(b) = key { View::Int(b as i64) } else { key };
    same(plain(left), plain(right))
}

pub fn looked_up<'a>(entries: &'a [(Val, Val)], key: View) -> Option<&'a Val> {
    entries.iter().find(|(k, _)| same_key(view(k), key)).map(|(_, value)| value)
}

/// Read a field by name; nothing but a map has any.
pub fn chosen<'a>(value: View<'a>, name: &str) -> Option<&'a Val> {
    match value {
        View::Map(entries) => looked_up(entries, View::Str(name)),
        _ => None,
    }
}

/// `value[key]` of a list or a map.
pub fn indexed<'a>(value: View<'a>, key: View) -> Option<&'a Val> {
    match (value, key) {
        (View::List(items), View::Int(at)) => usize::try_from(at).ok().and_then(|at| items.get(at)),
        (View::Map(entries), View::Str(_) | View::Int(_) | View::Num(_) | View::Bool(_)) => {
            looked_up(entries, key)
        }
        _ => None,
    }
}

/// `value in items` for lists and maps.
pub fn contained(value: View, items: View) -> Option<bool> {
    match items {
        View::List(items) => Some(items.iter().any(|item| same(value, view(item)))),
        View::Map(entries) => {
            let scalar = matches!(value, View::Str(_) | View::Int(_) | View::Num(_) | View::Bool(_));
            Some(scalar && entries.iter().any(|(key, _)| same(value, view(key))))
        }
        _ => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Math {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

fn ints(op: Math, a: i64, b: i64) -> Option<i64> {
    match op {
        Math::Add => a.checked_add(b),
        Math::Sub => a.checked_sub(b),
        Math::Mul => a.checked_mul(b),
        // Towards zero, and the rest has the sign of the left: as CEL has it, and Rust.
        Math::Div => a.checked_div(b),
        Math::Rem => a.checked_rem(b),
    }
}

fn doubles(op: Math, a: f64, b: f64) -> Option<f64> {
    match op {
        Math::Add => Some(a + b),
        Math::Sub => Some(a - b),
        Math::Mul => Some(a * b),
        Math::Div if b == 0.0 => None,
        Math::Div => Some(a / b),
        Math::Rem => None,
    }
}

/// Compute with values of any kind.
pub fn computed(op: Math, left: View, right: View) -> Val {
    let found = match (left, right) {
        (View::Num(a), View::Num(b)) => doubles(op, a, b).map(Val::Num),
        (View::Int(a), View::Int(b)) => ints(op, a, b).map(Val::Int),
        (View::Num(a), View::Int(b)) => doubles(op, a, b as f64).map(Val::Num),
        (View::Int(a), View::Num(b)) => doubles(op, a as f64, b).map(Val::Num),
        (View::Str(a), View::Str(b)) if op == Math::Add => {
            let mut text = CompactString::with_capacity(a.len() + b.len());
            text.push_str(a);
            text.push_str(b);
            Some(Val::Str(text))
        }
        (View::List(a), View::List(b)) if op == Math::Add => Some(Val::List([a, b].concat())),
        _ => None,
    };
    found.unwrap_or(Val::Nil)
}

pub fn negated(value: View) -> Val {
    match value {
        View::Int(i) => i.checked_neg().map_or(Val::Nil, Val::Int),
        View::Num(n) => Val::Num(-n),
        _ => Val::Nil,
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Function {
    Size,
    Int,
    Double,
    String,
    Abs,
    Ceil,
    Floor,
    Round,
}

pub fn applied(function: Function, value: View) -> Val {
    let found = match (function, value) {
        (Function::Size, View::Str(text)) => Some(Val::Int(text.chars().count() as i64)),
        (Function::Size, View::List(items)) => Some(Val::Int(items.len() as i64)),
        (Function::Size, View::Map(entries)) => Some(Val::Int(entries.len() as i64)),
        (Function::Size, _) => None,
        (Function::Int, _) => to_int(value).map(Val::Int),
        (Function::Double, _) => to_double(value).map(Val::Num),
        (Function::String, _) => to_string(value),
        (Function::Abs, View::Int(i)) => i.checked_abs().map(Val::Int),
        (Function::Abs, View::Num(n)) => Some(Val::Num(n.abs())),
        (Function::Abs, _) => None,
        (_, View::Int(i)) => Some(Val::Num(rounded(function, i as f64))),
        (_, View::Num(n)) => Some(Val::Num(rounded(function, n))),
        _ => None,
    };
    found.unwrap_or(Val::Nil)
}

fn rounded(function: Function, n: f64) -> f64 {
    if !n.is_finite() {
        return n;
    }
    match function {
        // Python comes here by way of an int: there is no -0.0.
        Function::Ceil => n.ceil() + 0.0,
        Function::Floor => n.floor() + 0.0,
        _ if n.abs() >= 4_503_599_627_370_496.0 => n,
        _ if n.abs() == 0.499_999_999_999_999_94 => 0.0f64.copysign(n),
        _ => (n.abs() + 0.5).floor().copysign(n),
    }
}
