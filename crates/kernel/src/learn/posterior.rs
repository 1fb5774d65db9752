//! The belief about one arm's weights: a Gaussian with mean and full covariance, updated by one sample at a time in
//! O(d^2).
//!
//! - Linear: the exact posterior of Bayesian linear regression (Bishop 2006, section 3.3) by the rank-one update of
//!   Sherman and Morrison (1950); without drift it is ridge regression.
//! - Logistic: one step of Laplace's approximation a sample, which is the extended Kalman filter (Spiegelhalter and
//!   Lauritzen 1990; Chapelle and Li 2011 keep the diagonal only).
//! - Drift: every weight gains variance before each sample (West, Harrison and Migon 1985).
//!
//! This room must never let a number that is not finite into a belief: a sample that would is skipped.

use super::algebra::{dot8, is_positive_definite, multiply_symmetric};
use crate::plan::model::{FeaturePlan, ModelKind, ModelPlan};

/// Samples of one arm between two checks that its covariance is still positive definite.
pub const REPAIR_EVERY: u64 = 4096;

/// Least curvature of a logistic sample: a sample that was predicted with certainty still counts a little, so that a
/// surprise moves the weights.
const CURVATURE_MIN: f64 = 1e-3;

/// Largest magnitude of `covariance * features` that is learned from; beyond it squares could overflow.
const GAIN_MAX: f64 = 1e100;

/// A Gaussian belief about `d` weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Posterior {
    /// Samples learned.
    pub samples: u64,
    /// Means, `d`.
    pub mean: Vec<f64>,
    /// Covariance, `d * d` row by row, bitwise symmetric.
    pub covariance: Vec<f64>,
}

impl Posterior {
    /// What is believed before anything is learned: independent weights of mean zero, intercepts of mean
    /// `prior_intercept`, each with its feature's prior variance.
    pub fn prior(plan: &ModelPlan) -> Self {
        let mut mean = Vec::new();
        let mut variances = Vec::new();
        for feature in &plan.features {
            let n = crate::features::width(&feature.plan);
            let centre = if feature.plan == FeaturePlan::Intercept {
                plan.prior_intercept
            } else {
                0.0
            };
            mean.resize(mean.len() + n, centre);
            variances.resize(variances.len() + n, feature.prior_variance);
        }
        let d = mean.len();
        let mut covariance = vec![0.0; d * d];
        for (i, v) in variances.into_iter().enumerate() {
            covariance[i * d + i] = v;
        }
        Self {
            samples: 0,
            mean,
            covariance,
        }
    }

    /// Number of weights.
    pub fn dimension(&self) -> usize {
        self.mean.len()
    }

    /// Mean of the linear score of `x`.
    pub fn linear_mean(&self, x: &[f64]) -> f64 {
        dot8(&self.mean, x)
    }

    /// Variance of the linear score of `x`, never below zero. `scratch` is room.
    pub fn linear_variance(&self, x: &[f64], scratch: &mut Vec<f64>) -> f64 {
        multiply_symmetric(&self.covariance, x, scratch);
        let v = dot8(scratch, x);
        if v > 0.0 { v } else { 0.0 }
    }

    /// Every weight gains the model's drift.
    pub(super) fn drift(&mut self, plan: &ModelPlan) {
        let d = self.dimension();
        if plan.drift_variance > 0.0 {
            for i in 0..d {
                self.covariance[i * d + i] += plan.drift_variance;
            }
        }
    }

    /// Learns one sample whose reward is already held within its bounds. Returns false, leaving the belief as it was but
    /// for its drift, when the sample holds or would make a number that is not finite.
    pub fn update(
        &mut self,
        plan: &ModelPlan,
        x: &[f64],
        reward: f64,
        weight: f64,
        scratch: &mut Vec<f64>,
    ) -> bool {
        let d = self.dimension();
        if x.len() != d
            || !reward.is_finite()
            || !(weight > 0.0 && weight.is_finite())
            || x.iter().any(|v| !v.is_finite())
        {
            return false;
        }
        self.drift(plan);
        multiply_symmetric(&self.covariance, x, scratch);
        let gain = &*scratch;
        if !gain.iter().all(|k| k.abs() < GAIN_MAX) {
            return false;
        }
        let v = dot8(gain, x).max(0.0);
        let score = dot8(&self.mean, x);
        // `step` multiplies the gain into the mean, `shrink` its square out of the covariance.
        let (step, shrink, denominator) = match plan.kind {
            ModelKind::Linear => {
                let precision = weight / plan.noise_variance;
                let denominator = 1.0 + precision * v;
                (
                    precision * (reward - score) / denominator,
                    precision / denominator,
                    denominator,
                )
            }
            ModelKind::Logistic => {
                let p = sigmoid(score);
                let curvature = weight * (p * (1.0 - p)).max(CURVATURE_MIN);
                let denominator = 1.0 + curvature * v;
                (
                    weight * (reward.clamp(0.0, 1.0) - p) / denominator,
                    curvature / denominator,
                    denominator,
                )
            }
        };
        if !(step.is_finite() && shrink.is_finite() && shrink >= 0.0) {
            return false;
        }
        for (m, k) in self.mean.iter_mut().zip(gain) {
            *m += step * k;
        }
        // Both factors carry the same root, so element (i, j) and (j, i) are the same product: symmetry is kept to the bit.
        let root = libm::sqrt(shrink);
        for k in scratch.iter_mut() {
            *k *= root;
        }
        for i in 0..d {
            let k = scratch[i];
            // What the sample says nothing of stays as it is, to the bit.
            if k == 0.0 {
                continue;
            }
            let row = &mut self.covariance[i * d..(i + 1) * d];
            // By Cauchy and Schwarz no variance shrinks by more than the sample's own denominator; below that is rounding.
            let least = row[i] / denominator;
            for (s, l) in row.iter_mut().zip(&*scratch) {
                *s -= k * l;
            }
            row[i] = row[i].max(least);
        }
        self.samples += 1;
        if self.samples.is_multiple_of(REPAIR_EVERY) {
            self.repair();
        }
        true
    }

    /// Adds to the diagonal, ten times more at each try, until the covariance is positive definite: rounding of millions
    /// of updates can push a direction of hardly any variance below zero. A sound covariance is left as it is.
    pub fn repair(&mut self) {
        let d = self.dimension();
        let largest = (0..d)
            .map(|i| self.covariance[i * d + i])
            .fold(0.0, f64::max);
        let mut added = if largest > 0.0 {
            largest * 1e-15
        } else {
            f64::MIN_POSITIVE
        };
        while !is_positive_definite(&self.covariance, d) {
            for i in 0..d {
                self.covariance[i * d + i] += added;
            }
            added *= 10.0;
            if !added.is_finite() {
                return;
            }
        }
    }
}

/// The logistic function, stable at both ends.
pub fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + libm::exp(-x))
    } else {
        let e = libm::exp(x);
        e / (1.0 + e)
    }
}
