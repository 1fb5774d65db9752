//! Off-policy evaluation: equal to obp's, unbiased, covering, and refused with what was found.

mod coverage;
mod laws;
mod obp;
mod refused;

use luopan_kernel::random::Random;
use luopan_learning::ope::{Columns, Logs, Policy, Table, Target};

/// Logs of a known world.
pub(crate) struct World {
    pub(crate) actions: Vec<u32>,
    pub(crate) rewards: Vec<f64>,
    pub(crate) propensities: Vec<f64>,
    pub(crate) contexts: Vec<u32>,
}

pub(crate) const ACTIONS: usize = 3;
/// Probability of a reward of 1 by context and action.
const MEANS: [[f64; ACTIONS]; 2] = [[0.2, 0.5, 0.3], [0.6, 0.1, 0.4]];
const LOGGING: [[f64; ACTIONS]; 2] = [[0.5, 0.3, 0.2], [0.25, 0.25, 0.5]];
/// The evaluated policy, by context.
pub(crate) const POLICY: [f64; 2 * ACTIONS] = [0.1, 0.6, 0.3, 0.5, 0.2, 0.3];
/// A reward model that is wrong.
pub(crate) const MODEL: [f64; 2 * ACTIONS] = [0.3, 0.4, 0.3, 0.4, 0.2, 0.5];
/// Largest weight: 0.6 / 0.3, 0.5 / 0.25.
pub(crate) const WEIGHT_MOST: f64 = 2.0;

/// The value of [`POLICY`]; contexts are equally likely.
pub(crate) fn truth() -> f64 {
    value_of(&POLICY)
}

pub(crate) fn value_of(policy: &[f64]) -> f64 {
    let pairs = policy.iter().zip(MEANS.as_flattened());
    pairs
        .map(|(probability, mean)| probability * mean)
        .sum::<f64>()
        / 2.0
}

impl World {
    pub(crate) fn new(rows: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut world = Self {
            actions: Vec::new(),
            rewards: Vec::new(),
            propensities: Vec::new(),
            contexts: Vec::new(),
        };
        for _ in 0..rows {
            let context = (random.bits() >> 63) as usize;
            let mut left = random.uniform();
            let mut action = 0;
            while action + 1 < ACTIONS && left >= LOGGING[context][action] {
                left -= LOGGING[context][action];
                action += 1;
            }
            let reward = random.uniform() < MEANS[context][action];
            world.contexts.push(context as u32);
            world.actions.push(action as u32);
            world.rewards.push(f64::from(u8::from(reward)));
            world.propensities.push(LOGGING[context][action]);
        }
        world
    }

    pub(crate) fn columns(&self) -> Columns<'_> {
        Columns {
            actions: &self.actions,
            action_count: ACTIONS,
            rewards: &self.rewards,
            propensities: &self.propensities,
            weights: None,
        }
    }

    pub(crate) fn logs(&self) -> Logs<'_> {
        Logs::new(self.columns()).expect("logs")
    }

    pub(crate) fn policy<'a>(&'a self, distribution: &'a [f64], model: &'a [f64]) -> Policy<'a> {
        Policy::Table {
            distribution: Table::by_context(distribution, ACTIONS, &self.contexts),
            predictions: Some(Table::by_context(model, ACTIONS, &self.contexts)),
        }
    }

    pub(crate) fn target(&self, distribution: &[f64], model: &[f64]) -> Target {
        Target::new(&self.logs(), &self.policy(distribution, model)).expect("a target")
    }
}
