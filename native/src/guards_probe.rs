//! For tests alone: one expression or path over a state that a test writes down, and an event.
//!
//! In: descriptions as JSON, the state as a msgpack map. Out: msgpack of what is read.

use crate::attrs::{written, Attrs};
use crate::customer::Customer;
use crate::event::Vocab;
use crate::expr::{eval, Expr, Scope};
use crate::from_python::event_of;
use crate::paths::{self, Get, Many, Pairs};
use crate::profile::ContextPlaces;
use crate::program::{Journey, Program};
use crate::value::{put_val, IntMap, Ints, Reader, Val};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::Value as Json;

struct Given(Val);

impl Given {
    fn read(bytes: &[u8]) -> PyResult<Given> {
        let read = Reader::new(bytes).val();
        read.map(Given).map_err(|found| PyValueError::new_err(found.0))
    }
    fn part(&self, name: &str) -> Val {
        part(&self.0, name)
    }
    fn text(&self, name: &str) -> Option<String> {
        if let Val::Str(text) = self.part(name) {
            Some(text.to_string())
        } else {
            None
        }
    }
    fn ints(&self, name: &str) -> Ints {
        let Val::List(items) = self.part(name) else { return Ints::new() };
        items.iter().map(|item| if let Val::Int(i) = item { *i } else { 0 }).collect()
    }
}

fn part(value: &Val, name: &str) -> Val {
    let Val::Map(entries) = value else { return Val::Nil };
    let named = entries.iter().find(|(key, _)| *key == Val::str(name));
    named.map_or(Val::Nil, |(_, value)| value.clone())
}

fn customer(bytes: &[u8]) -> PyResult<Customer> {
    let given = Given::read(bytes)?;
    let list = |name| if let Val::List(items) = given.part(name) { Some(items) } else { None };
    let entries = |item: &Val| -> Option<IntMap> {
        let Val::Map(pairs) = item else { return None };
        let int = |value: &Val| if let Val::Int(i) = value { *i } else { 0 };
        Some(pairs.iter().map(|(k, n)| (int(k), int(n))).collect())
    };
    Ok(Customer {
        attrs: Attrs::of(&written(&list("attrs").unwrap_or_default())),
        before: list("before"),
        stages: given.ints("stages"),
        entered: given.ints("entered"),
        loops: given.ints("loops"),
        entries: list("entries").unwrap_or_default().iter().map(entries).collect(),
        earlier: list("earlier").map(|_| given.ints("earlier")),
        known: given.part("known") == Val::Bool(true),
        id: given.text("id").map(Into::into),
        ..Customer::default()
    })
}

fn journey(stages: Vec<String>) -> Journey {
    Journey {
        id: String::new(),
        version: 1,
        stages,
        kinds: vec![],
        owners: vec![],
        ranks: vec![],
        start: 0,
        saying: 0,
        others: vec![],
        entered_by_newcomers: false,
        entries: vec![],
        stage_slots: vec![],
    }
}

fn program(vocab: Vocab, stages: Vec<Vec<String>>) -> Result<Program, String> {
    Ok(Program {
        context: ContextPlaces::of(&vocab)?,
        vocab,
        guards: vec![],
        steady: vec![],
        sayings: Default::default(),
        rulings: vec![],
        calls: vec![],
        journeys: stages.into_iter().map(journey).collect(),
        timers: vec![],
        active: vec![],
        passive: vec![],
        silences: vec![],
        befores: vec![],
        empties: vec![],
        forget_anonymous: None,
        forget_known: None,
        dedup_window: 0,
        dedup_limit: 0,
        fingerprint: [0; 4],
    })
}

fn json(text: &str) -> PyResult<Json> {
    serde_json::from_str(text).map_err(|found| PyValueError::new_err(found.to_string()))
}

fn wrong(error: String) -> PyErr {
    PyValueError::new_err(error)
}

fn bytes<'py>(py: Python<'py>, found: &Val) -> Bound<'py, PyBytes> {
    let mut out = vec![];
    put_val(&mut out, found);
    PyBytes::new(py, &out)
}

#[pyclass(frozen)]
pub struct GuardProbe {
    program: Program,
}

#[pymethods]
impl GuardProbe {
    /// Args: the vocabulary (`events/described.py`), and the stages of each journey.
    #[new]
    fn new(vocabulary: &str, stages: Vec<Vec<String>>) -> PyResult<GuardProbe> {
        let vocab = Vocab::parse(&json(vocabulary)?).map_err(wrong)?;
        Ok(GuardProbe { program: program(vocab, stages).map_err(wrong)? })
    }

    /// Evaluate one described expression; several times if it is for speed.
    #[pyo3(signature = (described, state, event, t, times = 1))]
    fn expression<'py>(
        &self,
        py: Python<'py>,
        described: &str,
        state: &[u8],
        event: Option<&Bound<'py, PyAny>>,
        t: i64,
        times: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let p = &self.program;
        let x = Expr::parse(&json(described)?, &p.vocab).map_err(wrong)?;
        let e = match event {
            Some(event) => event_of(event, &p.vocab)?,
            None => None,
        };
        let c = customer(state)?;
        let scope = Scope { p, c: &c, e: e.as_ref(), t };
        let mut found = eval(&x, &scope);
        for _ in 1..times {
            found = eval(std::hint::black_box(&x), &scope);
        }
        Ok(bytes(py, &found))
    }

    /// Read an event: a getter gives [value, id], values a list, pairs a list of lists.
    fn path<'py>(
        &self,
        py: Python<'py>,
        described: &str,
        event: &Bound<'py, PyAny>,
        t: i64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (vocab, described) = (&self.program.vocab, json(described)?);
        let Some(e) = event_of(event, vocab)? else {
            return Err(wrong("an event that is Python's alone".into()));
        };
        let found = if described.get("g").is_some() {
            let get = Get::parse(&described, vocab).map_err(wrong)?;
            let id = paths::identity(&get, &e, t, vocab).map_or(Val::Nil, Val::Str);
            Val::List(vec![paths::get(&get, &e, t, vocab), id])
        } else if described.get("m").is_some() {
            Val::List(paths::many(&Many::parse(&described, vocab).map_err(wrong)?, &e, t, vocab))
        } else {
            let pairs = paths::pairs(&Pairs::parse(&described, vocab).map_err(wrong)?, &e, t, vocab);
            Val::List(pairs.into_iter().map(|(k, v)| Val::List(vec![k, v])).collect())
        };
        Ok(bytes(py, &found))
    }
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<GuardProbe>()
}
