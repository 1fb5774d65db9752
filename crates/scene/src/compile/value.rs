//! Values written in packs: attributes of items, defaults of tags.

use crate::fault::{Code, nearest, shown};
use crate::node::Node;
use crate::shape::Reporter;
use crate::unit;
use luopan_kernel::plan::Field;
use luopan_kernel::time::Micros;
use luopan_kernel::value::{NUMBER_MAX, TEXT_BYTES_MAX, Value, ValueType};

/// The value of `node` for a field; null is missing. None (with a fault) when it does not fit.
pub(crate) fn scalar(
    node: &Node,
    field: &Field,
    report: &mut Reporter<'_>,
) -> Option<Value<'static>> {
    if node.is_null() {
        return Some(Value::Missing);
    }
    let text = node.scalar()?;
    let wrong = |write: String| Err((Code::WrongType, write, None));
    let result = match field.kind {
        ValueType::Boolean => node.boolean().map_or_else(
            || wrong("write `true` or `false`".into()),
            |b| Ok(Value::Bool(b)),
        ),
        ValueType::Integer => node.integer().map_or_else(
            || wrong("write a whole number".into()),
            |v| Ok(Value::Int(v)),
        ),
        ValueType::Number => match node.number() {
            Some(v) if v.abs() <= NUMBER_MAX => Ok(Value::Number(v)),
            Some(_) => Err((
                Code::OutOfRange,
                format!("write a number within ±{NUMBER_MAX:e}"),
                None,
            )),
            None => wrong("write a number".into()),
        },
        ValueType::Money => {
            let digits = field
                .currency
                .as_deref()
                .and_then(unit::minor_digits)
                .unwrap_or(2);
            unit::minor_units(text, digits).map_or_else(wrong, |v| Ok(Value::Int(v)))
        }
        ValueType::Text if text.len() > TEXT_BYTES_MAX => Err((
            Code::Limit,
            format!("write at most {TEXT_BYTES_MAX} bytes"),
            None,
        )),
        ValueType::Text if !field.one_of.is_empty() && !field.one_of.iter().any(|w| w == text) => {
            Err((
                Code::OutOfRange,
                format!(
                    "`{}` is one of {}",
                    field.name,
                    crate::fault::listed(field.one_of.iter().map(String::as_str))
                ),
                nearest(text, field.one_of.iter().map(String::as_str)),
            ))
        }
        ValueType::Text => Ok(Value::text(text.to_owned())),
        ValueType::Time => unit::timestamp(text).map_or_else(wrong, |v| Ok(Value::Time(Micros(v)))),
        ValueType::Duration => unit::duration(text).map_or_else(wrong, |v| Ok(Value::Int(v))),
    };
    match result {
        Ok(value) => Some(value),
        Err((code, write, near)) => {
            report.near(
                node.at,
                code,
                format!(
                    "`{}` of `{}` is not {}",
                    shown(text),
                    field.name,
                    article(field.kind)
                ),
                write,
                near,
            );
            None
        }
    }
}

fn article(kind: ValueType) -> String {
    match kind {
        ValueType::Integer => "an integer".into(),
        ValueType::Money => "an amount of money".into(),
        ValueType::Text => "a text allowed here".into(),
        other => format!("a {}", other.word()),
    }
}
