//! The vocabulary as the decoder needs it.
//!
//! In: the JSON of `events/described.py`. Out: a `Vocab`. What a type implies (`Rule`) is known by its name, as in
//! `events/derive.py`; a type that lacks a field its rule asks for is left to the Python decoder.

use crate::event::{Actor, Field, Kind, Rule, Shape, Vocab};
use serde_json::Value;

/// Fields of one struct at most: the decoder marks in 64 bits which came.
pub const MOST_FIELDS: usize = 64;

impl Vocab {
    pub fn parse(described: &Value) -> Result<Vocab, String> {
        let mut vocab = Vocab {
            context: fields(&described["context"])?,
            max_bytes: int(described, "max_bytes")? as usize,
            max_future: int(described, "max_future")?,
            currency: described["currency"].as_str().map(str::to_string),
            ces_high_is_easy: flag(described, "ces_high_is_easy")?,
            filtered: flag(described, "filtered")?,
            ..Vocab::default()
        };
        for (place, each) in list(described, "types")?.iter().enumerate() {
            for spelling in list(each, "spellings")? {
                let spelling = spelling.as_str().ok_or("a spelling that is no text")?;
                vocab.by_name.insert(spelling.to_string(), place);
            }
            vocab.types.push(kind(each)?);
        }
        Ok(vocab)
    }
}

fn kind(described: &Value) -> Result<Kind, String> {
    let name = text(described, "name")?;
    let fields = fields(&described["fields"])?;
    let rule = rule(&name, &fields);
    let money = flag(described, "money")?;
    let currency = place(&fields, "currency");
    let plain = flag(described, "plain")? && rule.is_some() && !(money && currency.is_none());
    Ok(Kind {
        actor: match text(described, "actor")?.as_str() {
            "customer" => Actor::Customer,
            "company" => Actor::Company,
            "system" => Actor::System,
            other => return Err(format!("no actor is called {other:?}")),
        },
        activity: flag(described, "activity")?,
        plain,
        money: if money { currency } else { None },
        rule: rule.unwrap_or(Rule::Nothing),
        name,
        fields,
    })
}

fn place(fields: &[Field], name: &str) -> Option<usize> {
    fields.iter().position(|field| field.name == name)
}

fn rule(name: &str, fields: &[Field]) -> Option<Rule> {
    let at = |name| place(fields, name);
    Some(match name {
        "survey_responded" => Rule::Survey {
            score: at("score")?,
            kind: at("survey_type")?,
            low: at("scale_min")?,
            high: at("scale_max")?,
        },
        "product_reviewed" => Rule::Stars(at("rating")?),
        "ticket_rated" => Rule::TicketRating(at("score")?),
        "ticket_created" => Rule::TicketKind(at("kind")?),
        "ticket_reopened" => Rule::Always(-0.5),
        "checkout_failed" => Rule::Always(-0.3),
        "ticket_replied" => Rule::Author(at("author")?),
        "call_made" => Rule::Direction(at("direction")?),
        _ => Rule::Nothing,
    })
}

fn fields(described: &Value) -> Result<Vec<Field>, String> {
    let described = described.as_array().ok_or("no list of fields")?;
    if described.len() > MOST_FIELDS {
        return Err(format!("more than {MOST_FIELDS} fields"));
    }
    described
        .iter()
        .map(|each| {
            Ok(Field {
                name: text(each, "name")?,
                attribute: text(each, "attribute")?,
                shape: shape(each)?,
                least: each["least"].as_f64(),
                most: each["most"].as_f64(),
                longest: each["longest"].as_u64().map(|longest| longest as usize),
            })
        })
        .collect()
}

fn shape(described: &Value) -> Result<Shape, String> {
    Ok(match text(described, "shape")?.as_str() {
        "str" => Shape::Str,
        "one_of" => Shape::OneOf(
            list(described, "texts")?
                .iter()
                .map(|each| each.as_str().map(str::to_string).ok_or("a word that is no text".to_string()))
                .collect::<Result<_, _>>()?,
        ),
        "num" => Shape::Num,
        "bool" => Shape::Bool,
        "time" => Shape::Time,
        "list" => Shape::List(Box::new(shape(&described["of"])?)),
        "obj" => Shape::Obj(fields(&described["fields"])?),
        "other" => Shape::Other,
        other => return Err(format!("no shape is called {other:?}")),
    })
}

fn text(described: &Value, name: &str) -> Result<String, String> {
    described[name].as_str().map(str::to_string).ok_or(format!("expected a text: {name}"))
}

fn int(described: &Value, name: &str) -> Result<i64, String> {
    described[name].as_i64().filter(|value| *value >= 0).ok_or(format!("expected a whole number: {name}"))
}

fn flag(described: &Value, name: &str) -> Result<bool, String> {
    described[name].as_bool().ok_or(format!("expected true or false: {name}"))
}

fn list<'a>(described: &'a Value, name: &str) -> Result<&'a Vec<Value>, String> {
    described[name].as_array().ok_or(format!("expected a list: {name}"))
}
