//! What a state keeps and an expression gives: the values of msgpack, and their bytes as msgspec writes them.
//!
//! In: msgpack. Out: `Val`, or the same bytes again. `Val::Nil` is *unknown* to expressions.

use compact_str::CompactString;
use smallvec::SmallVec;

/// Few numbers, where they stand: waking somebody up is mostly allocations.
pub type Ints = SmallVec<[i64; 6]>;
pub type IntMap = SmallVec<[(i64, i64); 2]>;

#[derive(Clone, Debug, PartialEq)]
pub enum Val {
    Nil,
    Bool(bool),
    Int(i64),
    Num(f64),
    Str(CompactString),
    Bytes(Vec<u8>),
    List(Vec<Val>),
    /// In the order of insertion, as a dict of Python.
    Map(Vec<(Val, Val)>),
}

/// Bytes that are no msgpack of ours, or a number that does not fit: the caller gives up on the fast way.
#[derive(Debug)]
pub struct Damaged(pub &'static str);

pub type Res<T> = Result<T, Damaged>;

#[cold]
pub fn damaged<T>(what: &'static str) -> Res<T> {
    Err(Damaged(what))
}

impl Val {
    pub fn is_nil(&self) -> bool {
        matches!(self, Val::Nil)
    }
    pub fn str(text: &str) -> Val {
        Val::Str(CompactString::new(text))
    }
    /// Equality as Python has it: numbers by value, whatever their kind; True is 1.
    pub fn same(&self, other: &Val) -> bool {
        match (self, other) {
            (Val::Int(a), Val::Int(b)) => a == b,
            (Val::Str(a), Val::Str(b)) => a == b,
            (Val::List(a), Val::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.same(y)),
            (Val::Map(a), Val::Map(b)) => {
                a.len() == b.len() && a.iter().all(|(k, v)| b.iter().any(|(l, w)| k.same(l) && v.same(w)))
            }
            (Val::Nil, Val::Nil) => true,
            (Val::Bytes(a), Val::Bytes(b)) => a == b,
            _ => match (self.number(), other.number()) {
                (Some(a), Some(b)) => a == b,
                _ => false,
            },
        }
    }
    fn number(&self) -> Option<f64> {
        match self {
            Val::Bool(b) => Some(*b as i64 as f64),
            Val::Int(i) => Some(*i as f64),
            Val::Num(n) => Some(*n),
            _ => None,
        }
    }
}

// Writing: the shortest form of each, as msgspec.

pub fn put_nil(out: &mut Vec<u8>) {
    out.push(0xc0);
}

pub fn put_bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { 0xc3 } else { 0xc2 });
}

pub fn put_int(out: &mut Vec<u8>, value: i64) {
    if value >= 0 {
        let v = value as u64;
        if v < 0x80 {
            out.push(v as u8);
        } else if v < 0x100 {
            out.extend_from_slice(&[0xcc, v as u8]);
        } else if v < 0x1_0000 {
            put_tagged(out, 0xcd, (v as u16).to_be_bytes());
        } else if v < 0x1_0000_0000 {
            put_tagged(out, 0xce, (v as u32).to_be_bytes());
        } else {
            put_tagged(out, 0xcf, v.to_be_bytes());
        }
    } else if value >= -32 {
        out.push(value as i8 as u8);
    } else if value >= -128 {
        out.extend_from_slice(&[0xd0, value as i8 as u8]);
    } else if value >= -32_768 {
        put_tagged(out, 0xd1, (value as i16).to_be_bytes());
    } else if value >= -2_147_483_648 {
        put_tagged(out, 0xd2, (value as i32).to_be_bytes());
    } else {
        put_tagged(out, 0xd3, value.to_be_bytes());
    }
}

/// Room is asked for once.
#[inline]
fn put_tagged<const N: usize>(out: &mut Vec<u8>, tag: u8, bytes: [u8; N]) {
    let mut both = [tag; 9];
    both[1..=N].copy_from_slice(&bytes);
    out.extend_from_slice(&both[..=N]);
}

pub fn put_num(out: &mut Vec<u8>, value: f64) {
    put_tagged(out, 0xcb, value.to_bits().to_be_bytes());
}

pub fn put_str(out: &mut Vec<u8>, text: &str) {
    let n = text.len();
    if n < 32 {
        out.push(0xa0 | n as u8);
    } else if n < 0x100 {
        out.extend_from_slice(&[0xd9, n as u8]);
    } else if n < 0x1_0000 {
        out.push(0xda);
        out.extend_from_slice(&(n as u16).to_be_bytes());
    } else {
        out.push(0xdb);
        out.extend_from_slice(&(n as u32).to_be_bytes());
    }
    out.extend_from_slice(text.as_bytes());
}

pub fn put_opt_str(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        None => put_nil(out),
        Some(text) => put_str(out, text),
    }
}

pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let n = bytes.len();
    if n < 0x100 {
        out.extend_from_slice(&[0xc4, n as u8]);
    } else if n < 0x1_0000 {
        out.push(0xc5);
        out.extend_from_slice(&(n as u16).to_be_bytes());
    } else {
        out.push(0xc6);
        out.extend_from_slice(&(n as u32).to_be_bytes());
    }
    out.extend_from_slice(bytes);
}

pub fn put_array(out: &mut Vec<u8>, n: usize) {
    if n < 16 {
        out.push(0x90 | n as u8);
    } else if n < 0x1_0000 {
        out.push(0xdc);
        out.extend_from_slice(&(n as u16).to_be_bytes());
    } else {
        out.push(0xdd);
        out.extend_from_slice(&(n as u32).to_be_bytes());
    }
}

pub fn put_map(out: &mut Vec<u8>, n: usize) {
    if n < 16 {
        out.push(0x80 | n as u8);
    } else if n < 0x1_0000 {
        out.push(0xde);
        out.extend_from_slice(&(n as u16).to_be_bytes());
    } else {
        out.push(0xdf);
        out.extend_from_slice(&(n as u32).to_be_bytes());
    }
}

pub fn put_ints(out: &mut Vec<u8>, values: &[i64]) {
    put_array(out, values.len());
    for value in values {
        put_int(out, *value);
    }
}

pub fn put_pairs(out: &mut Vec<u8>, pairs: &[(i64, i64)]) {
    put_map(out, pairs.len());
    for (key, value) in pairs {
        put_int(out, *key);
        put_int(out, *value);
    }
}

pub fn put_val(out: &mut Vec<u8>, value: &Val) {
    match value {
        Val::Nil => put_nil(out),
        Val::Bool(b) => put_bool(out, *b),
        Val::Int(i) => put_int(out, *i),
        Val::Num(n) => put_num(out, *n),
        Val::Str(s) => put_str(out, s),
        Val::Bytes(b) => put_bytes(out, b),
        Val::List(items) => {
            put_array(out, items.len());
            for item in items {
                put_val(out, item);
            }
        }
        Val::Map(entries) => {
            put_map(out, entries.len());
            for (key, value) in entries {
                put_val(out, key);
                put_val(out, value);
            }
        }
    }
}

// Reading.

pub struct Reader<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

const SHORT: &str = "msgpack ends too early";

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    #[inline]
    fn byte(&mut self) -> Res<u8> {
        match self.bytes.get(self.at) {
            Some(byte) => {
                self.at += 1;
                Ok(*byte)
            }
            None => damaged(SHORT),
        }
    }

    #[inline]
    fn take(&mut self, n: usize) -> Res<&'a [u8]> {
        match self.bytes.get(self.at..self.at + n) {
            Some(found) => {
                self.at += n;
                Ok(found)
            }
            None => damaged(SHORT),
        }
    }

    #[inline]
    fn be<const N: usize>(&mut self) -> Res<u64> {
        let mut wide = [0; 8];
        wide[8 - N..].copy_from_slice(self.take(N)?);
        Ok(u64::from_be_bytes(wide))
    }

    /// Whether the next value is nil; it is taken then.
    #[inline]
    pub fn nil(&mut self) -> bool {
        if self.bytes.get(self.at) == Some(&0xc0) {
            self.at += 1;
            return true;
        }
        false
    }

    #[inline]
    pub fn int(&mut self) -> Res<i64> {
        let tag = self.byte()?;
        self.int_of(tag)
    }

    #[inline]
    fn int_of(&mut self, tag: u8) -> Res<i64> {
        Ok(match tag {
            0x00..=0x7f => tag as i64,
            0xe0..=0xff => tag as i8 as i64,
            0xcc => self.be::<1>()? as i64,
            0xcd => self.be::<2>()? as i64,
            0xce => self.be::<4>()? as i64,
            0xcf => {
                let value = self.be::<8>()?;
                if value > i64::MAX as u64 {
                    return damaged("an integer beyond 64 bits");
                }
                value as i64
            }
            0xd0 => self.be::<1>()? as u8 as i8 as i64,
            0xd1 => self.be::<2>()? as u16 as i16 as i64,
            0xd2 => self.be::<4>()? as u32 as i32 as i64,
            0xd3 => self.be::<8>()? as i64,
            _ => return damaged("expected an integer"),
        })
    }

    pub fn bool(&mut self) -> Res<bool> {
        match self.byte()? {
            0xc2 => Ok(false),
            0xc3 => Ok(true),
            _ => damaged("expected a bool"),
        }
    }

    #[inline]
    pub fn array(&mut self) -> Res<usize> {
        let tag = self.byte()?;
        self.array_of(tag)
    }

    #[inline]
    fn array_of(&mut self, tag: u8) -> Res<usize> {
        Ok(match tag {
            0x90..=0x9f => (tag & 15) as usize,
            0xdc => self.be::<2>()? as usize,
            0xdd => self.be::<4>()? as usize,
            _ => return damaged("expected an array"),
        })
    }

    #[inline]
    pub fn map(&mut self) -> Res<usize> {
        let tag = self.byte()?;
        self.map_of(tag)
    }

    #[inline]
    fn map_of(&mut self, tag: u8) -> Res<usize> {
        Ok(match tag {
            0x80..=0x8f => (tag & 15) as usize,
            0xde => self.be::<2>()? as usize,
            0xdf => self.be::<4>()? as usize,
            _ => return damaged("expected a map"),
        })
    }

    pub fn text(&mut self) -> Res<&'a str> {
        let tag = self.byte()?;
        self.text_of(tag)
    }

    fn text_of(&mut self, tag: u8) -> Res<&'a str> {
        let n = match tag {
            0xa0..=0xbf => (tag & 31) as usize,
            0xd9 => self.be::<1>()? as usize,
            0xda => self.be::<2>()? as usize,
            0xdb => self.be::<4>()? as usize,
            _ => return damaged("expected a text"),
        };
        std::str::from_utf8(self.take(n)?).or_else(|_| damaged("a text that is not UTF-8"))
    }

    /// Pass over a text.
    #[inline]
    fn pass_text(&mut self, tag: u8) -> Res<()> {
        if let 0xa0..=0xbf = tag {
            // Few bytes, mostly ASCII: quicker looked at here than asked about.
            let bytes = self.take((tag & 31) as usize)?;
            if bytes.iter().fold(0, |all, byte| all | byte) < 0x80 {
                return Ok(());
            }
            self.at -= bytes.len();
        }
        self.text_of(tag).map(drop)
    }

    pub fn opt_text(&mut self) -> Res<Option<CompactString>> {
        if self.nil() {
            return Ok(None);
        }
        Ok(Some(CompactString::new(self.text()?)))
    }

    pub fn bin(&mut self) -> Res<&'a [u8]> {
        let n = match self.byte()? {
            0xc4 => self.be::<1>()? as usize,
            0xc5 => self.be::<2>()? as usize,
            0xc6 => self.be::<4>()? as usize,
            _ => return damaged("expected bytes"),
        };
        self.take(n)
    }

    pub fn ints(&mut self) -> Res<Ints> {
        let mut found = Ints::new();
        self.read_ints(&mut found)?;
        Ok(found)
    }

    /// The same into room that is there; what was in it is gone.
    pub fn read_ints(&mut self, into: &mut Ints) -> Res<()> {
        let n = self.array()?;
        into.clear();
        into.reserve(n.min(4096));
        for _ in 0..n {
            into.push(self.int()?);
        }
        Ok(())
    }

    pub fn pairs(&mut self) -> Res<IntMap> {
        let n = self.map()?;
        let mut found = IntMap::with_capacity(n.min(4096));
        for _ in 0..n {
            found.push((self.int()?, self.int()?));
        }
        Ok(found)
    }

    /// Pass over a value, and fail where `val` would.
    pub fn pass(&mut self) -> Res<()> {
        let mut left = 1;
        while left > 0 {
            left -= 1;
            let tag = self.byte()?;
            match tag {
                0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => {}
                0xcc | 0xd0 => self.at += 1,
                0xcd | 0xd1 => self.at += 2,
                0xca | 0xce | 0xd2 => self.at += 4,
                0xcb | 0xd3 => self.at += 8,
                0xcf => drop(self.int_of(tag)?),
                0xa0..=0xbf | 0xd9..=0xdb => self.pass_text(tag)?,
                0xc4..=0xc6 => {
                    self.at -= 1;
                    self.bin()?;
                }
                0x90..=0x9f | 0xdc | 0xdd => left += self.array_of(tag)?,
                0x80..=0x8f | 0xde | 0xdf => left += 2 * self.map_of(tag)?,
                _ => return damaged("a kind of value that no state has"),
            }
        }
        if self.at > self.bytes.len() {
            return damaged(SHORT);
        }
        Ok(())
    }

    pub fn val(&mut self) -> Res<Val> {
        let tag = self.byte()?;
        Ok(match tag {
            0xc0 => Val::Nil,
            0xc2 => Val::Bool(false),
            0xc3 => Val::Bool(true),
            0xca => Val::Num(f32::from_bits(self.be::<4>()? as u32) as f64),
            0xcb => Val::Num(f64::from_bits(self.be::<8>()?)),
            0xa0..=0xbf | 0xd9..=0xdb => Val::str(self.text_of(tag)?),
            0xc4..=0xc6 => {
                self.at -= 1;
                Val::Bytes(self.bin()?.to_vec())
            }
            0x90..=0x9f | 0xdc | 0xdd => {
                self.at -= 1;
                let n = self.array()?;
                let mut items = Vec::with_capacity(n.min(4096));
                for _ in 0..n {
                    items.push(self.val()?);
                }
                Val::List(items)
            }
            0x80..=0x8f | 0xde | 0xdf => {
                self.at -= 1;
                let n = self.map()?;
                let mut entries = Vec::with_capacity(n.min(4096));
                for _ in 0..n {
                    entries.push((self.val()?, self.val()?));
                }
                Val::Map(entries)
            }
            _ => Val::Int(self.int_of(tag)?),
        })
    }
}

/// A value from a description in JSON; whole numbers become integers.
pub fn from_json(value: &serde_json::Value) -> Val {
    match value {
        serde_json::Value::Null => Val::Nil,
        serde_json::Value::Bool(b) => Val::Bool(*b),
        serde_json::Value::Number(n) => match n.as_i64() {
            Some(i) => Val::Int(i),
            None => Val::Num(n.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(s) => Val::str(s),
        serde_json::Value::Array(items) => Val::List(items.iter().map(from_json).collect()),
        serde_json::Value::Object(map) => {
            Val::Map(map.iter().map(|(k, v)| (Val::str(k), from_json(v))).collect())
        }
    }
}
