//! The object that aiokafka sends in place of its BatchBuilder.
//!
//! In: a batch, complete but for what the producer knows: its id, epoch and the sequence number. Out: its bytes, in which
//! that is written when aiokafka asks for them; the checksum comes last.

use crate::batch::{
    write, Batches, Sum, ATTRIBUTES_AT, CRC_AT, EPOCH_AT, HEADER, MAX_BATCH_BYTES, PRODUCER_AT, SEQUENCE_AT,
};
use crate::squeeze::Codec;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3_bytes::PyBytes;

/// A finished batch: aiokafka's `send_batch` takes it in place of a `BatchBuilder`.
#[pyclass(module = "journey_stream_native")]
pub struct ReadyBatch {
    pub records: i32,
    pub size: usize,
    /// Bytes that it would have without compression.
    pub plain: usize,
    pub bytes: Vec<u8>,
    /// Of all records, or of none.
    pub sum: Sum,
    /// The same, once it is built: whoever writes them to a socket reads them where they are.
    pub built: Option<Py<PyBytes>>,
}

impl ReadyBatch {
    /// The same batch, in an object of its own; this one is empty then.
    pub fn moved(&mut self) -> ReadyBatch {
        let bytes = std::mem::take(&mut self.bytes);
        let built = self.built.take();
        ReadyBatch { records: self.records, size: self.size, plain: self.plain, bytes, sum: self.sum, built }
    }
}

#[pymethods]
impl ReadyBatch {
    fn record_count(&self) -> i32 {
        self.records
    }

    fn size(&self) -> usize {
        self.size
    }

    fn close(&self) {}

    /// Always: so that aiokafka neither waits for more nor puts anything in.
    fn closed(&self) -> bool {
        true
    }

    #[pyo3(signature = (*, timestamp, key, value, headers=None))]
    fn append(
        &self,
        timestamp: Option<Bound<'_, PyAny>>,
        key: Option<Bound<'_, PyAny>>,
        value: Option<Bound<'_, PyAny>>,
        headers: Option<Bound<'_, PyAny>>,
    ) -> Option<i64> {
        let _ = (timestamp, key, value, headers);
        None // full
    }

    fn _set_producer_state(
        &mut self,
        producer_id: i64,
        producer_epoch: i16,
        base_sequence: i32,
    ) -> PyResult<()> {
        if self.built.is_some() {
            return Err(PyRuntimeError::new_err(
                "a batch that was built belongs to the producer that sent it",
            ));
        }
        write(&mut self.bytes, PRODUCER_AT, producer_id.to_be_bytes());
        write(&mut self.bytes, EPOCH_AT, producer_epoch.to_be_bytes());
        write(&mut self.bytes, SEQUENCE_AT, base_sequence.to_be_bytes());
        Ok(())
    }

    /// The bytes; asked again (for another attempt), the same ones.
    fn _build(&mut self, py: Python<'_>) -> PyResult<Py<PyBytes>> {
        if let Some(built) = &self.built {
            return Ok(built.clone_ref(py));
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        let Sum { crc, bytes: summed } = self.sum;
        let crc = match summed {
            0 => crc32c::crc32c(&bytes[ATTRIBUTES_AT..]),
            _ => crc32c::crc32c_combine(crc32c::crc32c(&bytes[ATTRIBUTES_AT..HEADER]), crc, summed),
        };
        write(&mut bytes, CRC_AT, crc.to_be_bytes());
        let built = Py::new(py, PyBytes::from(bytes))?;
        self.built = Some(built.clone_ref(py));
        Ok(built)
    }
}

type Header = (String, Option<Vec<u8>>);
pub type Row = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<Header>);

/// Batches of rows (key, value, headers) with the times of their records; plain ones are cut as `in_batches` cuts them.
#[pyfunction]
#[pyo3(signature = (rows, timestamps, transactional, limit=MAX_BATCH_BYTES, compression=Codec::None))]
pub fn ready_batches(
    rows: Vec<Row>,
    timestamps: Vec<i64>,
    transactional: bool,
    limit: usize,
    compression: Codec,
) -> PyResult<Vec<ReadyBatch>> {
    if rows.len() != timestamps.len() {
        return Err(PyValueError::new_err("expected a timestamp per row"));
    }
    let mut batches = Batches::limited(transactional, 0, limit).compressed(compression);
    for ((key, value, headers), timestamp) in rows.iter().zip(timestamps) {
        batches.timestamp = timestamp;
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        batches.append(key.as_deref(), value.as_deref(), headers);
    }
    Ok(batches.take())
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<ReadyBatch>()?;
    m.add_function(wrap_pyfunction!(ready_batches, m)?)
}
