//! What the tests hold the encoder with: records from Python, as msgpack, and their batches back.
//!
//! In: the names of a program and records, as arrays in the order of the structs. Out: `ReadyBatch`es by topic.

use crate::batch::MAX_BATCH_BYTES;
use crate::encode::{Encoder, Outbox};
use crate::encode_tables::{CallNames, JourneyNames, RulingNames, Tables};
use crate::expr_ops::V;
use crate::ready::ReadyBatch;
use crate::record::{About, Cause, Gone, Record, Signal, Transition};
use crate::said::{Both, Member, Said};
use crate::value::{damaged, Damaged, Reader, Res, Val};
use compact_str::CompactString;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::sync::Arc;
use std::time::Instant;

fn error(damage: Damaged) -> PyErr {
    PyValueError::new_err(damage.0)
}

fn text(r: &mut Reader) -> Res<String> {
    Ok(r.text()?.to_string())
}

fn opt<T>(r: &mut Reader, read: impl FnOnce(&mut Reader) -> Res<T>) -> Res<Option<T>> {
    if r.nil() {
        return Ok(None);
    }
    read(r).map(Some)
}

fn all<T>(r: &mut Reader, mut read: impl FnMut(&mut Reader) -> Res<T>) -> Res<Vec<T>> {
    let n = r.array()?;
    (0..n).map(|_| read(r)).collect()
}

fn id(r: &mut Reader) -> Res<[u8; 16]> {
    r.bin()?.try_into().or_else(|_| damaged("expected 16 bytes"))
}

fn vals(r: &mut Reader) -> Res<Vec<Val>> {
    all(r, |r| r.val())
}

fn float(r: &mut Reader) -> Res<f64> {
    match r.val()? {
        Val::Num(value) => Ok(value),
        _ => damaged("expected a float"),
    }
}

/// The encoder of a program, and the names of its journeys' attributes.
fn names(bytes: &[u8]) -> Res<(Encoder, Vec<Vec<Member>>)> {
    let r = &mut Reader::new(bytes);
    r.array()?;
    let mut members = Vec::new();
    let journeys = all(r, |r| {
        r.array()?;
        let made = JourneyNames {
            id: text(r)?,
            version: r.int()?,
            stages: all(r, text)?,
            kinds: all(r, text)?,
            owners: all(r, |r| opt(r, text))?,
        };
        members.push(all(r, |r| Ok(Member::of(r.text()?)))?);
        Ok(made)
    })?;
    let rulings = all(r, |r| {
        r.array()?;
        Ok(RulingNames { id: text(r)?, owner: opt(r, text)? })
    })?;
    let calls = all(r, |r| {
        r.array()?;
        Ok(CallNames {
            id: text(r)?,
            signal: text(r)?,
            kind: opt(r, text)?,
            owner: opt(r, text)?,
            payload: all(r, text)?,
        })
    })?;
    Ok((Encoder::new(Tables::new(journeys, rulings, calls)), members))
}

fn about(r: &mut Reader) -> Res<About> {
    r.array()?;
    Ok(About {
        person: r.text()?.into(),
        known: r.bool()?,
        anonymous_id: r.opt_text()?,
        consent: r.int()?,
        over_contacted: r.bool()?,
        cause: Cause { event_id: r.opt_text()?, kind: CompactString::new(r.text()?), at: r.int()? },
        account_id: r.opt_text()?,
        locale: r.opt_text()?,
        country: r.opt_text()?,
        timezone: r.opt_text()?,
        test: r.bool()?,
        replay: r.bool()?,
    })
}

/// What travels with a record, its id, and its journey.
fn said(r: &mut Reader, members: &[Vec<Member>]) -> Res<(Arc<Said>, [u8; 16], usize)> {
    let (values, approximate) = (vals(r)?, all(r, |r| Ok(r.int()? as usize))?);
    let (id, journey) = (id(r)?, r.int()? as usize);
    let write = |place: usize, both: &mut Both| both.put(&V::Ref(&values[place]));
    let said = Said::of(&members[journey], write, &approximate, &mut Both::default())?;
    Ok((Arc::new(said), id, journey))
}

fn record(r: &mut Reader, members: &[Vec<Member>]) -> Res<Record> {
    r.array()?;
    let sort = r.text()?;
    if sort == "gone" {
        // A tombstone says nothing but its key.
        return Ok(Record::Gone(Gone {
            person: r.text()?.into(),
            known: false,
            anonymous_id: None,
            account_id: None,
            journey: r.int()? as usize,
            left: r.int()?,
            entered_at: 0,
            sequence: 0,
            test: false,
        }));
    }
    let about = Arc::new(about(r)?);
    let (said, id, journey) = said(r, members)?;
    Ok(match sort {
        "transition" => Record::Transition(Transition {
            about,
            said,
            id,
            journey,
            from: r.int()?,
            to: r.int()?,
            direction: r.int()? as i8,
            ruling: opt(r, |r| r.int())?.map(|place| place as usize),
            reason: r.opt_text()?,
            by_timer: r.bool()?,
            occurred_at: r.int()?,
            decided_at: r.int()?,
            entered_from_at: opt(r, |r| r.int())?,
            dwell_s: opt(r, float)?,
            sequence: r.int()?,
            entry_number: r.int()?,
            loops: r.int()?,
            late: r.bool()?,
        }),
        _ => Record::Signal(Signal {
            about,
            said,
            id,
            journey,
            call: r.int()? as usize,
            cancelled: r.bool()?,
            stage: r.int()?,
            reason: r.opt_text()?,
            occurred_at: r.int()?,
            decided_at: r.int()?,
            valid_until: opt(r, |r| r.int())?,
            sequence: r.int()?,
            payload: vals(r)?,
            late: r.bool()?,
        }),
    })
}

type Encoded = (Vec<ReadyBatch>, Vec<ReadyBatch>, Vec<ReadyBatch>, f64);

/// Batches of transitions, signals and stages, and the seconds that one round took.
#[pyfunction]
#[pyo3(signature = (program, records, timestamp, transactional=false, limit=MAX_BATCH_BYTES, rounds=1))]
pub fn probe_encode(
    program: &[u8],
    records: &[u8],
    timestamp: i64,
    transactional: bool,
    limit: usize,
    rounds: u32,
) -> PyResult<Encoded> {
    let (mut encoder, members) = names(program).map_err(error)?;
    let records = all(&mut Reader::new(records), |r| record(r, &members)).map_err(error)?;
    let started = Instant::now();
    let mut taken = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let mut out = Outbox::new(transactional, limit, [0; 4], Default::default());
        encoder.records(&records, &mut out).map_err(error)?;
        out.close(timestamp);
        taken = (out.transitions.take(), out.signals.take(), out.stages.take());
    }
    let took = started.elapsed().as_secs_f64() / f64::from(rounds.max(1));
    Ok((taken.0, taken.1, taken.2, took))
}

/// A value of msgpack as JSON.
#[pyfunction]
pub fn probe_json(packed: &[u8]) -> PyResult<Vec<u8>> {
    let mut out = Vec::new();
    let value = Reader::new(packed).val().map_err(error)?;
    crate::json::val(&mut out, &value).map_err(error)?;
    Ok(out)
}

/// A time as RFC 3339.
#[pyfunction]
pub fn probe_moment(at: i64) -> PyResult<String> {
    let mut out = Vec::new();
    crate::json::moment(&mut out, at).map_err(error)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(probe_encode, m)?)?;
    m.add_function(wrap_pyfunction!(probe_json, m)?)?;
    m.add_function(wrap_pyfunction!(probe_moment, m)?)
}
