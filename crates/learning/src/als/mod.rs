//! Factors of users and items from what users did, and how much of it: implicit-feedback matrix factorisation by alternating
//! least squares (Hu, Koren and Volinsky 2008), for retrieval where there are no features to learn from ([`crate::factors`]
//! learns from features).
//!
//! A user `u` has taken an item `i` with a strength `r`, zero or more. Preference `p` is 1 where the strength is above zero and
//! else 0, confidence is `c = 1 + alpha r` (the paper's equation for it), and what is minimised is
//! `sum over all u, i of c (p - x_u . y_i)^2 + regularization (sum |x_u|^2 + sum |y_i|^2)`. With one side fixed each row of the
//! other is a least-squares problem of its own, whose matrix is the gram of the fixed side plus few rows ([`Solver`]).
//!
//! The package `implicit` takes confidences and not strengths: given `1 + alpha r` and its own alpha of 1 it is the same model.
//!
//! One thread, sums in a fixed order, no fused multiply-add: the same input and seed give the same bits. What is evaluated never
//! holds what was seen.
//!
//! This room must never hand out factors that are not finite, nor rank an item that it was told to leave out.

mod evaluate;
mod fit;
mod interactions;
mod model;
mod solve;

pub use evaluate::{Figures, evaluate, figures};
pub use fit::{Start, fit, fit_from};
pub use interactions::Interactions;
pub use model::{Model, Scored};

/// Most users.
pub const USERS_MAX: usize = 100_000_000;
/// Most items.
pub const ITEMS_MAX: usize = 10_000_000;
/// Most interactions.
pub const INTERACTIONS_MAX: usize = 4_000_000_000;
/// Most numbers of a vector.
pub const FACTORS_MAX: usize = 1_024;
/// Most numbers of the vectors of all users, and of all items.
pub const NUMBERS_MAX: usize = 16_000_000_000;
/// Most iterations.
pub const ITERATIONS_MAX: usize = 1_000;
/// Largest strength of an interaction.
pub const STRENGTH_MAX: f32 = 1e6;

/// How a row's least-squares problem is solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Solver {
    /// So many steps of conjugate gradients from where the row was (Takacs, Pilaszy and Tikk 2011), in binary32. Three are as
    /// good as the exact solution after few iterations, and several times faster.
    ConjugateGradient {
        /// Steps, 1 to 100.
        steps: usize,
    },
    /// Exactly, by Cholesky's factor in binary64.
    Cholesky,
}

/// How factors are trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Numbers of a vector, 1 to [`FACTORS_MAX`].
    pub factors: usize,
    /// Penalty on squares, from 1e-6 to 1e6.
    pub regularization: f64,
    /// What a strength of 1 adds to the confidence, above zero, at most 1e6.
    pub alpha: f64,
    /// Times that users and then items are solved, 1 to [`ITERATIONS_MAX`].
    pub iterations: usize,
    /// How rows are solved.
    pub solver: Solver,
    /// Seed of the vectors that it begins with.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            factors: 64,
            regularization: 0.01,
            alpha: 1.0,
            iterations: 15,
            solver: Solver::ConjugateGradient { steps: 3 },
            seed: 1,
        }
    }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |what, found, wanted| {
            Err(Error::Setting {
                what,
                found,
                wanted,
            })
        };
        if !(1..=FACTORS_MAX).contains(&self.factors) {
            return wrong("number of factors", self.factors as f64, "1 to 1,024");
        }
        if !(1e-6..=1e6).contains(&self.regularization) {
            return wrong("regularization", self.regularization, "1e-6 to 1e6");
        }
        if !(self.alpha > 0.0 && self.alpha <= 1e6) {
            return wrong("alpha", self.alpha, "above 0 and at most 1e6");
        }
        if !(1..=ITERATIONS_MAX).contains(&self.iterations) {
            return wrong("number of iterations", self.iterations as f64, "1 to 1,000");
        }
        if let Solver::ConjugateGradient { steps } = self.solver
            && !(1..=100).contains(&steps)
        {
            return wrong("steps of conjugate gradients", steps as f64, "1 to 100");
        }
        Ok(())
    }
}

/// Why nothing was trained or ranked. Rows, users and items are counted from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// No interaction with a strength above zero.
    #[error("there is no interaction with a strength above zero: there is nothing to learn")]
    Empty,
    /// Nothing was held out that had not been seen.
    #[error("no user took anything in the held-out interactions that was not seen before")]
    NothingNew,
    /// Lists that do not fit together.
    #[error("{what} has {found} entries: wanted are {wanted}")]
    Length {
        /// Which.
        what: &'static str,
        /// Found.
        found: usize,
        /// Wanted.
        wanted: usize,
    },
    /// Ends of rows that do not divide the interactions.
    #[error("offset {at} is {found}: offsets begin at 0 and never fall")]
    Offset {
        /// Its place.
        at: usize,
        /// Found.
        found: usize,
    },
    /// A user or an item that is not there.
    #[error("interaction {at}: {what} {found} is not there: there are {count}, counted from 0")]
    Index {
        /// User or item.
        what: &'static str,
        /// Place of the interaction, or of the index in a list.
        at: usize,
        /// Found.
        found: usize,
        /// How many there are.
        count: usize,
    },
    /// Items of a user that are not ascending.
    #[error(
        "interaction {at}: item {item} of user {user} does not come after the one before it: put a user's items in order, each once"
    )]
    Order {
        /// Place of the interaction.
        at: usize,
        /// The user.
        user: usize,
        /// The item.
        item: u32,
    },
    /// A number that cannot be used.
    #[error("{what} {at} is {found}: write {wanted}")]
    Value {
        /// Which list.
        what: &'static str,
        /// Its place.
        at: usize,
        /// Found.
        found: f64,
        /// What is taken.
        wanted: &'static str,
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
    /// Vectors grew beyond all numbers.
    #[error(
        "factors are not finite after iteration {iteration}: strengths or alpha are too large, or the regularization too small"
    )]
    NotFinite {
        /// Counted from 1.
        iteration: usize,
    },
}
