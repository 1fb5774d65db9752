//! What can be wrong with columns of numbers and categories, whichever model they are for. It must never know a model.

/// Why columns cannot be used. Rows are counted from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A column that is not as long as the others.
    #[error("{column:?} has {found} values: wanted are {wanted}")]
    Length {
        /// Its name.
        column: String,
        /// Found.
        found: usize,
        /// Wanted.
        wanted: usize,
    },
    /// A number that cannot be used.
    #[error("row {row}: {column:?} is {found}: write {wanted}")]
    Value {
        /// Name of the column.
        column: String,
        /// Its row.
        row: usize,
        /// Found.
        found: f64,
        /// What is taken.
        wanted: &'static str,
    },
    /// A category that has no level.
    #[error("row {row}: {column:?} is category {found}: there are {levels}, counted from 0")]
    Level {
        /// Name of the column.
        column: String,
        /// Its row.
        row: usize,
        /// Found.
        found: u32,
        /// How many there are.
        levels: usize,
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
    /// All outcomes are the same.
    #[error("every outcome is {found}: there is nothing to learn")]
    OneOutcome {
        /// The outcome.
        found: f64,
    },
}
