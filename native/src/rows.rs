//! A row of a customer's recent history: `engine/recent.py` `_row`, packed.
//!
//! In: an event, when it counts and, if it was too late for its place, up to when timers were due. Out: the bytes
//! that msgspec writes: structs as maps of what is not None, in the order of their fields.

use crate::event::{Event, Field, Prop, Shape, Vocab};
use crate::value::{put_array, put_bool, put_int, put_map, put_nil, put_num, put_opt_str, put_str, put_val};

const ACTIVITY: i64 = 4;
const UNRATED: i64 = 8;
const REPLAY: i64 = 16;
const KNOWN: i64 = 32;
const PLAIN: i64 = ACTIVITY | KNOWN;

pub fn put_row(out: &mut Vec<u8>, event: &Event, at: i64, settled: Option<i64>, vocab: &Vocab) {
    let kind = &vocab.types[event.kind];
    put_array(out, 11);
    put_int(out, at);
    put_int(out, flags(event));
    put_str(out, event.id());
    put_str(out, &kind.name);
    put_opt_str(out, event.anonymous_id.map(|slice| event.get(slice)));
    put_opt_str(out, event.account_id.map(|slice| event.get(slice)));
    put_fields(out, event, &kind.fields, &event.props);
    match &event.context {
        None => put_nil(out),
        Some(context) => put_fields(out, event, &vocab.context, context),
    }
    for score in [event.sentiment, event.score_norm] {
        match score {
            None => put_nil(out),
            Some(score) => put_num(out, score),
        }
    }
    match settled {
        None => put_nil(out),
        Some(settled) => {
            put_array(out, 2);
            put_int(out, event.at);
            put_int(out, settled);
        }
    }
}

fn flags(event: &Event) -> i64 {
    if event.activity && event.known && !event.unrated && !event.replay {
        return PLAIN;
    }
    let mut flags = event.actor as i64;
    for (holds, flag) in
        [(event.activity, ACTIVITY), (event.unrated, UNRATED), (event.replay, REPLAY), (event.known, KNOWN)]
    {
        if holds {
            flags |= flag;
        }
    }
    flags
}

fn put_fields(out: &mut Vec<u8>, event: &Event, fields: &[Field], props: &[Prop]) {
    let count = props.iter().filter(|prop| !prop.is_nil()).count();
    if fields.len() < 16 {
        put_map(out, count);
    } else {
        // msgspec chooses the head's form by how many fields there could be.
        out.push(0xde);
        out.extend_from_slice(&(count as u16).to_be_bytes());
    }
    for (field, prop) in fields.iter().zip(props) {
        if !prop.is_nil() {
            put_str(out, &field.name);
            put_prop(out, event, &field.shape, prop);
        }
    }
}

fn put_prop(out: &mut Vec<u8>, event: &Event, shape: &Shape, prop: &Prop) {
    match (prop, shape) {
        (Prop::Str(text), _) => put_str(out, event.get(*text)),
        (Prop::Num(value), _) => put_num(out, *value),
        (Prop::Bool(value), _) => put_bool(out, *value),
        (Prop::Obj(props), Shape::Obj(fields)) => put_fields(out, event, fields, props),
        (Prop::List(items), Shape::List(item)) => {
            put_array(out, items.len());
            for each in items {
                put_prop(out, event, item, each);
            }
        }
        (Prop::Free(value), _) => put_val(out, value),
        _ => put_nil(out),
    }
}
