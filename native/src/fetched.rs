//! What a fetch brought of one partition: record batches as bytes, read into places, without an object a record.
//!
//! In: the bytes of a fetch response, what was aborted; or records as aiokafka gives them. Out: `Fetched`, a sequence
//! of `FetchedRecord`s that are made only when Python looks at one. Follows `aiokafka.consumer.fetcher` and
//! `aiokafka.record.default_records`. Whatever is not as it should be (older formats, wrong checksums, torn records)
//! is no error here: the caller lets aiokafka read it, which says what is wrong.

use crate::batch::{
    ATTRIBUTES_AT, COUNT_AT, CRC_AT, FIRST_TIME_AT, HEADER, LAST_OFFSET_AT, LENGTH_AT, MAGIC_AT,
    MOST_TIME_AT, PRODUCER_AT, TRANSACTIONAL,
};
use ahash::AHashSet;
use pyo3::exceptions::PyIndexError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PySlice, PyString, PyTuple};
use std::sync::Arc;

const OVERHEAD: usize = 12;
/// Base offset and length, which stand before what the length counts.
const CODEC: i16 = 0x07;
const APPEND_TIME: i16 = 0x08;
const CONTROL: i16 = 0x20;
const ABORT: i16 = 0;

/// Where something stands: begin and length.
type Span = (u32, u32);

struct Row {
    offset: i64,
    timestamp: i64,
    key: Option<Span>,
    value: Option<Span>,
    /// All of them.
    headers: Span,
    /// How many there are.
    count: u32,
    append_time: bool,
}

/// All records of one fetch, with the bytes that they stand in.
pub struct Rows {
    pub topic: String,
    partition: i32,
    bytes: Vec<u8>,
    rows: Vec<Row>,
}

/// A header: name, value.
pub type Header<'a> = (&'a str, Option<&'a [u8]>);

impl Rows {
    fn slice(&self, (begin, length): Span) -> &[u8] {
        &self.bytes[begin as usize..(begin + length) as usize]
    }

    pub fn offset(&self, place: usize) -> i64 {
        self.rows[place].offset
    }

    /// Milliseconds.
    pub fn timestamp(&self, place: usize) -> i64 {
        self.rows[place].timestamp
    }

    pub fn key(&self, place: usize) -> Option<&[u8]> {
        self.rows[place].key.map(|span| self.slice(span))
    }

    pub fn value(&self, place: usize) -> Option<&[u8]> {
        self.rows[place].value.map(|span| self.slice(span))
    }

    /// Headers as they stand in the batch, and how many.
    pub fn raw_headers(&self, place: usize) -> (usize, &[u8]) {
        let row = &self.rows[place];
        (row.count as usize, self.slice(row.headers))
    }

    pub fn headers(&self, place: usize) -> impl Iterator<Item = Header<'_>> {
        let (row, begin) = (&self.rows[place], self.rows[place].headers.0);
        let count = row.count;
        let mut reader = Reading { bytes: &self.bytes, at: begin as usize };
        (0..count).map(move |_| header(&mut reader).expect("read before"))
    }
}

pub struct Reading<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Reading<'a> {
    #[inline]
    pub fn varint(&mut self) -> Option<i64> {
        let mut found = 0u64;
        let mut shift = 0;
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            if shift > 63 {
                return None;
            }
            found |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some((found >> 1) as i64 ^ -((found & 1) as i64));
            }
            shift += 7;
        }
    }

    /// A length and so many bytes; -1 stands for none.
    #[inline]
    fn field(&mut self) -> Option<Option<Span>> {
        let length = self.varint()?;
        if length < 0 {
            return Some(None);
        }
        let length = usize::try_from(length).ok()?;
        let end = self.at.checked_add(length)?;
        if end > self.bytes.len() {
            return None;
        }
        let begin = std::mem::replace(&mut self.at, end);
        Some(Some((begin as u32, length as u32)))
    }
}

fn header<'a>(reader: &mut Reading<'a>) -> Option<Header<'a>> {
    let bytes = reader.bytes;
    let part = |(begin, length): Span| &bytes[begin as usize..(begin + length) as usize];
    let name = std::str::from_utf8(part(reader.field()??)).ok()?;
    Some((name, reader.field()?.map(part)))
}

fn int<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// Times and offset that the records of a batch count from.
struct Base {
    offset: i64,
    first_time: i64,
    append_time: Option<i64>,
}

fn record(reader: &mut Reading, base: &Base) -> Option<Row> {
    let length = usize::try_from(reader.varint()?).ok()?;
    let begin = reader.at;
    reader.varint()?; // attributes, of no use
    let time = reader.varint()?;
    let offset = reader.varint()?;
    let (key, value) = (reader.field()?, reader.field()?);
    let count = u32::try_from(reader.varint()?).ok()?;
    let headers_at = reader.at;
    for _ in 0..count {
        header(reader)?;
    }
    if reader.at - begin != length {
        return None;
    }
    Some(Row {
        offset: base.offset.checked_add(offset)?,
        timestamp: base.append_time.or_else(|| base.first_time.checked_add(time))?,
        key,
        value,
        headers: (headers_at as u32, (reader.at - headers_at) as u32),
        count,
        append_time: base.append_time.is_some(),
    })
}

/// What a fetch brought: rows from `from` on, and where to fetch next. None: aiokafka has to read it.
///
/// `unpack(codec, bytes)` gives what a compressed batch holds. `aborted` is (producer, first offset), by offset.
fn rows_of(
    bytes: &[u8],
    from: i64,
    aborted: &[(i64, i64)],
    unpack: impl Fn(i16, &[u8]) -> Option<Vec<u8>>,
) -> Option<(Vec<u8>, Vec<Row>, i64)> {
    let (mut rows, mut unpacked, mut next, mut at) = (Vec::new(), Vec::new(), from, 0);
    let (mut dead, mut ahead) = (AHashSet::new(), aborted.iter().peekable());
    if u32::try_from(bytes.len()).is_err() {
        return None;
    }
    while bytes.len() - at >= OVERHEAD {
        let length = i32::from_be_bytes(int(bytes, at + LENGTH_AT)?);
        let end = at + OVERHEAD + usize::try_from(length).ok()?;
        if end > bytes.len() {
            break; // cut off by the broker: fetched again
        }
        let batch = &bytes[at..end];
        if batch.len() < HEADER || batch[MAGIC_AT] != 2 {
            return None;
        }
        if u32::from_be_bytes(int(batch, CRC_AT)?) != crc32c::crc32c(&batch[ATTRIBUTES_AT..]) {
            return None;
        }
        let attributes = i16::from_be_bytes(int(batch, ATTRIBUTES_AT)?);
        let offset = i64::from_be_bytes(int(batch, 0)?);
        let after = offset + i64::from(i32::from_be_bytes(int(batch, LAST_OFFSET_AT)?)) + 1;
        let producer = i64::from_be_bytes(int(batch, PRODUCER_AT)?);
        let count = i32::from_be_bytes(int(batch, COUNT_AT)?);
        while let Some((producer, _)) = ahead.next_if(|(_, first)| *first <= offset) {
            dead.insert(*producer);
        }
        let begin = at + HEADER;
        at = end;
        if attributes & CONTROL != 0 {
            let mut reader = Reading { bytes: &batch[HEADER..], at: 0 };
            let row = record(&mut reader, &Base { offset, first_time: 0, append_time: None })?;
            let (key, _) = row.key?;
            if i16::from_be_bytes(int(&batch[HEADER..], key as usize + 2)?) == ABORT {
                dead.remove(&producer);
            }
            next = after;
            continue;
        }
        if attributes & TRANSACTIONAL != 0 && dead.contains(&producer) {
            next = after;
            continue;
        }
        let most = i64::from_be_bytes(int(batch, MOST_TIME_AT)?);
        let base = Base {
            offset,
            first_time: i64::from_be_bytes(int(batch, FIRST_TIME_AT)?),
            append_time: (attributes & APPEND_TIME != 0).then_some(most),
        };
        let mut reader = if attributes & CODEC == 0 {
            Reading { bytes: &bytes[..end], at: begin }
        } else {
            // What was unpacked stands behind the response, as if it had been a part of it.
            let start = unpacked.len();
            unpacked.extend(unpack(attributes & CODEC, &batch[HEADER..])?);
            u32::try_from(bytes.len() + unpacked.len()).ok()?;
            Reading { bytes: &unpacked, at: start }
        };
        let shift = if attributes & CODEC == 0 { 0 } else { bytes.len() as u32 };
        rows.reserve(usize::try_from(count).ok()?.min(reader.bytes.len()));
        for _ in 0..count {
            let mut row = record(&mut reader, &base)?;
            if row.offset < next {
                continue; // the batch begins before what was asked for
            }
            next = row.offset.checked_add(1)?;
            if shift > 0 {
                for (begin, _) in [&mut row.key, &mut row.value].into_iter().flatten() {
                    *begin += shift;
                }
                row.headers.0 += shift;
            }
            rows.push(row);
        }
        if reader.at != reader.bytes.len() {
            return None;
        }
        next = after;
    }
    let mut all = Vec::with_capacity(bytes.len() + unpacked.len());
    all.extend_from_slice(bytes);
    all.extend(unpacked);
    Some((all, rows, next))
}

/// Records of one partition, in offset order: a sequence.
#[pyclass(frozen, sequence, module = "journey_stream_native")]
pub struct Fetched {
    pub rows: Arc<Rows>,
    pub begin: usize,
    pub end: usize,
}

#[pymethods]
impl Fetched {
    /// Read what a fetch brought of a partition, from offset `start` on; gives it and the offset to fetch next.
    ///
    /// `aborted` are (producer, first offset) of transactions that were aborted; `unpack(codec, bytes)` unpacks a
    /// compressed batch. None: it is not all as it should be, and aiokafka has to read it.
    #[staticmethod]
    fn read(
        py: Python,
        topic: &str,
        partition: i32,
        bytes: &Bound<PyBytes>,
        start: i64,
        mut aborted: Vec<(i64, i64)>,
        unpack: &Bound<PyAny>,
    ) -> PyResult<Option<(Fetched, i64)>> {
        aborted.sort_by_key(|(_, first)| *first);
        let unpack = unpack.clone().unbind();
        let bytes = bytes.as_bytes();
        // Without the codec, or with what it cannot unpack: aiokafka says so.
        let unpacked = |codec: i16, packed: &[u8]| {
            Python::with_gil(|py| {
                let unpacked = unpack.bind(py).call1((codec, PyBytes::new(py, packed))).ok()?;
                Some(unpacked.downcast::<PyBytes>().ok()?.as_bytes().to_vec())
            })
        };
        let found = py.allow_threads(|| rows_of(bytes, start, &aborted, unpacked));
        Ok(found.map(|(bytes, rows, next)| {
            let (topic, end) = (topic.to_string(), rows.len());
            (Fetched { rows: Arc::new(Rows { topic, partition, bytes, rows }), begin: 0, end }, next)
        }))
    }

    /// Take over records as aiokafka gives them.
    #[staticmethod]
    fn of(records: &Bound<PyAny>) -> PyResult<Fetched> {
        let py = records.py();
        let (mut bytes, mut rows) = (Vec::new(), Vec::new());
        let (mut topic, mut partition) = (String::new(), -1);
        for each in records.try_iter()? {
            let each = each?;
            if rows.is_empty() {
                topic = each.getattr(intern!(py, "topic"))?.extract()?;
                partition = each.getattr(intern!(py, "partition"))?.extract()?;
            }
            let mut keep = |field: &[u8]| {
                bytes.extend_from_slice(field);
                ((bytes.len() - field.len()) as u32, field.len() as u32)
            };
            let key: Option<Bound<PyBytes>> = each.getattr(intern!(py, "key"))?.extract()?;
            let value: Option<Bound<PyBytes>> = each.getattr(intern!(py, "value"))?.extract()?;
            let key = key.map(|key| keep(key.as_bytes()));
            let value = value.map(|value| keep(value.as_bytes()));
            let begin = bytes.len() as u32;
            let mut count = 0;
            for header in each.getattr(intern!(py, "headers"))?.try_iter()? {
                let (name, value): (Bound<PyString>, Option<Bound<PyBytes>>) = header?.extract()?;
                crate::batch::put_header(
                    &mut bytes,
                    name.to_str()?,
                    value.as_ref().map(|value| value.as_bytes()),
                );
                count += 1;
            }
            rows.push(Row {
                offset: each.getattr(intern!(py, "offset"))?.extract()?,
                timestamp: each.getattr(intern!(py, "timestamp"))?.extract()?,
                key,
                value,
                headers: (begin, bytes.len() as u32 - begin),
                count,
                append_time: false,
            });
        }
        let end = rows.len();
        Ok(Fetched { rows: Arc::new(Rows { topic, partition, bytes, rows }), begin: 0, end })
    }

    fn __len__(&self) -> usize {
        self.end - self.begin
    }

    fn __getitem__<'py>(&self, py: Python<'py>, which: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let length = self.__len__();
        if let Ok(slice) = which.downcast::<PySlice>() {
            let found = slice.indices(length as isize)?;
            if found.step == 1 {
                let begin = self.begin + found.start as usize;
                let part = Fetched { rows: self.rows.clone(), begin, end: begin + found.slicelength };
                return Ok(Bound::new(py, part)?.into_any());
            }
            return Err(PyIndexError::new_err("expected a slice without a step"));
        }
        let place: isize = which.extract()?;
        let place = if place < 0 { place + length as isize } else { place };
        if place < 0 || place as usize >= length {
            return Err(PyIndexError::new_err("no record there"));
        }
        Ok(Bound::new(py, FetchedRecord { rows: self.rows.clone(), place: self.begin + place as usize })?
            .into_any())
    }
}

/// One of them, with the attributes of aiokafka's `ConsumerRecord`.
#[pyclass(frozen, module = "journey_stream_native")]
pub struct FetchedRecord {
    pub rows: Arc<Rows>,
    pub place: usize,
}

#[pymethods]
impl FetchedRecord {
    #[getter]
    fn topic(&self) -> &str {
        &self.rows.topic
    }

    #[getter]
    fn partition(&self) -> i32 {
        self.rows.partition
    }

    #[getter]
    fn offset(&self) -> i64 {
        self.rows.offset(self.place)
    }

    #[getter]
    fn timestamp(&self) -> i64 {
        self.rows.timestamp(self.place)
    }

    #[getter]
    fn timestamp_type(&self) -> i32 {
        i32::from(self.rows.rows[self.place].append_time)
    }

    #[getter]
    fn key(&self) -> Option<&[u8]> {
        self.rows.key(self.place)
    }

    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.rows.value(self.place).map(|value| PyBytes::new(py, value))
    }

    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let all: Vec<_> = self
            .rows
            .headers(self.place)
            .map(|(name, value)| (name, value.map(|value| PyBytes::new(py, value))))
            .collect();
        PyTuple::new(py, all)
    }
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<Fetched>()?;
    m.add_class::<FetchedRecord>()
}
