//! Whether logs can carry an estimate: how many rows the weights are worth, whether they add up, and what of the policy the logs
//! have never seen.

use super::{Error, Logs, Table, Target};

/// What the weights of a policy on its logs look like.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosis {
    /// Rows.
    pub rows: usize,
    /// Rows of equal weight that would be worth as much: `(sum w)^2 / sum w^2` (Kish 1965); 0 where no weight is above zero.
    pub effective_rows: f64,
    /// Largest importance weight.
    pub weight_most: f64,
    /// Its row.
    pub weight_most_row: usize,
    /// Share of all weight that this row has.
    pub weight_most_share: f64,
    /// Mean importance weight; 1 in expectation where propensities are true and the logging policy takes all that this one does.
    pub weight_mean: f64,
    /// Its standard error.
    pub weight_mean_error: f64,
    /// Probability of a mean at least as far from 1, by the normal distribution, if the truth is 1.
    pub weight_mean_p: f64,
    /// Share of the rows whose action the policy would never take.
    pub never_taken: f64,
    /// The policy's mean probability of actions that no row of the logs has.
    pub unlogged: f64,
    /// Of these the one with the most, if there is one: action and mean probability.
    pub unlogged_most: Option<(u32, f64)>,
}

/// From where on a diagnosis is worth a warning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Least effective rows.
    pub effective_rows_least: f64,
    /// Least share of effective rows in the rows.
    pub effective_share_least: f64,
    /// Most share of one row.
    pub weight_share_most: f64,
    /// Least probability of the mean weight.
    pub weight_mean_p_least: f64,
    /// Most share of rows whose action the policy would never take.
    pub never_taken_most: f64,
    /// Most probability of actions that were never logged.
    pub unlogged_most: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            effective_rows_least: 100.0,
            effective_share_least: 0.01,
            weight_share_most: 0.05,
            weight_mean_p_least: 0.001,
            never_taken_most: 0.99,
            unlogged_most: 0.01,
        }
    }
}

/// Why an estimate should be trusted less, with the numbers.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Warning {
    /// Few effective rows.
    #[error(
        "the weights of {rows} rows are worth {found:.1} rows (least {least:.1}): log more, or a policy nearer to the logged one"
    )]
    FewEffectiveRows {
        /// Rows.
        rows: usize,
        /// Effective rows.
        found: f64,
        /// The limit, in rows.
        least: f64,
    },
    /// One row with much of the weight.
    #[error(
        "row {row} alone has {share:.3} of all weight (most {most}): its reward decides the estimate; clip, or use switch-dr"
    )]
    OneRow {
        /// The row.
        row: usize,
        /// Its share.
        share: f64,
        /// The limit.
        most: f64,
    },
    /// Weights that do not add up.
    #[error(
        "the mean weight is {mean:.4} +- {error:.4}, but must be 1 (p = {p:.2e}): propensities are wrong, or the policy takes what \
         the logging policy never takes"
    )]
    MeanWeight {
        /// Mean.
        mean: f64,
        /// Standard error.
        error: f64,
        /// Probability.
        p: f64,
    },
    /// Logged actions that the policy does not take.
    #[error(
        "the policy would never take the action of {share:.3} of the rows (most {most}): only the others tell its value"
    )]
    NeverTaken {
        /// Share of rows.
        share: f64,
        /// The limit.
        most: f64,
    },
    /// Actions of the policy that were never logged.
    #[error(
        "the policy gives {mass:.4} of its probability to actions that were never logged (most {most}), action {action} the most: \
         their value is unknown, estimates by weights count it as nothing"
    )]
    Unlogged {
        /// Mean probability.
        mass: f64,
        /// The action with the most.
        action: u32,
        /// The limit.
        most: f64,
    },
}

/// Looks at the weights of a policy on its logs, and says what is beyond `limits`.
///
/// # Errors
/// A target that was made of other logs.
pub fn diagnose(
    logs: &Logs<'_>,
    target: &Target,
    limits: &Limits,
) -> Result<(Diagnosis, Vec<Warning>), Error> {
    let (rows, weights) = (logs.rows(), target.weights.as_slice());
    if weights.len() != rows {
        return Err(Error::Unpaired {
            found: weights.len(),
            wanted: rows,
        });
    }
    let of = |row: usize| logs.columns().weights.map_or(1.0, |of| of[row]);
    let (mut total, mut sum, mut squares, mut never) = (0.0, 0.0, 0.0, 0.0);
    let (mut most, mut most_row) = (0.0, 0);
    for (row, weight) in weights.iter().enumerate() {
        let counted = of(row) * weight;
        total += of(row);
        sum += counted;
        squares += counted * counted;
        never += if *weight == 0.0 { of(row) } else { 0.0 };
        if of(row) > 0.0 && *weight > most {
            (most, most_row) = (*weight, row);
        }
    }
    let mean = sum / total;
    let spread: f64 = (0..rows)
        .map(|row| of(row) / total * (weights[row] - mean))
        .map(|moved| moved * moved)
        .sum();
    let error = libm::sqrt(spread * rows as f64 / (rows as f64 - 1.0).max(1.0));
    let p = if (mean - 1.0).abs() <= 1e-9 {
        1.0
    } else if error == 0.0 {
        0.0
    } else {
        libm::erfc((mean - 1.0).abs() / error / core::f64::consts::SQRT_2)
    };
    let unlogged_most = target
        .unlogged
        .iter()
        .copied()
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let found = Diagnosis {
        rows,
        effective_rows: if squares > 0.0 {
            sum * sum / squares
        } else {
            0.0
        },
        weight_most: most,
        weight_most_row: most_row,
        weight_most_share: if sum > 0.0 {
            of(most_row) * most / sum
        } else {
            0.0
        },
        weight_mean: mean,
        weight_mean_error: error,
        weight_mean_p: p,
        never_taken: never / total,
        unlogged: target.unlogged.iter().map(|(_, mass)| mass).sum(),
        unlogged_most,
    };
    let warnings = warnings(&found, limits);
    Ok((found, warnings))
}

/// Probability that the mean of so many weights is at least as far from 1 as that of these, by the normal distribution, if the truth is 1. Of
/// fewer than two weights it is 1.
pub fn mean_weight_p(weights: &[f64]) -> f64 {
    let n = weights.len() as f64;
    let mean = weights.iter().sum::<f64>() / n;
    let squares: f64 = weights.iter().map(|w| (w - mean) * (w - mean)).sum();
    if weights.len() < 2 || mean == 1.0 {
        return 1.0;
    }
    let error = libm::sqrt(squares / (n - 1.0) / n);
    if error == 0.0 {
        return 0.0;
    }
    libm::erfc((mean - 1.0).abs() / error / core::f64::consts::SQRT_2)
}

fn warnings(found: &Diagnosis, limits: &Limits) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let least = (limits.effective_share_least * found.rows as f64).max(limits.effective_rows_least);
    if found.effective_rows < least {
        warnings.push(Warning::FewEffectiveRows {
            rows: found.rows,
            found: found.effective_rows,
            least,
        });
    }
    if found.weight_most_share > limits.weight_share_most {
        warnings.push(Warning::OneRow {
            row: found.weight_most_row,
            share: found.weight_most_share,
            most: limits.weight_share_most,
        });
    }
    if found.weight_mean_p < limits.weight_mean_p_least {
        warnings.push(Warning::MeanWeight {
            mean: found.weight_mean,
            error: found.weight_mean_error,
            p: found.weight_mean_p,
        });
    }
    if found.never_taken > limits.never_taken_most {
        warnings.push(Warning::NeverTaken {
            share: found.never_taken,
            most: limits.never_taken_most,
        });
    }
    if let Some((action, _)) = found
        .unlogged_most
        .filter(|_| found.unlogged > limits.unlogged_most)
    {
        warnings.push(Warning::Unlogged {
            mass: found.unlogged,
            action,
            most: limits.unlogged_most,
        });
    }
    warnings
}

/// Mean probability that `policy` gives to actions to which the logging policy gives none at the same row: what no amount of such
/// logs tells. [`Diagnosis::unlogged`] sees only actions that were never logged at all; this needs what the logging policy would
/// have done, as a table.
///
/// # Errors
/// Tables of another shape, or with a number that is not finite.
pub fn unsupported_mass(
    logs: &Logs<'_>,
    policy: &Table<'_>,
    logging: &Table<'_>,
) -> Result<f64, Error> {
    policy.check("probabilities", logs)?;
    logging.check("probabilities of the logging policy", logs)?;
    let of = |row: usize| logs.columns().weights.map_or(1.0, |of| of[row]);
    let (mut mass, mut total) = (0.0, 0.0);
    for row in 0..logs.rows() {
        let pairs = policy.row(row).iter().zip(logging.row(row));
        let lost: f64 = pairs
            .filter(|(_, logged)| **logged <= 0.0)
            .map(|(asked, _)| asked)
            .sum();
        mass += of(row) * lost;
        total += of(row);
    }
    Ok(mass / total)
}
