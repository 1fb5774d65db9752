//! Off-policy evaluation: what a policy would have earned on decisions that another policy made and logged, how sure that is,
//! and whether the policy may take the place of the present one.
//!
//! Logs are columns ([`Columns`], checked as [`Logs`]); a policy is what it would have done at each row ([`Policy`], worked out as
//! [`Target`]), with predictions of a reward model where an estimator asks for them ([`folds`] fits one across folds). An
//! [`Estimator`] makes [`Terms`] of them, one a row, whose mean (or ratio of means) is the value; [`interval`] says how sure it is,
//! [`diagnose`] whether the logs can carry it, [`promote`] judges a candidate beside a champion. Lists of several places are in [`slate`], whose
//! terms, one a slate, go the same way.
//!
//! ```
//! use luopan_learning::ope::{Columns, Estimator, Logs, Method, Policy, Table, Target, interval};
//! let columns = Columns {
//!     actions: &[0, 1, 1, 0],
//!     action_count: 2,
//!     rewards: &[1.0, 0.0, 1.0, 0.0],
//!     propensities: &[0.5, 0.5, 0.5, 0.5],
//!     weights: None,
//! };
//! let logs = Logs::new(columns)?;
//! // one distribution for everybody: always action 1
//! let always = Table::by_context(&[0.0, 1.0], 2, &[0, 0, 0, 0]);
//! let target = Target::new(&logs, &Policy::Table { distribution: always, predictions: None })?;
//! let terms = Estimator::Ips { clip: None }.terms(&logs, &target)?;
//! assert_eq!(terms.value(), 0.5);
//! let sure = interval(&terms, &Method::Bootstrap { resamples: 200, seed: 1 }, 0.95)?;
//! assert!(sure.lower <= 0.5 && 0.5 <= sure.upper);
//! # Ok::<(), luopan_learning::ope::Error>(())
//! ```
//!
//! This room must never guess a propensity, nor hand out a value for rows that it could not check.

mod bootstrap;
mod diagnose;
mod estimate;
pub mod folds;
mod interval;
mod logs;
mod promote;
pub mod slate;
mod switch;
mod target;
mod terms;

pub(crate) use bootstrap::draw_counts;
pub use diagnose::{Diagnosis, Limits, Warning, diagnose, mean_weight_p, unsupported_mass};
pub use estimate::Estimator;
pub(crate) use interval::percentiles;
pub use interval::{Interval, Method, Range, difference, interval, intervals};
pub use logs::{Columns, Logs, Ragged, Table};
pub use promote::{Comparison, Refusal, Rule, Verdict, promote};
pub use switch::{Choice, Score, Threshold, grid, scores};
pub use target::{Policy, Target};
pub use terms::Terms;

/// Most rows of a log.
pub const ROWS_MAX: usize = 1 << 31;
/// Most actions.
pub const ACTIONS_MAX: usize = 1_000_000;
/// Fewest resamples of a bootstrap: one end of an interval of level 0.9 is then made of one of them.
pub const RESAMPLES_MIN: usize = 20;
/// Most resamples of a bootstrap.
pub const RESAMPLES_MAX: usize = 1_000_000;
/// How far from one the probabilities of a row may add up.
pub const SUM_TOLERANCE: f64 = 1e-6;

/// Why nothing can be said of a policy. Rows are counted from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// No rows.
    #[error("the logs have no rows")]
    Empty,
    /// A column that is not as long as it must be.
    #[error("{column} has {found} values: wanted are {wanted}")]
    Length {
        /// Which.
        column: &'static str,
        /// Its length.
        found: usize,
        /// What it must be.
        wanted: usize,
    },
    /// A value that is not finite, or a weight below zero.
    #[error("row {row}: {column} is {found}: write a finite number, for weights not below zero")]
    Value {
        /// Of which column.
        column: &'static str,
        /// Its row.
        row: usize,
        /// The value.
        found: f64,
    },
    /// A propensity that is missing, zero or no probability.
    #[error(
        "row {row}: the propensity is {found}: write the probability, above 0 and at most 1, with which the action was logged; \
         rows without one cannot be evaluated"
    )]
    Propensity {
        /// Its row.
        row: usize,
        /// What was found; not a number where it is missing.
        found: f64,
    },
    /// An index past the end of what it points into.
    #[error("row {row}: {column} is {found}: there are {count}, counted from 0")]
    Index {
        /// Of which column.
        column: &'static str,
        /// Its row.
        row: usize,
        /// The index.
        found: u32,
        /// How many there are.
        count: usize,
    },
    /// A probability of an evaluated policy below 0, above 1 or no number.
    #[error("row {row}: the policy's probability of action {action} is {found}: write 0 to 1")]
    Probability {
        /// Row of the table, or of the log for ragged columns.
        row: usize,
        /// The action.
        action: usize,
        /// What was found.
        found: f64,
    },
    /// Probabilities of a row that do not add up to one.
    #[error("row {row}: the policy's probabilities add up to {found}: they must add up to 1")]
    Sum {
        /// Row of the table, or of the log for ragged columns.
        row: usize,
        /// Their sum.
        found: f64,
    },
    /// Actions of a row that are not strictly ascending.
    #[error("row {row}: its actions are not strictly ascending: sort them and name each once")]
    Unsorted {
        /// The row.
        row: usize,
    },
    /// Predictions do not cover the action that was taken.
    #[error(
        "row {row}: action {action} was taken, but there is no prediction for it: list it, with probability 0 if need be"
    )]
    Unpredicted {
        /// The row.
        row: usize,
        /// The action.
        action: u32,
    },
    /// An estimator that asks for a reward model's predictions.
    #[error(
        "{estimator} needs predicted rewards of every action; give predictions, or use ips or snips"
    )]
    NeedsPredictions {
        /// Its name.
        estimator: &'static str,
    },
    /// Every weight is zero: the policy would never have done what was logged.
    #[error(
        "the policy takes none of the {rows} logged actions: nothing in these logs tells its value"
    )]
    NoOverlap {
        /// Rows looked at.
        rows: usize,
    },
    /// A setting out of its range.
    #[error("{what} is {found}: write {wanted}")]
    Setting {
        /// Which.
        what: &'static str,
        /// Found.
        found: f64,
        /// What is taken.
        wanted: &'static str,
    },
    /// A term outside the range that was stated for it.
    #[error(
        "row {row}: its term {found} lies outside the stated range {least} to {most}: state the range that rewards and weights can reach"
    )]
    OutOfRange {
        /// The row.
        row: usize,
        /// The term.
        found: f64,
        /// Least stated.
        least: f64,
        /// Most stated.
        most: f64,
    },
    /// Empirical Bernstein was asked for what is no mean of independent terms.
    #[error(
        "{estimator} with these logs is {what}, for which empirical Bernstein does not hold: use the bootstrap"
    )]
    NotMean {
        /// The estimator's name.
        estimator: &'static str,
        /// What it is instead.
        what: &'static str,
    },
    /// Terms that do not belong to the same rows.
    #[error(
        "{found} and {wanted} terms cannot be compared: evaluate both policies on the same rows"
    )]
    Unpaired {
        /// Of one.
        found: usize,
        /// Of the other.
        wanted: usize,
    },
    /// Too few rows for what was asked.
    #[error("{rows} rows: {what} needs at least {least}")]
    Few {
        /// Rows there are.
        rows: usize,
        /// What needs more.
        what: &'static str,
        /// The least.
        least: usize,
    },
}
