//! Values of properties, tags and slots, and their declared types.

use crate::codec::{Reader, Result, Writer};
use crate::time::Micros;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Longest text value, in bytes.
pub const TEXT_BYTES_MAX: usize = 4096;

/// Largest magnitude of a `number`: beyond it fixed-point sums could overflow, so intake refuses it.
pub const NUMBER_MAX: f64 = 1e18;
/// Largest magnitude of an integer, an amount or a duration that is taken in: sums of them do not overflow for being few.
pub const INTEGER_MAX: u64 = 1_000_000_000_000_000_000;

/// Fixed-point quanta per unit in sums of numbers (nine decimal places).
pub const NUMBER_QUANTA: i128 = 1_000_000_000;

/// The declared type of a property, tag or slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueType {
    /// True or false.
    Boolean,
    /// Signed 64-bit integer.
    Integer,
    /// Finite IEEE-754 binary64 within ±[`NUMBER_MAX`].
    Number,
    /// An amount in integer minor units (cents, fen) of a currency declared beside it.
    Money,
    /// UTF-8 text of at most [`TEXT_BYTES_MAX`] bytes.
    Text,
    /// A point in time, UTC microseconds.
    Time,
    /// A length of time in microseconds.
    Duration,
}

impl ValueType {
    /// The word used in scene packs and messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Money => "money",
            Self::Text => "text",
            Self::Time => "time",
            Self::Duration => "duration",
        }
    }
}

/// A value. `Missing` is what an absent property, an empty aggregate, an overflow or a division by zero gives; rules
/// see it as *unknown*.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value<'a> {
    /// Nothing known.
    #[default]
    Missing,
    /// Boolean.
    Bool(bool),
    /// Integer, money in minor units, or duration in microseconds.
    Int(i64),
    /// Finite number.
    Number(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// Time.
    Time(Micros),
}

impl<'a> Value<'a> {
    /// Text borrowed or owned.
    pub fn text(s: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(s.into())
    }

    /// True when nothing is known.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    /// The same value, borrowing nothing.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Missing => Value::Missing,
            Self::Bool(v) => Value::Bool(v),
            Self::Int(v) => Value::Int(v),
            Self::Number(v) => Value::Number(v),
            Self::Text(v) => Value::Text(Cow::Owned(v.into_owned())),
            Self::Time(v) => Value::Time(v),
        }
    }

    /// The value as a number for a model: booleans are 0 and 1, times are seconds; text and missing are `None`.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Bool(v) => Some(f64::from(u8::from(*v))),
            Self::Int(v) => Some(*v as f64),
            Self::Number(v) => Some(*v),
            Self::Time(t) => Some(t.0 as f64 / 1e6),
            Self::Missing | Self::Text(_) => None,
        }
    }

    /// True when the value may stand in a slot of type `t` (missing may stand anywhere).
    pub fn fits(&self, t: ValueType) -> bool {
        matches!(
            (self, t),
            (Self::Missing, _)
                | (Self::Bool(_), ValueType::Boolean)
                | (
                    Self::Int(_),
                    ValueType::Integer | ValueType::Money | ValueType::Duration
                )
                | (Self::Number(_), ValueType::Number)
                | (Self::Text(_), ValueType::Text)
                | (Self::Time(_), ValueType::Time)
        )
    }

    /// Appends the value: a kind byte and its content.
    pub fn write(&self, w: &mut Writer) {
        match self {
            Self::Missing => w.u8(0),
            Self::Bool(false) => w.u8(1),
            Self::Bool(true) => w.u8(2),
            Self::Int(v) => {
                w.u8(3);
                w.int(*v);
            }
            Self::Number(v) => {
                w.u8(4);
                w.f64(*v);
            }
            Self::Text(v) => {
                w.u8(5);
                w.str(v);
            }
            Self::Time(v) => {
                w.u8(6);
                w.int(v.0);
            }
        }
    }

    /// Reads what [`Value::write`] wrote, borrowing text.
    ///
    /// # Errors
    /// As [`Reader`]'s; an unknown kind byte is malformed.
    pub fn read(r: &mut Reader<'a>) -> Result<Self> {
        Ok(match r.u8()? {
            0 => Self::Missing,
            1 => Self::Bool(false),
            2 => Self::Bool(true),
            3 => Self::Int(r.int()?),
            4 => Self::Number(r.f64()?),
            5 => Self::Text(Cow::Borrowed(r.str()?)),
            6 => Self::Time(Micros(r.int()?)),
            _ => return Err(r.malformed("a value kind of 0 to 6")),
        })
    }
}

/// A number in fixed point: `x` in quanta of 1e-9, rounded half to even; `None` beyond [`NUMBER_MAX`] or not finite.
/// Sums in this form do not depend on order. An exact integer part and fraction are scaled apart, so the rounding is
/// that of the last step alone.
pub fn to_quanta(x: f64) -> Option<i128> {
    if !x.is_finite() || x.abs() > NUMBER_MAX {
        return None;
    }
    let whole = libm::trunc(x);
    let fraction = x - whole;
    Some(whole as i128 * NUMBER_QUANTA + libm::rint(fraction * NUMBER_QUANTA as f64) as i128)
}

/// The number nearest to `q` quanta.
pub fn from_quanta(q: i128) -> f64 {
    let whole = q / NUMBER_QUANTA;
    let rest = q % NUMBER_QUANTA;
    whole as f64 + rest as f64 / NUMBER_QUANTA as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_of_numbers_do_not_depend_on_order(mut xs in proptest::collection::vec(-1e9f64..1e9, 0..50)) {
            let forward: i128 = xs.iter().filter_map(|x| to_quanta(*x)).sum();
            xs.reverse();
            let backward: i128 = xs.iter().filter_map(|x| to_quanta(*x)).sum();
            prop_assert_eq!(forward, backward);
        }

        #[test]
        fn quanta_are_near(x in -1e6f64..1e6) {
            let back = from_quanta(to_quanta(x).unwrap());
            prop_assert!((back - x).abs() <= 1e-9);
        }
    }
}
