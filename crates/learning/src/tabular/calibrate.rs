//! Probabilities of a model brought to what happened, by rows that it had not seen. This room must never fit a calibration to a row that it is
//! then judged by.

use super::roles::Roles;
use super::settings::Calibration;
use super::{Error, Settings};
use crate::calibration::{Isotonic, Platt, Rows};
use serde::{Deserialize, Serialize};

/// Log odds beyond which a probability is as good as certain.
const ODDS_MAX: f64 = 36.0;

/// What a probability becomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Calibrator {
    /// Linear between these, level outside.
    Isotonic {
        probabilities: Vec<f64>,
        values: Vec<f64>,
    },
    /// A logistic function of the log odds.
    Platt { slope: f64, intercept: f64 },
}

/// The log odds of a probability, within bounds.
fn odds(p: f64) -> f64 {
    (libm::log(p) - libm::log1p(-p)).clamp(-ODDS_MAX, ODDS_MAX)
}

impl Calibrator {
    fn fit(
        of: Calibration,
        probabilities: &[f64],
        outcomes: &[f64],
        weights: Option<&[f64]>,
    ) -> Result<Self, Error> {
        let refused = |e: crate::calibration::Error| Error::Model(format!("calibration: {e}"));
        let fit = |scores: &[f64]| -> Result<Self, crate::calibration::Error> {
            let rows = Rows {
                scores,
                outcomes,
                weights,
            };
            Ok(match of {
                Calibration::Isotonic => {
                    let found = Isotonic::fit(&rows)?;
                    let (probabilities, values) = found.points();
                    Self::Isotonic {
                        probabilities: probabilities.to_vec(),
                        values: values.to_vec(),
                    }
                }
                Calibration::Platt => {
                    let Platt { slope, intercept } = Platt::fit(&rows)?;
                    Self::Platt { slope, intercept }
                }
            })
        };
        match of {
            Calibration::Isotonic => fit(probabilities),
            Calibration::Platt => fit(&probabilities.iter().map(|p| odds(*p)).collect::<Vec<_>>()),
        }
        .map_err(refused)
    }

    /// What was kept is one that could have been fitted.
    pub(super) fn check(&self) -> Result<(), Error> {
        let is_whole = match self {
            Self::Isotonic {
                probabilities,
                values,
            } => Isotonic::of_points(probabilities, values).is_some(),
            Self::Platt { slope, intercept } => slope.is_finite() && intercept.is_finite(),
        };
        match is_whole {
            true => Ok(()),
            false => Err(Error::Kept(
                "its calibration has not rising points between 0 and 1".to_owned(),
            )),
        }
    }

    /// Brings probabilities to what they should be.
    pub(super) fn apply(&self, values: &mut [f64]) {
        match self {
            Self::Isotonic {
                probabilities,
                values: at,
            } => {
                if let Some(found) = Isotonic::of_points(probabilities, at) {
                    values.iter_mut().for_each(|v| *v = found.at(*v));
                }
            }
            Self::Platt { slope, intercept } => {
                let found = Platt {
                    slope: *slope,
                    intercept: *intercept,
                };
                values.iter_mut().for_each(|v| *v = found.at(odds(*v)));
            }
        }
    }
}

/// The calibration of the model that is kept, by all rows that were judged; `predictions` become those that the rows of each fold have by
/// the rows of others. Where rows have a time those are the rows of earlier folds, and those of the first stay as they are.
pub(super) fn calibrate(
    settings: &Settings,
    roles: &Roles,
    folds: &[Vec<u32>],
    predictions: &mut [f64],
) -> Result<Option<Calibrator>, Error> {
    let Some(of) = settings.calibration else {
        return Ok(None);
    };
    let fit = |rows: &[u32], predictions: &[f64]| {
        let take = |v: &[f64]| -> Vec<f64> { rows.iter().map(|r| v[*r as usize]).collect() };
        let weights = roles.weights.as_deref().map(take);
        Calibrator::fit(
            of,
            &take(predictions),
            &take(&roles.targets),
            weights.as_deref(),
        )
    };
    let raw = predictions.to_vec();
    for (at, fold) in folds.iter().enumerate() {
        let others: Vec<u32> = (folds.iter().enumerate())
            .filter(|(other, _)| match settings.time {
                Some(_) => *other < at,
                None => *other != at,
            })
            .flat_map(|(_, rows)| rows.iter().copied())
            .collect();
        if others.is_empty() {
            continue;
        }
        let found = fit(&others, &raw)?;
        for row in fold {
            found.apply(&mut predictions[*row as usize..=*row as usize]);
        }
    }
    let all: Vec<u32> = folds.iter().flatten().copied().collect();
    fit(&all, &raw).map(Some)
}
