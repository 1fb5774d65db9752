//! Generalised linear models (Nelder and Wedderburn 1972; McCullagh and Nelder 1989) with an elastic net: gaussian, binomial,
//! Poisson, gamma and Tweedie, with weights, offsets and exposure, over numbers and categories.
//!
//! What is minimised is `sum s d(y, mu) / (2 sum s) + alpha (l1_ratio |b|_1 + (1 - l1_ratio) |b|_2^2 / 2)`, with `s` the rows'
//! weights, `d` the unit deviance and `b` the coefficients without the intercept, in the columns' own units (as in glmnet and glum).
//! Newton's method makes a quadratic model of the deviance; Cholesky minimises it where there is no L1 penalty, coordinate
//! descent (Friedman, Hastie and Tibshirani 2010) where there is. Categories are never spread out into columns of zeros and ones.
//!
//! What cannot be estimated is left out and named ([`Flag`]): constant columns, columns that others add up to, categories without
//! rows. Separated data are refused without a penalty, and flagged with one.
//!
//! This room must never hand out coefficients of a fit that did not end without saying so.

mod check;
mod design;
mod family;
mod fit;
mod inference;
mod solve;

pub use check::Flag;
pub use design::{Column, Design, SIZES, Term};
pub use family::Family;
pub use fit::{Fit, Observations, Penalty, Settings, fit};
pub use inference::{Inference, inference};

use crate::columns;

/// Most terms of a design: numbers and levels of categories together.
pub const TERMS_MAX: usize = 5_000;

/// Why nothing was fitted. Rows are counted from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Columns, settings or outcomes that cannot be used.
    #[error(transparent)]
    Columns(#[from] columns::Error),
    /// No rows, or none that counts.
    #[error("there are no rows with a weight above zero")]
    Empty,
    /// One column tells all outcomes apart.
    #[error(
        "{column:?} alone tells all outcomes apart, which is likely a leak: leave it out, or fit with a penalty (alpha above 0)"
    )]
    Separated {
        /// Its name.
        column: String,
    },
    /// A design with other columns than the model's.
    #[error(
        "the design has {found} terms, the model {wanted}: give the columns that it was fitted with, in their order"
    )]
    Design {
        /// Found.
        found: usize,
        /// Wanted.
        wanted: usize,
    },
    /// No finite deviance.
    #[error("the deviance is not finite at the start: offsets or exposures are too large")]
    NotFinite,
}
