//! Numbers as text: as `repr` of Python writes them, and as CEL's `string()` does (`guards/runtime.py`).

use crate::value::Val;
use std::borrow::Cow;

/// Sign, shortest digits and the decimal exponent of the first digit.
fn decimal(value: f64) -> (&'static str, String, i32) {
    let text = format!("{:e}", value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let sign = if value.is_sign_negative() { "-" } else { "" };
    (sign, digits, exponent.parse().unwrap_or(0))
}

/// `repr(float)`.
pub fn repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let (sign, digits, exponent) = decimal(value);
    let count = digits.len() as i32;
    if (-4..16).contains(&exponent) {
        if exponent < 0 {
            return format!("{sign}0.{}{digits}", "0".repeat((-exponent - 1) as usize));
        }
        if exponent >= count - 1 {
            return format!("{sign}{digits}{}.0", "0".repeat((exponent + 1 - count) as usize));
        }
        let (whole, rest) = digits.split_at((exponent + 1) as usize);
        return format!("{sign}{whole}.{rest}");
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let mark = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{rest}e{mark}{:02}", exponent.abs())
}

/// `str()` of what an id may be; None of anything else.
pub fn text_of(value: &Val) -> Option<Cow<'_, str>> {
    Some(match value {
        Val::Str(text) => Cow::Borrowed(text.as_str()),
        Val::Bool(true) => Cow::Borrowed("True"),
        Val::Bool(false) => Cow::Borrowed("False"),
        Val::Int(number) => Cow::Owned(number.to_string()),
        Val::Num(number) => Cow::Owned(repr(*number)),
        _ => return None,
    })
}

/// CEL's `string()` of a double: `4`, `0.5`, `1.5e+06`.
pub fn cel(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let (sign, digits, exponent) = decimal(value);
    let count = digits.len() as i32;
    if -4 <= exponent && exponent < count.max(6) && exponent < 21 {
        if exponent >= count - 1 {
            return format!("{sign}{digits}{}", "0".repeat((exponent + 1 - count) as usize));
        }
        if exponent < 0 {
            return format!("{sign}0.{}{digits}", "0".repeat((-exponent - 1) as usize));
        }
        let (whole, rest) = digits.split_at((exponent + 1) as usize);
        return format!("{sign}{whole}.{rest}");
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let mark = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{rest}e{mark}{:02}", exponent.abs())
}
