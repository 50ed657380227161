//! Redis's answers in the shapes of the API.

use bytes::Bytes;
use redis::Value;

use super::fault::Fault;
use super::ledger::Deadline;

type Result<T> = std::result::Result<T, Fault>;

fn strange<T>(value: &Value) -> Result<T> {
    let mut text = format!("{value:?}");
    text.truncate(text.floor_char_boundary(100));
    Err(Fault::Strange(text))
}

pub(super) fn integer(value: Value) -> Result<i64> {
    match value {
        Value::Int(number) => Ok(number),
        Value::BulkString(text) => {
            let number = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
            number.ok_or_else(|| Fault::Strange(String::from_utf8_lossy(&text).into_owned()))
        }
        other => strange(&other),
    }
}

/// When a key expires, as it was at a moment.
pub(super) fn deadline(value: Value, moment: i64) -> Result<Deadline> {
    let at = integer(value)?;
    Ok(Deadline { at: (at >= 0).then_some(at), moment })
}

pub(super) fn count(value: Value) -> Result<usize> {
    Ok(usize::try_from(integer(value)?).unwrap_or_default())
}

pub(super) fn flag(value: Value) -> Result<bool> {
    Ok(integer(value)? > 0)
}

pub(super) fn text(value: Value) -> Result<Option<Bytes>> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes.into())),
        Value::SimpleString(text) => Ok(Some(text.into())),
        other => strange(&other),
    }
}

pub(super) fn array(value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(values) => Ok(values),
        other => strange(&other),
    }
}

pub(super) fn texts(value: Value) -> Result<Vec<Bytes>> {
    array(value)?.into_iter().filter_map(|value| text(value).transpose()).collect()
}

pub(super) fn pairs(value: Value) -> Result<Vec<(Bytes, Bytes)>> {
    Ok(in_pairs(texts(value)?))
}

/// Pairs of whatever was answered.
pub(super) fn value_pairs(value: Value) -> Result<Vec<(Value, Value)>> {
    Ok(in_pairs(array(value)?))
}

fn in_pairs<T>(values: Vec<T>) -> Vec<(T, T)> {
    let mut values = values.into_iter();
    std::iter::from_fn(|| Some((values.next()?, values.next()?))).collect()
}

/// A key and an element; nothing when the time of a blocking pop was over.
pub(super) fn popped(value: Value) -> Result<Option<(Bytes, Bytes)>> {
    if value == Value::Nil {
        return Ok(None);
    }
    Ok(pairs(value)?.pop())
}
