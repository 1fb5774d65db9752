//! Replicates of a belief: the online bootstrap (Eckles and Kaptein 2014, double or nothing). Of each sample a replicate learns
//! nothing or with twice the weight, by a coin of its own, and begins at a draw from the prior (Osband, Aslanides and Cassirer
//! 2018), so that replicates disagree where nothing is known.
//!
//! Coins depend on the sample's id and draws on the model's name and the arm alone: any cut of the log gives the same bits.

use super::posterior::Posterior;
use super::sample::Sample;
use super::state::{Arm, ModelState};
use crate::id::hash64;
use crate::plan::model::{ModelPlan, REPLICATED_MAX, REPLICATES_MAX};
use crate::random::{Purpose, Random};

/// How many replicates an arm of `plan` has: those declared, or as many as may be of this dimension.
pub fn count(plan: &ModelPlan) -> usize {
    let d = crate::features::dimension(plan).max(1);
    usize::from(plan.replicates.min(REPLICATES_MAX)).min(REPLICATED_MAX / (d * d).max(1))
}

/// Draws what replicate `number` of an arm believes of each weight before anything is learned, from the prior with this mean and
/// these variances.
fn prior_means(plan: &ModelPlan, arm: &Arm<'_>, number: usize, prior: &Posterior) -> Vec<f64> {
    let (tag, key) = match arm {
        Arm::Shared => (0, ""),
        Arm::Null => (1, ""),
        Arm::Item(key) => (2, key.as_ref()),
    };
    let mut seed = Vec::with_capacity(plan.name.len() + key.len() + 14);
    seed.extend_from_slice(&(plan.name.len() as u32).to_le_bytes());
    seed.extend_from_slice(plan.name.as_bytes());
    seed.push(tag);
    seed.extend_from_slice(key.as_bytes());
    seed.extend_from_slice(&(number as u64).to_le_bytes());
    let mut random = Random::stream(hash64(&seed), Purpose::Prior);
    let d = prior.dimension();
    (prior.mean.iter().enumerate())
        .map(|(i, m)| m + libm::sqrt(prior.covariance[i * d + i]) * random.normal())
        .collect()
}

/// An arm's replicates before anything is learned.
pub(super) fn unlearned(plan: &ModelPlan, arm: &Arm<'_>) -> Vec<Posterior> {
    let prior = Posterior::prior(plan);
    (0..count(plan))
        .map(|number| Posterior {
            mean: prior_means(plan, arm, number, &prior),
            ..prior.clone()
        })
        .collect()
}

/// Has the replicates of an arm learn a sample that its belief has learned.
pub(super) fn learn(
    plan: &ModelPlan,
    replicates: &mut [Posterior],
    sample: &Sample,
    reward: f64,
    scratch: &mut Vec<f64>,
) {
    let mut id = [0; 18];
    id[..16].copy_from_slice(&sample.id.0.0);
    id[16..].copy_from_slice(&sample.id.1.to_le_bytes());
    let mut random = Random::stream(hash64(&id), Purpose::Resampling);
    for of_a_word in replicates.chunks_mut(64) {
        let coins = random.bits();
        for (i, replicate) in of_a_word.iter_mut().enumerate() {
            if coins >> i & 1 == 1 {
                let weight = 2.0 * sample.weight;
                replicate.update(plan, &sample.features, reward, weight, scratch);
            } else {
                replicate.drift(plan);
            }
        }
    }
}

/// What the replicates of one arm believe.
pub enum Replicates<'a> {
    /// Learned.
    Learned(&'a [Posterior]),
    /// The means of an arm never seen.
    Prior(Vec<Vec<f64>>),
}

impl<'a> Replicates<'a> {
    /// The replicates of an item (none for the null action) in `state`.
    pub fn of(
        plan: &ModelPlan,
        state: Option<&'a ModelState>,
        item: Option<&str>,
    ) -> Replicates<'a> {
        if let Some(found) = state.and_then(|s| s.replicates(plan, item)) {
            return Self::Learned(found);
        }
        let prior = Posterior::prior(plan);
        let arm = Arm::of(plan.scope, item);
        let means = (0..count(plan)).map(|number| prior_means(plan, &arm, number, &prior));
        Self::Prior(means.collect())
    }

    /// Mean of each replicate's linear score of `x`, into `out`, which is emptied first.
    pub fn linear_means(&self, x: &[f64], out: &mut Vec<f64>) {
        out.clear();
        match self {
            Self::Learned(all) => out.extend(all.iter().map(|r| r.linear_mean(x))),
            Self::Prior(all) => out.extend(all.iter().map(|m| super::algebra::dot8(m, x))),
        }
    }
}
