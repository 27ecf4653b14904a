//! The decoder as Python sees it, for tests and measurements: `EventReader`.
//!
//! In: the JSON of a vocabulary, then values or events. Out: events as dicts, rows as bytes.

use crate::decode::decode;
use crate::event::{Actor, Event, Field, Prop, Shape, Vocab};
use crate::from_python::event_of;
use crate::rows::put_row;
use crate::value::Val;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};
use std::hint::black_box;
use std::time::Instant;

#[pyclass(frozen)]
pub struct EventReader {
    vocab: Vocab,
}

#[pymethods]
impl EventReader {
    #[new]
    fn new(described: &str) -> PyResult<Self> {
        let json = serde_json::from_str(described).map_err(|e| PyValueError::new_err(e.to_string()))?;
        let vocab = Vocab::parse(&json).map_err(PyValueError::new_err)?;
        Ok(EventReader { vocab })
    }

    /// The event of a value, or None: ask the Python decoder.
    fn decode<'py>(
        &self,
        py: Python<'py>,
        value: &[u8],
        broker_at: i64,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        decode(value, broker_at, &self.vocab).map(|event| self.shown(py, &event)).transpose()
    }

    /// The same of an event that Python decoded; None if it cannot be one here.
    #[pyo3(name = "from_python")]
    fn read_python<'py>(&self, event: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let py = event.py();
        event_of(event, &self.vocab)?.map(|event| self.shown(py, &event)).transpose()
    }

    /// The row of an event's history, of the event as decoded here or as Python decoded it.
    fn row<'py>(
        &self,
        py: Python<'py>,
        value: &[u8],
        at: i64,
        settled: Option<i64>,
    ) -> Option<Bound<'py, PyBytes>> {
        let event = decode(value, i64::MAX, &self.vocab)?;
        let mut out = Vec::new();
        put_row(&mut out, &event, at, settled, &self.vocab);
        Some(PyBytes::new(py, &out))
    }

    fn row_from_python<'py>(
        &self,
        event: &Bound<'py, PyAny>,
        at: i64,
        settled: Option<i64>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let Some(read) = event_of(event, &self.vocab)? else { return Ok(None) };
        let mut out = Vec::new();
        put_row(&mut out, &read, at, settled, &self.vocab);
        Ok(Some(PyBytes::new(event.py(), &out)))
    }

    /// Nanoseconds to decode this value, the mean of so many times.
    fn time(&self, value: &[u8], times: u32) -> f64 {
        let begin = Instant::now();
        for _ in 0..times {
            black_box(decode(black_box(value), i64::MAX, &self.vocab));
        }
        begin.elapsed().as_nanos() as f64 / times as f64
    }

    /// The same for an event of Python and its row.
    fn time_from_python(&self, event: &Bound<'_, PyAny>, times: u32) -> PyResult<(f64, f64)> {
        let begin = Instant::now();
        for _ in 0..times {
            black_box(event_of(event, &self.vocab)?);
        }
        let read = begin.elapsed().as_nanos() as f64 / times as f64;
        let event = event_of(event, &self.vocab)?.ok_or(PyValueError::new_err("not an event here"))?;
        let begin = Instant::now();
        for _ in 0..times {
            let mut out = Vec::with_capacity(512);
            put_row(&mut out, &event, event.at, None, &self.vocab);
            black_box(out);
        }
        Ok((read, begin.elapsed().as_nanos() as f64 / times as f64))
    }
}

impl EventReader {
    fn shown<'py>(&self, py: Python<'py>, event: &Event) -> PyResult<Bound<'py, PyDict>> {
        let kind = &self.vocab.types[event.kind];
        let found = PyDict::new(py);
        found.set_item("event_id", event.id())?;
        found.set_item("type", &kind.name)?;
        found.set_item("at", event.at)?;
        found.set_item("person", &*event.person)?;
        found.set_item("customer_id", event.known.then_some(&*event.person))?;
        found.set_item("anonymous_id", event.anonymous_id.map(|slice| event.get(slice)))?;
        found.set_item("account_id", event.account_id.map(|slice| event.get(slice)))?;
        found.set_item("properties", structure(py, event, &kind.fields, &event.props)?)?;
        let context = match &event.context {
            None => None,
            Some(context) => Some(structure(py, event, &self.vocab.context, context)?),
        };
        found.set_item("context", context)?;
        let actor = match event.actor {
            Actor::Customer => "customer",
            Actor::Company => "company",
            Actor::System => "system",
        };
        found.set_item("actor", actor)?;
        found.set_item("activity", event.activity)?;
        found.set_item("sentiment", event.sentiment)?;
        found.set_item("score_norm", event.score_norm)?;
        found.set_item("unrated", event.unrated)?;
        found.set_item("late", event.late)?;
        found.set_item("replay", event.replay)?;
        Ok(found)
    }
}

fn structure<'py>(
    py: Python<'py>,
    event: &Event,
    fields: &[Field],
    props: &[Prop],
) -> PyResult<Bound<'py, PyAny>> {
    let found = PyDict::new(py);
    for (field, prop) in fields.iter().zip(props) {
        found.set_item(&field.attribute, property(py, event, &field.shape, prop)?)?;
    }
    Ok(found.into_any())
}

fn property<'py>(py: Python<'py>, event: &Event, shape: &Shape, prop: &Prop) -> PyResult<Bound<'py, PyAny>> {
    Ok(match (prop, shape) {
        (Prop::Str(text), _) => event.get(*text).into_pyobject(py)?.into_any(),
        (Prop::Num(value), _) => value.into_pyobject(py)?.into_any(),
        (Prop::Bool(value), _) => value.into_pyobject(py)?.to_owned().into_any(),
        (Prop::Obj(props), Shape::Obj(fields)) => structure(py, event, fields, props)?,
        (Prop::List(items), Shape::List(item)) => {
            let found = PyList::empty(py);
            for each in items {
                found.append(property(py, event, item, each)?)?;
            }
            found.into_any()
        }
        (Prop::Free(value), _) => free(py, value)?,
        _ => py.None().into_bound(py),
    })
}

fn free<'py>(py: Python<'py>, value: &Val) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Val::Nil => py.None().into_bound(py),
        Val::Bool(value) => value.into_pyobject(py)?.to_owned().into_any(),
        Val::Int(value) => value.into_pyobject(py)?.into_any(),
        Val::Num(value) => value.into_pyobject(py)?.into_any(),
        Val::Str(value) => value.as_str().into_pyobject(py)?.into_any(),
        Val::Bytes(value) => PyBytes::new(py, value).into_any(),
        Val::List(items) => {
            let found = PyList::empty(py);
            for each in items {
                found.append(free(py, each)?)?;
            }
            found.into_any()
        }
        Val::Map(entries) => {
            let found = PyDict::new(py);
            for (key, each) in entries {
                found.set_item(free(py, key)?, free(py, each)?)?;
            }
            found.into_any()
        }
    })
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<EventReader>()
}
