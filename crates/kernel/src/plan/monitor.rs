//! Monitors: what is watched of a policy's decisions, and how much of a change is told. Deciding does not read them.

use serde::{Deserialize, Serialize};

/// Most monitors of one scene.
pub const MONITORS_MAX: usize = 64;

/// A monitor: compares a policy's recent decisions with those of a time before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MonitorPlan {
    /// Name, unique in the scene.
    pub name: String,
    /// Index into [`super::ScenePlan::policies`].
    pub policy: u16,
    /// Index into [`super::ScenePlan::rewards`], one that the policy's decisions wait for; none where no limit needs a reward.
    pub reward: Option<u16>,
    /// Between two looks, microseconds.
    pub every_us: i64,
    /// Length of the recent time, microseconds.
    pub recent_us: i64,
    /// Length of the time before that it is compared with, microseconds.
    pub reference_us: i64,
    /// Limits.
    pub limits: DriftLimits,
}

/// How much of a change is let through; none of what is not watched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct DriftLimits {
    /// Population stability index of any feature, of the scores and of the arms.
    pub psi: Option<f64>,
    /// How far rewards lie from the scores that foretold them, in units of the reward.
    pub calibration: Option<f64>,
    /// Change of the mean reward, as a share of what it was.
    pub reward: Option<f64>,
}
