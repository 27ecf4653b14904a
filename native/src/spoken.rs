//! What records of one event say alike, written once: who, and why. (`record.Said` is written when it is said.)
//!
//! In: the shared parts of records. Out: the bytes of their JSON, kept as long as the next record says the same.

use crate::batch::{put_header, put_varint};
use crate::json;
use crate::record::About;
use crate::value::Res;
use std::sync::Arc;

const CHANNELS: [&str; 5] = ["email", "sms", "push", "call", "post"];
const WORDS: [&str; 4] = ["unknown", "yes", "no", "unknown"];

/// May we write to this person, per channel? Channel and answer (`profile.contactable`).
pub fn contactable(consent: i64) -> impl Iterator<Item = (&'static str, &'static str)> {
    (0..).zip(CHANNELS).map(move |(place, channel)| (channel, WORDS[(consent >> (2 * place) & 3) as usize]))
}

/// Scratch of one batch of records: what was said last is kept as bytes, by who said it.
#[derive(Default)]
pub struct Spoken {
    about: Option<Arc<About>>,
    /// `"customer_id":..,"anonymous_id":..,"account_id":..,`
    pub who: Vec<u8>,
    /// `"cause":{..},`
    pub cause: Vec<u8>,
    /// `"contactable":{..},.."timezone":..,"late":`
    pub rest: Vec<u8>,
    /// `"test":..,"replay":..`
    pub tail: Vec<u8>,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    /// The headers of this record alone.
    pub head: Vec<u8>,
    /// The record's time, without quotes.
    pub time: Vec<u8>,
    time_of: Option<i64>,
    /// When the last one was decided, in quotes: mostly all of a batch at once.
    decided: Vec<u8>,
    decided_of: Option<i64>,
}

impl Spoken {
    /// Write what is not written yet.
    pub fn take_in(&mut self, about: &Arc<About>, at: i64) -> Res<()> {
        if self.time_of != Some(at) {
            self.time.clear();
            self.time_of = None;
            json::moment(&mut self.time, at)?;
            self.time_of = Some(at);
        }
        if !self.about.as_ref().is_some_and(|held| Arc::ptr_eq(held, about)) {
            self.about = None;
            self.write_about(about)?;
            self.about = Some(about.clone());
        }
        Ok(())
    }

    /// When a record was decided.
    pub fn decided(&mut self, at: i64) -> Res<()> {
        if self.decided_of != Some(at) {
            self.decided.clear();
            self.decided_of = None;
            json::time(&mut self.decided, at)?;
            self.decided_of = Some(at);
        }
        self.value.extend_from_slice(&self.decided);
        Ok(())
    }

    fn write_about(&mut self, about: &About) -> Res<()> {
        let who = &mut self.who;
        who.clear();
        json::put(who, "\"customer_id\":");
        json::opt_text(who, about.known.then_some(&*about.person));
        json::put(who, ",\"anonymous_id\":");
        json::opt_text(who, about.anonymous_id.as_deref());
        json::put(who, ",\"account_id\":");
        json::opt_text(who, about.account_id.as_deref());
        who.push(b',');
        let cause = &mut self.cause;
        cause.clear();
        json::put(cause, "\"cause\":{\"event_id\":");
        json::opt_text(cause, about.cause.event_id.as_deref());
        json::put(cause, ",\"type\":");
        json::text(cause, &about.cause.kind);
        json::put(cause, ",\"occurred_at\":");
        json::time(cause, about.cause.at)?;
        json::put(cause, "},");
        let rest = &mut self.rest;
        rest.clear();
        json::put(rest, "\"contactable\":{");
        for (place, (channel, answer)) in contactable(about.consent).enumerate() {
            json::put(rest, if place > 0 { ",\"" } else { "\"" });
            json::put(rest, channel);
            json::put(rest, "\":\"");
            json::put(rest, answer);
            rest.push(b'"');
        }
        json::put(rest, "},\"over_contacted\":");
        json::bool(rest, about.over_contacted);
        json::put(rest, ",\"locale\":");
        json::opt_text(rest, about.locale.as_deref());
        json::put(rest, ",\"country\":");
        json::opt_text(rest, about.country.as_deref());
        json::put(rest, ",\"timezone\":");
        json::opt_text(rest, about.timezone.as_deref());
        json::put(rest, ",\"late\":");
        let tail = &mut self.tail;
        tail.clear();
        json::put(tail, "\"test\":");
        json::bool(tail, about.test);
        json::put(tail, ",\"replay\":");
        json::bool(tail, about.replay);
        Ok(())
    }

    /// Write the headers of the record alone: its id, its time, its person.
    pub fn name(&mut self, prefix: &str, id: &[u8], person: &str) {
        let head = &mut self.head;
        head.clear();
        put_varint(head, 5);
        json::put(head, "ce_id");
        put_varint(head, (prefix.len() + id.len()) as i64);
        json::put(head, prefix);
        head.extend_from_slice(id);
        put_header(head, "ce_time", Some(&self.time));
        put_header(head, "ce_subject", Some(person.as_bytes()));
    }

    pub fn set_key(&mut self, person: &str, journey: &str) {
        self.key.clear();
        self.key.extend_from_slice(person.as_bytes());
        self.key.push(b'|');
        self.key.extend_from_slice(journey.as_bytes());
    }
}
