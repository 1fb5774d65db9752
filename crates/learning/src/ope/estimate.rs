//! The estimators. With `w` the importance weight, `r` the reward, `q` the prediction for the action taken and `v` the mean
//! prediction over the policy's actions, a row's term is, by name:
//!
//! | name | term | by |
//! |---|---|---|
//! | `ips` | `w r` | Horvitz and Thompson 1952; clipped: `min(w, c) r`, Ionides 2008 |
//! | `snips` | `w r`, over the mean of `w` | Swaminathan and Joachims 2015 |
//! | `dm` | `v` | the direct method |
//! | `dr` | `v + w (r - q)` | Dudik, Langford and Li 2011 |
//! | `sndr` | `v`, and `w (r - q)` over the mean of `w` | Thomas and Brunskill 2016 |
//! | `switch-dr` | `v + w (r - q)` where `w` is at most the threshold, else `v` | Wang, Agarwal and Dudik 2017 |

use super::switch::Threshold;
use super::target::Predicted;
use super::{Error, Logs, Target, Terms};

/// How the value of a policy is estimated.
#[derive(Debug, Clone, PartialEq)]
pub enum Estimator {
    /// Inverse propensity scoring; weights above `clip` count as `clip`.
    Ips {
        /// Largest weight, above zero.
        clip: Option<f64>,
    },
    /// Self-normalised inverse propensity scoring.
    SelfNormalised,
    /// Direct method: what the reward model predicts.
    Direct,
    /// Doubly robust; weights above `clip` count as `clip`.
    DoublyRobust {
        /// Largest weight, above zero.
        clip: Option<f64>,
    },
    /// Doubly robust with self-normalised weights.
    SelfNormalisedDoublyRobust,
    /// Doubly robust up to a threshold on the weight, the model alone above it.
    Switch(Threshold),
}

impl Estimator {
    /// Its name, as in the table of this module; clipped ones end in `, clipped`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ips { clip: None } => "ips",
            Self::Ips { clip: Some(_) } => "ips, clipped",
            Self::SelfNormalised => "snips",
            Self::Direct => "dm",
            Self::DoublyRobust { clip: None } => "dr",
            Self::DoublyRobust { clip: Some(_) } => "dr, clipped",
            Self::SelfNormalisedDoublyRobust => "sndr",
            Self::Switch(_) => "switch-dr",
        }
    }

    /// True when it asks for predictions of a reward model.
    pub fn needs_predictions(&self) -> bool {
        !matches!(self, Self::Ips { .. } | Self::SelfNormalised)
    }

    /// The terms of a policy's estimated value.
    ///
    /// # Errors
    /// No predictions where they are needed, a clip or threshold that is none, and for the self-normalised no row whose action
    /// the policy would take.
    pub fn terms(&self, logs: &Logs<'_>, target: &Target) -> Result<Terms, Error> {
        let columns = logs.columns();
        let (rewards, of_rows) = (columns.rewards, columns.weights);
        let name = self.name();
        let mean = |terms| Ok(Terms::mean(name, terms, of_rows));
        if target.weights.len() != rewards.len() {
            return Err(Error::Unpaired {
                found: target.weights.len(),
                wanted: rewards.len(),
            });
        }
        let (expected, taken) = match &target.predicted {
            // Its weights are 1 and the model's mean is what it says of the action taken.
            Predicted::AsLogged => return mean(rewards.to_vec()),
            Predicted::By { expected, taken } => (expected.as_slice(), taken.as_slice()),
            Predicted::Nothing if self.needs_predictions() => {
                return Err(Error::NeedsPredictions { estimator: name });
            }
            Predicted::Nothing => (&[][..], &[][..]),
        };
        let weights = target.weights.as_slice();
        let corrected = |limited: &dyn Fn(f64) -> f64| -> Vec<f64> {
            (0..rewards.len())
                .map(|row| expected[row] + limited(weights[row]) * (rewards[row] - taken[row]))
                .collect()
        };
        match self {
            Self::Ips { clip } => {
                let most = most(*clip, "clip")?;
                let terms = weights.iter().zip(rewards);
                mean(
                    terms
                        .map(|(weight, reward)| reward * weight.min(most))
                        .collect(),
                )
            }
            Self::Direct => mean(expected.to_vec()),
            Self::DoublyRobust { clip } => {
                let most = most(*clip, "clip")?;
                mean(corrected(&|weight| weight.min(most)))
            }
            Self::Switch(threshold) => {
                let most = match threshold {
                    Threshold::At(at) => most(Some(*at), "threshold")?,
                    Threshold::Chosen(choice) => choice.choose(logs, target)?.threshold,
                };
                mean(corrected(&|weight| {
                    if weight <= most { weight } else { 0.0 }
                }))
            }
            Self::SelfNormalised | Self::SelfNormalisedDoublyRobust => {
                let counted = |row: usize| of_rows.is_none_or(|of| of[row] > 0.0);
                if !(0..rewards.len()).any(|row| weights[row] > 0.0 && counted(row)) {
                    return Err(Error::NoOverlap {
                        rows: rewards.len(),
                    });
                }
                let doubly = *self == Self::SelfNormalisedDoublyRobust;
                let above = (0..rewards.len())
                    .map(|row| {
                        weights[row] * (rewards[row] - if doubly { taken[row] } else { 0.0 })
                    })
                    .collect();
                Ok(Terms {
                    estimator: name,
                    rows: rewards.len(),
                    plain: doubly.then(|| expected.to_vec()),
                    ratio: Some([above, weights.to_vec()]),
                    weights: of_rows.map(<[f64]>::to_vec),
                })
            }
        }
    }
}

/// The largest weight that is let through.
fn most(limit: Option<f64>, what: &'static str) -> Result<f64, Error> {
    match limit {
        None => Ok(f64::INFINITY),
        Some(limit) if limit > 0.0 => Ok(limit),
        Some(found) => Err(Error::Setting {
            what,
            found,
            wanted: "a weight above zero",
        }),
    }
}
