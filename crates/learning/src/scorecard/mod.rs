//! Scorecards: columns cut into bins whose weight of evidence rises or falls with the value, a logistic model of these weights, and
//! whole points a bin (Siddiqi 2017, "Intelligent credit scoring").
//!
//! The weight of evidence of a bin is `ln(share of non-events / share of events)`, its information value the difference of the two
//! shares times that. Values that are missing or special have bins of their own. Outcomes are 0 or 1, of which 1 is the event (a
//! default); more points mean fewer events.
//!
//! This room must never put a value into a bin that does not say it holds it.

mod binning;
mod card;
mod optimal;

pub use binning::{Bin, Binning, Limits, Place};
pub use card::{Attribute, Card, Flag, Score, Settings, Variable, fit};
pub use optimal::Trend;

use crate::columns;

/// Why there is no scorecard. Rows are counted from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Columns, settings or outcomes that cannot be used.
    #[error(transparent)]
    Columns(#[from] columns::Error),
    /// No column says anything.
    #[error(
        "no column has an information value of {least} or more; the best is {best:?} with {found}"
    )]
    Nothing {
        /// Asked for.
        least: f64,
        /// Name of the best.
        best: String,
        /// Its information value.
        found: f64,
    },
    /// The logistic model could not be fitted.
    #[error(transparent)]
    Model(#[from] crate::glm::Error),
}

/// Population stability index of two distributions over the same bins, given as counts or shares: `sum (a - e) ln(a / e)`. Below 0.1 is
/// commonly read as stable, above 0.25 as shifted. Shares below 0.0001 count as that.
///
/// # Errors
/// Other lengths, negative or infinite counts, no counts at all.
pub fn psi(expected: &[f64], actual: &[f64]) -> Result<f64, Error> {
    const LEAST: f64 = 1e-4;
    let mut totals = [0.0; 2];
    for ((counts, total), column) in [expected, actual]
        .iter()
        .zip(&mut totals)
        .zip(["expected", "actual"])
    {
        if counts.len() != expected.len() {
            return Err(Error::Columns(columns::Error::Length {
                column: column.to_owned(),
                found: counts.len(),
                wanted: expected.len(),
            }));
        }
        if let Some(row) = counts
            .iter()
            .position(|count| !(*count >= 0.0 && count.is_finite()))
        {
            return Err(Error::Columns(columns::Error::Value {
                column: column.to_owned(),
                row,
                found: counts[row],
                wanted: "zero or a finite number above it",
            }));
        }
        *total = counts.iter().sum();
        if *total <= 0.0 {
            return Err(Error::Columns(columns::Error::Setting {
                what: "sum of counts",
                found: *total,
                wanted: "a count above zero",
            }));
        }
    }
    let share = |count: f64, total: f64| (count / total).max(LEAST);
    Ok(expected
        .iter()
        .zip(actual)
        .map(|(e, a)| (share(*e, totals[0]), share(*a, totals[1])))
        .map(|(e, a)| (a - e) * libm::log(a / e))
        .sum())
}
