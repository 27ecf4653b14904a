//! JSON as msgspec writes it: no spaces, only what must be escaped is, the shortest text of a float.
//!
//! In: texts, numbers, times, `Val`s. Out: bytes appended to a buffer. The reference is `msgspec.json.Encoder`.

use crate::value::{damaged, Res, Val};
use smallvec::SmallVec;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// What stands behind the backslash: 0 for a byte that needs none, `u` for one written as a number.
const ESCAPE: [u8; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 0x20 {
        table[at] = b'u';
        at += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

#[inline]
pub fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

pub fn text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let escape = ESCAPE[*byte as usize];
        if escape == 0 {
            continue;
        }
        out.extend_from_slice(&bytes[from..at]);
        from = at + 1;
        out.extend_from_slice(&[b'\\', escape]);
        if escape == b'u' {
            out.extend_from_slice(b"00");
            out.extend_from_slice(&hex_of(*byte));
        }
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

/// A name as it stands before its value: `"name":`.
pub fn member(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    text(&mut out, name);
    out.push(b':');
    out
}

#[inline]
pub fn opt_text(out: &mut Vec<u8>, value: Option<&str>) {
    match value {
        None => put(out, "null"),
        Some(value) => text(out, value),
    }
}

#[inline]
pub fn bool(out: &mut Vec<u8>, value: bool) {
    put(out, if value { "true" } else { "false" });
}

pub fn int(out: &mut Vec<u8>, value: i64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    out.extend_from_slice(&digits[at..]);
}

pub fn num(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        put(out, ryu::Buffer::new().format_finite(value));
    } else {
        put(out, "null");
    }
}

const SECOND: i64 = 1_000_000;
const DAY_S: i64 = 86_400;
/// The years 1 to 9999, as Python's datetimes.
const FIRST: i64 = -62_135_596_800 * SECOND;
const LAST: i64 = 253_402_300_800 * SECOND - 1;

fn two(out: &mut [u8], value: i64) {
    out[0] = b'0' + (value / 10) as u8;
    out[1] = b'0' + (value % 10) as u8;
}

/// Microseconds since the epoch as RFC 3339, without quotes; six decimals only where there is a fraction.
pub fn moment(out: &mut Vec<u8>, at: i64) -> Res<()> {
    if !(FIRST..=LAST).contains(&at) {
        return damaged("a time beyond the years 1 to 9999");
    }
    let (seconds, micros) = (at.div_euclid(SECOND), at.rem_euclid(SECOND));
    let (days, second) = (seconds.div_euclid(DAY_S), seconds.rem_euclid(DAY_S));
    // Days since 0000-03-01, so that the leap day is the last of its year (Hinnant's algorithm).
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    two(&mut text[0..2], year / 100);
    two(&mut text[2..4], year % 100);
    two(&mut text[5..7], month);
    two(&mut text[8..10], day);
    two(&mut text[11..13], second / 3_600);
    two(&mut text[14..16], second / 60 % 60);
    two(&mut text[17..19], second % 60);
    if micros == 0 {
        out.extend_from_slice(&text[..19]);
        out.push(b'Z');
    } else {
        two(&mut text[20..22], micros / 10_000);
        two(&mut text[22..24], micros / 100 % 100);
        two(&mut text[24..26], micros % 100);
        out.extend_from_slice(&text);
    }
    Ok(())
}

/// The same in quotes.
pub fn time(out: &mut Vec<u8>, at: i64) -> Res<()> {
    out.push(b'"');
    moment(out, at)?;
    out.push(b'"');
    Ok(())
}

pub fn opt_time(out: &mut Vec<u8>, at: Option<i64>) -> Res<()> {
    match at {
        None => {
            put(out, "null");
            Ok(())
        }
        Some(at) => time(out, at),
    }
}

#[inline]
fn hex_of(byte: u8) -> [u8; 2] {
    [HEX[(byte >> 4) as usize], HEX[(byte & 15) as usize]]
}

/// The digits of an id, with room for what a cancellation adds.
pub fn hex<const N: usize>(id: &[u8; N]) -> SmallVec<[u8; 64]> {
    let mut out = SmallVec::from_buf_and_len([0; 64], 2 * N);
    for (two, byte) in out.chunks_exact_mut(2).zip(id) {
        two.copy_from_slice(&hex_of(*byte));
    }
    out
}

fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.push(b'"');
    for three in bytes.chunks(3) {
        let bits =
            three.iter().enumerate().fold(0u32, |sum, (at, byte)| sum | (*byte as u32) << (16 - 8 * at));
        for at in 0..4 {
            out.push(if at <= three.len() { DIGITS[(bits >> (18 - 6 * at) & 63) as usize] } else { b'=' });
        }
    }
    out.push(b'"');
}

pub fn val(out: &mut Vec<u8>, value: &Val) -> Res<()> {
    match value {
        Val::Nil => put(out, "null"),
        Val::Bool(value) => bool(out, *value),
        Val::Int(value) => int(out, *value),
        Val::Num(value) => num(out, *value),
        Val::Str(value) => text(out, value),
        Val::Bytes(value) => base64(out, value),
        Val::List(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                val(out, item)?;
            }
            out.push(b']');
        }
        Val::Map(entries) => {
            out.push(b'{');
            for (place, (key, held)) in entries.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                match key {
                    Val::Str(_) | Val::Bytes(_) => val(out, key)?,
                    Val::Int(number) => {
                        out.push(b'"');
                        int(out, *number);
                        out.push(b'"');
                    }
                    Val::Num(number) if number.is_finite() => {
                        out.push(b'"');
                        num(out, *number);
                        out.push(b'"');
                    }
                    _ => return damaged("a key that JSON cannot have"),
                }
                out.push(b':');
                val(out, held)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}
