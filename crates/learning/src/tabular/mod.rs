//! Learning from a table: which columns are features, how rows are divided into folds, models fitted on some rows and judged on
//! others, and a model that can be kept and predict later.
//!
//! | model | tasks |
//! |---|---|
//! | [`Kind::Gbdt`] | all |
//! | [`Kind::Glm`] | binary, regression, poisson, gamma, tweedie |
//! | [`Kind::Scorecard`] | binary |
//! | [`taste()`] | which items a user takes |
//! | [`uplift()`] | how much a treatment changes a binary target or an amount |
//!
//! [`offers()`] gives, from a table of what each customer may get, what is worth most within limits.
//!
//! What is reported of a model is what it said of rows that it had not seen: every row is predicted once, by the model of the folds
//! without it. Where rows have a time, they are predicted by models of earlier rows alone (rolling origin, Tashman 2000). The model
//! that is kept has learned from all rows.
//!
//! This room must never let a row be judged by a model that has seen it.

mod asked;
mod calibrate;
mod card;
mod encode;
mod evaluate;
mod folds;
mod frame;
mod kept;
mod learn;
mod metrics;
mod offers;
mod roles;
mod settings;
mod taste;
mod times;
mod train;
mod uplift;

pub use asked::{Encoded, Outcomes, Scale};
pub use card::{CardBin, CardColumn};
pub use encode::{Feature, FeatureKind, LEVELS_MAX};
pub use evaluate::{CalibrationBin, Evaluation, Figure, Importance, LiftBin, Period};
pub use folds::FOLDS_MAX;
pub use frame::{Frame, MISSING, Series};
pub use kept::{FORMAT, Kept, Predictions};
pub use learn::Coefficient;
pub use metrics::{METRICS, Metric};
pub use offers::{
    Cap, Given, KeptLimit, OfferSettings, Offered, PAIRS_MAX, POINTS_MAX, Spend, Trade, Wanted,
    offers, trades,
};
pub use roles::{LeftOut, TIMES, Target};
pub use settings::{Calibration, GbdtSettings, GlmSettings, Kind, Settings, Task};
pub use taste::{Best, JUDGED_AT, Taste, TasteSettings, Tasted, taste};
pub use times::is_time;
pub use train::{Outcome, fit_all, train};
pub use uplift::{
    Arm, AtShare, Balance, Difference, Drawn, Treatment, UpliftReport, UpliftSettings, Uplifted,
    uplift,
};

/// Why nothing was learned or predicted. Rows are counted from 1, as people count them.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Too few rows, or too many.
    #[error("{found} rows: {of} needs {least} at least")]
    Rows {
        /// Found.
        found: usize,
        /// Least.
        least: usize,
        /// Of what.
        of: &'static str,
    },
    /// Two columns of one name.
    #[error("two columns are named `{name}`: name each once")]
    Twice {
        /// The name.
        name: String,
    },
    /// A column that is not there.
    #[error("there is no column `{name}`; there are {there}")]
    Unknown {
        /// The name.
        name: String,
        /// The first columns that there are.
        there: String,
    },
    /// A column that cannot be what it is named for.
    #[error("column `{name}`: {why}")]
    Column {
        /// Its name.
        name: String,
        /// Why, and what to write instead.
        why: String,
    },
    /// A value that cannot be used.
    #[error("row {row}, column `{name}`: found {found}; {wanted}")]
    Value {
        /// Name of the column.
        name: String,
        /// Its row, from 1.
        row: usize,
        /// Found.
        found: String,
        /// What is taken.
        wanted: &'static str,
    },
    /// A setting out of its range.
    #[error("{name} is {found}: {wanted}")]
    Setting {
        /// Which.
        name: &'static str,
        /// Found.
        found: String,
        /// What is taken.
        wanted: String,
    },
    /// No column is left to learn from.
    #[error("no column is left to learn from: {why}")]
    NoFeatures {
        /// What became of them.
        why: String,
    },
    /// The model's own refusal.
    #[error("{0}")]
    Model(String),
    /// A kept model that cannot be read.
    #[error("this is no model that can be read: {0}")]
    Kept(String),
}

impl From<crate::gbdt::Error> for Error {
    fn from(e: crate::gbdt::Error) -> Self {
        Self::Model(e.to_string())
    }
}

impl From<crate::glm::Error> for Error {
    fn from(e: crate::glm::Error) -> Self {
        Self::Model(e.to_string())
    }
}

impl From<crate::scorecard::Error> for Error {
    fn from(e: crate::scorecard::Error) -> Self {
        Self::Model(e.to_string())
    }
}
