//! The threshold of switch-DR, chosen among several by the estimated mean squared error: the variance of the terms over the
//! rows and a bias that is either what the rows above the threshold say, or a bound of it that holds with probability
//! `1 - delta` by Bernstein's inequality (Su, Dimakopoulou, Krishnamurthy and Dudik 2020, page 17). Of equal ones the largest
//! is taken.

use super::target::Predicted;
use super::{Error, Logs, Target, Terms};

/// Above which weight switch-DR leaves the correction away.
#[derive(Debug, Clone, PartialEq)]
pub enum Threshold {
    /// Stated.
    At(f64),
    /// The best of several by its estimated error.
    Chosen(Choice),
}

/// How a threshold is chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Thresholds to choose from, above zero; [`grid`] makes some.
    pub thresholds: Vec<f64>,
    /// With which probability the bound of the bias may fail, in (0, 1); the bias itself is estimated where there is none.
    pub delta: Option<f64>,
}

/// A threshold and what it costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The threshold.
    pub threshold: f64,
    /// Estimated variance of the value.
    pub variance: f64,
    /// Estimated bias of the value, or its bound.
    pub bias: f64,
}

impl Score {
    /// Estimated mean squared error.
    pub fn error(&self) -> f64 {
        self.variance + self.bias * self.bias
    }
}

impl Threshold {
    /// The best of `thresholds` by the bound that holds with probability 0.95.
    pub fn chosen(thresholds: Vec<f64>) -> Self {
        let delta = Some(0.05);
        Self::Chosen(Choice { thresholds, delta })
    }
}

impl Choice {
    /// The threshold with the least estimated error, of equal ones the largest.
    ///
    /// # Errors
    /// As [`scores`].
    pub fn choose(&self, logs: &Logs<'_>, target: &Target) -> Result<Score, Error> {
        let mut scores = scores(logs, target, self)?;
        scores.sort_by(|a, b| b.threshold.total_cmp(&a.threshold));
        let mut best = scores[0];
        for score in scores {
            if score.error() < best.error() {
                best = score;
            }
        }
        Ok(best)
    }
}

/// `count` thresholds between the 5th and the 95th percentile of the weights above zero, evenly spaced in the logarithm (Wang et
/// al. 2017, section 5), and one above the largest weight, which gives `dr`. Empty when every weight is zero.
pub fn grid(target: &Target, count: usize) -> Vec<f64> {
    let mut weights: Vec<f64> = target
        .weights
        .iter()
        .copied()
        .filter(|weight| *weight > 0.0)
        .collect();
    weights.sort_by(f64::total_cmp);
    let (Some(last), Some(top)) = (weights.len().checked_sub(1), weights.last()) else {
        return Vec::new();
    };
    let at = |share: f64| libm::log(weights[libm::round(last as f64 * share) as usize]);
    let (low, high) = (at(0.05), at(0.95));
    let step = (high - low) / (count.saturating_sub(1).max(1)) as f64;
    let mut found: Vec<f64> = (0..count)
        .map(|k| libm::exp(low + step * k as f64))
        .collect();
    found.push(top * (1.0 + 1e-9));
    found.dedup();
    found
}

/// What each threshold of a choice costs, in their order.
///
/// # Errors
/// No thresholds or one that is not above zero, a `delta` out of range, no predictions.
pub fn scores(logs: &Logs<'_>, target: &Target, choice: &Choice) -> Result<Vec<Score>, Error> {
    let columns = logs.columns();
    let wrong = |what, found, wanted| Error::Setting {
        what,
        found,
        wanted,
    };
    if choice.thresholds.is_empty() {
        return Err(wrong("number of thresholds", 0.0, "one at least"));
    }
    if let Some(found) = choice
        .thresholds
        .iter()
        .find(|found| found.is_nan() || **found <= 0.0)
    {
        return Err(wrong("threshold", *found, "a weight above zero"));
    }
    if let Some(delta) = choice.delta.filter(|delta| !(*delta > 0.0 && *delta < 1.0)) {
        return Err(wrong("delta", delta, "above 0 and below 1"));
    }
    let residuals: Vec<f64> = match &target.predicted {
        Predicted::Nothing => {
            let estimator = "switch-dr";
            return Err(Error::NeedsPredictions { estimator });
        }
        Predicted::AsLogged => vec![0.0; logs.rows()],
        Predicted::By { taken, .. } => columns
            .rewards
            .iter()
            .zip(taken)
            .map(|(reward, taken)| reward - taken)
            .collect(),
    };
    let expected = match &target.predicted {
        Predicted::By { expected, .. } => expected.as_slice(),
        _ => columns.rewards,
    };
    let weights = target.weights.as_slice();
    // Rows count by their weights: with sum 1, and with the number of rows that equal weights would be worth.
    let total: f64 = columns
        .weights
        .map_or(logs.rows() as f64, |of| of.iter().sum());
    let share = |row: usize| columns.weights.map_or(1.0, |of| of[row]) / total;
    let rows = 1.0
        / (0..logs.rows())
            .map(|row| share(row) * share(row))
            .sum::<f64>();
    let around = choice.delta.map_or(0.0, |delta| {
        let second: f64 = (0..logs.rows())
            .map(|row| share(row) * weights[row] * weights[row])
            .sum();
        let largest = weights
            .iter()
            .fold(0.0f64, |most, weight| most.max(*weight));
        let log = libm::log(2.0 / delta);
        libm::sqrt(2.0 * second * log / rows) + 2.0 * largest * log / (3.0 * rows)
    });
    let score = |threshold: f64| {
        let mut terms = Vec::with_capacity(logs.rows());
        let mut left = 0.0;
        for row in 0..logs.rows() {
            let weight = weights[row];
            let used = if weight <= threshold { weight } else { 0.0 };
            terms.push(expected[row] + used * residuals[row]);
            left += share(row) * (weight - used) * residuals[row];
        }
        let moved = Terms::mean("switch-dr", terms, columns.weights).deviations();
        Score {
            threshold,
            variance: moved.iter().map(|moved| moved * moved).sum(),
            bias: left.abs() + around,
        }
    };
    Ok(choice
        .thresholds
        .iter()
        .map(|threshold| score(*threshold))
        .collect())
}
