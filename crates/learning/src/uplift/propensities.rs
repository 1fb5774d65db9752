//! How likely each row was to get each arm. This room must never let a propensity of 0 or 1 pass.

use super::trial::Trial;
use super::{Error, Learner, SUM_TOLERANCE};

/// What is known of how arms were drawn. Probabilities are above 0 and below 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Propensities<'a> {
    /// By lot, with the same probabilities for everybody, which the arms' shares of the rows (by weight) tell.
    Shares,
    /// By lot, with these probabilities: one an arm.
    Known(&'a [f64]),
    /// By probabilities that differ: rows x arms.
    PerRow(&'a [f64]),
    /// Of the arm that each row got, as logs have them. With more than one treatment enough for the doubly robust learner alone.
    Logged(&'a [f64]),
    /// Not known: learned from the columns, across folds, and held within [`super::Settings::clip`]. Right only where the columns
    /// hold everything that moved both the choice of the arm and the outcome.
    Estimated,
}

/// Probabilities that were looked through.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found {
    /// One an arm.
    Each(Vec<f64>),
    /// Rows x arms.
    Table(Vec<f64>),
    /// Of the row's own arm.
    Own(Vec<f64>),
}

impl Found {
    /// The probability of `arm` for a row; of `Own` the row's own arm must be asked for.
    pub(super) fn of(&self, row: usize, arm: usize, arms: usize) -> f64 {
        match self {
            Self::Each(each) => each[arm],
            Self::Table(table) => table[row * arms + arm],
            Self::Own(own) => own[row],
        }
    }

    /// Probability of the treatment among those that got it or the control.
    pub(super) fn of_pair(&self, row: usize, treatment: usize, arms: usize) -> f64 {
        let [none, some] = [0, treatment].map(|arm| self.of(row, arm, arms));
        some / (none + some)
    }
}

/// Probabilities for a learner; none where they are to be estimated.
pub(super) fn found(trial: &Trial<'_>, learner: Learner) -> Result<Option<Found>, Error> {
    let names = trial.arms.names();
    let (rows, arms) = (trial.outcomes.len(), names.len());
    let fits = |p: f64| p > 0.0 && p < 1.0;
    let refuse = |row: usize, arm: usize, found: f64| Error::Propensity {
        row,
        arm: names[arm].clone(),
        found,
    };
    let whole = |row: usize, line: &[f64]| {
        if let Some(arm) = line.iter().position(|p| !fits(*p)) {
            return Err(refuse(row, arm, line[arm]));
        }
        let sum: f64 = line.iter().sum();
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(Error::Sum { row, found: sum });
        }
        Ok(())
    };
    let length =
        |what: &str, found: usize, wanted: usize| super::error::length(what, found, wanted);
    Ok(Some(match trial.propensities {
        Propensities::Estimated => return Ok(None),
        Propensities::Shares => {
            let mut sums = vec![0.0; arms];
            for (row, code) in trial.arms.codes().iter().enumerate() {
                sums[*code as usize] += trial.weight(row);
            }
            let total: f64 = sums.iter().sum();
            Found::Each(sums.iter().map(|sum| sum / total).collect())
        }
        Propensities::Known(each) => {
            length("the propensities of the arms", each.len(), arms)?;
            whole(0, each)?;
            Found::Each(each.to_vec())
        }
        Propensities::PerRow(table) => {
            length(
                "the propensities of rows and arms",
                table.len(),
                rows * arms,
            )?;
            for (row, line) in table.chunks_exact(arms).enumerate() {
                whole(row, line)?;
            }
            Found::Table(table.to_vec())
        }
        Propensities::Logged(own) => {
            length("the propensities", own.len(), rows)?;
            let codes = trial.arms.codes();
            if let Some(row) = own.iter().position(|p| !fits(*p)) {
                return Err(refuse(row, codes[row] as usize, own[row]));
            }
            if arms > 2 && matches!(learner, Learner::X | Learner::R) {
                return Err(Error::NeedsPropensities {
                    learner: learner.name(),
                    arms,
                    wanted: "the propensities of all arms in every row; give them, or use dr, s or t",
                });
            }
            match arms {
                2 => Found::Table(
                    (own.iter().zip(codes))
                        .flat_map(|(p, code)| {
                            if *code == 1 {
                                [1.0 - p, *p]
                            } else {
                                [*p, 1.0 - p]
                            }
                        })
                        .collect(),
                ),
                _ => Found::Own(own.to_vec()),
            }
        }
    }))
}
