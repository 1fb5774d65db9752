//! What to do over weeks: fitted Q iteration learns from logged trajectories which action pays in the long run (Ernst, Geurts and
//! Wehenkel 2005), and off-policy evaluation says what a policy of many steps would have earned.
//!
//! A trajectory is what one customer lived through, step by step: what was known of her, what was done and with what propensity,
//! what came of it ([`Trajectories`]). [`learn`] fits values of actions for each number of steps to go ([`Learned`]); actions that
//! the logs hardly tried where she stands are not taken (batch-constrained: Fujimoto, Conti, Ghavamzadeh and Pineau 2019), and no
//! half of the customers judges its own choice (double: van Hasselt 2010). [`evaluate`] tells the value of a [`Policy`] on
//! customers whose values of actions come from others: per-decision importance sampling, fitted Q evaluation, doubly robust, each
//! with an interval over customers.
//!
//! Regressions are pooled over steps: what a customer's features say must not depend on which step it is. Where it does, the step
//! belongs to the features. One thread; the same input and seed give the same bits. This room must never guess a propensity, nor
//! take the end of the logs for the end of a customer.

mod behaviour;
mod error;
mod estimate;
mod evaluate;
mod fitted;
mod fqe;
mod interval;
mod learn;
mod policy;
mod trajectories;

pub use error::{Error, Warning};
pub use estimate::Estimator;
pub use evaluate::{Estimate, Evaluation, Judged, Step, difference, evaluate, gain};
pub use fitted::Regressor;
pub use learn::{Change, Learned, Settings, learn};
pub use policy::{Choices, Fixed, Policy, Shares};
pub use trajectories::{Columns, Trajectories};

/// Most steps that are looked ahead.
pub const HORIZON_MAX: usize = 1_000;
/// Most actions.
pub const ACTIONS_MAX: usize = 255;
/// Most refits of fitted Q evaluation.
pub const REFITS_MAX: usize = 10_000;
