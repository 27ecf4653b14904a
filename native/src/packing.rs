//! States that rest for long, made small: `engine/packing.py`, for the states that the core keeps.
//!
//! In: states at rest without a history. Out: the same in fewer bytes, and back. Strategy as there: a dictionary is
//! learnt from some hundreds of them, and anew as the population grows; what was packed with a former one stays
//! readable. Packed states never leave this process, so they need not be the bytes that Python's packing gives; the
//! head (due, layout) stands where it stands in a state:
//!
//!     1 byte PACKED, 8 due, 4 layout, 1 number of the dictionary (+ AS_IT_IS), the core, shortened and compressed

use crate::customer::{HEADER, VERSION};
use crate::hot::core_end;
use crate::shorten::{expand, shorten};
use crate::value::{damaged, Damaged, Res};
use std::io;
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::from_samples;
use zstd::zstd_safe::{compress_bound, CParameter, DParameter, FrameFormat};

/// First byte of a packed state: no format version.
pub const PACKED: u8 = 0xf0;
/// States that a dictionary is learnt from; fewer are not worth it.
const SAMPLES: usize = 500;
/// A new dictionary is learnt when so many times as many states were packed as with the one before.
const GROWTH: u64 = 8;
const DICTIONARIES: usize = 5;
const DICTIONARY_BYTES: usize = 32_768;
const LEVEL: i32 = 3;
/// Due and layout end here, as in a state.
const HEAD: usize = 13;
/// Beside the number of the dictionary: the core is compressed without having been shortened.
const AS_IT_IS: u8 = 0x80;

pub fn is_packed(blob: &[u8]) -> bool {
    blob.first() == Some(&PACKED)
}

/// Whether a state can be packed: of the present format, not packed yet, of somebody, without a history.
pub fn fits(blob: &[u8]) -> bool {
    blob.first() == Some(&VERSION) && blob.len() > HEADER && core_end(blob) == blob.len()
}

#[derive(Default)]
pub struct Packing {
    samples: Vec<Box<[u8]>>,
    /// States packed before samples are taken again.
    until_next: u64,
    packed: u64,
    pack: Option<Compressor<'static>>,
    unpack: Vec<Decompressor<'static>>,
    scratch: Vec<u8>,
    short: Vec<u8>,
}

impl Packing {
    /// A state that fits, in fewer bytes; None until enough have come to learn from.
    pub fn pack(&mut self, blob: &[u8]) -> Option<Box<[u8]>> {
        let mut short = std::mem::take(&mut self.short);
        let packed = match shorten(&blob[HEADER..], &mut short) {
            true => self.compressed(&blob[1..HEAD], &short, 0),
            false => self.compressed(&blob[1..HEAD], &blob[HEADER..], AS_IT_IS),
        };
        self.short = short;
        packed
    }

    fn compressed(&mut self, head: &[u8], core: &[u8], how: u8) -> Option<Box<[u8]>> {
        if self.packed >= self.until_next && self.unpack.len() < DICTIONARIES {
            self.samples.push(core.into());
            if self.samples.len() == SAMPLES {
                self.learn().ok()?;
            }
        }
        let pack = self.pack.as_mut()?;
        let out = &mut self.scratch;
        out.clear();
        out.reserve(compress_bound(core.len()));
        pack.compress_to_buffer(core, out).ok()?;
        self.packed += 1;
        let mut made = Vec::with_capacity(HEAD + 1 + out.len());
        made.push(PACKED);
        made.extend_from_slice(head);
        made.push((self.unpack.len() as u8 - 1) | how);
        made.extend_from_slice(out);
        Some(made.into_boxed_slice())
    }

    /// Put a packed state there as it was.
    pub fn unpack(&mut self, blob: &[u8], out: &mut Vec<u8>) -> Res<()> {
        let number = blob.get(HEAD).copied().unwrap_or(u8::MAX);
        let Some(unpack) = self.unpack.get_mut(usize::from(number & !AS_IT_IS)) else {
            return damaged("a packed state without its dictionary");
        };
        let rest = &blob[HEAD + 1..];
        let size = content_size(rest).ok_or(Damaged("a packed state cut short"))?;
        self.scratch.clear();
        self.scratch.reserve(size);
        match unpack.decompress_to_buffer(rest, &mut self.scratch) {
            Ok(found) if found == size => {}
            _ => return damaged("a packed state that does not unpack"),
        }
        out.clear();
        out.reserve(HEADER + 2 * size); // times are told in a third of their bytes or less
        out.push(VERSION);
        out.extend_from_slice(&blob[1..HEAD]);
        out.extend_from_slice(&[0; HEADER - HEAD]);
        if number & AS_IT_IS == 0 {
            expand(&self.scratch, out)?;
        } else {
            out.extend_from_slice(&self.scratch);
        }
        let length = (out.len() - HEADER) as u32;
        out[HEAD..HEADER].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    fn learn(&mut self) -> io::Result<()> {
        let samples = std::mem::take(&mut self.samples);
        let dictionary = from_samples(&samples, DICTIONARY_BYTES).unwrap_or_else(|_| {
            // Too small, or too much alike, to count what is frequent in them: they are the dictionary themselves.
            let plain = samples.concat();
            plain[plain.len().saturating_sub(DICTIONARY_BYTES)..].to_vec()
        });
        // Neither magic number nor dictionary id nor checksum: what is left is the size and the data.
        let mut pack = Compressor::with_dictionary(LEVEL, &dictionary)?;
        pack.set_parameter(CParameter::Format(FrameFormat::Magicless))?;
        pack.include_contentsize(true)?;
        pack.include_dictid(false)?;
        pack.include_checksum(false)?;
        let mut unpack = Decompressor::with_dictionary(&dictionary)?;
        unpack.set_parameter(DParameter::Format(FrameFormat::Magicless))?;
        self.pack = Some(pack);
        self.unpack.push(unpack);
        self.until_next = (GROWTH * self.packed).max(GROWTH * SAMPLES as u64);
        Ok(())
    }
}

/// How many bytes come of a frame without a magic number, from its header (RFC 8878, 3.1.1.1).
fn content_size(frame: &[u8]) -> Option<usize> {
    let descriptor = *frame.first()?;
    let single = descriptor & 0x20 != 0;
    let at = 1 + usize::from(!single) + [0, 1, 2, 4][usize::from(descriptor & 3)];
    let (width, more) = match descriptor >> 6 {
        0 if single => (1, 0),
        0 => return None,
        1 => (2, 256),
        2 => (4, 0),
        _ => (8, 0),
    };
    let bytes = frame.get(at..at + width)?;
    Some(bytes.iter().rev().fold(0, |size, byte| size << 8 | usize::from(*byte)) + more)
}
