//! Paths into an event: `engine/paths.py`, with the names resolved to places of the vocabulary.
//!
//! In: the description of a getter (`{"g": ...}`, `{"m": ...}`, `{"p": ...}`) and the vocabulary. Out: values of
//! an event. What an event does not carry is `Val::Nil`, in an array left out; a struct becomes a map of its
//! wire names without the missing ones, which is how it is written.

use crate::event::{Event, Field, Prop, Shape, Vocab};
use crate::expr_ops::{View, V};
use crate::expr_text::python_repr;
use crate::folds::short;
use crate::value::Val;
use compact_str::CompactString;
use serde_json::Value as Json;

/// Characters kept of a text: one event must not swell a state.
const LONGEST: usize = 1_000;

#[derive(Debug)]
pub enum Get {
    Nothing,
    EventId,
    Type,
    CustomerId,
    AnonymousId,
    AccountId,
    Sentiment,
    ScoreNorm,
    At,
    T,
    /// A property of this type: its place, the place of the field.
    Prop(usize, usize),
    Deep(Deep),
}

/// A path of several steps, or one to structs.
#[derive(Debug)]
pub struct Deep {
    /// The type whose property it is; None: it is in the context.
    kind: Option<usize>,
    places: Vec<usize>,
    shape: Shape,
}

#[derive(Debug)]
pub enum Many {
    Nothing,
    One { get: Get, cut: bool },
    Items { kind: usize, place: usize, shape: Shape, cut: bool },
    Each { kind: usize, place: usize, sub: usize, shape: Shape, cut: bool },
}

#[derive(Debug)]
pub enum Pairs {
    Each { kind: usize, place: usize, key: (usize, Shape), value: (usize, Shape) },
    Crossed { keys: Many, value: Get },
    Count(Many),
}

fn text<'j>(json: &'j Json, name: &str) -> Result<&'j str, String> {
    json[name].as_str().ok_or_else(|| format!("no `{name}` in {json}"))
}

fn names(json: &Json) -> Result<Vec<&str>, String> {
    let found = json["path"].as_array().map(|each| each.iter().filter_map(Json::as_str).collect());
    found.ok_or_else(|| format!("no `path` in {json}"))
}

fn place(fields: &[Field], name: &str) -> Result<usize, String> {
    fields.iter().position(|each| each.name == name).ok_or_else(|| format!("no field `{name}`"))
}

/// The type that is named, and its fields.
fn typed<'v>(json: &Json, vocab: &'v Vocab) -> Result<(usize, &'v [Field]), String> {
    let name = text(json, "kind")?;
    let at = vocab.by_name.get(name).ok_or_else(|| format!("no event type `{name}`"))?;
    Ok((*at, &vocab.types[*at].fields))
}

fn resolve(first: &[Field], path: &[&str]) -> Result<(Vec<usize>, Shape), String> {
    let mut shape = Shape::Obj(first.to_vec());
    let mut places = vec![];
    for name in path {
        let Shape::Obj(fields) = &shape else { return Err(format!("nothing is in `{name}`'s owner")) };
        let at = place(fields, name)?;
        places.push(at);
        shape = fields[at].shape.clone();
    }
    Ok((places, shape))
}

fn structured(shape: &Shape) -> bool {
    match shape {
        Shape::Obj(_) => true,
        Shape::List(item) => structured(item),
        _ => false,
    }
}

impl Get {
    pub fn parse(json: &Json, vocab: &Vocab) -> Result<Get, String> {
        Ok(match text(json, "g")? {
            "none" => Get::Nothing,
            "at" => Get::At,
            "t" => Get::T,
            "field" => match text(json, "name")? {
                "event_id" => Get::EventId,
                "type" => Get::Type,
                "customer_id" => Get::CustomerId,
                "anonymous_id" => Get::AnonymousId,
                "account_id" => Get::AccountId,
                "sentiment" => Get::Sentiment,
                "score_norm" => Get::ScoreNorm,
                other => return Err(format!("no field `{other}`")),
            },
            "prop" => {
                let (kind, fields) = typed(json, vocab)?;
                let (places, shape) = resolve(fields, &names(json)?)?;
                match places[..] {
                    [place] if !structured(&shape) => Get::Prop(kind, place),
                    _ => Get::Deep(Deep { kind: Some(kind), places, shape }),
                }
            }
            "context" => {
                let (places, shape) = resolve(&vocab.context, &names(json)?)?;
                Get::Deep(Deep { kind: None, places, shape })
            }
            other => return Err(format!("no getter `{other}`")),
        })
    }

    /// The getter of an id: refused where Python would write a list or a struct as text.
    pub fn parse_id(json: &Json, vocab: &Vocab) -> Result<Get, String> {
        let shape = match json["g"].as_str() {
            Some("prop") => resolve(typed(json, vocab)?.1, &names(json)?)?.1,
            Some("context") => resolve(&vocab.context, &names(json)?)?.1,
            _ => Shape::Str,
        };
        match shape {
            Shape::List(_) | Shape::Obj(_) | Shape::Other => Err(format!("no id: {json}")),
            _ => Get::parse(json, vocab),
        }
    }
}

impl Many {
    pub fn parse(json: &Json, vocab: &Vocab) -> Result<Many, String> {
        let cut = json["cut"].as_bool().unwrap_or(false);
        Ok(match text(json, "m")? {
            "none" => Many::Nothing,
            "one" => Many::One { get: Get::parse(&json["get"], vocab)?, cut },
            "items" => {
                let (kind, place, shape) = array(json, vocab)?;
                Many::Items { kind, place, shape: shape.clone(), cut }
            }
            "each" => {
                let (kind, place, item) = array(json, vocab)?;
                let (sub, shape) = sub(item, text(json, "sub")?)?;
                Many::Each { kind, place, sub, shape, cut }
            }
            other => return Err(format!("no values `{other}`")),
        })
    }
}

/// An array of a type's properties: type, place, what is in it.
fn array<'v>(json: &Json, vocab: &'v Vocab) -> Result<(usize, usize, &'v Shape), String> {
    let (kind, all) = typed(json, vocab)?;
    let at = place(all, text(json, "field")?)?;
    match &all[at].shape {
        Shape::List(item) => Ok((kind, at, item)),
        _ => Err(format!("no array: {json}")),
    }
}

fn sub(item: &Shape, name: &str) -> Result<(usize, Shape), String> {
    let Shape::Obj(fields) = item else { return Err(format!("`{name}` is in no struct")) };
    let at = place(fields, name)?;
    Ok((at, fields[at].shape.clone()))
}

impl Pairs {
    pub fn parse(json: &Json, vocab: &Vocab) -> Result<Pairs, String> {
        Ok(match text(json, "p")? {
            "each" => {
                let (kind, place, item) = array(json, vocab)?;
                Pairs::Each {
                    kind,
                    place,
                    key: sub(item, text(json, "key")?)?,
                    value: sub(item, text(json, "value")?)?,
                }
            }
            "crossed" => Pairs::Crossed {
                keys: Many::parse(&json["keys"], vocab)?,
                value: Get::parse(&json["value"], vocab)?,
            },
            "count" => Pairs::Count(Many::parse(&json["keys"], vocab)?),
            other => return Err(format!("no pairs `{other}`")),
        })
    }
}

/// A property as a value of the state; structs as maps.
pub fn value(prop: &Prop, shape: &Shape, e: &Event) -> Val {
    match (prop, shape) {
        (Prop::Nil, _) => Val::Nil,
        (Prop::Str(slice), _) => Val::str(e.get(*slice)),
        (Prop::Num(n), _) => Val::Num(*n),
        (Prop::Bool(b), _) => Val::Bool(*b),
        (Prop::Free(free), _) => (**free).clone(),
        (Prop::List(items), Shape::List(item)) => {
            Val::List(items.iter().map(|p| value(p, item, e)).collect())
        }
        (Prop::List(items), _) => Val::List(items.iter().map(|p| value(p, &Shape::Other, e)).collect()),
        (Prop::Obj(props), Shape::Obj(fields)) => {
            let carried = fields.iter().zip(props).filter(|(_, prop)| !prop.is_nil());
            Val::Map(carried.map(|(f, prop)| (Val::str(&f.name), value(prop, &f.shape, e))).collect())
        }
        (Prop::Obj(_), _) => Val::Nil,
    }
}

#[inline]
fn leaf<'a>(prop: &'a Prop, shape: &Shape, e: &'a Event) -> V<'a> {
    match prop {
        Prop::Str(slice) => V::Str(e.get(*slice)),
        Prop::Num(n) => V::Own(Val::Num(*n)),
        Prop::Bool(b) => V::Own(Val::Bool(*b)),
        Prop::Free(free) => V::Ref(free),
        _ => V::Own(value(prop, shape, e)),
    }
}

/// A field of a struct, by its name.
pub fn inside<'a>(prop: &'a Prop, shape: &Shape, name: &str, e: &'a Event) -> V<'a> {
    let (Prop::Obj(props), Shape::Obj(fields)) = (prop, shape) else { return V::NIL };
    let at = fields.iter().position(|field| field.name == name);
    at.map_or(V::NIL, |at| props.get(at).map_or(V::NIL, |prop| leaf(prop, &fields[at].shape, e)))
}

/// The structs of an array property, as they are in the event.
pub fn structs<'a>(g: &'a Get, e: &'a Event) -> Option<(&'a [Prop], &'a Shape)> {
    match g {
        Get::Deep(Deep { kind: Some(kind), places, shape: Shape::List(item) }) => match places[..] {
            [place] if *kind == e.kind => match e.props.get(place) {
                Some(Prop::List(items)) => Some((items, item)),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

fn optional<'a>(text: Option<&'a str>) -> V<'a> {
    text.map_or(V::NIL, V::Str)
}

fn number<'a>(n: Option<f64>) -> V<'a> {
    n.map_or(V::NIL, |n| V::Own(Val::Num(n)))
}

/// `get` without a copy of texts.
#[inline]
pub fn look<'a>(g: &Get, e: &'a Event, t: i64, v: &'a Vocab) -> V<'a> {
    match g {
        Get::Prop(kind, place) if *kind == e.kind => {
            e.props.get(*place).map_or(V::NIL, |prop| leaf(prop, &Shape::Other, e))
        }
        Get::Nothing | Get::Prop(..) => V::NIL,
        Get::EventId => V::Str(e.id()),
        Get::Type => V::Str(&v.types[e.kind].name),
        Get::CustomerId => optional(e.known.then_some(&*e.person)),
        Get::AnonymousId => optional(e.anonymous_id.map(|s| e.get(s))),
        Get::AccountId => optional(e.account_id.map(|s| e.get(s))),
        Get::Sentiment => number(e.sentiment),
        Get::ScoreNorm => number(e.score_norm),
        Get::At => number(Some(e.at as f64 / 1e6)),
        Get::T => number(Some(t as f64 / 1e6)),
        Get::Deep(deep) => deep_look(deep, e),
    }
}

fn deep_look<'a>(deep: &Deep, e: &'a Event) -> V<'a> {
    let whole = match deep.kind {
        None => e.context.as_ref(),
        Some(kind) if kind == e.kind => Some(&e.props),
        Some(_) => None,
    };
    let Some(mut props) = whole else { return V::NIL };
    let Some((last, before)) = deep.places.split_last() else {
        let Shape::Obj(fields) = &deep.shape else { return V::NIL };
        let carried = fields.iter().zip(props).filter(|(_, prop)| !prop.is_nil());
        let map = carried.map(|(f, prop)| (Val::str(&f.name), value(prop, &f.shape, e))).collect();
        return V::Own(Val::Map(map));
    };
    for place in before {
        match props.get(*place) {
            Some(Prop::Obj(inner)) => props = inner,
            _ => return V::NIL,
        }
    }
    props.get(*last).map_or(V::NIL, |prop| leaf(prop, &deep.shape, e))
}

/// One value of an event applied at `t`; Nil where it carries none.
pub fn get(g: &Get, e: &Event, t: i64, v: &Vocab) -> Val {
    look(g, e, t, v).own()
}

fn shortened(text: &str) -> &str {
    if text.len() <= LONGEST {
        return text;
    }
    text.char_indices().nth(LONGEST).map_or(text, |(at, _)| &text[..at])
}

/// The first 1000 characters of a text, anything else as it is.
pub fn cut(value: V) -> Val {
    match value.view() {
        View::Str(text) => Val::str(shortened(text)),
        _ => value.own(),
    }
}

fn kept(value: V, short: bool) -> Val {
    if short {
        cut(value)
    } else {
        value.own()
    }
}

fn items(e: &Event, kind: usize, place: usize) -> &[Prop] {
    match e.props.get(place) {
        Some(Prop::List(items)) if kind == e.kind => items,
        _ => &[],
    }
}

fn field(item: &Prop, place: usize) -> Option<&Prop> {
    match item {
        Prop::Obj(props) => props.get(place).filter(|prop| !prop.is_nil()),
        _ => None,
    }
}

/// All values of a path, without the missing ones.
pub fn many(m: &Many, e: &Event, t: i64, v: &Vocab) -> Vec<Val> {
    match m {
        Many::Nothing => vec![],
        Many::One { get, cut } => {
            let found = look(get, e, t, v);
            if found.is_nil() {
                return vec![];
            }
            vec![kept(found, *cut)]
        }
        Many::Items { kind, place, shape, cut } => {
            let carried = items(e, *kind, *place).iter().filter(|item| !item.is_nil());
            carried.map(|item| kept(leaf(item, shape, e), *cut)).collect()
        }
        Many::Each { kind, place, sub, shape, cut } => {
            let carried = items(e, *kind, *place).iter().filter_map(|item| field(item, *sub));
            carried.map(|prop| kept(leaf(prop, shape, e), *cut)).collect()
        }
    }
}

/// Keys with their values.
pub fn pairs(p: &Pairs, e: &Event, t: i64, v: &Vocab) -> Vec<(Val, Val)> {
    match p {
        Pairs::Each { kind, place, key, value } => items(e, *kind, *place)
            .iter()
            .filter_map(|item| {
                let (k, v) = (field(item, key.0)?, field(item, value.0)?);
                Some((cut(leaf(k, &key.1, e)), cut(leaf(v, &value.1, e))))
            })
            .collect(),
        Pairs::Crossed { keys, value } => {
            let found = look(value, e, t, v);
            if found.is_nil() {
                return vec![];
            }
            let amount = cut(found);
            many(keys, e, t, v).into_iter().map(|key| (key, amount.clone())).collect()
        }
        Pairs::Count(keys) => many(keys, e, t, v).into_iter().map(|key| (key, Val::Int(1))).collect(),
    }
}

/// `folds.short` of the value at the path; None where the event carries none.
pub fn identity(g: &Get, e: &Event, t: i64, v: &Vocab) -> Option<CompactString> {
    let found = look(g, e, t, v);
    match found.view() {
        View::Nil => None,
        View::Str(text) => Some(short(text)),
        View::Bool(b) => Some(CompactString::const_new(if b { "True" } else { "False" })),
        View::Num(n) => Some(CompactString::new(python_repr(n))),
        View::Int(i) => Some(CompactString::new(i.to_string())),
        // Refused by `Get::parse_id`.
        _ => None,
    }
}
