//! Source records to rows of the keyed topic: `kafka/intake.py`, for the plain ones, as batches ready for Kafka.
//!
//! In: fetched records; rows that Python made of the others. Out: batches by keyed partition, in which every row stands
//! where it came: the partition drops what is behind something later of the same source.

use crate::batch::{Batches, MAX_BATCH_BYTES};
use crate::core::PyProgram;
use crate::decode::decode;
use crate::fetched::Fetched;
use crate::murmur::partition_of;
use crate::program::Program;
use crate::ready::ReadyBatch;
use crate::taking::{EVENT, FORMAT, HEAD};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::sync::Arc;

#[pyclass(module = "journey_stream_native")]
pub struct HopRows {
    p: Arc<Program>,
    special: Vec<usize>,
    header: String,
    /// The header, but for sub-offset and broker time.
    head: Vec<u8>,
    partitions: Vec<Batches>,
}

#[pymethods]
impl HopRows {
    /// For one source partition: `source` is its packed name, `header` the name of the hop's header.
    #[new]
    fn new(program: &PyProgram, source: &[u8], header: String, partitions: usize) -> HopRows {
        let p = program.program();
        let mut head = vec![0; HEAD];
        (head[0], head[1]) = (EVENT, FORMAT);
        head.extend_from_slice(source);
        HopRows {
            special: p.special(),
            p,
            header,
            head,
            partitions: (0..partitions).map(|_| Batches::limited(false, 0, MAX_BATCH_BYTES)).collect(),
        }
    }

    /// Forget what is here; rows to come are written at this time (milliseconds).
    fn begin(&mut self, timestamp: i64) {
        for each in &mut self.partitions {
            each.take();
            each.timestamp = timestamp;
        }
    }

    /// Take plain records from `start` on; gives the place of the first that is not, and the highest time.
    fn take(
        &mut self,
        py: Python,
        records: &Fetched,
        start: usize,
        highest: Option<i64>,
    ) -> (usize, Option<i64>) {
        py.allow_threads(|| self.run(records, start, highest))
    }

    /// Append a row that Python made.
    fn append(
        &mut self,
        partition: usize,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: Vec<(String, Option<Vec<u8>>)>,
    ) {
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        self.partitions[partition].append(key, value, headers);
    }

    /// All batches, by partition; nothing is left here.
    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let found = PyDict::new(py);
        for (partition, batches) in self.partitions.iter_mut().enumerate() {
            let batches: Vec<ReadyBatch> = batches.take();
            if !batches.is_empty() {
                let made: PyResult<Vec<_>> = batches.into_iter().map(|each| Bound::new(py, each)).collect();
                found.set_item(partition, PyList::new(py, made?)?)?;
            }
        }
        Ok(found)
    }
}

impl HopRows {
    fn run(&mut self, records: &Fetched, start: usize, mut highest: Option<i64>) -> (usize, Option<i64>) {
        let (rows, count) = (&records.rows, self.partitions.len() as u32);
        let mut first = Vec::with_capacity(self.header.len() + self.head.len() + 4);
        for place in records.begin + start..records.end {
            let stop = (place - records.begin, highest);
            let Some(value) = rows.value(place) else { return stop };
            let Some(broker_at) = rows.timestamp(place).checked_mul(1000) else { return stop };
            let Some(sub_offset) = rows.offset(place).checked_mul(2) else { return stop };
            let Some(event) = decode(value, broker_at, &self.p.vocab) else { return stop };
            if self.special.contains(&event.kind) {
                return stop;
            }
            highest = highest.max(Some(event.at));
            self.head[2..10].copy_from_slice(&sub_offset.to_be_bytes());
            self.head[10..18].copy_from_slice(&broker_at.to_be_bytes());
            first.clear();
            crate::batch::put_header(&mut first, &self.header, Some(&self.head));
            let partition = partition_of(event.person.as_bytes(), count);
            let (headers, more) = rows.raw_headers(place);
            let batches = &mut self.partitions[partition as usize];
            batches.append_raw(rows.key(place), Some(value), 1 + headers, [&first, more]);
        }
        (records.end - records.begin, highest)
    }
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<HopRows>()
}
