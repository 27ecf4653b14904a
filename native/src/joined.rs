//! Small batches of one topic-partition as few large ones: what several sources have for it goes in one request.
//!
//! In: batches that nobody has sent, rows that Python made. Out: batches that hold the same records with the same times,
//! in that order. A record is the same bytes wherever it stands, but for its place and its time, which count from
//! those of its batch: so it is moved, not written anew.

use crate::batch::{Batches, FIRST_TIME_AT, HEADER, MAX_BATCH_BYTES};
use crate::fetched::Reading;
use crate::ready::{ReadyBatch, Row};
use crate::squeeze::Codec;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Join plain batches; `rows` come last, at `timestamp` (milliseconds). Large batches stay what they are, unless they
/// are to be compressed.
#[pyfunction]
#[pyo3(signature = (batches, rows, timestamp, transactional, limit=MAX_BATCH_BYTES, compression=Codec::None))]
fn join_batches(
    py: Python<'_>,
    mut batches: Vec<PyRefMut<ReadyBatch>>,
    rows: Vec<Row>,
    timestamp: i64,
    transactional: bool,
    limit: usize,
    compression: Codec,
) -> PyResult<Vec<ReadyBatch>> {
    let joined = Batches::limited(transactional, 0, limit).compressed(compression);
    let batches: Vec<ReadyBatch> = batches.iter_mut().map(|each| each.moved()).collect();
    let large = if compression == Codec::None { limit / 2 } else { usize::MAX };
    py.allow_threads(|| join(joined, batches, &rows, timestamp, large))
        .ok_or_else(|| PyValueError::new_err("expected batches of ours that were not sent"))
}

fn join(
    mut joined: Batches,
    batches: Vec<ReadyBatch>,
    rows: &[Row],
    timestamp: i64,
    large: usize,
) -> Option<Vec<ReadyBatch>> {
    let mut made = Vec::new();
    for batch in batches {
        if batch.bytes.len() > large {
            made.extend(joined.take());
            made.push(batch);
        } else {
            append(&mut joined, &batch.bytes)?;
        }
    }
    joined.timestamp = timestamp;
    for (key, value, headers) in rows {
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        joined.append(key.as_deref(), value.as_deref(), headers);
    }
    made.extend(joined.take());
    Some(made)
}

fn append(joined: &mut Batches, bytes: &[u8]) -> Option<()> {
    let first = i64::from_be_bytes(bytes.get(FIRST_TIME_AT..FIRST_TIME_AT + 8)?.try_into().ok()?);
    let mut reader = Reading { bytes, at: HEADER };
    while reader.at < bytes.len() {
        let length = usize::try_from(reader.varint()?).ok()?;
        let end = reader.at.checked_add(length)?;
        reader.varint()?; // attributes, of no use
        joined.timestamp = first.checked_add(reader.varint()?)?;
        reader.varint()?; // its place
        joined.append_fields(bytes.get(reader.at..end)?);
        reader.at = end;
    }
    Some(())
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(join_batches, m)?)
}
