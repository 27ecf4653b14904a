//! What a record batch holds, compressed as it comes.
//!
//! In: pieces of some dozen kilobytes, while they are in the processor's cache. Out: the same as one stream of one of
//! Kafka's codecs. Strategy: fast levels, since what is said of customers repeats itself: even so it takes a tenth of
//! the room.

use crate::batch::MAX_BATCH_BYTES;
use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::io::{self, Write};

/// As the attributes of a batch name it.
#[derive(Clone, Copy, Default, PartialEq)]
pub enum Codec {
    #[default]
    None = 0,
    Gzip = 1,
    Lz4 = 3,
    Zstd = 4,
}

/// As settings name it.
impl<'py> FromPyObject<'py> for Codec {
    fn extract_bound(name: &Bound<'py, PyAny>) -> PyResult<Codec> {
        match &*name.extract::<String>()? {
            "none" => Ok(Codec::None),
            "gzip" => Ok(Codec::Gzip),
            "lz4" => Ok(Codec::Lz4),
            "zstd" => Ok(Codec::Zstd),
            _ => Err(PyValueError::new_err(format!("expected none, gzip, lz4 or zstd, came {name}"))),
        }
    }
}

impl Codec {
    /// Of records in a batch, in bytes, before they are compressed: whoever reads one has all of it in memory. (A stream
    /// of zstd does not tell how long it is, and then clients in Python take a mebibyte.)
    pub fn most(self) -> usize {
        if self == Codec::Zstd {
            MAX_BATCH_BYTES
        } else {
            4 * MAX_BATCH_BYTES
        }
    }
}

const GZIP_LEVEL: u32 = 1;
/// Quicker than lz4, and smaller; level 1 takes a third off again, for a third more time.
const ZSTD_LEVEL: i32 = -3;

/// A stream that is being written behind what stands in front of it.
pub enum Squeezer {
    Gzip(GzEncoder<Vec<u8>>),
    Lz4(Box<FrameEncoder<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Squeezer {
    /// None: this codec leaves everything as it is.
    pub fn new(codec: Codec, front: Vec<u8>) -> Option<Squeezer> {
        Some(match codec {
            Codec::None => return None,
            Codec::Gzip => Squeezer::Gzip(GzEncoder::new(front, flate2::Compression::new(GZIP_LEVEL))),
            Codec::Lz4 => {
                // Java's reader knows no blocks that depend on one another.
                let frame =
                    FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
                Squeezer::Lz4(Box::new(FrameEncoder::with_frame_info(frame, front)))
            }
            Codec::Zstd => Squeezer::Zstd(written(zstd::stream::write::Encoder::new(front, ZSTD_LEVEL))),
        })
    }

    pub fn take_in(&mut self, piece: &[u8]) {
        written(match self {
            Squeezer::Gzip(stream) => stream.write_all(piece),
            Squeezer::Lz4(stream) => stream.write_all(piece),
            Squeezer::Zstd(stream) => stream.write_all(piece),
        });
    }

    /// Bytes so far, with what stands in front; some of what was taken in may be still to come.
    pub fn len(&self) -> usize {
        match self {
            Squeezer::Gzip(stream) => stream.get_ref().len(),
            Squeezer::Lz4(stream) => stream.get_ref().len(),
            Squeezer::Zstd(stream) => stream.get_ref().len(),
        }
    }

    /// All of it, behind what stands in front.
    pub fn finish(self) -> Vec<u8> {
        match self {
            Squeezer::Gzip(stream) => written(stream.finish()),
            Squeezer::Lz4(stream) => written(stream.finish().map_err(io::Error::from)),
            Squeezer::Zstd(stream) => written(stream.finish()),
        }
    }
}

fn written<T>(done: io::Result<T>) -> T {
    done.expect("memory takes all that is written")
}
