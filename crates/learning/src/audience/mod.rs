//! A white-box audience: a few rules that people can read, which describe whom a black box picks.
//!
//! A rule is a conjunction of conditions on columns, an audience a disjunction of rules (DNF). What is sought is most agreement with the black
//! box less a price for each condition, within limits of size, purity and support, as in Boolean decision rules by column generation
//! (Dash, Günlük and Wei 2018). Rules are made by beam search, ranked by gain and by weighted relative accuracy (Lavrač et al. 2004, CN2-SD),
//! one after the other; then each is sought again given the others, and its cuts among all values, until nothing gets better.
//! How good they are is told on rows that were not used to find them.
//!
//! Rules are true where every condition certainly is: a missing value meets none but [`Condition::Missing`], as in a scene's segments.
//! This room must never hand out figures without saying on which rows they were counted, nor use a column that was left out.

mod bits;
mod condition;
mod judge;
mod literals;
mod refine;
mod search;
mod settings;
mod write;

pub use condition::{Condition, Rule, Rules};
pub use judge::{Judgement, Step, judge};
pub use search::find;
pub use settings::{Kind, Method, Settings, held_out, picked};

use crate::columns;

/// Most rules of an audience.
pub const RULES_MAX: usize = 50;
/// Most conditions of a rule.
pub const CONDITIONS_MAX: usize = 10;
/// Most bytes of a rule as a scene takes it.
pub const TEXT_BYTES_MAX: usize = 4_096;

/// What was found, and how good it is.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Description {
    /// The rules.
    pub rules: Rules,
    /// On the rows they were found on: too good, as it is of the same rows.
    pub learned: Judgement,
    /// On rows not used.
    pub held_out: Judgement,
}

/// Finds rules on the rows that are not held out and judges them on both, with intervals at `level`.
///
/// # Errors
/// As [`find`] and [`judge`].
pub fn describe(
    frame: &crate::tabular::Frame,
    audience: &[bool],
    held_out: &[bool],
    settings: &Settings,
    level: f64,
) -> Result<Description, Error> {
    let rules = find(frame, audience, held_out, settings)?;
    let others: Vec<bool> = held_out.iter().map(|held| !held).collect();
    Ok(Description {
        learned: judge(&rules, frame, audience, &others, level)?,
        held_out: judge(&rules, frame, audience, held_out, level)?,
        rules,
    })
}

/// Why nothing was found. Rows are counted from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Columns, values or settings that cannot be used.
    #[error(transparent)]
    Columns(#[from] columns::Error),
    /// A column that is not there.
    #[error("there is no column {name:?}: there are {known}")]
    Unknown {
        /// Named.
        name: String,
        /// The columns.
        known: String,
    },
    /// A column of another kind.
    #[error("column {name:?} holds {found}: {wanted}")]
    Kind {
        /// Its name.
        name: String,
        /// What it holds.
        found: &'static str,
        /// What to write.
        wanted: &'static str,
    },
    /// No column left.
    #[error("no column is left to make rules of: exclude fewer")]
    NoColumns,
    /// Nobody or everybody to tell apart.
    #[error(
        "of {rows} rows {which} {picked} are in the audience: to tell an audience apart some rows have to be in it and some out"
    )]
    OneSided {
        /// Rows looked at.
        rows: usize,
        /// `to learn from`, or which else.
        which: &'static str,
        /// In the audience.
        picked: usize,
    },
    /// Limits that no rule keeps.
    #[error(
        "no rule of at most {conditions} conditions holds {support} rows with a purity of {purity} and describes the audience better than nothing: allow a lower purity, a smaller support or more conditions"
    )]
    NoRule {
        /// Most conditions.
        conditions: usize,
        /// Least rows.
        support: u64,
        /// Least purity.
        purity: f64,
    },
    /// Something that the language of scenes cannot say.
    #[error("{what} cannot be written as a rule: {wanted}")]
    Unwritable {
        /// What.
        what: String,
        /// What to do.
        wanted: &'static str,
    },
}
