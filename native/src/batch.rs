//! Record batches of Kafka (magic 2) as bytes.
//!
//! In: key, value, headers. Out: `ReadyBatch`es, complete but for what the producer knows and the checksum. That of the
//! records of a large batch is made as they come, while they are in the processor's cache, and without Python; where
//! they are compressed, that is done then. Follows `aiokafka.record.default_records` and, in what fits into one batch,
//! `kafka.sender.in_batches`; a compressed batch holds more.

use crate::ready::ReadyBatch;
use crate::squeeze::{Codec, Squeezer};

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
pub const EPOCH_AT: usize = 51;
pub const SEQUENCE_AT: usize = 53;
pub const COUNT_AT: usize = 57;
pub const TRANSACTIONAL: i16 = 0x10;
/// So many bytes are summed, or compressed, at a time: beyond them they are out of the nearest cache.
const SUMMED: usize = 64 * 1024;
/// What a codec may have taken in and not given yet.
const HELD: usize = 192 * 1024;

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

pub fn write<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&value);
}

/// The checksum of a batch's records so far.
#[derive(Clone, Copy, Default)]
pub struct Sum {
    pub crc: u32,
    /// Bytes behind the header that are in it.
    pub bytes: usize,
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
    codec: Codec,
    /// Milliseconds since the epoch, of the records to come.
    pub timestamp: i64,
    full: Vec<ReadyBatch>,
    /// The batch so far; where it is compressed, what of its records is still to be.
    buffer: Vec<u8>,
    squeezer: Option<Squeezer>,
    /// Bytes of records that are compressed already.
    squeezed: usize,
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
            codec: Codec::None,
            timestamp,
            full: Vec::new(),
            buffer: Vec::new(),
            squeezer: None,
            squeezed: 0,
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

    /// The same, compressed.
    pub fn compressed(self, codec: Codec) -> Batches {
        Batches { codec, ..self }
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
    /// One that is larger than a batch stands in a batch of its own, as with aiokafka, and plain: it might grow.
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
            self.open(fields);
        }
        let mut size = self.size_of(fields);
        // `>=` as aiokafka's C extension has it; its Python twin, which fills the last byte too, has `>`.
        if self.records > 0 && !self.has_room(varint_size(size as i64) + size) {
            self.close();
            self.open(fields);
            size = self.size_of(fields);
        }
        self.take_in(SUMMED);
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

    fn has_room(&self, more: usize) -> bool {
        match &self.squeezer {
            None => self.buffer.len() + more < self.limit,
            Some(squeezer) => {
                let rest = self.buffer.len() + more;
                squeezer.len() + HELD + rest < self.limit && self.squeezed + rest < self.codec.most()
            }
        }
    }

    /// Sum or compress what has come, if it is as many bytes.
    #[inline]
    fn take_in(&mut self, least: usize) {
        match &mut self.squeezer {
            None if self.buffer.len() - HEADER - self.sum.bytes >= least => self.sum.take_in(&self.buffer),
            Some(squeezer) if self.buffer.len() >= least => {
                squeezer.take_in(&self.buffer);
                self.squeezed += self.buffer.len();
                self.buffer.clear();
            }
            _ => {}
        }
    }

    /// Begin a batch whose first record has so many bytes.
    fn open(&mut self, fields: usize) {
        (self.first, self.most) = (self.timestamp, self.timestamp);
        let codec = if HELD + fields < self.limit { self.codec } else { Codec::None };
        self.squeezer = Squeezer::new(codec, vec![0; HEADER]);
        if self.squeezer.is_some() {
            return;
        }
        let room = if self.full.is_empty() { self.expected } else { self.limit }; // the next is as large
        self.buffer.reserve(room.min(self.limit));
        self.buffer.resize(HEADER, 0);
    }

    fn close(&mut self) {
        if self.squeezer.is_some() || self.sum.bytes > 0 {
            self.take_in(0);
        }
        let mut sum = std::mem::take(&mut self.sum);
        let (mut bytes, plain, codec) = match self.squeezer.take() {
            None => {
                let bytes = std::mem::take(&mut self.buffer);
                let plain = bytes.len();
                (bytes, plain, Codec::None)
            }
            Some(squeezer) => {
                let bytes = squeezer.finish();
                sum.take_in(&bytes);
                (bytes, HEADER + std::mem::take(&mut self.squeezed), self.codec)
            }
        };
        let length = (bytes.len() - LENGTH_AT - 4) as i32;
        write(&mut bytes, LENGTH_AT, length.to_be_bytes());
        write(&mut bytes, LENGTH_AT + 4, (-1i32).to_be_bytes()); // the leader's epoch, which the broker knows
        bytes[MAGIC_AT] = 2;
        write(&mut bytes, ATTRIBUTES_AT, (self.attributes | codec as i16).to_be_bytes());
        write(&mut bytes, LAST_OFFSET_AT, (self.records - 1).to_be_bytes());
        write(&mut bytes, FIRST_TIME_AT, self.first.to_be_bytes());
        write(&mut bytes, MOST_TIME_AT, self.most.to_be_bytes());
        write(&mut bytes, PRODUCER_AT, (-1i64).to_be_bytes());
        write(&mut bytes, EPOCH_AT, (-1i16).to_be_bytes());
        write(&mut bytes, COUNT_AT, self.records.to_be_bytes());
        self.full.push(ReadyBatch {
            records: self.records,
            size: bytes.len(),
            plain,
            bytes,
            sum,
            built: None,
        });
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
