//! The id of a cancellation: `net.record_id`.
//!
//! In: a cancelled signal. Out: 8 bytes, BLAKE2b over the msgpack of `values.Signal` field by field, without what
//! the day of publication decides (`decided_at`, `sequence`, `late`, `replay`).

use crate::customer::put_opt_int;
use crate::encode_tables::{CallNames, JourneyNames};
use crate::record::Signal;
use crate::spoken::contactable;
use crate::value::{put_array, put_bool, put_int, put_map, put_nil, put_opt_str, put_str, put_val};

pub fn cancelled_id(
    journey: &JourneyNames,
    call: &CallNames,
    r: &Signal,
    stage: &str,
    kind: &str,
    owner: Option<&str>,
) -> [u8; 8] {
    let about = &*r.about;
    let mut packed = Vec::with_capacity(1024);
    let o = &mut packed;
    put_map(o, 32);
    let id = crate::json::hex(&r.id);
    named(o, "signal_id", std::str::from_utf8(&id).unwrap_or_default());
    named(o, "signal", &call.signal);
    named(o, "status", if r.cancelled { "cancelled" } else { "raised" });
    named(o, "journey", &journey.id);
    put_str(o, "version");
    put_int(o, journey.version);
    opt_named(o, "customer_id", about.known.then_some(&*about.person));
    opt_named(o, "anonymous_id", about.anonymous_id.as_deref());
    opt_named(o, "account_id", about.account_id.as_deref());
    named(o, "stage", stage);
    named(o, "kind", kind);
    opt_named(o, "owner", owner);
    named(o, "rule", &call.id);
    opt_named(o, "reason", r.reason.as_deref());
    put_str(o, "cause");
    put_map(o, 3);
    opt_named(o, "event_id", about.cause.event_id.as_deref());
    named(o, "type", &about.cause.kind);
    put_str(o, "occurred_at");
    put_int(o, about.cause.at);
    put_str(o, "occurred_at");
    put_int(o, r.occurred_at);
    put_str(o, "decided_at");
    put_int(o, 0);
    put_str(o, "valid_until");
    put_opt_int(o, r.valid_until);
    put_str(o, "sequence");
    put_int(o, 0);
    put_str(o, "payload");
    put_map(o, call.payload.len().min(r.payload.len()));
    for (name, value) in call.payload.iter().zip(&r.payload) {
        put_str(o, name);
        put_val(o, value);
    }
    put_str(o, "attributes");
    let (attributes, approximate) = r.said.packed();
    o.extend_from_slice(attributes);
    put_str(o, "contactable");
    put_map(o, 5);
    for (channel, answer) in contactable(about.consent) {
        named(o, channel, answer);
    }
    flag(o, "over_contacted", about.over_contacted);
    opt_named(o, "locale", about.locale.as_deref());
    opt_named(o, "country", about.country.as_deref());
    opt_named(o, "timezone", about.timezone.as_deref());
    flag(o, "late", false);
    flag(o, "test", about.test);
    flag(o, "replay", false);
    named(o, "person", &about.person);
    put_str(o, "approximate");
    o.extend_from_slice(approximate);
    put_str(o, "partial");
    put_array(o, 0);
    put_str(o, "corrects");
    put_nil(o);
    let hash = blake2b_simd::Params::new().hash_length(8).hash(&packed);
    let mut digest = [0; 8];
    digest.copy_from_slice(hash.as_bytes());
    digest
}

fn named(out: &mut Vec<u8>, name: &str, value: &str) {
    put_str(out, name);
    put_str(out, value);
}

fn opt_named(out: &mut Vec<u8>, name: &str, value: Option<&str>) {
    put_str(out, name);
    put_opt_str(out, value);
}

fn flag(out: &mut Vec<u8>, name: &str, value: bool) {
    put_str(out, name);
    put_bool(out, value);
}
