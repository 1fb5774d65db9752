//! One bandit over one order of a table: it decides, is told of the reward of the arm that it chose and of no other, and learns. The
//! rewards of so many decisions are told together. This room must never show a bandit a label.

use std::time::Instant;

use luopan_bench::Fault;
use luopan_kernel::decide::Bandit;
use luopan_kernel::id::DecisionId;
use luopan_kernel::learn::{ModelState, Sample, learn};
use luopan_kernel::network::Network;
use luopan_kernel::plan::{
    Exploration, Feature, FeaturePlan, ModelKind, ModelPlan, ModelScope, SlotId,
};
use luopan_kernel::time::Micros;

use luopan_learning::neural::{Rows, Settings, train};

use super::tables::Table;

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Played {
    /// One less the mean reward: on classes the share of decisions that missed the right one.
    pub(crate) loss: f64,
    /// Of deciding and learning.
    pub(crate) seconds: f64,
}

/// A model of an arm's reward with a scene's defaults, for features that are encoded already.
pub(crate) fn plan(dimension: usize) -> ModelPlan {
    let numbers = (1..dimension as u16).map(|i| FeaturePlan::Standard {
        slot: SlotId(i),
        mean: 0.0,
        scale: 1.0,
        clip: 4.0,
    });
    ModelPlan {
        name: "bandit".into(),
        kind: ModelKind::Logistic,
        scope: ModelScope::PerItem,
        reward: 0,
        catalogue: 0,
        features: [FeaturePlan::Intercept]
            .into_iter()
            .chain(numbers)
            .map(|plan| Feature {
                plan,
                prior_variance: 1.0,
            })
            .collect(),
        prior_intercept: 0.0,
        noise_variance: 1.0,
        drift_variance: 0.0,
        reward_bounds: (0.0, 1.0),
        replicates: 0,
    }
}

/// How one bandit plays.
pub(crate) struct Player<'a> {
    pub(crate) plan: &'a ModelPlan,
    pub(crate) exploration: &'a Exploration,
    /// Decisions whose rewards are learned together.
    pub(crate) batch: usize,
    /// Learns over the last layer of a network that is trained anew from the log after so many decisions.
    pub(crate) networks: &'a [usize],
    pub(crate) seed: u64,
}

/// Plays `order` of the table.
pub(crate) fn play(table: &Table, order: &[u32], player: &Player<'_>) -> Result<Played, Fault> {
    let keys: Vec<String> = (0..table.classes).map(|c| format!("{c:02}")).collect();
    let arms: Vec<Option<&str>> = keys.iter().map(|k| Some(k.as_str())).collect();
    let mut log = Log::default();
    let mut paid = 0.0;
    let start = Instant::now();
    let mut cuts = player.networks.to_vec();
    cuts.push(order.len());
    let mut from = 0;
    let (mut model, mut network) = (player.plan.clone(), None::<Network>);
    let mut state = ModelState::default();
    let (mut x, mut room) = (Vec::new(), Vec::new());
    for to in cuts {
        let bandit = Bandit::new(&model);
        let mut waiting = Vec::with_capacity(player.batch);
        for (i, row) in (from..).zip(&order[from..to]) {
            let row = *row as usize;
            see(network.as_ref(), table.features(row), &mut x, &mut room);
            let drawn = (player.seed << 32) | i as u64;
            let (probabilities, arm) = bandit
                .decide(player.exploration, &state, &arms, &x, drawn)
                .ok_or_else(|| format!("{} arms, {} features", arms.len(), x.len()))?;
            let reward = table.reward(row, arm);
            paid += reward;
            waiting.push(sample(drawn, &keys[arm], &x, reward, probabilities[arm]));
            if !player.networks.is_empty() {
                log.rows.push(row);
                log.arms.push(arm);
                log.rewards.push(reward);
            }
            if waiting.len() == player.batch {
                learn(&model, &mut state, &waiting);
                waiting.clear();
            }
        }
        learn(&model, &mut state, &waiting);
        if to < order.len() {
            let trained = log.train(table, player.seed)?;
            let width = trained.width();
            // What is believed of the old layer says nothing of the new one: all is learned again.
            model = ModelPlan {
                replicates: player.plan.replicates,
                ..plan(width)
            };
            state = ModelState::default();
            for (i, row) in log.rows.iter().enumerate() {
                trained.features(table.features(*row), &mut x, &mut room);
                let told = sample(i as u64, &keys[log.arms[i]], &x, log.rewards[i], 1.0);
                learn(&model, &mut state, &[told]);
            }
            network = Some(trained);
        }
        from = to;
    }
    Ok(Played {
        seconds: start.elapsed().as_secs_f64(),
        loss: 1.0 - paid / order.len().max(1) as f64,
    })
}

/// What a network makes of a row's features, or the features.
fn see(network: Option<&Network>, of: &[f64], x: &mut Vec<f64>, room: &mut Vec<f64>) {
    if let Some(network) = network {
        network.features(of, x, room);
    } else {
        x.clear();
        x.extend_from_slice(of);
    }
}

fn sample(number: u64, arm: &str, x: &[f64], reward: f64, propensity: f64) -> Sample {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_le_bytes());
    Sample {
        id: (DecisionId(id), 0),
        arm: Some(arm.to_owned()),
        features: x.to_vec(),
        reward,
        weight: 1.0,
        propensity,
        at: Micros(0),
    }
}

/// What was decided and came of it.
#[derive(Default)]
struct Log {
    rows: Vec<usize>,
    arms: Vec<usize>,
    rewards: Vec<f64>,
}

impl Log {
    fn train(&self, table: &Table, seed: u64) -> Result<Network, Fault> {
        let x: Vec<f64> = (self.rows.iter())
            .flat_map(|row| table.features(*row).iter().copied())
            .collect();
        let rows = Rows {
            inputs: table.dimension,
            x: &x,
            arms: &self.arms,
            rewards: &self.rewards,
            weights: None,
        };
        let settings = Settings {
            hidden: vec![48],
            epochs: 10,
            seed,
            ..Settings::default()
        };
        Ok(train(&rows, table.classes, &settings)?.network)
    }
}
