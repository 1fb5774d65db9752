//! Figures by which predictions are judged, on raw scores, weighted. This room must never choose a model.

use super::exp::exp;
use super::ranking;
use super::{Error, Objective, Part};

/// A figure of merit or of loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Area under the ROC curve, ties counting half.
    Auc,
    /// Mean negative log likelihood of 0 and 1.
    LogLoss,
    /// Root of the mean squared error.
    Rmse,
    /// Mean Poisson deviance.
    PoissonDeviance,
    /// Mean gamma deviance.
    GammaDeviance,
    /// Mean Tweedie deviance of the objective's power.
    TweedieDeviance,
    /// Mean negative log likelihood of the classes.
    MultiLogLoss,
    /// Mean NDCG of the groups, by their first so many places.
    Ndcg {
        /// Places that count.
        at: usize,
    },
}

impl Metric {
    /// What LightGBM's own metric of the objective measures.
    pub fn of(objective: Objective) -> Self {
        match objective {
            Objective::Binary => Self::LogLoss,
            Objective::Regression => Self::Rmse,
            Objective::Poisson => Self::PoissonDeviance,
            Objective::Gamma => Self::GammaDeviance,
            Objective::Tweedie { .. } => Self::TweedieDeviance,
            Objective::Multiclass { .. } => Self::MultiLogLoss,
            Objective::Lambdarank => Self::Ndcg { at: 5 },
        }
    }

    /// True when more is better.
    pub fn rises(self) -> bool {
        matches!(self, Self::Auc | Self::Ndcg { .. })
    }

    pub(super) fn check(self, objective: Objective) -> Result<(), Error> {
        let fits = match self {
            Self::Auc => objective == Objective::Binary,
            Self::Ndcg { at } => objective == Objective::Lambdarank && at > 0,
            Self::PoissonDeviance => matches!(
                objective,
                Objective::Poisson | Objective::Tweedie { .. } | Objective::Gamma
            ),
            _ => self == Self::of(objective),
        };
        if fits {
            return Ok(());
        }
        Err(Error::Parameter {
            name: "metric",
            found: format!("{self:?}"),
            wanted: "it does not fit the objective",
        })
    }

    /// Refuses targets of which the figure would be no number.
    pub(super) fn check_target(self, target: &[f64]) -> Result<(), Error> {
        let ones = target.iter().filter(|value| **value > 0.0).count();
        if self == Self::Auc && (ones == 0 || ones == target.len()) {
            return Err(Error::Target {
                found: "is one class alone where it is judged".to_owned(),
                wanted: "an AUC needs both",
            });
        }
        Ok(())
    }

    /// The figure of raw scores, which hold one run of rows an output. With an exposure, targets are
    /// rates: see [`Part`].
    pub(super) fn value(
        self,
        objective: Objective,
        scores: &[f64],
        target: &[f64],
        weights: Option<&[f64]>,
        groups: &[std::ops::Range<usize>],
    ) -> f64 {
        let rows = target.len();
        match self {
            Self::Auc => auc(scores, target, weights),
            Self::Ndcg { at } => {
                let sum: f64 = (groups.iter())
                    .map(|group| ranking::ndcg(&scores[group.clone()], &target[group.clone()], at))
                    .sum();
                sum / groups.len() as f64
            }
            Self::LogLoss => mean(rows, weights, |row| {
                let score = if target[row] > 0.0 {
                    scores[row]
                } else {
                    -scores[row]
                };
                // ln(1 + e^-score), which does not overflow.
                (-score).max(0.0) + libm::log1p(exp(-score.abs()))
            }),
            Self::Rmse => {
                let square = |row: usize| {
                    let difference = scores[row] - target[row];
                    difference * difference
                };
                mean(rows, weights, square).sqrt()
            }
            Self::PoissonDeviance => mean(rows, weights, |row| {
                let (y, score) = (target[row], scores[row]);
                let log = if y > 0.0 {
                    y * (libm::log(y) - score)
                } else {
                    0.0
                };
                2.0 * (log - y + exp(score))
            }),
            Self::GammaDeviance => mean(rows, weights, |row| {
                let ratio = target[row] * exp(-scores[row]);
                2.0 * (ratio - libm::log(ratio) - 1.0)
            }),
            Self::TweedieDeviance => {
                let power = match objective {
                    Objective::Tweedie { power } => power,
                    _ => 1.5,
                };
                mean(rows, weights, |row| {
                    let (y, score) = (target[row], scores[row]);
                    let own = if y > 0.0 {
                        libm::pow(y, 2.0 - power) / ((1.0 - power) * (2.0 - power))
                    } else {
                        0.0
                    };
                    2.0 * (own - y * exp((1.0 - power) * score) / (1.0 - power)
                        + exp((2.0 - power) * score) / (2.0 - power))
                })
            }
            Self::MultiLogLoss => mean(rows, weights, |row| {
                let own = (0..scores.len() / rows).map(|class| scores[class * rows + row]);
                let greatest = own.clone().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = own.map(|score| exp(score - greatest)).sum();
                greatest + libm::log(sum) - scores[target[row] as usize * rows + row]
            }),
        }
    }

    /// The figure of raw scores for a part, `outputs` scores a row side by side as [`luopan_kernel::trees::Ensemble`] predicts
    /// them, the part's offset not yet added.
    ///
    /// # Errors
    /// As [`super::train`] for the part; a metric that does not fit the objective or the targets; scores that are not finite.
    pub fn of_scores(
        self,
        objective: Objective,
        part: &Part<'_>,
        scores: &[f64],
    ) -> Result<f64, Error> {
        self.check(objective)?;
        let checked = part.check(objective)?;
        let (rows, outputs) = (part.target.len(), objective.outputs());
        if scores.len() != rows * outputs {
            return Err(Error::Length {
                what: "the scores, one an output,".to_owned(),
                found: scores.len() / outputs,
                rows,
            });
        }
        self.check_target(part.target)?;
        if let Some(at) = scores.iter().position(|score| !score.is_finite()) {
            return Err(Error::Value {
                what: "the score".to_owned(),
                row: at / outputs,
                value: scores[at],
                wanted: "finite numbers are wanted",
            });
        }
        let mut runs = vec![0.0; scores.len()];
        for (row, scores) in scores.chunks_exact(outputs).enumerate() {
            for (output, score) in scores.iter().enumerate() {
                runs[output * rows + row] = score + part.offset.map_or(0.0, |offset| offset[row]);
            }
        }
        let (target, weights) = (checked.target(part), checked.weights(part));
        Ok(self.value(objective, &runs, target, weights, &checked.groups))
    }
}

fn mean(rows: usize, weights: Option<&[f64]>, loss: impl Fn(usize) -> f64) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for row in 0..rows {
        let weight = weights.map_or(1.0, |weights| weights[row]);
        sum += weight * loss(row);
        total += weight;
    }
    sum / total
}

fn auc(scores: &[f64], target: &[f64], weights: Option<&[f64]>) -> f64 {
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    order.sort_unstable_by(|a, b| scores[*a as usize].total_cmp(&scores[*b as usize]));
    let (mut below, mut area, mut positive) = (0.0, 0.0, 0.0);
    let mut at = 0;
    while at < order.len() {
        let score = scores[order[at] as usize];
        let (mut zeros, mut ones) = (0.0, 0.0);
        while at < order.len() && scores[order[at] as usize] == score {
            let row = order[at] as usize;
            let weight = weights.map_or(1.0, |weights| weights[row]);
            if target[row] > 0.0 {
                ones += weight;
            } else {
                zeros += weight;
            }
            at += 1;
        }
        area += ones * (below + 0.5 * zeros);
        below += zeros;
        positive += ones;
    }
    area / (below * positive)
}
