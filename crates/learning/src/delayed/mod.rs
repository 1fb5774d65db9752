//! Rewards that have not come yet: what a log that ends today can say of rewards that take days. A customer who has not answered
//! by now may answer tomorrow; to learn her as a refusal is to learn too little of what is recent.
//!
//! - [`Arrival`]: how large a share of the rewards of a window has come by an age, by Kaplan and Meier's estimate, whatever the
//!   features; from it a reward's value that is right on average ([`Arrival::corrected`], Horvitz and Thompson 1952) and the chance
//!   that what has not come still comes ([`Arrival::still`]).
//! - [`Conversion`]: who answers and how long it takes, together, from features (Chapelle 2014).
//! - [`weigh`]: samples of a log for a model that is learned from all at once: by the inverse of their propensity, and those
//!   that are still open by halves that say yes and no.
//!
//! Times are in one unit of the caller's. This room must never count what has not come as what never comes.

mod arrival;
mod conversion;
mod weigh;

pub use arrival::Arrival;
pub use conversion::{Conversion, Settings};
pub use weigh::{Logged, Part, weigh};

/// Most numbers of a row's features.
pub const FEATURES_MAX: usize = 512;

/// How long it has been, or took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wait {
    /// The reward came so long after the decision.
    Came(f64),
    /// It has not come; the decision is so long ago.
    Open(f64),
}

impl Wait {
    /// The time, of either.
    fn time(self) -> f64 {
        match self {
            Self::Came(t) | Self::Open(t) => t,
        }
    }
}

/// Why nothing could be said. Rows are counted from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Columns of different length.
    #[error("{what} has {found} values: wanted are {wanted}")]
    Length {
        /// Which.
        what: &'static str,
        /// Found.
        found: usize,
        /// Wanted.
        wanted: usize,
    },
    /// A value that cannot be used.
    #[error("row {row}: {what} is {found}: write {wanted}")]
    Value {
        /// Of which column.
        what: &'static str,
        /// Its row.
        row: usize,
        /// Found.
        found: f64,
        /// What is taken.
        wanted: &'static str,
    },
    /// A setting that cannot be used.
    #[error("{what} is {found}: write {wanted}")]
    Setting {
        /// Which.
        what: &'static str,
        /// Found.
        found: f64,
        /// What is taken.
        wanted: &'static str,
    },
    /// No reward has come.
    #[error("no reward has come in {rows} rows: how long they take cannot be told")]
    NoneCame {
        /// Rows.
        rows: usize,
    },
    /// The fit did not come to an end.
    #[error(
        "the fit moved by {moved} in its last of {iterations} iterations: take more, or a larger penalty"
    )]
    Unfinished {
        /// Iterations.
        iterations: usize,
        /// The largest change of a weight in the last.
        moved: f64,
    },
}

fn check(waits: &[Wait]) -> Result<(), Error> {
    for (row, wait) in waits.iter().enumerate() {
        let found = wait.time();
        if !(found >= 0.0 && found.is_finite()) {
            return Err(Error::Value {
                what: "a wait",
                row,
                found,
                wanted: "zero or more",
            });
        }
    }
    if !waits.iter().any(|w| matches!(w, Wait::Came(_))) {
        return Err(Error::NoneCame { rows: waits.len() });
    }
    Ok(())
}
