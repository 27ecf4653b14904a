//! Records as the structs of `values`, for whoever looks at them one by one (tests, tools): not the fast way.

use crate::customer::NOWHERE;
use crate::partition::failed;
use crate::program::Program;
use crate::record::{About, Gone, Record, Signal, Transition};
use crate::said::Said;
use crate::value::{Reader, Res, Val};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

/// The classes, looked up once.
pub struct Classes {
    transition: Py<PyAny>,
    signal: Py<PyAny>,
    stage_now: Py<PyAny>,
    cause: Py<PyAny>,
    contactable: Py<PyAny>,
}

impl Classes {
    pub fn new(py: Python) -> PyResult<Classes> {
        let values = py.import("journey_stream.values")?;
        let get = |name: &str| values.getattr(name).map(Bound::unbind);
        Ok(Classes {
            transition: get("Transition")?,
            signal: get("Signal")?,
            stage_now: get("StageNow")?,
            cause: get("Cause")?,
            contactable: get("Contactable")?,
        })
    }
}

pub fn val(py: Python, value: &Val) -> PyResult<Py<PyAny>> {
    Ok(match value {
        Val::Nil => py.None(),
        Val::Bool(b) => b.into_pyobject(py)?.to_owned().into_any().unbind(),
        Val::Int(i) => i.into_pyobject(py)?.into_any().unbind(),
        Val::Num(n) => n.into_pyobject(py)?.into_any().unbind(),
        Val::Str(s) => s.as_str().into_pyobject(py)?.into_any().unbind(),
        Val::Bytes(b) => PyBytes::new(py, b).into_any().unbind(),
        Val::List(items) => {
            let made: PyResult<Vec<_>> = items.iter().map(|item| val(py, item)).collect();
            PyList::new(py, made?)?.into_any().unbind()
        }
        Val::Map(entries) => {
            let made = PyDict::new(py);
            for (key, value) in entries {
                made.set_item(val(py, key)?, val(py, value)?)?;
            }
            made.into_any().unbind()
        }
    })
}

fn hex(id: &[u8; 16]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn said<'py>(py: Python<'py>, said: &Said) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyTuple>)> {
    let (packed, approximate) = said.packed();
    let attributes = PyDict::new(py);
    let mut r = Reader::new(packed);
    for _ in 0..r.map().map_err(failed)? {
        attributes.set_item(r.text().map_err(failed)?, val(py, &r.val().map_err(failed)?)?)?;
    }
    let mut r = Reader::new(approximate);
    let count = r.array().map_err(failed)?;
    let names: Res<Vec<&str>> = (0..count).map(|_| r.text()).collect();
    Ok((attributes, PyTuple::new(py, names.map_err(failed)?)?))
}

fn contactable(py: Python, classes: &Classes, consent: i64) -> PyResult<Py<PyAny>> {
    const WORDS: [&str; 4] = ["unknown", "yes", "no", "unknown"];
    let words = (0..5).map(|place| WORDS[(consent >> (2 * place) & 3) as usize]);
    classes.contactable.call1(py, PyTuple::new(py, words)?)
}

fn cause(py: Python, classes: &Classes, about: &About) -> PyResult<Py<PyAny>> {
    let cause = &about.cause;
    classes.cause.call1(py, (cause.event_id.as_deref(), cause.kind.as_str(), cause.at))
}

pub fn record(py: Python, p: &Program, classes: &Classes, record: &Record) -> PyResult<Py<PyAny>> {
    match record {
        Record::Transition(r) => transition(py, p, classes, r),
        Record::Signal(r) => signal(py, p, classes, r),
        Record::Gone(r) => gone(py, p, classes, r),
    }
}

fn transition(py: Python, p: &Program, classes: &Classes, r: &Transition) -> PyResult<Py<PyAny>> {
    let (about, journey) = (&r.about, &p.journeys[r.journey]);
    let (attributes, approximate) = said(py, &r.said)?;
    let ruling = r.ruling.map(|place| &p.rulings[place]);
    let from = (r.from != NOWHERE).then_some(r.from as usize);
    let made = PyDict::new(py);
    made.set_item("transition_id", hex(&r.id))?;
    made.set_item("journey", &journey.id)?;
    made.set_item("version", journey.version)?;
    made.set_item("customer_id", about.known.then_some(&*about.person))?;
    made.set_item("anonymous_id", about.anonymous_id.as_deref())?;
    made.set_item("account_id", about.account_id.as_deref())?;
    made.set_item("from_", from.map(|stage| journey.stages[stage].as_str()))?;
    made.set_item("to", &journey.stages[r.to as usize])?;
    made.set_item("from_kind", from.map(|stage| journey.kinds[stage].as_str()))?;
    made.set_item("to_kind", &journey.kinds[r.to as usize])?;
    made.set_item("direction", ["backward", "lateral", "forward"][(r.direction + 1) as usize])?;
    made.set_item("rule", ruling.map_or("start", |ruling| ruling.id.as_str()))?;
    made.set_item("reason", r.reason.as_deref())?;
    let owner = ruling.and_then(|ruling| ruling.owner.as_deref());
    made.set_item("owner", owner.or(journey.owners[r.to as usize].as_deref()))?;
    made.set_item("trigger", if r.by_timer { "timer" } else { "event" })?;
    made.set_item("cause", cause(py, classes, about)?)?;
    made.set_item("occurred_at", r.occurred_at)?;
    made.set_item("decided_at", r.decided_at)?;
    made.set_item("entered_from_at", r.entered_from_at)?;
    made.set_item("dwell_s", r.dwell_s)?;
    made.set_item("sequence", r.sequence)?;
    made.set_item("first_entry", r.entry_number == 1)?;
    made.set_item("entry_number", r.entry_number)?;
    made.set_item("loop", r.loops)?;
    made.set_item("attributes", attributes)?;
    made.set_item("contactable", contactable(py, classes, about.consent)?)?;
    made.set_item("over_contacted", about.over_contacted)?;
    made.set_item("locale", about.locale.as_deref())?;
    made.set_item("country", about.country.as_deref())?;
    made.set_item("timezone", about.timezone.as_deref())?;
    made.set_item("late", r.late)?;
    made.set_item("test", about.test)?;
    made.set_item("replay", about.replay)?;
    made.set_item("person", &*about.person)?;
    made.set_item("approximate", approximate)?;
    made.set_item("partial", PyTuple::empty(py))?;
    classes.transition.call(py, (), Some(&made))
}

fn signal(py: Python, p: &Program, classes: &Classes, r: &Signal) -> PyResult<Py<PyAny>> {
    let (about, journey, rule) = (&r.about, &p.journeys[r.journey], &p.calls[r.call]);
    let (attributes, approximate) = said(py, &r.said)?;
    let payload = PyDict::new(py);
    for ((name, _), value) in rule.payload.iter().zip(&r.payload) {
        payload.set_item(name, val(py, value)?)?;
    }
    let stage = r.stage as usize;
    let made = PyDict::new(py);
    made.set_item("signal_id", hex(&r.id))?;
    made.set_item("signal", &rule.signal)?;
    made.set_item("status", if r.cancelled { "cancelled" } else { "raised" })?;
    made.set_item("journey", &journey.id)?;
    made.set_item("version", journey.version)?;
    made.set_item("customer_id", about.known.then_some(&*about.person))?;
    made.set_item("anonymous_id", about.anonymous_id.as_deref())?;
    made.set_item("account_id", about.account_id.as_deref())?;
    made.set_item("stage", &journey.stages[stage])?;
    made.set_item("kind", rule.kind.as_ref().unwrap_or(&journey.kinds[stage]))?;
    made.set_item("owner", rule.owner.as_deref().or(journey.owners[stage].as_deref()))?;
    made.set_item("rule", &rule.id)?;
    made.set_item("reason", r.reason.as_deref())?;
    made.set_item("cause", cause(py, classes, about)?)?;
    made.set_item("occurred_at", r.occurred_at)?;
    made.set_item("decided_at", r.decided_at)?;
    made.set_item("valid_until", r.valid_until)?;
    made.set_item("sequence", r.sequence)?;
    made.set_item("payload", payload)?;
    made.set_item("attributes", attributes)?;
    made.set_item("contactable", contactable(py, classes, about.consent)?)?;
    made.set_item("over_contacted", about.over_contacted)?;
    made.set_item("locale", about.locale.as_deref())?;
    made.set_item("country", about.country.as_deref())?;
    made.set_item("timezone", about.timezone.as_deref())?;
    made.set_item("late", r.late)?;
    made.set_item("test", about.test)?;
    made.set_item("replay", about.replay)?;
    made.set_item("person", &*about.person)?;
    made.set_item("approximate", approximate)?;
    made.set_item("partial", PyTuple::empty(py))?;
    classes.signal.call(py, (), Some(&made))
}

fn gone(py: Python, p: &Program, classes: &Classes, r: &Gone) -> PyResult<Py<PyAny>> {
    let journey = &p.journeys[r.journey];
    let made = PyDict::new(py);
    made.set_item("person", &*r.person)?;
    made.set_item("journey", &journey.id)?;
    made.set_item("version", journey.version)?;
    made.set_item("customer_id", r.known.then_some(&*r.person))?;
    made.set_item("anonymous_id", r.anonymous_id.as_deref())?;
    made.set_item("account_id", r.account_id.as_deref())?;
    made.set_item("stage", py.None())?;
    made.set_item("kind", py.None())?;
    made.set_item("owner", py.None())?;
    made.set_item("entered_at", r.entered_at)?;
    made.set_item("sequence", r.sequence)?;
    made.set_item("transition_id", py.None())?;
    made.set_item("attributes", PyDict::new(py))?;
    made.set_item("test", r.test)?;
    made.set_item("replay", false)?;
    made.set_item("left", &journey.stages[r.left as usize])?;
    classes.stage_now.call(py, (), Some(&made))
}
