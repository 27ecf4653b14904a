//! An event that the Python decoder read, as ours.
//!
//! In: `values.Event`, its properties and context as structs. Out: the same `Event` that `decode` gives (only the
//! arena differs: it holds just the texts). Free-form maps become `Prop::Free`.

use crate::event::{Actor, Event, Field, Prop, Shape, Slice, Vocab};
use crate::value::Val;
use pyo3::exceptions::{PyAttributeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString};
use std::sync::Arc;

/// The attributes of a struct's fields, ready to be looked up.
#[derive(Debug)]
struct Attribute {
    name: Py<PyString>,
    inner: Vec<Attribute>,
}

#[derive(Debug)]
pub struct Attributes {
    types: Vec<Vec<Attribute>>,
    context: Vec<Attribute>,
}

impl Attributes {
    fn new(py: Python<'_>, vocab: &Vocab) -> Self {
        Attributes {
            types: vocab.types.iter().map(|kind| attributes(py, &kind.fields)).collect(),
            context: attributes(py, &vocab.context),
        }
    }
}

fn attributes(py: Python<'_>, fields: &[Field]) -> Vec<Attribute> {
    fields
        .iter()
        .map(|field| Attribute {
            name: PyString::intern(py, &field.attribute).unbind(),
            inner: match &field.shape {
                Shape::Obj(fields) => attributes(py, fields),
                Shape::List(item) => match item.as_ref() {
                    Shape::Obj(fields) => attributes(py, fields),
                    _ => Vec::new(),
                },
                _ => Vec::new(),
            },
        })
        .collect()
}

/// The event, or None if it holds what has no place here (Python keeps it then).
pub fn event_of(event: &Bound<'_, PyAny>, vocab: &Vocab) -> PyResult<Option<Event>> {
    match read(event, vocab) {
        Ok(event) => Ok(Some(event)),
        Err(error) if error.is_instance_of::<PyAttributeError>(event.py()) => Err(error),
        Err(_) => Ok(None),
    }
}

fn read(event: &Bound<'_, PyAny>, vocab: &Vocab) -> PyResult<Event> {
    let py = event.py();
    let attributes = vocab.attributes.get_or_init(|| Attributes::new(py, vocab));
    let mut text = String::with_capacity(256);
    let name = event.getattr(intern!(py, "type"))?;
    let name = name.downcast::<PyString>()?.to_str()?;
    let kind = *vocab.by_name.get(name).ok_or_else(|| PyValueError::new_err(format!("no type {name:?}")))?;
    let event_id = held(&event.getattr(intern!(py, "event_id"))?, &mut text)?;
    let anonymous_id = optional(&event.getattr(intern!(py, "anonymous_id"))?, &mut text)?;
    let account_id = optional(&event.getattr(intern!(py, "account_id"))?, &mut text)?;
    let properties = event.getattr(intern!(py, "properties"))?;
    let props = structure(&properties, &vocab.types[kind].fields, &attributes.types[kind], &mut text)?;
    let context = event.getattr(intern!(py, "context"))?;
    let context = if context.is_none() {
        None
    } else {
        Some(structure(&context, &vocab.context, &attributes.context, &mut text)?)
    };
    let actor = event.getattr(intern!(py, "actor"))?;
    Ok(Event {
        kind,
        at: event.getattr(intern!(py, "at"))?.extract()?,
        person: Arc::from(event.getattr(intern!(py, "person"))?.downcast::<PyString>()?.to_str()?),
        event_id,
        known: !event.getattr(intern!(py, "customer_id"))?.is_none(),
        anonymous_id,
        account_id,
        props,
        context,
        actor: match actor.downcast::<PyString>()?.to_str()? {
            "customer" => Actor::Customer,
            "company" => Actor::Company,
            _ => Actor::System,
        },
        activity: event.getattr(intern!(py, "activity"))?.extract()?,
        sentiment: event.getattr(intern!(py, "sentiment"))?.extract()?,
        score_norm: event.getattr(intern!(py, "score_norm"))?.extract()?,
        unrated: event.getattr(intern!(py, "unrated"))?.extract()?,
        late: event.getattr(intern!(py, "late"))?.extract()?,
        replay: event.getattr(intern!(py, "replay"))?.extract()?,
        text,
    })
}

fn held(value: &Bound<'_, PyAny>, text: &mut String) -> PyResult<Slice> {
    let value = value.downcast::<PyString>()?.to_str()?;
    let slice = Slice { at: text.len() as u32, len: value.len() as u32 };
    text.push_str(value);
    Ok(slice)
}

fn optional(value: &Bound<'_, PyAny>, text: &mut String) -> PyResult<Option<Slice>> {
    if value.is_none() {
        Ok(None)
    } else {
        held(value, text).map(Some)
    }
}

fn structure(
    value: &Bound<'_, PyAny>,
    fields: &[Field],
    attributes: &[Attribute],
    text: &mut String,
) -> PyResult<Vec<Prop>> {
    let py = value.py();
    let mut found = Vec::with_capacity(fields.len());
    for (field, attribute) in fields.iter().zip(attributes) {
        let came = value.getattr(attribute.name.bind(py))?;
        found.push(property(&came, &field.shape, &attribute.inner, text)?);
    }
    Ok(found)
}

fn property(
    value: &Bound<'_, PyAny>,
    shape: &Shape,
    inner: &[Attribute],
    text: &mut String,
) -> PyResult<Prop> {
    if value.is_none() {
        return Ok(Prop::Nil);
    }
    Ok(match shape {
        Shape::Str | Shape::OneOf(_) => Prop::Str(held(value, text)?),
        Shape::Num | Shape::Time => Prop::Num(value.downcast::<PyFloat>()?.value()),
        Shape::Bool => Prop::Bool(value.extract()?),
        Shape::Obj(fields) => Prop::Obj(structure(value, fields, inner, text)?),
        Shape::List(item) => {
            let items = value.downcast::<PyList>()?;
            Prop::List(items.iter().map(|each| property(&each, item, inner, text)).collect::<PyResult<_>>()?)
        }
        Shape::Other => Prop::Free(Box::new(free(value)?)),
    })
}

fn free(value: &Bound<'_, PyAny>) -> PyResult<Val> {
    Ok(if value.is_none() {
        Val::Nil
    } else if let Ok(value) = value.downcast::<PyString>() {
        Val::str(value.to_str()?)
    } else if let Ok(value) = value.downcast::<PyFloat>() {
        Val::Num(value.value())
    } else if let Ok(value) = value.downcast::<PyBool>() {
        Val::Bool(value.is_true())
    } else if let Ok(value) = value.downcast::<PyInt>() {
        Val::Int(value.extract()?)
    } else if let Ok(value) = value.downcast::<PyList>() {
        Val::List(value.iter().map(|each| free(&each)).collect::<PyResult<_>>()?)
    } else if let Ok(value) = value.downcast::<PyDict>() {
        let mut entries = Vec::with_capacity(value.len());
        for (key, each) in value.iter() {
            entries.push((free(&key)?, free(&each)?));
        }
        Val::Map(entries)
    } else {
        return Err(PyValueError::new_err("neither text, number, list nor map"));
    })
}
