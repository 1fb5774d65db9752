//! Small worlds whose truth dynamic programming tells, and trajectories that are drawn from them.

use luopan_kernel::random::Random;
use luopan_learning::gbdt::{Column, Kind};
use luopan_learning::lifetime::{Columns, Error, Policy, Trajectories};

/// States, actions, what comes of each, and how it was logged.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) states: usize,
    pub(crate) actions: usize,
    /// states x actions x (states and the end).
    pub(crate) moves: Vec<f64>,
    /// Mean reward, states x actions.
    pub(crate) rewards: Vec<f64>,
    /// Deviation of rewards.
    pub(crate) noise: f64,
    /// How actions were logged, states x actions.
    pub(crate) logging: Vec<f64>,
    /// Chances of the first state.
    pub(crate) first: Vec<f64>,
}

pub(crate) fn normalised(mut line: Vec<f64>) -> Vec<f64> {
    let sum: f64 = line.iter().sum();
    line.iter_mut().for_each(|x| *x /= sum);
    line
}

impl World {
    /// Any world; actions are logged with at least .1 each.
    pub(crate) fn any(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let states = 2 + (random.bits() % 3) as usize;
        let actions = 2 + (random.bits() % 2) as usize;
        let mut line = |length: usize, least: f64| {
            normalised(
                (0..length)
                    .map(|_| least + random.uniform().powi(2))
                    .collect(),
            )
        };
        let cells = states * actions;
        let mut moves = Vec::new();
        for _ in 0..cells {
            let mut found = line(states, 0.0);
            found.push(0.05);
            moves.extend(normalised(found));
        }
        let logging = (0..states).flat_map(|_| line(actions, 0.3)).collect();
        let first = line(states, 0.2);
        Self {
            states,
            actions,
            moves,
            rewards: (0..cells).map(|_| random.uniform()).collect(),
            noise: 0.3,
            logging,
            first,
        }
    }

    /// A contact pays, more from who has rested; who is tired and contacted may leave for good.
    pub(crate) fn tiring() -> Self {
        Self {
            states: 2,
            actions: 2,
            // Fresh: rest, contact. Tired: rest, contact. To fresh, tired, gone.
            moves: vec![
                1.0, 0.0, 0.0, //
                0.0, 1.0, 0.0, //
                0.9, 0.1, 0.0, //
                0.0, 0.7, 0.3,
            ],
            rewards: vec![0.0, 1.0, 0.0, 0.4],
            noise: 0.2,
            logging: vec![0.5; 4],
            first: vec![0.7, 0.3],
        }
    }

    fn next(&self, state: usize, action: usize) -> &[f64] {
        let at = (state * self.actions + action) * (self.states + 1);
        &self.moves[at..=at + self.states]
    }

    /// Values of actions with so many steps to go under `choose`, which is given the values and answers with probabilities.
    pub(crate) fn values(
        &self,
        horizon: usize,
        discount: f64,
        choose: impl Fn(usize, usize, &[f64]) -> Vec<f64>,
    ) -> Vec<Vec<f64>> {
        let mut ahead = vec![0.0; self.states];
        let mut out = Vec::new();
        for to_go in 1..=horizon {
            let mut values = Vec::new();
            for state in 0..self.states {
                for action in 0..self.actions {
                    let later: f64 = self
                        .next(state, action)
                        .iter()
                        .zip(&ahead)
                        .map(|(p, v)| p * v)
                        .sum();
                    values.push(self.rewards[state * self.actions + action] + discount * later);
                }
            }
            for state in 0..self.states {
                let line = &values[state * self.actions..(state + 1) * self.actions];
                let mix = choose(state, to_go, line);
                ahead[state] = mix.iter().zip(line).map(|(p, v)| p * v).sum();
            }
            out.push(values);
        }
        out
    }

    /// Value of a policy over the first states.
    pub(crate) fn value(
        &self,
        horizon: usize,
        discount: f64,
        choose: impl Fn(usize, usize, &[f64]) -> Vec<f64>,
    ) -> f64 {
        let values = self.values(horizon, discount, &choose);
        let last = &values[horizon - 1];
        (0..self.states)
            .map(|state| {
                let line = &last[state * self.actions..(state + 1) * self.actions];
                let mix = choose(state, horizon, line);
                let value: f64 = mix.iter().zip(line).map(|(p, v)| p * v).sum();
                self.first[state] * value
            })
            .sum()
    }

    /// The best that can be.
    pub(crate) fn best(&self, horizon: usize, discount: f64) -> f64 {
        self.value(horizon, discount, |_, _, line| greedy(line))
    }

    pub(crate) fn log(&self, customers: usize, steps: usize, seed: u64) -> Logged {
        let mut random = Random::new(seed);
        let mut draw = |chances: &[f64]| {
            let mut left = random.uniform();
            for (at, chance) in chances.iter().enumerate() {
                left -= chance;
                if left < 0.0 {
                    return at;
                }
            }
            chances.len() - 1
        };
        let mut noise = Random::new(seed ^ 0x5eed);
        let mut out = Logged {
            action_names: (0..self.actions).map(|a| format!("action {a}")).collect(),
            ..Logged::default()
        };
        for customer in 0..customers {
            let mut state = draw(&self.first);
            for step in 0..steps {
                let logging = &self.logging[state * self.actions..(state + 1) * self.actions];
                let action = draw(logging);
                let next = draw(self.next(state, action));
                out.customers.push(format!("c{customer}"));
                out.steps.push(step as i64);
                out.states.push(state as f64);
                out.actions.push(action as u32);
                out.propensities.push(logging[action]);
                let mean = self.rewards[state * self.actions + action];
                out.rewards.push(mean + self.noise * noise.normal());
                out.ends.push(next == self.states);
                if next == self.states {
                    break;
                }
                state = next;
            }
        }
        out
    }
}

pub(crate) fn greedy(line: &[f64]) -> Vec<f64> {
    let most = line.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let at = line.iter().position(|v| *v == most).unwrap_or(0);
    (0..line.len())
        .map(|a| f64::from(u8::from(a == at)))
        .collect()
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Logged {
    pub(crate) customers: Vec<String>,
    pub(crate) steps: Vec<i64>,
    pub(crate) states: Vec<f64>,
    pub(crate) actions: Vec<u32>,
    pub(crate) action_names: Vec<String>,
    pub(crate) propensities: Vec<f64>,
    pub(crate) rewards: Vec<f64>,
    pub(crate) ends: Vec<bool>,
}

impl Logged {
    pub(crate) fn column(&self, kind: Kind) -> [Column<'_>; 1] {
        [Column {
            name: "state",
            values: &self.states,
            kind,
        }]
    }

    pub(crate) fn trajectories<'a>(
        &'a self,
        features: &'a [Column<'a>],
    ) -> Result<Trajectories<'a>, Error> {
        Trajectories::new(Columns {
            customers: &self.customers,
            steps: &self.steps,
            features,
            actions: &self.actions,
            action_names: &self.action_names,
            propensities: &self.propensities,
            rewards: &self.rewards,
            allowed: None,
            ends: Some(&self.ends),
        })
    }
}

/// A policy by state.
pub(crate) struct ByState<'a> {
    pub(crate) states: &'a [f64],
    /// states x actions.
    pub(crate) shares: Vec<f64>,
}

impl Policy for ByState<'_> {
    fn probabilities(&self, row: usize, _: usize, out: &mut [f64]) {
        let at = self.states[row] as usize * out.len();
        out.copy_from_slice(&self.shares[at..at + out.len()]);
    }
}
