//! JSON, strictly: a subset of what msgspec takes, so that nothing gets through here that it refuses.
//!
//! In: bytes that are UTF-8. Out: slices of them, numbers, times; `None` for all that is wrong or unusual, which the
//! Python decoder then looks at: escapes in keys, more than 15 digits without a point, nesting beyond `DEPTH`.

use crate::event::Slice;

/// Arrays and objects in each other, in what is skipped.
pub const DEPTH: usize = 8;

pub struct Scanner<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
    /// Texts that had escapes, without them: they continue `bytes`.
    pub more: String,
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

impl<'a> Scanner<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Scanner { bytes, at: 0, more: String::new() }
    }

    /// The next byte, 0 at the end (which is no byte of JSON between values).
    #[inline(always)]
    pub fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline(always)]
    pub fn blank(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    /// Take this byte, and the blanks after it.
    #[inline(always)]
    pub fn eat(&mut self, byte: u8) -> Option<()> {
        if self.peek() != byte {
            return None;
        }
        self.at += 1;
        self.blank();
        Some(())
    }

    /// After an element: whether another one follows (`,`) or the end (`close`).
    #[inline(always)]
    pub fn another(&mut self, close: u8) -> Option<bool> {
        self.blank();
        let byte = self.peek();
        self.at += 1;
        if byte == b',' {
            self.blank();
            return Some(true);
        }
        if byte == close {
            Some(false)
        } else {
            None
        }
    }

    /// Where the text that goes on at this byte ends, or has an escape, or a control character.
    #[inline(always)]
    fn run(&self, mut at: usize) -> usize {
        while let Some(chunk) = self.bytes.get(at..at + 8) {
            let word = u64::from_le_bytes(chunk.try_into().unwrap());
            let quote = word ^ (ONES * b'"' as u64);
            let slash = word ^ (ONES * b'\\' as u64);
            let hit = ((quote.wrapping_sub(ONES) & !quote)
                | (slash.wrapping_sub(ONES) & !slash)
                | (word.wrapping_sub(ONES * 0x20) & !word))
                & HIGH;
            if hit != 0 {
                // The lowest hit is a true one: only a true one borrows from the bytes above it.
                return at + (hit.trailing_zeros() / 8) as usize;
            }
            at += 8;
        }
        while let Some(byte) = self.bytes.get(at) {
            if matches!(byte, b'"' | b'\\' | 0..=0x1f) {
                break;
            }
            at += 1;
        }
        at
    }

    /// A key, and the colon after it.
    #[inline(always)]
    pub fn key(&mut self) -> Option<&'a [u8]> {
        if self.peek() != b'"' {
            return None;
        }
        let begin = self.at + 1;
        let end = self.run(begin);
        if self.bytes.get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        self.blank();
        self.eat(b':')?;
        Some(&self.bytes[begin..end])
    }

    #[inline(always)]
    pub fn text(&mut self) -> Option<Slice> {
        if self.peek() != b'"' {
            return None;
        }
        let begin = self.at + 1;
        let end = self.run(begin);
        match self.bytes.get(end) {
            Some(b'"') => {
                self.at = end + 1;
                Some(Slice { at: begin as u32, len: (end - begin) as u32 })
            }
            Some(b'\\') => self.escaped(begin, end),
            _ => None,
        }
    }

    #[cold]
    fn escaped(&mut self, mut begin: usize, mut end: usize) -> Option<Slice> {
        let from = self.more.len();
        loop {
            // Both ends are next to ASCII, so the bytes between are whole characters.
            self.more.push_str(std::str::from_utf8(&self.bytes[begin..end]).ok()?);
            match *self.bytes.get(end)? {
                b'"' => {
                    self.at = end + 1;
                    let at = (self.bytes.len() + from) as u32;
                    return Some(Slice { at, len: (self.more.len() - from) as u32 });
                }
                b'\\' => {}
                _ => return None,
            }
            begin = end + 2;
            let plain = match *self.bytes.get(end + 1)? {
                byte @ (b'"' | b'\\' | b'/') => byte as char,
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => {
                    let mut code = self.hex(begin)?;
                    begin += 4;
                    if (0xd800..0xdc00).contains(&code) {
                        if self.bytes.get(begin..begin + 2) != Some(b"\\u") {
                            return None;
                        }
                        let low = self.hex(begin + 2)?;
                        if !(0xdc00..0xe000).contains(&low) {
                            return None;
                        }
                        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                        begin += 6;
                    }
                    char::from_u32(code)?
                }
                _ => return None,
            };
            self.more.push(plain);
            end = self.run(begin);
        }
    }

    fn hex(&self, at: usize) -> Option<u32> {
        let digits = self.bytes.get(at..at + 4)?;
        digits.iter().try_fold(0, |sum, byte| Some(sum << 4 | (*byte as char).to_digit(16)?))
    }

    pub fn get(&self, slice: Slice) -> &[u8] {
        let (at, len, n) = (slice.at as usize, slice.len as usize, self.bytes.len());
        if at < n {
            &self.bytes[at..at + len]
        } else {
            &self.more.as_bytes()[at - n..at - n + len]
        }
    }

    #[inline(always)]
    pub fn word(&mut self, word: &[u8]) -> Option<()> {
        if self.bytes.get(self.at..self.at + word.len()) != Some(word) {
            return None;
        }
        self.at += word.len();
        Some(())
    }

    /// `null`, if it is that; what begins like it and is not, is wrong.
    #[inline(always)]
    pub fn null(&mut self) -> Option<bool> {
        if self.peek() != b'n' {
            return Some(false);
        }
        self.word(b"null")?;
        Some(true)
    }

    /// A number as a double: rounded as Python does, or `None`.
    pub fn number(&mut self) -> Option<f64> {
        let begin = self.at;
        let negative = self.peek() == b'-';
        if negative {
            self.at += 1;
        }
        let first = self.at;
        let mut mantissa = self.digits(0);
        let whole = self.at - first;
        if whole == 0 || (whole > 1 && self.bytes[first] == b'0') {
            return None;
        }
        let mut decimals = 0;
        if self.peek() == b'.' {
            self.at += 1;
            let point = self.at;
            mantissa = self.digits(mantissa);
            decimals = self.at - point;
            if decimals == 0 {
                return None;
            }
        } else if !matches!(self.peek(), b'e' | b'E') {
            if whole > 15 {
                return None;
            }
            return Some(if negative { -(mantissa as i64) as f64 } else { mantissa as f64 });
        }
        let exponent = self.exponent()?;
        if whole + decimals <= 15 && exponent == 0 {
            // Both are exact as doubles, so that the quotient is rounded once.
            let value = mantissa as f64 / POWERS[decimals];
            return Some(if negative { -value } else { value });
        }
        if whole + decimals > 19 || exponent > 3 || mantissa == 0 {
            return None;
        }
        let text = std::str::from_utf8(&self.bytes[begin..self.at]).ok()?;
        text.parse().ok().filter(|value: &f64| value.is_finite() && value.abs() > 1e-290)
    }

    #[inline(always)]
    fn digits(&mut self, mut value: u64) -> u64 {
        while let byte @ b'0'..=b'9' = self.peek() {
            value = value.wrapping_mul(10).wrapping_add((byte - b'0') as u64);
            self.at += 1;
        }
        value
    }

    /// The digits that an exponent has, 0 for none.
    #[inline(always)]
    fn exponent(&mut self) -> Option<usize> {
        if !matches!(self.peek(), b'e' | b'E') {
            return Some(0);
        }
        self.at += 1;
        if matches!(self.peek(), b'+' | b'-') {
            self.at += 1;
        }
        let first = self.at;
        self.digits(0);
        if self.at == first {
            None
        } else {
            Some(self.at - first)
        }
    }

    /// Any value: only passed over, but it has to be one.
    pub fn skip(&mut self, depth: usize) -> Option<()> {
        match self.peek() {
            b'"' => {
                self.text()?;
            }
            b't' => self.word(b"true")?,
            b'f' => self.word(b"false")?,
            b'n' => self.word(b"null")?,
            b'-' | b'0'..=b'9' => self.skip_number()?,
            b'{' if depth > 0 => {
                self.eat(b'{')?;
                if self.peek() == b'}' {
                    self.at += 1;
                    return Some(());
                }
                loop {
                    self.key()?;
                    self.skip(depth - 1)?;
                    if !self.another(b'}')? {
                        break;
                    }
                }
            }
            b'[' if depth > 0 => {
                self.eat(b'[')?;
                if self.peek() == b']' {
                    self.at += 1;
                    return Some(());
                }
                loop {
                    self.skip(depth - 1)?;
                    if !self.another(b']')? {
                        break;
                    }
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn skip_number(&mut self) -> Option<()> {
        if self.peek() == b'-' {
            self.at += 1;
        }
        let first = self.at;
        self.digits(0);
        let whole = self.at - first;
        if whole == 0 || (whole > 1 && self.bytes[first] == b'0') {
            return None;
        }
        if self.peek() == b'.' {
            self.at += 1;
            let point = self.at;
            self.digits(0);
            if self.at == point {
                return None;
            }
        }
        self.exponent()?;
        Some(())
    }
}

const POWERS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Microseconds since the epoch of `YYYY-MM-DDTHH:MM:SS[.1-6 digits](Z|±HH:MM)`; the years 1900 to 2199 only.
#[inline]
pub fn time(text: &[u8]) -> Option<i64> {
    if text.len() < 20 || text[4] != b'-' || text[7] != b'-' || text[10] != b'T' {
        return None;
    }
    if text[13] != b':' || text[16] != b':' {
        return None;
    }
    let year = two(text, 0)? * 100 + two(text, 2)?;
    let (month, day) = (two(text, 5)?, two(text, 8)?);
    let (hour, minute, second) = (two(text, 11)?, two(text, 14)?, two(text, 17)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + leap as i64,
        _ => return None,
    };
    if !(1900..2200).contains(&year) || day < 1 || day > days || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (mut at, mut micros) = (19, 0);
    if text[at] == b'.' {
        at += 1;
        let mut unit = 1_000_000;
        while let Some(byte @ b'0'..=b'9') = text.get(at) {
            unit /= 10;
            if unit == 0 {
                return None;
            }
            micros += (byte - b'0') as i64 * unit;
            at += 1;
        }
        if unit == 1_000_000 {
            return None;
        }
    }
    let ahead = match &text[at..] {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), rest @ ..] if rest.len() == 5 && rest[2] == b':' => {
            let (hours, minutes) = (two(rest, 0)?, two(rest, 3)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -60 } else { 60 }
        }
        _ => return None,
    };
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - ahead;
    Some(seconds * 1_000_000 + micros)
}

#[inline(always)]
fn two(text: &[u8], at: usize) -> Option<i64> {
    let (tens, ones) = (text[at].wrapping_sub(b'0'), text[at + 1].wrapping_sub(b'0'));
    if tens > 9 || ones > 9 {
        None
    } else {
        Some((tens * 10 + ones) as i64)
    }
}

/// Of the proleptic Gregorian calendar; years begin in March here, so that the leap day is the last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468
}
