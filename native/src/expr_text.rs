//! Conversions between texts and numbers: as CEL has them, and as Python writes and reads floats.

use crate::expr_ops::{View, BEYOND};
use crate::value::Val;

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['+', '-']).unwrap_or(text)
}

pub fn to_int(value: View) -> Option<i64> {
    match value {
        View::Int(i) => Some(i),
        View::Num(n) => {
            let whole = n.trunc();
            (-BEYOND..BEYOND).contains(&whole).then_some(whole as i64)
        }
        View::Str(text) => {
            let bare = unsigned(text);
            let plain = (1..=40).contains(&bare.len()) && digits(bare.as_bytes()) == bare.len();
            if plain {
                text.parse().ok()
            } else {
                None
            }
        }
        _ => None,
    }
}

/// `[+-]?(d{1,400}(.d{0,400})?|.d{1,400})([eE][+-]?d{1,9})?`
fn is_double(text: &str) -> bool {
    let bare = unsigned(text).as_bytes();
    let whole = digits(bare);
    let mut rest = &bare[whole..];
    let mut part = 0;
    if rest.first() == Some(&b'.') {
        part = digits(&rest[1..]);
        rest = &rest[1 + part..];
    }
    if (whole == 0 && part == 0) || whole > 400 || part > 400 {
        return false;
    }
    if let Some(b'e' | b'E') = rest.first() {
        rest = &rest[1..];
        if let Some(b'+' | b'-') = rest.first() {
            rest = &rest[1..];
        }
        let n = digits(rest);
        if !(1..=9).contains(&n) {
            return false;
        }
        rest = &rest[n..];
    }
    rest.is_empty()
}

pub fn to_double(value: View) -> Option<f64> {
    match value {
        View::Int(i) => Some(i as f64),
        View::Num(n) => Some(n),
        View::Str(text) if is_double(text) => text.parse().ok().filter(|n: &f64| n.is_finite()),
        _ => None,
    }
}

pub fn to_string(value: View) -> Option<Val> {
    Some(match value {
        View::Str(text) => Val::str(text),
        View::Bool(b) => Val::str(if b { "true" } else { "false" }),
        View::Int(i) => Val::str(&i.to_string()),
        View::Num(n) => Val::str(&double_text(n)),
        _ => return None,
    })
}

/// Sign, shortest digits, decimal exponent of the first digit.
fn decimal(n: f64) -> (&'static str, String, i32) {
    let text = format!("{:e}", n.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let sign = if n.is_sign_negative() { "-" } else { "" };
    (sign, mantissa.replace('.', ""), exponent.parse().unwrap_or(0))
}

fn odd(n: f64) -> Option<&'static str> {
    match n {
        _ if n.is_nan() => Some("nan"),
        _ if n.is_finite() => None,
        _ => Some(if n > 0.0 { "inf" } else { "-inf" }),
    }
}

/// The digits with a point among them, without `.0` behind whole numbers.
fn pointed(sign: &str, digits: &str, exponent: i32) -> String {
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat((-exponent - 1) as usize));
    }
    let whole = exponent as usize + 1;
    if whole >= digits.len() {
        return format!("{sign}{digits}{}", "0".repeat(whole - digits.len()));
    }
    format!("{sign}{}.{}", &digits[..whole], &digits[whole..])
}

fn scientific(sign: &str, digits: &str, exponent: i32) -> String {
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let direction = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{rest}e{direction}{:02}", exponent.abs())
}

/// A double as CEL writes it: `4`, `0.5`, `1.5e+06`.
fn double_text(n: f64) -> String {
    if let Some(text) = odd(n) {
        return text.to_string();
    }
    let (sign, digits, exponent) = decimal(n);
    if (-4..21).contains(&exponent) && exponent < (digits.len() as i32).max(6) {
        return pointed(sign, &digits, exponent);
    }
    scientific(sign, &digits, exponent)
}

/// `repr` of a float in Python: `4.0`, `0.5`, `1.5e+16`.
pub fn python_repr(n: f64) -> String {
    if let Some(text) = odd(n) {
        return text.to_string();
    }
    let (sign, digits, exponent) = decimal(n);
    if !(-4..16).contains(&exponent) {
        return scientific(sign, &digits, exponent);
    }
    let text = pointed(sign, &digits, exponent);
    if text.contains('.') {
        text
    } else {
        text + ".0"
    }
}

/// `float(text)` of Python, as far as an id can be one.
pub fn python_float(text: &str) -> Option<f64> {
    let text = text.trim();
    let between = |at: usize| {
        let bytes = text.as_bytes();
        at > 0 && bytes[at - 1].is_ascii_digit() && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
    };
    if text.contains('_') {
        if !text.bytes().enumerate().all(|(at, byte)| byte != b'_' || between(at)) {
            return None;
        }
        return text.replace('_', "").parse().ok();
    }
    text.parse().ok()
}
