//! A policy at the logged rows: how likely it would have done what was done, and what a reward model predicts for it.

use luopan_kernel::learn::algebra::dot8;

use super::logs::{Ragged, finite, first, indexes, length, offsets};
use super::{Error, Logs, SUM_TOLERANCE, Table};

/// A policy that is evaluated: what it would have done at each row.
#[derive(Debug, Clone, Copy)]
pub enum Policy<'a> {
    /// Probabilities of all actions.
    Table {
        /// They add up to one in each line.
        distribution: Table<'a>,
        /// Predicted rewards, of the same rows and actions.
        predictions: Option<Table<'a>>,
    },
    /// Probabilities of the actions that each row had.
    Ragged(Ragged<'a>),
    /// The policy that wrote the logs: its value is the mean reward.
    AsLogged,
}

/// A [`Policy`] at the rows of [`Logs`].
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Probability of the action that was taken, over its propensity.
    pub(super) weights: Vec<f64>,
    pub(super) predicted: Predicted,
    /// Mean probability of each action that is never taken in the logs, where it is above zero; ascending by action.
    pub(super) unlogged: Vec<(u32, f64)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Predicted {
    Nothing,
    /// Nothing is needed: every estimator gives the reward itself.
    AsLogged,
    By {
        /// Mean over the policy's actions.
        expected: Vec<f64>,
        /// Of the action that was taken.
        taken: Vec<f64>,
    },
}

impl Target {
    /// Works out a policy at the rows of `logs`.
    ///
    /// # Errors
    /// Tables of another shape, probabilities that are none or do not add up to one (within [`SUM_TOLERANCE`]), predictions that
    /// are not finite or not there.
    pub fn new(logs: &Logs<'_>, policy: &Policy<'_>) -> Result<Self, Error> {
        match policy {
            Policy::AsLogged => Ok(Self {
                weights: vec![1.0; logs.rows()],
                predicted: Predicted::AsLogged,
                unlogged: Vec::new(),
            }),
            Policy::Table {
                distribution,
                predictions,
            } => by_table(logs, distribution, predictions.as_ref()),
            Policy::Ragged(ragged) => by_entries(logs, ragged),
        }
    }

    /// True for the policy that wrote the logs.
    pub fn is_as_logged(&self) -> bool {
        self.predicted == Predicted::AsLogged
    }

    /// Importance weights: the policy's probability of the logged action over its propensity, a row each.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }
}

fn by_table(
    logs: &Logs<'_>,
    distribution: &Table<'_>,
    predictions: Option<&Table<'_>>,
) -> Result<Target, Error> {
    distribution.check("probabilities", logs)?;
    let sums = distribution
        .lines()
        .enumerate()
        .map(|(row, line)| sum_of_one(row, line, |at| at))
        .collect::<Result<Vec<f64>, Error>>()?;
    let columns = logs.columns();
    let taken = |row: usize| columns.actions[row] as usize;
    let weights = (0..logs.rows())
        .map(|row| distribution.row(row)[taken(row)] / columns.propensities[row])
        .collect();
    let predicted = match predictions {
        None => Predicted::Nothing,
        Some(predictions) => {
            predictions.check("predictions", logs)?;
            let expected = |row: usize| {
                dot8(distribution.row(row), predictions.row(row)) / sums[distribution.line_of(row)]
            };
            Predicted::By {
                expected: (0..logs.rows()).map(expected).collect(),
                taken: (0..logs.rows())
                    .map(|row| predictions.row(row)[taken(row)])
                    .collect(),
            }
        }
    };
    let never = never_logged(logs);
    let mut unlogged = Vec::new();
    if !never.is_empty() {
        // How many rows use each line: the lines may be few.
        let mut uses = vec![0.0; sums.len()];
        for row in 0..logs.rows() {
            uses[distribution.line_of(row)] += columns.weights.map_or(1.0, |of| of[row]);
        }
        let total: f64 = uses.iter().sum();
        for action in never {
            let mass: f64 = distribution
                .lines()
                .zip(&uses)
                .map(|(line, uses)| line[action as usize] * uses)
                .sum();
            if mass > 0.0 {
                unlogged.push((action, mass / total));
            }
        }
    }
    Ok(Target {
        weights,
        predicted,
        unlogged,
    })
}

fn by_entries(logs: &Logs<'_>, ragged: &Ragged<'_>) -> Result<Target, Error> {
    let (rows, entries, columns) = (logs.rows(), ragged.actions.len(), logs.columns());
    offsets(ragged.offsets, rows, entries)?;
    length("probabilities", ragged.probabilities, entries)?;
    indexes("action of an entry", ragged.actions, columns.action_count)?;
    if let Some(predictions) = ragged.predictions {
        length("predictions", predictions, entries)?;
        finite("prediction of an entry", predictions)?;
    }
    let mut weights = Vec::with_capacity(rows);
    let (mut expected, mut predicted) = (Vec::new(), Vec::new());
    let mut mass = vec![0.0; columns.action_count];
    let mut total = 0.0;
    for row in 0..rows {
        let range = ragged.offsets[row]..ragged.offsets[row + 1];
        let actions = &ragged.actions[range.clone()];
        let probabilities = &ragged.probabilities[range.clone()];
        if actions.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(Error::Unsorted { row });
        }
        let sum = sum_of_one(row, probabilities, |at| actions[at] as usize)?;
        let taken = columns.actions[row];
        let place = actions.binary_search(&taken).ok();
        weights.push(place.map_or(0.0, |at| probabilities[at]) / columns.propensities[row]);
        if let Some(predictions) = ragged.predictions {
            let predictions = &predictions[range];
            let at = place.ok_or(Error::Unpredicted { row, action: taken })?;
            expected.push(dot8(probabilities, predictions) / sum);
            predicted.push(predictions[at]);
        }
        let weight = columns.weights.map_or(1.0, |of| of[row]);
        total += weight;
        for (action, probability) in actions.iter().zip(probabilities) {
            mass[*action as usize] += weight * probability;
        }
    }
    let unlogged = never_logged(logs)
        .into_iter()
        .map(|action| (action, mass[action as usize] / total))
        .filter(|(_, mass)| *mass > 0.0)
        .collect();
    let predicted = match ragged.predictions {
        None => Predicted::Nothing,
        Some(_) => Predicted::By {
            expected,
            taken: predicted,
        },
    };
    Ok(Target {
        weights,
        predicted,
        unlogged,
    })
}

/// The sum of a line of probabilities; `action` names the one at a place.
fn sum_of_one(row: usize, line: &[f64], action: impl Fn(usize) -> usize) -> Result<f64, Error> {
    let one = 1.0 + SUM_TOLERANCE;
    if let Some(at) = first(line, |found| !(found >= 0.0 && found <= one)) {
        return Err(Error::Probability {
            row,
            action: action(at),
            found: line[at],
        });
    }
    let mut lanes = [0.0; 8];
    let (heads, tail) = line.as_chunks::<8>();
    for head in heads {
        lanes.iter_mut().zip(head).for_each(|(lane, x)| *lane += x);
    }
    let found = lanes.iter().chain(tail).sum::<f64>();
    if (found - 1.0).abs() > SUM_TOLERANCE {
        return Err(Error::Sum { row, found });
    }
    Ok(found)
}

fn never_logged(logs: &Logs<'_>) -> Vec<u32> {
    let columns = logs.columns();
    let mut seen = vec![false; columns.action_count];
    for action in columns.actions {
        seen[*action as usize] = true;
    }
    (0u32..)
        .zip(seen)
        .filter_map(|(action, seen)| (!seen).then_some(action))
        .collect()
}
