//! An event: what the decoder gives and the engine works on.
//!
//! All texts stand in one arena (`text`); fields are slices of it. `props` has one entry per field of the type's
//! properties struct, in the order of the vocabulary's description; `context` likewise, with `campaign` in it.

use crate::from_python::Attributes;
use crate::value::Val;
use std::sync::{Arc, OnceLock};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slice {
    pub at: u32,
    pub len: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Prop {
    Nil,
    Str(Slice),
    Num(f64),
    Bool(bool),
    List(Vec<Prop>),
    /// A nested struct: one entry per field.
    Obj(Vec<Prop>),
    /// A free-form map; only in events that the Python decoder read.
    Free(Box<Val>),
}

impl Prop {
    pub fn is_nil(&self) -> bool {
        matches!(self, Prop::Nil)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Actor {
    Customer = 0,
    Company = 1,
    System = 2,
}

#[derive(Clone, Debug)]
pub struct Event {
    pub text: String,
    /// Index of the type in `Vocab.types`.
    pub kind: usize,
    pub at: i64,
    pub person: Arc<str>,
    pub event_id: Slice,
    /// Whether it came with a customer_id (which is the person then).
    pub known: bool,
    pub anonymous_id: Option<Slice>,
    pub account_id: Option<Slice>,
    pub props: Vec<Prop>,
    pub context: Option<Vec<Prop>>,
    pub actor: Actor,
    pub activity: bool,
    pub sentiment: Option<f64>,
    pub score_norm: Option<f64>,
    pub unrated: bool,
    pub late: bool,
    pub replay: bool,
}

impl Event {
    #[inline]
    pub fn get(&self, slice: Slice) -> &str {
        &self.text[slice.at as usize..(slice.at + slice.len) as usize]
    }
    pub fn id(&self) -> &str {
        self.get(self.event_id)
    }
}

/// What one field of a properties struct holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    Str,
    /// One of these texts.
    OneOf(Vec<String>),
    Num,
    Bool,
    /// RFC 3339 on the wire, seconds since the epoch here.
    Time,
    /// A list of such.
    List(Box<Shape>),
    /// A nested struct.
    Obj(Vec<Field>),
    /// Anything else: an event that carries it is left to the Python decoder.
    Other,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: String,
    /// Its attribute in Python: `from_` for `from`.
    pub attribute: String,
    pub shape: Shape,
    /// Least and greatest of a number, both included.
    pub least: Option<f64>,
    pub most: Option<f64>,
    /// The most characters of a text.
    pub longest: Option<usize>,
}

#[derive(Clone, Debug)]
pub struct Kind {
    pub name: String,
    pub actor: Actor,
    pub activity: bool,
    pub fields: Vec<Field>,
    /// The decoder may read it (no schema of its own, nothing it does not know).
    pub plain: bool,
    /// Amounts are in a currency that may have to be converted: the place of the field that names it.
    pub money: Option<usize>,
    pub rule: Rule,
}

/// What the properties of a type imply (`events/derive.py`); the numbers are places of fields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    Nothing,
    /// This sentiment, whatever it says.
    Always(f64),
    Survey {
        score: usize,
        kind: usize,
        low: usize,
        high: usize,
    },
    Stars(usize),
    TicketRating(usize),
    TicketKind(usize),
    /// Whose act it was.
    Author(usize),
    Direction(usize),
}

#[derive(Clone, Debug, Default)]
pub struct Vocab {
    pub types: Vec<Kind>,
    pub by_name: std::collections::HashMap<String, usize, ahash::RandomState>,
    pub context: Vec<Field>,
    pub max_bytes: usize,
    /// How far ahead of its broker's time an event may be, microseconds.
    pub max_future: i64,
    /// The deployment's currency, if it has any.
    pub currency: Option<String>,
    pub ces_high_is_easy: bool,
    /// It has filters: every event is left to the Python decoder.
    pub filtered: bool,
    /// Names for looking into structs of Python, made when first needed.
    pub attributes: Arc<OnceLock<Attributes>>,
}
