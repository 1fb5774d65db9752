//! Types of expressions: the declared types of values, money with its currency.

use luopan_kernel::value::ValueType;

/// The type of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ty {
    Boolean,
    Integer,
    Number,
    /// Money of a currency (none when not known). Exact money is an integer of minor units; after a product with a number
    /// or a mean it is a number of minor units.
    Money {
        currency: Option<String>,
        exact: bool,
    },
    Text,
    Time,
    Duration,
}

impl Ty {
    /// The type of a slot or field.
    pub(crate) fn of(kind: ValueType, currency: Option<&str>) -> Self {
        match kind {
            ValueType::Boolean => Self::Boolean,
            ValueType::Integer => Self::Integer,
            ValueType::Number => Self::Number,
            ValueType::Money => Self::Money {
                currency: currency.map(str::to_owned),
                exact: true,
            },
            ValueType::Text => Self::Text,
            ValueType::Time => Self::Time,
            ValueType::Duration => Self::Duration,
        }
    }

    /// The type a slot of this has.
    pub(crate) fn value_type(&self) -> ValueType {
        match self {
            Self::Boolean => ValueType::Boolean,
            Self::Integer => ValueType::Integer,
            Self::Number | Self::Money { exact: false, .. } => ValueType::Number,
            Self::Money { exact: true, .. } => ValueType::Money,
            Self::Text => ValueType::Text,
            Self::Time => ValueType::Time,
            Self::Duration => ValueType::Duration,
        }
    }

    /// The word in messages.
    pub(crate) fn word(&self) -> String {
        match self {
            Self::Money {
                currency: Some(c), ..
            } => format!("money in {c}"),
            Self::Money { .. } => "money".into(),
            other => other.value_type().word().into(),
        }
    }
}
