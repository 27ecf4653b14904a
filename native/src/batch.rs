//! Record batches of Kafka (magic 2) as bytes, and the object that aiokafka sends in place of its BatchBuilder.
//!
//! In: key, value, headers. Out: `ReadyBatch`es, complete but for what the producer knows (its id, epoch and the
//! sequence number), which is written in when aiokafka asks for the bytes; the checksum comes last. That of the records
//! of a large batch is made as they come, while they are in the processor's cache, and without Python. Follows
//! `aiokafka.record.default_records` and, in what fits into one batch, `kafka.checkpoint.Sender.send`.

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3_bytes::PyBytes;

/// As `kafka.sender` has it: little less than what a topic takes unless its settings say otherwise.
pub const MAX_BATCH_BYTES: usize = 1_000_000;
pub const HEADER: usize = 61;
pub const LENGTH_AT: usize = 8;
pub const MAGIC_AT: usize = 16;
pub const CRC_AT: usize = 17;
pub const ATTRIBUTES_AT: usize = 21;
pub const LAST_OFFSET_AT: usize = 23;
pub const FIRST_TIME_AT: usize = 27;
pub const MOST_TIME_AT: usize = 35;
pub const PRODUCER_AT: usize = 43;
const EPOCH_AT: usize = 51;
const SEQUENCE_AT: usize = 53;
pub const COUNT_AT: usize = 57;
pub const TRANSACTIONAL: i16 = 0x10;
/// So many bytes are summed at a time: beyond them they are out of the nearest cache.
const SUMMED: usize = 64 * 1024;

/// A signed number as Kafka writes it: zigzag, seven bits a byte.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = (value << 1 ^ value >> 63) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[inline]
fn varint_size(value: i64) -> usize {
    let zigzag = (value << 1 ^ value >> 63) as u64;
    (70 - (zigzag | 1).leading_zeros() as usize) / 7
}

/// One header as it stands in a record.
pub fn put_header(out: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
    put_field(out, Some(name.as_bytes()));
    put_field(out, value);
}

#[inline]
fn put_field(out: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => out.push(1), // a length of -1
        Some(field) => {
            put_varint(out, field.len() as i64);
            out.extend_from_slice(field);
        }
    }
}

/// A record from its key on, whose `count` headers are written already.
#[inline]
pub fn put_fields(
    out: &mut Vec<u8>,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    count: usize,
    headers: [&[u8]; 2],
) {
    put_field(out, key);
    put_field(out, value);
    put_varint(out, count as i64);
    out.extend_from_slice(headers[0]);
    out.extend_from_slice(headers[1]);
}

#[inline]
fn field_size(field: Option<&[u8]>) -> usize {
    field.map_or(1, |field| varint_size(field.len() as i64) + field.len())
}

fn write<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&value);
}

/// The checksum of a batch's records so far.
#[derive(Clone, Copy, Default)]
struct Sum {
    crc: u32,
    /// Bytes behind the header that are in it.
    bytes: usize,
}

impl Sum {
    fn take_in(&mut self, batch: &[u8]) {
        let more = &batch[HEADER + self.bytes..];
        self.crc = crc32c::crc32c_append(self.crc, more);
        self.bytes += more.len();
    }
}

/// Rows of one topic-partition, in as many batches as they need.
pub struct Batches {
    limit: usize,
    attributes: i16,
    /// Milliseconds since the epoch, of the records to come.
    pub timestamp: i64,
    full: Vec<ReadyBatch>,
    buffer: Vec<u8>,
    records: i32,
    first: i64,
    most: i64,
    scratch: Vec<u8>,
    sum: Sum,
    /// Bytes that are likely to come: room is made for them once.
    expected: usize,
}

impl Batches {
    pub fn limited(transactional: bool, timestamp: i64, limit: usize) -> Batches {
        Batches {
            limit,
            attributes: if transactional { TRANSACTIONAL } else { 0 },
            timestamp,
            full: Vec::new(),
            buffer: Vec::new(),
            records: 0,
            first: 0,
            most: 0,
            scratch: Vec::new(),
            sum: Sum::default(),
            expected: 0,
        }
    }

    /// The same, where so many bytes are likely to come.
    pub fn expecting(self, expected: usize) -> Batches {
        Batches { expected, ..self }
    }

    pub fn append<'a>(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let mut count = 0;
        for (name, value) in headers {
            put_header(&mut scratch, name, value);
            count += 1;
        }
        self.append_raw(key, value, count, [&scratch, &[]]);
        self.scratch = scratch;
    }

    /// Append a record whose `count` headers are written already (`put_header`), in two parts.
    ///
    /// One that is larger than a batch stands in a batch of its own, as with aiokafka.
    pub fn append_raw(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        count: usize,
        headers: [&[u8]; 2],
    ) {
        // What does not depend on the place in the batch.
        let fields = 1
            + field_size(key)
            + field_size(value)
            + varint_size(count as i64)
            + headers[0].len()
            + headers[1].len();
        put_fields(self.begin_record(fields), key, value, count, headers);
    }

    /// Append a record as it stands in another batch, from its key on.
    pub fn append_fields(&mut self, fields: &[u8]) {
        self.begin_record(1 + fields.len()).extend_from_slice(fields);
    }

    /// Begin a record that takes so many bytes beside its place and time; its key and so on are to follow.
    #[inline]
    fn begin_record(&mut self, fields: usize) -> &mut Vec<u8> {
        if self.records == 0 {
            self.open();
        }
        let mut size = self.size_of(fields);
        // `>=` as aiokafka's C extension has it; its Python twin, which fills the last byte too, has `>`.
        if self.records > 0 && self.buffer.len() + varint_size(size as i64) + size >= self.limit {
            self.close();
            self.open();
            size = self.size_of(fields);
        }
        if self.buffer.len() - HEADER - self.sum.bytes >= SUMMED {
            self.sum.take_in(&self.buffer);
        }
        self.records += 1;
        self.most = self.most.max(self.timestamp);
        let out = &mut self.buffer;
        put_varint(out, size as i64);
        out.push(0);
        put_varint(out, self.timestamp - self.first);
        put_varint(out, i64::from(self.records) - 1);
        out
    }

    fn size_of(&self, fields: usize) -> usize {
        fields + varint_size(self.timestamp - self.first) + varint_size(self.records as i64)
    }

    fn open(&mut self) {
        let room = if self.full.is_empty() { self.expected } else { self.limit }; // the next is as large
        self.buffer.reserve(room.min(self.limit));
        self.buffer.resize(HEADER, 0);
        self.first = self.timestamp;
        self.most = self.timestamp;
    }

    fn close(&mut self) {
        let mut bytes = std::mem::take(&mut self.buffer);
        let mut sum = std::mem::take(&mut self.sum);
        if sum.bytes > 0 {
            sum.take_in(&bytes);
        }
        let length = (bytes.len() - LENGTH_AT - 4) as i32;
        write(&mut bytes, LENGTH_AT, length.to_be_bytes());
        write(&mut bytes, LENGTH_AT + 4, (-1i32).to_be_bytes()); // the leader's epoch, which the broker knows
        bytes[MAGIC_AT] = 2;
        write(&mut bytes, ATTRIBUTES_AT, self.attributes.to_be_bytes());
        write(&mut bytes, LAST_OFFSET_AT, (self.records - 1).to_be_bytes());
        write(&mut bytes, FIRST_TIME_AT, self.first.to_be_bytes());
        write(&mut bytes, MOST_TIME_AT, self.most.to_be_bytes());
        write(&mut bytes, PRODUCER_AT, (-1i64).to_be_bytes());
        write(&mut bytes, EPOCH_AT, (-1i16).to_be_bytes());
        write(&mut bytes, COUNT_AT, self.records.to_be_bytes());
        self.full.push(ReadyBatch { records: self.records, size: bytes.len(), bytes, sum, built: None });
        self.records = 0;
    }

    pub fn is_empty(&self) -> bool {
        self.records == 0 && self.full.is_empty()
    }

    /// Say when they are made, where all records are of one time that is not known before the last has come.
    pub fn stamp(&mut self, timestamp: i64) {
        for batch in &mut self.full {
            write(&mut batch.bytes, FIRST_TIME_AT, timestamp.to_be_bytes());
            write(&mut batch.bytes, MOST_TIME_AT, timestamp.to_be_bytes());
        }
        (self.timestamp, self.first, self.most) = (timestamp, timestamp, timestamp);
    }

    /// All batches, in order; nothing is left here.
    pub fn take(&mut self) -> Vec<ReadyBatch> {
        if self.records > 0 {
            self.close();
        }
        std::mem::take(&mut self.full)
    }
}

/// A finished batch: aiokafka's `send_batch` takes it in place of a `BatchBuilder`.
#[pyclass(module = "journey_stream_native")]
pub struct ReadyBatch {
    records: i32,
    size: usize,
    pub bytes: Vec<u8>,
    /// Of all records, or of none.
    sum: Sum,
    /// The same, once it is built: whoever writes them to a socket reads them where they are.
    built: Option<Py<PyBytes>>,
}

impl ReadyBatch {
    /// The same batch, in an object of its own; this one is empty then.
    pub fn moved(&mut self) -> ReadyBatch {
        let bytes = std::mem::take(&mut self.bytes);
        ReadyBatch { records: self.records, size: self.size, bytes, sum: self.sum, built: self.built.take() }
    }

    /// Bytes, before or after it was built.
    pub fn len(&self, py: Python<'_>) -> usize {
        self.built.as_ref().map_or(self.bytes.len(), |built| built.bind(py).get().as_slice().len())
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

/// Batches of rows (key, value, headers) with the times of their records, as `Sender.send` would cut them.
#[pyfunction]
#[pyo3(signature = (rows, timestamps, transactional, limit=MAX_BATCH_BYTES))]
pub fn ready_batches(
    rows: Vec<Row>,
    timestamps: Vec<i64>,
    transactional: bool,
    limit: usize,
) -> PyResult<Vec<ReadyBatch>> {
    if rows.len() != timestamps.len() {
        return Err(PyValueError::new_err("expected a timestamp per row"));
    }
    let mut batches = Batches::limited(transactional, 0, limit);
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
