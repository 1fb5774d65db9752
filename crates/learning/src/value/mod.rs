//! What customers are worth who come and go without saying so: how often they will buy, whether they still do, and what they spend.
//!
//! BG/NBD (Fader, Hardie and Lee 2005, "Counting your customers the easy way", Marketing Science 24) tells purchases: while alive a
//! customer buys at random at a rate of her own, and after each purchase she leaves with a probability of her own. Gamma-Gamma (Fader
//! and Hardie 2013, "The Gamma-Gamma model of monetary value") tells the mean of what she spends at a purchase. Both are fitted by
//! maximum likelihood from a few numbers a customer ([`History`]), which [`summarise`] counts from transactions.
//!
//! This room must never hand out parameters of a fit that did not end, nor a mean that does not exist.

mod bgnbd;
mod churn;
mod expected;
mod gamma;
mod gamma_gamma;
mod history;
mod interval;
mod newton;
mod transactions;

pub use bgnbd::{BgNbd, BgNbdFit, fit_bg_nbd};
pub use churn::{Calibration, Churn, Group, calibrate, churn};
pub use gamma_gamma::{Correlation, GammaGamma, GammaGammaFit, correlation, fit_gamma_gamma};
pub use history::{Columns, History, histories, spends};
pub use interval::{Interval, interval};
pub use transactions::{Customer, Period, Span, Transaction, summarise};

use crate::columns;

/// Least customers of a fit.
pub const CUSTOMERS_MIN: usize = 20;
/// Most repeat purchases of a customer.
pub const FREQUENCY_MAX: u32 = 1_000_000;
/// Most draws of parameters.
pub const DRAWS_MAX: usize = 100_000;
/// Most periods of a lifetime value.
pub const PERIODS_MAX: usize = 10_000;

/// How a model is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Weight of the sum of squared parameters beside the mean negative log likelihood, as in Lifetimes: zero or a little more, such as
    /// 0.001 to 0.1. Time counts for it in ages of the oldest customer.
    pub penalizer: f64,
}

impl Default for Settings {
    /// Plain maximum likelihood.
    fn default() -> Self {
        Self { penalizer: 0.0 }
    }
}

impl Settings {
    fn check(&self) -> Result<(), Error> {
        let wanted = "zero or a finite number above it";
        within("penalizer", self.penalizer, 0.0..f64::INFINITY, wanted)
    }
}

/// Refuses a setting outside of its range.
fn within(
    what: &'static str,
    found: f64,
    range: std::ops::Range<f64>,
    wanted: &'static str,
) -> Result<(), Error> {
    if range.contains(&found) {
        return Ok(());
    }
    Err(columns::Error::Setting {
        what,
        found,
        wanted,
    }
    .into())
}

/// What data without a maximum are like, and what to do.
fn why(parameter: &str, towards: &str) -> &'static str {
    match (parameter, towards) {
        ("a", "zero") => "nobody seems to leave: take a longer time or more customers",
        ("b", "zero") => "everybody seems to leave: take a longer time or more customers",
        (_, "zero") => "customers differ too much: look for a few very large values",
        _ => "customers are too much alike: fit with a penalizer, such as 0.01",
    }
}

/// Why nothing came of it. Rows are counted from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Columns, values or settings that cannot be used.
    #[error(transparent)]
    Columns(#[from] columns::Error),
    /// A last purchase later than now.
    #[error(
        "row {row}: recency {recency} is above age {age}: recency is the time from the first purchase to the last, age that from the first purchase to now"
    )]
    RecencyAboveAge {
        /// Its row.
        row: usize,
        /// Found.
        recency: f64,
        /// Found.
        age: f64,
    },
    /// No repeat purchase, but a time of one.
    #[error(
        "row {row}: frequency is 0 and recency {recency}: frequency counts purchases after the first, and without any recency is 0"
    )]
    RecencyWithoutRepeat {
        /// Its row.
        row: usize,
        /// Found.
        recency: f64,
    },
    /// Repeat purchases at the time of the first.
    #[error(
        "row {row}: frequency is {frequency} and recency 0: repeat purchases come after the first, so count purchases of one moment as one"
    )]
    RepeatWithoutRecency {
        /// Its row.
        row: usize,
        /// Found.
        frequency: f64,
    },
    /// One customer twice.
    #[error("rows {first} and {row} are both of customer {customer:?}: write one row a customer")]
    Duplicate {
        /// The customer.
        customer: String,
        /// Her first row.
        first: usize,
        /// Her other row.
        row: usize,
    },
    /// Customers too few to tell anything.
    #[error(
        "there are {found} customers{with}: a fit needs at least {wanted}, and hundreds to be worth reading"
    )]
    TooFew {
        /// Found.
        found: usize,
        /// ` with repeat purchases`, or nothing.
        with: &'static str,
        /// Wanted.
        wanted: usize,
    },
    /// Nobody came again.
    #[error(
        "no customer has a repeat purchase: there is nothing to learn of when they come again, so take a longer time or count shorter moments"
    )]
    NoRepeats,
    /// A likelihood that rises without end.
    #[error(
        "the likelihood has no maximum: it rises as {parameter} goes towards {towards}, since {}",
        why(.parameter, .towards)
    )]
    NoMaximum {
        /// Which.
        parameter: &'static str,
        /// `zero` or `infinity`.
        towards: &'static str,
    },
    /// A fit that did not end.
    #[error("the fit did not end within {iterations} steps: fit with a penalizer, such as 0.01")]
    NotConverged {
        /// How many there were.
        iterations: usize,
    },
    /// Parameters without a mean spend.
    #[error(
        "q is {q}: a mean spend exists for q above 1 alone; look for a few very large amounts, or fit with a penalizer"
    )]
    NoMean {
        /// Found.
        q: f64,
    },
    /// A split outside of the transactions.
    #[error("{what}: write {wanted}")]
    Split {
        /// What is wrong.
        what: String,
        /// What is taken.
        wanted: &'static str,
    },
}
