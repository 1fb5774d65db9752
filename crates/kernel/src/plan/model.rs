//! Models: declared features and the online learner behind them. Learning lives in [`crate::learn`].

use super::slot::SlotId;
use serde::{Deserialize, Serialize};

/// Largest dimension of an encoded feature vector.
pub const DIMENSION_MAX: usize = 512;

/// Most replicates of a belief.
pub const REPLICATES_MAX: u16 = 256;

/// Most numbers of the covariances of all replicates of an arm: as many as the largest belief has.
pub const REPLICATED_MAX: usize = DIMENSION_MAX * DIMENSION_MAX;

/// The likelihood of the reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// Gaussian: Bayesian linear regression.
    Linear,
    /// Bernoulli: Bayesian logistic regression, updated online.
    Logistic,
}

/// Whether items have weights of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelScope {
    /// One posterior an item (and one for the null action when it is an arm): features are the customer's.
    PerItem,
    /// One posterior for all: features are the customer's and the item's.
    Shared,
}

/// How one feature is encoded. It gives one or more numbers of the vector; a missing value gives zeros, except that a
/// one-hot or binned feature may reserve a position for missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeaturePlan {
    /// The constant one.
    Intercept,
    /// (x - mean) / scale, held within ±`clip`.
    Standard {
        /// Slot.
        slot: SlotId,
        /// Centre.
        mean: f64,
        /// Above zero.
        scale: f64,
        /// Above zero.
        clip: f64,
    },
    /// One position a category, then one for any other value and one for missing where they are asked for.
    OneHot {
        /// Slot (text, boolean or integer; compared by the value's text).
        slot: SlotId,
        /// Categories.
        categories: Vec<String>,
        /// Reserves a position for values that are none of the categories; without it they give zeros.
        other: bool,
        /// Reserves a position for missing; without it missing gives zeros.
        missing: bool,
    },
    /// One position a bin `x < edges[0]`, `edges[0] <= x < edges[1]`, …, `edges[last] <= x`, then one for missing where
    /// it is asked for.
    Bins {
        /// Slot.
        slot: SlotId,
        /// Strictly ascending.
        edges: Vec<f64>,
        /// Reserves a position for missing; without it missing gives zeros.
        missing: bool,
    },
    /// Product of two features: a position for each pair, the left one's positions in the outer order.
    Cross {
        /// First.
        left: Box<FeaturePlan>,
        /// Second.
        right: Box<FeaturePlan>,
    },
}

/// A feature and what is believed of its weights before anything is learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// Encoding.
    pub plan: FeaturePlan,
    /// Variance of the Gaussian prior on each of its weights, above zero.
    pub prior_variance: f64,
}

/// A declared model.
///
/// In scope [`ModelScope::Shared`] the null action, when it is an arm, is an item whose key is the null action's name and
/// whose attributes are missing: a one-hot of the item's key without `other` and `missing` gives it zeros unless its name is
/// among the categories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelPlan {
    /// Name, unique in the scene.
    pub name: String,
    /// Likelihood.
    pub kind: ModelKind,
    /// Scope.
    pub scope: ModelScope,
    /// Index of the reward it learns.
    pub reward: u16,
    /// Index of the catalogue it scores.
    pub catalogue: u16,
    /// Features in order.
    pub features: Vec<Feature>,
    /// Prior mean of the intercept (log-odds for a logistic model).
    pub prior_intercept: f64,
    /// Variance of the noise of a linear model, above zero.
    pub noise_variance: f64,
    /// Variance that every weight gains before each sample is learned, zero or more: the weights walk at random and the
    /// model follows drift (West, Harrison and Migon 1985). Zero means no drift.
    pub drift_variance: f64,
    /// Rewards outside are held at these bounds before learning.
    pub reward_bounds: (f64, f64),
    /// Replicates of each belief that learn from bootstrapped samples, none or 2..=[`REPLICATES_MAX`]; their covariances hold
    /// at most [`REPLICATED_MAX`] numbers an arm.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub replicates: u16,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_zero(replicates: &u16) -> bool {
    *replicates == 0
}
