//! Who a customer is, whether we may write to them, how often we did: `engine/profile.py`.
//!
//! In: customer and event. Out: the customer changed in place.

use crate::customer::Customer;
use crate::event::{Event, Field, Kind, Prop, Vocab};
use compact_str::CompactString;

const DAY: i64 = 86_400_000_000;
const CHANNELS: [&str; 5] = ["email", "sms", "push", "call", "post"];
const YES: i64 = 1;
const NO: i64 = 2;
const MESSAGES_KEPT: usize = 5;

/// What an event type changes beyond what every event does, with the fields it reads.
pub enum Update {
    Sent,
    Consent { purpose: usize, channel: usize, status: usize },
    Unsubscribed { channel: usize },
    Refused { channel: usize },
}

impl Update {
    pub fn parse(kind: &Kind) -> Result<Update, String> {
        let field = |name: &str| place(&kind.fields, name);
        Ok(match kind.name.as_str() {
            "message_sent" => Update::Sent,
            "consent_changed" => Update::Consent {
                purpose: field("purpose")?,
                channel: field("channel")?,
                status: field("status")?,
            },
            "unsubscribed" => Update::Unsubscribed { channel: field("channel")? },
            "message_bounced" | "message_complained" => Update::Refused { channel: field("channel")? },
            other => return Err(format!("no profile update of {other}")),
        })
    }
}

pub fn place(fields: &[Field], name: &str) -> Result<usize, String> {
    fields.iter().position(|f| f.name == name).ok_or_else(|| format!("no field {name}"))
}

/// Places of the fields of `context` that a profile keeps.
pub struct ContextPlaces {
    pub locale: usize,
    pub country: usize,
    pub timezone: usize,
    pub test: usize,
}

impl ContextPlaces {
    pub fn of(vocab: &Vocab) -> Result<ContextPlaces, String> {
        let field = |name: &str| place(&vocab.context, name);
        Ok(ContextPlaces {
            locale: field("locale")?,
            country: field("country")?,
            timezone: field("timezone")?,
            test: field("test")?,
        })
    }
}

fn text<'a>(e: &'a Event, prop: &Prop) -> Option<&'a str> {
    match prop {
        Prop::Str(slice) => Some(e.get(*slice)),
        _ => None,
    }
}

fn keep(held: &mut Option<CompactString>, found: Option<&str>) {
    if let Some(found) = found {
        if held.as_deref() != Some(found) {
            *held = Some(CompactString::new(found));
        }
    }
}

pub fn update_profile(c: &mut Customer, e: &Event, t: i64, silences: &[i64], places: &ContextPlaces) {
    if e.activity {
        let quiet = t - c.active;
        for (place, silence) in silences.iter().enumerate() {
            if quiet > *silence {
                c.sessions[place] = t;
            }
        }
        c.active = t;
    }
    if let Some(anonymous) = e.anonymous_id {
        if c.known {
            keep(&mut c.anonymous_id, Some(e.get(anonymous)));
        }
    }
    if let Some(account) = e.account_id {
        keep(&mut c.account_id, Some(e.get(account)));
    }
    if let Some(context) = &e.context {
        keep(&mut c.locale, text(e, &context[places.locale]));
        keep(&mut c.country, text(e, &context[places.country]));
        keep(&mut c.timezone, text(e, &context[places.timezone]));
        if let Prop::Bool(test) = context[places.test] {
            c.test = test;
        }
    }
}

fn set(c: &mut Customer, channel: Option<&str>, answer: i64, otherwise: &[&str]) {
    let single;
    let names: &[&str] = match channel {
        None => otherwise,
        Some(name) => {
            single = [name];
            &single
        }
    };
    for name in names {
        if let Some(place) = CHANNELS.iter().position(|channel| channel == name) {
            let shift = 2 * place;
            c.consent = c.consent & !(3 << shift) | answer << shift;
        }
    }
}

pub fn apply(update: &Update, c: &mut Customer, e: &Event, t: i64) {
    match update {
        Update::Sent => {
            c.messages.push(t);
            let gone = c.messages.len().saturating_sub(MESSAGES_KEPT);
            c.messages.drain(..gone);
        }
        Update::Consent { purpose, channel, status } => {
            let purpose = text(e, &e.props[*purpose]);
            let channel = text(e, &e.props[*channel]);
            let marketing = purpose.is_none() || purpose == Some("marketing");
            match text(e, &e.props[*status]) {
                Some("granted") if marketing => {
                    set(c, channel, YES, &CHANNELS);
                }
                Some(_) if marketing || channel.is_some() => set(c, channel, NO, &CHANNELS),
                _ => {}
            }
        }
        Update::Unsubscribed { channel } => set(c, text(e, &e.props[*channel]), NO, &CHANNELS),
        Update::Refused { channel } => set(c, text(e, &e.props[*channel]), NO, &["email"]),
    }
}

/// More than four marketing messages in the last seven days, or more than one in the last.
pub fn over_contacted(c: &Customer, t: i64) -> bool {
    let sent = c.messages.len();
    (sent > 1 && c.messages[sent - 2] > t - DAY) || (sent > 4 && c.messages[sent - 5] > t - 7 * DAY)
}
