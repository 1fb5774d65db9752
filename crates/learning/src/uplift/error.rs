//! Why nothing can be said of an effect, with what was found and what to write instead. This room must never know a formula.

use crate::gbdt;

/// Why nothing was learned or measured. Rows are counted from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// No rows.
    #[error("there are no rows")]
    Empty,
    /// A column that is not as long as it must be.
    #[error("{column} has {found} values: wanted are {wanted}")]
    Length {
        /// Which.
        column: String,
        /// Its length.
        found: usize,
        /// What it must be.
        wanted: usize,
    },
    /// A value that cannot be used.
    #[error("row {row}: {column} is {found}: write {wanted}")]
    Value {
        /// Of which column.
        column: &'static str,
        /// Its row.
        row: usize,
        /// The value.
        found: f64,
        /// What is taken.
        wanted: &'static str,
    },
    /// No arm is the control.
    #[error("{found}; the arms are {arms}: name one of them as the control")]
    Control {
        /// What was found.
        found: String,
        /// The first arms.
        arms: String,
    },
    /// One arm, or too many.
    #[error("{found} arms ({arms}): wanted are 2 to {most}, the control and each treatment")]
    Arms {
        /// How many.
        found: usize,
        /// The first of them.
        arms: String,
        /// Most there may be.
        most: usize,
    },
    /// An arm without rows, or with too few.
    #[error(
        "arm {arm:?} has {rows} rows of a weight above 0: {least} are needed ({why}); leave the arm out, or lower what needs them"
    )]
    Few {
        /// Which.
        arm: String,
        /// Its rows.
        rows: usize,
        /// The least.
        least: usize,
        /// What needs them.
        why: &'static str,
    },
    /// Fewer rows than folds.
    #[error("{rows} rows for {folds} folds: ask for fewer folds than rows of the smallest arm")]
    Folds {
        /// Rows, of the smallest arm.
        rows: usize,
        /// Folds.
        folds: usize,
    },
    /// A propensity that is missing, 0, 1 or no probability.
    #[error(
        "row {row}: the propensity of arm {arm:?} is {found}: write the probability, above 0 and below 1, with which the arm was \
         drawn; leave out rows that could only have got one arm"
    )]
    Propensity {
        /// Its row; 0 for propensities that hold for all rows.
        row: usize,
        /// Of which arm.
        arm: String,
        /// Found; not a number where it is missing.
        found: f64,
    },
    /// Propensities that do not add up to one.
    #[error("row {row}: the propensities of all arms add up to {found}: they must add up to 1")]
    Sum {
        /// The row; 0 for propensities that hold for all rows.
        row: usize,
        /// Their sum.
        found: f64,
    },
    /// Propensities that do not suffice for a learner.
    #[error("{learner} with {arms} arms needs {wanted}")]
    NeedsPropensities {
        /// The learner.
        learner: &'static str,
        /// How many arms there are.
        arms: usize,
        /// What is wanted.
        wanted: &'static str,
    },
    /// Every outcome is the same.
    #[error(
        "every outcome is {found}: no treatment can have changed it; look at whether the column is the right one"
    )]
    Constant {
        /// The outcome.
        found: f64,
    },
    /// A setting out of its range.
    #[error("{what} is {found}: write {wanted}")]
    Setting {
        /// Which.
        what: &'static str,
        /// Found.
        found: String,
        /// What is taken.
        wanted: &'static str,
    },
    /// The base learner's own refusal.
    #[error("{model}: {source}")]
    Base {
        /// Which of the models.
        model: String,
        /// What it said.
        source: gbdt::Error,
    },
    /// Trees beyond the kernel's limits.
    #[error("{model}: {source}")]
    Trees {
        /// Which of the models.
        model: String,
        /// What it said.
        source: luopan_kernel::trees::Error,
    },
}

pub(super) fn length(column: &str, found: usize, wanted: usize) -> Result<(), Error> {
    if found == wanted {
        return Ok(());
    }
    Err(Error::Length {
        column: column.to_owned(),
        found,
        wanted,
    })
}

/// Rows are counted by 32 bits.
pub(super) fn countable(rows: usize) -> Result<(), Error> {
    match u32::try_from(rows) {
        Ok(0) => Err(Error::Empty),
        Ok(_) => Ok(()),
        Err(_) => Err(setting("the number of rows", rows, "at most 4,294,967,295")),
    }
}

/// Refuses the first value that does not fit.
pub(super) fn values(
    column: &'static str,
    values: &[f64],
    wanted: &'static str,
    fits: impl Fn(f64) -> bool,
) -> Result<(), Error> {
    match values.iter().position(|value| !fits(*value)) {
        None => Ok(()),
        Some(row) => Err(Error::Value {
            column,
            row,
            found: values[row],
            wanted,
        }),
    }
}

pub(super) fn weights(weights: Option<&[f64]>, rows: usize) -> Result<(), Error> {
    let Some(weights) = weights else {
        return Ok(());
    };
    length("the weights", weights.len(), rows)?;
    values("the weight", weights, "a finite number from 0 on", |w| {
        w.is_finite() && w >= 0.0
    })
}

pub(super) fn setting(what: &'static str, found: impl ToString, wanted: &'static str) -> Error {
    Error::Setting {
        what,
        found: found.to_string(),
        wanted,
    }
}
