//! For tests alone: the fold and the sequences of one event over the bytes of a customer, and what is read then.

use crate::customer::{put_core, Customer};
use crate::from_python::event_of;
use crate::ops::{advance, run};
use crate::program::Program;
use crate::reads::{merged, read};
use crate::value::{put_array, put_bool, put_int, put_opt_str, put_val, Damaged};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::Arc;

#[pyclass(frozen)]
pub struct OpsProbe {
    program: Program,
}

fn wrong(error: Damaged) -> PyErr {
    PyValueError::new_err(error.0)
}

#[pymethods]
impl OpsProbe {
    #[new]
    fn new(description: &str) -> PyResult<OpsProbe> {
        let program = Program::parse(description).map_err(PyValueError::new_err)?;
        Ok(OpsProbe { program })
    }

    /// The new core, due, and msgpack of the sequences completed: [[sequence, id], ...].
    fn apply<'py>(
        &self,
        py: Python<'py>,
        core: &[u8],
        due: i64,
        event: &Bound<'py, PyAny>,
        t: i64,
    ) -> PyResult<(Bound<'py, PyBytes>, i64, Bound<'py, PyBytes>)> {
        let p = &self.program;
        let mut c = Customer::default();
        c.read(Arc::from(""), core).map_err(wrong)?;
        c.due = due;
        let Some(e) = event_of(event, &p.vocab)? else {
            return Err(PyValueError::new_err("an event that is Python's alone"));
        };
        let plan = &(if e.activity { &p.active } else { &p.passive })[e.kind];
        for op in &plan.fold {
            run(op, p, &mut c, &e, t).map_err(wrong)?;
        }
        let mut done = Vec::new();
        for (k, sequence) in &plan.sequences {
            if let Some(id) = advance(*k, sequence, p, &mut c, &e, t) {
                done.push((*k, id));
            }
        }
        let mut told = Vec::new();
        put_array(&mut told, done.len());
        for (k, id) in &done {
            put_array(&mut told, 2);
            put_int(&mut told, *k);
            put_opt_str(&mut told, Some(id));
        }
        let mut out = Vec::new();
        put_core(&mut out, &mut c);
        Ok((PyBytes::new(py, &out), c.due, PyBytes::new(py, &told)))
    }

    /// Msgpack of what the first journey's records say of attributes, and which of them are approximate.
    fn read<'py>(&self, py: Python<'py>, core: &[u8], t: i64) -> PyResult<Bound<'py, PyBytes>> {
        let p = &self.program;
        let mut c = Customer::default();
        c.read(Arc::from(""), core).map_err(wrong)?;
        let (reads, approximate) = p.sayings.parts(p.journeys[0].saying);
        let mut out = Vec::new();
        put_array(&mut out, 2);
        put_array(&mut out, reads.len());
        for each in reads {
            put_val(&mut out, &read(each, p, &c, t).own());
        }
        put_array(&mut out, approximate.len());
        for each in approximate {
            put_bool(&mut out, merged(each, &c, t));
        }
        Ok(PyBytes::new(py, &out))
    }
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<OpsProbe>()
}
