//! What Python sees: a compiled program, and the core of a keyed partition: waiting events, customers, timers.
//!
//! In: a description, consumed records, events, times. Out: records and states, one by one or as batches for Kafka.

use crate::batch::Batches;
use crate::encode::Encoder;
use crate::fetched::Fetched;
use crate::from_python;
use crate::murmur::partition_of;
use crate::partition::{CoreError, Partition, AHEAD};
use crate::program::Program;
use crate::shared::PyStates;
use crate::squeeze::Codec;
use crate::taking::{self, Lateness, Received};
use crate::tally;
use crate::to_python::{self, Classes};
use crate::waiting::{Buffer, Tag, What};
use crate::writing::{write_some, Writing};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};
use std::sync::Arc;

/// What Python and this core have agreed on: descriptions and calls. `kafka/engines.py` has the same number.
const CONTRACT: u32 = 6;

#[pyclass(frozen, name = "Program")]
pub struct PyProgram(Arc<Program>);

#[pymethods]
impl PyProgram {
    /// Compile a description; a ValueError says what in it is not known here.
    #[new]
    fn new(description: &str) -> PyResult<PyProgram> {
        Ok(PyProgram(Arc::new(Program::parse(description).map_err(PyValueError::new_err)?)))
    }
}

impl PyProgram {
    pub fn program(&self) -> Arc<Program> {
        self.0.clone()
    }
}

#[pyclass]
pub struct Core {
    partition: Partition,
    buffer: Buffer,
    classes: Classes,
    encoder: Encoder,
    /// Event types that others follow from.
    special: Vec<usize>,
    /// Of so many of the events that wait, the states were looked for on disk.
    ahead: usize,
    /// Bytes of the last drain, by sort: the next is likely to be as large.
    drained: [usize; 4],
    /// Of what is for others.
    codec: Codec,
    /// What is written for the next drain; None while nobody has asked for batches.
    writing: Option<Writing>,
}

#[pymethods]
impl Core {
    /// `compression`: of what is for others. States stay as they are: more is put behind them.
    #[new]
    #[pyo3(signature = (program, states, cache, compression=Codec::None))]
    fn new(
        py: Python,
        program: &PyProgram,
        states: &PyStates,
        cache: usize,
        compression: Codec,
    ) -> PyResult<Core> {
        let p = program.0.clone();
        Ok(Core {
            special: p.special(),
            encoder: Encoder::of(&p),
            partition: Partition::new(p, states.0.clone(), cache),
            buffer: Buffer::default(),
            classes: Classes::new(py)?,
            ahead: 0,
            drained: [0; 4],
            codec: compression,
            writing: None,
        })
    }

    #[getter]
    fn horizon(&self) -> i64 {
        self.partition.horizon
    }

    #[setter]
    fn set_horizon(&mut self, horizon: i64) {
        self.partition.horizon = horizon;
    }

    /// How many more are known than are at rest.
    #[getter]
    fn grown(&self) -> i64 {
        self.partition.grown
    }

    // One event, one timer.

    /// Apply an event of `values.Event`; True: Python has to do it.
    fn apply(&mut self, event: &Bound<PyAny>, now: i64, late: bool) -> PyResult<bool> {
        match from_python::event_of(event, &self.partition.p.vocab)? {
            Some(event) => self.partition.apply(&event, now, late),
            None => {
                let person: String = event.getattr("person")?.extract()?;
                self.partition.flush(&Arc::from(person))?;
                Ok(true)
            }
        }
    }

    /// Fire timers; gives how many fired, at how many customers it looked, and (due, person) of an entry that
    /// Python has to see to before going on.
    fn fire(
        &mut self,
        py: Python,
        until: i64,
        now: i64,
        limit: Option<usize>,
        hint: Py<PyAny>,
    ) -> PyResult<(usize, usize, Option<(i64, String)>)> {
        let limit = limit.unwrap_or(usize::MAX);
        let partition = &mut self.partition;
        if partition.queue.next_due() > until {
            return Ok((0, 0, None)); // mostly: not worth letting go of Python
        }
        let (encoder, writing) = (&mut self.encoder, &mut self.writing);
        let (fired, looked, entry) = py.allow_threads(|| -> PyResult<_> {
            let done = partition.fire(until, now, limit, &hint)?;
            write_some(encoder, &mut partition.run.records, writing)?;
            Ok(done)
        })?;
        Ok((fired, looked, entry.map(|(at, person)| (at, person.to_string()))))
    }

    /// Put a person to rest, for Python to look at, or (`keep`) to work on until the next drain.
    fn flush(&mut self, person: &str, keep: bool) -> PyResult<()> {
        let person = Arc::from(person);
        if keep {
            self.partition.flush(&person)
        } else {
            self.partition.put_down(&person)
        }
    }

    fn flush_all(&mut self) -> PyResult<()> {
        self.partition.people_hot().iter().try_for_each(|person| self.partition.put_down(person))
    }

    /// Take in a state at rest; False: it is not readable.
    fn load(&mut self, person: &str, blob: &[u8]) -> PyResult<bool> {
        self.partition.load(Arc::from(person), blob)
    }

    /// Take in the states of a changelog as they were fetched, from `start` on; gives the place of the first that is
    /// none of a person's, or not readable.
    fn load_run(&mut self, py: Python, records: &Fetched, start: usize) -> PyResult<usize> {
        let partition = &mut self.partition;
        py.allow_threads(|| {
            let count = records.end - records.begin;
            for place in start..count {
                if !partition.load_fetched(records, place)? {
                    return Ok(place);
                }
            }
            Ok(count)
        })
    }

    // What came of it.

    /// Whether some of what the next drain gives is written already, as batches.
    #[getter]
    fn has_written(&self) -> bool {
        self.writing.as_ref().is_some_and(|writing| !writing.out.is_empty())
    }

    /// Records, changes and counts since the last drain, one by one.
    fn drain<'py>(&mut self, py: Python<'py>, fold: Py<PyAny>) -> PyResult<Bound<'py, PyDict>> {
        if self.has_written() {
            return Err(CoreError::new_err("records that are written already, asked for one by one"));
        }
        self.writing = None;
        let touched = self.partition.touched_any();
        let mut changes = Vec::new();
        self.partition.written(&fold, |person, state| {
            changes.push((person.to_string(), state.map(|state| PyBytes::new(py, state))));
        })?;
        let changes = PyList::new(py, changes)?;
        let records = PyList::empty(py);
        let p = self.partition.p.clone();
        for record in std::mem::take(self.partition.run.records.named()) {
            records.append(to_python::record(py, &p, &self.classes, &record)?)?;
        }
        let drained = self.told(py, touched)?;
        drained.set_item("written", changes.len())?;
        drained.set_item("changes", changes)?;
        drained.set_item("records", records)?;
        Ok(drained)
    }

    /// The same as batches ready for Kafka, stamped `timestamp` (milliseconds); records as counts of what they say.
    ///
    /// From then on records are written as they come, while they are in the processor's cache.
    fn drain_ready<'py>(
        &mut self,
        py: Python<'py>,
        fold: Py<PyAny>,
        timestamp: i64,
        limit: usize,
    ) -> PyResult<Bound<'py, PyDict>> {
        let touched = self.partition.touched_any();
        let mut writing =
            self.writing.take().unwrap_or_else(|| Writing::new(limit, self.drained, self.codec));
        let (partition, encoder) = (&mut self.partition, &mut self.encoder);
        let written = py.allow_threads(|| -> PyResult<_> {
            writing.write(encoder, &mut partition.run.records)?;
            let written = partition.written(&fold, |person, state| writing.out.state(person, state))?;
            writing.out.close(timestamp);
            Ok(written)
        })?;
        let drained = self.told(py, touched)?;
        let Writing { mut out, tally } = writing;
        tally::tell(py, &self.partition.p, tally, &drained)?;
        drained.set_item("written", written)?;
        let parts = [
            ("transitions", &mut out.transitions),
            ("signals", &mut out.signals),
            ("stages", &mut out.stages),
            ("states", &mut out.states),
        ];
        for (place, (name, batches)) in parts.into_iter().enumerate() {
            let made;
            (made, self.drained[place]) = ready(py, batches)?;
            drained.set_item(name, made)?;
        }
        self.writing = Some(Writing::new(limit, self.drained, self.codec));
        drained.set_item("size", self.drained.iter().sum::<usize>())?;
        Ok(drained)
    }

    // The queue, for whoever is at work in Python.

    fn queue_load(&mut self, person: &str, hint: i64, due: i64) {
        self.partition.queue.load(Arc::from(person), hint, due);
    }

    fn queue_moved(&mut self, person: &str, before: i64, after: i64) {
        self.partition.queue.moved(&Arc::from(person), before, after);
    }

    fn queue_bound(&self, person: &str, hint: i64) -> i64 {
        self.partition.queue.bound(&Arc::from(person), hint)
    }

    fn queue_put(&mut self, person: &str, due: i64, hint: i64) {
        self.partition.queue.put(&Arc::from(person), due, hint);
    }

    fn queue_forget(&mut self, person: &str) {
        self.partition.queue.forget(&Arc::from(person));
    }

    #[getter]
    fn next_due(&self) -> i64 {
        self.partition.queue.next_due()
    }

    #[getter]
    fn queued(&self) -> usize {
        self.partition.queue.len()
    }

    /// Build the queue anew, after a drain: all that is due is at rest, or at work here.
    fn queue_rebuild(&mut self) {
        self.partition.rebuild_queue();
    }

    // The same where states rest on disk.

    fn queue_leave_far_ones(&mut self) {
        self.partition.queue.leave_far_ones();
    }

    /// Entries from here on are not in the queue.
    #[getter]
    fn queue_end(&self) -> i64 {
        self.partition.queue.end()
    }

    /// Take in entries of persons at rest, and of those at work here, up to a new end.
    fn queue_fetched(&mut self, entries: Vec<(i64, String)>, end: i64) {
        let at_work = self.partition.due_at_work(self.partition.queue.end(), end);
        let at_rest = entries.into_iter().map(|(due, person)| (due, Arc::from(person)));
        self.partition.queue.fetched(at_rest.chain(at_work), end);
    }

    // Waiting events.

    /// Keep an event of `values.Event` until the clock has come to it.
    fn push(&mut self, event: &Bound<PyAny>, tag: &Bound<PyAny>) -> PyResult<()> {
        let topic: String = tag.getattr("topic")?.extract()?;
        let topic = self.buffer.topic(&topic);
        let offset = tag.getattr("offset")?.extract()?;
        let tag = Tag::Given(Arc::new(tag.clone().unbind()));
        match from_python::event_of(event, &self.partition.p.vocab)? {
            Some(event) => {
                self.buffer.push(event.at, What::Ours(Box::new(event)), tag, topic, offset);
            }
            None => {
                let at = event.getattr("at")?.extract()?;
                let id: String = event.getattr("event_id")?.extract()?;
                let what = What::Theirs(event.clone().unbind(), id.into());
                self.buffer.push(at, what, tag, topic, offset);
            }
        }
        Ok(())
    }

    #[getter]
    fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// Time of the first event waiting, None if none.
    #[getter]
    fn earliest(&self) -> Option<i64> {
        self.buffer.earliest()
    }

    /// Per topic the tag with the lowest offset that waits.
    fn lowest(&self, py: Python) -> PyResult<Vec<Py<PyAny>>> {
        self.buffer.lowest().iter().map(|tag| tag.object(py)).collect()
    }

    /// Apply waiting events up to `until` in order, at most `limit`.
    ///
    /// Gives how many were let go, and what Python has to apply before going on: (event or None, tag, late); with
    /// None the event is to be decoded from the tag.
    fn release(
        &mut self,
        py: Python,
        until: i64,
        limit: usize,
        decided: i64,
        event_clock: bool,
    ) -> PyResult<(usize, Option<(Option<Py<PyAny>>, Py<PyAny>, bool, i64)>)> {
        let (partition, buffer, ahead) = (&mut self.partition, &mut self.buffer, &mut self.ahead);
        let (encoder, writing) = (&mut self.encoder, &mut self.writing);
        let (count, left) = py.allow_threads(|| -> PyResult<_> {
            let mut count = 0;
            while count < limit {
                if *ahead == 0 && partition.rest.is_on_disk() {
                    let first = buffer.first(until, AHEAD.min(limit - count));
                    *ahead = first.len();
                    partition.look_ahead(first.into_iter().flatten().collect())?;
                }
                let Some(waiting) = buffer.pop(until) else { break };
                *ahead = ahead.saturating_sub(1);
                count += 1;
                let now = if event_clock { waiting.at.max(decided) } else { decided };
                if let What::Ours(event) = &waiting.what {
                    if !partition.apply(event, now, event.late)? {
                        write_some(encoder, &mut partition.run.records, writing)?;
                        continue;
                    }
                }
                return Ok((count, Some((waiting, now))));
            }
            Ok((count, None))
        })?;
        let Some((waiting, now)) = left else { return Ok((count, None)) };
        let tag = waiting.tag.object(py)?;
        match waiting.what {
            What::Ours(event) => Ok((count, Some((None, tag, event.late, now)))),
            What::Theirs(event, _) => {
                let bound = event.bind(py);
                let late = bound.getattr("late")?.extract()?;
                let person: String = bound.getattr("person")?.extract()?;
                self.partition.flush(&Arc::from(person))?;
                Ok((count, Some((Some(event), tag, late, now))))
            }
        }
    }

    /// Take plain records of a source partition in, from `start` on: see `taking::direct`.
    ///
    /// Gives (next, on time, late, first, highest, oldest).
    #[allow(clippy::too_many_arguments)]
    fn take_direct(
        &mut self,
        py: Python,
        records: &Fetched,
        start: usize,
        topic: &str,
        times: (i64, i64, i64),
        as_of: &str,
        place: (u32, u32),
    ) -> PyResult<(usize, u64, u64, i64, i64, i64)> {
        let lateness = Lateness { clock: times.0, allowed: times.1, window: times.2 };
        let (partition, partitions) = place;
        let ours = |person: &str| partition_of(person.as_bytes(), partitions) == partition;
        let (p, buffer, special) = (&self.partition.p, &mut self.buffer, &self.special);
        let t = py.allow_threads(|| {
            taking::direct(p, buffer, records, start, topic, lateness, as_of, ours, special)
        });
        Ok((t.next, t.on_time, t.late, t.first, t.highest, t.oldest))
    }

    /// Take plain records of the keyed topic in, from `start` on: see `taking::hop`.
    ///
    /// `highest` and `times` are those of `Received`; they are brought up to date. Gives (next, first, oldest,
    /// {source: (on time, late)}).
    #[allow(clippy::too_many_arguments)]
    fn take_hop<'py>(
        &mut self,
        py: Python<'py>,
        records: &Fetched,
        start: usize,
        topic: &str,
        lateness: (i64, i64, i64),
        header: &str,
        as_of: &str,
        highest: &Bound<PyDict>,
        times: &Bound<PyDict>,
        sources: &Bound<PyAny>,
    ) -> PyResult<(usize, i64, i64, Bound<'py, PyDict>)> {
        let lateness = Lateness { clock: lateness.0, allowed: lateness.1, window: lateness.2 };
        let headers = (header, as_of);
        let mut received = Received::new();
        // Only those of this run: there may be hundreds.
        for source in taking::sources(records, start, header) {
            let source = PyBytes::new(py, source);
            if !sources.contains(&source)? {
                continue;
            }
            let known = match highest.get_item(&source)? {
                Some(known) => known.extract()?,
                None => -1,
            };
            received.insert(source.as_bytes().to_vec(), (known, 0, 0, 0));
        }
        let (p, buffer) = (&self.partition.p, &mut self.buffer);
        let taken = py.allow_threads(|| {
            taking::hop(p, buffer, records, start, topic, lateness, headers, &mut received)
        });
        let counts = PyDict::new(py);
        for (source, (sub_offset, at, on_time, late)) in received {
            if on_time + late > 0 {
                let source = PyBytes::new(py, &source);
                highest.set_item(&source, sub_offset)?;
                times.set_item(&source, at)?;
                counts.set_item(source, (on_time, late))?;
            }
        }
        Ok((taken.next, taken.first, taken.oldest, counts))
    }
}

impl Core {
    /// Counts, and whose states were put to rest for Python.
    fn told<'py>(&mut self, py: Python<'py>, touched: bool) -> PyResult<Bound<'py, PyDict>> {
        let partition = &mut self.partition;
        let told = PyDict::new(py);
        let counts = PyDict::new(py);
        let c = std::mem::take(&mut partition.counts);
        for (name, count) in [
            ("applied", c.applied),
            ("late", c.late),
            ("disordered", c.disordered),
            ("duplicate", c.duplicate),
            ("unknown_person", c.unknown_person),
            ("timers", c.timers),
            ("forgotten", c.forgotten),
            ("new", c.new),
        ] {
            if count > 0 {
                counts.set_item(name, count)?;
            }
        }
        let unknown = PyDict::new(py);
        for ((j, rule), count) in std::mem::take(&mut partition.run.unknown) {
            unknown.set_item((&partition.p.journeys[j].id, rule.as_str()), count)?;
        }
        let flushed = partition.take_flushed().into_iter();
        let flushed: Vec<(String, bool)> = flushed.map(|(person, new)| (person.to_string(), new)).collect();
        told.set_item("touched", touched)?;
        told.set_item("counts", counts)?;
        told.set_item("unknown", unknown)?;
        told.set_item("flushed", flushed)?;
        Ok(told)
    }
}

/// Batches, and how many bytes they would have without compression.
fn ready<'py>(py: Python<'py>, batches: &mut Batches) -> PyResult<(Bound<'py, PyList>, usize)> {
    let (made, mut size) = (PyList::empty(py), 0);
    for batch in batches.take() {
        size += batch.plain;
        made.append(Py::new(py, batch)?)?;
    }
    Ok((made, size))
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyProgram>()?;
    m.add("CoreError", m.py().get_type::<crate::partition::CoreError>())?;
    // What a bug here raises in Python: no `Exception`, and so to be named.
    m.add("Panic", m.py().get_type::<pyo3::panic::PanicException>())?;
    m.add("CONTRACT", CONTRACT)?;
    m.add_class::<Core>()
}
