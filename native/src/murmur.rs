//! The partition of a key, as the producers of keyed input choose it: `kafka/hop.py`.

const M: u32 = 0x5bd1_e995;

/// Which of so many partitions a key belongs to.
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions
}

fn murmur2(key: &[u8]) -> u32 {
    let mut found: u32 = 0x9747_b28c ^ key.len() as u32;
    let words = key.chunks_exact(4);
    let rest = words.remainder();
    for word in words {
        let mut word = u32::from_le_bytes(word.try_into().expect("4 bytes")).wrapping_mul(M);
        word ^= word >> 24;
        found = found.wrapping_mul(M) ^ word.wrapping_mul(M);
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0u32, |sum, byte| sum << 8 | *byte as u32);
        found = (found ^ tail).wrapping_mul(M);
    }
    found = (found ^ found >> 13).wrapping_mul(M);
    found ^ found >> 15
}
