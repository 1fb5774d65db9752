//! What is known of a customer: the sufficient statistics of the models. This room must never let in what cannot have happened.

use std::collections::BTreeMap;

use super::{Error, FREQUENCY_MAX};
use crate::columns;

/// When a customer bought, in few numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct History {
    pub(super) frequency: u32,
    pub(super) recency: f64,
    pub(super) age: f64,
}

impl History {
    /// A customer with `frequency` purchases after the first (x of the papers), the last of them `recency` after the first (t_x), of whom
    /// the first purchase is `age` ago (T); times in any one unit.
    ///
    /// # Errors
    /// What cannot be; the row is told as 0.
    pub fn new(frequency: u32, recency: f64, age: f64) -> Result<Self, Error> {
        checked(0, f64::from(frequency), recency, age)
    }

    /// Purchases after the first.
    pub fn frequency(&self) -> u32 {
        self.frequency
    }

    /// Time from the first purchase to the last.
    pub fn recency(&self) -> f64 {
        self.recency
    }

    /// Time from the first purchase to now.
    pub fn age(&self) -> f64 {
        self.age
    }
}

/// Columns of a table of customers, a value a row.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    /// Purchases after the first: whole numbers from 0 to [`FREQUENCY_MAX`].
    pub frequency: &'a [f64],
    /// Time from the first purchase to the last; 0 where there is one alone.
    pub recency: &'a [f64],
    /// Time from the first purchase to now, above zero.
    pub age: &'a [f64],
    /// Whose row it is, where duplicates shall be refused.
    pub customers: Option<&'a [String]>,
}

/// The histories of a table's rows.
///
/// # Errors
/// Columns of different length, numbers that cannot be, a customer who stands there twice.
pub fn histories(of: &Columns<'_>) -> Result<Vec<History>, Error> {
    let wanted = of.frequency.len();
    let customers = of.customers.map_or(wanted, <[String]>::len);
    for (column, found) in [
        ("recency", of.recency.len()),
        ("age", of.age.len()),
        ("customer", customers),
    ] {
        if found != wanted {
            let column = column.to_owned();
            return Err(columns::Error::Length {
                column,
                found,
                wanted,
            }
            .into());
        }
    }
    let mut seen = BTreeMap::new();
    for (row, customer) in of.customers.unwrap_or(&[]).iter().enumerate() {
        if let Some(first) = seen.insert(customer, row) {
            return Err(Error::Duplicate {
                customer: customer.clone(),
                first,
                row,
            });
        }
    }
    (0..wanted)
        .map(|row| checked(row, of.frequency[row], of.recency[row], of.age[row]))
        .collect()
}

/// The mean spends of a table's rows beside their histories: above zero for customers with repeat purchases; of others whatever stands
/// there is passed over.
///
/// # Errors
/// Another number of rows, a mean spend that is not above zero or not finite.
pub fn spends(histories: &[History], spend: &[f64]) -> Result<(), Error> {
    if spend.len() != histories.len() {
        return Err(columns::Error::Length {
            column: "spend".to_owned(),
            found: spend.len(),
            wanted: histories.len(),
        }
        .into());
    }
    let wrong = |(history, spend): (&History, &f64)| {
        history.frequency > 0 && !(*spend > 0.0 && spend.is_finite())
    };
    match histories.iter().zip(spend).position(wrong) {
        None => Ok(()),
        Some(row) => Err(value(
            row,
            "spend",
            spend[row],
            "the mean amount of her repeat purchases, a finite number above zero, or leave the customer out",
        )),
    }
}

fn value(row: usize, column: &str, found: f64, wanted: &'static str) -> Error {
    let column = column.to_owned();
    columns::Error::Value {
        column,
        row,
        found,
        wanted,
    }
    .into()
}

fn checked(row: usize, frequency: f64, recency: f64, age: f64) -> Result<History, Error> {
    let whole = frequency >= 0.0 && frequency <= f64::from(FREQUENCY_MAX);
    if !whole || libm::trunc(frequency) != frequency {
        let wanted = "how many purchases came after the first: a whole number from 0 to 1,000,000";
        return Err(value(row, "frequency", frequency, wanted));
    }
    if !(age > 0.0 && age.is_finite()) {
        let wanted = "the time from the first purchase to now, a finite number above zero";
        return Err(value(row, "age", age, wanted));
    }
    if !(recency >= 0.0 && recency.is_finite()) {
        let wanted =
            "the time from the first purchase to the last, zero or a finite number above it";
        return Err(value(row, "recency", recency, wanted));
    }
    if recency > age {
        return Err(Error::RecencyAboveAge { row, recency, age });
    }
    if frequency == 0.0 && recency > 0.0 {
        return Err(Error::RecencyWithoutRepeat { row, recency });
    }
    if frequency > 0.0 && recency == 0.0 {
        return Err(Error::RepeatWithoutRecency { row, frequency });
    }
    Ok(History {
        frequency: frequency as u32,
        recency,
        age,
    })
}
