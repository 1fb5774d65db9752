//! The replay method (Li, Chu, Langford and Wang 2011): where actions were logged by even lot, the rows on which a policy
//! would have done what was logged are a fair sample of what it brings. It must never count a row that was decided otherwise.

use super::logged::{Actions, Reward};
use super::statistics::{Estimate, Moments};

/// What one policy brought on the rows that count for it.
#[derive(Debug, Clone)]
pub(super) struct Arm {
    pub(super) name: String,
    pub(super) matched: u64,
    rewards: Vec<Moments>,
}

impl Arm {
    fn new(name: String, rewards: usize) -> Self {
        Self {
            name,
            matched: 0,
            rewards: vec![Moments::default(); rewards],
        }
    }

    fn add(&mut self, rewards: &[Reward]) {
        self.matched += 1;
        for (moments, reward) in self.rewards.iter_mut().zip(rewards) {
            moments.add(reward.value);
        }
    }
}

/// Estimate of one reward of one policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Measured {
    /// Of yes or no.
    Rate(Option<Estimate>),
    /// Of a number.
    Mean(Option<Estimate>),
}

/// All policies beside each other.
#[derive(Debug, Clone)]
pub(super) struct Arms {
    logged: Arm,
    fixed: Vec<(String, Arm)>,
    policy: Arm,
    /// Of each reward: whether every outcome said yes or no.
    boolean: Vec<Option<bool>>,
}

impl Arms {
    pub(super) fn new(policy: &str, actions: &Actions, rewards: usize) -> Self {
        let fixed = actions
            .names()
            .into_iter()
            .map(|a| (a.to_owned(), Arm::new(format!("fixed:{a}"), rewards)));
        Self {
            logged: Arm::new("logged".to_owned(), rewards),
            fixed: fixed.collect(),
            policy: Arm::new(policy.to_owned(), rewards),
            boolean: vec![None; rewards],
        }
    }

    /// Takes a row; `matched`: the policy decided what was logged.
    pub(super) fn add(&mut self, logged: &str, rewards: &[Reward], matched: bool) {
        self.logged.add(rewards);
        if let Some((_, arm)) = self.fixed.iter_mut().find(|(action, _)| action == logged) {
            arm.add(rewards);
        }
        if matched {
            self.policy.add(rewards);
        }
        for (known, reward) in self.boolean.iter_mut().zip(rewards) {
            *known = match (*known, reward.boolean) {
                (known, None) => known,
                (None, found) => found,
                (Some(a), Some(b)) => Some(a && b),
            };
        }
    }

    /// The policies in order: as logged, each action alone, the policy that was replayed.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arm> {
        std::iter::once(&self.logged)
            .chain(self.fixed.iter().map(|(_, arm)| arm))
            .chain([&self.policy])
    }

    /// Estimates of an arm, one a reward.
    pub(super) fn measured<'a>(&'a self, arm: &'a Arm) -> impl Iterator<Item = Measured> + 'a {
        arm.rewards
            .iter()
            .zip(&self.boolean)
            .map(|(moments, boolean)| {
                if boolean.unwrap_or(false) {
                    Measured::Rate(moments.share())
                } else {
                    Measured::Mean(moments.mean())
                }
            })
    }

    /// Actions whose share among the logged ones is not that of an even lot, by more than four standard errors, with the
    /// share: with these the replay method is not fair.
    pub(super) fn uneven(&self) -> Vec<(&str, f64)> {
        let (n, k) = (self.logged.matched as f64, self.fixed.len() as f64);
        if n == 0.0 || k == 0.0 {
            return Vec::new();
        }
        let error = ((1.0 / k) * (1.0 - 1.0 / k) / n).sqrt();
        (self.fixed.iter())
            .map(|(action, arm)| (action.as_str(), arm.matched as f64 / n))
            .filter(|(_, share)| (share - 1.0 / k).abs() > 4.0 * error)
            .collect()
    }
}
