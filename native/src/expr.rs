//! Guards: what `guards/emit.py` writes as Python, run as a tree.
//!
//! In: an expression (`expr_parse.rs` reads it) and a scope. Out: its value; `Val::Nil` where it is unknown, just
//! where Python's guard gives None. Values are borrowed from state and event as long as it goes, and `&&` and
//! `||` absorb unknowns: false && unknown is false.

use crate::customer::{self, Customer};
use crate::event::{Event, Prop, Shape};
use crate::expr_ops::{self as ops, Function, Math, Order, View, V};
use crate::expr_text;
use crate::paths::{self, Get};
use crate::program::Program;
use crate::reads::{self, Read};
use crate::value::Val;
use compact_str::CompactString;

#[derive(Debug)]
pub enum Expr {
    Lit(Val),
    /// The variable of a macro, counted from the innermost.
    Var(usize),
    Event(Get),
    Read(Read),
    /// A value before the event.
    Before(usize),
    /// Seconds in the stage.
    Dwell(usize),
    Now,
    Loops(usize),
    Known,
    Id,
    IdNumber,
    /// The stage in the first of these journeys that one is in.
    Stage(Vec<usize>),
    Entries {
        journey: usize,
        stage: i64,
    },
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    If(Box<[Expr; 3]>),
    AsDouble(Box<Expr>),
    Cmp(Order, Box<[Expr; 2]>),
    /// Beside a number below 2**53: an int too, if it is one.
    CmpNumber(Order, Box<Expr>, f64),
    Equal {
        negated: bool,
        sides: Box<[Expr; 2]>,
    },
    EqualText {
        negated: bool,
        of: Box<Expr>,
        text: CompactString,
    },
    In(Box<[Expr; 2]>),
    InTexts(Box<Expr>, Vec<CompactString>),
    Math(Math, Box<[Expr; 2]>),
    Neg(Box<Expr>),
    Select(Box<Expr>, String),
    Index(Box<[Expr; 2]>),
    List(Vec<Expr>),
    Map {
        keys: Vec<Expr>,
        values: Vec<Expr>,
        constant: bool,
    },
    /// Is it known?
    Has(Box<Expr>),
    Present(Box<Expr>, String),
    Extreme {
        larger: bool,
        of: Vec<Expr>,
    },
    Apply(Function, Box<Expr>),
    Text(Texts, Box<[Expr; 2]>),
    Macro(Box<Macro>),
}

#[derive(Clone, Copy, Debug)]
pub enum Texts {
    StartsWith,
    EndsWith,
    Contains,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

#[derive(Debug)]
pub struct Macro {
    pub kind: Kind,
    pub of: Expr,
    /// `map` with a filter.
    pub filter: Option<Expr>,
    pub each: Expr,
}

/// What an expression is read over.
pub struct Scope<'a> {
    pub p: &'a Program,
    pub c: &'a Customer,
    pub e: Option<&'a Event>,
    pub t: i64,
}

/// The variables of the macros around.
struct Vars<'a> {
    item: Item<'a>,
    up: Option<&'a Vars<'a>>,
}

/// What a variable stands for: the lines of an order stay what they are in the event.
#[derive(Clone, Copy)]
enum Item<'a> {
    Val(&'a Val),
    Prop(&'a Prop, &'a Shape, &'a Event),
}

impl<'a> Item<'a> {
    fn value(self) -> V<'a> {
        match self {
            Item::Val(value) => V::Ref(value),
            Item::Prop(prop, shape, e) => V::Own(paths::value(prop, shape, e)),
        }
    }
}

type Around<'a> = Option<&'a Vars<'a>>;

/// The value, `Val::Nil` when it is unknown.
pub fn eval(x: &Expr, s: &Scope) -> Val {
    value(x, s, None).own()
}

fn answer<'a>(found: Option<bool>) -> V<'a> {
    found.map_or(V::NIL, |b| V::Own(Val::Bool(b)))
}

fn found<'a>(value: Option<&'a Val>) -> V<'a> {
    value.map_or(V::NIL, V::Ref)
}

fn int<'a>(value: Option<&i64>) -> V<'a> {
    value.map_or(V::NIL, |i| V::Own(Val::Int(*i)))
}

fn value<'a>(x: &'a Expr, s: &'a Scope<'a>, vars: Around<'a>) -> V<'a> {
    match x {
        Expr::Lit(value) => V::Ref(value),
        Expr::Var(up) => variable(*up, vars).map_or(V::NIL, Item::value),
        Expr::Event(get) => s.e.map_or(V::NIL, |e| paths::look(get, e, s.t, &s.p.vocab)),
        Expr::Read(read) => reads::read(read, s.p, s.c, s.t),
        Expr::Before(place) => found(s.c.before.as_ref().and_then(|all| all.get(*place))),
        Expr::Dwell(journey) => {
            s.c.entered
                .get(*journey)
                .map_or(V::NIL, |entered| V::Own(Val::Num((s.t as i128 - *entered as i128) as f64 / 1e6)))
        }
        Expr::Now => V::Own(Val::Num(s.t as f64 / 1e6)),
        Expr::Loops(journey) => int(s.c.loops.get(*journey)),
        Expr::Known => V::Own(Val::Bool(s.c.known)),
        Expr::Id => s.c.id.as_ref().map_or(V::NIL, |id| V::Str(id)),
        Expr::IdNumber => {
            let number = s.c.id.as_ref().and_then(|id| expr_text::python_float(id));
            number.map_or(V::NIL, |n| V::Own(Val::Num(n)))
        }
        Expr::Stage(journeys) => V::Str(stage(journeys, s)),
        Expr::Entries { journey, stage } => {
            let entries = s.c.entries.get(*journey).and_then(Option::as_ref);
            int(entries.and_then(|all| customer::find(all, *stage)).or(Some(&0)))
        }
        Expr::If(parts) => match test(&parts[0], s, vars) {
            None => V::NIL,
            Some(true) => value(&parts[1], s, vars),
            Some(false) => value(&parts[2], s, vars),
        },
        Expr::AsDouble(of) => match value(of, s, vars).view() {
            View::Int(i) => V::Own(Val::Num(i as f64)),
            View::Num(n) => V::Own(Val::Num(n)),
            _ => V::NIL,
        },
        Expr::Math(op, sides) => {
            let (left, right) = (value(&sides[0], s, vars), value(&sides[1], s, vars));
            V::Own(ops::computed(*op, left.view(), right.view()))
        }
        Expr::Neg(of) => V::Own(ops::negated(value(of, s, vars).view())),
        Expr::Apply(function, of) => V::Own(ops::applied(*function, value(of, s, vars).view())),
        Expr::Select(of, name) => match line(of, vars) {
            Some((prop, shape, e)) => paths::inside(prop, shape, name, e),
            None => within(value(of, s, vars), |of| ops::chosen(of, name)),
        },
        Expr::Index(sides) => {
            let key = value(&sides[1], s, vars);
            within(value(&sides[0], s, vars), |of| ops::indexed(of, key.view()))
        }
        Expr::List(items) => all_known(items, s, vars).map_or(V::NIL, |items| V::Own(Val::List(items))),
        Expr::Map { keys, values, constant } => V::Own(map(keys, values, *constant, s, vars)),
        Expr::Extreme { larger, of } => extreme(*larger, of, s, vars),
        Expr::Macro(of) => went_through(of, s, vars),
        _ => answer(test(x, s, vars)),
    }
}

fn variable<'a>(up: usize, vars: Around<'a>) -> Option<Item<'a>> {
    let mut at = vars?;
    for _ in 0..up {
        at = at.up?;
    }
    Some(at.item)
}

/// A variable that stands for a struct of the event.
fn line<'a>(of: &Expr, vars: Around<'a>) -> Option<(&'a Prop, &'a Shape, &'a Event)> {
    let Expr::Var(up) = of else { return None };
    match variable(*up, vars) {
        Some(Item::Prop(prop @ Prop::Obj(_), shape, e)) => Some((prop, shape, e)),
        _ => None,
    }
}

/// A part of a value; borrowed from where the whole is borrowed.
fn within<'a>(whole: V<'a>, pick: impl for<'v> Fn(View<'v>) -> Option<&'v Val>) -> V<'a> {
    match whole {
        V::Ref(value) => found(pick(ops::view(value))),
        other => V::Own(pick(other.view()).cloned().unwrap_or(Val::Nil)),
    }
}

fn stage<'a>(journeys: &[usize], s: &Scope<'a>) -> &'a str {
    let c = s.c;
    let stages = c.earlier.as_ref().filter(|earlier| !earlier.is_empty()).unwrap_or(&c.stages);
    let named = journeys.iter().map(|k| {
        let at = stages.get(*k).and_then(|at| usize::try_from(*at).ok());
        at.and_then(|at| s.p.journeys[*k].stages.get(at)).map_or("", String::as_str)
    });
    named.into_iter().find(|name| !name.is_empty()).unwrap_or("")
}

/// A condition: None when it is unknown, or no bool.
fn test<'a>(x: &'a Expr, s: &'a Scope<'a>, vars: Around<'a>) -> Option<bool> {
    match x {
        Expr::And(parts) => decided(parts, false, s, vars),
        Expr::Or(parts) => decided(parts, true, s, vars),
        Expr::Not(of) => test(of, s, vars).map(|b| !b),
        Expr::CmpNumber(op, of, number) => match value(of, s, vars).view() {
            View::Num(n) => Some(op.holds(n.partial_cmp(number))),
            other => ops::ordered(*op, other, View::Num(*number)),
        },
        Expr::EqualText { negated, of, text } => match value(of, s, vars).view() {
            View::Nil => None,
            View::Str(found) => Some((found == text.as_str()) != *negated),
            _ => Some(*negated),
        },
        Expr::InTexts(of, texts) => match value(of, s, vars).view() {
            View::Nil => None,
            View::Str(found) => Some(texts.iter().any(|text| text.as_str() == found)),
            _ => Some(false),
        },
        Expr::Has(of) => Some(!value(of, s, vars).is_nil()),
        Expr::Cmp(op, sides) => {
            let (left, right) = known(sides, s, vars)?;
            ops::ordered(*op, left.view(), right.view())
        }
        Expr::Equal { negated, sides } => {
            let (left, right) = known(sides, s, vars)?;
            Some(ops::same(left.view(), right.view()) != *negated)
        }
        Expr::In(sides) => {
            let (left, right) = known(sides, s, vars)?;
            ops::contained(left.view(), right.view())
        }
        Expr::Present(of, name) => {
            if let Some((prop, shape, e)) = line(of, vars) {
                return Some(!paths::inside(prop, shape, name, e).is_nil());
            }
            let of = value(of, s, vars);
            match of.view() {
                View::Map(_) => Some(ops::chosen(of.view(), name).is_some_and(|value| !value.is_nil())),
                _ => None,
            }
        }
        Expr::Text(how, sides) => {
            let (text, part) = known(sides, s, vars)?;
            let (View::Str(text), View::Str(part)) = (text.view(), part.view()) else { return None };
            Some(match how {
                Texts::StartsWith => text.starts_with(part),
                Texts::EndsWith => text.ends_with(part),
                Texts::Contains => text.contains(part),
            })
        }
        _ => match value(x, s, vars).view() {
            View::Bool(b) => Some(b),
            _ => None,
        },
    }
}

/// `&&` and `||`: one that is `deciding` decides, whatever is unknown.
fn decided<'a>(parts: &'a [Expr], deciding: bool, s: &'a Scope<'a>, vars: Around<'a>) -> Option<bool> {
    let mut unknown = false;
    for part in parts {
        match test(part, s, vars) {
            Some(b) if b == deciding => return Some(deciding),
            Some(_) => {}
            None => unknown = true,
        }
    }
    if unknown {
        None
    } else {
        Some(!deciding)
    }
}

fn known<'a>(sides: &'a [Expr; 2], s: &'a Scope<'a>, vars: Around<'a>) -> Option<(V<'a>, V<'a>)> {
    let left = value(&sides[0], s, vars);
    if left.is_nil() {
        return None;
    }
    let right = value(&sides[1], s, vars);
    if right.is_nil() {
        None
    } else {
        Some((left, right))
    }
}

fn all_known<'a>(items: &'a [Expr], s: &'a Scope<'a>, vars: Around<'a>) -> Option<Vec<Val>> {
    let each = items.iter().map(|item| Some(value(item, s, vars)).filter(|v| !v.is_nil()).map(V::own));
    each.collect()
}

fn map<'a>(keys: &'a [Expr], values: &'a [Expr], constant: bool, s: &'a Scope<'a>, vars: Around<'a>) -> Val {
    let (Some(keys), Some(values)) = (all_known(keys, s, vars), all_known(values, s, vars)) else {
        return Val::Nil;
    };
    let mut built: Vec<(Val, Val)> = Vec::with_capacity(keys.len());
    for (key, value) in keys.into_iter().zip(values) {
        let held = ops::looked_up(&built, ops::view(&key)).is_some();
        if !held {
            built.push((key, value));
        } else if !constant {
            return Val::Nil;
        } else if let Some(entry) = built.iter_mut().find(|(k, _)| k.same(&key)) {
            entry.1 = value;
        }
    }
    Val::Map(built)
}

/// max() and min(): what is unknown, or no number, is left out.
fn extreme<'a>(larger: bool, of: &'a [Expr], s: &'a Scope<'a>, vars: Around<'a>) -> V<'a> {
    let better = if larger { Order::Greater } else { Order::Less };
    let mut best = V::NIL;
    for part in of {
        let found = value(part, s, vars);
        if !matches!(found.view(), View::Int(_) | View::Num(_)) {
            continue;
        }
        if best.is_nil() || ops::ordered(better, found.view(), best.view()) == Some(true) {
            best = found;
        }
    }
    best
}

/// Macros go through the items of a list, or the keys of a map.
fn went_through<'a>(of: &'a Macro, s: &'a Scope<'a>, vars: Around<'a>) -> V<'a> {
    let whole;
    let lines = match (&of.of, s.e) {
        (Expr::Event(get), Some(e)) => paths::structs(get, e).map(|(props, shape)| (props, shape, e)),
        _ => None,
    };
    let items: Vec<Item> = match lines {
        Some((props, shape, e)) => props.iter().map(|prop| Item::Prop(prop, shape, e)).collect(),
        None => {
            whole = value(&of.of, s, vars);
            match whole.view() {
                View::List(items) => items.iter().map(Item::Val).collect(),
                View::Map(entries) => entries.iter().map(|(key, _)| Item::Val(key)).collect(),
                _ => return V::NIL,
            }
        }
    };
    let Some(items) = filtered(&of.filter, items, s, vars) else { return V::NIL };
    match of.kind {
        Kind::All | Kind::Exists => {
            let deciding = of.kind == Kind::Exists;
            let mut unknown = false;
            for item in items {
                match test(&of.each, s, Some(&Vars { item, up: vars })) {
                    Some(b) if b == deciding => return answer(Some(deciding)),
                    Some(_) => {}
                    None => unknown = true,
                }
            }
            answer(if unknown { None } else { Some(!deciding) })
        }
        Kind::ExistsOne => {
            let mut count = 0;
            for item in items {
                match test(&of.each, s, Some(&Vars { item, up: vars })) {
                    None => return V::NIL,
                    Some(b) => count += b as usize,
                }
            }
            answer(Some(count == 1))
        }
        Kind::Filter => {
            let mut kept = Vec::new();
            for item in items {
                match test(&of.each, s, Some(&Vars { item, up: vars })) {
                    None => return V::NIL,
                    Some(true) => kept.push(item.value().own()),
                    Some(false) => {}
                }
            }
            V::Own(Val::List(kept))
        }
        Kind::Map => {
            let mut made = Vec::with_capacity(items.len());
            for item in items {
                let inner = Vars { item, up: vars };
                let each = value(&of.each, s, Some(&inner)).own();
                if each.is_nil() {
                    return V::NIL;
                }
                made.push(each);
            }
            V::Own(Val::List(made))
        }
    }
}

fn filtered<'v>(
    filter: &Option<Expr>,
    items: Vec<Item<'v>>,
    s: &Scope,
    vars: Around,
) -> Option<Vec<Item<'v>>> {
    let Some(filter) = filter else { return Some(items) };
    let mut kept = Vec::with_capacity(items.len());
    for item in items {
        if test(filter, s, Some(&Vars { item, up: vars }))? {
            kept.push(item);
        }
    }
    Some(kept)
}
