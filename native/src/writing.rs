//! What a drain is going to give as batches, written down as it comes.
//!
//! In: records as they are made. Out: batches, and what the records say in numbers. Strategy: kept until the drain, the
//! records of thousands of events would be out of all caches when they are written, and each take up memory of its own;
//! so they are written some dozens at a time, and their memory is the next ones'. That is done once batches have been
//! asked for: whoever wants records one by one gets them as they are.

use crate::encode::{Encoder, Outbox};
use crate::partition::failed;
use crate::records::Records;
use crate::squeeze::Codec;
use crate::tally::Tally;
use pyo3::PyResult;

/// Fewer are not worth it; more are out of the nearest caches.
const AT_ONCE: usize = 32;

pub struct Writing {
    pub out: Outbox,
    pub tally: Tally,
}

impl Writing {
    /// Batches of `limit` bytes at most; so many are `expected`, of each sort; compressed as `Outbox` has it.
    pub fn new(limit: usize, expected: [usize; 4], codec: Codec) -> Writing {
        Writing { out: Outbox::new(true, limit, expected, codec), tally: Tally::default() }
    }

    /// Write records down; none are left.
    pub fn write(&mut self, encoder: &mut Encoder, records: &mut Records) -> PyResult<()> {
        let records = records.named();
        encoder.records(records, &mut self.out).map_err(failed)?;
        self.tally.count(records);
        records.clear();
        Ok(())
    }
}

/// Write records down if there are enough of them, and somebody wants them written.
#[inline]
pub fn write_some(
    encoder: &mut Encoder,
    records: &mut Records,
    writing: &mut Option<Writing>,
) -> PyResult<()> {
    match writing {
        Some(writing) if records.len() >= AT_ONCE => writing.write(encoder, records),
        _ => Ok(()),
    }
}
