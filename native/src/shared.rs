//! What Python sees of the states at rest: `engine/compiled_store.py` answers from here.
//!
//! In: persons, states as bytes. Out: the same. The lock is let go before anything of Python's may run (its
//! collector, when a list is made): what is given out is copied first.

use crate::partition::failed;
use crate::queue::Person;
use crate::states::Shared;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyList, PyString};

/// States at rest of one partition, also as a mapping: what `store.Blobs` says.
#[pyclass(frozen, name = "States", module = "journey_stream_native")]
pub struct PyStates(pub Shared);

#[pymethods]
impl PyStates {
    /// `layout`: fingerprint of the layout that states are written in.
    #[new]
    fn new(layout: [u8; 4]) -> PyStates {
        PyStates(Shared::new(layout))
    }

    fn __len__(&self) -> usize {
        self.0.lock().len()
    }

    fn __contains__(&self, person: &str) -> PyResult<bool> {
        Ok(self.0.of(person)?.raw(person).is_some())
    }

    /// Names of all that are in memory, as they are now.
    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let all = names(py, self.0.lock().iter().map(|(person, _)| &**person));
        PyList::new(py, all)?.try_iter()
    }

    /// All that are in memory, packed or not.
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let copied = |(person, blob): (&Person, &[u8])| (PyString::new(py, person), PyBytes::new(py, blob));
        let all: Vec<_> = self.0.lock().iter().map(copied).collect();
        PyList::new(py, all)
    }

    /// The state of a person, packed or not.
    fn get<'py>(&self, py: Python<'py>, person: &str) -> PyResult<Option<Bound<'py, PyBytes>>> {
        Ok(self.0.of(person)?.raw(person).map(|blob| PyBytes::new(py, blob)))
    }

    fn __setitem__(&self, person: &str, blob: &[u8]) -> PyResult<()> {
        self.0.of(person)?.put(&person.into(), blob);
        Ok(())
    }

    fn pop<'py>(
        &self,
        py: Python<'py>,
        person: &str,
        otherwise: Option<Bound<'py, PyBytes>>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let mut states = self.0.of(person)?;
        let found = states.raw(person).map(|blob| PyBytes::new(py, blob));
        states.forget(person);
        Ok(found.or(otherwise))
    }

    /// Take in a state; tells its due, and whether it was written under these definitions. None: it is not readable.
    fn load(&self, person: &str, blob: &[u8]) -> PyResult<Option<(i64, bool)>> {
        Ok(self.0.of(person)?.load(person.into(), blob))
    }

    /// Forget a state; tells whether there was one.
    fn drop(&self, person: &str) -> PyResult<bool> {
        Ok(self.0.of(person)?.forget(person))
    }

    /// Pack so many states at most of those that rest without a history.
    fn tidy(&self, py: Python, count: usize) {
        py.allow_threads(|| self.0.lock().tidy(count));
    }

    /// Cut settled histories off; gives the persons of whom nothing is left.
    fn cut(&self, py: Python, horizon: i64) -> Vec<String> {
        py.allow_threads(|| self.0.lock().cut(horizon).iter().map(|person| person.to_string()).collect())
    }

    /// The state of a person as it was written.
    fn at_rest<'py>(&self, py: Python<'py>, person: &str) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let mut states = self.0.of(person)?;
        let found = states.plain(person).map_err(failed)?;
        Ok(found.map(|(_, blob)| PyBytes::new(py, blob)))
    }

    /// The same, None for nobody.
    fn peek<'py>(&self, py: Python<'py>, person: &str) -> PyResult<Option<Bound<'py, PyBytes>>> {
        if self.is_nobody(person) {
            return Ok(None); // nobodies are always here
        }
        self.at_rest(py, person)
    }

    /// The earliest due of a state at rest.
    fn due_of(&self, person: &str) -> PyResult<i64> {
        Ok(self.0.of(person)?.due(person))
    }

    fn known(&self, person: &str) -> PyResult<bool> {
        Ok(self.0.of(person)?.known(person))
    }

    /// Everybody known.
    fn people<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyString>> {
        let states = self.0.lock();
        let known = states.iter().map(|(person, _)| &**person).filter(|person| !states.is_nobody(person));
        names(py, known)
    }

    /// Everybody known whose state was written under other definitions.
    fn of_other_layouts<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyString>> {
        names(py, self.0.lock().of_other_layouts().map(|person| &**person))
    }

    fn is_nobody(&self, person: &str) -> bool {
        self.0.lock().is_nobody(person)
    }

    /// Persons of whom there is a history and no state.
    fn nobodies<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyString>> {
        names(py, self.0.lock().nobodies().iter().map(|person| &**person))
    }

    fn count_nobodies(&self) -> usize {
        self.0.lock().nobodies().len()
    }

    /// How many histories may still have to be cut off.
    fn settling(&self) -> usize {
        self.0.lock().settling()
    }

    // Where states rest on disk: what `store.Above` says.

    /// Keep states on disk from now on; what was here is gone. `read` gives the states of persons, `known` is how many
    /// there are, `bound` how many bytes of them may stay in memory.
    fn rest_on(&self, read: Py<PyAny>, known: usize, bound: usize) {
        self.0.rest_on(read, known, bound);
    }

    /// Say that a state is due at another time than it was put down with.
    fn r#move(&self, person: &str, due: i64) -> PyResult<()> {
        self.0.of(person)?.redate(&person.into(), due);
        Ok(())
    }

    /// An entry of a person has come; tells whether it is the one they are listed under, which is used up.
    fn used(&self, person: &str, at: i64) -> PyResult<bool> {
        Ok(self.0.of(person)?.used(&person.into(), at))
    }

    /// What was put down (None: removed) and is not on disk yet.
    fn fresh<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let copied = |(person, blob): (&Person, Option<&[u8]>)| {
            (PyString::new(py, person), blob.map(|blob| PyBytes::new(py, blob)))
        };
        let all: Vec<_> = self.0.lock().fresh().map(copied).collect();
        let fresh = PyDict::new(py);
        for (person, blob) in all {
            fresh.set_item(person, blob)?;
        }
        Ok(fresh)
    }

    /// The same as rows for the disk: keys to be put, their values, keys to be removed, how many more are due some time.
    #[allow(clippy::type_complexity)] // as Python takes it apart
    fn rows<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>, Bound<'py, PyList>, i64)> {
        let rows = py.allow_threads(|| self.0.lock().rows());
        let listed = |all: &[Vec<u8>]| PyList::new(py, all.iter().map(|bytes| PyBytes::new(py, bytes)));
        Ok((listed(&rows.put)?, listed(&rows.values)?, listed(&rows.removed)?, rows.pending))
    }

    /// All of that is on disk now.
    fn kept(&self, py: Python) {
        py.allow_threads(|| self.0.lock().kept());
    }
}

fn names<'py, 'a>(py: Python<'py>, people: impl Iterator<Item = &'a str>) -> Vec<Bound<'py, PyString>> {
    people.map(|person| PyString::new(py, person)).collect()
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyStates>()
}
