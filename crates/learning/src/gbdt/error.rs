//! Why nothing can be learned from what was given, with what was found and what is wanted. This room must never know how a tree
//! is grown.

/// Why nothing was learned.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// There is no column, or too many.
    #[error("{found} columns: wanted are 1 to {most}")]
    Columns {
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// A column's name is empty, too long or another's.
    #[error("column {at} is called {name:?}: {why}")]
    Name {
        /// Place of the column, from zero.
        at: usize,
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Something has not one value a row.
    #[error("{what} has {found} values for {rows} rows")]
    Length {
        /// What it is.
        what: String,
        /// How many values it has.
        found: usize,
        /// Rows of the data.
        rows: usize,
    },
    /// A value that cannot be used.
    #[error("{what}, row {row}: {value} where {wanted}")]
    Value {
        /// The column, or what else it is.
        what: String,
        /// The row, from zero.
        row: usize,
        /// The value.
        value: f64,
        /// What is wanted, as the end of a sentence.
        wanted: &'static str,
    },
    /// Too few rows.
    #[error("{rows} rows: {least} are needed ({why})")]
    Rows {
        /// How many there are.
        rows: usize,
        /// How many are needed.
        least: usize,
        /// For what.
        why: &'static str,
    },
    /// The target says nothing that could be learned.
    #[error("the target {found}: {wanted}")]
    Target {
        /// What was found.
        found: String,
        /// What is wanted.
        wanted: &'static str,
    },
    /// A parameter out of its range, or not fit for the data.
    #[error("{name} is {found}: {wanted}")]
    Parameter {
        /// LightGBM's name of it.
        name: &'static str,
        /// What was given.
        found: String,
        /// What is wanted.
        wanted: &'static str,
    },
}
