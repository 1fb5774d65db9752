//! Models: declared features and the online learner behind them. Learning lives in [`crate::learn`].

use super::slot::SlotId;
use serde::{Deserialize, Serialize};

/// Largest dimension of an encoded feature vector.
pub const DIMENSION_MAX: usize = 512;

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

/// One declared feature. It gives one or more numbers of the vector; missing values give zeros, and one-hot and bins
/// reserve a position for missing.
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
    /// One position a category, one for any other, one for missing.
    OneHot {
        /// Slot (text, boolean or integer; compared by the value's text).
        slot: SlotId,
        /// Categories.
        categories: Vec<String>,
    },
    /// One position a bin `x < edges[0]`, `edges[0] <= x < edges[1]`, …, one for missing.
    Bins {
        /// Slot.
        slot: SlotId,
        /// Strictly ascending.
        edges: Vec<f64>,
    },
    /// Product of two one-hot or binned features: a position for each pair.
    Cross {
        /// First.
        left: Box<FeaturePlan>,
        /// Second.
        right: Box<FeaturePlan>,
    },
}

/// A declared model.
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
    pub features: Vec<FeaturePlan>,
    /// Precision of the Gaussian prior on every weight, above zero.
    pub prior_precision: f64,
    /// Prior mean of the intercept (log-odds for a logistic model).
    pub prior_intercept: f64,
    /// Variance of the noise of a linear model, above zero.
    pub noise_variance: f64,
    /// Factor on the accumulated precision with every sample, `0 < forgetting <= 1`; below one the model follows drift.
    pub forgetting: f64,
    /// Rewards outside are held at these bounds before learning.
    pub reward_bounds: (f64, f64),
}
