//! Literals: constants of the plan, and the functions that write them (`duration("30d")`, `timestamp("…")`,
//! `money("12.50", "CNY")`).

use super::ty::Ty;
use crate::unit;
use cel::IdedExpr;
use cel::common::ast::{Expr as Ast, LiteralValue};
use luopan_kernel::time::Micros;
use luopan_kernel::value::{NUMBER_MAX, TEXT_BYTES_MAX, Value};

/// Functions that write a constant.
pub(super) const MAKERS: [&str; 3] = ["duration", "timestamp", "money"];

/// A literal of CEL.
pub(super) fn literal(value: &LiteralValue) -> Result<(Value<'static>, Ty), String> {
    match value {
        LiteralValue::Boolean(b) => Ok((Value::Bool(*b.inner()), Ty::Boolean)),
        LiteralValue::Int(i) => Ok((Value::Int(*i.inner()), Ty::Integer)),
        LiteralValue::Double(d) => number(*d.inner()).map(|v| (v, Ty::Number)),
        LiteralValue::String(s) => {
            if s.inner().len() > TEXT_BYTES_MAX {
                return Err(format!("a text has at most {TEXT_BYTES_MAX} bytes"));
            }
            Ok((Value::text(s.inner().to_owned()), Ty::Text))
        }
        LiteralValue::UInt(_) => Err("write the number without `u`".into()),
        LiteralValue::Bytes(_) => Err("there are no bytes here; write a text".into()),
        LiteralValue::Null => {
            Err("there is no null; ask `known(x)`, or write `x.orElse(value)`".into())
        }
    }
}

pub(super) fn number(v: f64) -> Result<Value<'static>, String> {
    if v.is_finite() && v.abs() <= NUMBER_MAX {
        Ok(Value::Number(v))
    } else {
        Err(format!("a number lies within ±{NUMBER_MAX:e}"))
    }
}

/// `duration("30d")` and its like, whose arguments must be texts written out.
pub(super) fn made(name: &str, args: &[IdedExpr]) -> Result<(Value<'static>, Ty), String> {
    let texts: Option<Vec<&str>> = args
        .iter()
        .map(|a| match &a.expr {
            Ast::Literal(LiteralValue::String(s)) => Some(s.inner()),
            _ => None,
        })
        .collect();
    match (name, texts.as_deref()) {
        ("duration", Some([text])) => {
            let us = match text.strip_prefix('-') {
                Some(rest) => -unit::duration(rest)?,
                None => unit::duration(text)?,
            };
            Ok((Value::Int(us), Ty::Duration))
        }
        ("duration", _) => Err("write `duration(\"30d\")`".into()),
        ("timestamp", Some([text])) => Ok((Value::Time(Micros(unit::timestamp(text)?)), Ty::Time)),
        ("timestamp", _) => Err("write `timestamp(\"2026-11-23T09:30:00+08:00\")`".into()),
        ("money", Some([amount, currency])) => {
            let digits = unit::minor_digits(currency)
                .ok_or_else(|| format!("`{currency}` is not a currency; write an iso 4217 code"))?;
            Ok((
                Value::Int(unit::minor_units(amount, digits)?),
                Ty::Money {
                    currency: Some((*currency).to_owned()),
                    exact: true,
                },
            ))
        }
        _ => Err("write `money(\"12.50\", \"CNY\")`".into()),
    }
}
