//! One cell to one value: separators, units, formats. A cell that does not fit is a fault, never a guess.

use super::{Column, Unit};
use crate::unit;
use luopan_kernel::plan::Field;
use luopan_kernel::time::{DAY_US, HOUR_US, MINUTE_US, Micros, SECOND_US};
use luopan_kernel::value::{NUMBER_MAX, TEXT_BYTES_MAX, Value, ValueType};
use std::borrow::Cow;

/// The characters of a cell; none when nothing stands there.
pub(super) fn text<'c>(cell: &'c Value<'_>) -> Option<Cow<'c, str>> {
    match cell {
        Value::Missing => None,
        Value::Bool(b) => Some(Cow::Borrowed(if *b { "true" } else { "false" })),
        Value::Int(v) => Some(Cow::Owned(v.to_string())),
        Value::Number(v) => Some(Cow::Owned(v.to_string())),
        Value::Text(t) => Some(Cow::Borrowed(t.as_ref())),
        Value::Time(t) => Some(Cow::Owned(
            jiff::Timestamp::from_microsecond(t.0)
                .map_or_else(|_| t.0.to_string(), |t| t.to_string()),
        )),
    }
}

/// The value of a cell for a field.
pub(super) fn convert(
    cell: &Value<'_>,
    column: &Column,
    field: &Field,
    zone: &str,
) -> Result<Value<'static>, String> {
    if let (Value::Time(t), ValueType::Time) = (cell, field.kind) {
        return Ok(Value::Time(*t));
    }
    let Some(raw) = text(cell) else {
        return Ok(Value::Missing);
    };
    let trimmed = raw.trim();
    if trimmed.is_empty() || column.missing.iter().any(|m| m == trimmed) {
        return Ok(Value::Missing);
    }
    let trimmed = match &column.prefix {
        Some(prefix) => trimmed.strip_prefix(prefix.as_str()).unwrap_or(trimmed),
        None => trimmed,
    };
    let padded;
    let trimmed = match column.pad.map(usize::from) {
        None => trimmed,
        Some(digits) => {
            if trimmed.len() > digits || !trimmed.bytes().all(|b| b.is_ascii_digit()) {
                return Err(format!("write a code of at most {digits} digits"));
            }
            padded = format!("{trimmed:0>digits$}");
            padded.as_str()
        }
    };
    let mapped = column.map.get(trimmed).map_or(trimmed, String::as_str);
    if mapped.is_empty() {
        return Ok(Value::Missing);
    }
    match field.kind {
        ValueType::Boolean => boolean(mapped),
        ValueType::Integer => {
            let plain = plain(mapped, column)?;
            unit::minor_units(&plain, 0)
                .map(Value::Int)
                .map_err(|_| "write a whole number".to_owned())
        }
        ValueType::Number => {
            let is_percent = column.unit == Some(Unit::Percent);
            let mapped = if is_percent {
                mapped.trim_end_matches(['%', '％']).trim_end()
            } else {
                mapped
            };
            let plain = plain(mapped, column)?;
            plain
                .parse::<f64>()
                .ok()
                .map(|v| if is_percent { v / 100.0 } else { v })
                .filter(|v| v.is_finite() && v.abs() <= NUMBER_MAX)
                .map(Value::Number)
                .ok_or_else(|| format!("write a number within ±{NUMBER_MAX:e}"))
        }
        ValueType::Money => {
            let plain = plain(mapped, column)?;
            let digits = match column.unit {
                Some(Unit::Minor) => 0,
                _ => field
                    .currency
                    .as_deref()
                    .and_then(unit::minor_digits)
                    .unwrap_or(2),
            };
            unit::minor_units(&plain, digits).map(Value::Int)
        }
        ValueType::Text if mapped.len() > TEXT_BYTES_MAX => {
            Err(format!("write at most {TEXT_BYTES_MAX} bytes"))
        }
        ValueType::Text
            if !field.one_of.is_empty() && !field.one_of.iter().any(|w| w == mapped) =>
        {
            Err(format!(
                "write one of {}, or name it under `map`",
                crate::fault::listed(field.one_of.iter().map(String::as_str))
            ))
        }
        ValueType::Text => Ok(Value::text(mapped.to_owned())),
        ValueType::Time => time(mapped, column, zone).map(|t| Value::Time(Micros(t))),
        ValueType::Duration => match column.unit {
            None => unit::duration(mapped).map(Value::Int),
            Some(u) => scaled(&plain(mapped, column)?, microseconds(u)).map(Value::Int),
        },
    }
}

fn boolean(text: &str) -> Result<Value<'static>, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" | "是" => Ok(Value::Bool(true)),
        "false" | "f" | "no" | "n" | "0" | "否" => Ok(Value::Bool(false)),
        _ => Err("write true or false, yes or no, 1 or 0; or name it under `map`".into()),
    }
}

/// Digits, one point and a sign, with the file's own separators taken away.
fn plain(text: &str, column: &Column) -> Result<String, String> {
    let decimal = column.decimal.unwrap_or('.');
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if Some(c) == column.thousands {
            continue;
        }
        if c == decimal {
            out.push('.');
        } else if c.is_ascii_digit() || matches!(c, '+' | '-' | 'e' | 'E') {
            out.push(c);
        } else {
            return Err(format!("write a number; `{c}` is not part of one"));
        }
    }
    Ok(out)
}

fn microseconds(unit: Unit) -> i64 {
    match unit {
        Unit::Milliseconds => 1_000,
        Unit::Minutes => MINUTE_US,
        Unit::Hours => HOUR_US,
        Unit::Days => DAY_US,
        Unit::Seconds | Unit::Major | Unit::Minor | Unit::Percent => SECOND_US,
    }
}

/// A decimal times a whole number of microseconds, exactly to the microsecond.
fn scaled(text: &str, us: i64) -> Result<i64, String> {
    let nano = unit::minor_units(text, 9)
        .map_err(|_| "write a decimal with at most 9 places".to_owned())?;
    let exact = i128::from(nano) * i128::from(us);
    if exact % 1_000_000_000 != 0 {
        return Err("write it to the microsecond at most".into());
    }
    i64::try_from(exact / 1_000_000_000).map_err(|_| "the length of time is too long".into())
}

fn time(text: &str, column: &Column, zone: &str) -> Result<i64, String> {
    if let Some(u) = column.unit {
        return scaled(text, microseconds(u));
    }
    let zone_name = column.zone.as_deref().unwrap_or(zone);
    let zone = unit::zone(zone_name).ok_or_else(|| format!("`{zone_name}` is not a time zone"))?;
    let local = |at: jiff::civil::DateTime| {
        at.to_zoned(zone.clone())
            .map(|z| z.timestamp().as_microsecond())
            .map_err(|_| "the time is out of range".to_owned())
    };
    match &column.format {
        Some(format) => {
            let parsed = jiff::fmt::strtime::parse(format, text)
                .map_err(|_| format!("write a time as `{format}`"))?;
            if let Ok(timestamp) = parsed.to_timestamp() {
                return Ok(timestamp.as_microsecond());
            }
            let date = parsed
                .to_date()
                .map_err(|_| format!("write a time as `{format}`"))?;
            let clock = parsed.to_time().unwrap_or(jiff::civil::Time::midnight());
            local(date.to_datetime(clock))
        }
        None => {
            if let Ok(us) = unit::timestamp(text) {
                return Ok(us);
            }
            let at = text.parse::<jiff::civil::DateTime>().map_err(|_| {
                "write a time as 2026-11-23T09:30:00+08:00, or give its `format`".to_owned()
            })?;
            local(at)
        }
    }
}
