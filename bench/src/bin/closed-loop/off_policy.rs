//! What a frozen policy would be worth, estimated from what another one logged, beside the truth: at every logged decision the frozen
//! policy's probabilities of what was permitted, weighed with the true chances. The policy is the trees of a day with the price of that
//! day, and a share left to chance; what it is judged by was logged later. This room must never show an estimator a chance.

use luopan_bench::Fault;
use luopan_kernel::artifact::Artifact;
use luopan_learning::ope::{Columns, Estimator, Logs, Method, Policy, Ragged, Target, intervals};

use super::drive::Row;
use super::scene::PRODUCTS;
use super::trees;

/// What of the frozen policy's decisions is left to chance.
const UNSURE: f64 = 0.05;
const RESAMPLES: usize = 1_000;
pub(crate) const LEVEL: f64 = 0.95;

/// An estimate beside the truth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimated {
    pub(crate) estimator: &'static str,
    pub(crate) value: f64,
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    pub(crate) truth: f64,
    /// What the log's own policy was worth, in truth.
    pub(crate) logged: f64,
    /// Rows, and what they are worth after weighing.
    pub(crate) rows: usize,
    pub(crate) effective: f64,
}

impl Estimated {
    pub(crate) fn holds(&self) -> bool {
        self.lower <= self.truth && self.truth <= self.upper
    }
}

/// The frozen policy on the rows of a log.
pub(crate) fn estimated(
    log: &[&Row],
    frozen: &Artifact,
    price: f64,
    seed: u64,
) -> Result<Vec<Estimated>, Fault> {
    let (mut offsets, mut actions) = (vec![0], Vec::new());
    let (mut probabilities, mut predictions) = (Vec::new(), Vec::new());
    let (mut taken, mut rewards, mut propensities) = (Vec::new(), Vec::new(), Vec::new());
    let (mut truth, mut logged) = (0.0, 0.0);
    for row in log {
        let mut scores = trees::predicted(frozen, &row.permitted, &row.known)?;
        let best = (0..scores.len())
            .filter(|i| scores[*i] > price)
            .max_by(|a, b| scores[*a].total_cmp(&scores[*b]))
            .unwrap_or(scores.len());
        // Silence is the last action, and has no answer.
        scores.push(0.0);
        let even = UNSURE / scores.len() as f64;
        for (i, score) in scores.iter().enumerate() {
            let product = row.permitted.get(i).copied().unwrap_or(PRODUCTS);
            let chosen = if i == best { 1.0 - UNSURE } else { 0.0 };
            actions.push(product as u32);
            probabilities.push(even + chosen);
            predictions.push(*score);
            truth += (even + chosen) * row.chances.get(i).copied().unwrap_or(0.0);
        }
        offsets.push(actions.len());
        taken.push(row.chosen.unwrap_or(PRODUCTS) as u32);
        rewards.push(f64::from(u8::from(row.is_answered)));
        propensities.push(row.propensity);
        logged += row.chance();
    }
    let logs = Logs::new(Columns {
        actions: &taken,
        action_count: PRODUCTS + 1,
        rewards: &rewards,
        propensities: &propensities,
        weights: None,
    })?;
    let target = Target::new(
        &logs,
        &Policy::Ragged(Ragged {
            offsets: &offsets,
            actions: &actions,
            probabilities: &probabilities,
            predictions: Some(&predictions),
        }),
    )?;
    let all = [
        Estimator::Ips { clip: None },
        Estimator::SelfNormalised,
        Estimator::DoublyRobust { clip: None },
    ];
    let terms = (all.iter())
        .map(|e| e.terms(&logs, &target))
        .collect::<Result<Vec<_>, _>>()?;
    let method = Method::Bootstrap {
        resamples: RESAMPLES,
        seed,
    };
    let found = intervals(&terms.iter().collect::<Vec<_>>(), &method, LEVEL)?;
    let (sum, squares) = (target.weights().iter()).fold((0.0, 0.0), |(s, q), w| (s + w, q + w * w));
    let rows = log.len();
    Ok((all.iter().zip(terms).zip(found))
        .map(|((estimator, terms), interval)| Estimated {
            estimator: estimator.name(),
            value: terms.value(),
            lower: interval.lower,
            upper: interval.upper,
            truth: truth / rows as f64,
            logged: logged / rows as f64,
            rows,
            effective: sum * sum / squares,
        })
        .collect())
}
