//! Learning from samples, one after another: `learn` is the only way a model's state changes, and any cut of the log into
//! batches gives the same bits.
//!
//! This room must never see a decision, a customer or a clock: it is given encoded features, rewards and the plan.

pub mod algebra;
pub mod bootstrap;
pub mod posterior;
pub mod sample;
pub mod state;

pub use posterior::{Posterior, sigmoid};
pub use sample::{SAMPLE_FORMAT, Sample};
pub use state::{Arm, MODEL_FORMAT, ModelState};

use crate::plan::model::{ModelKind, ModelPlan};

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Learned {
    /// Samples that changed a belief.
    pub learned: u64,
    /// Samples that could not be learned from: of another dimension, without weight, or not finite.
    pub skipped: u64,
}

/// Learns `samples` in order, strictly one by one. Every sample advances the state's version, also one that is skipped, so
/// that the version stays the position in the learner log.
pub fn learn(plan: &ModelPlan, state: &mut ModelState, samples: &[Sample]) -> Learned {
    let mut out = Learned::default();
    let mut scratch = Vec::new();
    for s in samples {
        state.samples += 1;
        let (low, high) = plan.reward_bounds;
        // Not `clamp`, which panics on bounds out of order.
        let reward = s.reward.max(low).min(high);
        let fits = s.features.len() == crate::features::dimension(plan) && s.reward.is_finite();
        if fits
            && state.posterior_mut(plan, s.arm.as_deref()).update(
                plan,
                &s.features,
                reward,
                s.weight,
                &mut scratch,
            )
        {
            out.learned += 1;
            if plan.replicates > 0 {
                let replicates = state.replicates_mut(plan, s.arm.as_deref());
                bootstrap::learn(plan, replicates, s, reward, &mut scratch);
            }
        } else {
            state.skipped += 1;
            out.skipped += 1;
        }
    }
    out
}

/// What a model expects of an arm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// Expected reward at the mean weights: on the reward's scale (a probability for a logistic model).
    pub mean: f64,
    /// Mean of the linear score (log-odds for a logistic model).
    pub linear: f64,
    /// Variance of the linear score.
    pub variance: f64,
}

/// Puts a linear score on the reward's scale.
pub fn on_reward_scale(kind: ModelKind, linear: f64) -> f64 {
    match kind {
        ModelKind::Linear => linear,
        ModelKind::Logistic => sigmoid(linear),
    }
}

/// Predicts the reward of `item` (none for the null action) from encoded features. An arm never seen is predicted by the
/// prior. None when the features are not of the plan's dimension.
pub fn predict(
    plan: &ModelPlan,
    state: &ModelState,
    item: Option<&str>,
    features: &[f64],
) -> Option<Prediction> {
    let d = crate::features::dimension(plan);
    if features.len() != d {
        return None;
    }
    let prior;
    let belief = match state.posterior(plan, item) {
        Some(p) if p.dimension() == d => p,
        _ => {
            prior = Posterior::prior(plan);
            &prior
        }
    };
    let linear = belief.linear_mean(features);
    let variance = belief.linear_variance(features, &mut Vec::with_capacity(d));
    Some(Prediction {
        mean: on_reward_scale(plan.kind, linear),
        linear,
        variance,
    })
}
