//! Bytes in, an event out: `events/decode.py` for events that nothing is unusual about.
//!
//! In: a record's value and when the broker had it. Out: exactly the event that the Python decoder gives, or `None`
//! for all that is wrong or in doubt: the caller asks the Python decoder then, which knows why. One pass; texts are
//! copied once, with the whole value.

use crate::event::{Actor, Event, Field, Kind, Prop, Rule, Shape, Slice, Vocab};
use crate::scan::{time, Scanner, DEPTH};
use std::sync::Arc;

/// Bytes of an id: characters are never more.
const MAX_ID: usize = 512;
/// Bytes of a value: its slices are of 32 bits.
const MAX_BYTES: usize = 1 << 30;
/// The first microsecond of the year 10000.
const LAST: i64 = 253_402_300_800_000_000;

/// Keys of the envelope, as bits: none may come twice.
const EVENT_ID: u32 = 1;
const TYPE: u32 = 2;
const OCCURRED_AT: u32 = 4;
const CUSTOMER_ID: u32 = 8;
const ANONYMOUS_ID: u32 = 16;
const ACCOUNT_ID: u32 = 32;
const PROPERTIES: u32 = 64;
const CONTEXT: u32 = 128;

pub fn decode(value: &[u8], broker_at: i64, vocab: &Vocab) -> Option<Event> {
    if vocab.filtered || value.len() > vocab.max_bytes || value.len() > MAX_BYTES {
        return None;
    }
    let text = std::str::from_utf8(value).ok()?;
    let mut scan = Scanner::new(value);
    let (mut event_id, mut customer_id, mut anonymous_id, mut account_id) = (None, None, None, None);
    let (mut kind, mut at, mut context, mut props) = (None, None, None, None);
    let (mut seen, mut waiting) = (0, None);

    scan.blank();
    scan.eat(b'{')?;
    loop {
        let key = scan.key()?;
        let bit = match key {
            b"event_id" => EVENT_ID,
            b"type" => TYPE,
            b"occurred_at" => OCCURRED_AT,
            b"customer_id" => CUSTOMER_ID,
            b"anonymous_id" => ANONYMOUS_ID,
            b"account_id" => ACCOUNT_ID,
            b"properties" => PROPERTIES,
            b"context" => CONTEXT,
            _ => 0,
        };
        if seen & bit != 0 {
            return None;
        }
        seen |= bit;
        match bit {
            EVENT_ID => event_id = id(&mut scan)?,
            CUSTOMER_ID => customer_id = id(&mut scan)?,
            ANONYMOUS_ID => anonymous_id = id(&mut scan)?,
            ACCOUNT_ID => account_id = id(&mut scan)?,
            TYPE => {
                let name = scan.text()?;
                let name = std::str::from_utf8(scan.get(name)).ok()?;
                let place = *vocab.by_name.get(name)?;
                if !vocab.types[place].plain {
                    return None;
                }
                kind = Some(place);
            }
            OCCURRED_AT => {
                let text = scan.text()?;
                at = Some(time(scan.get(text))?);
            }
            PROPERTIES => {
                if !scan.null()? {
                    match kind {
                        Some(place) => props = Some(object(&mut scan, &vocab.types[place].fields)?),
                        None => {
                            waiting = Some(scan.at);
                            scan.skip(DEPTH)?;
                        }
                    }
                }
            }
            CONTEXT => {
                if !scan.null()? {
                    context = Some(object(&mut scan, &vocab.context)?);
                }
            }
            _ => scan.skip(DEPTH)?,
        }
        if !scan.another(b'}')? {
            break;
        }
    }
    scan.blank();
    if scan.at != value.len() {
        return None;
    }

    let (event_id, place, at): (Slice, usize, i64) = (event_id?, kind?, at?);
    let kind = &vocab.types[place];
    if !(0..LAST).contains(&at) || (broker_at >= 0 && at > broker_at.saturating_add(vocab.max_future)) {
        return None;
    }
    if let Some(begin) = waiting {
        scan.at = begin;
        props = Some(object(&mut scan, &kind.fields)?);
    }
    let person = match (customer_id, anonymous_id) {
        (Some(id), _) => {
            let id = scan.get(id);
            if id.starts_with(b"anon:") {
                return None;
            }
            Arc::from(std::str::from_utf8(id).ok()?)
        }
        (None, Some(id)) => anonymous(std::str::from_utf8(scan.get(id)).ok()?),
        (None, None) => return None,
    };
    let mut arena = String::with_capacity(text.len() + scan.more.len());
    arena.push_str(text);
    arena.push_str(&scan.more);
    let mut event = Event {
        text: arena,
        kind: place,
        at,
        person,
        event_id,
        known: customer_id.is_some(),
        anonymous_id,
        account_id,
        props: props.unwrap_or_else(|| nothing(kind.fields.len())),
        context,
        actor: kind.actor,
        activity: kind.activity,
        sentiment: None,
        score_norm: None,
        unrated: false,
        late: false,
        replay: false,
    };
    enrich(&mut event, kind, vocab)?;
    Some(event)
}

pub fn anonymous(id: &str) -> Arc<str> {
    let mut person = String::with_capacity(5 + id.len());
    person.push_str("anon:");
    person.push_str(id);
    Arc::from(person)
}

/// An id; null and empty are none.
#[inline(always)]
fn id(scan: &mut Scanner) -> Option<Option<Slice>> {
    if scan.null()? {
        return Some(None);
    }
    let id = scan.text()?;
    if id.len as usize > MAX_ID {
        return None;
    }
    Some(if id.len == 0 { None } else { Some(id) })
}

#[inline(always)]
fn nothing(fields: usize) -> Vec<Prop> {
    let mut found = Vec::with_capacity(fields);
    found.resize_with(fields, || Prop::Nil);
    found
}

fn object(scan: &mut Scanner, fields: &[Field]) -> Option<Vec<Prop>> {
    let mut found = nothing(fields.len());
    scan.eat(b'{')?;
    if scan.peek() == b'}' {
        scan.at += 1;
        return Some(found);
    }
    let (mut seen, mut next) = (0u64, 0);
    loop {
        let key = scan.key()?;
        match find(fields, key, next) {
            Some(place) => {
                if seen >> place & 1 != 0 {
                    return None;
                }
                seen |= 1 << place;
                next = place + 1;
                if !scan.null()? {
                    found[place] = property(scan, &fields[place])?;
                }
            }
            None => scan.skip(DEPTH)?,
        }
        if !scan.another(b'}')? {
            return Some(found);
        }
    }
}

/// The place of a field; senders mostly keep to an order, so look first behind the last one.
#[inline(always)]
fn find(fields: &[Field], key: &[u8], next: usize) -> Option<usize> {
    if let Some(field) = fields.get(next) {
        if field.name.as_bytes() == key {
            return Some(next);
        }
    }
    fields.iter().position(|field| field.name.as_bytes() == key)
}

fn property(scan: &mut Scanner, field: &Field) -> Option<Prop> {
    let found = shaped(scan, &field.shape)?;
    match &found {
        Prop::Num(value) if field.least.is_some_and(|least| *value < least) => return None,
        Prop::Num(value) if field.most.is_some_and(|most| *value > most) => return None,
        // Bytes, where characters count: who has more bytes is looked at in Python.
        Prop::Str(text) if field.longest.is_some_and(|longest| text.len as usize > longest) => return None,
        _ => {}
    }
    Some(found)
}

fn shaped(scan: &mut Scanner, shape: &Shape) -> Option<Prop> {
    Some(match shape {
        Shape::Str => Prop::Str(scan.text()?),
        Shape::Num => Prop::Num(scan.number()?),
        Shape::OneOf(texts) => {
            let text = scan.text()?;
            let came = scan.get(text);
            if !texts.iter().any(|each| each.as_bytes() == came) {
                return None;
            }
            Prop::Str(text)
        }
        Shape::Bool => {
            let yes = scan.peek() == b't';
            scan.word(if yes { b"true" } else { b"false" })?;
            Prop::Bool(yes)
        }
        Shape::Time => {
            let text = scan.text()?;
            // Exact as a double, as the years are few; so is Python's quotient.
            Prop::Num(time(scan.get(text))? as f64 / 1e6)
        }
        Shape::Obj(fields) => Prop::Obj(object(scan, fields)?),
        Shape::List(item) => {
            let mut items = Vec::new();
            scan.eat(b'[')?;
            if scan.peek() == b']' {
                scan.at += 1;
                return Some(Prop::List(items));
            }
            loop {
                items.push(shaped(scan, item)?);
                if !scan.another(b']')? {
                    break;
                }
            }
            Prop::List(items)
        }
        Shape::Other => return None,
    })
}

/// What the properties imply: `events/derive.py`.
#[inline]
fn enrich(event: &mut Event, kind: &Kind, vocab: &Vocab) -> Option<()> {
    if let (Some(place), Some(ours)) = (kind.money, &vocab.currency) {
        if said(event, place).is_some_and(|currency| currency != ours) {
            return None;
        }
    }
    match kind.rule {
        Rule::Nothing => {}
        Rule::Always(sentiment) => event.sentiment = Some(sentiment),
        Rule::TicketKind(place) => {
            if said(event, place) == Some("complaint") {
                event.sentiment = Some(-0.5);
            }
        }
        Rule::TicketRating(place) => {
            (event.sentiment, event.score_norm) = match said(event, place) {
                Some("good") => (Some(1.0), Some(1.0)),
                Some("bad") => (Some(-1.0), Some(0.0)),
                _ => (None, None),
            }
        }
        Rule::Stars(place) => {
            if let Some(rating) = number(event, place) {
                let norm = (rating - 1.0) / 4.0;
                (event.sentiment, event.score_norm) = (Some(norm * 2.0 - 1.0), Some(norm));
            }
        }
        Rule::Survey { score, kind, low, high } => {
            if let Some(score) = number(event, score) {
                return survey(event, score, kind, number(event, low), number(event, high), vocab);
            }
        }
        Rule::Author(place) => {
            event.actor = match said(event, place) {
                Some("agent") => Actor::Company,
                Some("bot") => Actor::System,
                _ => Actor::Customer,
            };
            event.activity = kind.activity && event.actor == Actor::Customer;
        }
        Rule::Direction(place) => {
            let out = said(event, place) == Some("outbound");
            event.actor = if out { Actor::Company } else { Actor::Customer };
            event.activity = kind.activity && !out;
        }
    }
    Some(())
}

fn survey(
    event: &mut Event,
    score: f64,
    kind: usize,
    low: Option<f64>,
    high: Option<f64>,
    vocab: &Vocab,
) -> Option<()> {
    let kind = said(event, kind);
    let (nps, ces) = (kind == Some("nps"), kind == Some("ces"));
    let usual = |nps_end, end| kind.map(|_| if nps { nps_end } else { end });
    let (Some(low), Some(high)) = (low.or(usual(0.0, 1.0)), high.or(usual(10.0, 5.0))) else {
        return Some(());
    };
    if !(low < high && low <= score && score <= high) {
        return None;
    }
    let norm = (score - low) / (high - low);
    let (sentiment, norm) = if nps {
        let points = if low == 0.0 && high == 10.0 { score } else { norm * 10.0 };
        let sentiment = if points >= 9.0 {
            1.0
        } else if points >= 7.0 {
            0.0
        } else {
            -1.0
        };
        (sentiment, norm)
    } else if ces && !vocab.ces_high_is_easy {
        (1.0 - norm * 2.0, 1.0 - norm)
    } else {
        (norm * 2.0 - 1.0, norm)
    };
    (event.sentiment, event.score_norm) = (Some(sentiment), Some(norm));
    Some(())
}

fn said(event: &Event, place: usize) -> Option<&str> {
    match event.props[place] {
        Prop::Str(text) => Some(event.get(text)),
        _ => None,
    }
}

fn number(event: &Event, place: usize) -> Option<f64> {
    match event.props[place] {
        Prop::Num(value) => Some(value),
        _ => None,
    }
}
