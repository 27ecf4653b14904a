//! Fields of a description in JSON; what is missing or of another kind is an error that names the field.

use serde_json::Value;

pub fn text<'a>(json: &'a Value, name: &str) -> Result<&'a str, String> {
    json.get(name).and_then(Value::as_str).ok_or_else(|| wrong(json, name, "a text"))
}

pub fn whole(json: &Value, name: &str) -> Result<i64, String> {
    json.get(name).and_then(Value::as_i64).ok_or_else(|| wrong(json, name, "an integer"))
}

pub fn index(json: &Value, name: &str) -> Result<usize, String> {
    usize::try_from(whole(json, name)?).map_err(|_| wrong(json, name, "a place"))
}

pub fn flag(json: &Value, name: &str) -> Result<bool, String> {
    json.get(name).and_then(Value::as_bool).ok_or_else(|| wrong(json, name, "true or false"))
}

pub fn list<'a>(json: &'a Value, name: &str) -> Result<&'a Vec<Value>, String> {
    json.get(name).and_then(Value::as_array).ok_or_else(|| wrong(json, name, "a list"))
}

pub fn part<'a>(json: &'a Value, name: &str) -> Result<&'a Value, String> {
    json.get(name).ok_or_else(|| wrong(json, name, "something"))
}

/// None where it is null or not there.
pub fn opt<T>(
    json: &Value,
    name: &str,
    parse: impl FnOnce(&Value) -> Result<T, String>,
) -> Result<Option<T>, String> {
    match json.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(found) => parse(found).map(Some),
    }
}

fn wrong(json: &Value, name: &str, what: &str) -> String {
    format!("{name:?}: expected {what} in {json}")
}
