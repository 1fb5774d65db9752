//! Objectives: what targets they take, the score to start from, gradients and hessians, by LightGBM's formulas. This room must
//! never see a feature.

use super::exp::exp;
use super::{EPSILON, Error};

/// LightGBM's `poisson_max_delta_step`, which makes hessians of Poisson larger than they are.
const POISSON_STEP: f64 = 0.7;

/// What is minimised. Scores are raw: the logit, the mean, its logarithm, a class's logit up to a constant, a ranking score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Objective {
    /// Log loss of targets 0 and 1.
    Binary,
    /// Squared error.
    Regression,
    /// Poisson deviance of counts or rates from 0 on.
    Poisson,
    /// Gamma deviance of amounts above 0.
    Gamma,
    /// Tweedie deviance of amounts from 0 on.
    Tweedie {
        /// The variance's power of the mean, above 1 and below 2; LightGBM's is 1.5.
        power: f64,
    },
    /// Log loss of classes `0` to `classes - 1`.
    Multiclass {
        /// Number of classes, 2 to 256.
        classes: usize,
    },
    /// LambdaRank (Burges 2010) for NDCG, of whole grades from 0 to 30 in groups.
    Lambdarank,
}

/// A row's gradient and hessian.
pub(super) type Slope = [f32; 2];

impl Objective {
    /// LightGBM's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Regression => "regression",
            Self::Poisson => "poisson",
            Self::Gamma => "gamma",
            Self::Tweedie { .. } => "tweedie",
            Self::Multiclass { .. } => "multiclass",
            Self::Lambdarank => "lambdarank",
        }
    }

    /// Number of raw scores of a row.
    pub fn outputs(self) -> usize {
        match self {
            Self::Multiclass { classes } => classes,
            _ => 1,
        }
    }

    pub(super) fn check(self) -> Result<(), Error> {
        match self {
            Self::Tweedie { power } if !(power > 1.0 && power < 2.0) => Err(Error::Parameter {
                name: "tweedie_variance_power",
                found: power.to_string(),
                wanted: "wanted is a number above 1 and below 2",
            }),
            Self::Multiclass { classes } if !(2..=256).contains(&classes) => {
                Err(Error::Parameter {
                    name: "num_class",
                    found: classes.to_string(),
                    wanted: "wanted is 2 to 256",
                })
            }
            _ => Ok(()),
        }
    }

    /// What is wanted of a target, where `value` is none that this objective takes.
    pub(super) fn refuses(self, value: f64) -> Option<&'static str> {
        let whole = |most: usize| value >= 0.0 && value <= most as f64 && value.fract() == 0.0;
        let (fits, wanted) = match self {
            Self::Binary => (value == 0.0 || value == 1.0, "binary targets are 0 or 1"),
            Self::Regression => (value.is_finite(), "targets are finite numbers"),
            Self::Poisson => (
                value.is_finite() && value >= 0.0,
                "Poisson targets are finite numbers from 0 on",
            ),
            Self::Gamma => (
                value.is_finite() && value > 0.0,
                "gamma targets are finite numbers above 0",
            ),
            Self::Tweedie { .. } => (
                value.is_finite() && value >= 0.0,
                "Tweedie targets are finite numbers from 0 on",
            ),
            Self::Multiclass { classes } => (
                whole(classes - 1),
                "classes are whole numbers from 0 below num_class",
            ),
            Self::Lambdarank => (whole(30), "grades are whole numbers from 0 to 30"),
        };
        (!fits).then_some(wanted)
    }

    /// The score of each output to start from: what a constant would be (LightGBM's `boost_from_average`).
    ///
    /// # Errors
    /// When all targets are alike where they must differ.
    pub(super) fn start(self, target: &[f64], weights: Option<&[f64]>) -> Result<Vec<f64>, Error> {
        let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
        let (mut total, mut sum) = (0.0, 0.0);
        for (row, value) in target.iter().enumerate() {
            total += weight(row);
            sum += weight(row) * value;
        }
        let mean = sum / total;
        match self {
            Self::Binary => {
                if mean <= 0.0 || mean >= 1.0 {
                    return Err(Error::Target {
                        found: format!("is {} in every row of any weight", mean.round()),
                        wanted: "both 0 and 1 must occur",
                    });
                }
                Ok(vec![libm::log(mean / (1.0 - mean))])
            }
            Self::Regression => Ok(vec![mean]),
            Self::Poisson | Self::Gamma | Self::Tweedie { .. } => {
                if mean <= 0.0 {
                    return Err(Error::Target {
                        found: "is 0 in every row of any weight".to_owned(),
                        wanted: "some must be above 0",
                    });
                }
                Ok(vec![libm::log(mean)])
            }
            Self::Multiclass { classes } => {
                let mut shares = vec![0.0; classes];
                for (row, value) in target.iter().enumerate() {
                    shares[*value as usize] += weight(row) / total;
                }
                if let Some(class) = shares.iter().position(|share| *share <= EPSILON) {
                    return Err(Error::Target {
                        found: format!("is class {class} in no row of any weight"),
                        wanted: "every class must occur",
                    });
                }
                Ok(shares.into_iter().map(libm::log).collect())
            }
            Self::Lambdarank => Ok(vec![0.0]),
        }
    }

    /// Slopes of one output at the scores; for classes `scores` holds one run of rows an output and `output` says which is
    /// wanted. Ranking has its own.
    pub(super) fn slopes(
        self,
        output: usize,
        scores: &[f64],
        target: &[f64],
        weights: Option<&[f64]>,
        out: &mut [Slope],
    ) {
        let rows = target.len();
        match self {
            Self::Binary => each(scores, target, weights, out, |score, target| {
                let sign = if target > 0.0 { 1.0 } else { -1.0 };
                let response = -sign / (1.0 + exp(sign * score));
                let size = response.abs();
                (response, size * (1.0 - size))
            }),
            Self::Regression => each(scores, target, weights, out, |score, target| {
                (score - target, 1.0)
            }),
            Self::Poisson => {
                let step = libm::exp(POISSON_STEP);
                each(scores, target, weights, out, |score, target| {
                    let mean = exp(score);
                    (mean - target, mean * step)
                });
            }
            Self::Gamma => each(scores, target, weights, out, |score, target| {
                let ratio = target * exp(-score);
                (1.0 - ratio, ratio)
            }),
            Self::Tweedie { power } => each(scores, target, weights, out, |score, target| {
                let (one, two) = (exp((1.0 - power) * score), exp((2.0 - power) * score));
                (
                    -target * one + two,
                    -target * (1.0 - power) * one + (2.0 - power) * two,
                )
            }),
            Self::Multiclass { classes } => {
                // From K redundant scores to K - 1: LightGBM's factor.
                let factor = classes as f64 / (classes as f64 - 1.0);
                for (row, out) in out.iter_mut().enumerate() {
                    let own = scores[output * rows + row];
                    let mut greatest = own;
                    for class in 0..classes {
                        greatest = greatest.max(scores[class * rows + row]);
                    }
                    let mut sum = 0.0;
                    for class in 0..classes {
                        sum += exp(scores[class * rows + row] - greatest);
                    }
                    let share = exp(own - greatest) / sum;
                    let hit = f64::from(u8::from(target[row] == output as f64));
                    let weight = weights.map_or(1.0, |weights| weights[row]);
                    *out = [
                        ((share - hit) * weight) as f32,
                        (factor * share * (1.0 - share) * weight) as f32,
                    ];
                }
            }
            Self::Lambdarank => {}
        }
    }
}

fn each(
    scores: &[f64],
    target: &[f64],
    weights: Option<&[f64]>,
    out: &mut [Slope],
    slope: impl Fn(f64, f64) -> (f64, f64),
) {
    let rows = scores.iter().zip(target).zip(out);
    match weights {
        None => {
            for ((score, target), out) in rows {
                let (gradient, hessian) = slope(*score, *target);
                *out = [gradient as f32, hessian as f32];
            }
        }
        Some(weights) => {
            for (((score, target), out), weight) in rows.zip(weights) {
                let (gradient, hessian) = slope(*score, *target);
                *out = [(gradient * weight) as f32, (hessian * weight) as f32];
            }
        }
    }
}
