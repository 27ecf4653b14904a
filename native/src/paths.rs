//! Paths into an event: `engine/paths.py`. The values that attributes fold, ids tie together and guards name.
//!
//! In: a description with names. Out: places of fields, and the values there; what an event does not carry is Nil, in
//! an array left out.

use crate::event::{Event, Field, Prop, Shape, Vocab};
use crate::folds::short;
use crate::parse::{flag, list, part, text};
use crate::pytext::text_of;
use crate::value::Val;
use compact_str::CompactString;
use serde_json::Value;

/// Characters kept of a text: one event must not swell a state.
const LONGEST: usize = 1_000;

#[derive(Clone, Copy, Debug)]
pub enum Name {
    Id,
    Type,
    CustomerId,
    AnonymousId,
    AccountId,
    Sentiment,
    ScoreNorm,
}

#[derive(Debug)]
pub enum Get {
    Nothing,
    Name(Name),
    /// When it happened, seconds.
    At,
    /// When it is applied, seconds.
    Applied,
    /// Of this type, a field.
    Prop(usize, usize),
    /// A field of a struct in a field.
    Inner(usize, usize, usize),
    Context(usize),
    ContextInner(usize, usize),
}

#[derive(Debug)]
pub enum Many {
    Nothing,
    One(Get, bool),
    Items(usize, usize, bool),
    Each(usize, usize, usize, bool),
}

#[derive(Debug)]
pub enum Pairs {
    Each(usize, usize, usize, usize),
    Crossed(Many, Get),
    Count(Many),
}

fn place(fields: &[Field], name: &str) -> Result<usize, String> {
    fields.iter().position(|field| field.name == name).ok_or_else(|| format!("no field {name:?}"))
}

fn kind(json: &Value, vocab: &Vocab) -> Result<usize, String> {
    let name = text(json, "kind")?;
    vocab.by_name.get(name).copied().ok_or_else(|| format!("no event type {name:?}"))
}

fn inside(shape: &Shape) -> Result<&[Field], String> {
    match shape {
        Shape::Obj(fields) => Ok(fields),
        Shape::List(of) => inside(of),
        _ => Err("a path into something without fields".into()),
    }
}

fn names(json: &Value) -> Result<Vec<&str>, String> {
    list(json, "path")?.iter().map(|name| name.as_str().ok_or_else(|| "a path of texts".to_string())).collect()
}

impl Get {
    pub fn parse(json: &Value, vocab: &Vocab) -> Result<Get, String> {
        Ok(match text(json, "g")? {
            "none" => Get::Nothing,
            "at" => Get::At,
            "t" => Get::Applied,
            "field" => Get::Name(match text(json, "name")? {
                "event_id" => Name::Id,
                "type" => Name::Type,
                "customer_id" => Name::CustomerId,
                "anonymous_id" => Name::AnonymousId,
                "account_id" => Name::AccountId,
                "sentiment" => Name::Sentiment,
                "score_norm" => Name::ScoreNorm,
                other => return Err(format!("a field {other:?} that events do not have")),
            }),
            "prop" => {
                let k = kind(json, vocab)?;
                let fields = &vocab.types[k].fields;
                match names(json)?.as_slice() {
                    [name] => Get::Prop(k, place(fields, name)?),
                    [name, inner] => {
                        let at = place(fields, name)?;
                        Get::Inner(k, at, place(inside(&fields[at].shape)?, inner)?)
                    }
                    _ => return Err("a path of one or two names".into()),
                }
            }
            "context" => match names(json)?.as_slice() {
                [name] => Get::Context(place(&vocab.context, name)?),
                [name, inner] => {
                    let at = place(&vocab.context, name)?;
                    Get::ContextInner(at, place(inside(&vocab.context[at].shape)?, inner)?)
                }
                _ => return Err("a path of one or two names".into()),
            },
            other => return Err(format!("a path {other:?} that is not known")),
        })
    }
}

impl Many {
    pub fn parse(json: &Value, vocab: &Vocab) -> Result<Many, String> {
        Ok(match text(json, "m")? {
            "none" => Many::Nothing,
            "one" => Many::One(Get::parse(part(json, "get")?, vocab)?, flag(json, "cut")?),
            "items" => {
                let k = kind(json, vocab)?;
                Many::Items(k, place(&vocab.types[k].fields, text(json, "field")?)?, flag(json, "cut")?)
            }
            "each" => {
                let k = kind(json, vocab)?;
                let fields = &vocab.types[k].fields;
                let at = place(fields, text(json, "field")?)?;
                let sub = place(inside(&fields[at].shape)?, text(json, "sub")?)?;
                Many::Each(k, at, sub, flag(json, "cut")?)
            }
            other => return Err(format!("paths {other:?} that are not known")),
        })
    }
}

impl Pairs {
    pub fn parse(json: &Value, vocab: &Vocab) -> Result<Pairs, String> {
        Ok(match text(json, "p")? {
            "each" => {
                let k = kind(json, vocab)?;
                let fields = &vocab.types[k].fields;
                let at = place(fields, text(json, "field")?)?;
                let inner = inside(&fields[at].shape)?;
                Pairs::Each(k, at, place(inner, text(json, "key")?)?, place(inner, text(json, "value")?)?)
            }
            "crossed" => {
                Pairs::Crossed(Many::parse(part(json, "keys")?, vocab)?, Get::parse(part(json, "value")?, vocab)?)
            }
            "count" => Pairs::Count(Many::parse(part(json, "keys")?, vocab)?),
            other => return Err(format!("pairs {other:?} that are not known")),
        })
    }
}

/// A property as a value; structs become maps of what they have.
fn val(prop: &Prop, shape: &Shape, e: &Event) -> Val {
    match (prop, shape) {
        (Prop::Nil, _) => Val::Nil,
        (Prop::Str(slice), _) => Val::str(e.get(*slice)),
        (Prop::Num(n), _) => Val::Num(*n),
        (Prop::Bool(b), _) => Val::Bool(*b),
        (Prop::Free(free), _) => (**free).clone(),
        (Prop::List(items), Shape::List(of)) => Val::List(items.iter().map(|item| val(item, of, e)).collect()),
        (Prop::Obj(held), Shape::Obj(fields)) => Val::Map(
            fields
                .iter()
                .zip(held)
                .filter(|(_, prop)| !prop.is_nil())
                .map(|(field, prop)| (Val::str(&field.name), val(prop, &field.shape, e)))
                .collect(),
        ),
        _ => Val::Nil,
    }
}

fn slice(e: &Event, slice: Option<crate::event::Slice>) -> Val {
    slice.map_or(Val::Nil, |found| Val::str(e.get(found)))
}

fn inner(prop: &Prop, field: &Field, sub: usize, e: &Event) -> Val {
    match (prop, &field.shape) {
        (Prop::Obj(held), Shape::Obj(fields)) => val(&held[sub], &fields[sub].shape, e),
        _ => Val::Nil,
    }
}

/// One value of an event applied at `t`; Nil where it carries none.
pub fn get(g: &Get, e: &Event, t: i64, vocab: &Vocab) -> Val {
    match g {
        Get::Nothing => Val::Nil,
        Get::At => Val::Num(e.at as f64 / 1e6),
        Get::Applied => Val::Num(t as f64 / 1e6),
        Get::Name(name) => match name {
            Name::Id => Val::str(e.id()),
            Name::Type => Val::str(&vocab.types[e.kind].name),
            Name::CustomerId if e.known => Val::str(&e.person),
            Name::CustomerId => Val::Nil,
            Name::AnonymousId => slice(e, e.anonymous_id),
            Name::AccountId => slice(e, e.account_id),
            Name::Sentiment => e.sentiment.map_or(Val::Nil, Val::Num),
            Name::ScoreNorm => e.score_norm.map_or(Val::Nil, Val::Num),
        },
        Get::Prop(k, field) if *k == e.kind => {
            val(&e.props[*field], &vocab.types[*k].fields[*field].shape, e)
        }
        Get::Inner(k, field, sub) if *k == e.kind => {
            inner(&e.props[*field], &vocab.types[*k].fields[*field], *sub, e)
        }
        Get::Prop(..) | Get::Inner(..) => Val::Nil,
        Get::Context(field) => match &e.context {
            Some(context) => val(&context[*field], &vocab.context[*field].shape, e),
            None => Val::Nil,
        },
        Get::ContextInner(field, sub) => match &e.context {
            Some(context) => inner(&context[*field], &vocab.context[*field], *sub, e),
            None => Val::Nil,
        },
    }
}

/// A text as much of it as is kept.
fn cut(value: Val) -> Val {
    match value {
        Val::Str(text) if text.len() > LONGEST => Val::Str(text.chars().take(LONGEST).collect()),
        other => other,
    }
}

fn items<'a>(k: usize, field: usize, e: &'a Event) -> &'a [Prop] {
    match e.props.get(field) {
        Some(Prop::List(items)) if k == e.kind => items,
        _ => &[],
    }
}

fn elements(k: usize, field: usize, vocab: &Vocab) -> &[Field] {
    inside(&vocab.types[k].fields[field].shape).unwrap_or(&[])
}

fn sub_of(item: &Prop, fields: &[Field], sub: usize, e: &Event) -> Val {
    match item {
        Prop::Obj(held) => val(&held[sub], &fields[sub].shape, e),
        _ => Val::Nil,
    }
}

/// All values of a path, without the missing ones.
pub fn many(m: &Many, e: &Event, t: i64, vocab: &Vocab) -> Vec<Val> {
    let (found, shorten): (Vec<Val>, bool) = match m {
        Many::Nothing => return Vec::new(),
        Many::One(g, cut) => (vec![get(g, e, t, vocab)], *cut),
        Many::Items(k, field, cut) => {
            let of = match &vocab.types[*k].fields[*field].shape {
                Shape::List(of) => &**of,
                other => other,
            };
            (items(*k, *field, e).iter().map(|item| val(item, of, e)).collect(), *cut)
        }
        Many::Each(k, field, sub, cut) => {
            let fields = elements(*k, *field, vocab);
            (items(*k, *field, e).iter().map(|item| sub_of(item, fields, *sub, e)).collect(), *cut)
        }
    };
    found
        .into_iter()
        .filter(|value| !value.is_nil())
        .map(|value| if shorten { cut(value) } else { value })
        .collect()
}

/// Keys with their values, of the same event and, where both are of one array, of the same element.
pub fn pairs(p: &Pairs, e: &Event, t: i64, vocab: &Vocab) -> Vec<(Val, Val)> {
    match p {
        Pairs::Each(k, field, key, value) => {
            let fields = elements(*k, *field, vocab);
            items(*k, *field, e)
                .iter()
                .map(|item| (sub_of(item, fields, *key, e), sub_of(item, fields, *value, e)))
                .filter(|(key, value)| !key.is_nil() && !value.is_nil())
                .map(|(key, value)| (cut(key), cut(value)))
                .collect()
        }
        Pairs::Crossed(keys, value) => match get(value, e, t, vocab) {
            Val::Nil => Vec::new(),
            value => {
                let value = cut(value);
                many(keys, e, t, vocab).into_iter().map(|key| (key, value.clone())).collect()
            }
        },
        Pairs::Count(keys) => many(keys, e, t, vocab).into_iter().map(|key| (key, Val::Int(1))).collect(),
    }
}

/// `folds.short` of the value at the path; None where the event carries none.
pub fn identity(g: &Get, e: &Event, t: i64, vocab: &Vocab) -> Option<CompactString> {
    match get(g, e, t, vocab) {
        Val::Nil => None,
        value => text_of(&value).map(|text| short(&text)),
    }
}
